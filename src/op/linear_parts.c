/* op/linear_parts.c
 * The products of a linear layer, cut into phases and parts (op/linear.h): which operands are packed ahead, tiles of y, dx and dw, stretches of
 * rows, column chunks of the bias gradient. */
#include "op/linear.h"

enum { X, W, B };
enum { BIAS_COLS = 128, STRETCH = 384, MIXED_STRETCH = 1024 /* bf16 takes half the room, and sums fewer passes over dw */, PACK_PARTS = 8 };

static bool takes_sinks(const an_gemm_packing *ahead) { return ahead && ahead->sinks; }

static void product(const an_run *r, bool mixed, const an_gemm_packing *ahead, const an_product *x)
{
    if (x->ahead_a.p || x->ahead_b.p || x->sink) ahead->run(x);
    else if (mixed) r->gemm->run_low(x->ta, x->tb, x->m, x->n, x->k, x->a, x->b, x->beta, x->c, x->ldc);
    else r->gemm->run(x->ta, x->tb, x->m, x->n, x->k, x->a.p, x->a.ld, x->b.p, x->b.ld, x->beta, x->c, x->ldc);
}

/* The same into a sink, through a room [m, n] where the back end hands nothing over itself. */
static void product_into(const an_run *r, bool mixed, const an_gemm_packing *ahead, an_product x, const an_sink *sink, an_real *room)
{
    if (takes_sinks(ahead)) {
        x.sink = sink;
        product(r, mixed, ahead, &x);
        return;
    }
    x.c = room;
    x.ldc = x.n;
    product(r, mixed, ahead, &x);
    sink->take(sink, 0, 0, x.m, x.n, room, x.n);
}

static const an_gemm_packing *ahead_of(const an_step *s) { return s->mixed ? an_gemm_get()->ahead_low : an_gemm_get()->ahead; }

/* Rows of memory, vectors of their own (trans) or numbers of all vectors, that one part packs; how many parts. */
static size_t pack_rows(int trans, size_t rows)
{
    const size_t each = (rows + PACK_PARTS - 1) / PACK_PARTS, step = trans ? AN_PACK_STEP : AN_PACK_DEPTH;
    return (each + step - 1) / step * step;
}
static size_t pack_parts(int trans, size_t rows) { return (rows + pack_rows(trans, rows) - 1) / pack_rows(trans, rows); }

/* That part of an operand of n vectors of k numbers, which lie along memory (trans) or across it. */
static void pack_part(const an_gemm_packing *ahead, an_side side, int trans, size_t n, size_t k, an_operand x, size_t index, an_real *room)
{
    const size_t rows = trans ? n : k, each = pack_rows(trans, rows), from = index * each;
    ahead->pack(side, trans, n, k, x, from, rows - from < each ? rows - from : each, room);
}

/* Rounds blocks of y or dx into their places. */
typedef struct rounding { an_sink sink; const an_run *r; an_tile t; an_cells to; size_t c; const an_real *bias; bool past; } rounding;

static void take_rounded(const an_sink *sink, size_t i, size_t j, size_t m, size_t n, an_real *sums, size_t ld)
{
    const rounding *x = (const rounding *)(const void *)sink;
    const size_t column = x->t.j + j;
    x->r->k->round_rows(m, n, x->bias ? x->bias + column : NULL, sums, ld, (an_bf16 *)an_cell(x->to, (x->t.i + i) * x->c + column), x->c, 0, x->past);
}

/* Stores blocks of dw past the caches. */
typedef struct storing { an_sink sink; const an_run *r; an_real *to; size_t ld; } storing;

static void take_stored(const an_sink *sink, size_t i, size_t j, size_t m, size_t n, an_real *sums, size_t ld)
{
    const storing *x = (const storing *)(const void *)sink;
    x->r->k->put_past(m, n, sums, ld, x->to + i * x->ld + j, x->ld);
}

/* --- forward --------------------------------------------------------------------------------------------------- */

