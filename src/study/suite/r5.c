/* study/suite/r5.c
 * R5: sensitivity to the learning rate. RMSNorm on queries and keys makes Pre-LN less sensitive and keeps attention logits small; Post-LN is the
 * most sensitive, Peri-LN no more than Pre-LN.
 * Source    Wortsman et al. 2023, arXiv:2309.14322, whose metric, seven rates and cosine schedule these are; Kim et al. 2025, arXiv:2502.02732
 * Threshold the catalogue's, not calibrated: ratio 0.7, logits above 50. Of the z-loss the publication says that it keeps the output's logits from diverging
 *           and matters at larger models; here it is asked to halve their drift and to cost nothing. Designs keep their own initialisation and tying:
 *           DeepNorm is Xavier with a head of its own, the others GPT-2 with a tied one */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "study/evidence.h"
#include "study/statistics.h"

enum { HEAD_WIDTH = 32 };
static const char NIGHTLY[] =
    "base: { n_layer: 6, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 500, warmup: 50, schedule: cosine, grad_clip: 1, eval_every: 0, eval_batches: 20, telemetry_every: 50 }\n"
    "grid:\n  design|qk_norm|z_loss: [pre-ln|off|, pre-ln|head|, pre-ln|head|1e-4, post-ln|off|, peri-ln|off|, deepnorm|off|]\n  lr: [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]\nseeds: 1\n";

typedef struct line { const char *design, *qk_norm, *z_loss; } line;   /* z_loss "": without */

static bool is_of(const void *ctx, const an_study_cell *cell)
{
    const line *l = ctx;
    return strcmp(an_cell_value(cell, "design"), l->design) == 0 && strcmp(an_cell_value(cell, "qk_norm"), l->qk_norm) == 0 && strcmp(an_cell_value(cell, "z_loss"), l->z_loss) == 0;
}

static double sensitivity(const an_study *s, const char *design, const char *qk_norm, const char *z_loss) { return an_study_sensitivity(s, is_of, &(line){ design, qk_norm, z_loss }).nats; }

static double largest_logit(const an_study *s, const an_study_cell *cell) { return an_cell_most(s, cell, (an_wanted){ "attention", "max_logit", "", AN_AT_MOST }); }

/* How far the logits of the output have drifted as a whole, at the end: the mean of log Z. */
static double log_z(const an_study *s, const an_study_cell *cell) { return fabs(an_cell_mean(s, cell, (an_wanted){ "output", "log_z", "", AN_AT_LAST })); }

/* With QK-norm |q| and |k| are at most their largest gain times sqrt(head width), so a logit is at most the two gains' product times that root.
 * Here logit over bound, the largest of all layers and rates at the last look; NaN while a run is missing. */
static double over_bound(const an_study *s)
{
    double most = NAN;
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        an_profile logit;
        if (strcmp(an_cell_value(cell, "qk_norm"), "head") != 0) continue;
        an_cell_profile(s, cell, (an_wanted){ "attention", "max_logit", "", AN_AT_LAST }, &logit);
        if (!logit.n) return NAN;
        for (size_t layer = 0; layer < logit.n; layer++) {
            char q[64], k[64];
            snprintf(q, sizeof q, "layers.%zu.attn.q_norm.gain", layer);
            snprintf(k, sizeof k, "layers.%zu.attn.k_norm.gain", layer);
            const double bound = an_cell_tensor_most(s, cell, q) * an_cell_tensor_most(s, cell, k) * sqrt(HEAD_WIDTH);
            if (isnan(bound)) return NAN;
            most = an_stat_most(isnan(most) ? 1 : 2, (double[]){ logit.y[layer] / bound, most });
            if (isnan(most)) return NAN;
        }
    }
    return most;
}

static void judge(const an_study *s, an_findings *f)
{
    const double pre = sensitivity(s, "pre-ln", "off", ""), qk = sensitivity(s, "pre-ln", "head", ""), both = sensitivity(s, "pre-ln", "head", "1e-4");
    const double post = sensitivity(s, "post-ln", "off", ""), peri = sensitivity(s, "peri-ln", "off", ""), deep = sensitivity(s, "deepnorm", "off", "");
    const double others = isnan(pre + qk + peri + deep) ? NAN : fmax(fmax(pre, qk), fmax(peri, deep));
    const double drift = an_group_measure(s, "design=pre-ln qk_norm=head lr=1e-1", log_z), held = an_group_measure(s, "design=pre-ln qk_norm=head z_loss=1e-4 lr=1e-1", log_z);
    const double logit = an_group_measure(s, "design=pre-ln qk_norm=off lr=1e-1", largest_logit);
    const double bounded = over_bound(s);
    an_find_number(f, qk / pre, (an_limits){ 0, 0.7 }, "QK-norm makes Pre-LN less sensitive", "at most 0.7 of Pre-LN's sensitivity", "%.3f with, %.3f without", qk, pre);
    an_find_number(f, logit, (an_limits){ 50, INFINITY }, "Attention logits grow without QK-norm", "above 50 at learning rate 1e-1", "the largest is %.1f", logit);
    an_find_number(f, bounded, (an_limits){ 0, 1 }, "QK-norm bounds them", "at most the gains' bound in every layer, at every rate", "%.2f of it at most, at the end", bounded);
    an_find_number(f, post - others, (an_limits){ 0, INFINITY }, "Post-LN is the most sensitive", "the largest of the five", "%.3f beside %.3f", post, others);
    an_find_number(f, peri - pre, (an_limits){ -INFINITY, 0 }, "Peri-LN is no more sensitive than Pre-LN", "at most Pre-LN's", "%.3f beside %.3f", peri, pre);
    an_find_number(f, both / qk, (an_limits){ 0, 1.05 }, "The z-loss costs nothing", "with QK-norm and z-loss at most 1.05 of the sensitivity without the latter", "%.3f with, %.3f without", both, qk);
    an_find_number(f, held / drift, (an_limits){ 0, 0.5 }, "The z-loss holds the output logits", "|mean log Z| at learning rate 1e-1 at most half at the end", "%.2f with, %.2f without", held, drift);
}

const an_named_study an_named_r5 = { .name = "r5", .help = "R5: sensitivity to the learning rate", .source = "arXiv:2309.14322", .tier = AN_TIER_NIGHTLY,
    .arguments = "", .tier_text = { NULL, NIGHTLY }, .judge = judge };
