/* net/recompute.c
 * Which blocks training runs again instead of keeping them (plan/schedule.c does it). A policy is three numbers: segments of s
 * blocks, of which g are run again at a time, and the last k blocks kept whole.
 *
 *   none    k = L
 *   block   s = g = 1, k = 0: the borders of all blocks are kept, and each block is run again: memory L b
 *   sqrt    s = g = k: whole segments are run again, with s the root of L b / i: memory 2 root of L b i, for at most one more
 *           forward pass. What the last k blocks have made is there when the backward pass begins, so they are not run again.
 *   auto    the fewest flops that fit into `memory`: from none over s = g = k downwards, and where that is not enough
 *           segments that are run in two passes (g < s): down to 2 (root of L) b + i, for at most two more forward passes
 *
 * b is what a border between blocks holds and i what the inside of a block holds until its backward pass. Why sqrt runs whole
 * segments: block by block in two passes takes less memory where i is many times b (it is 10 to 16 in a usual block), but a
 * fourth more time for good; measured in SPEED.md. auto goes there when it must.
 *
 * A guess of a few numbers is read off three whole plans and ranks all policies; the one chosen is then planned in full, and the
 * guess corrected where it promised too much. So what is promised is always what a plan says. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/text.h"
#include "net/model_impl.h"

/* Bytes; and flops of running a block again, less what the end of the last one of a run costs, which nobody needs again. */
typedef struct guess { size_t layers; double rest, border, inside, block, end; } guess;

typedef struct candidate { an_recompute policy; double bytes, flops; } candidate;   /* flops: run again */

static size_t parts_of(size_t n, size_t size) { return (n + size - 1) / size; }

static candidate judge(const guess *m, an_recompute p)
{
    const size_t n = m->layers - p.kept, segments = parts_of(n, p.segment), s = parts_of(n, segments), groups = parts_of(s, p.group), g = parts_of(s, groups);
    const double kept = (double)p.kept * m->inside, again = (double)(groups - 1) * m->border + (double)g * m->inside;
    return (candidate){ p, m->rest + (double)segments * m->border + (kept > again ? kept : again),
                        (double)(groups == 1 ? n : 2 * n - segments * (s / groups)) * m->block - (double)(segments * groups) * m->end };
}

/* All policies worth a thought, one after the other: those with whole segments, s <= k, then those in two passes. */
typedef struct walk { an_recompute at; bool twice; } walk;

static bool next(walk *w, const guess *m, candidate *c)
{
    an_recompute *p = &w->at;
    p->segment += 1 + p->segment / 16;
    if (!w->twice) {
        if (p->segment > p->kept) *p = (an_recompute){ 1, 1, p->kept + 1 };
        p->group = p->segment;
        if (p->kept >= m->layers) *w = (walk){ { 2, 1, 1 }, true };
    } else if (p->segment >= m->layers) {
        p->group++;
        p->segment = p->group + 1;
    }
    if (w->twice && p->segment >= m->layers) return false;
    if (w->twice) {                                      /* what the second pass holds at its borders may as well be blocks kept */
        const double spare = m->inside > 0 ? (double)(parts_of(p->segment, p->group) - 1) * m->border / m->inside : 0;
        p->kept = spare < (double)(m->layers - p->group) ? p->group + (size_t)spare : m->layers - 1;
    }
    *c = judge(m, *p);
    return true;
}

/* --- what a plan says ---------------------------------------------------------------------------------------------- */

static size_t add(size_t a, size_t b) { return an_size_add(a, b, &a) ? a : SIZE_MAX; }

static an_status total_bytes(const an_model *m, size_t *out)
{
    const an_plan *p = m->plan;
    size_t params, threads, reals;
    AN_TRY(an_params_size(m->params, &params));
    if (!an_size_mul(p->thread_reals, (size_t)m->threads, &threads)) threads = SIZE_MAX;
    if (!an_size_mul(params, m->shape.train ? 4 : 1, &reals)) reals = SIZE_MAX;
    reals = add(add(add(add(reals, an_plan_copy_bytes(p) / sizeof(an_real)), p->activations.count), add(p->scratch.count, threads)), add(p->constants.count, p->state.count));
    if (!an_size_mul(reals, sizeof(an_real), out)) *out = SIZE_MAX;
    return AN_OK;
}

static an_status freeze_with(an_model *m, an_recompute policy, size_t cache)
{
    an_plan_destroy(&m->plan);
    AN_TRY(an_plan_create(&m->plan, m->params, m->shape.train));
    AN_TRY(an_model_emit(m, cache));
    m->plan->observe = m->shape.observe;
    m->plan->apart = m->shape.probe;
    m->plan->store = cache ? AN_STORE_REAL : m->config.store;   /* decoding: weights may be copies (shape.weights), the few activations are not */
    m->plan->weights = m->shape.weights;
    m->plan->stream = m->config.stream;
    m->plan->recompute = policy;
    return an_plan_freeze(m->plan, m->config.fuse);
}

/* The model's plan under this policy, and its bytes. */
static an_status plan_with(an_model *m, an_recompute policy, size_t *bytes)
{
    AN_TRY(freeze_with(m, policy, 0));
    return total_bytes(m, bytes);
}

