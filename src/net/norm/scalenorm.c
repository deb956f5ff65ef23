/* net/norm/scalenorm.c
 * ScaleNorm: y = g x / max(|x|, eps), one learned scalar g that starts at sqrt(C).
 * Shapes    x, y [N,C]   g [1]
 * Units     norm_eps: of x
 * Saves, Backward, Errors, Threads: op/length_norm.c
 * Source    Nguyen & Salazar 2019, arXiv:1910.05895 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = { AN_NORM_EPS_ROW, AN_OPTION_END };

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_length_norm_attr attr = { .factor = 1, .eps = an_here_float(net, "norm_eps") };
    return AN_EMIT(net->b, &an_op_length_norm, "norm", &attr, x, an_param_const(net, AN_KIND_VECTOR, "gain", 1, sqrt((double)an_cols(x))));
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    double square = 0;
    (void)bias;
    for (size_t i = 0; i < c; i++) square += x[i] * x[i];
    for (size_t i = 0; i < c; i++) y[i] = gain[0] * x[i] / fmax(sqrt(square), an_here_float(net, "norm_eps"));
}

const an_norm_kind an_norm_scalenorm = { .name = "scalenorm", .formula = "y = g x / max(|x|, eps), one g", .source = "arXiv:1910.05895", .parameters = "1",
    .remarks = "The authors' package goes with attention matrices of N(0, 2/(5d)) and a norm behind the last layer. x-transformers stores g = 1 and multiplies by sqrt(d): the same function, another "
               "learning rate for g.",
    .options = OPTIONS, .emit = emit, .oracle = oracle, .removes_scale = true };
