/* op/residual.c
 * Residual: y = a * x + b * f, the skip connection.
 * Shapes    x, f, y [N,C]         a, b constants
 * Saves     nothing               Cost  3NC flop, 3NC read + write
 * Backward  dx (+)= a * dy;  df (+)= b * dy.  Where a (b) is 1 the gradient IS dy: the planner lets them share a buffer.
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
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *x = an_view_of(r, an_data_of(s->in[X]), i * c, n * c, an_view_room(r, p, c, 0));
        const an_real *f = an_view_of(r, an_data_of(s->in[F]), i * c, n * c, an_view_room(r, p, c, 1));
        an_real *y = an_view_to(an_data_of(s->out[0]), i * c, an_view_room(r, p, c, 0));
        r->k->axpby(n * c, AN_R(at->a), x, AN_R(at->b), f, y);
        an_view_done(r, an_data_of(s->out[0]), i * c, n * c, y);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_residual_attr *at = s->attr;
    const size_t c = an_cols(s->out[0]);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    const double coefficient[2] = { at->a, at->b };
    for (int k = X; k <= F; k++)
        for (size_t i = w.begin, n; an_has_grad(s, k) && i < w.begin + w.n; i += n) {
            n = an_view_rows(s, c, w.begin + w.n - i);
            const an_real *dy = an_view_of(r, an_grad_of(s->out[0]), i * c, n * c, an_view_room(r, p, c, 0));
            an_real *dx = an_view_to(an_grad_of(s->in[k]), i * c, an_view_room(r, p, c, 1));
            r->k->scale(n * c, AN_R(coefficient[k]), dy, dx, an_add(r, s, k));
            an_view_done(r, an_grad_of(s->in[k]), i * c, n * c, dx);
        }
}

static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->out[0]), 2) : 0; }

static uint32_t same_grad(const an_step *s)
{
    const an_residual_attr *at = s->attr;
    return (at->a == 1.0 ? 1u << X : 0u) | (at->b == 1.0 ? 1u << F : 0u);
}

static bool shortcut(const an_step *s) { return ((const an_residual_attr *)s->attr)->a != 0.0; }

static an_cost cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 3 * n, 3 * n * sizeof(an_real) }; }

const an_op an_op_residual = { .name = "residual", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .thread_work = thread_work, .low_in = 1u << X | 1u << F, .low_out = 1, .same_grad = same_grad, .terms = 3, .identity = true, .shortcut = shortcut };
