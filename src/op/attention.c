/* op/attention.c
 * Multi-head self-attention over packed rows (q | k | v), tiled with an online softmax: no T x T tensor is ever stored.
 * Query heads in groups of H / KV share one head of keys and values.
 * Shapes    qkv [B*T, C + 2 KV D]   tokens [B*T] or absent   y [B*T, C]   lse [B*H, T] (log-sum-exp of the scaled scores)
 *           C = H D; rows of a token < 0 are padding: nobody attends to them, their y and gradients are 0
 * Units     scale multiplies q.k (1/sqrt(head width))
 * Precision qkv, y and their gradients may be stored as bfloat16; all sums are reals, so dqkv is then summed in scratch and rounded last
 * Saves     qkv, y, lse             Cost  4 B H T^2 D flop (causal: half)
 * Backward  probabilities are made again tile by tile from lse; dqkv is SET
 * Errors    build: rows of another width, KV that does not divide H -> AN_ESHAPE; dropout outside [0, 1) -> AN_ECONFIG
 * Threads   forward: one part per head, also per 64 or more query rows where heads are few. Backward: one part per sequence and
 *           head of keys; where those are few or long, per block of queries and block of keys, see below
 * Source    Vaswani et al. 2017, arXiv:1706.03762; online softmax: Milakov & Gimelshein 2018, arXiv:1805.02867;
 *           shared keys and values: Ainslie et al. 2023, arXiv:2305.13245 */
#include "op/op.h"

enum { QKV, TOKENS };
enum { Y, LSE };
/* Parts that keep processors busy; rows of a block of the backward pass, at most and where it stops splitting. */
enum { ENOUGH = 16, ENOUGH_BACK = 8, LONG = 2048, SHORT = 256 };

an_status an_need_heads(const an_step *s)
{
    const an_attention_attr *at = s->attr;
    if (at->kv_heads == 0 || at->heads % at->kv_heads)
        return an_fail(AN_ESHAPE, "%s: %zu heads of keys and values cannot be shared by %zu query heads evenly", s->name, at->kv_heads, at->heads);
    return an_need(s, 0, AN_MAT(at->batch * at->seq, an_qkv_width(at)));
}

static an_status infer(struct an_build *b, an_step *s)
{
    const an_attention_attr *at = s->attr;
    AN_TRY(an_need_heads(s));
    if (s->n_in > TOKENS && s->in[TOKENS]) AN_TRY(an_need(s, TOKENS, AN_VEC(at->batch * at->seq)));
    if (!(at->dropout >= 0 && at->dropout < 1)) return an_fail(AN_ECONFIG, "%s: dropout %g is outside [0, 1)", s->name, at->dropout);
    AN_TRY(an_out(b, s, Y, "", AN_MAT(at->batch * at->seq, at->heads * at->width), false));
    return an_out(b, s, LSE, ".lse", AN_MAT(at->batch * at->heads, at->seq), true);
}

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }

static size_t whole_tiles(size_t rows) { return ceil_div(rows, AN_ATTN_BLOCK) * AN_ATTN_BLOCK; }

static size_t query_rows(const an_attention_attr *at)   /* rows per forward part: whole heads when there are 16, else multiples of 64 */
{
    size_t rows = at->seq;
    while (rows > AN_ATTN_BLOCK && at->batch * at->heads * ceil_div(at->seq, rows) < ENOUGH) rows = whole_tiles(rows / 2);
    return rows;
}

/* Backward: a head of keys is cut into n blocks, and phase s joins queries of block i with keys of block j where i + j = s modulo n. So
 * in a phase no block is a part's queries twice, nor its keys: parts add to gradients in memory, without races, phase after
 * phase, and the order of the sums is that of the phases. Causal (i >= j) this leaves each phase about n / 2 parts, at most two
 * of them on the diagonal. All query heads of a group go through one part, one after the other. What a part costs beside its
 * products goes with its rows: blocks of 256 rows take a seventh longer than whole heads (SPEED.md), so those are cut no further. */
typedef struct cut { size_t rows, n; } cut;

static size_t pairs_of(const an_attention_attr *at, size_t n, size_t phase) { return at->causal ? phase / 2 + 1 + (phase + n) / 2 - phase : n; }

static cut cut_of(const an_attention_attr *at)
{
    size_t rows = at->seq, n = 1;
    while (rows > SHORT && (rows > LONG || at->batch * at->kv_heads * ceil_div(n, at->causal ? 2 : 1) < ENOUGH_BACK)) {
        rows = whole_tiles(rows / 2);
        n = ceil_div(at->seq, rows);
    }
    return (cut){ rows, n };
}

static bool rounds(const an_step *s) { return s->in[QKV]->grad_store != AN_STORE_REAL; }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const an_attention_attr *at = s->attr;
    const cut c = cut_of(at);
    if (dir == AN_FORWARD) return phase == 0 ? at->batch * at->heads * ceil_div(at->seq, query_rows(at)) : 0;
    if ((size_t)phase < c.n) return at->batch * at->kv_heads * pairs_of(at, c.n, (size_t)phase);
    return (size_t)phase == c.n && rounds(s) ? an_chunks(an_rows(s->in[QKV])) : 0;
}

/* Where the head of a sequence begins in qkv, y and lse. */
typedef struct place { size_t q, k, v, y, lse; } place;

static place place_of(const an_attention_attr *at, size_t sequence, size_t head)
{
    const size_t row = sequence * at->seq, q = row * an_qkv_width(at), c = at->heads * at->width;
    const size_t kv = head / (at->heads / at->kv_heads) * at->width;
    return (place){ q + head * at->width, q + c + kv, q + c + at->kv_heads * at->width + kv, row * c + head * at->width, (sequence * at->heads + head) * at->seq };
}

