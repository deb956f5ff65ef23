/* study/suite/r9.c
 * R9: learning rates across depth. Under CompleteP the best rate of four layers is that of 32; under the standard parameterisation it moves.
 * Source    Dey et al. 2025, arXiv:2505.01618; Yang et al. 2023, arXiv:2310.02244
 * Threshold the catalogue's, not calibrated: rates are a factor of 2 apart; CompleteP moves by at most one, standard by at least one more */
#include <math.h>

#include "study/evidence.h"

static const char RELEASE[] =
    "base: { n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 400, warmup: 40, eval_every: 0, eval_batches: 20, telemetry: off }\n"
    "grid:\n  parameterization|base_width|base_depth: [standard||, depth-mup|128|4, completep|128|4]\n  n_layer: [4, 8, 16, 32]\n  lr: [5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 16e-3]\nseeds: 1\n";

static const char *const RATE[] = { "5e-4", "1e-3", "2e-3", "4e-3", "8e-3", "16e-3" };

/* Place of the best rate; NaN unless all runs are there. */
static double best(const an_study *s, const char *kind, const char *depth)
{
    char settings[96];
    double lowest = INFINITY, at = NAN;
    for (size_t i = 0; i < sizeof RATE / sizeof *RATE; i++) {
        snprintf(settings, sizeof settings, "parameterization=%s n_layer=%s lr=%s", kind, depth, RATE[i]);
        const an_study_group *g = an_study_find(s, settings);
        for (size_t k = 0; g && k < g->n; k++)
            if (s->cell[g->first + k].result.outcome == AN_OUTCOME_NONE) return NAN;
        const double loss = an_group_quantity(s, settings, AN_Q_LOSS);     /* NaN: diverged, never the best */
        if (!g) return NAN;
        if (loss < lowest) {
            lowest = loss;
            at = (double)i;
        }
    }
    return at;
}

static double moves(const an_study *s, const char *kind) { return fabs(best(s, kind, "32") - best(s, kind, "4")); }

static void judge(const an_study *s, an_findings *f)
{
    const double complete = moves(s, "completep"), half = moves(s, "depth-mup"), standard = moves(s, "standard");
    an_find_number(f, complete, (an_limits){ 0, 1 }, "CompleteP's best rate does not depend on depth", "moves by at most a factor of 2 from 4 to 32 layers", "moves by 2^%.0f; depth-muP 2^%.0f", complete, half);
    an_find_number(f, standard - complete, (an_limits){ 1, INFINITY }, "The standard parameterisation's does", "moves by a factor of 2 more", "moves by 2^%.0f", standard);
    an_findings_add(f, AN_FINDING_SKIPPED, "Updates of the output do not depend on depth under CompleteP", "slope at most 0.15 of log RMS(change of x_L)", "measured on demand, addnorm check --probe amplification, and stands in no log");
}

const an_named_study an_named_r9 = { .name = "r9", .help = "R9: learning rates across depth", .source = "arXiv:2505.01618", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
