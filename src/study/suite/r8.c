/* study/suite/r8.c
 * R8: branches that start at zero. ReZero reaches the loss that Post-LN with warm-up has at two thirds of its steps in at most 0.8 of them;
 * its scales leave 0 and stay below 1 at first.
 * Source    Bachlechner et al. 2020, arXiv:2003.04887 (56 % faster)
 * Threshold the catalogue's 0.8, not calibrated. Post-LN may never train at 12 layers: Pre-LN's loss at the same place is a second target, told only */
#include <math.h>
#include <stdio.h>

#include "study/evidence.h"
#include "study/statistics.h"

static const double LEFT = 1e-3;   /* what Adam moves a scale by at once, at this learning rate */
static const char RELEASE[] = "base: { n_layer: 8, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 1500, lr: 1e-3, eval_every: 0, eval_batches: 20 }\n"
                              "grid:\n  design|init|warmup|telemetry|telemetry_every: [post-ln|xavier|200|off|, pre-ln|xavier|0|off|, rezero||0|full|20, layerscale||0|off|]\nseeds: 2\n";

/* Steps of one design and of another to the loss that the other has after two thirds of them, run beside run; means over seeds. */
typedef struct race { double mine, theirs, target; bool trained; } race;

static race run_race(const an_study *s, const char *mine, const char *theirs)
{
    const an_study_group *a = an_study_find(s, mine), *b = an_study_find(s, theirs);
    race out = { 0, 0, 0, b && an_group_count(s, b, AN_OUTCOME_TRAINED) == b->n };
    if (!a || !b) return (race){ NAN, NAN, NAN, false };
    for (size_t i = 0; i < b->n; i++) {
        const an_study_cell *other = &s->cell[b->first + i];
        const double target = an_cell_loss_at(s, other, other->steps * 2 / 3);
        out.mine += an_cell_steps_to(s, &s->cell[a->first + i], target) / (double)b->n;
        out.theirs += an_cell_steps_to(s, other, target) / (double)b->n;
        out.target += target / (double)b->n;
    }
    return out;
}

/* Scales over the cells of ReZero, each at its largest within the first steps: the least of them, and the largest; NaN while a run is missing. */
static void early_scales(const an_study *s, double *least, double *most)
{
    const an_study_group *g = an_study_find(s, "design=rezero");
    double lowest = INFINITY, largest = -INFINITY;
    for (size_t i = 0; g && i < g->n; i++) {
        an_profile p;
        an_cell_profile(s, &s->cell[g->first + i], (an_wanted){ "updates", "weight", "branch.scale", AN_AT_MOST_EARLY }, &p);
        if (isnan(an_stat_most(p.n, p.y))) lowest = largest = NAN;
        for (size_t k = 0; k < p.n && !isnan(lowest); k++) {
            lowest = fmin(lowest, p.y[k]);
            largest = fmax(largest, p.y[k]);
        }
    }
    *least = g ? lowest : NAN;
    *most = g ? largest : NAN;
}

/* "not reached" or the steps. */
static const char *steps_text(char out[24], double steps)
{
    snprintf(out, 24, isinf(steps) ? "not reached" : "%.0f steps", steps);
    return out;
}

static void tell_race(an_findings *f, const char *claim, race r)
{
    char mine[24], theirs[24];
    an_find_told(f, r.mine + r.theirs, claim, "%s beside %s to a loss of %.3f", steps_text(mine, r.mine), steps_text(theirs, r.theirs), r.target);
}

static void judge(const an_study *s, an_findings *f)
{
    static const char FASTER[] = "ReZero is faster than Post-LN with warm-up", RULE[] = "at most 0.8 of its steps to the same loss";
    char mine[24], theirs[24];
    double least, largest;
    const race post = run_race(s, "design=rezero", "design=post-ln");
    if (!isnan(post.target) && !post.trained) an_findings_add(f, AN_FINDING_OPEN, FASTER, RULE, "Post-LN itself was not trained in all runs: it comes to %.3f, no loss to race to", post.target);
    else an_find_number(f, post.mine / post.theirs, (an_limits){ 0, 0.8 }, FASTER, RULE, "%s beside %s to a loss of %.3f", steps_text(mine, post.mine), steps_text(theirs, post.theirs), post.target);
    tell_race(f, "ReZero beside Pre-LN", run_race(s, "design=rezero", "design=pre-ln"));
    tell_race(f, "LayerScale beside Pre-LN", run_race(s, "design=layerscale", "design=pre-ln"));
    early_scales(s, &least, &largest);
    an_find_number(f, least, (an_limits){ LEFT, INFINITY }, "ReZero's scales leave 0", "each further than 0.001, one update, within 200 steps", "the least comes to %.4f", least);
    an_find_number(f, largest, (an_limits){ 0, 1 }, "ReZero's scales stay below 1", "for the first 200 steps", "the largest comes to %.4f", largest);
}

const an_named_study an_named_r8 = { .name = "r8", .help = "R8: branches that start at zero, steps to a loss", .source = "arXiv:2003.04887", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
