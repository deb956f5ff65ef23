/* study/suite/find_lr.c
 * Which learning rate? Whole runs at each of nine rates, half a decade apart.
 * Rule      the rate with the lowest mean training loss at the end. Beside it stands the largest rate within 0.05 nats, beyond which it gets worse; a best
 *           rate at the end of the range is said to be one */
#include <math.h>

#include "study/suite.h"

static const char TEXT[] = "name: find-lr\ngrid:\n  lr: [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1]\n";
static const double NEAR = 0.05;

static void judge(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "Learning rate", RULE[] = "the lowest mean training loss at the end";
    size_t best = AN_NO_CELL, largest = 0, over = 0;
    double lowest = INFINITY;
    for (size_t i = 0; i < s->n_cells; i++) over += an_cell_is_over(&s->cell[i]);
    for (size_t i = 0; i < s->n_groups; i++) {
        const an_mean m = an_group_mean(s, &s->group[i], AN_Q_LOSS);
        if (m.n == s->group[i].n && m.mean < lowest) {       /* a rate at which a seed diverged is none */
            lowest = m.mean;
            best = i;
        }
    }
    if (over < s->n_cells || best == AN_NO_CELL) {
        an_findings_add(f, AN_FINDING_OPEN, CLAIM, RULE, over < s->n_cells ? "%zu of %zu runs are there" : "all of %zu runs diverged", over, s->n_cells);
        return;
    }
    for (size_t i = 0; i < s->n_groups; i++) {
        const an_mean m = an_group_mean(s, &s->group[i], AN_Q_LOSS);
        if (m.n == s->group[i].n && m.mean <= lowest + NEAR) largest = i;
    }
    const char *lr = an_cell_value(&s->cell[s->group[best].first], "lr"), *most = an_cell_value(&s->cell[s->group[largest].first], "lr");
    an_findings_add(f, AN_FINDING_TOLD, CLAIM, RULE, "lr %s, loss %.4f; the largest within %.2f nats is %s%s", lr, lowest, NEAR, most,
                    best == 0 || best + 1 == s->n_groups ? "; the best stands at the end of the range" : "");
}

const an_named_study an_named_find_lr = { .name = "find-lr", .help = "which learning rate? whole runs at nine rates", .tier = AN_TIER_NIGHTLY,
    .arguments = "[CONFIG.yaml]", .most = 1, .group = "base", .text = TEXT, .judge = judge };
