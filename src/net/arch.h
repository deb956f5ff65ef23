/* net/arch.h
 * An architecture says where the sub-layers are: one file in arch/, one row in arch/arch.def. */
#ifndef AN_NET_ARCH_H
#define AN_NET_ARCH_H

#include "net/net.h"

typedef struct an_arch {
    const char *name, *formula, *source;
    const char *sites;             /* names of its sub-layers: "attn|mlp" */
    /* Emits everything from tokens [N] to logits [N,V]. */
    an_value *(*emit)(an_net *net, an_value *tokens);
} an_arch;

const an_arch *an_arch_find(const char *name);
const an_arch *an_arch_at(size_t i);
const char *an_arch_name(size_t i);

#endif
