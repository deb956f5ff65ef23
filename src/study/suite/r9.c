/* study/suite/r9.c
 * R9: learning rates across depth. Under CompleteP the best rate of four layers is that of 32; under the standard parameterisation it moves;
 * and so does what an update changes behind the final norm (the coordinate check; standard is GPT-2's, whose initialisation knows the depth).
 * Source    Dey et al. 2025, arXiv:2505.01618; Yang et al. 2023, arXiv:2310.02244
 * Threshold the catalogue's, not calibrated: rates are a factor of 2 apart; CompleteP moves by at most one, standard by at least one more */
#include <math.h>
#include <stdlib.h>

#include "study/evidence.h"
#include "study/statistics.h"

/* The coordinate check alone: what is trained is little, what the judge measures starts from the beginning. */
static const char CI[] =
    "base: { n_head: 4, d_model: 128, seq_len: 64, batch_size: 8, steps: 40, warmup: 40, eval_every: 0, eval_batches: 2, telemetry: off }\n"
    "grid:\n  parameterization|base_width|base_depth: [standard||, completep|128|4]\n  n_layer: [4, 8, 16, 32]\n  lr: [2e-3]\nseeds: 1\n";
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
        const double loss = an_group_quantity(s, settings, AN_Q_LOSS);
        if (!g) return NAN;
        if (loss < lowest) {
            lowest = loss;
            at = (double)i;
        }
    }
    return at;
}

/* By how many places it moves from 4 to 32 layers: at least so many where one of the two is the first or last of all, since the best may lie beyond. */
typedef struct moving { double least; bool exact; } moving;

static bool at_end(double place) { return place == 0 || place == sizeof RATE / sizeof *RATE - 1; }

static moving moves(const an_study *s, const char *kind)
{
    const double deep = best(s, kind, "32"), shallow = best(s, kind, "4");
    return (moving){ fabs(deep - shallow), !at_end(deep) && !at_end(shallow) };
}

/* Slope over depth of what one of the first ten updates changes behind the final norm, root mean square, both in logarithms; NaN while a run is missing. */
static double moved(const an_study *s, const char *kind, const an_findings *f)
{
    static const char *const DEPTH[] = { "4", "8", "16", "32" };
    enum { DEPTHS = sizeof DEPTH / sizeof *DEPTH };
    double x[DEPTHS], y[DEPTHS];
    for (size_t i = 0; i < DEPTHS; i++) {
        char settings[96];
        snprintf(settings, sizeof settings, "parameterization=%s n_layer=%s lr=2e-3", kind, DEPTH[i]);
        const an_study_group *g = an_study_find(s, settings);
        double sum = g ? 0 : NAN;
        for (size_t k = 0; g && k < g->n; k++) sum += an_cell_change(s, &s->cell[g->first + k], f) / (double)g->n;
        x[i] = log(strtod(DEPTH[i], NULL));
        y[i] = log(sum);
        if (isnan(y[i])) return NAN;
    }
    return an_stat_line(DEPTHS, x, y).slope;
}

static void judge_rates(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "CompleteP's best rate does not depend on depth", EXPECTED[] = "moves by at most a factor of 2 from 4 to 32 layers";
    if (!an_study_find(s, "lr=1e-3")) {
        an_findings_add(f, AN_FINDING_SKIPPED, CLAIM, EXPECTED, "the runs at six learning rates belong to tier release");
        return;
    }
    static const char OTHER[] = "The standard parameterisation's does", MORE[] = "moves by a factor of 2 more", END[] = "%s's best rate is the first or last of those tried: it moves by 2^%.0f at least";
    const moving complete = moves(s, "completep"), half = moves(s, "depth-mup"), standard = moves(s, "standard");
    const double more = standard.least - complete.least;
    if (!complete.exact && complete.least <= 1) an_findings_add(f, AN_FINDING_OPEN, CLAIM, EXPECTED, END, "CompleteP", complete.least);
    else an_find_number(f, complete.least, (an_limits){ 0, 1 }, CLAIM, EXPECTED, "moves by 2^%.0f; depth-muP 2^%.0f%s", complete.least, half.least, half.exact ? "" : " at least");
    if (!complete.exact) an_findings_add(f, AN_FINDING_OPEN, OTHER, MORE, END, "CompleteP", complete.least);
    else if (!standard.exact && more < 1) an_findings_add(f, AN_FINDING_OPEN, OTHER, MORE, END, "the standard one", standard.least);
    else an_find_number(f, more, (an_limits){ 1, INFINITY }, OTHER, MORE, "moves by 2^%.0f%s", standard.least, standard.exact ? "" : " at least");
}

static void judge(const an_study *s, an_findings *f)
{
    judge_rates(s, f);
    const double flat = moved(s, "completep", f), steep = moved(s, "standard", f);
    an_find_number(f, fabs(flat), (an_limits){ 0, 0.15 }, "What an update moves does not depend on depth under CompleteP", "log-log slope of the output's change at most 0.15 either way", "slope %+.3f", flat);
    an_find_number(f, fabs(steep), (an_limits){ 0.3, INFINITY }, "Under the standard parameterisation it does", "slope at least 0.3 either way", "slope %+.3f", steep);
}

const an_named_study an_named_r9 = { .name = "r9", .help = "R9: learning rates across depth", .source = "arXiv:2505.01618", .tier = AN_TIER_CI,
    .arguments = "", .tier_text = { CI, NULL, RELEASE }, .judge = judge };
