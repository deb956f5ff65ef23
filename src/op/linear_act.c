/* op/linear_act.c
 * Linear layer and activation in one: z = x w' (+ bias), y = act(z). Made by the fusion pass from linear + activation; the
 * activation runs on each tile while it is in cache, and its backward turns dy into dz in place.
 * Shapes    x [N,I]   w [F,I]   bias [F] or absent   z, y [N,F]
 * Saves     x, w, z                   Cost  2NIF + act flop
 * Backward  phase 0: dz = dy * act'(z), over dy;  phase 1: as linear with dz
 * Errors    build: as linear
 * Threads   tiles */
#include "op/linear.h"

enum { X, W, B };
enum { Y, Z };

static an_status infer(struct an_build *b, an_step *s) { (void)b; return an_need_rank(s, X, 2); }   /* outputs are those it replaces */

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const size_t n = an_rows(s->in[X]), in = an_cols(s->in[X]), out = an_cols(s->out[Y]);
    if (dir == AN_FORWARD) {
        const an_tiles t = an_tiles_make(n, out, in);
        return phase == 0 ? an_tiles_count(&t) : 0;
    }
    if (phase == 0) return an_chunks(n);
    return phase == 1 ? an_linear_backward_parts(n, in, out, an_has_grad(s, X), an_has_grad(s, W), an_has_grad(s, B)) : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_act_attr *at = s->attr;
    const size_t in = an_cols(s->in[X]), out = an_cols(s->out[Y]);
    const an_tiles g = an_tiles_make(an_rows(s->in[X]), out, in);
    const an_tile t = an_tiles_at(&g, p->index);
    const an_real *bias = s->in[B] ? s->in[B]->data + t.j : NULL;
    an_linear_forward_tile(r, t, in, s->in[X]->data, s->in[W]->data, NULL, s->out[Z]->data, out);
    for (size_t i = t.i; i < t.i + t.m; i++)
        at->kind->fwd(r->k, 1, t.n, bias, s->out[Z]->data + i * out + t.j, s->out[Y]->data + i * out + t.j);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_act_attr *at = s->attr;
    const size_t n = an_rows(s->in[X]), out = an_cols(s->out[Y]);
    if (p->phase == 0) {
        const an_range w = an_chunk(n, p->index);
        an_real *dy = s->out[Y]->grad + w.begin * out;
        at->kind->bwd(r->k, w.n * out, s->out[Z]->data + w.begin * out, dy, dy, 0);
        return;
    }
    const an_linear_grad g = { n, an_cols(s->in[X]), out, s->in[X]->data, s->in[W]->data, s->out[Y]->grad,
        an_has_grad(s, X) ? s->in[X]->grad : NULL, an_has_grad(s, W) ? s->in[W]->grad : NULL, an_has_grad(s, B) ? s->in[B]->grad : NULL,
        an_has_grad(s, X) && an_add(r, s, X), an_has_grad(s, W) && an_add(r, s, W), an_has_grad(s, B) && an_add(r, s, B) };
    an_linear_backward_part(r, &g, p->index);
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), in = (double)an_cols(s->in[X]), out = (double)an_cols(s->out[Y]);
    return (an_cost){ 2 * n * in * out + n * out * ((const an_act_attr *)s->attr)->kind->flops, (n * in + in * out + 2 * n * out) * sizeof(an_real) };
}

const an_op an_op_linear_act = { .name = "linear_act", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .saves_in = 1u << X | 1u << W, .saves_out = 1u << Z, .clobbers = true };