static an_tiles forward_tiles(const an_step *s) { return an_tiles_make(an_rows(s->in[X]), s->in[W]->dims.d[0], an_cols(s->in[X]), s->mixed); }

/* Does more than one row of tiles read w? Room is planned by shapes alone, so that a plan is the same on every machine. */
static bool repeats_forward(const an_step *s) { return forward_tiles(s).grid_m > 1; }
static bool shares_forward(const an_step *s) { return ahead_of(s) && repeats_forward(s); }

size_t an_linear_forward_parts(const an_step *s, int phase)
{
    const an_tiles t = forward_tiles(s);
    if (phase == AN_LINEAR_PACK) return shares_forward(s) ? pack_parts(1, t.n) : AN_SKIP_PHASE;
    return phase == AN_LINEAR_TILES ? an_tiles_count(&t) : 0;
}

size_t an_linear_forward_work(const an_step *s) { return repeats_forward(s) ? an_packed_room(s->in[W]->dims.d[0], an_cols(s->in[X])) : 0; }

void an_linear_forward_pack(const an_step *s, const an_part *p)
{
    pack_part(ahead_of(s), AN_SIDE_B, 1, s->in[W]->dims.d[0], an_cols(s->in[X]), an_linear_data(s->in[W], 0), p->index, s->work);
}

an_tile an_linear_forward_at(const an_step *s, const an_part *p)
{
    const an_tiles t = forward_tiles(s);
    return shares_forward(s) ? an_tiles_at_units(&t, p->index, 1, ahead_of(s)->unit_b) : an_tiles_at(&t, p->index);
}

/* A tile of x w' of the rows of x from `row` on. */
static an_product forward_product(const an_step *s, size_t row, an_tile t, an_real *to, size_t ldy)
{
    return (an_product){ 0, 1, t.m, t.n, an_cols(s->in[X]), an_linear_data(s->in[X], row + t.i), an_operand_at(an_linear_data(s->in[W], 0), t.j, 0), .c = to, .ldc = ldy };
}

static an_product forward_tile(const an_step *s, an_tile t, an_real *to, size_t ldy)
{
    an_product y = forward_product(s, 0, t, to, ldy);
    if (shares_forward(s)) y.ahead_b = (an_packed){ s->work, s->in[W]->dims.d[0], t.j };
    return y;
}

void an_linear_forward_tile(const an_run *r, const an_step *s, an_tile t, const an_real *bias, an_real *to, size_t ldy)
{
    an_product y = forward_tile(s, t, to, ldy);
    if (bias) {
        for (size_t i = 0; i < t.m; i++) memcpy(to + i * ldy, bias + t.j, t.n * sizeof *to);
        y.beta = 1;                                      /* the product adds onto it */
    }
    product(r, s->mixed, ahead_of(s), &y);
}

void an_linear_forward_into(const an_run *r, const an_step *s, an_tile t, const an_sink *sink, an_real *room)
{
    product_into(r, s->mixed, ahead_of(s), forward_tile(s, t, NULL, 0), sink, room);
}

void an_linear_forward_rounded(const an_run *r, const an_step *s, an_tile t, const an_real *bias, an_cells y, an_real *room)
{
    const rounding to = { { take_rounded }, r, t, y, an_cols(s->out[0]), bias, r->far_saved };
    an_linear_forward_into(r, s, t, &to.sink, room);
}

void an_linear_product_tile(const an_run *r, const an_step *s, size_t row, an_tile t, an_real *to, size_t ldy)
{
    const an_product y = forward_product(s, row, t, to, ldy);
    product(r, s->mixed, NULL, &y);
}

void an_linear_product_into(const an_run *r, const an_step *s, size_t row, an_tile t, const an_sink *sink, an_real *room)
{
    product_into(r, s->mixed, ahead_of(s), forward_product(s, row, t, NULL, 0), sink, room);
}

/* --- backward -------------------------------------------------------------------------------------------------- */

