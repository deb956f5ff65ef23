/* R1: laws at initialisation, without training. Xavier, RMS(x0) = 1, width 128, 64 tokens. Thresholds are frozen; each
 * stands beside what was measured when it was set (means over the seeds used here).
 *   (a) the gradient of the last feed-forward's output matrix against depth, log-log slope over 8..64 layers:
 *       Post-LN 0 (does not depend on depth), Pre-LN -1/2; GPT-2's 1/sqrt(2L) undoes it: 0; DeepNorm -1/2; KEEL -1
 *   (b) stream mean square grows linearly with depth under Pre-LN, by the output gain's square per sub-layer under Peri-LN
 *   (e) under LayerNorm Scaling it grows more slowly than the layer number's square root
 * (c), the product of attenuations, is tested with the ledger; (d), DyT and Derf, with their norms.
 * Source    Xiong et al. 2020, arXiv:2002.04745; Kim et al. 2025, arXiv:2502.02732; Sun et al. 2025, arXiv:2502.05795 */
#include "stack.h"

enum { SEEDS = 4, DEPTHS = 4 };
static const size_t DEPTH[DEPTHS] = { 8, 16, 32, 64 };

static double last_gradient(const char *settings, size_t n_layer, uint64_t seed)
{
    subject s;
    char name[64];
    double sum = 0;
    prop_open(&s, 1, PROP_TRAIN, "d_model=128 n_head=4 d_ff=512 seq_len=64 vocab_size=256 n_layer=%zu %s", n_layer, settings);
    if (an_model_set_threads(s.model, 2) != AN_OK) exit(1);
    an_model_init_params(s.model, seed);
    prop_tokens(s.tokens, s.rows, s.vocab, 2 * seed);
    prop_tokens(s.targets, s.rows, s.vocab, 2 * seed + 1);
    an_model_forward_backward(s.model, &s.pass);
    snprintf(name, sizeof name, "layers.%zu.mlp.down.weight", n_layer - 1);
    const an_param *p = prop_param(&s, name);
    for (size_t i = 0; i < p->count; i++) sum += (double)p->grad[i] * (double)p->grad[i];
    prop_close(&s);
    return sqrt(sum);
}

static void gradient_slope(const char *settings, double least, double most)
{
    double x[DEPTHS], y[DEPTHS];
    for (size_t i = 0; i < DEPTHS; i++) {
        double mean = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++) mean += log(last_gradient(settings, DEPTH[i], seed)) / SEEDS;
        x[i] = log((double)DEPTH[i]);
        y[i] = mean;
    }
    const double slope = stack_slope(DEPTHS, x, y, NULL);
    printf("(a) %-28s slope of the last gradient with depth %+.3f, allowed %+.2f..%+.2f\n", settings, slope, least, most);
    prop_check(slope >= least && slope <= most, "(a) %s: slope %.3f is outside %.2f..%.2f", settings, slope, least, most);
}

/* Mean squares after every sub-layer, mean over seeds, into y[0..n). */
static size_t stream_profile(const char *settings, double *y)
{
    stack s;
    size_t n = 0;
    stack_open(&s, STACK_BOTH, 2, "n_layer=24 seq_len=64 d_model=128 n_head=4 position=rotary init=xavier %s", settings);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        stack_run(&s, seed);
        for (n = 0; n < s.n; n++) y[n] = (seed == 1 ? 0 : y[n]) + stack_square(s.stream[n + 1]) / SEEDS;
    }
    stack_close(&s);
    return n;
}

static void pre_is_linear(void)
{
    double x[48], y[48], r2;
    const size_t n = stream_profile("design=pre-ln", y);
    for (size_t i = 0; i < n; i++) x[i] = (double)i;
    const double slope = stack_slope(n, x, y, &r2);
    printf("(b) pre-ln: mean square grows by %.3f per sub-layer, R^2 %.4f\n", slope, r2);
    prop_check(r2 >= 0.98 && slope > 0, "(b) pre-ln: R^2 of a line through 48 sub-layers is %.4f, slope %.3f", r2, slope);
}

static void peri_follows_its_gain(void)
{
    double x[48], y[48];
    const size_t n = stream_profile("design=peri-ln", y);
    for (size_t i = 0; i < n; i++) x[i] = (double)i;
    const double slope = stack_slope(n, x, y, NULL);
    printf("(b) peri-ln: mean square grows by %.3f per sub-layer; the output gain's square is 1\n", slope);
    prop_check(fabs(slope - 1) <= 0.15, "(b) peri-ln: slope %.3f", slope);
}

static void scaling_is_sublinear(void)
{
    double x[24], y[48], z[24];
    stream_profile("design=layernorm-scaling init=xavier", y);
    for (size_t l = 0; l < 24; l++) {
        x[l] = log((double)(l + 1));
        z[l] = log(y[2 * l + 1]);
    }
    const double slope = stack_slope(24, x, z, NULL);
    printf("(e) layernorm-scaling: mean square grows as layer^%.3f\n", slope);
    prop_check(slope <= 0.5, "(e) layernorm-scaling: exponent %.3f", slope);
}

int main(void)
{
    gradient_slope("design=post-ln init=xavier", -0.10, 0.10);
    gradient_slope("design=pre-ln init=xavier", -0.60, -0.40);
    gradient_slope("design=deepnorm", -0.60, -0.40);
    gradient_slope("design=keel init=xavier", -1.15, -0.85);
    pre_is_linear();
    peri_follows_its_gain();
    scaling_is_sublinear();
    return prop_finish("R1, laws at initialisation");
}
