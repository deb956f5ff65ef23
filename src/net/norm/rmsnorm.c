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
    AN_NORM_AFFINE_ROW,
    { "norm_gain_offset", AN_FLOAT, "0", "0..1", "y = (offset + g) x / rms; 1 in Gemma, whose stored gain starts at 0", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static const char *const VARIANTS[] = { "norm_eps_place=outside", "norm_affine=false", "norm_gain_offset=1", NULL };

static an_norm_spec spec_here(const an_net *net)
{
    return (an_norm_spec){ .eps = AN_R(an_here_float(net, "norm_eps")), .outside = an_norm_eps_outside(net) };
}

static an_value *gain_offset(const an_net *net, an_value *y, double offset)
{
    if (!y || !an_here_bool(net, "norm_affine")) return y;
    const an_gain_attr attr = { .factor = 1, .offset = offset };
    return AN_EMIT(net->b, &an_op_gain, "affine", &attr, y, an_param_const(net, AN_KIND_VECTOR, "gain", an_cols(y), 1 - offset));
}

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_norm_attr attr = { spec_here(net) };
    const double offset = an_here_float(net, "norm_gain_offset");
    if (offset != 0) return gain_offset(net, AN_EMIT(net->b, &an_op_norm, "norm", &attr, x), offset);
    an_value *g = an_here_bool(net, "norm_affine") ? an_param_const(net, AN_KIND_VECTOR, "gain", an_cols(x), 1) : NULL;
    return AN_EMIT(net->b, &an_op_norm, "norm", &attr, x, g);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    const an_norm_spec s = spec_here(net);
    double square = 0;
    for (size_t i = 0; i < c; i++) square += x[i] * x[i] / (double)c;
    const double eps = (double)s.eps, spread = s.outside ? sqrt(square) + eps : sqrt(square + eps);
    for (size_t i = 0; i < c; i++) y[i] = (gain ? an_here_float(net, "norm_gain_offset") + gain[i] : 1) * x[i] / spread + (bias ? bias[i] : 0);
}

const an_norm_kind an_norm_rmsnorm = { .name = "rmsnorm", .formula = "y = g x / sqrt(mean(x^2) + eps)", .source = "arXiv:1910.07467", .parameters = "d",
    .remarks = "The paper writes eps outside the root; LLaMA, T5 and most code have it inside, and GPT-NeoX moved it there. Gemma stores w and applies 1 + w (`norm_gain_offset: 1`).",
    .options = OPTIONS, .emit = emit, .oracle = oracle, .variants = VARIANTS };
