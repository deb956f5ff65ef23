/* study/suite/compare.c
 * Is the difference between two configurations real? Both are run with the same seeds, so each pair sees the same text in the same order.
 * Rule      real when the 95 % interval of the mean paired difference of the validation loss does not hold 0; so of two configurations
 *           that are equally good about one pair in twenty is called different */
#include <math.h>

#include "core/file.h"
#include "study/suite.h"

static const char TEXT[] = "name: compare\nseeds: 5\n";

enum { PAIRS = 3 };

static size_t diverged(const an_study *s, const an_study_group *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) n += s->cell[g->first + i].state == AN_CELL_DIVERGED;
    return n;
}

static void judge(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "The difference is real", RULE[] = "0 outside the 95 % interval of the paired differences";
    if (s->n_groups != 2) {
        an_findings_add(f, AN_FINDING_OPEN, CLAIM, RULE, "both configurations mean the same");
        return;
    }
    const an_mean d = an_group_difference(s, &s->group[0], &s->group[1], AN_Q_VAL_LOSS), bits = an_group_difference(s, &s->group[0], &s->group[1], AN_Q_BITS_PER_BYTE);
    const char *a = an_path_base(an_cell_value(&s->cell[s->group[0].first], "config")), *b = an_path_base(an_cell_value(&s->cell[s->group[1].first], "config"));
    const size_t n = s->group[0].n, over = an_group_over(s, &s->group[0]) + an_group_over(s, &s->group[1]);
    if (over < 2 * n || n < PAIRS) {
        an_findings_add(f, AN_FINDING_OPEN, CLAIM, RULE, "%zu of %zu runs are there, and %d pairs are needed", over, 2 * n, PAIRS);
        return;
    }
    if (d.n < n) {
        an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "%s diverged in %zu of %zu runs, %s in %zu", a, diverged(s, &s->group[0]), n, b, diverged(s, &s->group[1]));
        return;
    }
    const bool real = fabs(d.mean) > d.half;
    an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "%s: validation loss of %s %s by %.4f +- %.4f nats (%.4f bits per byte) than of %s, p = %.2g, %zu pairs", real ? "yes" : "not told", a, d.mean < 0 ? "lower" : "higher",
                    fabs(d.mean), d.half, fabs(bits.mean), b, d.p, d.n);
}

const an_named_study an_named_compare = { .name = "compare", .help = "two configurations, five seeds each: is the difference real?", .tier = AN_TIER_NIGHTLY,
    .arguments = "A.yaml B.yaml", .least = 2, .most = 2, .group = "grid", .text = TEXT, .judge = judge };
