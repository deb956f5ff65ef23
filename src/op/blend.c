/* op/blend.c
 * Blend: y = sum_k w_k x_k, any number of values under learned weights.
 * Shapes    w [K]   x_1 .. x_K, y [N,C]
 * Saves     w and every x             Cost  2KNC flop, (K + 1)NC moved
 * Backward  dx_k (+)= w_k dy;  dw_k (+)= <x_k, dy>, per chunk of rows, then in order
 * Errors    build: not as many weights as values, or values of different shapes -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Pagliardini et al. 2024, arXiv:2402.02622 (depth-weighted averaging) */
#include "op/op.h"

enum { W, X };

static size_t values(const an_step *s) { return (size_t)s->n_in - X; }

static an_status infer(struct an_build *b, an_step *s)
{
    if (s->n_in <= X) return an_fail(AN_ESHAPE, "%s: a blend of nothing; at least one value is needed", s->name);
    AN_TRY(an_need(s, W, AN_VEC(values(s))));
    AN_TRY(an_need_rank(s, X, 2));
    for (int i = X; i < s->n_in; i++) AN_TRY(an_need(s, i, s->in[X]->dims));
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->out[0]));
    return dir == AN_BACKWARD && phase == 1 && s->in[W]->wants_grad ? 1 : 0;
}

/* The newest value first: where the others have weight 0 its bits are the sum's. */
static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->out[0]);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t k = values(s); k-- > 0;)
        r->k->scale(w.n * c, s->in[W]->data[k], s->in[X + k]->data + w.begin * c, s->out[0]->data + w.begin * c, k + 1 < values(s));
}

static void reduce(const an_run *r, const an_step *s)
{
    for (size_t k = 0; k < values(s); k++) an_put_grad(r, s, W, k, an_total(s, values(s), an_chunks(an_rows(s->out[0])), k));
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const size_t c = an_cols(s->out[0]);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    const an_real *dy = s->out[0]->grad + w.begin * c;
    double *sums = an_sums(s, values(s), p->index);
    for (size_t k = 0; k < values(s); k++) {
        const int i = (int)(X + k);
        if (s->in[W]->wants_grad) sums[k] = an_inner(r, w.n * c, s->in[i]->data + w.begin * c, dy);
        if (an_has_grad(s, i)) r->k->scale(w.n * c, s->in[W]->data[k], dy, s->in[i]->grad + w.begin * c, an_add(r, s, i));
    }
}

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD ? an_sums_room(values(s), an_chunks(an_rows(s->out[0]))) : 0;
}

static an_cost cost(const an_step *s)
{
    const double n = (double)s->out[0]->count, k = (double)values(s);
    return (an_cost){ 2 * k * n, (k + 1) * n * sizeof(an_real) };
}

const an_op an_op_blend = { .name = "blend", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .work = work, .saves_in = ~0u };
