/* op/rope.c
 * Rotary positions: the first `heads` heads of each row (queries and keys) are rotated by their position, in place.
 * Shapes    x, y [N, >= heads*width], cos, sin [P, width/2] with P >= last position + 1, tokens [N] or absent; rows are batch x seq.
 *           Positions count tokens; padding (a token < 0) is not rotated
 * Saves     nothing               Cost  3 flop per rotated element
 * Backward  the opposite rotation, in place
 * Errors    build: odd head width, table too short -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Su et al. 2021, arXiv:2104.09864; rotate-half layout: (x[j], x[j + width/2]) turn together */
#include "op/op.h"

enum { X, COS, SIN, TOKENS };

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
    if (s->n_in > TOKENS && s->in[TOKENS]) AN_TRY(an_need(s, TOKENS, AN_VEC(an_rows(s->in[X]))));
    return an_out(b, s, 0, "", s->in[X]->dims, false);
}

static size_t parts(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(an_rows(s->in[X])) : 0; }

/* Rows of one part, cut where a sequence ends, so that table rows run along. */
static void rotate(const an_run *r, const an_step *s, const an_part *p, an_cells v, int sign)
{
    const an_rope_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), half = at->width / 2;
    const int32_t *tokens = s->n_in > TOKENS && s->in[TOKENS] ? s->in[TOKENS]->tokens : NULL;
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    size_t place = tokens ? an_count_tokens(tokens, w.begin - w.begin % at->seq, w.begin) : w.begin % at->seq;
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        const size_t t = i % at->seq;
        n = an_view_rows(s, c, w.begin + w.n - i);
        n = at->seq - t < n ? at->seq - t : n;
        if (t == 0) place = 0;
        if (tokens) n = an_run_of(tokens, i, i + n);
        if ((tokens && tokens[i] < 0) || an_rests(r, i)) continue;
        const size_t at_table = (r->place ? (size_t)r->place[i] : place) * half;
        an_real *x = an_view_to(v, i * c, an_view_room(r, p, c, 0));
        (void)an_view_of(r, v, i * c, n * c, x);
        r->k->rope(n, at->heads, at->width, x, c, s->in[COS]->data + at_table, s->in[SIN]->data + at_table, sign, x, c, 0);
        an_view_done(r, v, i * c, n * c, x);
        place += n;
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p) { rotate(r, s, p, an_data_of(s->out[0]), 1); }
static void backward(const an_run *r, const an_step *s, const an_part *p) { if (s->out[0]->grad) rotate(r, s, p, an_grad_of(s->out[0]), -1); }
static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->in[X]), 1) : 0; }

static an_cost cost(const an_step *s)
{
    const an_rope_attr *at = s->attr;
    const double n = (double)(an_rows(s->in[X]) * at->heads * at->width);
    return (an_cost){ 3 * n, 2 * n * sizeof(an_real) };
}

const an_op an_op_rope = { .name = "rope", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .thread_work = thread_work, .low_in = 1u << X, .low_out = 1, .no_grad_in = 1u << COS | 1u << SIN | 1u << TOKENS, .in_place = true, .clobbers = true };
