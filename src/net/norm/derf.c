/* net/norm/derf.c
 * Dynamic erf: y = g erf(a x + s) + b, a and s one learned scalar each per norm.
 * Shapes    x, y [N,C]   a, s [1]   g, b [C]
 * Saves, Backward, Threads: op/squash.c, op/gain.c
 * Source    arXiv:2512.10938 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = {
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    { "derf_alpha", AN_FLOAT, "0.5", ">0", "what the learned scale a starts at", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_squash_attr attr = { .erf = true };
    an_value *a = an_param_const(net, AN_KIND_SCALE, "alpha", 1, an_here_float(net, "derf_alpha"));
    return an_norm_affine(net, AN_EMIT(net->b, &an_op_squash, "squash", &attr, x, a, an_param_const(net, AN_KIND_SCALE, "shift", 1, 0)), 0);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    for (size_t i = 0; i < c; i++) y[i] = (gain ? gain[i] : 1) * erf(an_here_float(net, "derf_alpha") * x[i]) + (bias ? bias[i] : 0);
}

/* In closed form: E erf(a z)^2 = 2/pi asin(2 a^2 q / (1 + 2 a^2 q)), E (d/dz erf)^2 = 4 a^2 / (pi sqrt(1 + 4 a^2 q)). */
static void field(const an_net *net, double q, double *out, double *chi)
{
    const double a = an_here_float(net, "derf_alpha"), pi = acos(-1);
    *out = 2 / pi * asin(2 * a * a * q / (1 + 2 * a * a * q));
    *chi = 4 * a * a / (pi * sqrt(1 + 4 * a * a * q));
}

static const char *const VARIANTS[] = { "derf_alpha=2", "norm_affine=false", NULL };

const an_norm_kind an_norm_derf = { .name = "derf", .formula = "y = g erf(a x + s) + b", .source = "arXiv:2512.10938", .parameters = "2d + 2", .options = OPTIONS, .emit = emit, .oracle = oracle,
    .field = field, .variants = VARIANTS, .remarks = "As with dyt, a small model is to start from `init: xavier`, gradients grow faster with depth than under a norm, and a large start of a needs warm-up." };
