/* op/embed.c
 * Embedding: x0 = scale * E[token] + P[position]; the row of a padding token (-1) is 0 and gives no gradient.
 * Shapes    tokens [N] (batch x seq)   E [V,C]   P [>= seq, C] (learned, or a fixed table) or absent   x0 [N,C]
 * Saves     tokens                 Cost  2NC flop, 2NC moved
 * Backward  dE[token] += scale * dx0, rows in order;  dP[t] = sum over the batch
 * Errors    build: P shorter than seq or of another width -> AN_ESHAPE
 * Threads   forward: rows; backward: columns of E, so every sum runs over rows in order; positions of P */
#include "op/op.h"

enum { TOKENS, E, P };
enum { COLS = 64 };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_embed_attr *at = s->attr;
    AN_TRY(an_need_rank(s, TOKENS, 1));
    AN_TRY(an_need_rank(s, E, 2));
    const size_t c = an_cols(s->in[E]);
    if (s->in[P]) {
        AN_TRY(an_need_rank(s, P, 2));
        if (an_cols(s->in[P]) != c || an_rows(s->in[P]) < at->seq)
            return an_fail(AN_ESHAPE, "%s: position table is %zu x %zu, need at least %zu x %zu", s->name, an_rows(s->in[P]), an_cols(s->in[P]), at->seq, c);
    }
    return an_out(b, s, 0, "", AN_MAT(s->in[TOKENS]->count, c), false);
}

static size_t column_parts(const an_step *s) { return an_has_grad(s, E) ? (an_cols(s->in[E]) + COLS - 1) / COLS : 0; }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const an_embed_attr *at = s->attr;
    if (phase > 0) return 0;
    if (dir == AN_FORWARD) return an_chunks(s->in[TOKENS]->count);
    return column_parts(s) + (s->in[P] && an_has_grad(s, P) ? an_chunks(at->seq) : 0);
}

/* Rows from i on, before `end`, that are all tokens or all padding. */
static size_t run_of(const int32_t *tokens, size_t i, size_t end)
{
    size_t n = 1;
    while (i + n < end && (tokens[i + n] < 0) == (tokens[i] < 0)) n++;
    return n;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_embed_attr *at = s->attr;
    const int32_t *tokens = s->in[TOKENS]->tokens;
    const size_t c = an_cols(s->in[E]);
    const an_range w = an_chunk(s->in[TOKENS]->count, p->index);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        const size_t t = i % at->seq, room = at->seq - t < w.begin + w.n - i ? at->seq - t : w.begin + w.n - i;
        n = run_of(tokens, i, i + room);
        if (tokens[i] < 0) memset(s->out[0]->data + i * c, 0, n * c * sizeof(an_real));
        else r->k->embed_fwd(n, c, AN_R(at->scale), tokens + i, s->in[E]->data, s->in[P] ? s->in[P]->data + an_place(r, i, at->seq) * c : NULL, s->out[0]->data + i * c);
    }
}

static void backward_positions(const an_run *r, const an_step *s, size_t index)
{
    const an_embed_attr *at = s->attr;
    const size_t c = an_cols(s->in[E]), batch = s->in[TOKENS]->count / at->seq;
    const an_range w = an_chunk(at->seq, index);
    const bool add = an_add(r, s, P);
    if (index == 0 && !add) memset(s->in[P]->grad + at->seq * c, 0, (an_rows(s->in[P]) - at->seq) * c * sizeof(an_real));   /* positions not in this pass */
    if (!add) memset(s->in[P]->grad + w.begin * c, 0, w.n * c * sizeof(an_real));
    for (size_t b = 0; b < batch; b++)
        for (size_t t = w.begin, n; t < w.begin + w.n; t += n) {
            const size_t i = b * at->seq + t;
            n = run_of(s->in[TOKENS]->tokens, i, i + w.begin + w.n - t);
            if (s->in[TOKENS]->tokens[i] >= 0) r->k->scale(n * c, 1, s->out[0]->grad + i * c, s->in[P]->grad + t * c, 1);
        }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_embed_attr *at = s->attr;
    const size_t c = an_cols(s->in[E]), v = an_rows(s->in[E]), columns = column_parts(s);
    if (p->index >= columns) {
        backward_positions(r, s, p->index - columns);
        return;
    }
    const size_t c0 = p->index * COLS, c1 = c0 + COLS < c ? c0 + COLS : c;
    if (!an_add(r, s, E))
        for (size_t i = 0; i < v; i++) memset(s->in[E]->grad + i * c + c0, 0, (c1 - c0) * sizeof(an_real));
    const int32_t *tokens = s->in[TOKENS]->tokens;
    for (size_t i = 0, n; i < s->in[TOKENS]->count; i += n) {
        n = run_of(tokens, i, s->in[TOKENS]->count);
        if (tokens[i] >= 0) r->k->embed_bwd(n, c, c0, c1, AN_R(at->scale), tokens + i, s->out[0]->grad + i * c, s->in[E]->grad);
    }
}

static an_cost cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 2 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_embed = { .name = "embed", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .no_grad_in = 1u << TOKENS };