/* What a phase consists of, in this order. */
enum { INPUT, WEIGHT, BIAS, PACK_WEIGHT, PACK_ROWS, KINDS };

typedef struct an_stretch { size_t row, n; } an_stretch;

/* A vocabulary's w, if it is large, is read from memory by every row of tiles: columns first, rows only for want of parts. */
static an_tiles input_tiles(const an_linear_back *b)
{
    enum { COLUMNS = 384, ENOUGH = 4 };
    const size_t columns = (b->in + COLUMNS - 1) / COLUMNS, rows = (ENOUGH + columns - 1) / columns;
    return b->wide && b->out >= AN_LINEAR_LARGE ? an_tiles_of(b->n, b->in, (b->n + rows - 1) / rows, COLUMNS) : an_tiles_make(b->n, b->in, b->out, b->mixed);
}
static an_tiles weight_tiles(const an_linear_back *b) { return an_tiles_make(b->out, b->in, b->n, b->mixed); }   /* in every stretch the same */

static size_t room_of(an_tiles t) { return t.tile_m * (t.tile_n + AN_PACK_UNIT); }
size_t an_linear_room_back(const an_linear_back *b) { return room_of(input_tiles(b)); }
size_t an_linear_room(const an_step *s)
{
    const an_linear_back b = an_linear_back_of(s, true);
    const size_t y = room_of(forward_tiles(s)), x = an_linear_room_back(&b);
    return !s->low ? 0 : x > y ? x : y;
}

/* Does more than one row of tiles of dx read w, more than one tile of dw the rows? */
static bool repeats_weight(const an_linear_back *b) { return b->dx && !b->wide && input_tiles(b).grid_m > 1; }
static bool repeats_rows(const an_linear_back *b)
{
    const an_tiles t = weight_tiles(b);
    return b->dw && an_tiles_count(&t) > 1;
}
static bool shares_weight(const an_linear_back *b) { return b->ahead && repeats_weight(b); }
static bool shares_rows(const an_linear_back *b) { return b->ahead && repeats_rows(b); }

/* Rows of a stretch: about equal, and so few that what is packed of them stays in the caches. */
static size_t stretch_rows(const an_linear_back *b)
{
    const size_t most = b->mixed ? MIXED_STRETCH : STRETCH, parts = b->wide ? 1 : (b->n + most - 1) / most;
    return parts ? ((b->n + parts - 1) / parts + 7) / 8 * 8 : 0;
}

/* Without packing all rows are one. */
static an_stretch stretch_at(const an_linear_back *b, size_t index)
{
    const size_t each = shares_rows(b) ? stretch_rows(b) : b->n, row = index * each;
    return (an_stretch){ row, row >= b->n ? 0 : b->n - row < each ? b->n - row : each };
}

/* Scratch: w, then room for two stretches, one of which is packed while the other is read; in it x, then dy. */
static size_t weight_room(const an_linear_back *b) { return repeats_weight(b) ? an_packed_room(b->in, b->out) : 0; }
static size_t stretch_room(const an_linear_back *b) { return repeats_rows(b) ? an_packed_room(b->in, stretch_rows(b)) + (b->wide ? 0 : an_packed_room(b->out, stretch_rows(b))) : 0; }
size_t an_linear_backward_work(const an_linear_back *b) { return weight_room(b) + (b->n > stretch_rows(b) ? 2 : 1) * stretch_room(b); }
static an_real *packed_x(const an_linear_grad *g, size_t stretch) { return g->room + weight_room(&g->of) + stretch % 2 * stretch_room(&g->of); }
static an_real *packed_dy(const an_linear_grad *g, size_t stretch) { return packed_x(g, stretch) + an_packed_room(g->of.in, stretch_rows(&g->of)); }

