/* op/attention.c
 * Multi-head self-attention over packed rows (q | k | v), tiled with an online softmax: no T x T tensor is ever stored.
 * Shapes    qkv [B*T, 3C]   y [B*T, C]   lse [B*H, T] (log-sum-exp of the scaled scores)
 * Units     scale multiplies q.k (1/sqrt(head width))
 * Saves     qkv, y, lse             Cost  4 B H T^2 D flop (causal: half)
 * Backward  probabilities are made again tile by tile from lse; dqkv is SET
 * Errors    build: heads * width != C -> AN_ESHAPE; dropout outside [0, 1) -> AN_ECONFIG
 * Threads   one part per head (forward: also per 64 or more query rows where heads are few)
 * Source    Vaswani et al. 2017, arXiv:1706.03762; online softmax: Milakov & Gimelshein 2018, arXiv:1805.02867 */
#include "op/op.h"

enum { QKV };
enum { Y, LSE };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_attention_attr *at = s->attr;
    const size_t c = at->heads * at->width, n = at->batch * at->seq;
    AN_TRY(an_need(s, QKV, AN_MAT(n, 3 * c)));
    if (!(at->dropout >= 0 && at->dropout < 1)) return an_fail(AN_ECONFIG, "%s: dropout %g is outside [0, 1)", s->name, at->dropout);
    AN_TRY(an_out(b, s, Y, "", AN_MAT(n, c), false));
    return an_out(b, s, LSE, ".lse", AN_MAT(at->batch * at->heads, at->seq), true);
}

static size_t query_rows(const an_attention_attr *at)   /* rows per forward part: whole heads when there are 16, else multiples of 64 */
{
    size_t rows = at->seq;
    while (rows > 64 && at->batch * at->heads * ((at->seq + rows - 1) / rows) < 16) rows = (rows / 2 + 63) / 64 * 64;
    return rows;
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const an_attention_attr *at = s->attr;
    const size_t heads = at->batch * at->heads, rows = query_rows(at);
    if (phase > 0) return 0;
    return dir == AN_BACKWARD ? heads : heads * ((at->seq + rows - 1) / rows);
}

static an_attn_spec spec_of(const an_run *r, const an_step *s, size_t head)
{
    const an_attention_attr *at = s->attr;
    const size_t ld = 3 * at->heads * at->width;
    return (an_attn_spec){ .t = at->seq, .d = at->width, .ldq = ld, .ldk = ld, .ldv = ld, .ldo = at->heads * at->width, .scale = AN_R(at->scale),
        .causal = at->causal, .drop_p = r && r->train ? AN_R(at->dropout) : 0, .drop_key = r ? an_step_key(r, s) : (an_rng_key){ { 0, 0 } },
        .drop_base = (uint64_t)head * at->seq * at->seq };
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_attention_attr *at = s->attr;
    const size_t rows = query_rows(at), blocks = (at->seq + rows - 1) / rows, head = p->index / blocks, q0 = p->index % blocks * rows;
    const size_t c = at->heads * at->width, b = head / at->heads, column = head % at->heads * at->width;
    const an_attn_spec spec = spec_of(r, s, head);
    const an_real *q = s->in[QKV]->data + b * at->seq * 3 * c + column;
    r->k->attn_fwd(&spec, q0, q0 + rows < at->seq ? q0 + rows : at->seq, q, q + c, q + 2 * c, s->out[Y]->data + b * at->seq * c + column,
                   s->out[LSE]->data + head * at->seq, r->thread_work[p->thread]);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_attention_attr *at = s->attr;
    const size_t head = p->index, c = at->heads * at->width, b = head / at->heads, column = head % at->heads * at->width;
    const an_attn_spec spec = spec_of(r, s, head);
    const size_t oq = b * at->seq * 3 * c + column, oy = b * at->seq * c + column;
    const an_real *q = s->in[QKV]->data + oq;
    an_real *dq = s->in[QKV]->grad + oq;
    r->k->attn_bwd(&spec, q, q + c, q + 2 * c, s->out[Y]->data + oy, s->out[Y]->grad + oy, s->out[LSE]->data + head * at->seq, dq, dq + c, dq + 2 * c,
                   r->thread_work[p->thread]);
}

static size_t thread_work(const an_step *s)
{
    const an_attn_spec spec = spec_of(NULL, s, 0);
    return an_attn_work(&spec);
}

static an_cost cost(const an_step *s)
{
    const an_attention_attr *at = s->attr;
    const double pairs = (double)(at->batch * at->heads) * (double)at->seq * (double)at->seq * (at->causal ? 0.5 : 1.0);
    return (an_cost){ pairs * (4.0 * (double)at->width + 8), (double)s->in[QKV]->count * 4 / 3 * sizeof(an_real) };
}

const an_op an_op_attention = { .name = "attention", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2.5, .thread_work = thread_work, .saves_in = 1u << QKV, .saves_out = 1u << Y | 1u << LSE, .sets_only = 1u << QKV, .gauges = &an_gauges_attention };
