/* net/init.h
 * Init laws as named packages: one row each in init.c. A law gives the standard deviation of a matrix from its role and
 * fans, and of the embeddings; the design multiplies matrices by its gains. Biases start at 0 and gains at 1. */
#ifndef AN_NET_INIT_H
#define AN_NET_INIT_H

#include "net/net.h"

typedef struct an_init_law {
    const char *name, *formula, *source;
    double (*matrix)(an_role role, size_t fan_in, size_t fan_out, size_t n_layer);   /* standard deviation */
    double (*embedding)(const an_model_config *config, bool table);                  /* of the token table, or of the learned position table */
    bool uniform;                                                                    /* matrices are uniform with that standard deviation; else normal */
    bool unit;                                                                       /* embeddings of unit size: as a tied head, logits of size sqrt(d_model) */
} an_init_law;

const an_init_law *an_init_find(const char *name);
const an_init_law *an_init_at(size_t i);
const char *an_init_name(size_t i);
const char *an_init_choice(size_t i);   /* "auto", then the laws */

/* The law in force here: `init`, or with auto what the design prescribes, or else the architecture; and the same for that key, design and architecture. */
const an_init_law *an_init_here(const an_net *net);
struct an_design;
struct an_arch;
const an_init_law *an_init_of(const char *init, const struct an_design *design, const struct an_arch *arch);

/* Whether the matrices that write to the stream start at 0. */
bool an_init_is_silent(const an_init_law *law);

an_init an_init_matrix(const an_net *net, an_role role, size_t fan_in, size_t fan_out, size_t rows);
an_init an_init_embedding(const an_net *net, bool position_table);

#endif
