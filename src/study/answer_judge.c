/* study/answer_judge.c
 * From numbers to verdicts: one rule per sentence, on numbers alone. Where a number is missing the sentence stays open. */
#include <math.h>
#include <stdio.h>

#include "study/answer.h"

/* Each with what was seen when it was set (docs/answer.md). */
static const double VANISHED = 1e-3, ARRIVES = 0.1;   /* gradient at the first sub-layer over that behind the last */
static const double FAILS = AN_FAILED_NATS;  /* below the unigram entropy, and one run below another */
static const double WORSE = 0.1, NEAR = 0.1; /* nats: degradation; no worse */
static const double SAME = 1e-4, SEEN = 0.02;   /* root mean squares of rows of size 1: rounding; a change to speak of */
static const double SIGNS = 0.01;            /* how far from +-1 a pair comes out: eps in a channel where the two are close gives 1e-3 */

const char *const an_answer_titles[AN_ANSWER_SECTIONS] = {
    "Residual connections: a path for the gradient", "Depth", "The same in images, with BatchNorm", "LayerNorm: each token by itself", "BatchNorm beside it",
    "One token at a time", "Where the norm stands, and warm-up",
};

/* "2.803", "2.803 +- 0.012". */
static const char *mean(char out[48], an_mean m)
{
    if (isfinite(m.half)) snprintf(out, 48, "%.3f +- %.3f", m.mean, m.half);
    else snprintf(out, 48, "%.3f", m.mean);
    return out;
}

/* "3e-06"; "0" for nothing at all. */
static const char *tiny(char out[24], double x)
{
    snprintf(out, 24, x == 0 ? "%.0f" : "%.0e", x);
    return out;
}

static an_finding_kind told(bool holds) { return holds ? AN_FINDING_PASS : AN_FINDING_FAIL; }

static bool all_over(const an_answer_runs *r) { return r->runs && r->over == r->runs; }
static bool diverged(const an_answer_runs *r) { return r->loss.n < r->runs; }

/* Adds an open finding, and says so, unless both are there. */
static bool are_missing(an_findings *f, const char *claim, const char *expected, const an_answer_runs *a, const an_answer_runs *b)
{
    if (all_over(a) && all_over(b)) return false;
    an_findings_add(f, AN_FINDING_OPEN, claim, expected, "%zu of %zu runs are there", a->over + b->over, a->runs + b->runs);
    return true;
}

/* a beside b: are the losses of a more than `margin` nats higher? A run that diverged is worse than any. */
static bool is_worse(const an_answer_runs *a, const an_answer_runs *b, double margin) { return !diverged(b) && (diverged(a) || a->loss.mean > b->loss.mean + margin); }

static void judge_path(const an_answer *a, an_findings *f)
{
    static const char PATH[] = "A residual connection gives the gradient an additive identity path", PARTS[] = "a part of the gradient that took the skip at every sub-layer, and skips alone keep at least 0.99 of it over all; without skips no such part";
    static const char SERIES[] = "24 layers are 48 shortcuts with them, 48 Jacobians in series without", REACH[] = "at the end, gradient at the first of 48 sub-layers over that behind the last: above 0.1 with, below 0.001 without";
    const an_answer_ledger *r = &a->residual, *p = &a->plain;
    if (!r->sites || !p->sites) {
        an_findings_add(f, AN_FINDING_OPEN, PATH, PARTS, "the runs of 24 layers are not there");
        an_findings_add(f, AN_FINDING_OPEN, SERIES, REACH, "the runs of 24 layers are not there");
        return;
    }
    an_findings_add(f, told(r->shortcuts == r->sites && r->kept >= 0.99 && p->shortcuts == 0), PATH, PARTS,
                    "residual: %zu of %zu sub-layers, %.4f is kept by the skips alone; plain: %zu of %zu; first seed", r->shortcuts, r->sites, r->kept, p->shortcuts, p->sites);
    an_findings_add(f, told(r->sites == AN_ANSWER_SITES && p->sites == r->sites && r->shortcuts == r->sites && r->reach > ARRIVES && p->reach < VANISHED), SERIES, REACH,
                    "%.3g with %zu shortcuts, %.1e with %zu Jacobians in series; before the first update %.3g and %.3g; first seed", r->reach, r->shortcuts, p->reach, p->sites, r->reach_first, p->reach_first);
}

