/* study/suite/placement.c
 * Where the norm stands decides whether warm-up is needed, at a size that takes minutes. Post-LN without warm-up stays at the unigram
 * entropy from eight layers on (Xavier, learning rate 1e-3), with 100 steps of it trains; Pre-LN trains either way.
 * Source    Xiong et al. 2020, arXiv:2002.04745, sections 3.1 and 4; Liu et al. 2020, arXiv:2004.08249
 * Threshold that of the failure rule (study/statistics.h), set on models of twice this width */
#include <math.h>

#include "study/evidence.h"

static const char TEXT[] =
    "name: placement\n"
    "base: { n_layer: 8, n_head: 4, d_model: 64, seq_len: 64, batch_size: 16, steps: 300, lr: 1e-3, init: xavier, dropout: 0, bias: false,\n"
    "        telemetry: off, eval_every: 0, eval_batches: 10, save_every: 100, grad_clip: 0 }\n"
    "grid:\n"
    "  design: [post-ln, pre-ln]\n"
    "  warmup: [0, 100]\n"
    "seeds: 2\n";

static void judge(const an_study *s, an_findings *f)
{
    an_find_outcome(s, f, "design=post-ln warmup=0", AN_OUTCOME_DEGRADED, 2.0 / 3, "Post-LN without warm-up fails", "failed, partial or degraded in two thirds of the runs");
    an_find_outcome(s, f, "design=pre-ln warmup=0", AN_OUTCOME_TRAINED, 1, "Pre-LN needs no warm-up", "trained in all runs");
    an_find_outcome(s, f, "design=pre-ln warmup=100", AN_OUTCOME_TRAINED, 1, "Pre-LN with warm-up trains as well", "trained in all runs");
    const an_study_group *without = an_study_find(s, "design=post-ln warmup=0"), *with = an_study_find(s, "design=post-ln warmup=100");
    const an_mean gain = without && with ? an_group_difference(s, without, with, AN_Q_LOSS) : (an_mean){ .mean = NAN };
    if (gain.n < 2) an_findings_add(f, AN_FINDING_OPEN, "Warm-up rescues Post-LN", "loss more than 0.3 nats lower with it", "%zu pairs of runs are there", gain.n);
    else an_findings_add(f, gain.mean > 0.3 ? AN_FINDING_PASS : AN_FINDING_FAIL, "Warm-up rescues Post-LN", "loss more than 0.3 nats lower with it", "lower by %.3f +- %.3f nats", gain.mean, gain.half);
}

const an_named_study an_named_placement = { .name = "placement", .help = "where the norm stands decides whether warm-up is needed (R2, small)", .source = "arXiv:2002.04745", .tier = AN_TIER_CI,
    .arguments = "", .text = TEXT, .judge = judge };
