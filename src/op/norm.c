/* op/norm.c
 * Token-wise norms that measure a row by one spread: LayerNorm and RMSNorm in every convention of an_norm_spec (kern/kern.h).
 * Shapes    x, y [N,C]   g, b [C] or absent   mean, rstd [N]
 * Units     eps: that of x^2 inside the root, of x outside
 * Saves     x, g, mean, rstd          Cost  8NC flop, 2NC moved
 * Backward  see kern.h; dg, db are summed per chunk of rows, then over chunks in order
 * Errors    build: C == 0, C == 1 with unbiased variance, g or b not [C] -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Ba et al. 2016, arXiv:1607.06450; Zhang & Sennrich 2019, arXiv:1910.07467 */
#include "op/op.h"

enum { X, G, B };
enum { Y, MEAN, RSTD };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_norm_attr *at = s->attr;
    AN_TRY(an_need_rank(s, X, 2));
    const size_t c = an_cols(s->in[X]);
    if (c == 0) return an_fail(AN_ESHAPE, "%s: a norm over 0 channels; d_model must be at least 1", s->name);
    const size_t n = an_rows(s->in[X]);
    if (at->spec.unbiased && c < 2) return an_fail(AN_ESHAPE, "%s: the unbiased variance of 1 channel divides by zero; use norm_variance biased or d_model >= 2", s->name);
    for (int i = G; i <= B; i++)
        if (s->in[i]) AN_TRY(an_need(s, i, AN_VEC(c)));
    AN_TRY(an_out(b, s, Y, "", s->in[X]->dims, false));
    AN_TRY(an_out(b, s, MEAN, ".mean", AN_VEC(n), true));
    return an_out(b, s, RSTD, ".rstd", AN_VEC(n), true);
}

static bool trains_affine(const an_step *s) { return (s->in[G] && s->in[G]->wants_grad) || (s->in[B] && s->in[B]->wants_grad); }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[X]));
    return dir == AN_BACKWARD && phase == 1 && trains_affine(s) ? 1 : 0;
}

/* straight: rows are seen where they lie, not through views; far: what is made lies where nothing is in the caches (an_run.far_saved). */
static an_norm_spec spec(const an_step *s, bool straight, bool far)
{
    an_norm_spec spec = ((const an_norm_attr *)s->attr)->spec;
    spec.stream = straight && (far || an_past_cache(s->in[X]->count));
    return spec;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_cells from = an_data_of(s->in[X]), to = an_data_of(s->out[Y]);
    const bool low = from.store == AN_STORE_REAL && to.store == AN_STORE_BF16;
    const an_norm_spec sp = spec(s, low || !s->low, r->far_saved);
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    const an_real *g = s->in[G] ? s->in[G]->data : NULL, *b = s->in[B] ? s->in[B]->data : NULL;
    an_real *mean = s->out[MEAN]->data, *rstd = s->out[RSTD]->data;
    if (low) {
        r->k->norm_fwd_low(w.n, c, &sp, from.p + w.begin * c, g, b, an_cell(to, w.begin * c), mean + w.begin, rstd + w.begin);
        return;
    }
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *x = an_view_of(r, from, i * c, n * c, an_view_room(r, p, c, 0));
        an_real *y = an_view_to(to, i * c, an_view_room(r, p, c, 1));
        r->k->norm_fwd(n, c, &sp, x, g, b, y, mean + i, rstd + i);
        an_view_done(r, to, i * c, n * c, y);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_cells from = an_grad_of(s->out[Y]), to = an_has_grad(s, X) ? an_grad_of(s->in[X]) : (an_cells){ NULL, AN_STORE_REAL };
    const bool low = s->in[X]->store == AN_STORE_REAL && to.p && to.store == AN_STORE_REAL && from.store == AN_STORE_BF16;
    const an_norm_spec sp = spec(s, low || !s->low, false);
    const size_t rows = an_rows(s->in[X]), c = an_cols(s->in[X]);
    if (p->phase == 1) {
        an_reduce_affine(r, s, G, B, an_chunks(rows), c);
        return;
    }
    const an_range w = an_chunk(rows, p->index);
    const an_real *g = s->in[G] ? s->in[G]->data : NULL, *mean = s->out[MEAN]->data, *rstd = s->out[RSTD]->data;
    an_real *sums = an_affine_sums(s, trains_affine(s), p->index, c);
    if (low) {
        const size_t o = w.begin * c;
        r->k->norm_bwd_low(w.n, c, &sp, an_cell(from, o), s->in[X]->data + o, g, mean + w.begin, rstd + w.begin, to.p + o, an_add(r, s, X), sums, sums ? sums + c : NULL);
        return;
    }
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *dy = an_view_of(r, from, i * c, n * c, an_view_room(r, p, c, 0));
        const an_real *x = an_view_of(r, an_data_of(s->in[X]), i * c, n * c, an_view_room(r, p, c, 1));
        an_real *dx = to.p ? an_view_to(to, i * c, an_view_room(r, p, c, 2)) : NULL;
        r->k->norm_bwd(n, c, &sp, dy, x, g, mean + i, rstd + i, dx, an_add(r, s, X), sums, sums ? sums + c : NULL);
        if (dx) an_view_done(r, to, i * c, n * c, dx);
    }
}

static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->in[X]), 3) : 0; }

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD && trains_affine(s) ? an_chunks(an_rows(s->in[X])) * 2 * an_cols(s->in[X]) : 0;
}

static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 8 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_norm = { .name = "norm", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1.75, .work = work, .thread_work = thread_work, .low_in = 1u << X, .low_out = 1u << Y, .saves_in = 1u << X | 1u << G, .saves_out = 1u << MEAN | 1u << RSTD, .gauges = &an_gauges_norm };
