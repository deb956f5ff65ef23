/* op/attention_cached.c
 * Attention of one new token per sequence against a key/value cache: decoding, one token at a time.
 * Shapes    qkv [B, C + 2 KV D]   cache [B, P, 2 KV D] (state: k | v rows by position)   y [B, C]
 * Saves     nothing; forward only    Cost  4 C (position + 1) flop per sequence
 * Errors    build: shapes differ, KV does not divide H -> AN_ESHAPE. Positions beyond P are refused by the decoder
 * Threads   one part per head of keys and values, which its query heads read one after the other */
#include "op/op.h"

enum { QKV, CACHE };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_attention_attr *at = s->attr;
    if (at->seq != 1) return an_fail(AN_ESHAPE, "%s: decoding takes one token at a time, got %zu", s->name, at->seq);
    AN_TRY(an_need_heads(s));
    AN_TRY(an_need(s, CACHE, ((an_dims){ 3, { at->batch, at->cache, 2 * at->kv_heads * at->width } })));
    return an_out(b, s, 0, "", AN_MAT(at->batch, at->heads * at->width), false);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const an_attention_attr *at = s->attr;
    return dir == AN_FORWARD && phase == 0 ? at->batch * at->kv_heads : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_attention_attr *at = s->attr;
    const size_t kv = at->kv_heads * at->width, b = p->index / at->kv_heads, head = p->index % at->kv_heads, group = at->heads / at->kv_heads;
    const an_real *q = s->in[QKV]->data + b * an_qkv_width(at), *k = q + at->heads * at->width + head * at->width;
    an_real *cache = s->in[CACHE]->data + b * at->cache * 2 * kv + head * at->width, *row = cache + r->position * 2 * kv, *y = s->out[0]->data + b * at->heads * at->width;
    memcpy(row, k, at->width * sizeof *row);
    memcpy(row + kv, k + kv, at->width * sizeof *row);
    for (size_t i = head * group; i < (head + 1) * group; i++)
        r->k->attn_decode(r->position + 1, at->width, AN_R(at->scale), q + i * at->width, cache, 2 * kv, cache + kv, 2 * kv, y + i * at->width, r->thread_work[p->thread]);
}

static size_t thread_work(const an_step *s) { return ((const an_attention_attr *)s->attr)->cache + 1; }

static an_cost cost(const an_step *s)
{
    const an_attention_attr *at = s->attr;
    const double cells = (double)(at->batch * at->cache * at->width);   /* per head, at a full cache */
    return (an_cost){ 4 * cells * (double)at->heads, 2 * cells * (double)at->kv_heads * sizeof(an_real) };
}

const an_op an_op_attention_cached = { .name = "attention_cached", .infer = infer, .parts = parts, .forward = forward, .cost = cost,
    .thread_work = thread_work, .no_grad_in = 1u << CACHE };