/* Phase 0 packs w and the first stretch; phase i > 0 adds up stretch i - 1 and packs the next, phase 1 also makes dx and the bias gradient. */
static void count_parts(const an_linear_back *b, int phase, size_t *n)
{
    const an_stretch next = stretch_at(b, (size_t)phase), now = phase > 0 ? stretch_at(b, (size_t)phase - 1) : (an_stretch){ 0, 0 };
    const an_tiles tx = input_tiles(b), tw = weight_tiles(b);
    n[INPUT] = phase == 1 && b->dx ? an_tiles_count(&tx) : 0;
    n[WEIGHT] = now.n && b->dw ? an_tiles_count(&tw) : 0;
    n[BIAS] = phase == 1 && b->db ? (b->out + BIAS_COLS - 1) / BIAS_COLS : 0;
    n[PACK_WEIGHT] = phase == 0 && shares_weight(b) ? pack_parts(0, b->out) : 0;
    n[PACK_ROWS] = next.n && shares_rows(b) ? pack_parts(0, next.n) : 0;
}

/* Which kind of part this is, and which of them. */
static int part_kind(const an_linear_back *b, int phase, size_t *index)
{
    size_t n[KINDS];
    int kind = 0;
    count_parts(b, phase, n);
    for (; kind + 1 < KINDS && *index >= n[kind]; kind++) *index -= n[kind];
    return kind;
}

size_t an_linear_backward_parts(const an_linear_back *b, int phase)
{
    size_t n[KINDS], all = 0;
    count_parts(b, phase, n);
    for (int i = 0; i < KINDS; i++) all += n[i];
    return all || phase > 0 ? all : AN_SKIP_PHASE;
}

const char *an_linear_backward_name(const an_linear_back *b, int phase, size_t index)
{
    static const char *const NAME[KINDS] = { [INPUT] = "input grad", [WEIGHT] = "weight grad", [BIAS] = "", [PACK_WEIGHT] = "input grad", [PACK_ROWS] = "weight grad" };
    return NAME[part_kind(b, phase, &index)];
}

/* Columns of dy in reals, some rows at a time where they are stored as bfloat16. */
static void bias_gradient(const an_run *r, const an_linear_grad *g, size_t index)
{
    enum { ROWS = 16 };
    const size_t c0 = index * BIAS_COLS, c = g->of.out - c0 < BIAS_COLS ? g->of.out - c0 : BIAS_COLS;
    if (g->dy.store == AN_STORE_REAL) {
        r->k->col_sum(g->of.n, c, (const an_real *)g->dy.p + c0, g->dy.ld, g->db + c0, g->add_b);
        return;
    }
    an_real room[ROWS * BIAS_COLS];
    for (size_t i = 0; i < g->of.n; i += ROWS) {
        const size_t n = g->of.n - i < ROWS ? g->of.n - i : ROWS;
        for (size_t k = 0; k < n; k++) r->k->widen(c, (const an_bf16 *)g->dy.p + (i + k) * g->dy.ld + c0, room + k * c);
        r->k->col_sum(n, c, room, c, g->db + c0, g->add_b || i > 0);
    }
}

static void input_gradient(const an_run *r, const an_linear_grad *g, size_t index, int thread)
{
    const an_linear_back *b = &g->of;
    const bool shared = shares_weight(b), rounds = g->dx.store != AN_STORE_REAL;
    const an_tiles tx = input_tiles(b);
    const an_tile t = shared ? an_tiles_at_units(&tx, index, 1, b->ahead->unit_b) : an_tiles_at(&tx, index);
    an_product dx = { 0, 0, t.m, t.n, b->out, an_operand_at(g->dy, t.i, 0), an_operand_at(g->w, 0, t.j), .beta = 0 };
    if (shared) dx.ahead_b = (an_packed){ g->room, b->in, t.j };
    if (rounds) {
        const rounding to = { { take_rounded }, r, t, g->dx, b->in, NULL, false };
        product_into(r, b->mixed, b->ahead, dx, &to.sink, r->thread_work[thread]);
        return;
    }
    dx.beta = g->add_x ? 1 : 0;
    dx.c = g->dx.p + t.i * b->in + t.j;
    dx.ldc = b->in;
    product(r, b->mixed, b->ahead, &dx);
}

