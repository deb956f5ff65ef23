/* study/suite/r8.c
 * R8: branches that start at zero. ReZero reaches the loss that Post-LN with warm-up has at two thirds of its steps in at most 0.8 of them;
 * its scales leave 0 and stay below 1 at first.
 * Source    Bachlechner et al. 2020, arXiv:2003.04887 (56 % faster)
 * Threshold the catalogue's 0.8, not calibrated. Post-LN may never train at 12 layers: Pre-LN's loss at the same place is a second target, told only */
#include <math.h>

#include "study/evidence.h"

static const double LEFT = 1e-3;   /* what Adam moves a scale by at once, at this learning rate */
static const char RELEASE[] = "base: { n_layer: 12, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 1500, lr: 1e-3, eval_every: 0, eval_batches: 20 }\n"
                              "grid:\n  design|init|warmup|telemetry|telemetry_every: [post-ln|xavier|200|off|, pre-ln|xavier|0|off|, rezero||0|full|20, layerscale||0|off|]\nseeds: 2\n";

/* Mean over seeds of the steps to a loss. */
static double steps_to(const an_study *s, const char *settings, double target)
{
    const an_study_group *g = an_study_find(s, settings);
    double sum = g ? 0 : NAN;
    for (size_t i = 0; g && i < g->n; i++) sum += an_cell_steps_to(s, &s->cell[g->first + i], target) / (double)g->n;
    return sum;
}

static double loss_at_two_thirds(const an_study *s, const an_study_cell *cell) { return an_cell_loss_at(s, cell, cell->steps * 2 / 3); }

/* Scales over the cells of ReZero, each at its largest within the first steps: the least of them, and the largest. */
static void early_scales(const an_study *s, double *least, double *most)
{
    const an_study_group *g = an_study_find(s, "design=rezero");
    *least = *most = NAN;
    for (size_t i = 0; g && i < g->n; i++) {
        an_profile p;
        an_cell_profile(s, &s->cell[g->first + i], (an_wanted){ "updates", "weight", "branch.scale", AN_AT_MOST_EARLY }, &p);
        for (size_t k = 0; k < p.n; k++) {
            *least = fmin(*least, p.y[k]);
            *most = fmax(*most, p.y[k]);
        }
    }
}

static void judge(const an_study *s, an_findings *f)
{
    double least, largest;
    const double target = an_group_measure(s, "design=post-ln", loss_at_two_thirds), easy = an_group_measure(s, "design=pre-ln", loss_at_two_thirds);
    const double post = steps_to(s, "design=post-ln", target), rezero = steps_to(s, "design=rezero", target), pre = steps_to(s, "design=rezero", easy), pre_own = steps_to(s, "design=pre-ln", easy);
    an_find_number(f, rezero / post, (an_limits){ 0, 0.8 }, "ReZero is faster than Post-LN with warm-up", "at most 0.8 of its steps to the same loss", "%.0f steps beside %.0f to a loss of %.3f", rezero, post, target);
    const an_finding_kind kind = isnan(pre / pre_own) ? AN_FINDING_OPEN : AN_FINDING_TOLD;
    an_findings_add(f, kind, "ReZero beside Pre-LN", NULL, "%.0f steps beside %.0f to a loss of %.3f", pre, pre_own, easy);
    early_scales(s, &least, &largest);
    an_find_number(f, least, (an_limits){ LEFT, INFINITY }, "ReZero's scales leave 0", "each further than 0.001, one update, within 200 steps", "the least comes to %.4f", least);
    an_find_number(f, largest, (an_limits){ 0, 1 }, "ReZero's scales stay below 1", "for the first 200 steps", "the largest comes to %.4f", largest);
}

const an_named_study an_named_r8 = { .name = "r8", .help = "R8: branches that start at zero, steps to a loss", .source = "arXiv:2003.04887", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
