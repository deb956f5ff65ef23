/* op/head_xent.c
 * Output head and cross-entropy in chunks of rows, so that [N,V] logits are never all held: z = x w', loss = xent(z).
 * Made by the fusion pass from linear + xent. While training it is `late`: since the gradient of the loss is known in
 * advance, each chunk's logits become its gradient in place and are used at once, inside backward; forward does nothing.
 * Shapes    x [N,C]   w [V,C]   targets [N]   loss [1]       scratch: min(N, 512) x V logits (1,024 in mixed precision), N row losses, x packed ahead
 * Saves     x, w                    Cost  2NCV + 6NV flop
 * Backward  dz as xent;  dx (+)= dz w;  dw (+)= dz' x
 * Errors    build: as linear and xent
 * Threads   per chunk: tiles of logits, rows of softmax, tiles of dx and dw; chunks in order */
#include "op/linear.h"

enum { X, W, TARGET };
enum { CHUNK = 512, MIXED_CHUNK = 1024 };        /* rows; packing w, and passes over dw, weigh more beside faster products */
enum { COLUMNS = 384, FIRST = 2, STAGES = FIRST + 2 };   /* a chunk is one stretch of a linear layer, whose backward pass is two phases from FIRST on */

typedef struct chunk { size_t begin, n; } chunk;

static size_t most_rows(const an_step *s) { return s->mixed ? MIXED_CHUNK : CHUNK; }
static size_t chunks(const an_step *s) { return (an_rows(s->in[X]) + most_rows(s) - 1) / most_rows(s); }
static chunk chunk_at(const an_step *s, size_t i)
{
    const size_t n = an_rows(s->in[X]), begin = i * most_rows(s), left = n - begin;
    return (chunk){ begin, left < most_rows(s) ? left : most_rows(s) };
}

/* work: row losses, one chunk's logits, what is packed of its rows */
static size_t chunk_rows(const an_step *s) { return chunk_at(s, 0).n; }
static an_real *logits_of(const an_step *s) { return s->work + an_rows(s->in[X]); }
static an_real *packed_of(const an_step *s) { return logits_of(s) + chunk_rows(s) * an_rows(s->in[W]); }

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

/* Of a large vocabulary each row of w is read by one tile alone. */
static an_tiles logit_tiles(const an_step *s, size_t n)
{
    const size_t v = an_rows(s->in[W]);
    return v >= AN_LINEAR_LARGE ? an_tiles_of(n, v, n, COLUMNS) : an_tiles_make(n, v, an_cols(s->in[X]), s->mixed);
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

/* Logits become their gradient. In mixed precision it is rounded, each row into the first half of its place: both products read it twice. */
static void softmax_back(const an_run *r, const an_step *s, an_range w, an_real *z, const int32_t *target, an_real *loss)
{
    const size_t v = an_rows(s->in[W]);
    for (size_t i = 0; i < w.n; i++, z += v) {
        r->k->xent_grad(1, v, z, v, target + i, an_loss_grad(r), an_z_loss(s), loss + i);
        if (s->mixed) r->k->narrow(v, z, (an_bf16 *)(void *)z);
    }
}

static an_operand gradient_of(const an_step *s)
{
    const size_t v = an_rows(s->in[W]);
    return s->mixed ? (an_operand){ logits_of(s), sizeof(an_real) / sizeof(an_bf16) * v, AN_STORE_BF16 } : (an_operand){ logits_of(s), v, AN_STORE_REAL };
}

static void run_part(const an_run *r, const an_step *s, const an_part *p, bool gradient)
{
    const size_t index = (size_t)p->phase / STAGES, stage = (size_t)p->phase % STAGES;
    const size_t v = an_rows(s->in[W]), c = an_cols(s->in[X]);
    an_real *losses = s->work, *z = logits_of(s);
    if (index == chunks(s)) {
        s->out[0]->data[0] = an_mean_loss(r, an_rows(s->in[X]), losses);
        return;
    }
    const chunk k = chunk_at(s, index);
    if (stage == 0) {
        const an_tiles g = logit_tiles(s, k.n);
        const an_tile t = an_tiles_at(&g, p->index);
        an_linear_product_tile(r, s, k.begin, t, z + t.i * v + t.j, v);
    } else if (stage == 1) {
        const an_range w = an_chunk(k.n, p->index);
        const int32_t *target = s->in[TARGET]->tokens + k.begin + w.begin;
        if (gradient) softmax_back(r, s, w, z + w.begin * v, target, losses + k.begin + w.begin);
        else r->k->xent_fwd(w.n, v, z + w.begin * v, v, target, an_z_loss(s), losses + k.begin + w.begin);
    } else {
        const an_linear_back of = back_of(s, k.n, false);
        const an_cells to = an_grad_of(s->in[X]);
        const an_cells rows = { !of.dx ? NULL : (an_real *)an_cell(to, k.begin * c), to.store };
        const an_linear_grad g = { of, an_linear_data(s->in[X], k.begin), an_linear_data(s->in[W], 0), gradient_of(s), rows,
            of.dw ? s->in[W]->grad : NULL, NULL, of.dx && an_add(r, s, X), of.dw && (an_add(r, s, W) || index > 0), false, packed_of(s) };
        an_linear_backward_part(r, &g, (int)stage - FIRST, p);
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p) { run_part(r, s, p, false); }
static void backward(const an_run *r, const an_step *s, const an_part *p) { run_part(r, s, p, true); }

static size_t thread_work(const an_step *s)
{
    const an_linear_back b = back_of(s, chunk_rows(s), true);
    return s->low ? an_linear_room_back(&b) : 0;
}

static size_t work(const an_step *s, an_direction dir)
{
    const an_linear_back b = back_of(s, chunk_rows(s), true);
    return an_rows(s->in[X]) + chunk_rows(s) * an_rows(s->in[W]) + (dir == AN_BACKWARD ? an_linear_backward_work(&b) : 0);
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
