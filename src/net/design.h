/* net/design.h
 * A residual design: one file in design/, one row in design/design.def. It is a package (norm slots, skip and branch
 * scales, final norm or none, the gain of each weight matrix) and three emitters over a stream of live values; it holds
 * no backward code, and knows neither attention, nor the other designs, nor the norm kind. */
#ifndef AN_NET_DESIGN_H
#define AN_NET_DESIGN_H

#include "net/net.h"

/* A factor on the skip or on the branch. Constants of 1 emit nothing; learned ones are parameters, exempt from weight decay. */
typedef enum an_scale_kind { AN_SCALE_CONST, AN_SCALE_SCALAR, AN_SCALE_VECTOR } an_scale_kind;
typedef struct an_scale { an_scale_kind kind; double value; } an_scale;     /* the constant, or what the learned one starts at */

/* A learned vector that is stored at another size than it works with: factor times what is stored, which starts at `start`. So
 * an optimizer whose steps have one size moves it as the design wants. factor 0: there is none. */
typedef struct an_stored { double start, factor; } an_stored;

/* What a design asks of the inside of F. The keys qk_norm and value_residual, unless auto, stand above it. */
typedef struct an_inside {
    bool attn_norm, mlp_norm;      /* slot "inner": over the concatenated heads before W_O; over d_ff before W_2 */
    bool head_scale;               /* a learned scalar per head before W_O */
    const char *qk_norm;           /* "off", "head", "full" */
    bool v_norm;                   /* values too, per head */
    const char *value_residual;    /* "off", "half", "learned" */
    bool qk_unit;                  /* queries and keys of every head at length 1, behind the positions */
    an_stored qk_scale;            /* ... times this, one vector for both ("s_qk") */
    double scores;                 /* factor on q k'; 0: what the head width and the parameterisation say */
    an_stored up_scale;            /* on what the first feed-forward matrix gives ("s_uv") */
    bool gate_last;                /* swiglu: the second half of those rows is the gate; else the first */
} an_inside;

/* What makes a design that design. A slot that is off and a scale of 1 emit nothing:
 *     u = c Npre(x);   x <- Npost( skip * (x or Npre(x)) + branch * Nout(F(u)) )                               */
typedef struct an_package {
    bool pre, out, post;           /* norm slots of a sub-layer */
    bool final_norm, embed_norm;
    bool skip_normed;              /* the skip carries Npre(x) instead of x */
    double pre_scale;              /* c */
    an_scale skip, branch;         /* a constant skip of 0: no skip */
    /* A learned skip that one real batch sets before the first step, in forward order: the first is skip.value, every later one
     * what this law makes of the one before and of the variances of stream and branch there. NULL: they start at skip.value. */
    double (*profile)(double skip, double stream, double branch);
    bool branch_per_layer;         /* the sub-layers of one layer share the learned branch scale */
    double embed_scale;            /* multiplies the token embedding in the forward pass */
    double gain[AN_ROLES];         /* multiplies the init law's scale, per role */
    bool unit_weights;             /* tables and matrices are kept at length 1 along d_model, from the start and after every update; no weight decay */
    an_stored logit_scale;         /* per token of the vocabulary ("s_z") */
    an_inside inside;
} an_package;

/* The values that live between sub-layers, [N,C] each, or n streams of a token side by side in one value; x[0] is the stream
 * where there is only one. history: x[n-1] is the newest, and those before it are read again later. */
typedef struct an_stream {
    an_value **x;
    size_t n, room;
    bool history;
    size_t side;                   /* the last so many are no stream: something that sub-layers of one layer read beside it */
    an_value *trail;               /* what a design hands from site to site beside the stream, for measurements; or NULL */
} an_stream;
void an_stream_put(const an_net *net, an_stream *s, an_value *v);            /* appends */

/* A sub-layer F handed in as a closure: emits F(u) [N,C] in the current scope. */
typedef struct an_sublayer { an_value *(*emit)(const an_net *net, an_value *u); } an_sublayer;

