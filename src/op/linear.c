/* op/linear.c
 * Linear layer: y = x w' + bias.
 * Shapes    x [N,I]   w [O,I]   bias [O] or absent   y [N,O]
 * Saves     x, w                      Cost  2NIO flop, NI + IO + NO moved
 * Backward  dx (+)= dy w;  dw (+)= dy' x;  dbias (+)= sum_N dy
 * Errors    build: widths differ -> AN_ESHAPE
 * Threads   output tiles; no sum crosses a tile */
#include "op/linear.h"

enum { X, W, B };
enum { BIAS_COLS = 128 };

void an_linear_forward_tile(const an_run *r, an_tile t, size_t inner, const an_real *x, const an_real *w, const an_real *bias, an_real *y, size_t ldy)
{
    an_real *out = y + t.i * ldy + t.j;
    if (bias)
        for (size_t i = 0; i < t.m; i++) memcpy(out + i * ldy, bias + t.j, t.n * sizeof *out);   /* the product adds onto it */
    r->gemm->run(0, 1, t.m, t.n, inner, x + t.i * inner, inner, w + t.j * inner, inner, bias ? 1 : 0, out, ldy);
}

size_t an_linear_backward_parts(size_t n, size_t in, size_t out, bool dx, bool dw, bool db)
{
    const an_tiles tx = an_tiles_make(n, in, out), tw = an_tiles_make(out, in, n);
    return (dx ? an_tiles_count(&tx) : 0) + (dw ? an_tiles_count(&tw) : 0) + (db ? (out + BIAS_COLS - 1) / BIAS_COLS : 0);
}

void an_linear_backward_part(const an_run *r, const an_linear_grad *g, size_t index)
{
    const an_tiles tx = an_tiles_make(g->n, g->in, g->out), tw = an_tiles_make(g->out, g->in, g->n);
    const size_t nx = g->dx ? an_tiles_count(&tx) : 0, nw = g->dw ? an_tiles_count(&tw) : 0;
    if (index < nx) {
        const an_tile t = an_tiles_at(&tx, index);
        r->gemm->run(0, 0, t.m, t.n, g->out, g->dy + t.i * g->out, g->out, g->w + t.j, g->in, g->add_x ? 1 : 0, g->dx + t.i * g->in + t.j, g->in);
    } else if (index < nx + nw) {
        const an_tile t = an_tiles_at(&tw, index - nx);
        r->gemm->run(1, 0, t.m, t.n, g->n, g->dy + t.i, g->out, g->x + t.j, g->in, g->add_w ? 1 : 0, g->dw + t.i * g->in + t.j, g->in);
    } else {
        const size_t c0 = (index - nx - nw) * BIAS_COLS, c = g->out - c0 < BIAS_COLS ? g->out - c0 : BIAS_COLS;
        r->k->col_sum(g->n, c, g->dy + c0, g->out, g->db + c0, g->add_b);
    }
}

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    AN_TRY(an_need_rank(s, W, 2));
    const size_t n = an_rows(s->in[X]), out = s->in[W]->dims.d[0];
    AN_TRY(an_need(s, W, AN_MAT(out, an_cols(s->in[X]))));
    if (s->in[B]) AN_TRY(an_need(s, B, AN_VEC(out)));
    return an_out(b, s, 0, "", AN_MAT(n, out), false);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const size_t n = an_rows(s->in[X]), in = an_cols(s->in[X]), out = an_cols(s->out[0]);
    if (phase > 0) return 0;
    if (dir == AN_BACKWARD) return an_linear_backward_parts(n, in, out, an_has_grad(s, X), an_has_grad(s, W), an_has_grad(s, B));
    const an_tiles t = an_tiles_make(n, out, in);
    return an_tiles_count(&t);
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = an_rows(s->in[X]), in = an_cols(s->in[X]), out = an_cols(s->out[0]);
    const an_tiles t = an_tiles_make(n, out, in);
    an_linear_forward_tile(r, an_tiles_at(&t, p->index), in, s->in[X]->data, s->in[W]->data, s->in[B] ? s->in[B]->data : NULL, s->out[0]->data, out);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_linear_grad g = { an_rows(s->in[X]), an_cols(s->in[X]), an_cols(s->out[0]), s->in[X]->data, s->in[W]->data, s->out[0]->grad,
        an_has_grad(s, X) ? s->in[X]->grad : NULL, an_has_grad(s, W) ? s->in[W]->grad : NULL, an_has_grad(s, B) ? s->in[B]->grad : NULL,
        an_has_grad(s, X) && an_add(r, s, X), an_has_grad(s, W) && an_add(r, s, W), an_has_grad(s, B) && an_add(r, s, B) };
    an_linear_backward_part(r, &g, p->index);
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), in = (double)an_cols(s->in[X]), out = (double)an_cols(s->out[0]);
    return (an_cost){ 2 * n * in * out, (n * in + in * out + n * out) * sizeof(an_real) };
}

const an_op an_op_linear = { .name = "linear", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .saves_in = 1u << X | 1u << W };
