/* op/residual.c
 * Residual: y = a * x + b * f, the skip connection; f after dropout where fusion has joined the two (op/dropout.c).
 * Shapes    x, f, y [N,C]         a, b constants
 * Saves     nothing               Cost  3NC flop, 3NC read + write
 * Backward  dx (+)= a * dy;  df (+)= b * dy, after dropout.  Where a (b) is 1 the gradient IS dy: the planner lets them share a buffer.
 * Errors    build: shapes differ -> AN_ESHAPE naming both
 * Threads   rows in fixed chunks
 * Source    He et al. 2015, arXiv:1512.03385 */
#include "op/op.h"

enum { X, F };

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    AN_TRY(an_need(s, F, s->in[X]->dims));
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static size_t parts(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(an_rows(s->out[0])) : 0; }

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_residual_attr *at = s->attr;
    const size_t c = an_cols(s->out[0]);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    const size_t o = w.begin * c, n = w.n * c;
    const an_real *x = s->in[X]->data + o;
    an_real *f = s->in[F]->data + o, *y = s->out[0]->data + o;
    an_drop drop;
    const an_drop *d = an_tossed_seen(r, &at->drop, o, n, f, &drop);
    if (!d) r->k->axpby(n, AN_R(at->a), x, AN_R(at->b), f, y);
    for (size_t i = 0; d && i < n; i += c) {             /* row by row: what is dropped is added while it is near */
        r->k->dropout(c, d->key, d->base + i, d->p, f + i, y + i, 0);
        r->k->axpby(c, AN_R(at->a), x + i, AN_R(at->b), y + i, y + i);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_residual_attr *at = s->attr;
    const size_t c = an_cols(s->out[0]);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    const size_t o = w.begin * c, n = w.n * c;
    an_drop drop;
    const an_drop *d = an_tossed(r, &at->drop, o, &drop);
    if (an_has_grad(s, X)) r->k->scale(n, AN_R(at->a), s->out[0]->grad + o, s->in[X]->grad + o, an_add(r, s, X));
    if (!an_has_grad(s, F)) return;
    r->k->scale(n, AN_R(at->b), s->out[0]->grad + o, s->in[F]->grad + o, an_add(r, s, F));
    if (d) r->k->dropout(n, d->key, d->base, d->p, s->in[F]->grad + o, s->in[F]->grad + o, 0);   /* of f this is the only reader: its gradient was set */
}

static uint32_t same_grad(const an_step *s)
{
    const an_residual_attr *at = s->attr;
    return (at->a == 1.0 ? 1u << X : 0u) | (at->b == 1.0 && at->drop.p <= 0 ? 1u << F : 0u);
}

static bool shortcut(const an_step *s) { return ((const an_residual_attr *)s->attr)->a != 0.0; }

static an_cost cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 3 * n, 3 * n * sizeof(an_real) }; }

const an_op an_op_residual = { .name = "residual", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .same_grad = same_grad, .terms = 3, .identity = true, .shortcut = shortcut };
