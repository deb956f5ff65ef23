/* net/embedding.c
 * What stands around the blocks: token table with learned, sinusoidal or rotary positions; linear layers; output head.
 * Source    sinusoids: Vaswani et al. 2017, arXiv:1706.03762, section 3.5 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "net/design.h"
#include "net/init.h"
#include "net/sublayers.h"

const char *an_position_name(size_t i)
{
    static const char *const NAMES[] = { "learned", "sinusoidal", "rotary" };
    return i < sizeof NAMES / sizeof *NAMES ? NAMES[i] : NULL;
}

static an_value *linear(const an_net *net, an_kind kind, const char *name, an_value *x, size_t out, const an_init *init, size_t groups)
{
    if (net->b->status != AN_OK) return NULL;
    char parameter[64];
    snprintf(parameter, sizeof parameter, "%s.weight", name);
    an_value *w = an_param_emit(net, kind, parameter, AN_MAT(out, an_cols(x)), init, groups);
    snprintf(parameter, sizeof parameter, "%s.bias", name);
    an_value *b = net->config->bias ? an_param_const(net, AN_KIND_VECTOR, parameter, out, 0) : NULL;
    return AN_EMIT_BARE(net->b, net->cache ? &an_op_linear_few : &an_op_linear, name, x, w, b);
}

an_value *an_linear_emit(const an_net *net, const char *name, an_value *x, size_t out, const an_init *init, size_t groups)
{
    return linear(net, AN_KIND_MATRIX, name, x, out, init, groups);
}

an_value *an_linear_out_emit(const an_net *net, const char *name, an_value *x, const an_init *init)
{
    return linear(net, AN_KIND_OUTPUT, name, x, net->config->d_model, init, 1);
}

an_value *an_dropout_emit(const an_net *net, const char *name, an_value *x)
{
    const an_dropout_attr attr = { net->config->dropout };
    return net->config->dropout > 0 ? AN_EMIT(net->b, &an_op_dropout, name, &attr, x) : x;
}

static void fill_sinusoids(an_real *out, const an_dims *dims, double base)
{
    const size_t c = dims->d[1];
    for (size_t p = 0; p < dims->d[0]; p++)
        for (size_t j = 0; j < c; j++) {
            const double angle = (double)p * pow(base, -(double)(j - j % 2) / (double)c);
            out[p * c + j] = AN_R(j % 2 ? cos(angle) : sin(angle));
        }
}

static an_value *positions(const an_net *net)
{
    const an_model_config *c = net->config;
    if (strcmp(c->position, "learned") == 0) {
        const an_init init = an_init_embedding(net, true);
        return an_param_emit(net, AN_KIND_EMBEDDING, "pos.weight", AN_MAT(c->seq_len, c->d_model), &init, 1);
    }
    const size_t places = net->cache ? net->cache : net->seq;
    return strcmp(c->position, "sinusoidal") == 0 ? an_const(net->b, "pos", AN_MAT(places, c->d_model), fill_sinusoids, 10000) : NULL;
}

an_value *an_embedding_emit(const an_net *net, an_value *tokens, an_value **table)
{
    const an_init init = an_init_embedding(net, false);
    const an_embed_attr attr = { .scale = net->package->embed_scale, .seq = net->seq };
    an_scope_push(net->b, "embed");
    *table = an_param_emit(net, AN_KIND_EMBEDDING, "tok.weight", AN_MAT(net->config->vocab_size, net->config->d_model), &init, 1);
    an_value *p = positions(net);
    an_value *x = an_dropout_emit(net, "drop", AN_EMIT(net->b, &an_op_embed, "sum", &attr, tokens, *table, p));
    x = an_times_emit(net, net->config->scaling.input, "input", x);
    an_scope_pop(net->b);
    return x;
}

an_value *an_head_emit(const an_net *net, an_value *x, an_value *table)
{
    const an_model_config *c = net->config;
    an_value *w = table;
    if (!c->tie_embeddings) {
        const an_init init = an_init_matrix(net, AN_ROLE_HEAD, c->d_model, c->vocab_size, 0);
        w = an_param_emit(net, AN_KIND_HEAD, "head.weight", AN_MAT(c->vocab_size, c->d_model), &init, 1);
    }
    an_value *logits = AN_EMIT_BARE(net->b, net->cache ? &an_op_linear_few : &an_op_linear, "head", an_times_emit(net, c->scaling.output / c->scaling.width, "output", x), w, NULL);
    return an_stored_emit(net, net->package->logit_scale, "s_z", "logits", logits);
}