static void weight_gradient(const an_run *r, const an_linear_grad *g, size_t stretch, size_t index)
{
    const an_linear_back *b = &g->of;
    const an_stretch rows = stretch_at(b, stretch);
    const bool shared = shares_rows(b);
    const an_tiles tw = weight_tiles(b);
    const an_tile t = shared ? an_tiles_at_units(&tw, index, b->wide ? 1 : b->ahead->unit_a, b->ahead->unit_b) : an_tiles_at(&tw, index);
    an_product dw = { 1, 0, t.m, t.n, rows.n, an_operand_at(g->dy, rows.row, t.i), an_operand_at(g->x, rows.row, t.j),
        .beta = g->add_w || stretch > 0 ? 1 : 0, .c = g->dw + t.i * b->in + t.j, .ldc = b->in };
    if (shared) dw.ahead_b = (an_packed){ packed_x(g, stretch), b->in, t.j };
    if (shared && !b->wide) dw.ahead_a = (an_packed){ packed_dy(g, stretch), b->out, t.i };
    const storing to = { { take_stored }, r, dw.c, dw.ldc };
    if (dw.beta == 0 && r->far_grads && takes_sinks(b->ahead)) dw.sink = &to.sink;      /* also where another stretch adds to it: 1.03 of a step of width 384 */
    product(r, b->mixed, b->ahead, &dw);
}

static void pack_stretch(const an_linear_grad *g, size_t stretch, size_t index)
{
    const an_linear_back *b = &g->of;
    const an_stretch rows = stretch_at(b, stretch);
    pack_part(b->ahead, AN_SIDE_B, 0, b->in, rows.n, an_operand_at(g->x, rows.row, 0), index, packed_x(g, stretch));
    if (!b->wide) pack_part(b->ahead, AN_SIDE_A, 0, b->out, rows.n, an_operand_at(g->dy, rows.row, 0), index, packed_dy(g, stretch));
}

void an_linear_backward_part(const an_run *r, const an_linear_grad *g, int phase, const an_part *p)
{
    size_t index = p->index;
    switch (part_kind(&g->of, phase, &index)) {
    case INPUT: input_gradient(r, g, index, p->thread); break;
    case WEIGHT: weight_gradient(r, g, (size_t)phase - 1, index); break;
    case BIAS: bias_gradient(r, g, index); break;
    case PACK_WEIGHT: pack_part(g->of.ahead, AN_SIDE_B, 0, g->of.in, g->of.out, g->w, index, g->room); break;
    case PACK_ROWS: pack_stretch(g, (size_t)phase, index); break;
    default: break;
    }
}

an_linear_back an_linear_back_of(const an_step *s, bool planned)
{
    return (an_linear_back){ .n = an_rows(s->in[X]), .in = an_cols(s->in[X]), .out = s->in[W]->dims.d[0], .mixed = s->mixed,
        .dx = planned || an_has_grad(s, X), .dw = planned || an_has_grad(s, W), .db = planned || an_has_grad(s, B), .ahead = ahead_of(s) };
}

void an_linear_step_backward(const an_run *r, const an_step *s, an_operand dy, int phase, const an_part *p)
{
    const an_linear_back of = an_linear_back_of(s, false);
    const an_linear_grad g = { of, an_linear_data(s->in[X], 0), an_linear_data(s->in[W], 0), dy,
        of.dx ? an_grad_of(s->in[X]) : (an_cells){ NULL, AN_STORE_REAL }, of.dw ? s->in[W]->grad : NULL, of.db ? s->in[B]->grad : NULL,
        of.dx && an_add(r, s, X), of.dw && an_add(r, s, W), of.db && an_add(r, s, B), s->work };
    an_linear_backward_part(r, &g, phase, p);
}
