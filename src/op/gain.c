/* op/gain.c
 * Gain: y = factor * g * x with g spread over equal groups of channels: one scalar (K = 1), one per head (K = H), one per
 * channel (K = C), or none (a constant factor). Learned branch and skip scales, head scales.
 * Shapes    x, y [N,C]   g [K], K divides C, or absent
 * Saves     x, g (nothing where g is absent)       Cost  2NC flop, 2NC moved
 * Backward  dx (+)= factor g dy;  dg_k (+)= factor sum over rows and the group's channels of x dy, per chunk, then in order
 *           `magnitude`: |g| stands for g, and dg takes the sign of g
 * Errors    build: K does not divide C -> AN_ESHAPE
 * Threads   rows in fixed chunks */
#include "op/op.h"

#include <math.h>

enum { X, G };

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    if (s->in[G]) {
        AN_TRY(an_need_rank(s, G, 1));
        const size_t c = an_cols(s->in[X]), k = s->in[G]->count;
        if (k == 0 || c % k) return an_fail(AN_ESHAPE, "%s: %zu gains cannot be spread over %zu channels in equal groups", s->name, k, c);
    }
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static bool trains(const an_step *s) { return s->in[G] && s->in[G]->wants_grad; }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[X]));
    return dir == AN_BACKWARD && phase == 1 && trains(s) ? 1 : 0;
}

static an_real gain_at(const an_step *s, size_t k)
{
    const an_gain_attr *at = s->attr;
    if (!s->in[G]) return AN_R(at->factor);
    const an_real g = s->in[G]->data[k];
    return AN_R(at->factor) * (at->magnitude && g < 0 ? -g : g);
}

/* to (+)= gain * from, on the rows of one chunk. */
static void spread(const an_step *s, an_range w, const an_real *from, an_real *to, bool add)
{
    const size_t c = an_cols(s->in[X]), groups = s->in[G] ? s->in[G]->count : 1, width = c / groups;
    for (size_t i = w.begin; i < w.begin + w.n; i++)
        for (size_t k = 0; k < groups; k++) {
            const an_real g = gain_at(s, k), *x = from + i * c + k * width;
            an_real *y = to + i * c + k * width;
            if (add) for (size_t j = 0; j < width; j++) y[j] += g * x[j];
            else for (size_t j = 0; j < width; j++) y[j] = g * x[j];
        }
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    (void)r;
    spread(s, an_chunk(an_rows(s->in[X]), p->index), s->in[X]->data, s->out[0]->data, false);
}

static void sum_chunk(const an_step *s, an_range w, double *sums)
{
    const size_t c = an_cols(s->in[X]), groups = s->in[G]->count, width = c / groups;
    const an_real *x = s->in[X]->data, *dy = s->out[0]->grad;
    for (size_t k = 0; k < groups; k++) sums[k] = 0;
    for (size_t i = w.begin; i < w.begin + w.n; i++)
        for (size_t j = 0; j < c; j++) sums[j / width] += (double)x[i * c + j] * (double)dy[i * c + j];
}

static void reduce(const an_run *r, const an_step *s)
{
    const an_gain_attr *at = s->attr;
    const size_t groups = s->in[G]->count, chunks = an_chunks(an_rows(s->in[X]));
    const double *sums = (const double *)(const void *)s->work;
    for (size_t k = 0; k < groups; k++) {
        double sum = 0;
        for (size_t i = 0; i < chunks; i++) sum += sums[i * groups + k];
        const double sign = at->magnitude && s->in[G]->data[k] < 0 ? -1 : 1;
        const an_real d = AN_R(at->factor * sign * sum);
        if (an_add(r, s, G)) s->in[G]->grad[k] += d;
        else s->in[G]->grad[k] = d;
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    if (trains(s)) sum_chunk(s, w, (double *)(void *)s->work + p->index * s->in[G]->count);
    if (an_has_grad(s, X)) spread(s, w, s->out[0]->grad, s->in[X]->grad, an_add(r, s, X));
}

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD && trains(s) ? an_chunks(an_rows(s->in[X])) * s->in[G]->count * sizeof(double) / sizeof(an_real) : 0;
}

static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 2 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_gain = { .name = "gain", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .work = work, .saves_in = 1u << X | 1u << G };
