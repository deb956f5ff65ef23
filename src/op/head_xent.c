/* op/head_xent.c
 * Output head and cross-entropy in chunks of rows, so that [N,V] logits are never all held: z = x w', loss = xent(z).
 * Made by the fusion pass from linear + xent. While training it is `late`: since the gradient of the loss is known in
 * advance, each chunk's logits become its gradient in place and are used at once, inside backward; forward does nothing.
 *
 * In mixed precision logits are never stored at all. Of each tile what is kept is the largest logit and the sum of exponentials of each row,
 * and, while training, the exponentials, in bfloat16 and relative to that largest one: rounded so, each is good to a half of its last place
 * whatever the logit's size. When a row's tiles are all known they are scaled into its gradient.
 * Shapes    x [N,C]   w [V,C]   targets [N]   loss [1]       scratch: losses, one chunk's logits (or exponentials, and what is known of its tiles), x packed ahead
 * Saves     x, w                    Cost  2NCV + 6NV flop
 * Backward  dz as xent;  dx (+)= dz w;  dw (+)= dz' x
 * Errors    build: as linear and xent
 * Threads   per chunk: tiles of logits, rows of softmax, tiles of dx and dw; chunks in order */
#include "core/arena.h"
#include "op/linear.h"

enum { X, W, TARGET };
enum { CHUNK = 512, MIXED_CHUNK = 1024 };        /* rows; packing w, and passes over dw, weigh more beside faster products */
enum { COLUMNS = AN_SINK_WIDTH, FIRST = 2, STAGES = FIRST + 2 };   /* a chunk is one stretch of a linear layer, whose backward pass is two phases from FIRST on */

typedef struct chunk { size_t begin, n; } chunk;

static size_t most_rows(const an_step *s) { return s->mixed ? MIXED_CHUNK : CHUNK; }
static size_t chunks(const an_step *s) { return (an_rows(s->in[X]) + most_rows(s) - 1) / most_rows(s); }
static chunk chunk_at(const an_step *s, size_t i)
{
    const size_t n = an_rows(s->in[X]), begin = i * most_rows(s), left = n - begin;
    return (chunk){ begin, left < most_rows(s) ? left : most_rows(s) };
}

/* Where things lie in the step's work, in reals: losses [N]; of a chunk of rows the logits [rows, V], or, in mixed precision, the logit at the
 * target [rows], largest and sum [rows, tiles] and exponentials [rows, ld] (backward only); what is packed of the chunk. */
typedef struct layout { size_t hit, top, sum, z, packed, tiles, ld; } layout;

static layout layout_of(const an_step *s, an_direction dir)
{
    enum { LINE = AN_ALIGN / sizeof(an_real), LOW_LINE = AN_ALIGN / sizeof(an_bf16) };
    const size_t rows = chunk_at(s, 0).n, v = an_rows(s->in[W]);
    layout l = { .tiles = (v + COLUMNS - 1) / COLUMNS, .ld = s->mixed ? (v + LOW_LINE - 1) / LOW_LINE * LOW_LINE : v };
    l.hit = an_rows(s->in[X]);
    l.top = l.hit + (s->mixed ? rows : 0);
    l.sum = l.top + (s->mixed ? rows * l.tiles : 0);
    l.z = (l.sum + (s->mixed ? rows * l.tiles : 0) + LINE - 1) / LINE * LINE;
    l.packed = l.z + (!s->mixed ? rows * v : dir == AN_BACKWARD ? an_store_reals(AN_STORE_BF16, rows * l.ld) : 0);
    return l;
}

static an_status infer(struct an_build *b, an_step *s) { (void)b; return an_need_rank(s, X, 2); }   /* outputs are those it replaces */

/* The linear layer's backward pass over the rows of one chunk. */
static an_linear_back back_of(const an_step *s, size_t n, bool planned)
{
    an_linear_back b = an_linear_back_of(s, planned);
    b.n = n;
    b.db = false;
    b.wide = true;
    return b;
}

