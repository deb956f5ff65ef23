/* net/arch.h
 * An architecture says where the sub-layers are: one file in arch/, one row in arch/arch.def. */
#ifndef AN_NET_ARCH_H
#define AN_NET_ARCH_H

#include "net/net.h"

typedef struct an_arch {
    const char *name, *formula, *source;
    const char *sites;             /* names of its sub-layers: "attn|mlp" */
    const char *init;              /* the law that `init: auto` stands for where the design prescribes none; NULL: gpt2 */
    const char *small;             /* settings that make it small, above the derivative test's own; NULL: none */
    const an_option *options;      /* its own keys, or NULL */
    bool tokens;                   /* it reads tokens: the keys of embedding, positions, attention and feed-forward mean something */
    an_status (*read)(an_model_config *config, const an_options *options);   /* checks what it needs, fills in what its own keys say; NULL: nothing */
    /* Emits everything from tokens [N] to logits [N,V], or from pixels to logits [images, classes]. */
    an_value *(*emit)(an_net *net, an_value *tokens);
} an_arch;

const an_arch *an_arch_find(const char *name);
const an_arch *an_arch_at(size_t i);
const char *an_arch_name(size_t i);
an_status an_arch_options_add(an_options *options) AN_MUST_USE;
bool an_arch_reads_tokens(const an_options *options);                       /* whether the architecture chosen there does */
#define AN_NEEDS_TOKENS "arch!=resnet"                                      /* an option's needs: of every row of arch.def that has not `tokens` */

#endif