/* none: what the model takes when everything is kept. Solved from what two other policies take and run again. */
static an_status learn(an_model *m, size_t none, guess *out)
{
    const size_t layers = m->config.n_layer;
    size_t s = 1, block, some;
    while ((s + 1) * (s + 1) <= layers) s++;
    AN_TRY(plan_with(m, (an_recompute){ 1, 1, 0 }, &block));
    guess g = { .layers = layers, .rest = (double)block, .inside = (double)none - (double)block, .block = an_plan_again(m->plan) };
    if (layers > 1) {
        const double each = g.block / (double)layers;    /* block - end */
        AN_TRY(plan_with(m, (an_recompute){ s, s, s }, &some));
        const double L = (double)layers, n = (double)(layers - s), segments = (double)parts_of(layers - s, s), more = (double)block - (double)none;
        g.inside = ((double)some - (double)none - segments * more / L) / ((double)s - L + segments * (L - 1) / L);
        g.border = (more + (L - 1) * g.inside) / L;
        g.rest = (double)none - L * g.inside;
        g.block = n > segments ? (an_plan_again(m->plan) - segments * each) / (n - segments) : each;
        g.end = g.block - each;
    }
    if (g.inside < 0) g.inside = 0;
    if (g.border < 0) g.border = 0;
    if (g.end < 0) g.end = 0;
    *out = g;
    return AN_OK;
}

/* --- sqrt -------------------------------------------------------------------------------------------------------- */

static an_status choose_sqrt(an_model *m)
{
    guess g;
    candidate c, best = { .bytes = INFINITY };
    size_t none, bytes;
    AN_TRY(plan_with(m, (an_recompute){ 0 }, &none));
    AN_TRY(learn(m, none, &g));
    if (m->config.n_layer == 1) return AN_OK;            /* that one block again */
    for (walk w = { 0 }; next(&w, &g, &c) && !w.twice;)
        if (c.bytes < best.bytes) best = c;
    return plan_with(m, best.policy, &bytes);
}

/* --- auto -------------------------------------------------------------------------------------------------------- */

enum { TRIES = 12 };

static bool same(an_recompute a, an_recompute b) { return a.segment == b.segment && a.group == b.group && a.kept == b.kept; }

static bool seen(const an_recompute *done, size_t n, an_recompute p)
{
    for (size_t i = 0; i < n; i++)
        if (same(done[i], p)) return true;
    return false;
}

/* The leanest plans that the guess knows are made in full, and the smallest stays. */
static an_status choose_leanest(an_model *m, const guess *g, an_recompute *policy, size_t *least)
{
    an_recompute done[TRIES], at = { 1, 1, 0 };
    size_t n = 0, bytes;
    AN_TRY(plan_with(m, at, least));
    *policy = at;
    for (; n < TRIES; n++) {
        candidate c, best = { .bytes = INFINITY };
        for (walk w = { 0 }; next(&w, g, &c);)
            if (c.bytes < best.bytes && !seen(done, n, c.policy)) best = c;
        if (best.bytes == (double)INFINITY) break;
        done[n] = at = best.policy;
        AN_TRY(plan_with(m, at, &bytes));
        if (bytes >= *least) continue;
        *least = bytes;
        *policy = at;
    }
    return same(at, *policy) ? AN_OK : plan_with(m, *policy, &bytes);
}

static an_status refuse(const an_model *m, an_recompute policy, size_t least)
{
    char wanted[AN_HUMAN], needed[AN_HUMAN], fixed[AN_HUMAN];
    size_t params;
    const bool given = an_options_int(m->options, "memory") != 0;
    AN_TRY(an_params_size(m->params, &params));
    return an_fail(AN_ECONFIG, "memory %s (%s): the least that this model trains in is %s (%zu bytes; parameters, gradients and optimizer take %s), with blocks run again in "
                   "segments of %zu, %zu at a time, and the last %zu kept; raise memory, or lower batch_size, seq_len or the model", an_human_bytes(wanted, (double)m->config.memory),
                   given ? an_options_place(m->options, "memory") : "what there is", an_human_bytes(needed, (double)least), least,
                   an_human_bytes(fixed, 4.0 * (double)params * sizeof(an_real)), policy.segment, policy.group, policy.kept);
}

/* The fewest flops to run again whose memory fits. Each plan that was made sets the guess right where it is being asked. */
static an_status choose_cheapest(an_model *m)
{
    const size_t most = m->config.memory;
    guess g;
    an_recompute done[TRIES], fits = { 0 };
    size_t n = 0, bytes;
    double flops = INFINITY;                             /* of the cheapest that fits */
    AN_TRY(plan_with(m, (an_recompute){ 0 }, &bytes));
    if (most == 0 || bytes <= most) return AN_OK;
    AN_TRY(learn(m, bytes, &g));
    for (; n < TRIES; n++) {
        candidate c, best = { .flops = flops };
        for (walk w = { 0 }; next(&w, &g, &c);)
            if (c.bytes <= (double)most && c.flops < best.flops && !seen(done, n, c.policy)) best = c;
        if (best.flops >= flops) break;
        done[n] = best.policy;
        AN_TRY(plan_with(m, best.policy, &bytes));
        g.rest += (double)bytes - best.bytes;
        if (bytes > most) continue;
        flops = best.flops;
        fits = best.policy;
    }
    if (fits.segment) return same(done[n - 1], fits) ? AN_OK : plan_with(m, fits, &bytes);
    AN_TRY(choose_leanest(m, &g, &fits, &bytes));
    return bytes <= most ? AN_OK : refuse(m, fits, bytes);
}

an_status an_model_plan(an_model *m, size_t cache)
{
    const char *how = m->config.recompute;
    if (!m->shape.train || m->shape.probe || strcmp(how, "none") == 0) return freeze_with(m, (an_recompute){ 0 }, cache);
    if (strcmp(how, "block") == 0) return freeze_with(m, (an_recompute){ 1, 1, 0 }, cache);
    return strcmp(how, "sqrt") == 0 ? choose_sqrt(m) : choose_cheapest(m);
}
