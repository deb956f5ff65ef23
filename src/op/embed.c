/* op/embed.c
 * Embedding: x0 = scale * E[token] + P[position]; the row of a padding token (-1) is 0 and gives no gradient, and positions
 * count the tokens before, not the padding.
 * Shapes    tokens [N] (batch x seq)   E [V,C]   P [>= seq, C] (learned, or a fixed table) or absent   x0 [N,C]
 * Saves     tokens                 Cost  2NC flop, 2NC moved
 * Backward  dE[token] (+)= scale * sum of dx0 over the token's rows, in order;  dP[t] = sum over the batch. The rows are sorted by token (a
 *           counting sort), so each row of either table is summed in registers and written once
 * Errors    build: P shorter than seq or of another width, more tokens than an int32 counts -> AN_ESHAPE
 * Threads   forward: rows; backward: one part sorts; then chunks of the sorted rows, a token belonging where its first row lies, by
 *           columns; rows of E that no token names; positions of P */
#include "op/op.h"

enum { TOKENS, E, P };
enum { COLS = 128, BATCH = 64 };   /* columns of a part; rows of one position at a time */

static an_status infer(struct an_build *b, an_step *s)
{
    const an_embed_attr *at = s->attr;
    AN_TRY(an_need_rank(s, TOKENS, 1));
    AN_TRY(an_need_rank(s, E, 2));
    const size_t c = an_cols(s->in[E]);
    if (s->in[TOKENS]->count > INT32_MAX || an_rows(s->in[E]) > INT32_MAX)
        return an_fail(AN_ESHAPE, "%s: %zu tokens of %zu kinds, more than 2147483647 of either; lower batch_size, seq_len or vocab_size", s->name, s->in[TOKENS]->count, an_rows(s->in[E]));
    if (s->in[P]) {
        AN_TRY(an_need_rank(s, P, 2));
        if (an_cols(s->in[P]) != c || an_rows(s->in[P]) < at->seq)
            return an_fail(AN_ESHAPE, "%s: position table is %zu x %zu, need at least %zu x %zu", s->name, an_rows(s->in[P]), an_cols(s->in[P]), at->seq, c);
    }
    return an_out(b, s, 0, "", AN_MAT(s->in[TOKENS]->count, c), false);
}

/* Parts of the second backward phase: sums, rows without a token, positions. */
typedef struct shares { size_t columns, sums, absent, positions; } shares;

static shares share(const an_step *s)
{
    const size_t columns = (an_cols(s->in[E]) + COLS - 1) / COLS;
    const bool table = an_has_grad(s, E), positions = s->in[P] && an_has_grad(s, P);
    return (shares){ columns, table ? an_chunks(s->in[TOKENS]->count) * columns : 0, table ? an_chunks(an_rows(s->in[E])) : 0,
        positions ? an_chunks(((const an_embed_attr *)s->attr)->seq) : 0 };
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const shares h = share(s);
    if (dir == AN_FORWARD) return phase == 0 ? an_chunks(s->in[TOKENS]->count) : 0;
    if (phase == 0) return h.sums || h.positions ? 1 : AN_SKIP_PHASE;
    return phase == 1 ? h.sums + h.absent + h.positions : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_embed_attr *at = s->attr;
    const int32_t *tokens = s->in[TOKENS]->tokens;
    const size_t c = an_cols(s->in[E]);
    const an_range w = an_chunk(s->in[TOKENS]->count, p->index);
    size_t place = an_count_tokens(tokens, w.begin - w.begin % at->seq, w.begin);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        const size_t t = i % at->seq, most = an_view_rows(s, c, w.begin + w.n - i), room = at->seq - t < most ? at->seq - t : most;
        an_real *y = an_view_to(an_data_of(s->out[0]), i * c, an_view_room(r, p, c, 0));
        n = an_run_of(tokens, i, i + room);
        if (t == 0) place = 0;
        if (tokens[i] < 0) {
            memset(y, 0, n * c * sizeof *y);
        } else {
            r->k->embed_fwd(n, c, AN_R(at->scale), tokens + i, s->in[E]->data, s->in[P] ? s->in[P]->data + (r->place ? (size_t)r->place[i] : place) * c : NULL, y);
            place += n;
        }
        an_view_done(r, an_data_of(s->out[0]), i * c, n * c, y);
    }
}

static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->in[E]), 1) : 0; }

/* The step's work: where each token's rows begin in the sorted order [V + 1, and one more while sorting], that order, and the row of
 * each sequence's position, -1 where it has fewer tokens. */
static int32_t *starts(const an_step *s) { return (int32_t *)(void *)s->work; }
static int32_t *sorted(const an_step *s) { return starts(s) + an_rows(s->in[E]) + 2; }
static int32_t *placed(const an_step *s) { return sorted(s) + s->in[TOKENS]->count; }

