/* study/verdict.c
 * From what a probe shows to a verdict. Runs that fail do so in one way: within some tens of steps the tokens at the end of the
 * stack become one vector (rank collapse), the gradient that reaches the first layers dies with them, and the loss settles at
 * the unigram entropy, which is what a model reaches that ignores its context. The rules look for that while it happens; runs
 * that learn, but too slowly, are told by Pre-LN on the same steps.
 * How the thresholds were set and how often the verdict is right: docs/check.md. */
#include <math.h>
#include <stdio.h>

#include "study/check.h"

/* Measured on the calibration part of docs/check_record.tsv, where each number has its reason. */
static const double COLLAPSED = 1e-3, UNREACHED = 0.02;   /* 1 - token cosine; gradient reach */
static const double FADING = 2e-2, WEAK = 0.25;           /* the same, half way */
static const double LEARNED = 0.15;                       /* nats below the unigram entropy: context is being used */
static const double ENOUGH_LR = 0.5;                      /* sum of learning rates by which a run that trains has learned that */
static const double BEHIND = 0.5, PROMISE = 0.38;         /* share of the learning that Pre-LN could have been spared: as asked for; of a change that is offered */

const char *an_verdict_name(an_verdict verdict)
{
    static const char *const NAMES[AN_VERDICTS] = { "trains", "needs warm-up", "will degrade", "will not train" };
    return NAMES[verdict];
}

bool an_check_is_collapsed(const an_check_signs *s) { return 1 - s->tokens < COLLAPSED && s->reach < UNREACHED; }

bool an_check_is_clear(const an_check_signs *s) { return !s->finite || (s->settled && s->collapsed >= 2) || s->entropy - s->loss >= LEARNED; }

static void say(an_check *k, an_verdict verdict, const char *rule)
{
    k->verdict = verdict;
    k->rule = rule;
}

/* Nothing speaks against it, and nothing for it: a model of no use at all has a loss above the unigram entropy too. */
static void say_too_short(an_check *k)
{
    const an_check_signs *s = &k->signs;
    const uint64_t steps = k->n_steps, least = k->warmup_set + 40 > 4 * steps ? k->warmup_set + 40 : 4 * steps, more = least < k->steps_set ? least : k->steps_set;
    char remedy[64] = "the run itself is as short; raise steps";
    if (more > steps) snprintf(remedy, sizeof remedy, "--check_steps %llu", (unsigned long long)more);
    say(k, AN_VERDICT_TRAINS, "none of the rules for failing speaks, but the loss is still above the unigram entropy");
    k->too_short = true;
    snprintf(k->because, sizeof k->because, "the probe ended after %llu step%s, before the loss (%.3f, %.3f at first) came down to the unigram entropy %.3f: too short to tell; %s",
             (unsigned long long)steps, steps == 1 ? "" : "s", s->loss, s->loss_first, s->entropy, remedy);
}

void an_check_judge(an_check *k)
{
    const an_check_signs *s = &k->signs;
    const double apart = 1 - s->tokens, gain = s->entropy - s->loss;
    const size_t steps = k->n_steps;
    k->too_short = false;
    if (!s->finite) {
        say(k, AN_VERDICT_WILL_NOT_TRAIN, "non-finite: loss or gradient of a probe step is not a number");
        snprintf(k->because, sizeof k->because, "loss or gradient is not finite after %zu steps", steps);
    } else if (s->settled && gain < LEARNED) {
        say(k, AN_VERDICT_WILL_NOT_TRAIN, "collapse: 1 - token cosine < 0.001 and gradient reach < 0.02 at the end of the probe");
        snprintf(k->because, sizeof k->because, "after %zu steps any two tokens at the end of the stack have cosine 1 - %.0e (%.2f at first), and the gradient at "
                 "the first sub-layer is %.1g of that at the end of the stack (%.2g at first): the model cannot see its context, and the loss will settle "
                 "at the unigram entropy %.3f", steps, apart, s->tokens_first, s->reach, s->reach_first, s->entropy);
    } else if (s->lr_sum >= ENOUGH_LR && gain < LEARNED) {
        say(k, AN_VERDICT_WILL_NOT_TRAIN, "stuck: less than 0.15 nats below the unigram entropy after learning rates that add up to 0.5");
        snprintf(k->because, sizeof k->because, "after %zu steps, whose learning rates add up to %.2g, the loss %.3f is %s the unigram entropy %.3f",
                 steps, s->lr_sum, s->loss, gain > 0 ? "hardly below" : "not below", s->entropy);
    } else if (apart < FADING && s->reach < WEAK && gain < LEARNED) {
        say(k, AN_VERDICT_DEGRADES, "fading: 1 - token cosine < 0.02 and gradient reach < 0.25, and not yet below the unigram entropy");
        snprintf(k->because, sizeof k->because, "after %zu steps any two tokens at the end of the stack have cosine %.4f (%.2f at first) and the gradient at the "
                 "first sub-layer is %.2g of that at the end (%.2g at first): part of the depth is being lost", steps, s->tokens, s->tokens_first, s->reach, s->reach_first);
    } else if (s->behind >= (k->offer ? PROMISE : BEHIND)) {
        say(k, AN_VERDICT_DEGRADES, "behind: Pre-LN needs less than half of the learning to be as far");
        snprintf(k->because, sizeof k->because, "after %zu steps the loss is %.3f and that of Pre-LN on the same text %.3f: Pre-LN was as far with %.0f %% "
                 "of the learning", steps, s->loss, s->pre_ln, 100 * (1 - s->behind));
    } else if (gain < 0) {
        say_too_short(k);
    } else {
        say(k, AN_VERDICT_TRAINS, "none of the rules for failing speaks");
        char pre_ln[40] = "";
        if (isfinite(s->pre_ln)) snprintf(pre_ln, sizeof pre_ln, "Pre-LN %.3f, ", s->pre_ln);
        snprintf(k->because, sizeof k->because, "after %zu steps tokens are still told apart (cosine %.3f, %.2f at first), the gradient reaches the first "
                 "sub-layer (%.2g of that at the end of the stack), and the loss is %.3f (%.3f at first; %sunigram entropy %.3f)",
                 steps, s->tokens, s->tokens_first, s->reach, s->loss, s->loss_first, pre_ln, s->entropy);
    }
}