static void judge_depth(const an_answer *a, an_findings *f)
{
    static const char DEEP[] = "With residual connections more than 100 layers learn", BELOW[] = "104 layers: residual at least 0.3 nats below the unigram entropy, plain not";
    static const char HURTS[] = "Without them more layers make it worse", RISES[] = "plain: 104 layers more than 0.1 nats above 1";
    const an_answer_runs *p = &a->depth[0][2], *r = &a->depth[1][2], *shallow = &a->depth[0][0];
    char x[48], y[48];
    if (!are_missing(f, DEEP, BELOW, p, r))
        an_findings_add(f, told(!diverged(r) && r->loss.mean <= r->entropy - FAILS && (diverged(p) || p->loss.mean > p->entropy - FAILS)), DEEP, BELOW, "residual %s, plain %s, unigram entropy %.3f",
                        mean(x, r->loss), diverged(p) ? "diverged" : mean(y, p->loss), r->entropy);
    if (!are_missing(f, HURTS, RISES, p, shallow))
        an_findings_add(f, told(is_worse(p, shallow, WORSE)), HURTS, RISES, "%s at 1 layer, %s at 104", mean(x, shallow->loss), diverged(p) ? "diverged" : mean(y, p->loss));
}

static void judge_images(const an_answer *a, an_findings *f)
{
    static const char HURTS[] = "A plain image classifier of 110 layers trains worse than one of 20", RISES[] = "training loss more than 0.1 nats higher";
    static const char HELPS[] = "With residual connections 110 layers train", LOWER[] = "training loss 0.3 nats below the plain one's and below the entropy of the classes";
    const an_answer_runs *shallow = &a->image[0][0], *p = &a->image[0][2], *r = &a->image[1][2];
    char x[48], y[48];
    if (!are_missing(f, HURTS, RISES, shallow, p))
        an_findings_add(f, told(is_worse(p, shallow, WORSE)), HURTS, RISES, "%s at 20 layers (%.0f %% right), %s at 110 (%.0f %%)", mean(x, shallow->loss), 100 * shallow->accuracy.mean,
                        mean(y, p->loss), 100 * p->accuracy.mean);
    if (!are_missing(f, HELPS, LOWER, p, r))
        an_findings_add(f, told(is_worse(p, r, FAILS) && r->loss.mean <= r->entropy - FAILS), HELPS, LOWER, "residual %s (%.0f %% right), plain %s (%.0f %%), both of 110 layers; entropy %.3f", mean(x, r->loss), 100 * r->accuracy.mean,
                        mean(y, p->loss), 100 * p->accuracy.mean, r->entropy);
}

static double largest(const double *x, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = isfinite(x[i]) ? fmax(most, x[i]) : INFINITY;
    return most;
}

static void judge_norm(const an_answer *a, an_findings *f)
{
    const an_answer_norm *n = &a->layer;
    char x[24], y[24];
    an_findings_add(f, told(n->shift <= SAME && n->scale <= SAME), "LayerNorm takes shift and scale off each token", "a token moved by 3 or multiplied by 7 comes out the same to 1e-4",
                    "changes by %s and %s", tiny(x, n->shift), tiny(y, n->scale));
    an_findings_add(f, told(n->others <= SAME && !*n->refusal && largest(n->batch, AN_ANSWER_SIZES) <= SAME), "LayerNorm needs no batch", "other tokens replaced, batches of 64 down to 1: the same to 1e-4",
                    "changes by %s with other neighbours, by %s with fewer", tiny(x, n->others),
                    tiny(y, largest(n->batch, AN_ANSWER_SIZES)));
    an_findings_add(f, told(largest(n->length, AN_ANSWER_SIZES) <= SAME), "LayerNorm needs no fixed length", "sequences of 64 tokens down to 1: the same to 1e-4", "changes by %s at most", tiny(x, largest(n->length, AN_ANSWER_SIZES)));
}

