/* net/norm/rbn.c
 * RBN, regularised BatchNorm: batchnorm with a slower running mean and a penalty on what sets training and evaluation apart,
 *     rbn_mean sum_c (running mean - mu)^2 + rbn_var sum_c |running var - var|
 * summed over channels and norms, running values after this batch has moved them and constants to the gradient. The penalty acts
 * through the gradient of x; losses that a run reports, in training and validation, are the cross-entropy alone, and the gauge
 * `penalty` tells the rest. The derivative test sees the norm without penalty; its gradient is held by parity and unit tests.
 * Shapes    x, y [N,C]   g, b [C]   running mean, running var [C], buffers
 * Units     norm_eps: of x^2; rbn_mean: loss / x^2, rbn_var: the same
 * Saves, Backward, Threads: op/batch_norm.c
 * Errors    build: training with one token per pass -> AN_ECONFIG
 * Source    Wang et al. 2022, arXiv:2210.05153 */
#include "net/norm.h"

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROW,
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    AN_NORM_MASKED_ROW,
    { "rbn_momentum", AN_FLOAT, "0.05", "(0,1]", "share of the batch in the running statistics", .flags = AN_PER_SITE },
    { "rbn_mean", AN_FLOAT, "0", ">=0", "penalty per channel on (running mean - batch mean)^2", .flags = AN_PER_SITE },
    { "rbn_var", AN_FLOAT, "0", ">=0", "penalty per channel on |running variance - batch variance|", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_value *emit(const an_net *net, an_value *x)
{
    const an_batch_norm_attr attr = { .eps = an_here_float(net, "norm_eps"), .momentum = an_here_float(net, "rbn_momentum"),
        .mean_penalty = an_here_float(net, "rbn_mean"), .var_penalty = an_here_float(net, "rbn_var") };
    return an_norm_batch(net, "rbn", x, &attr);
}

extern const an_norm_kind an_norm_batchnorm;

static void oracle(const an_net *net, size_t n, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    an_norm_batchnorm.oracle_batch(net, n, c, x, gain, bias, y);
}

static const char *const VARIANTS[] = { "norm_bias=false", NULL };

const an_norm_kind an_norm_rbn = { .name = "rbn", .formula = "batchnorm; loss + m sum (mu_run - mu_B)^2 + v sum |var_run - var_B|", .source = "arXiv:2210.05153", .parameters = "2d (and 2d running)",
    .options = OPTIONS, .emit = emit, .oracle_batch = oracle, .variants = VARIANTS, .batchwise = true, .removes_shift = true,
    .note = "norm rbn: while training its statistics run over the whole batch, later tokens included, so the training loss is not that of a causal model; "
            "validation, sampling and eval use running statistics",
    .remarks = "Without `rbn_mean` and `rbn_var` it is BatchNorm with momentum 0.05. The paper compares the batch with the population; the authors' code with "
               "running values that it has just updated, as here. That code also divides by sqrt(max(var, eps)) and keeps the biased variance as running "
               "value; here eps is added and the running variance unbiased, as in batchnorm. Its log of the discrepancy (mean over channels of |mu_run - "
               "mu_B| / sigma_B and |sigma_run / sigma_B - 1|) is ours; another public test divides lengths of vectors." };