static an_attn_spec spec_of(const an_run *r, const an_step *s, size_t sequence, size_t head)
{
    const an_attention_attr *at = s->attr;
    const size_t ld = an_qkv_width(at);
    const an_value *tokens = s->n_in > TOKENS ? s->in[TOKENS] : NULL;
    return (an_attn_spec){ .t = at->seq, .d = at->width, .ldq = ld, .ldk = ld, .ldv = ld, .ldo = at->heads * at->width,
        .scale = AN_R(at->scale), .causal = at->causal, .qkv = s->in[QKV]->store, .out = s->out[Y]->store, .dout = s->out[Y]->grad_store,
        .tokens = r && tokens ? tokens->tokens + sequence * at->seq : NULL, .rows = cut_of(at).rows, .drop_p = r && r->train ? AN_R(at->dropout) : 0,
        .drop_key = r ? an_step_key(r, s) : (an_rng_key){ { 0, 0 } }, .drop_base = (uint64_t)(sequence * at->heads + head) * at->seq * at->seq };
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_attention_attr *at = s->attr;
    const size_t rows = query_rows(at), blocks = ceil_div(at->seq, rows), head = p->index / blocks % at->heads;
    const size_t b = p->index / blocks / at->heads, q0 = p->index % blocks * rows;
    const an_attn_spec spec = spec_of(r, s, b, head);
    const place w = place_of(at, b, head);
    const an_cells x = an_data_of(s->in[QKV]);
    r->k->attn_fwd(&spec, q0, q0 + rows < at->seq ? q0 + rows : at->seq, an_cell(x, w.q), an_cell(x, w.k), an_cell(x, w.v),
                   an_cell(an_data_of(s->out[Y]), w.y), s->out[LSE]->data + w.lse, r->thread_work[p->thread]);
}

/* Pair `index` of a phase. The first phase of a block of queries i is 0 if one of its keys comes then (2i >= n), else i with keys 0; of a
 * block of keys j likewise: 0 with queries n - j, if those are not before it, else 2j - n with the keys' own. */
static an_attn_block block_of(const an_attention_attr *at, cut c, size_t phase, size_t index)
{
    const size_t low = at->causal && index > phase / 2 ? phase + index - phase / 2 : index, j = low, i = (phase + c.n - j) % c.n;
    const size_t first_q = at->causal && 2 * i < c.n ? i : 0, first_k = at->causal && 2 * j > c.n ? 2 * j - c.n : 0;
    const size_t q1 = (i + 1) * c.rows, k1 = (j + 1) * c.rows;
    return (an_attn_block){ i * c.rows, q1 < at->seq ? q1 : at->seq, j * c.rows, k1 < at->seq ? k1 : at->seq, phase > first_q, phase > first_k };
}

/* The last phase, where gradients are stored as bfloat16. */
static void round_chunk(const an_run *r, const an_step *s, size_t index)
{
    const an_range w = an_chunk(an_rows(s->in[QKV]), index);
    const size_t width = an_cols(s->in[QKV]);
    an_view_done(r, an_grad_of(s->in[QKV]), w.begin * width, w.n * width, s->work + w.begin * width);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_attention_attr *at = s->attr;
    const cut c = cut_of(at);
    const size_t phase = (size_t)p->phase, pairs = pairs_of(at, c.n, phase < c.n ? phase : 0), unit = p->index / pairs;
    const size_t b = unit / at->kv_heads, group = at->heads / at->kv_heads;
    if (phase == c.n) {
        round_chunk(r, s, p->index);
        return;
    }
    an_attn_block block = block_of(at, c, phase, p->index % pairs);
    for (size_t i = 0; i < group; i++, block.add_k = 1) {
        const size_t head = unit % at->kv_heads * group + i;
        const an_attn_spec spec = spec_of(r, s, b, head);
        const place w = place_of(at, b, head);
        const an_cells x = an_data_of(s->in[QKV]);
        an_real *dx = rounds(s) ? s->work : s->in[QKV]->grad;
        r->k->attn_bwd(&spec, &block, an_cell(x, w.q), an_cell(x, w.k), an_cell(x, w.v), an_cell(an_data_of(s->out[Y]), w.y), an_cell(an_grad_of(s->out[Y]), w.y),
                       s->out[LSE]->data + w.lse, dx + w.q, dx + w.k, dx + w.v, r->thread_work[p->thread]);
    }
}

static size_t thread_work(const an_step *s)
{
    const an_attn_spec spec = spec_of(NULL, s, 0, 0);
    return an_attn_work(&spec);
}

static size_t work(const an_step *s, an_direction dir) { return dir == AN_BACKWARD && rounds(s) ? s->in[QKV]->count : 0; }

static an_cost cost(const an_step *s)
{
    const an_attention_attr *at = s->attr;
    const double pairs = (double)(at->batch * at->heads) * (double)at->seq * (double)at->seq * (at->causal ? 0.5 : 1.0);
    return (an_cost){ pairs * (4.0 * (double)at->width + 8), (double)(s->in[QKV]->count + s->out[Y]->count) * sizeof(an_real) };
}

const an_op an_op_attention = { .name = "attention", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2.5, .work = work, .thread_work = thread_work, .low_in = 1u << QKV, .low_out = 1u << Y,
    .saves_in = 1u << QKV, .saves_out = 1u << Y | 1u << LSE, .no_grad_in = 1u << TOKENS, .sets_only = 1u << QKV, .gauges = &an_gauges_attention };
