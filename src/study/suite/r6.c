/* study/suite/r6.c
 * R6: growth of the stream and the curse of depth. Pre-LN's stream grows more than Peri-LN's and than that under LayerNorm Scaling; Mix-LN gives
 * deep layers at least the gradient that Pre-LN does. The order of losses is told and not judged: published gaps are of much larger models.
 * Source    Sun et al. 2025, arXiv:2502.05795; Kim et al. 2025, arXiv:2502.02732; Li et al. 2024, arXiv:2412.13795
 * Threshold the catalogue's, not calibrated */
#include <math.h>

#include "study/evidence.h"

static const char RELEASE[] = "base: { n_layer: 24, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 1500, lr: 1e-3, warmup: 100, eval_every: 0, eval_batches: 20, telemetry_every: 500 }\n"
                              "grid:\n  design|init: [pre-ln|xavier, pre-ln|gpt2, layernorm-scaling|, peri-ln|, mix-ln|]\nseeds: 2\n";

static double growth(const an_study *s, const an_study_cell *cell)
{
    an_profile p;
    an_cell_profile(s, cell, (an_wanted){ "ledger", "y_rms", "", AN_AT_LAST }, &p);
    return p.n ? p.y[p.n - 1] / p.y[0] : NAN;
}

/* Mean length of the gradient over the deeper half of the sub-layers. */
static double deep_gradient(const an_study *s, const an_study_cell *cell)
{
    an_profile p;
    double sum = 0;
    an_cell_profile(s, cell, (an_wanted){ "ledger", "g_in", "", AN_AT_LAST }, &p);
    for (size_t i = p.n / 2; i < p.n; i++) sum += p.y[i] / (double)(p.n - p.n / 2);
    return p.n ? sum : NAN;
}

/* What the last third of the sub-layers is worth over what the others are: mean rise of the loss without one; mean over the seeds. */
static double worth(const an_study *s, const char *settings, const an_findings *f)
{
    const an_study_group *g = an_study_find(s, settings);
    double sum = g ? 0 : NAN;
    for (size_t i = 0; g && i < g->n; i++) {
        an_profile p;
        double part[2] = { 0 };
        json_t *lesion = an_cell_probe(s, &s->cell[g->first + i], AN_PROBE_LESION, f);
        const size_t n = an_probe_numbers(lesion, "change", &p), last = n / 3;
        for (size_t k = 0; k < n; k++) part[k >= n - last] += p.y[k] / (double)(k >= n - last ? last : n - last);
        sum += part[1] / part[0] / (double)g->n;
        json_decref(lesion);
    }
    return sum;
}

static void judge(const an_study *s, an_findings *f)
{
    static const char PRE[] = "design=pre-ln init=xavier";
    an_profile p;
    double x[AN_PROFILE_MOST];
    const double pre = an_group_measure(s, PRE, growth), peri = an_group_measure(s, "design=peri-ln", growth), scaled = an_group_measure(s, "design=layernorm-scaling", growth);
    const double g_pre = an_group_measure(s, PRE, deep_gradient), g_mix = an_group_measure(s, "design=mix-ln", deep_gradient);
    an_find_number(f, isnan(pre) || isnan(peri) ? NAN : pre > peri, (an_limits){ 1, 1 }, "Pre-LN's stream grows more than Peri-LN's", "a larger RMS(last) / RMS(first)", "%.2f beside %.2f", pre, peri);
    an_find_number(f, isnan(pre) || isnan(scaled) ? NAN : pre > scaled, (an_limits){ 1, 1 }, "Pre-LN's stream grows more than under LayerNorm Scaling", "a larger RMS(last) / RMS(first)", "%.2f beside %.2f", pre, scaled);
    an_group_squares(s, "design=peri-ln", (an_wanted){ "ledger", "y_rms", "", AN_AT_LAST }, &p);
    for (size_t i = 0; i < p.n; i++) x[i] = (double)i + 1;
    const an_line line = an_stat_line(p.n, x, p.y);
    an_find_number(f, p.n ? line.r2 : NAN, (an_limits){ 0.9, 1 }, "Peri-LN's variance stays linear in depth", "R^2 at least 0.9", "R^2 %.3f, %.3f per sub-layer", line.r2, line.slope);
    an_find_number(f, g_mix / g_pre, (an_limits){ 1, INFINITY }, "Mix-LN's deep layers have Pre-LN's gradient or more", "at least Pre-LN's, deeper half", "%.4g beside %.4g", g_mix, g_pre);
    const double worth_pre = worth(s, PRE, f), worth_scaled = worth(s, "design=layernorm-scaling", f);
    an_find_number(f, worth_scaled / worth_pre, (an_limits){ 1.3, INFINITY }, "Deep layers are worth more under LayerNorm Scaling", "what lesions of the last third cost beside those before is 1.3 times Pre-LN's",
        "%.3f beside %.3f", worth_scaled, worth_pre);
}

const an_named_study an_named_r6 = { .name = "r6", .help = "R6: growth of the stream, the curse of depth", .source = "arXiv:2502.05795", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
