/* op/linear.c
 * Linear layer: y = x w' + bias.
 * Shapes    x [N,I]   w [O,I]   bias [O] or absent   y [N,O]     scratch: operands packed ahead
 * Saves     x, w                      Cost  2NIO flop, NI + IO + NO moved
 * Backward  dx (+)= dy w;  dw (+)= dy' x;  dbias (+)= sum_N dy
 * Errors    build: widths differ -> AN_ESHAPE
 * Threads   output tiles (op/linear_parts.c); no sum crosses a tile; stretches of rows are added to dw in their order */
#include "op/linear.h"

enum { X, W, B };

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
    if (dir == AN_FORWARD) return an_linear_forward_parts(s, phase);
    const an_linear_back b = an_linear_back_of(s, false);
    return an_linear_backward_parts(&b, phase);
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == AN_LINEAR_PACK) {
        an_linear_forward_pack(s, p);
        return;
    }
    const size_t out = an_cols(s->out[0]);
    const an_tile t = an_linear_forward_at(s, p);
    const an_cells y = an_data_of(s->out[0]);
    const an_real *bias = s->in[B] ? s->in[B]->data : NULL;
    if (y.store != AN_STORE_REAL) an_linear_forward_rounded(r, s, t, bias, y, r->thread_work[p->thread]);
    else an_linear_forward_tile(r, s, t, bias, y.p + t.i * out + t.j, out);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    an_linear_step_backward(r, s, (an_operand){ s->out[0]->grad, an_cols(s->out[0]), s->out[0]->grad_store }, p->phase, p);
}

static size_t work(const an_step *s, an_direction dir)
{
    const an_linear_back b = an_linear_back_of(s, true);
    return dir == AN_FORWARD ? an_linear_forward_work(s) : an_linear_backward_work(&b);
}

static size_t thread_work(const an_step *s) { return an_linear_room(s); }

static const char *part_name(const an_step *s, an_direction dir, const an_part *p)
{
    const an_linear_back b = an_linear_back_of(s, false);
    return dir == AN_FORWARD ? "forward" : an_linear_backward_name(&b, p->phase, p->index);
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), in = (double)an_cols(s->in[X]), out = (double)an_cols(s->out[0]);
    return (an_cost){ 2 * n * in * out, (n * in + in * out + n * out) * sizeof(an_real) };
}

const an_op an_op_linear = { .name = "linear", .infer = an_linear_infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .part_name = part_name, .work = work, .thread_work = thread_work, .low_in = 1u << X | 1u << W, .low_out = 1, .saves_in = 1u << X | 1u << W };
