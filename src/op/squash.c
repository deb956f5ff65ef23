/* op/squash.c
 * Squash: y = f(a x + s), f = tanh or erf, a and s one learned scalar each (s may be absent): the norms that normalise nothing.
 * Shapes    x, y [N,C]   a [1]   s [1] or absent
 * Saves     x, a, s                 Cost  about 20NC flop, 2NC moved
 * Backward  with z = a x + s:  dx (+)= a f'(z) dy;  da (+)= sum x f'(z) dy;  ds (+)= sum f'(z) dy; sums per chunk, then in order
 *           tanh' = 1 - tanh^2;  erf' = 2/sqrt(pi) exp(-z^2)
 * Errors    build: a not [1] -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Zhu et al. 2025, arXiv:2503.10622 (tanh); arXiv:2512.10938 (erf) */
#include "op/op.h"

#include <math.h>

enum { X, A, S };

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    AN_TRY(an_need(s, A, AN_VEC(1)));
    if (s->n_in > S && s->in[S]) AN_TRY(an_need(s, S, AN_VEC(1)));
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static bool has_shift(const an_step *s) { return s->n_in > S && s->in[S]; }
static bool trains(const an_step *s) { return s->in[A]->wants_grad || (has_shift(s) && s->in[S]->wants_grad); }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[X]));
    return dir == AN_BACKWARD && phase == 1 && trains(s) ? 1 : 0;
}

static an_real slope(bool erf_kind, an_real z)
{
    if (erf_kind) return AN_R(1.1283791670955126) * an_exp(-z * z);
    const an_real y = an_tanh(z);
    return 1 - y * y;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    r->k->squash_fwd(w.n * c, ((const an_squash_attr *)s->attr)->erf, s->in[A]->data[0], has_shift(s) ? s->in[S]->data[0] : 0, s->in[X]->data + w.begin * c, s->out[0]->data + w.begin * c);
}

static void reduce(const an_run *r, const an_step *s)
{
    for (int in = A; in <= S; in++) an_put_grad(r, s, in, 0, an_total(s, 2, an_chunks(an_rows(s->in[X])), (size_t)(in - A)));
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    const size_t o = w.begin * c;
    double sums[2];
    r->k->squash_bwd(w.n * c, ((const an_squash_attr *)s->attr)->erf, s->in[A]->data[0], has_shift(s) ? s->in[S]->data[0] : 0, s->in[X]->data + o, s->out[0]->grad + o,
                     an_has_grad(s, X) ? s->in[X]->grad + o : NULL, an_add(r, s, X), sums);
    if (trains(s)) memcpy(an_sums(s, 2, p->index), sums, sizeof sums);
}

/* The scale, and the share of elements on the flat parts of f: slope below 0.1, |z| above 1.82 for tanh and 1.56 for erf. */
static double measure(const an_run *r, const an_step *s, size_t part, double *m)
{
    (void)r;
    const bool is_erf = ((const an_squash_attr *)s->attr)->erf;
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), part);
    const an_real a = s->in[A]->data[0], shift = has_shift(s) ? s->in[S]->data[0] : 0, *x = s->in[X]->data;
    m[0] = (double)(w.n * c) * (double)a;
    for (size_t i = w.begin * c; i < (w.begin + w.n) * c; i++) m[1] += slope(is_erf, a * x[i] + shift) < AN_R(0.1);
    return (double)(w.n * c);
}

static const an_gauges GAUGES = { "norm", 2, { "alpha", "saturated" }, { AN_FOLD_MEAN, AN_FOLD_MEAN }, an_gauge_chunks, measure };

static size_t work(const an_step *s, an_direction dir) { return dir == AN_BACKWARD && trains(s) ? an_sums_room(2, an_chunks(an_rows(s->in[X]))) : 0; }
static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 20 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_squash = { .name = "squash", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1.5, .work = work, .saves_in = 1u << X | 1u << A | 1u << S, .gauges = &GAUGES };
