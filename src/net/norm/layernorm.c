/* net/norm/layernorm.c
 * LayerNorm: y = g (x - mu) / sqrt(var + eps) + b, over the channels of one token. Public code disagrees on two points and
 * both are settings: where eps stands (inside the root: the field's default; outside: added to sigma, as the formula is
 * often written) and whether the variance divides by C (default) or C - 1.
 * Shapes    x, y [N,C]   g, b [C]
 * Units     norm_eps: of x^2 inside, of x outside
 * Saves, Backward, Errors, Threads: op/norm.c. A constant row (sigma = 0) gives y = b and a finite gradient everywhere
 * Source    Ba et al. 2016, arXiv:1607.06450 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROWS,
    { "norm_variance", AN_CHOICE, "biased", "biased|unbiased", "divide the variance by C or by C - 1", .flags = AN_PER_SITE },
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    AN_OPTION_END
};

static const char *const VARIANTS[] = { "norm_eps_place=outside", "norm_variance=unbiased", "norm_eps_place=outside norm_variance=unbiased",
                                        "norm_bias=false", "norm_affine=false", NULL };

static an_norm_spec spec_here(const an_net *net)
{
    return (an_norm_spec){ .eps = AN_R(an_here_float(net, "norm_eps")), .outside = an_norm_eps_outside(net),
        .unbiased = an_here_text(net, "norm_variance")[0] == 'u', .center = 1 };
}

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_norm_attr attr = { spec_here(net) };
    an_norm_note_width(net, an_cols(x));
    const bool affine = an_here_bool(net, "norm_affine"), bias = affine && an_norm_wants_bias(net);
    an_value *g = affine ? an_param_const(net, AN_KIND_VECTOR, "gain", an_cols(x), 1) : NULL;
    an_value *b = bias ? an_param_const(net, AN_KIND_VECTOR, "bias", an_cols(x), 0) : NULL;
    return AN_EMIT(net->b, &an_op_norm, "norm", &attr, x, g, b);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    const an_norm_spec s = spec_here(net);
    double mean = 0, square = 0;
    for (size_t i = 0; i < c; i++) mean += x[i] / (double)c;
    for (size_t i = 0; i < c; i++) square += (x[i] - mean) * (x[i] - mean);
    const double variance = square / (double)(s.unbiased ? c - 1 : c), eps = (double)s.eps;
    const double spread = s.outside ? sqrt(variance) + eps : sqrt(variance + eps);
    for (size_t i = 0; i < c; i++) y[i] = (gain ? gain[i] : 1) * (x[i] - mean) / spread + (bias ? bias[i] : 0);
}

const an_norm_kind an_norm_layernorm = { .name = "layernorm", .formula = "y = g (x - mu) / sqrt(var + eps) + b", .source = "arXiv:1607.06450", .parameters = "2d",
    .options = OPTIONS, .emit = emit, .oracle = oracle, .variants = VARIANTS };
