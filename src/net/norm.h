/* net/norm.h
 * A norm kind: one file in norm/, one row in norm/norm.def. Designs name slots; the configuration chooses the kind. */
#ifndef AN_NET_NORM_H
#define AN_NET_NORM_H

#include "net/net.h"

typedef struct an_norm_kind {
    const char *name, *formula, *source;
    const char *parameters;                /* per norm, in words of formulas: "2d", "d", "1", "none" */
    const char *remarks;                   /* for the docs: where public code and paper disagree, what is easily got wrong; NULL: nothing */
    const an_option *options;              /* the kind's own keys, or NULL */
    /* Steps and parameters of one norm over x [N,C]; parameters are named in the current scope. */
    an_value *(*emit)(const an_net *net, an_value *x);
    /* The formula itself, in double, for one row; gain and bias may be NULL. The tests hold emit to this. */
    void (*oracle)(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y);
    /* Batchwise kinds have this in its place: all n rows of a training pass, x and y [n,c], from freshly initialised buffers. */
    void (*oracle_batch)(const an_net *net, size_t n, size_t c, const double *x, const double *gain, const double *bias, double *y);
    const char *const *variants;           /* settings the derivative test must cover too: "norm_eps_place=outside ...", NULL at the end */
    /* Mean field: rows of mean square q come out with mean square *out, and gradients' mean square is multiplied by *chi on
     * the way back. NULL: it normalises, so 1 and 1/q but for eps. */
    void (*field)(const an_net *net, double q, double *out, double *chi);
    const char *small;                     /* settings without which a width of 8 is degenerate for it (the derivative test's); NULL: none */
    bool batchwise;                        /* statistics run over the tokens of the batch: no law of single tokens holds while training */
    bool empty;                            /* leaves every slot empty, so that nothing is bounded there */
    bool removes_shift;                    /* of all tokens alike: a bias whose only way goes through such norms has no gradient, by symmetry */
    bool removes_scale;                    /* its gain is one number, which has no gradient where only such norms and what keeps scale (a convolution, relu) follow */
    const char *surrogate;                 /* why its backward is by definition not the derivative of its forward; NULL: it is */
    const char *note;                      /* what a user of this kind must know before training, one sentence; NULL: nothing */
} an_norm_kind;

const an_norm_kind *an_norm_find(const char *name);   /* NULL: unknown */
const an_norm_kind *an_norm_at(size_t i);             /* NULL past the last */
const char *an_norm_name(size_t i);
an_status an_norm_options_add(an_options *options) AN_MUST_USE;

/* The norm that the configuration chooses for this place, in a scope of its own ("pre", "post", "final"). */
an_value *an_norm_emit(const an_net *net, const char *slot, an_value *x);
an_value *an_norm_emit_eps(const an_net *net, const char *slot, an_value *x, double eps);                /* the same with an eps that a design prescribes */
an_value *an_norm_emit_kind(const an_net *net, const char *kind, const char *slot, an_value *x);   /* a kind that a design prescribes */

/* For batchwise kinds: the tokens that tell which rows count, NULL where all do (norm_masked false). False: building has failed, since a
 * training pass of one token has no statistics. */
bool an_norm_mask(const an_net *net, const char *kind, const an_value *x, an_value **tokens);
/* op/batch_norm.c with its gain, bias and running statistics (from 0 and 1). */
an_value *an_norm_batch(const an_net *net, const char *kind, an_value *x, const an_batch_norm_attr *attr);

/* Where eps stands here: added to the deviation instead of the variance. */
static inline bool an_norm_eps_outside(const an_net *net) { return an_here_text(net, "norm_eps_place")[0] == 'o'; }

/* op/norm.c over each of `groups` groups of the channels of x, without gain and bias; `key` set how many. */
an_value *an_norm_grouped(const an_net *net, const char *key, size_t groups, const an_norm_attr *attr, an_value *x);

/* Gain and bias per channel, as norm_affine and norm_bias say here; for kinds whose own op has none. y = (offset + gain) x + bias, the
 * gain starting at 1 - offset. */
an_value *an_norm_affine(const an_net *net, an_value *x, double offset);
bool an_norm_wants_bias(const an_net *net);
/* Tells the user where a mean is taken over so few channels (1) that nothing passes. */
void an_norm_note_width(const an_net *net, size_t channels);

#define AN_NORM_AFFINE_ROW { "norm_affine", AN_BOOL, "true", NULL, "learn a gain (and bias) per channel", .flags = AN_PER_SITE }
#define AN_NORM_BIAS_ROW { "norm_bias", AN_CHOICE, "auto", "auto|true|false", "learn a bias per channel; auto: as `bias`", .flags = AN_PER_SITE }

/* Rows that several kinds share. */
#define AN_NORM_MASKED_ROW { "norm_masked", AN_BOOL, "true", NULL, "statistics over valid tokens only; false: padding counts too", .flags = AN_PER_SITE }

#define AN_NORM_EPS_ROW                                                                                                                             \
    { "norm_eps", AN_FLOAT, "1e-5", ">0", "keeps a norm finite on small rows; unit of x^2 inside the root, of x outside", .flags = AN_PER_SITE,     \
      .aliases = "layer_norm_epsilon rms_norm_eps layer_norm_eps" }

#define AN_NORM_EPS_ROWS                                                                                                                            \
    AN_NORM_EPS_ROW,                                                                                                                                \
    { "norm_eps_place", AN_CHOICE, "inside", "inside|outside", "inside: sqrt(var + eps); outside: sqrt(var) + eps", .flags = AN_PER_SITE }

#endif
