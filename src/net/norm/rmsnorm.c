/* net/norm/rmsnorm.c
 * RMSNorm: y = g x / sqrt(mean(x^2) + eps), over the channels of one token: LayerNorm without centring and without bias.
 * The paper writes eps outside the root; most code, and the default here, has it inside.
 * Shapes    x, y [N,C]   g [C]
 * Units     norm_eps: of x^2 inside, of x outside
 * Saves, Backward, Errors, Threads: op/norm.c
 * Source    Zhang & Sennrich 2019, arXiv:1910.07467 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROWS,
    { "norm_affine", AN_BOOL, "true", NULL, "learn a gain (and bias) per channel", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static const char *const VARIANTS[] = { "norm_eps_place=outside", "norm_affine=false", NULL };

static an_norm_spec spec_here(const an_net *net)
{
    return (an_norm_spec){ .eps = AN_R(an_here_float(net, "norm_eps")), .outside = an_here_text(net, "norm_eps_place")[0] == 'o' };
}

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_norm_attr attr = { spec_here(net) };
    an_value *g = an_here_bool(net, "norm_affine") ? an_param_const(net, AN_KIND_VECTOR, "gain", an_cols(x), 1) : NULL;
    return AN_EMIT(net->b, &an_op_norm, "norm", &attr, x, g);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    const an_norm_spec s = spec_here(net);
    double square = 0;
    for (size_t i = 0; i < c; i++) square += x[i] * x[i] / (double)c;
    const double eps = (double)s.eps, spread = s.outside ? sqrt(square) + eps : sqrt(square + eps);
    for (size_t i = 0; i < c; i++) y[i] = (gain ? gain[i] : 1) * x[i] / spread + (bias ? bias[i] : 0);
}

const an_norm_kind an_norm_rmsnorm = { .name = "rmsnorm", .formula = "y = g x / sqrt(mean(x^2) + eps)", .source = "arXiv:1910.07467", .parameters = "d",
    .options = OPTIONS, .emit = emit, .oracle = oracle, .variants = VARIANTS };
