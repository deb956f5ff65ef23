/* net/net.h
 * What every emitter of net sees: the builder, the configuration, and where in the model it stands. */
#ifndef AN_NET_NET_H
#define AN_NET_NET_H

#include <string.h>

#include "net/config.h"
#include "plan/plan.h"

/* Weight matrices by what they do; init laws and designs speak of these. */
typedef enum an_role { AN_ROLE_QK, AN_ROLE_V, AN_ROLE_O, AN_ROLE_FC1, AN_ROLE_FC2, AN_ROLE_EMB, AN_ROLE_HEAD, AN_ROLES } an_role;

struct an_package;

/* The feature maps that a sub-layer reads, side x side pixels, and what it makes of them: stride, and channels. */
typedef struct an_grid { size_t side, stride, out; } an_grid;
static inline size_t an_grid_side(const an_grid *m) { return (m->side + m->stride - 1) / m->stride; }   /* of those it makes */

/* A number that a design prescribes for one norm, above the configuration: an eps of its own for the final norm. */
typedef struct an_prescribed { const char *key; double value; } an_prescribed;

typedef struct an_net {
    an_build *b;
    const an_model_config *config;
    const an_options *options;
    an_value *tokens;              /* the input ids [N], -1: padding; NULL: every row counts */
    size_t batch, seq;             /* rows are batch x seq */
    bool bidirectional;            /* attention sees the whole sequence; otherwise positions up to its own */
    size_t cache;                  /* decoding: positions in the key/value cache; 0 when not decoding */
    int64_t layer;                 /* -1 outside the blocks */
    const char *site;              /* "attn", "mlp"; NULL outside a sub-layer */
    size_t site_index;             /* sub-layers before this one, over all layers */
    an_prescribed prescribed;      /* for what is being emitted now; key NULL: nothing */
    const struct an_package *package;   /* of the design in force here; NULL before the model's own is known */
    an_value **first_value;        /* where attention leaves the values of the first layer, for value residuals */
    const an_grid *grid;           /* of an architecture that reads images; NULL: it reads tokens */
    size_t *norms;                 /* counts places that `norm` fills; NULL: nobody asks */
} an_net;

/* Settings at this place in the model: an override for (layer, site) or the base value. */
static inline const char *an_here_text(const an_net *n, const char *key) { return an_options_text_at(n->options, key, n->layer, n->site); }
static inline const char *an_here_place(const an_net *n, const char *key) { return an_options_place_at(n->options, key, n->layer, n->site); }
static inline double an_here_float(const an_net *n, const char *key)
{
    if (n->prescribed.key && strcmp(n->prescribed.key, key) == 0) return n->prescribed.value;
    return an_options_float_at(n->options, key, n->layer, n->site);
}
static inline int64_t an_here_int(const an_net *n, const char *key) { return an_options_int_at(n->options, key, n->layer, n->site); }
static inline bool an_here_is(const an_net *n, const char *site) { return n->site && strcmp(n->site, site) == 0; }   /* inside that kind of sub-layer */
static inline bool an_here_bool(const an_net *n, const char *key) { return an_options_bool_at(n->options, key, n->layer, n->site) != 0; }

/* What a parameter is to the optimizer: net/parameterisation.c turns it into a rule, and everything in net makes its parameters here. */
typedef enum an_kind {
    AN_KIND_MATRIX,                /* inside the blocks, [out, d_model]: reads the stream */
    AN_KIND_OUTPUT,                /* inside the blocks, [d_model, in]: what it gives goes to the stream */
    AN_KIND_EMBEDDING,             /* token and position tables */
    AN_KIND_HEAD,                  /* untied output matrix */
    AN_KIND_VECTOR,                /* norm gains and biases, biases of linear layers; no weight decay */
    AN_KIND_SCALE,                 /* learned scales of designs and of norms that squash; no weight decay */
    AN_KIND_BUFFER                 /* running statistics: saved, but not the optimizer's */
} an_kind;
an_value *an_param_emit(const an_net *net, an_kind kind, const char *name, an_dims dims, const an_init *init, size_t groups);
an_value *an_param_const(const an_net *net, an_kind kind, const char *name, size_t n, double value);   /* [n], all at one value */
an_value *an_param_start(const an_net *net, an_kind kind, const char *name, an_dims dims, const double *start);   /* at these numbers, copied */

#endif
