/* study/suite/lr_sensitivity.c
 * How much does the loss depend on the learning rate? The mean over rates of min(loss, loss at initialisation) - lowest loss, in nats of validation
 * loss. It compares models for which a rate means the same; with mu-P or branch multipliers it says nothing.
 * Source    Wortsman et al. 2023, arXiv:2309.14322, section 2.2, whose seven rates and cosine schedule these are */
#include <math.h>

#include "study/evidence.h"

static const char TEXT[] = "name: lr-sensitivity\nbase: { schedule: cosine }\ngrid:\n  lr: [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]\n";

static void judge(const an_study *s, an_findings *f)
{
    static const char CLAIM[] = "Sensitivity to the learning rate";
    const an_sensitivity x = an_study_sensitivity(s, NULL, NULL);
    if (isnan(x.nats)) an_findings_add(f, AN_FINDING_OPEN, CLAIM, NULL, "%zu of %zu runs are there, %zu of them diverged", x.over, x.n, x.diverged);
    else an_findings_add(f, AN_FINDING_TOLD, CLAIM, NULL, "%.4f nats over %zu runs (loss at initialisation %.4f, lowest %.4f, %zu diverged)", x.nats, x.n, x.first, x.lowest, x.diverged);
}

const an_named_study an_named_lr_sensitivity = { .name = "lr-sensitivity", .help = "how much does the loss depend on the learning rate? (the published metric)", .source = "arXiv:2309.14322", .tier = AN_TIER_NIGHTLY,
    .arguments = "[CONFIG.yaml]", .most = 1, .group = "base", .text = TEXT, .judge = judge };
