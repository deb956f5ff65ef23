/* net/attention.c
 * Causal multi-head self-attention: q|k|v in one product, rotation of q and k where positions are rotary, attention over
 * the sequence (training) or the cache (decoding), output projection, dropout. */
#include <math.h>
#include <string.h>

#include "net/init.h"
#include "net/sublayers.h"

/* Table row p, column j: p / base^(2j / width). */
static void fill_angles(an_real *out, const an_dims *dims, double base, double (*f)(double))
{
    const size_t half = dims->d[1];
    for (size_t p = 0; p < dims->d[0]; p++)
        for (size_t j = 0; j < half; j++) out[p * half + j] = AN_R(f((double)p * pow(base, -(double)j / (double)half)));
}

static void fill_cos(an_real *out, const an_dims *dims, double base) { fill_angles(out, dims, base, cos); }
static void fill_sin(an_real *out, const an_dims *dims, double base) { fill_angles(out, dims, base, sin); }

static an_value *rotate(const an_net *net, an_value *qkv)
{
    const an_model_config *c = net->config;
    const size_t width = c->d_model / c->n_head, places = net->cache ? net->cache : net->seq;
    const an_rope_attr attr = { net->seq, 2 * c->n_head, width };
    an_value *cos_t = an_const(net->b, "cos", AN_MAT(places, width / 2), fill_cos, c->rope_base);
    an_value *sin_t = an_const(net->b, "sin", AN_MAT(places, width / 2), fill_sin, c->rope_base);
    return AN_EMIT(net->b, &an_op_rope, "rope", &attr, qkv, cos_t, sin_t);
}

an_value *an_attention_emit(const an_net *net, an_value *u)
{
    const an_model_config *c = net->config;
    const size_t d = c->d_model, width = d / c->n_head;
    const an_init qkv_init[] = { an_init_matrix(net, AN_ROLE_QK, d, d, 2 * d), an_init_matrix(net, AN_ROLE_V, d, d, d) };
    const an_init out_init = an_init_matrix(net, AN_ROLE_O, d, d, 0);
    an_value *qkv = an_linear_emit(net, "qkv", u, 3 * d, qkv_init, 2);
    if (strcmp(c->position, "rotary") == 0) qkv = rotate(net, qkv);
    const an_attention_attr attr = { .batch = net->batch, .seq = net->seq, .heads = c->n_head, .width = width, .cache = net->cache,
        .scale = 1 / sqrt((double)width), .dropout = c->dropout, .causal = true };
    an_value *y;
    if (net->cache) {
        an_value *cache = an_state(net->b, "cache", (an_dims){ 3, { net->batch, net->cache, 2 * d } });
        y = AN_EMIT(net->b, &an_op_attention_cached, "attention", &attr, qkv, cache);
    } else {
        y = AN_EMIT(net->b, &an_op_attention, "attention", &attr, qkv);
    }
    return an_dropout_emit(net, "drop", an_linear_emit(net, "out", y, d, &out_init, 1));
}
