/* net/norm/batchnorm.c
 * BatchNorm: y = g (x - mu) / sqrt(var + eps) + b, per channel over the valid tokens of the batch while training, with running
 * statistics in evaluation and decoding. Padding (token -1) is left out of the statistics; `norm_masked: false` counts it, for the
 * comparison. With gradient accumulation every micro-batch is normalised by itself and moves the running statistics in turn.
 * Shapes    x, y [N,C]   g, b [C]   running mean, running var [C], buffers
 * Units     norm_eps: of x^2
 * Saves, Backward, Threads: op/batch_norm.c
 * Errors    build: training with one token per pass -> AN_ECONFIG
 * Source    Ioffe & Szegedy 2015, arXiv:1502.03167; over tokens: Shen et al. 2020, arXiv:2003.07845 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROW,
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    AN_NORM_MASKED_ROW,
    { "batchnorm_momentum", AN_FLOAT, "0.1", "(0,1]", "share of the batch in the running statistics", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_value *emit(const an_net *net, an_value *x)
{
    const an_batch_norm_attr attr = { .eps = an_here_float(net, "norm_eps"), .momentum = an_here_float(net, "batchnorm_momentum") };
    return an_norm_batch(net, "batchnorm", x, &attr);
}

static void oracle(const an_net *net, size_t n, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    const double eps = an_here_float(net, "norm_eps");
    for (size_t j = 0; j < c; j++) {
        double mean = 0, var = n > 1 ? 0 : 1;            /* one row: the running statistics, as they start */
        for (size_t i = 0; n > 1 && i < n; i++) mean += x[i * c + j] / (double)n;
        for (size_t i = 0; n > 1 && i < n; i++) var += (x[i * c + j] - mean) * (x[i * c + j] - mean) / (double)n;
        for (size_t i = 0; i < n; i++) y[i * c + j] = (gain ? gain[j] : 1) * (x[i * c + j] - mean) / sqrt(var + eps) + (bias ? bias[j] : 0);
    }
}

static const char *const VARIANTS[] = { "norm_eps=0.1", "norm_bias=false", "norm_affine=false", NULL };

const an_norm_kind an_norm_batchnorm = { .name = "batchnorm", .formula = "y = g (x - mu_B) / sqrt(var_B + eps) + b, per channel over the batch's valid tokens",
    .source = "arXiv:1502.03167", .parameters = "2d (and 2d running)",
    .options = OPTIONS, .emit = emit, .oracle_batch = oracle, .variants = VARIANTS, .batchwise = true, .removes_shift = true,
    .note = "norm batchnorm: while training its statistics run over the whole batch, later tokens included, so the training loss is not that of a causal "
            "model; validation, sampling and eval use running statistics",
    .remarks = "PyTorch has no mask: padding enters its statistics unless the caller takes it out. The running variance takes the batch's unbiased variance, "
               "the normalisation its biased one; some codes use the biased one for both. In a causal model judge it by validation loss only. Measures of its "
               "training/inference discrepancy differ between codes; ours is in docs/telemetry.md (tid_mean, tid_dev)." };
