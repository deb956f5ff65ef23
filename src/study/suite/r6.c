/* study/suite/r6.c
 * R6: growth of the stream and the curse of depth. Pre-LN's stream grows more than Peri-LN's and than that under LayerNorm Scaling; Mix-LN gives
 * deep layers at least the gradient that Pre-LN does. All from N(0, 0.02), since growth and gradients follow the initialisation more than the
 * design; Pre-LN from GPT-2's as well, which LayerNorm Scaling refuses. The order of losses is told and not judged: published gaps are of much
 * larger models.
 * Source    Sun et al. 2025, arXiv:2502.05795; Kim et al. 2025, arXiv:2502.02732; Li et al. 2024, arXiv:2412.13795
 * Threshold the catalogue's, not calibrated */
#include <math.h>

#include "study/evidence.h"
#include "study/statistics.h"

static const char RELEASE[] = "base: { n_layer: 24, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 1000, lr: 1e-3, warmup: 100, eval_every: 0, eval_batches: 20, telemetry_every: 500 }\n"
                              "grid:\n  design|init: [pre-ln|normal, layernorm-scaling|normal, peri-ln|normal, mix-ln|normal, pre-ln|gpt2]\nseeds: 2\n";

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

/* Mean rise of the loss without a sub-layer, of the first two thirds of them and of the last; means over the seeds. */
typedef struct worth { double early, late; } worth;

static worth worth_of(const an_study *s, const char *settings, const an_findings *f)
{
    const an_study_group *g = an_study_find(s, settings);
    worth sum = g ? (worth){ 0, 0 } : (worth){ NAN, NAN };
    for (size_t i = 0; g && i < g->n; i++) {
        an_profile p;
        json_t *lesion = an_cell_probe(s, &s->cell[g->first + i], AN_PROBE_LESION, f);
        const size_t n = an_probe_numbers(lesion, "change", &p), last = n / 3;
        for (size_t k = 0; k < n; k++)
            if (k >= n - last) sum.late += p.y[k] / (double)(last * g->n);
            else sum.early += p.y[k] / (double)((n - last) * g->n);
        if (!n) sum.early = sum.late = NAN;
        json_decref(lesion);
    }
    return sum;
}

/* The late third over what is before it, LayerNorm Scaling's beside Pre-LN's: a ratio that says something only where early sub-layers are worth something in both, and
 * late ones in Pre-LN. */
static void judge_worth(const an_study *s, an_findings *f, const char *pre_ln)
{
    static const char CLAIM[] = "Deep layers are worth more under LayerNorm Scaling", RULE[] = "what lesions of the last third cost beside those before is 1.3 times Pre-LN's";
    const worth pre = worth_of(s, pre_ln, f), scaled = worth_of(s, "design=layernorm-scaling", f);
    if (pre.early <= 0 || pre.late <= 0 || scaled.early <= 0)
        an_findings_add(f, AN_FINDING_FAIL, CLAIM, RULE, "no ratio: %.4f late and %.4f early nats, Pre-LN's %.4f and %.4f", scaled.late, scaled.early, pre.late, pre.early);
    else
        an_find_number(f, scaled.late / scaled.early / (pre.late / pre.early), (an_limits){ 1.3, INFINITY }, CLAIM, RULE, "%.4f late and %.4f early nats, Pre-LN's %.4f and %.4f", scaled.late, scaled.early, pre.late, pre.early);
}

static void tell_losses(const an_study *s, an_findings *f, const char *pre_ln)
{
    const double pre = an_group_quantity(s, pre_ln, AN_Q_VAL_LOSS), gpt2 = an_group_quantity(s, "design=pre-ln init=gpt2", AN_Q_VAL_LOSS), scaled = an_group_quantity(s, "design=layernorm-scaling", AN_Q_VAL_LOSS);
    const double peri = an_group_quantity(s, "design=peri-ln", AN_Q_VAL_LOSS), mix = an_group_quantity(s, "design=mix-ln", AN_Q_VAL_LOSS);
    an_find_told(f, pre + gpt2 + scaled + peri + mix, "Validation losses", "Pre-LN %.4f, from GPT-2's initialisation %.4f; LayerNorm Scaling %.4f, Peri-LN %.4f, Mix-LN %.4f", pre, gpt2, scaled, peri, mix);
}

static void judge(const an_study *s, an_findings *f)
{
    static const char PRE[] = "design=pre-ln init=normal";
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
    judge_worth(s, f, PRE);
    tell_losses(s, f, PRE);
    an_findings_add(f, AN_FINDING_SKIPPED, "GPT-2's initialisation takes LayerNorm Scaling's gain away", "less gain than LayerNorm Scaling alone", "design layernorm-scaling refuses that initialisation, for this reason");
}

const an_named_study an_named_r6 = { .name = "r6", .help = "R6: growth of the stream, the curse of depth", .source = "arXiv:2502.05795", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
