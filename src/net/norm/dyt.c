/* net/norm/dyt.c
 * Dynamic tanh: y = g tanh(a x) + b, a one learned scalar per norm. It stands where a norm stands and normalises nothing: large
 * values are squashed, small ones pass.
 * Shapes    x, y [N,C]   a [1]   g, b [C]
 * Saves, Backward, Threads: op/squash.c, op/gain.c
 * Source    Zhu et al. 2025, arXiv:2503.10622 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = {
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    { "dyt_alpha", AN_FLOAT, "0.5", ">0", "what the learned scale a starts at", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const an_squash_attr attr = { .erf = false };
    an_value *a = an_param_const(net, AN_KIND_SCALE, "alpha", 1, an_here_float(net, "dyt_alpha"));
    return an_norm_affine(net, AN_EMIT(net->b, &an_op_squash, "squash", &attr, x, a), 0);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    for (size_t i = 0; i < c; i++) y[i] = (gain ? gain[i] : 1) * tanh(an_here_float(net, "dyt_alpha") * x[i]) + (bias ? bias[i] : 0);
}

/* Gaussian averages of tanh^2 and of its squared slope, by the trapezoid rule. */
static void field(const an_net *net, double q, double *out, double *chi)
{
    const double a = an_here_float(net, "dyt_alpha");
    *out = *chi = 0;
    for (int i = -80; i <= 80; i++) {
        const double z = i / 10.0, w = exp(-z * z / 2) / (10 * sqrt(2 * acos(-1))), y = tanh(a * sqrt(q) * z);
        *out += w * y * y;
        *chi += w * a * a * (1 - y * y) * (1 - y * y);
    }
}

static const char *const VARIANTS[] = { "dyt_alpha=2", "norm_bias=false", "norm_affine=false", NULL };

const an_norm_kind an_norm_dyt = { .name = "dyt", .formula = "y = g tanh(a x) + b", .source = "arXiv:2503.10622", .parameters = "2d + 1", .options = OPTIONS, .emit = emit, .oracle = oracle,
    .field = field, .variants = VARIANTS,
    .remarks = "In LLaMA models the authors use no bias, tune the start of a per size, larger in attention than elsewhere (7B: 0.8 and 0.2; set it with `dyt_alpha@*.attn`), and multiply the embedding "
               "by a learned scalar that starts at sqrt(d): it does not scale what it bounds. From the small weights of `init: gpt2` models of width 128 stayed at the unigram entropy here, "
               "whatever a; from `init: xavier`, whose signals have unit size, they train. Large starts need warm-up; gradients grow faster with depth than under a norm. x-transformers starts at 1." };