typedef struct an_design {
    const char *name, *formula, *source;
    const char *parameters;        /* what it adds to a pre-ln model, in words of formulas: "d per sub-layer" */
    const char *untied;            /* why its output head can never be the token table, NULL: it may */
    const char *init;              /* the law that `init: auto` stands for; NULL: gpt2 */
    const char *remarks;           /* for the docs: where public code and paper disagree, what is easily got wrong; NULL: nothing */
    const an_option *options;      /* the design's own keys, or NULL */
    /* The package at this place (net->layer and net->site; -1 and NULL: embedding and final norm). Bad values are refused here. */
    an_status (*package)(const an_net *net, an_package *p);
    void (*enter)(const an_net *net, const an_package *p, an_value *x0, an_stream *s);
    void (*site)(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f);
    void (*block)(const an_net *net, const an_package *p, an_stream *s);     /* after the last sub-layer of a layer; NULL: nothing */
    an_value *(*leave)(const an_net *net, const an_package *p, const an_stream *s);
    bool alone;                    /* its stream is its own: may not be mixed with other designs in one model */
    const char *silent;            /* how the names of tensors begin that by definition have no influence on the loss; NULL: none have */
    const char *const *variants;   /* settings that the derivative test must cover too, NULL at the end */
} an_design;

const an_design *an_design_find(const char *name);
const an_design *an_design_at(size_t i);
const char *an_design_name(size_t i);
an_status an_design_options_add(an_options *options) AN_MUST_USE;
const an_design *an_design_here(const an_net *net);
bool an_design_is_silent(const an_design *design, const char *tensor);     /* has no influence on the loss */

/* The package of a design at this place: all slots off, scales and gains 1, then the design's own word. */
an_status an_design_package(const an_net *net, const an_design *design, an_package *p) AN_MUST_USE;

/* Emits one sub-layer with the design the configuration chooses for (layer, site). */
void an_site(an_net *net, an_stream *s, const char *site, const an_sublayer *f);
void an_block_end(an_net *net, an_stream *s);

/* For sites: everything between begin and end belongs to the branch and not to the identity path; the ledger is told by it.
 * an_branch_emit runs F. an_branch_end names the value that the branch adds to the stream. */
void an_branch_begin(const an_net *net);
an_value *an_branch_emit(const an_net *net, const an_sublayer *f, an_value *u);
void an_branch_end(const an_net *net, an_value *added);

/* For sites whose skip carries a normed stream, u: skip and branch part there. */
void an_branch_fork(const an_net *net, an_value *u);

/* For what the sub-layers of one layer share ("layers.3.pre"): out of the sub-layer's scope, and back into it. */
typedef struct an_layer_scope { char site[64]; } an_layer_scope;
void an_layer_scope_enter(const an_net *net, an_layer_scope *scope);
void an_layer_scope_leave(const an_net *net, const an_layer_scope *scope);

/* The single-stream operator that most designs share (design/operator.c), and its parts. */
void an_enter_one(const an_net *net, const an_package *p, an_value *x0, an_stream *s);
void an_enter_history(const an_net *net, const an_package *p, an_value *x0, an_stream *s);   /* x0 is the first of a history */
void an_site_operator(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f);
an_value *an_leave_one(const an_net *net, const an_package *p, const an_stream *s);
an_value *an_slot(const an_net *net, bool on, const char *name, an_value *x);            /* the norm in this slot, or x */
an_value *an_scaled(const an_net *net, an_scale scale, const char *name, an_value *x);   /* learned: NAME.scale; constants: as they are, for the sum to apply */
double an_factor(an_scale scale);                                                        /* what the sum must still apply */
an_value *an_stored_emit(const an_net *net, an_stored stored, const char *parameter, const char *name, an_value *x);   /* times that vector, in a step NAME */
/* x / |x| per piece of `width` channels (0: rows). A row of nothing stays one: the length is at least 1e-8. */
an_value *an_unit_emit(const an_net *net, const char *name, size_t width, an_value *x);
an_value *an_times_emit(const an_net *net, double c, const char *name, an_value *x);           /* c x; nothing where c is 1 */
an_value *an_sum_emit(const an_net *net, double a, an_value *x, double b, an_value *f);       /* "add": a x + b f */

/* A step over any number of values: first [n_first], then rest [n_rest]. */
an_value *an_gathered_emit(const an_net *net, const an_op *op, const char *name, an_value *const first[], size_t n_first, an_value *const rest[], size_t n_rest,
                           const void *attr, size_t attr_bytes);

#endif
