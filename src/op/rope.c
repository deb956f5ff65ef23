/* op/rope.c
 * Rotary positions: the first `heads` heads of each row (queries and keys) are rotated by their position, in place.
 * Shapes    x, y [N, >= heads*width], cos, sin [P, width/2] with P >= last position + 1; rows are batch x seq
 * Saves     nothing               Cost  3 flop per rotated element
 * Backward  the opposite rotation, in place
 * Errors    build: odd head width, table too short -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Su et al. 2021, arXiv:2104.09864; rotate-half layout: (x[j], x[j + width/2]) turn together */
#include "op/op.h"

enum { X, COS, SIN };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_rope_attr *at = s->attr;
    AN_TRY(an_need_rank(s, X, 2));
    if (at->width % 2) return an_fail(AN_ESHAPE, "%s: rotary positions need an even head width, got %zu (d_model / n_head); choose another n_head", s->name, at->width);
    if (at->heads * at->width > an_cols(s->in[X])) return an_fail(AN_ESHAPE, "%s: %zu heads of %zu do not fit a row of %zu", s->name, at->heads, at->width, an_cols(s->in[X]));
    for (int i = COS; i <= SIN; i++) {
        AN_TRY(an_need_rank(s, i, 2));
        if (an_cols(s->in[i]) != at->width / 2 || an_rows(s->in[i]) < at->seq)
            return an_fail(AN_ESHAPE, "%s: rotation table is %zu x %zu, need at least %zu x %zu", s->name, an_rows(s->in[i]), an_cols(s->in[i]), at->seq, at->width / 2);
    }
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static size_t parts(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(an_rows(s->in[X])) : 0; }

/* Rows of one part, cut where a sequence ends, so that table rows run along. */
static void rotate(const an_run *r, const an_step *s, const an_part *p, an_real *x, int sign)
{
    const an_rope_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), half = at->width / 2;
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        const size_t t = i % at->seq, pos = an_rests(r, i) ? 0 : an_place(r, i, at->seq);
        n = at->seq - t < w.begin + w.n - i ? at->seq - t : w.begin + w.n - i;
        r->k->rope(n, at->heads, at->width, x + i * c, c, s->in[COS]->data + pos * half, s->in[SIN]->data + pos * half, sign, x + i * c, c, 0);
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p) { rotate(r, s, p, s->out[0]->data, 1); }
static void backward(const an_run *r, const an_step *s, const an_part *p) { if (s->out[0]->grad) rotate(r, s, p, s->out[0]->grad, -1); }

static an_cost cost(const an_step *s)
{
    const an_rope_attr *at = s->attr;
    const double n = (double)(an_rows(s->in[X]) * at->heads * at->width);
    return (an_cost){ 3 * n, 2 * n * sizeof(an_real) };
}

const an_op an_op_rope = { .name = "rope", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .no_grad_in = 1u << COS | 1u << SIN, .in_place = true, .clobbers = true };
