/* op/attention_cached.c
 * Attention of one new token per sequence against a key/value cache: decoding, one token at a time.
 * Shapes    qkv [B, C + 2 KV D]   cache [B, 2 KV, P, D] (state: keys of every head, then values)   y [B, C]
 * Saves     nothing; forward only    Cost  4 C (position + 1) flop per sequence
 * Errors    build: shapes differ, KV does not divide H -> AN_ESHAPE. Positions beyond P are refused by the decoder
 * Threads   one part per sequence and head of keys and values, which its query heads read one after the other */
#include "op/op.h"

enum { QKV, CACHE };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_attention_attr *at = s->attr;
    if (at->seq != 1) return an_fail(AN_ESHAPE, "%s: decoding takes one token at a time, got %zu", s->name, at->seq);
    AN_TRY(an_need_heads(s));
    AN_TRY(an_need(s, CACHE, ((an_dims){ 4, { at->batch, 2 * at->kv_heads, at->cache, at->width } })));
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
    const size_t d = at->width, b = p->index / at->kv_heads, head = p->index % at->kv_heads, group = at->heads / at->kv_heads;
    const an_real *q = s->in[QKV]->data + b * an_qkv_width(at), *row = q + (at->heads + head) * d;
    an_real *k = s->in[CACHE]->data + (b * 2 * at->kv_heads + head) * at->cache * d, *v = k + at->kv_heads * at->cache * d;
    an_real *y = s->out[0]->data + (b * at->heads + head * group) * d;
    if (an_rests(r, b)) {
        memset(y, 0, group * d * sizeof *y);
        return;
    }
    const size_t place = an_place(r, b, 1);
    memcpy(k + place * d, row, d * sizeof *k);
    memcpy(v + place * d, row + at->kv_heads * d, d * sizeof *v);
    for (size_t i = 0; i < group; i++)
        r->k->attn_decode(place + 1, d, AN_R(at->scale), q + (head * group + i) * d, k, d, v, d, y + i * d, r->thread_work[p->thread]);
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