/* Of a large vocabulary each row of w is read by one tile alone. In mixed precision no tile is wider than what a sink sees at once. */
static an_tiles logit_tiles(const an_step *s, size_t n)
{
    const size_t v = an_rows(s->in[W]);
    const an_tiles t = v >= AN_LINEAR_LARGE ? an_tiles_of(n, v, n, COLUMNS) : an_tiles_make(n, v, an_cols(s->in[X]), s->mixed);
    return s->mixed ? an_tiles_of(n, v, t.tile_m, COLUMNS) : t;
}

/* Phases per chunk: logits, softmax, (backward only) those of a linear layer for one stretch; one last phase sums the row losses. */
static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const size_t index = (size_t)phase / STAGES, stage = (size_t)phase % STAGES;
    if (index == chunks(s)) return stage == 0 ? 1 : 0;
    if (index > chunks(s)) return 0;
    const chunk w = chunk_at(s, index);
    const an_tiles t = logit_tiles(s, w.n);
    if (stage == 0) return an_tiles_count(&t);
    if (stage == 1) return an_chunks(w.n);
    if (dir == AN_FORWARD) return AN_SKIP_PHASE;
    const an_linear_back b = back_of(s, w.n, false);
    const size_t n = an_linear_backward_parts(&b, (int)stage - FIRST);
    return n ? n : AN_SKIP_PHASE;
}

/* What becomes of a chunk's logits: a tile of them at a time, then rows. */
typedef struct logits { an_sink sink; const an_run *r; const an_step *s; layout at; chunk k; an_tile t; bool gradient; } logits;

static an_bf16 *exponentials(const logits *x, size_t row) { return x->gradient ? (an_bf16 *)(void *)(x->s->work + x->at.z) + row * x->at.ld : NULL; }
static const int32_t *targets(const logits *x, size_t row) { return x->s->in[TARGET]->tokens + x->k.begin + row; }

static void take_logits(const an_sink *sink, size_t i, size_t j, size_t m, size_t n, an_real *z, size_t ld)
{
    const logits *x = (const logits *)(const void *)sink;
    const size_t row = x->t.i + i, column = x->t.j + j, place = row * x->at.tiles + column / COLUMNS;
    for (size_t k = 0; k < m; k++) {
        const int32_t target = targets(x, row)[k];
        if (target >= 0 && (size_t)target >= column && (size_t)target < column + n) x->s->work[x->at.hit + row + k] = z[k * ld + (size_t)target - column];
    }
    an_bf16 *e = exponentials(x, row);
    x->r->k->xent_part(m, n, z, ld, e ? e + column : NULL, x->at.ld, an_past_cache(an_store_reals(AN_STORE_BF16, x->k.n * x->at.ld)), x->s->work + x->at.top + place, x->s->work + x->at.sum + place, x->at.tiles);
}

static void tile_of_logits(logits *x, size_t index, an_real *room)
{
    const an_tiles g = logit_tiles(x->s, x->k.n);
    x->t = an_tiles_at(&g, index);
    an_real *z = x->s->work + x->at.z;
    if (x->s->mixed) an_linear_product_into(x->r, x->s, x->k.begin, x->t, &x->sink, room);
    else an_linear_product_tile(x->r, x->s, x->k.begin, x->t, z + x->t.i * x->at.ld + x->t.j, x->at.ld);
}

static void rows_of_softmax(const logits *x, an_range w)
{
    const an_kernels *k = x->r->k;
    const size_t v = an_rows(x->s->in[W]), place = w.begin * x->at.tiles;
    const int32_t *target = targets(x, w.begin);
    an_real *work = x->s->work, *loss = work + x->k.begin + w.begin, *z = work + x->at.z + w.begin * x->at.ld;
    if (x->s->mixed) k->xent_join(w.n, v, COLUMNS, exponentials(x, w.begin), x->at.ld, work + x->at.top + place, work + x->at.sum + place, x->at.tiles, work + x->at.hit + w.begin, target, an_loss_grad(x->r), an_z_loss(x->s), loss);
    else if (x->gradient) k->xent_grad(w.n, v, z, x->at.ld, target, an_loss_grad(x->r), an_z_loss(x->s), loss);
    else k->xent_fwd(w.n, v, z, x->at.ld, target, an_z_loss(x->s), loss);
}

