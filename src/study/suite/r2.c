/* study/suite/r2.c
 * R2: warm-up and the place of the norm. Post-LN without warm-up is not trained: at width 128 it stays at the unigram entropy, a plateau and no
 * divergence; Pre-LN, DeepNorm and Admin need none. The causes that papers name are told side by side.
 * Source    Xiong et al. 2020, arXiv:2002.04745; Liu et al. 2020, arXiv:2004.08249; Wang et al. 2022, arXiv:2203.00555
 * Threshold the failure rule; Post-LN is to fail at 8 and at 12 layers, and 100 steps of warm-up are to rescue it at 8: at 12 they did
 *           not when this was set (Xavier, learning rate 1e-3, width 128) */
#include <math.h>
#include <stdio.h>

#include "study/evidence.h"

#define BASE "n_head: 4, lr: 1e-3, dropout: 0, telemetry_every: 100, eval_every: 0, eval_batches: 10, grad_clip: 0, beta2: 0.95 }\n"
#define DESIGNS "  design|init: [post-ln|xavier, pre-ln|xavier, deepnorm|, admin|]\n"

static const char CI[] = "base: { n_layer: 8, d_model: 64, seq_len: 64, batch_size: 16, steps: 300, " BASE "grid:\n" DESIGNS "  warmup: [0, 100]\nseeds: 1\n";
static const char FULL[] = "base: { d_model: 128, seq_len: 128, batch_size: 32, steps: 600, " BASE "grid:\n  n_layer: [8, 12]\n" DESIGNS "  warmup: [0, 200]\nseeds: 3\n";

/* What one of the first updates changes behind the final norm; mean over the seeds. */
static double amplified(const an_study *s, const char *settings, const an_findings *f)
{
    const an_study_group *g = an_study_find(s, settings);
    double sum = g ? 0 : NAN;
    for (size_t i = 0; g && i < g->n; i++) sum += an_cell_change(s, &s->cell[g->first + i], f) / (double)g->n;
    return sum;
}

/* Causes that papers name for Post-LN's need. */
static void tell_causes(const an_study *s, an_findings *f, const char *depth, const char *title)
{
    static const char *const DESIGN[] = { "post-ln", "pre-ln", "deepnorm", "admin" };
    char settings[96], claim[96];
    an_text text = { 0 };
    bool whole = true;
    for (size_t i = 0; i < sizeof DESIGN / sizeof *DESIGN; i++) {
        snprintf(settings, sizeof settings, "%sdesign=%s warmup=0", depth, DESIGN[i]);
        const double gradient = an_group_measure(s, settings, an_cell_reach), skips = an_group_measure(s, settings, an_cell_skips_keep), change = amplified(s, settings, f);
        whole = whole && isfinite(gradient) && isfinite(change);
        an_text_add(&text, "%s%s %.2g, %.2g, %.2g", i ? "; " : "", DESIGN[i], gradient, skips, change);
    }
    snprintf(claim, sizeof claim, "Causes side by side%s", title);
    an_findings_add(f, whole ? AN_FINDING_TOLD : AN_FINDING_OPEN, claim, "gradient at the first sub-layer over that behind the last; share that the skips keep; change of the output by an update, without warm-up",
                    "%s", whole ? an_text_get(&text) : "runs are missing or not finite");
    an_text_fini(&text);
}

static void judge_depth(const an_study *s, an_findings *f, const char *depth, const char *title, bool rescue)
{
    static const struct { const char *design, *name; } FREE[] = { { "pre-ln", "Pre-LN" }, { "deepnorm", "DeepNorm" }, { "admin", "Admin" } };
    const char *warm = an_study_find(s, "warmup=100") ? "100" : "200";
    char settings[96], claim[96];
    snprintf(settings, sizeof settings, "%sdesign=post-ln warmup=0", depth);
    snprintf(claim, sizeof claim, "Post-LN without warm-up is not trained%s", title);
    an_find_outcome(s, f, (an_expected_outcome){ settings, NULL, AN_OUTCOME_DEGRADED, 2.0 / 3 }, claim, "failed, partial or degraded in two thirds of the runs");
    for (size_t i = 0; i < sizeof FREE / sizeof *FREE; i++) {
        snprintf(settings, sizeof settings, "%sdesign=%s warmup=0", depth, FREE[i].design);
        snprintf(claim, sizeof claim, "%s needs no warm-up%s", FREE[i].name, title);
        an_find_outcome(s, f, (an_expected_outcome){ settings, NULL, AN_OUTCOME_TRAINED, 1 }, claim, "trained in all runs");
    }
    snprintf(settings, sizeof settings, "%sdesign=pre-ln warmup=0", depth);
    const double without = an_group_quantity(s, settings, AN_Q_LOSS);
    snprintf(settings, sizeof settings, "%sdesign=pre-ln warmup=%s", depth, warm);
    const double with = an_group_quantity(s, settings, AN_Q_LOSS);
    snprintf(claim, sizeof claim, "Warm-up changes little for Pre-LN%s", title);
    an_find_number(f, fabs(with - without), (an_limits){ 0, 0.05 }, claim, "losses at most 0.05 nats apart", "%.4f without, %.4f with", without, with);
    snprintf(settings, sizeof settings, "%sdesign=post-ln warmup=%s", depth, warm);
    if (rescue) an_find_outcome(s, f, (an_expected_outcome){ settings, NULL, AN_OUTCOME_TRAINED, 2.0 / 3 }, "Warm-up rescues Post-LN at 8 layers", "trained in two thirds of the runs");
    tell_causes(s, f, depth, title);
}

static void judge(const an_study *s, an_findings *f)
{
    if (!an_study_find(s, "n_layer=12")) {
        judge_depth(s, f, "", " at 8 layers", true);
        return;
    }
    judge_depth(s, f, "n_layer=8 ", " at 8 layers", true);
    judge_depth(s, f, "n_layer=12 ", " at 12 layers", false);
}

const an_named_study an_named_r2 = { .name = "r2", .help = "R2: warm-up and the place of the norm", .source = "arXiv:2002.04745", .tier = AN_TIER_CI,
    .arguments = "", .tier_text = { CI, FULL }, .judge = judge };
