/* op/length_norm.c
 * Length norm: y = factor * g * x / max(|x|, eps), |x| the Euclidean length of a row, or of each `width` channels of it (heads);
 * g one learned scalar or absent.
 * Shapes    x, y [N,C]   g [1] or absent   rlen [N C / width], 1 / max(|x|, eps)
 * Units     eps: of x
 * Saves     x, g, rlen              Cost  4NC flop, 2NC moved
 * Backward  with u = x rlen, e = factor g dy:  dx (+)= rlen (e - u sum(e u)) where |x| > eps, else rlen e (the length is held);
 *           dg (+)= factor sum dy u, per chunk, then in order. A zero row gives y = 0 and a finite gradient
 * Errors    build: C == 0, width does not divide C, g not [1] -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Nguyen & Salazar 2019, arXiv:1910.05895 */
#include "op/op.h"

#include <math.h>

enum { X, G };
enum { Y, RLEN };

/* What has a length of its own: C channels of N rows, or pieces of them. */
static size_t width(const an_step *s) { const size_t w = ((const an_length_norm_attr *)s->attr)->width; return w ? w : an_cols(s->in[X]); }
static size_t pieces(const an_step *s) { return s->in[X]->count / width(s); }

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    if (an_cols(s->in[X]) == 0) return an_fail(AN_ESHAPE, "%s: a norm over 0 channels; d_model must be at least 1", s->name);
    if (an_cols(s->in[X]) % width(s)) return an_fail(AN_ESHAPE, "%s: %zu channels cannot be cut into pieces of %zu", s->name, an_cols(s->in[X]), width(s));
    if (s->in[G]) AN_TRY(an_need(s, G, AN_VEC(1)));
    AN_TRY(an_out(b, s, Y, "", s->in[X]->dims, false));
    return an_out(b, s, RLEN, ".rlen", AN_VEC(pieces(s)), true);
}

static bool trains(const an_step *s) { return s->in[G] && s->in[G]->wants_grad; }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(pieces(s));
    return dir == AN_BACKWARD && phase == 1 && trains(s) ? 1 : 0;
}

static an_real scale(const an_step *s) { return AN_R(((const an_length_norm_attr *)s->attr)->factor) * (s->in[G] ? s->in[G]->data[0] : 1); }

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = width(s);
    const double eps = ((const an_length_norm_attr *)s->attr)->eps;
    const an_range w = an_chunk(pieces(s), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c, rlen = AN_R(1 / fmax(sqrt(r->k->sumsq(c, x)), eps));
        s->out[RLEN]->data[i] = rlen;
        r->k->scale(c, scale(s) * rlen, x, s->out[Y]->data + i * c, 0);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_length_norm_attr *at = s->attr;
    const size_t n = pieces(s), c = width(s);
    double gain = 0;
    if (p->phase == 1) {
        an_put_grad(r, s, G, 0, at->factor * an_total(s, 1, an_chunks(n), 0));
        return;
    }
    const an_range w = an_chunk(n, p->index);
    const an_real g = scale(s);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c, *dy = s->out[Y]->grad + i * c, rlen = s->out[RLEN]->data[i];
        double along = 0;
        for (size_t j = 0; j < c; j++) along += (double)dy[j] * (double)x[j];
        gain += along * (double)rlen;
        const bool held = (double)rlen * at->eps >= 1 - 4 * (double)AN_REAL_EPS;
        const an_real push = g * rlen, pull = held ? 0 : push * AN_R(along * (double)rlen);   /* of u: rlen^3 underflows on rows beyond 1e12 */
        an_real *dx = an_has_grad(s, X) ? s->in[X]->grad + i * c : NULL;
        if (dx && an_add(r, s, X)) for (size_t j = 0; j < c; j++) dx[j] += push * dy[j] - pull * (rlen * x[j]);
        else if (dx) for (size_t j = 0; j < c; j++) dx[j] = push * dy[j] - pull * (rlen * x[j]);
    }
    if (trains(s)) *an_sums(s, 1, p->index) = gain;
}

/* The learned gain (1: none), and the share of lengths of |x|^2 below 10 eps^2: 1/rlen is max(|x|, eps). */
static size_t measured(const an_step *s) { return an_chunks(pieces(s)); }

static double measure(const an_run *r, const an_step *s, size_t part, double *m)
{
    (void)r;
    const double eps = ((const an_length_norm_attr *)s->attr)->eps;
    const an_range w = an_chunk(pieces(s), part);
    m[0] = (double)w.n * an_gauge_rms(s->in[G]);
    for (size_t i = w.begin; i < w.begin + w.n; i++) m[1] += 10 * eps * eps * (double)s->out[RLEN]->data[i] * (double)s->out[RLEN]->data[i] > 1;
    return (double)w.n;
}

static const an_gauges GAUGES = { "norm", 2, { "gain_rms", "small_rows" }, { AN_FOLD_MEAN, AN_FOLD_MEAN }, measured, measure };

static size_t work(const an_step *s, an_direction dir) { return dir == AN_BACKWARD && trains(s) ? an_sums_room(1, an_chunks(pieces(s))) : 0; }
static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 4 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_length_norm = { .name = "length_norm", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1.5, .work = work, .saves_in = 1u << X | 1u << G, .saves_out = 1u << RLEN, .gauges = &GAUGES };
