/* op/gain.c
 * Gain: y = factor * (offset + g) * x + b with g spread over equal groups of channels: one scalar (K = 1), one per head
 * (K = H), one per channel (K = C), or none (a constant factor). Learned branch and skip scales, head scales, the affine part of
 * norms that have none in their own op.
 * Shapes    x, y [N,C]   g [K], K divides C, or absent   b [C] or absent
 * Saves     x, g (nothing where g is absent)       Cost  2NC flop, 2NC moved
 * Backward  dx (+)= factor (offset + g) dy;  dg_k (+)= factor sum over rows and the group's channels of x dy;  db (+)= sum over
 *           rows of dy; sums per chunk, then in order. `magnitude`: |g| stands for g, and dg takes the sign of g
 * Errors    build: K does not divide C -> AN_ESHAPE
 * Threads   rows in fixed chunks */
#include "op/op.h"

#include <math.h>

enum { X, G, B };

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    if (s->in[G]) {
        AN_TRY(an_need_rank(s, G, 1));
        const size_t c = an_cols(s->in[X]), k = s->in[G]->count;
        if (k == 0 || c % k) return an_fail(AN_ESHAPE, "%s: %zu gains cannot be spread over %zu channels in equal groups", s->name, k, c);
    }
    if (s->n_in > B && s->in[B]) AN_TRY(an_need(s, B, AN_VEC(an_cols(s->in[X]))));
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static const an_real *bias(const an_step *s) { return s->n_in > B && s->in[B] ? s->in[B]->data : NULL; }
static bool trains_bias(const an_step *s) { return s->n_in > B && s->in[B] && s->in[B]->wants_grad; }
static bool trains(const an_step *s) { return s->in[G] && s->in[G]->wants_grad; }
static size_t gains(const an_step *s) { return trains(s) ? s->in[G]->count : 0; }
static size_t sums_per_chunk(const an_step *s) { return gains(s) + (trains_bias(s) ? an_cols(s->in[X]) : 0); }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[X]));
    return dir == AN_BACKWARD && phase == 1 && sums_per_chunk(s) ? 1 : 0;
}

static an_real gain_at(const an_step *s, size_t k)
{
    const an_gain_attr *at = s->attr;
    if (!s->in[G]) return AN_R(at->factor);
    const an_real g = s->in[G]->data[k];
    return AN_R(at->factor) * (AN_R(at->offset) + (at->magnitude && g < 0 ? -g : g));
}

/* to (+)= gain * from, on the rows of one chunk. */
static void spread(const an_run *r, const an_step *s, const an_part *p, const an_real *from, an_real *to, bool add)
{
    const size_t c = an_cols(s->in[X]), groups = s->in[G] ? s->in[G]->count : 1;
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    an_real *g = r->thread_work[p->thread];
    from += w.begin * c;
    to += w.begin * c;
    if (groups == 1) {
        r->k->scale(w.n * c, gain_at(s, 0), from, to, add);
        return;
    }
    for (size_t j = 0; j < c; j++) g[j] = gain_at(s, j / (c / groups));
    r->k->gain(w.n, c, g, from, to, add);
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    const size_t c = an_cols(s->in[X]);
    spread(r, s, p, s->in[X]->data, s->out[0]->data, false);
    if (bias(s)) r->k->bias_add(w.n, c, bias(s), s->out[0]->data + w.begin * c);
}

static void sum_chunk(const an_run *r, const an_step *s, an_range w, double *sums)
{
    const size_t c = an_cols(s->in[X]), groups = gains(s), o = w.begin * c, width = groups ? c / groups : c;
    const an_real *x = s->in[X]->data + o, *dy = s->out[0]->grad + o;
    if (groups == 1) sums[0] = an_inner(r, w.n * c, x, dy);
    else if (groups == c) r->k->col_products(w.n, c, x, dy, sums);
    else
        for (size_t k = 0; k < groups; k++) {
            sums[k] = 0;
            for (size_t i = 0; i < w.n; i++) sums[k] += an_inner(r, width, x + i * c + k * width, dy + i * c + k * width);
        }
    if (trains_bias(s)) r->k->col_products(w.n, c, dy, NULL, sums + groups);
}

static void reduce(const an_run *r, const an_step *s)
{
    const an_gain_attr *at = s->attr;
    const size_t width = sums_per_chunk(s), groups = gains(s), chunks = an_chunks(an_rows(s->in[X]));
    for (size_t k = 0; k < width; k++) {
        const double sum = an_total(s, width, chunks, k);
        if (k < groups) an_put_grad(r, s, G, k, at->factor * (at->magnitude && s->in[G]->data[k] < 0 ? -sum : sum));
        else an_put_grad(r, s, B, k - groups, sum);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    if (sums_per_chunk(s)) sum_chunk(r, s, w, an_sums(s, sums_per_chunk(s), p->index));
    if (an_has_grad(s, X)) spread(r, s, p, s->out[0]->grad, s->in[X]->grad, an_add(r, s, X));
}

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD ? an_sums_room(sums_per_chunk(s), an_chunks(an_rows(s->in[X]))) : 0;
}

static size_t thread_work(const an_step *s) { return s->in[G] && s->in[G]->count > 1 ? an_cols(s->in[X]) : 0; }   /* the gains, one per channel */

static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 2 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_gain = { .name = "gain", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .work = work, .thread_work = thread_work, .saves_in = 1u << X | 1u << G };
