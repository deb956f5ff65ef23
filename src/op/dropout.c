/* op/dropout.c
 * Dropout: y = x / (1-p) where a counter-based coin lands up, else 0; the identity when not training. The mask is never
 * stored: backward tosses the same coins.
 * Shapes    x, y [any], y takes x's place
 * Saves     nothing               Cost  about 12 integer operations per element
 * Backward  dx = dy / (1-p) where kept, in place
 * Errors    build: p outside [0, 1) -> AN_ECONFIG
 * Threads   rows in fixed chunks
 * Source    Srivastava et al. 2014; Philox: core/rng.h */
#include "op/op.h"

static an_status infer(struct an_build *b, an_step *s)
{
    const an_dropout_attr *at = s->attr;
    AN_TRY(an_need_rank(s, 0, 2));
    if (!(at->p >= 0 && at->p < 1)) return an_fail(AN_ECONFIG, "%s: dropout %g is outside [0, 1)", s->name, at->p);
    return an_out(b, s, 0, "", s->in[0]->dims, false);
}

static size_t parts(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(an_rows(s->in[0])) : 0; }

static void toss(const an_run *r, const an_step *s, const an_part *p, an_cells x)
{
    const an_dropout_attr *at = s->attr;
    const size_t c = an_cols(s->in[0]);
    const an_range w = an_chunk(an_rows(s->in[0]), p->index);
    for (size_t i = w.begin, n; r->train && i < w.begin + w.n; i += n) {
        an_real *room = an_view_room(r, p, c, 0);
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *from = an_view_of(r, x, i * c, n * c, room);
        an_real *to = an_view_to(x, i * c, room);
        r->k->dropout(n * c, an_step_key(r, s), i * c, AN_R(at->p), from, to, 0);
        an_view_done(r, x, i * c, n * c, to);
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p) { toss(r, s, p, an_data_of(s->out[0])); }
static void backward(const an_run *r, const an_step *s, const an_part *p) { if (s->out[0]->grad) toss(r, s, p, an_grad_of(s->out[0])); }
static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->in[0]), 1) : 0; }
static an_cost cost(const an_step *s) { const double n = (double)s->in[0]->count; return (an_cost){ 12 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_dropout = { .name = "dropout", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .thread_work = thread_work, .low_in = 1, .low_out = 1, .in_place = true, .clobbers = true };
