/* study/suite/placement.c
 * Where the norm stands decides whether warm-up is needed, at a size that takes minutes: R2's rules at eight layers of width 64. There Post-LN without
 * warm-up learns less than the rule asks for and with 100 steps of it as much as Pre-LN; Pre-LN trains either way. The plateau at the unigram
 * entropy takes more width or a higher rate (R2; the answer).
 * Source    Xiong et al. 2020, arXiv:2002.04745, sections 3.1 and 4; Liu et al. 2020, arXiv:2004.08249
 * Threshold that of the failure rule (study/statistics.h), set on models of twice this width
 * Measured  Tiny Shakespeare, two seeds: 2.68 and 2.58 nats, Pre-LN 2.53 and 2.55 */
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
    an_find_outcome(s, f, (an_expected_outcome){ "design=post-ln warmup=0", NULL, AN_OUTCOME_DEGRADED, 2.0 / 3 }, "Post-LN without warm-up is not trained", "failed, partial or degraded in two thirds of the runs");
    an_find_outcome(s, f, (an_expected_outcome){ "design=pre-ln warmup=0", NULL, AN_OUTCOME_TRAINED, 1 }, "Pre-LN needs no warm-up", "trained in all runs");
    an_find_outcome(s, f, (an_expected_outcome){ "design=pre-ln warmup=100", NULL, AN_OUTCOME_TRAINED, 1 }, "Pre-LN with warm-up trains as well", "trained in all runs");
    an_find_outcome(s, f, (an_expected_outcome){ "design=post-ln warmup=100", NULL, AN_OUTCOME_TRAINED, 2.0 / 3 }, "Warm-up rescues Post-LN", "trained in two thirds of the runs");
}

const an_named_study an_named_placement = { .name = "placement", .help = "where the norm stands decides whether warm-up is needed (R2, small)", .source = "arXiv:2002.04745", .tier = AN_TIER_CI,
    .arguments = "", .text = TEXT, .judge = judge };
