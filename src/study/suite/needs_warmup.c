/* study/suite/needs_warmup.c
 * Does a configuration need warm-up? Whole runs without and with 50, 100 and 200 steps of it.
 * Rule      it does when the mean training loss at the end is more than 0.10 nats above the best of the others, or a run without warm-up diverged and one with
 *           it did not. So much warm-up is then enough as first comes within 0.10 nats of the best. Where every run fails (study/statistics.h) nothing
 *           is told: losses at the unigram entropy are alike whatever the schedule
 * Errors    measured: docs/studies.md, by bench/verdict_errors.py */
#include <math.h>

#include "study/suite.h"

static const char TEXT[] = "name: needs-warmup\ngrid:\n  warmup: [0, 50, 100, 200]\n";
static const double NEAR = 0.10;

/* Diverged runs are worse than any loss. */
static double loss_of(const an_study *s, const an_study_group *g)
{
    const an_mean m = an_group_mean(s, g, AN_Q_LOSS);
    return m.n == g->n ? m.mean : INFINITY;
}

static void judge(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "Needs warm-up", RULE[] = "loss without it more than 0.10 nats above the best with it";
    size_t over = 0, enough = 0, failed = 0;
    double best = INFINITY;
    for (size_t i = 0; i < s->n_cells; i++) over += an_cell_is_over(&s->cell[i]);
    for (size_t i = 0; i < s->n_groups; i++) {
        best = fmin(best, loss_of(s, &s->group[i]));
        failed += an_group_count(s, &s->group[i], AN_OUTCOME_FAILED);
    }
    while (enough + 1 < s->n_groups && !(loss_of(s, &s->group[enough]) <= best + NEAR)) enough++;
    if (over < s->n_cells) an_findings_add(f, AN_FINDING_OPEN, CLAIM, RULE, "%zu of %zu runs are there", over, s->n_cells);
    else if (!isfinite(best)) an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "not told: with every warm-up a run diverged; lower lr");
    else if (failed == s->n_cells) an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "not told: no run came %.1f nats below the unigram entropy, lowest loss %.4f; give it more steps or another lr", AN_FAILED_NATS, best);
    else if (enough == 0) an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "no: loss %.4f without, %.4f at best", loss_of(s, &s->group[0]), best);
    else an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "yes: loss %.4f without, %.4f at best; %s steps are enough, loss %.4f", loss_of(s, &s->group[0]), best, an_cell_value(&s->cell[s->group[enough].first], "warmup"),
                         loss_of(s, &s->group[enough]));
}

const an_named_study an_named_needs_warmup = { .name = "needs-warmup", .help = "does a configuration need warm-up, and how much?", .tier = AN_TIER_NIGHTLY,
    .arguments = "[CONFIG.yaml]", .most = 1, .group = "base", .text = TEXT, .judge = judge };
