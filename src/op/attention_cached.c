/* op/attention_cached.c
 * Attention of one new token per sequence against a key/value cache: decoding, one token at a time.
 * Shapes    qkv [B, 3C]   cache [B, 2 heads, P, C / heads] (state: keys of every head, then values)   y [B, C]
 * Saves     nothing; forward only    Cost  4 C (position + 1) flop per sequence
 * Errors    build: shapes differ -> AN_ESHAPE. Positions beyond P are refused by the decoder
 * Threads   one part per sequence and head */
#include "op/op.h"

enum { QKV, CACHE };

static an_status infer(struct an_build *b, an_step *s)
{
    const an_attention_attr *at = s->attr;
    const size_t c = at->heads * at->width;
    if (at->seq != 1) return an_fail(AN_ESHAPE, "%s: decoding takes one token at a time, got %zu", s->name, at->seq);
    AN_TRY(an_need(s, QKV, AN_MAT(at->batch, 3 * c)));
    AN_TRY(an_need(s, CACHE, ((an_dims){ 4, { at->batch, 2 * at->heads, at->cache, at->width } })));
    return an_out(b, s, 0, "", AN_MAT(at->batch, c), false);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const an_attention_attr *at = s->attr;
    return dir == AN_FORWARD && phase == 0 ? at->batch * at->heads : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_attention_attr *at = s->attr;
    const size_t c = at->heads * at->width, d = at->width, b = p->index / at->heads, head = p->index % at->heads;
    const an_real *q = s->in[QKV]->data + b * 3 * c + head * d;
    an_real *k = s->in[CACHE]->data + (b * 2 * at->heads + head) * at->cache * d, *v = k + at->heads * at->cache * d, *y = s->out[0]->data + b * c + head * d;
    if (an_rests(r, b)) {
        memset(y, 0, d * sizeof *y);
        return;
    }
    const size_t place = an_place(r, b, 1);
    memcpy(k + place * d, q + c, d * sizeof *k);
    memcpy(v + place * d, q + 2 * c, d * sizeof *v);
    r->k->attn_decode(place + 1, d, AN_R(at->scale), q, k, d, v, d, y, r->thread_work[p->thread]);
}

static size_t thread_work(const an_step *s) { return ((const an_attention_attr *)s->attr)->cache + 1; }

static an_cost cost(const an_step *s)
{
    const an_attention_attr *at = s->attr;
    const double cells = (double)(at->batch * at->heads * at->cache * at->width);   /* at a full cache */
    return (an_cost){ 4 * cells, 2 * cells * sizeof(an_real) };
}

const an_op an_op_attention_cached = { .name = "attention_cached", .infer = infer, .parts = parts, .forward = forward, .cost = cost,
    .thread_work = thread_work, .no_grad_in = 1u << CACHE };
