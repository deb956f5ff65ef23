/* net/attention.c
 * Causal multi-head self-attention: q|k|v in one product, rotation of q and k where positions are rotary, attention over
 * the sequence (training) or the cache (decoding), output projection, dropout. Keys and values may have fewer heads than
 * queries, which then share them. */
#include <math.h>
#include <string.h>

#include "net/design.h"
#include "net/init.h"
#include "net/norm.h"
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
    const an_rope_attr attr = { net->seq, c->n_head + c->n_kv_head, width };
    an_value *cos_t = an_const(net->b, "cos", AN_MAT(places, width / 2), fill_cos, c->rope_base);
    an_value *sin_t = an_const(net->b, "sin", AN_MAT(places, width / 2), fill_sin, c->rope_base);
    return AN_EMIT(net->b, &an_op_rope, "rope", &attr, qkv, cos_t, sin_t, net->tokens);
}

static bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

const char *an_attention_choice(const an_net *net, const char *key, const char *prescribed)
{
    const char *text = an_here_text(net, key);
    return is(text, "auto") ? prescribed : text;
}

/* v <- (v_1 + v) / 2, or a learned weighting that starts there; the first layer only hands its values on. */
static an_value *mix_values(const an_net *net, const char *how, an_value *v)
{
    if (is(how, "off")) return v;
    if (!*net->first_value) return *net->first_value = v;
    if (is(how, "half")) {
        const an_residual_attr half = { .a = 0.5, .b = 0.5 };
        return AN_EMIT(net->b, &an_op_residual, "value_mix", &half, *net->first_value, v);
    }
    const an_gain_attr plain = { .factor = 1 };
    an_value *first = AN_EMIT(net->b, &an_op_gain, "value_first", &plain, *net->first_value, an_param_const(net, AN_KIND_SCALE, "value_first", 1, 0.5));
    an_value *own = AN_EMIT(net->b, &an_op_gain, "value_own", &plain, v, an_param_const(net, AN_KIND_SCALE, "value_own", 1, 0.5));
    const an_residual_attr sum = { .a = 1, .b = 1 };
    return AN_EMIT(net->b, &an_op_residual, "value_mix", &sum, first, own);
}

static bool take_apart(const an_net *net, const char *name, const an_split_attr *attr, an_value *qkv, an_value *part[3])
{
    AN_EMIT(net->b, &an_op_split, name, attr, qkv);
    if (net->b->status != AN_OK) return false;
    memcpy(part, net->b->plan->steps[net->b->plan->n_steps - 1]->out, 3 * sizeof *part);
    return true;
}

/* Norms on queries, keys and values, before positions are turned in, and value residuals: q|k|v is taken apart and packed again. */
static an_value *treat_qkv(const an_net *net, an_value *qkv)
{
    const an_inside *inside = &net->package->inside;
    const char *qk = an_attention_choice(net, "qk_norm", inside->qk_norm), *residual = an_attention_choice(net, "value_residual", inside->value_residual);
    if (!qkv || (is(qk, "off") && !inside->v_norm && is(residual, "off"))) return qkv;
    const size_t d = net->config->d_model, head = d / net->config->n_head, kv = an_kv_width(net);
    const bool full = is(qk, "full");
    const an_split_attr attr = { 3, { d, kv, kv }, { full ? d : head, full ? kv : head, inside->v_norm ? head : kv } };
    an_value *part[3];
    if (!take_apart(net, "parts", &attr, qkv, part)) return NULL;
    an_value *q = part[0], *k = part[1], *v = part[2];
    if (!is(qk, "off")) {
        q = an_norm_emit_kind(net, "rmsnorm", "q_norm", q);
        k = an_norm_emit_kind(net, "rmsnorm", "k_norm", k);
    }
    if (inside->v_norm) v = an_norm_emit_kind(net, "rmsnorm", "v_norm", v);
    return AN_EMIT(net->b, &an_op_pack, "packed", &attr, q, k, mix_values(net, residual, v));
}

/* Queries and keys at length 1 per head, times a learned vector, behind the positions. Both read one vector, unless keys have
 * fewer heads and so need their own. */
static an_value *to_sphere(const an_net *net, an_value *qkv)
{
    const an_inside *inside = &net->package->inside;
    const size_t d = net->config->d_model, head = d / net->config->n_head, kv = an_kv_width(net);
    const an_split_attr attr = { 3, { d, kv, kv }, { d, kv, kv } };
    an_value *part[3];
    if (!inside->qk_unit || !qkv) return qkv;
    if (!take_apart(net, "turned", &attr, qkv, part)) return NULL;
    an_value *q = an_stored_emit(net, inside->qk_scale, "s_qk", "q_scaled", an_unit_emit(net, "q_unit", head, part[0]));
    an_value *k = an_stored_emit(net, inside->qk_scale, kv == d ? "s_qk" : "s_k", "k_scaled", an_unit_emit(net, "k_unit", head, part[1]));
    return AN_EMIT(net->b, &an_op_pack, "sphere", &attr, q, k, part[2]);
}

size_t an_kv_width(const an_net *net) { return net->config->d_model / net->config->n_head * net->config->n_kv_head; }

double an_attention_scale(const an_net *net)
{
    const double prescribed = net->package->inside.scores, width = (double)(net->config->d_model / net->config->n_head);
    return prescribed > 0 ? prescribed : net->config->scaling.on ? 1 / width : 1 / sqrt(width);
}

/* One learned scalar per head, before the output projection. */
static an_value *scale_heads(const an_net *net, an_value *y)
{
    const an_gain_attr attr = { .factor = 1 };
    return AN_EMIT(net->b, &an_op_gain, "heads", &attr, y, an_param_const(net, AN_KIND_SCALE, "head_scale", net->config->n_head, 1));
}

an_value *an_attention_emit(const an_net *net, an_value *u)
{
    const an_model_config *c = net->config;
    const size_t d = c->d_model, width = d / c->n_head, kv = an_kv_width(net);
    const an_init qkv_init[] = { an_init_matrix(net, AN_ROLE_QK, d, d, d), an_init_matrix(net, AN_ROLE_QK, d, kv, kv), an_init_matrix(net, AN_ROLE_V, d, kv, kv) };
    const an_init out_init = an_init_matrix(net, AN_ROLE_O, d, d, 0);
    an_value *qkv = an_linear_emit(net, "qkv", u, d + 2 * kv, qkv_init, 3);
    qkv = treat_qkv(net, qkv);
    if (strcmp(c->position, "rotary") == 0) qkv = rotate(net, qkv);
    qkv = to_sphere(net, qkv);
    const an_attention_attr attr = { .batch = net->batch, .seq = net->seq, .heads = c->n_head, .kv_heads = c->n_kv_head, .width = width, .cache = net->cache,
        .scale = an_attention_scale(net), .dropout = c->dropout, .causal = !net->bidirectional };
    an_value *y;
    if (net->cache) {
        an_value *cache = an_state(net->b, "cache", (an_dims){ 4, { net->batch, 2 * c->n_kv_head, net->cache, width } });
        y = AN_EMIT(net->b, &an_op_attention_cached, "attention", &attr, qkv, cache);
    } else {
        y = AN_EMIT(net->b, &an_op_attention, "attention", &attr, qkv, net->tokens);
    }
    if (net->package->inside.head_scale) y = scale_heads(net, y);
    y = an_slot(net, net->package->inside.attn_norm, "inner", y);
    return an_dropout_emit(net, "drop", an_linear_out_emit(net, "out", y, &out_init));
}
