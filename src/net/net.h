/* net/net.h
 * What every emitter of net sees: the builder, the configuration, and where in the model it stands. */
#ifndef AN_NET_NET_H
#define AN_NET_NET_H

#include "net/config.h"
#include "plan/plan.h"

/* Weight matrices by what they do; init laws and designs speak of these. */
typedef enum an_role { AN_ROLE_QK, AN_ROLE_V, AN_ROLE_O, AN_ROLE_FC1, AN_ROLE_FC2, AN_ROLE_EMB, AN_ROLE_HEAD, AN_ROLES } an_role;

typedef struct an_net {
    an_build *b;
    const an_model_config *config;
    const an_options *options;
    size_t batch, seq;             /* rows are batch x seq */
    size_t cache;                  /* decoding: positions in the key/value cache; 0 when not decoding */
    int64_t layer;                 /* -1 outside the blocks */
    const char *site;              /* "attn", "mlp"; NULL outside a sub-layer */
    const double *gain;            /* [AN_ROLES] of the design in force: multiplies the init law's scale */
} an_net;

/* Settings at this place in the model: an override for (layer, site) or the base value. */
static inline const char *an_here_text(const an_net *n, const char *key) { return an_options_text_at(n->options, key, n->layer, n->site); }
static inline double an_here_float(const an_net *n, const char *key) { return an_options_float_at(n->options, key, n->layer, n->site); }
static inline bool an_here_bool(const an_net *n, const char *key) { return an_options_bool_at(n->options, key, n->layer, n->site) != 0; }

#endif
