/* study/suite/r1.c
 * R1: laws at initialisation, from the telemetry of runs of one step: the gradient of the last feed-forward's output matrix against depth, growth
 * of the stream, what the skip keeps of the gradient. Xavier, RMS(x0) = 1; with N(0, 0.02) Post-LN's chain does not shrink: the init decides.
 * Source    Xiong et al. 2020, arXiv:2002.04745; Kim et al. 2025, arXiv:2502.02732; Sun et al. 2025, arXiv:2502.05795
 * Threshold slopes: Post-LN 0 +- 0.15 on few seeds (a single run reached 0.12, its mean is 0.06) and 0.10 on eight, Peri-LN's growth 25 and 10 %
 *           likewise; Pre-LN and DeepNorm -0.6..-0.3, KEEL -1 +- 0.15. Attenuation over depth L is carried on to 64 layers by the power 64 / L.
 *           Set at width 128. KEEL's first sub-layer is Pre-LN, so that the norm behind the second takes its growth off, once: 0.86 at any depth
 * Measured  ci tier, Tiny Shakespeare, two seeds, width 64: slopes 0.00, -0.45, -0.50, -0.99; R^2 0.997; Peri-LN 0.96 per sub-layer; exponent 0.23;
 *           chains 1e-13 and 0.998, beside whole gradients 2.8 and 1.0 */
#include <math.h>
#include <stdlib.h>

#include "study/evidence.h"
#include "study/statistics.h"

#define BASE "n_head: 4, seq_len: 64, batch_size: 4, steps: 1, warmup: 0, dropout: 0, eval_every: 0, eval_batches: 1 }\n"
#define DESIGNS "grid:\n  design|init: [post-ln|xavier, pre-ln|xavier, pre-ln|gpt2, deepnorm|, keel|xavier]\n"
#define PROFILES "grid_profile:\n  design|init: [peri-ln|xavier, layernorm-scaling|xavier]\n"

static const char CI[] = "base: { d_model: 64, " BASE DESIGNS "  n_layer: [8, 16, 32]\n" PROFILES "  n_layer: [24]\nseeds: 2\n";
static const char NIGHTLY[] = "base: { d_model: 128, " BASE DESIGNS "  n_layer: [8, 16, 32, 64]\n" PROFILES "  n_layer: [24]\nseeds: 4\n";
static const char RELEASE[] = "base: { d_model: 128, " BASE DESIGNS "  n_layer: [8, 16, 32, 64]\n" PROFILES "  n_layer: [24]\nseeds: 8\n";

static double last_gradient(const an_study *s, const an_study_cell *cell)
{
    an_profile p;
    an_cell_profile(s, cell, (an_wanted){ "updates", "grad", "mlp.down.weight", AN_AT_FIRST }, &p);
    return p.n ? log(p.y[p.n - 1]) : NAN;
}

static void judge_slope(const an_study *s, an_findings *f, const char *design, an_limits limits, const char *claim, const char *expected)
{
    static const char *const DEPTH[] = { "8", "16", "32", "64" };
    double x[4], y[4];
    char settings[64];
    size_t n = 0;
    for (size_t i = 0; i < 4; i++) {
        snprintf(settings, sizeof settings, "%s n_layer=%s", design, DEPTH[i]);
        if (!an_study_find(s, settings)) continue;
        x[n] = log(strtod(DEPTH[i], NULL));
        y[n++] = an_group_measure(s, settings, last_gradient);
    }
    bool whole = true;
    for (size_t i = 0; i < n; i++) whole = whole && isfinite(y[i]);
    const double slope = whole ? an_stat_line(n, x, y).slope : NAN;
    an_find_number(f, slope, limits, claim, expected, "slope %+.3f over %zu depths", slope, n);
}

/* Logarithms, carried on to 64 layers: of what skips keep, and of the whole gradient at the beginning of the stack over that at its end. */
static double kept(const an_study *s, const an_study_cell *cell) { return log(an_cell_skips_keep(s, cell)) * 64 / an_cell_number(cell, "n_layer"); }
static double whole(const an_study *s, const an_study_cell *cell) { return log(an_cell_reach(s, cell)) * 64 / an_cell_number(cell, "n_layer"); }

static void judge_chain(const an_study *s, an_findings *f, const char *design, an_limits limits, const char *claim, const char *expected)
{
    char settings[64];
    snprintf(settings, sizeof settings, "design=%s n_layer=%s", design, an_study_find(s, "n_layer=64") ? "64" : "32");
    const double product = exp(an_group_measure(s, settings, kept)), total = exp(an_group_measure(s, settings, whole));
    an_find_number(f, product, limits, claim, expected, "the skip keeps %.3g, the whole gradient %.3g, over 64 layers", product, total);
}

