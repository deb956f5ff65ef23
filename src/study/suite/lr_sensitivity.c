/* study/suite/lr_sensitivity.c
 * How much does the loss depend on the learning rate? The mean over rates of min(loss, loss at initialisation) - lowest loss, in nats of validation
 * loss. It compares models for which a rate means the same; with mu-P or branch multipliers it says nothing.
 * Source    Wortsman et al. 2023, arXiv:2309.14322, section 2.2, whose seven rates and cosine schedule these are */
#include <math.h>

#include "study/suite.h"

static const char TEXT[] = "name: lr-sensitivity\nbase: { schedule: cosine }\ngrid:\n  lr: [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]\n";

static void judge(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "Sensitivity to the learning rate";
    double lowest = INFINITY, first = NAN, sum = 0;
    size_t over = 0, diverged = 0;
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        const double loss = an_cell_quantity(cell, AN_Q_VAL_LOSS);
        over += cell->state == AN_CELL_FINISHED || cell->state == AN_CELL_DIVERGED;
        diverged += cell->state == AN_CELL_DIVERGED;
        if (loss < lowest) lowest = loss;
    }
    if (over < s->n_cells || !isfinite(lowest)) {
        an_findings_add(f, AN_FINDING_OPEN, CLAIM, NULL, "%zu of %zu runs are there, %zu of them diverged", over, s->n_cells, diverged);
        return;
    }
    for (size_t i = 0; i < s->n_cells; i++) {
        const double loss = an_cell_quantity(&s->cell[i], AN_Q_VAL_LOSS);
        first = s->cell[i].result.first_loss;
        sum += fmin(isfinite(loss) ? loss : INFINITY, first) - lowest;
    }
    an_findings_add(f, AN_FINDING_TOLD, CLAIM, NULL, "%.4f nats over %zu runs (loss at initialisation %.4f, lowest %.4f, %zu diverged)", sum / (double)s->n_cells, s->n_cells, first, lowest, diverged);
}

const an_named_study an_named_lr_sensitivity = { .name = "lr-sensitivity", .help = "how much does the loss depend on the learning rate? (the published metric)", .source = "arXiv:2309.14322", .tier = AN_TIER_NIGHTLY,
    .arguments = "[CONFIG.yaml]", .most = 1, .group = "base", .text = TEXT, .judge = judge };
