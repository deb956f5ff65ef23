/* net/sublayers.h
 * The functions that designs wrap (attention, feed-forward), and what stands before and after the blocks (embedding with
 * positions, output head). Each emits steps and parameters in the current scope. */
#ifndef AN_NET_SUBLAYERS_H
#define AN_NET_SUBLAYERS_H

#include "net/net.h"

an_value *an_attention_emit(const an_net *net, an_value *u);       /* causal self-attention of [N,C] */
an_value *an_feed_forward_emit(const an_net *net, an_value *u);

/* What attention does at this place: qk_norm and value_residual (the key, or with auto what the design prescribes), and the
 * factor on q k'. */
const char *an_attention_choice(const an_net *net, const char *key, const char *prescribed);
double an_attention_scale(const an_net *net);
size_t an_kv_width(const an_net *net);                                                /* columns of keys, and of values: n_kv_head heads */

an_value *an_embedding_emit(const an_net *net, an_value *tokens, an_value **table);   /* x0 [N,C]; *table: the token table, for a tied head */
an_value *an_head_emit(const an_net *net, an_value *x, an_value *table);              /* logits [N,V] */

/* y = x w' + bias in the scope `name`, w in row groups of their own init. */
an_value *an_linear_emit(const an_net *net, const char *name, an_value *x, size_t out, const an_init *init, size_t groups);
an_value *an_linear_out_emit(const an_net *net, const char *name, an_value *x, const an_init *init);   /* the last one of a sub-layer: to the stream's width */
an_value *an_dropout_emit(const an_net *net, const char *name, an_value *x);

const char *an_activation_name(size_t i);
const char *an_position_name(size_t i);

#endif