static void run_part(const an_run *r, const an_step *s, const an_part *p, bool gradient)
{
    const size_t index = (size_t)p->phase / STAGES, stage = (size_t)p->phase % STAGES, c = an_cols(s->in[X]);
    if (index == chunks(s)) {
        s->out[0]->data[0] = an_mean_loss(r, an_rows(s->in[X]), s->work);
        return;
    }
    const chunk k = chunk_at(s, index);
    logits x = { .sink = { take_logits }, .r = r, .s = s, .at = layout_of(s, gradient ? AN_BACKWARD : AN_FORWARD), .k = k, .gradient = gradient };
    if (stage == 0) {
        tile_of_logits(&x, p->index, r->thread_work ? r->thread_work[p->thread] : NULL);
    } else if (stage == 1) {
        rows_of_softmax(&x, an_chunk(k.n, p->index));
    } else {
        const an_linear_back of = back_of(s, k.n, false);
        const an_cells to = an_grad_of(s->in[X]);
        const an_cells rows = { !of.dx ? NULL : (an_real *)an_cell(to, k.begin * c), to.store };
        const an_operand dz = { s->work + x.at.z, x.at.ld, s->mixed ? AN_STORE_BF16 : AN_STORE_REAL };
        const an_linear_grad g = { of, an_linear_data(s->in[X], k.begin), an_linear_data(s->in[W], 0), dz, rows,
            of.dw ? s->in[W]->grad : NULL, NULL, of.dx && an_add(r, s, X), of.dw && (an_add(r, s, W) || index > 0), false, s->work + x.at.packed };
        an_linear_backward_part(r, &g, (int)stage - FIRST, p);
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p) { run_part(r, s, p, false); }
static void backward(const an_run *r, const an_step *s, const an_part *p) { run_part(r, s, p, true); }

static size_t room_of_chunk(const an_step *s, size_t index)
{
    const size_t rows = chunk_at(s, index).n;
    const an_linear_back b = back_of(s, rows, true);
    const an_tiles t = logit_tiles(s, rows);
    const size_t dx = s->low ? an_linear_room_back(&b) : 0, z = s->mixed ? t.tile_m * t.tile_n : 0;
    return dx > z ? dx : z;
}

/* Chunks are alike but for the last: of fewer rows, maybe in higher tiles. */
static size_t thread_work(const an_step *s)
{
    const size_t n = chunks(s), first = room_of_chunk(s, 0), last = n > 1 ? room_of_chunk(s, n - 1) : 0;
    return first > last ? first : last;
}

static size_t work(const an_step *s, an_direction dir)
{
    const an_linear_back b = back_of(s, chunk_at(s, 0).n, true);
    return layout_of(s, dir).packed + (dir == AN_BACKWARD ? an_linear_backward_work(&b) : 0);
}

static const char *part_name(const an_step *s, an_direction dir, const an_part *p)
{
    const size_t index = (size_t)p->phase / STAGES, stage = (size_t)p->phase % STAGES;
    (void)dir;
    if (index == chunks(s)) return "";
    if (stage < FIRST) return stage == 0 ? "forward" : "";
    const an_linear_back b = back_of(s, chunk_at(s, index).n, false);
    return an_linear_backward_name(&b, (int)stage - FIRST, p->index);
}

static an_cost cost(const an_step *s)
{
    const double n = (double)an_rows(s->in[X]), c = (double)an_cols(s->in[X]), v = (double)an_rows(s->in[W]);
    return (an_cost){ 2 * n * c * v + 6 * n * v, (n * c + v * c) * sizeof(an_real) };
}

const an_op an_op_head_xent = { .name = "head_xent", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .part_name = part_name, .work = work, .thread_work = thread_work, .low_in = 1u << X | 1u << W, .saves_in = 1u << X | 1u << W, .no_grad_in = 1u << TARGET, .late = true,
    .gauges = &an_gauges_head_xent };
