/* net/norm/l2norm.c
 * L2 norm (simple RMSNorm): y = sqrt(C) x / max(|x|, eps), nothing learned.
 * Shapes    x, y [N,C]
 * Units     norm_eps: of x
 * Saves, Backward, Errors, Threads: op/length_norm.c
 * Source    the norm of nanochat and of x-transformers' simple RMSNorm */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = { AN_NORM_EPS_ROW, AN_OPTION_END };

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_length_norm_attr attr = { .factor = sqrt((double)an_cols(x)), .eps = an_here_float(net, "norm_eps") };
    return AN_EMIT(net->b, &an_op_length_norm, "norm", &attr, x, NULL);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    double square = 0;
    (void)gain; (void)bias;
    for (size_t i = 0; i < c; i++) square += x[i] * x[i];
    for (size_t i = 0; i < c; i++) y[i] = sqrt((double)c) * x[i] / fmax(sqrt(square), an_here_float(net, "norm_eps"));
}

const an_norm_kind an_norm_l2norm = { .name = "l2norm", .formula = "y = sqrt(C) x / max(|x|, eps)", .source = "nanochat; x-transformers", .parameters = "none",
    .remarks = "eps only matters for rows of almost nothing: it bounds the length from below instead of being added, so other rows are exact.", .options = OPTIONS, .emit = emit, .oracle = oracle };