static void judge_batchnorm(const an_answer *a, an_findings *f)
{
    const an_answer_norm *n = &a->batch, *l = &a->layer;
    const size_t two = AN_ANSWER_SIZES - 2, one = AN_ANSWER_SIZES - 1;
    bool grows = true;
    for (size_t i = 1; i <= two; i++) grows = grows && n->batch[i] > n->batch[i - 1];
    char x[24];
    an_findings_add(f, told(n->others > SEEN && l->others <= SAME), "BatchNorm normalises over the batch, LayerNorm over the token", "other tokens replaced: BatchNorm's output changes by more than 0.02",
                    "by %.3f; LayerNorm's by %s", n->others, tiny(x, l->others));
    an_findings_add(f, told(grows && n->batch[two] > SEEN && n->pair < SIGNS && *n->refusal), "BatchNorm depends on the batch size and degenerates at small ones",
                    "changes more the smaller the batch; 2 samples leave nothing but signs; 1 has no statistics", "changes by %.3f at 32, %.3f at 2, where values are +-1 to %.0e in the mean; 1 is %s", n->batch[1], n->batch[two],
                    n->pair, *n->refusal ? "refused" : "accepted");
    an_findings_add(f, told(n->length[one] > SEEN && n->length[one] > n->length[1]), "BatchNorm depends on the sequence length", "shorter sequences change a token's output by more than 0.02", "by %.3f at 32 tokens, %.3f at 1",
                    n->length[1], n->length[one]);
    if (!isfinite(a->tid_mean)) an_findings_add(f, AN_FINDING_OPEN, "At inference BatchNorm is another function than in training", "running statistics: batch size 1 works, but differ from the batch's", "the residual classifier of 20 layers is not there");
    else an_findings_add(f, told(n->inference <= SAME && l->inference <= SAME && a->tid_mean + a->tid_dev > SEEN), "At inference BatchNorm is another function than in training", "running statistics: batch size 1 works, but they differ from the batch's",
                         "alone or among 64: changes by %s; in a trained classifier running means are off by %.2f and deviations by %.2f of the batch's deviation; LayerNorm has none", tiny(x, n->inference), a->tid_mean, a->tid_dev);
}

static void judge_decode(const an_answer *a, an_findings *f)
{
    static const char CLAIM[] = "So a model of LayerNorms reads one token at a time and says the same", RULE[] = "logits of each step, and of half the text, those of one pass over all to 1e-4 of the largest";
    const an_answer_decode *d = &a->decode;
    char x[24], y[24];
    if (d->tokens == 0) an_findings_add(f, AN_FINDING_OPEN, CLAIM, RULE, "the residual run of 24 layers is not there");
    else an_findings_add(f, told(d->largest <= SAME * d->scale && d->shorter <= SAME * d->scale), CLAIM, RULE, "%zu tokens, %zu layers: %s apart, %s with half of them, of logits up to %.1f", d->tokens, d->layers,
                         tiny(x, d->largest), tiny(y, d->shorter), d->scale);
}

/* One sentence a learning rate, for that is what it depends on. */
static void judge_place(const an_answer *a, an_findings *f)
{
    static const char RESCUED[] = "8 layers: two thirds of the runs fail without it, a third at most with 100 steps of it", AS_WELL[] = "without it no more than 0.1 nats above with it, and 0.3 below the unigram entropy";
    for (size_t r = 0; r < AN_ANSWER_RATES; r++) {
        const an_answer_runs *post = a->placement[r][0], *pre = a->placement[r][1];
        char x[48], y[48], needs[64], not[64];
        snprintf(needs, sizeof needs, "At a learning rate of %s Post-LN needs warm-up", an_answer_rates[r]);
        snprintf(not, sizeof not, "At %s Pre-LN does not", an_answer_rates[r]);
        if (!are_missing(f, needs, RESCUED, &post[0], &post[1]))
            an_findings_add(f, told(3 * post[0].failed >= 2 * post[0].runs && 3 * post[1].failed <= post[1].runs), needs, RESCUED, "%zu of %zu fail without (%s), %zu of %zu with (%s), unigram entropy %.3f", post[0].failed, post[0].runs,
                            diverged(&post[0]) ? "diverged" : mean(x, post[0].loss), post[1].failed, post[1].runs, diverged(&post[1]) ? "diverged" : mean(y, post[1].loss), post[1].entropy);
        if (!are_missing(f, not, AS_WELL, &pre[0], &pre[1]))
            an_findings_add(f, told(!is_worse(&pre[0], &pre[1], NEAR) && !diverged(&pre[0]) && pre[0].loss.mean <= pre[0].entropy - FAILS), not, AS_WELL, "%s without, %s with",
                            diverged(&pre[0]) ? "diverged" : mean(x, pre[0].loss), diverged(&pre[1]) ? "diverged" : mean(y, pre[1].loss));
    }
}

void an_answer_judge(const an_answer *a, an_answer_section section, an_findings *f)
{
    static void (*const RULE[AN_ANSWER_SECTIONS])(const an_answer *, an_findings *) = { judge_path, judge_depth, judge_images, judge_norm, judge_batchnorm, judge_decode, judge_place };
    RULE[section](a, f);
}

void an_answer_judge_all(const an_answer *a, an_findings *f)
{
    for (an_answer_section s = 0; s < AN_ANSWER_SECTIONS; s++) an_answer_judge(a, s, f);
}
