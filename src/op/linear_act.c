/* op/linear_act.c
 * Linear layer and activation in one: z = x w' (+ bias), y = act(z). Made by the fusion pass from linear + activation; the
 * activation runs on each tile while it is in cache, and its backward turns dy into dz in place.
 * Shapes    x [N,I]   w [F,I]   bias [F] or absent   z, y [N,F]
 * Saves     x, w, z                   Cost  2NIF + act flop
 * Backward  dz = dy * act'(z), over dy; then as linear with dz
 * Errors    build: as linear
 * Threads   tiles */
#include "op/linear.h"

enum { X, W, B };
enum { Y, Z };

static an_status infer(struct an_build *b, an_step *s) { (void)b; return an_need_rank(s, X, 2); }   /* outputs are those it replaces */

/* Backward: the activation comes first, then the phases of the linear layer. */
static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (dir == AN_FORWARD) return an_linear_forward_parts(s, phase);
    const an_linear_back b = an_linear_back_of(s, false);
    return phase == 0 ? an_chunks(b.n) : an_linear_backward_parts(&b, phase - 1);
}

/* Turns blocks of x w' into z and y. */
typedef struct activating { an_sink sink; const an_run *r; const an_step *s; an_tile t; an_real *row; } activating;   /* row: of y, where it is rounded */

static void take_activated(const an_sink *sink, size_t i, size_t j, size_t m, size_t n, an_real *sums, size_t ld)
{
    const activating *x = (const activating *)(const void *)sink;
    const an_step *s = x->s;
    const an_act_attr *at = s->attr;
    const size_t out = an_cols(s->out[Y]), column = x->t.j + j;
    const an_real *bias = s->in[B] ? s->in[B]->data + column : NULL;
    const an_cells y = an_data_of(s->out[Y]), z = an_data_of(s->out[Z]);
    const bool rounds = z.store != AN_STORE_REAL;
    if (rounds) x->r->k->round_rows(m, n, bias, sums, ld, (an_bf16 *)an_cell(z, (x->t.i + i) * out + column), out, 1, x->r->far_saved);   /* the activation takes z as backward will find it */
    for (size_t k = 0; k < m; k++, sums += ld) {
        const size_t o = (x->t.i + i + k) * out + column;
        an_real *row = an_view_to(y, o, x->row);
        at->kind->fwd(x->r->k, 1, n, rounds ? NULL : bias, sums, row);
        if (y.store != AN_STORE_REAL) x->r->k->round_rows(1, n, NULL, row, n, (an_bf16 *)an_cell(y, o), n, 0, x->r->far_saved);
    }
}

/* z and y of a tile: where they lie, or block by block on their way from the product. */
static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == AN_LINEAR_PACK) {
        an_linear_forward_pack(s, p);
        return;
    }
    const size_t out = an_cols(s->out[Y]);
    const an_tile t = an_linear_forward_at(s, p);
    const an_cells z = an_data_of(s->out[Z]);
    an_real *room = s->low ? r->thread_work[p->thread] : NULL;
    const activating to = { { take_activated }, r, s, t, room ? room + t.m * t.n : NULL };
    if (z.store != AN_STORE_REAL) {
        an_linear_forward_into(r, s, t, &to.sink, room);
        return;
    }
    an_real *place = z.p + t.i * out + t.j;
    an_linear_forward_tile(r, s, t, NULL, place, out);
    take_activated(&to.sink, 0, 0, t.m, t.n, place, out);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_act_attr *at = s->attr;
    const size_t out = an_cols(s->out[Y]);
    const an_cells dy = an_grad_of(s->out[Y]);
    if (p->phase > 0) {
        an_linear_step_backward(r, s, (an_operand){ dy.p, out, dy.store }, p->phase - 1, p);
        return;
    }
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = an_view_rows(s, out, w.begin + w.n - i);
        an_real *dz = an_view_to(dy, i * out, an_view_room(r, p, out, 0));
        (void)an_view_of(r, dy, i * out, n * out, dz);
        at->kind->bwd(r->k, n * out, an_view_of(r, an_data_of(s->out[Z]), i * out, n * out, an_view_room(r, p, out, 1)), dz, dz, 0);
        an_view_done(r, dy, i * out, n * out, dz);
    }
}

static size_t work(const an_step *s, an_direction dir)
{
    const an_linear_back b = an_linear_back_of(s, true);
    return dir == AN_FORWARD ? an_linear_forward_work(s) : an_linear_backward_work(&b);
}

static size_t thread_work(const an_step *s)
{
    const size_t n = an_rows(s->in[X]), in = an_cols(s->in[X]), out = an_cols(s->out[Y]);
    const an_tiles t = an_tiles_make(n, out, in, s->mixed);
    const size_t tile = an_linear_room(s) + t.tile_n + AN_PACK_UNIT, views = an_view_count(out, 2);
    return !s->low ? 0 : tile > views ? tile : views;
}

static const char *part_name(const an_step *s, an_direction dir, const an_part *p)
{
    if (dir == AN_FORWARD || p->phase == 0) return dir == AN_FORWARD ? "forward" : "";
    const an_linear_back b = an_linear_back_of(s, false);
    return an_linear_backward_name(&b, p->phase - 1, p->index);
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), in = (double)an_cols(s->in[X]), out = (double)an_cols(s->out[Y]);
    return (an_cost){ 2 * n * in * out + n * out * ((const an_act_attr *)s->attr)->kind->flops, (n * in + in * out + 2 * n * out) * sizeof(an_real) };
}

const an_op an_op_linear_act = { .name = "linear_act", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .part_name = part_name, .work = work, .thread_work = thread_work, .low_in = 1u << X | 1u << W, .low_out = 1u << Y | 1u << Z, .saves_in = 1u << X | 1u << W, .saves_out = 1u << Z, .clobbers = true };
