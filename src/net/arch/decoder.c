/* net/arch/decoder.c
 * Decoder-only transformer: embedding, n_layer blocks of causal self-attention and feed-forward, output head.
 * Source    Radford et al. 2018, 2019 (GPT, GPT-2) */
#include "net/arch.h"
#include "net/design.h"
#include "net/sublayers.h"

static void block(an_net *net, an_stream *s, size_t layer)
{
    static const an_sublayer attention = { an_attention_emit }, feed_forward = { an_feed_forward_emit };
    net->layer = (int64_t)layer;
    net->b->block = (int)layer;
    an_scope_push(net->b, "layers.%zu", layer);
    an_site(net, s, "attn", &attention);
    an_site(net, s, "mlp", &feed_forward);
    an_block_end(net, s);
    an_scope_pop(net->b);
    net->b->block = -1;
    net->layer = -1;
}

static an_value *emit(an_net *net, an_value *tokens)
{
    const an_design *design = an_design_find(an_options_text(net->options, "design"));
    an_package package;
    an_stream s = { 0 };
    an_value *table, *first_value = NULL;
    an_build_fail(net->b, an_design_package(net, design, &package));
    net->package = &package;
    net->first_value = &first_value;
    an_value *x0 = an_embedding_emit(net, tokens, &table);
    if (net->b->status == AN_OK) design->enter(net, &package, x0, &s);
    for (size_t l = 0; l < net->config->n_layer && net->b->status == AN_OK; l++) block(net, &s, l);
    return net->b->status == AN_OK ? an_head_emit(net, design->leave(net, &package, &s), table) : NULL;
}

const an_arch an_arch_decoder = { .name = "decoder", .formula = "tokens -> causal self-attention + feed-forward, n_layer times -> next token",
    .source = "Radford et al. 2019", .sites = "attn|mlp", .tokens = true, .emit = emit };