static void judge_growth(const an_study *s, an_findings *f, bool many)
{
    an_profile p, q;
    double x[AN_PROFILE_MOST], y[AN_PROFILE_MOST];
    an_group_squares(s, "design=pre-ln init=xavier n_layer=32", (an_wanted){ "ledger", "y_rms", "", AN_AT_FIRST }, &p);
    for (size_t i = 0; i < AN_PROFILE_MOST; i++) x[i] = (double)i + 1;
    const an_line pre = an_stat_line(p.n, x, p.y);
    an_find_number(f, p.n ? pre.r2 : NAN, (an_limits){ 0.98, 1 }, "Pre-LN's variance grows linearly", "R^2 at least 0.98 over 32 layers", "R^2 %.4f, %.3f per sub-layer", pre.r2, pre.slope);
    an_group_squares(s, "design=peri-ln", (an_wanted){ "ledger", "y_rms", "", AN_AT_FIRST }, &p);
    an_group_squares(s, "design=peri-ln", (an_wanted){ "ledger", "f_rms", "", AN_AT_FIRST }, &q);
    const an_line peri = an_stat_line(p.n, x, p.y);
    an_find_number(f, p.n ? peri.slope : NAN, many ? (an_limits){ 0.9, 1.1 } : (an_limits){ 0.75, 1.25 }, "Peri-LN's variance grows by its output gain's square", many ? "1 per sub-layer, within 10 %" : "1 per sub-layer, within 25 %",
        "%.3f per sub-layer", peri.slope);
    for (size_t i = 0; i < q.n; i++) q.y[i] = fabs(q.y[i] - 1);
    const double off = an_stat_most(q.n, q.y);
    an_find_number(f, off, (an_limits){ 0, 0.01 }, "A Peri-LN branch has the mean square of its gain", "1 within 1 % in every sub-layer", "off by at most %.3g", off);
    an_group_squares(s, "design=layernorm-scaling", (an_wanted){ "ledger", "y_rms", "mlp", AN_AT_FIRST }, &p);
    for (size_t i = 0; i < p.n; i++) y[i] = p.y[i];
    const double exponent = p.n ? an_stat_log_log(p.n, x, y).slope : NAN;
    an_find_number(f, exponent, (an_limits){ -INFINITY, 0.5 }, "LayerNorm Scaling's variance grows sub-linearly", "exponent at most 0.5", "as layer^%.3f", exponent);
}

static void judge(const an_study *s, an_findings *f)
{
    const an_study_group *first = an_study_find(s, "design=post-ln");
    const bool many = first && first->n >= 8;
    const an_limits flat = many ? (an_limits){ -0.1, 0.1 } : (an_limits){ -0.15, 0.15 };
    const char *within = many ? "log-log slope 0, within 0.1" : "log-log slope 0, within 0.15";
    judge_slope(s, f, "design=post-ln", flat, "Post-LN's last gradient does not depend on depth", within);
    judge_slope(s, f, "design=pre-ln init=xavier", (an_limits){ -0.6, -0.3 }, "Pre-LN's last gradient shrinks with the root of depth", "log-log slope -0.6..-0.3");
    judge_slope(s, f, "design=pre-ln init=gpt2", flat, "With GPT-2's initialisation it does not", within);
    judge_slope(s, f, "design=deepnorm", (an_limits){ -0.6, -0.3 }, "DeepNorm's last gradient shrinks likewise", "log-log slope -0.6..-0.3");
    judge_slope(s, f, "design=keel", (an_limits){ -1.15, -0.85 }, "KEEL's last gradient shrinks with depth", "log-log slope -1, within 0.15");
    judge_growth(s, f, many);
    judge_chain(s, f, "post-ln", (an_limits){ 0, 1e-3 }, "Post-LN's skip chain vanishes", "product of attenuations at most 1e-3");
    judge_chain(s, f, "deepnorm", (an_limits){ 0.9, 1.1 }, "DeepNorm's skip chain does not", "at least 0.9");
    judge_chain(s, f, "keel", (an_limits){ 0.7, 1.02 }, "KEEL's skip chain does not", "at least 0.7");
    an_findings_add(f, AN_FINDING_SKIPPED, "Derf follows its recursion", "within 5 %", "a stack of feed-forwards alone is no configuration of a run");
}

const an_named_study an_named_r1 = { .name = "r1", .help = "R1: laws at initialisation, by runs of one step", .source = "arXiv:2002.04745", .tier = AN_TIER_CI,
    .arguments = "", .tier_text = { CI, NIGHTLY, RELEASE }, .judge = judge };
