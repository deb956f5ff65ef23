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

static void product(const an_run *r, int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, an_real beta, an_real *c, size_t ldc)
{
    if (r->low) r->gemm->run_low(ta, tb, m, n, k, a, b, beta, c, ldc);
    else r->gemm->run(ta, tb, m, n, k, a.p, a.ld, b.p, b.ld, beta, c, ldc);
}

void an_linear_forward_tile(const an_run *r, an_tile t, size_t inner, an_operand x, an_operand w, const an_real *bias, an_real *out, size_t ldy)
{
    if (bias)
        for (size_t i = 0; i < t.m; i++) memcpy(out + i * ldy, bias + t.j, t.n * sizeof *out);   /* the product adds onto it */
    product(r, 0, 1, t.m, t.n, inner, an_operand_at(x, t.i, 0), an_operand_at(w, t.j, 0), bias ? 1 : 0, out, ldy);
}

size_t an_linear_room(const an_step *s, size_t n, size_t in, size_t out)
{
    const an_tiles ty = an_tiles_make(n, out, in), tx = an_tiles_make(n, in, out);
    const size_t y = ty.tile_m * ty.tile_n, x = tx.tile_m * tx.tile_n;
    return !s->low ? 0 : x > y ? x : y;
}

void an_linear_round(const an_run *r, an_tile t, const an_real *room, an_cells x, size_t c)
{
    for (size_t i = 0; i < t.m; i++) an_view_done(r, x, (t.i + i) * c + t.j, t.n, room + i * t.n);
}

size_t an_linear_backward_parts(size_t n, size_t in, size_t out, bool dx, bool dw, bool db)
{
    const an_tiles tx = an_tiles_make(n, in, out), tw = an_tiles_make(out, in, n);
    return (dx ? an_tiles_count(&tx) : 0) + (dw ? an_tiles_count(&tw) : 0) + (db ? (out + BIAS_COLS - 1) / BIAS_COLS : 0);
}

const char *an_linear_backward_name(size_t n, size_t in, size_t out, bool dx, bool dw, size_t index)
{
    const size_t inputs = an_linear_backward_parts(n, in, out, dx, false, false), weights = an_linear_backward_parts(n, in, out, false, dw, false);
    return index < inputs ? "input grad" : index < inputs + weights ? "weight grad" : "";
}

/* Columns of dy in reals, some rows at a time where they are stored as bfloat16. */
static void bias_gradient(const an_run *r, const an_linear_grad *g, size_t c0, size_t c)
{
    enum { ROWS = 16 };
    if (g->dy.store == AN_STORE_REAL) {
        r->k->col_sum(g->n, c, (const an_real *)g->dy.p + c0, g->dy.ld, g->db + c0, g->add_b);
        return;
    }
    an_real room[ROWS * BIAS_COLS];
    for (size_t i = 0; i < g->n; i += ROWS) {
        const size_t n = g->n - i < ROWS ? g->n - i : ROWS;
        for (size_t k = 0; k < n; k++) r->k->widen(c, (const an_bf16 *)g->dy.p + (i + k) * g->dy.ld + c0, room + k * c);
        r->k->col_sum(n, c, room, c, g->db + c0, g->add_b || i > 0);
    }
}

void an_linear_backward_part(const an_run *r, const an_linear_grad *g, const an_part *p)
{
    const an_tiles tx = an_tiles_make(g->n, g->in, g->out), tw = an_tiles_make(g->out, g->in, g->n);
    const size_t nx = g->dx.p ? an_tiles_count(&tx) : 0, nw = g->dw ? an_tiles_count(&tw) : 0;
    if (p->index < nx) {
        const an_tile t = an_tiles_at(&tx, p->index);
        const bool rounds = g->dx.store != AN_STORE_REAL;
        an_real *out = rounds ? r->thread_work[p->thread] : g->dx.p + t.i * g->in + t.j;
        product(r, 0, 0, t.m, t.n, g->out, an_operand_at(g->dy, t.i, 0), an_operand_at(g->w, 0, t.j), g->add_x ? 1 : 0, out, rounds ? t.n : g->in);
        if (rounds) an_linear_round(r, t, out, g->dx, g->in);
    } else if (p->index < nx + nw) {
        const an_tile t = an_tiles_at(&tw, p->index - nx);
        product(r, 1, 0, t.m, t.n, g->n, an_operand_at(g->dy, 0, t.i), an_operand_at(g->x, 0, t.j), g->add_w ? 1 : 0, g->dw + t.i * g->in + t.j, g->in);
    } else {
        const size_t c0 = (p->index - nx - nw) * BIAS_COLS;
        bias_gradient(r, g, c0, g->out - c0 < BIAS_COLS ? g->out - c0 : BIAS_COLS);
    }
}

void an_linear_step_backward(const an_run *r, const an_step *s, an_operand dy, const an_part *p)
{
    const bool dx = an_has_grad(s, X), dw = an_has_grad(s, W), db = an_has_grad(s, B);
    const an_linear_grad g = { an_rows(s->in[X]), an_cols(s->in[X]), dy.ld, an_linear_data(s->in[X], 0), an_linear_data(s->in[W], 0), dy,
        dx ? an_grad_of(s->in[X]) : (an_cells){ NULL, AN_STORE_REAL }, dw ? s->in[W]->grad : NULL, db ? s->in[B]->grad : NULL,
        dx && an_add(r, s, X), dw && an_add(r, s, W), db && an_add(r, s, B) };
    an_linear_backward_part(r, &g, p);
}

an_status an_linear_infer(struct an_build *b, an_step *s)
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
    const an_tiles g = an_tiles_make(n, out, in);
    const an_tile t = an_tiles_at(&g, p->index);
    const an_cells y = an_data_of(s->out[0]);
    const bool rounds = y.store != AN_STORE_REAL;
    an_real *to = rounds ? r->thread_work[p->thread] : y.p + t.i * out + t.j;
    an_linear_forward_tile(r, t, in, an_linear_data(s->in[X], 0), an_linear_data(s->in[W], 0), s->in[B] ? s->in[B]->data : NULL, to, rounds ? t.n : out);
    if (rounds) an_linear_round(r, t, to, y, out);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    an_linear_step_backward(r, s, (an_operand){ s->out[0]->grad, an_cols(s->out[0]), s->out[0]->grad_store }, p);
}

static size_t thread_work(const an_step *s) { return an_linear_room(s, an_rows(s->in[X]), an_cols(s->in[X]), an_cols(s->out[0])); }

static const char *part_name(const an_step *s, an_direction dir, const an_part *p)
{
    return dir == AN_FORWARD ? "forward" : an_linear_backward_name(an_rows(s->in[X]), an_cols(s->in[X]), an_cols(s->out[0]), an_has_grad(s, X), an_has_grad(s, W), p->index);
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), in = (double)an_cols(s->in[X]), out = (double)an_cols(s->out[0]);
    return (an_cost){ 2 * n * in * out, (n * in + in * out + n * out) * sizeof(an_real) };
}

const an_op an_op_linear = { .name = "linear", .infer = an_linear_infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .part_name = part_name, .thread_work = thread_work, .low_in = 1u << X | 1u << W, .low_out = 1, .saves_in = 1u << X | 1u << W };