static void find_places(const an_step *s)
{
    const size_t seq = ((const an_embed_attr *)s->attr)->seq, n = s->in[TOKENS]->count;
    const int32_t *tokens = s->in[TOKENS]->tokens;
    int32_t *row = placed(s);
    for (size_t b = 0; b < n; b += seq) {
        size_t place = b;
        for (size_t i = b; i < b + seq; i++)
            if (tokens[i] >= 0) row[place++] = (int32_t)i;
        while (place < b + seq) row[place++] = -1;
    }
}

static void sort(const an_step *s)
{
    const size_t v = an_rows(s->in[E]), n = s->in[TOKENS]->count;
    const int32_t *tokens = s->in[TOKENS]->tokens;
    int32_t *start = starts(s), *order = sorted(s);
    memset(start, 0, (v + 2) * sizeof *start);
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= 0) start[tokens[i] + 2]++;
    for (size_t t = 2; t < v + 2; t++) start[t] += start[t - 1];
    for (size_t i = 0; i < n; i++)
        if (tokens[i] >= 0) order[start[tokens[i] + 1]++] = (int32_t)i;   /* ends where the next begins */
}

/* The tokens whose first row lies in this chunk of the order, some of their columns. */
static void sum_tokens(const an_run *r, const an_step *s, size_t chunk, size_t block)
{
    const size_t c = an_cols(s->in[E]), c0 = block * COLS, width = c - c0 < COLS ? c - c0 : COLS, all = (size_t)starts(s)[an_rows(s->in[E])];
    const an_range w = an_chunk(s->in[TOKENS]->count, chunk);
    const int32_t *tokens = s->in[TOKENS]->tokens, *start = starts(s), *order = sorted(s);
    const an_real scale = AN_R(((const an_embed_attr *)s->attr)->scale);
    for (size_t i = w.begin; i < w.begin + w.n && i < all;) {
        const size_t t = (size_t)tokens[order[i]], begin = (size_t)start[t], end = (size_t)start[t + 1];
        if (begin == i) r->k->embed_bwd(end - begin, c, width, scale, order + begin, s->out[0]->grad + c0, s->in[E]->grad + t * c + c0, an_add(r, s, E));
        i = end;
    }
}

static void clear_absent(const an_run *r, const an_step *s, size_t chunk)
{
    const size_t c = an_cols(s->in[E]);
    const an_range w = an_chunk(an_rows(s->in[E]), chunk);
    const int32_t *start = starts(s);
    if (an_add(r, s, E)) return;
    for (size_t t = w.begin, end = w.begin + w.n, n; t < end; t += n + 1) {
        for (n = 0; t + n < end && start[t + n] == start[t + n + 1]; n++) {}
        memset(s->in[E]->grad + t * c, 0, n * c * sizeof(an_real));
    }
}

static void sum_position(const an_run *r, const an_step *s, size_t t, bool add)
{
    const size_t seq = ((const an_embed_attr *)s->attr)->seq, c = an_cols(s->in[E]), n = s->in[TOKENS]->count;
    an_real *dp = s->in[P]->grad + t * c;
    int32_t row[BATCH];
    size_t i = t;
    do {
        size_t rows = 0;
        for (; i < n && rows < BATCH; i += seq)
            if (placed(s)[i] >= 0) row[rows++] = placed(s)[i];
        r->k->embed_bwd(rows, c, c, 1, row, s->out[0]->grad, dp, add);
        add = true;
    } while (i < n);
}

static void sum_positions(const an_run *r, const an_step *s, size_t chunk)
{
    const size_t seq = ((const an_embed_attr *)s->attr)->seq, c = an_cols(s->in[E]);
    const an_range w = an_chunk(seq, chunk);
    const bool add = an_add(r, s, P);
    if (chunk == 0 && !add) memset(s->in[P]->grad + seq * c, 0, (an_rows(s->in[P]) - seq) * c * sizeof(an_real));   /* positions not in this pass */
    for (size_t t = w.begin; t < w.begin + w.n; t++) sum_position(r, s, t, add);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const shares h = share(s);
    if (p->phase == 0) {
        if (h.sums) sort(s);
        if (h.positions) find_places(s);
        return;
    }
    if (p->index < h.sums) sum_tokens(r, s, p->index / h.columns, p->index % h.columns);
    else if (p->index < h.sums + h.absent) clear_absent(r, s, p->index - h.sums);
    else sum_positions(r, s, p->index - h.sums - h.absent);
}

static size_t work(const an_step *s, an_direction dir)
{
    const size_t words = an_rows(s->in[E]) + 2 + 2 * s->in[TOKENS]->count;
    return dir == AN_BACKWARD ? (words * sizeof(int32_t) + sizeof(an_real) - 1) / sizeof(an_real) : 0;
}

static an_cost cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 2 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_embed = { .name = "embed", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .work = work, .thread_work = thread_work, .low_out = 1, .real_grad_out = true, .no_grad_in = 1u << TOKENS };
