/* net/model.h
 * A model: its configuration, its parameters, and the frozen plan that runs it. Built once, checked while built;
 * after that nothing allocates and nothing can fail. The train layer sees models only through this page. */
#ifndef AN_NET_MODEL_H
#define AN_NET_MODEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/option.h"
#include "core/real.h"
#include "core/status.h"
#include "net/config.h"
#include "plan/cut.h"
#include "plan/rule.h"
#include "plan/telemetry.h"

enum { AN_MAX_RANK = 4 };

/* One tensor, row-major: trained, or a buffer (rule.buffer: running statistics, without gradient). `data` and `grad` live in the model's parameter and gradient arenas: the whole of each
 * arena is one dense array, tensors in this order, so an optimizer may also walk it tensor by tensor or as one. */
typedef struct an_param {
    const char *name;              /* "layers.0.attn.qkv.weight" */
    size_t rank, dim[AN_MAX_RANK], count;
    an_real *data, *grad;          /* grad NULL when the plan does not train */
    an_bf16 *low;                  /* the copy that products of mixed precision read, to be kept equal; NULL: none */
    an_rule rule;                  /* learning-rate, decay and eps factors; buffers; unit length */
} an_param;

typedef struct an_model an_model;

/* What the plan is for. batch x seq tokens per pass. */
typedef struct an_model_shape {
    size_t batch, seq;             /* B, T */
    bool train;                    /* forward + backward; otherwise forward only */
    an_observe observe;            /* what observed passes measure; AN_OBSERVE_OFF: nothing, and no memory for it */
    bool probe;                    /* passes may cut and streams stay readable, see below; unfused, more memory. With train, backward gives
                                    * the gradient of the stream before the first sub-layer, and none of a parameter */
    int threads;                   /* that passes will run on, for a budget of memory (config.memory); 0: 1. See an_model_set_threads */
    an_store weights;              /* matrices that steps of few rows read: as they are, or copies; whoever changes them refreshes (plan.h) */
    bool logits;                   /* keep logits [B*T, V] readable after a forward pass (parity, tests); off in training */
} an_model_shape;

/* One pass over B*T tokens. */
typedef struct an_pass {
    const int32_t *tokens;         /* [B*T] ids in [0, V), or -1: padding, anywhere in a sequence, which is as if it were not there: attention,
                                    * positions and batch statistics leave it out. What stands in its own row is of no use */
    const int32_t *targets;        /* [B*T] ids, or -1: position does not count; NULL: no loss (logits only) */
    uint64_t seed, step, micro;    /* key of all randomness (dropout) in this pass */
    bool train;                    /* dropout on; batch norms take the statistics of this pass, and its backward half moves the running ones */
    bool observe;                  /* measure on the way (an_model_get_telemetry); changes no bit of loss and gradients */
    bool accumulate;               /* add to the gradients instead of setting them (2nd and later micro-batches) */
    const unsigned char *cut;      /* shape.probe: for each sub-layer AN_CUT_... or 0; NULL: nothing */
    double loss_scale;             /* gradient of the mean loss is multiplied by this: 1 / grad_accum */
    struct an_meter *meter;        /* where the pass's time goes is added to it (plan/meter.h); NULL: nothing is timed */
} an_pass;

/* Builds parameters (zero) and the plan. `options` is borrowed and must outlive the model: per-site overrides and the
 * options owned by norms and designs are read from it whenever a plan is built. Errors: AN_ECONFIG, AN_ESHAPE, AN_ENOMEM with place and remedy. */
an_status an_model_create(an_model **out, const an_model_config *config, const an_options *options, const an_model_shape *shape) AN_MUST_USE;
void an_model_destroy(an_model **model);

/* A second plan over the same parameters (another batch, forward only, ...); borrows `parent`, destroy before it. */
an_status an_model_share(an_model **out, an_model *parent, const an_model_shape *shape) AN_MUST_USE;

const an_model_config *an_model_get_config(const an_model *model);
const an_param *an_model_get_params(const an_model *model, size_t *count);   /* borrowed */
size_t an_model_param_count(const an_model *model);                          /* number of trained scalars */
an_status an_model_set_threads(an_model *model, int threads) AN_MUST_USE;   /* AN_ENOMEM: scratch per thread */

/* To be called by whoever has written into `data` of a parameter and not into `low`: copies are made anew before the next pass. */
void an_model_params_written(an_model *model);

/* Draws every parameter from the configured init law; a pure function of (configuration, seed, tensor). */
void an_model_init_params(an_model *model, uint64_t seed);

/* Sets what the design takes from a real batch before the first step (Admin's skips), in one forward pass; nothing where it asks
 * for nothing. After an_model_init_params and before the first update of a fresh model. The same bits for any number of threads. */
void an_model_profile(an_model *model, const an_pass *pass);

/* Forward only. Returns the mean loss in nats over targets >= 0 (0 if none). */
double an_model_forward(an_model *model, const an_pass *pass);

/* Forward and backward: gradients of loss_scale * mean loss (and of penalties that norms put on their statistics: norm rbn). Returns the mean loss. */
double an_model_forward_backward(an_model *model, const an_pass *pass);

/* What the last observed pass has measured: sub-layers (the gradient ledger), norms, attentions, the output; borrowed, valid
 * until the next observed pass. Gradients are those of the mean loss, whatever loss_scale was. NULL: no plan for it (shape.observe). */
const an_telemetry *an_model_get_telemetry(const an_model *model);

/* logits [B*T, V] of the last forward pass of a plan built with shape.logits; borrowed. */
const an_real *an_model_get_logits(const an_model *model);

/* After a non-finite loss or gradient: runs the same pass again, looking at every value as it is made, and names the
 * first non-finite one ("layers.3.attn.out"), "gradient of X" if the forward pass is finite, or NULL if all is finite. Leaves
 * running statistics alone. */
const char *an_model_find_nonfinite(an_model *model, const an_pass *pass);

/* --- plans built with shape.probe (net/inside.c) -----------------------------------------------------------------
 * A pass may leave out what a sub-layer's branch adds (where there is no skip: replace the sub-layer by the identity), or keep the
 * forward pass and stop the gradient at the branch or at the skip where the two join: AN_CUT_BRANCH, AN_CUT_BRANCH_GRADIENT,
 * AN_CUT_SKIP_GRADIENT (plan/cut.h). */
/* Whether the design has what is asked for. Errors: AN_ECONFIG naming design, sub-layer and reason. */
typedef enum an_inside_need { AN_NEED_LESIONS, AN_NEED_PATHS, AN_NEED_REST } an_inside_need;   /* AN_CUT_BRANCH; both gradients; forward_rest */
an_status an_model_need(const an_model *model, an_inside_need what) AN_MUST_USE;

/* The stream after a sub-layer as the last pass left it: `streams` arrays [rows, cols], borrowed. */
typedef struct an_site_view { const char *name; size_t rows, cols, streams; const an_real *const *stream; } an_site_view;
size_t an_model_site_count(const an_model *model);
an_site_view an_model_get_site(an_model *model, size_t i);                   /* each view is valid until the next one of this model */
an_site_view an_model_get_hidden(an_model *model);                           /* what the output head reads, one stream [B*T, C] */
an_site_view an_model_get_root_gradient(an_model *model);                    /* trains: d (loss_scale loss) / d (stream before the first sub-layer) */

/* After a forward pass: what stands behind the last sub-layer (final norm, head, loss) on `stream` [B*T, C] instead of its
 * output. Returns the mean loss; logits are those of this stream. */
double an_model_forward_rest(an_model *model, const an_pass *pass, const an_real *stream);

/* Memory in bytes and work, known from the plan before the first pass touches a page. */
typedef struct an_model_memory { size_t params, grads, optimizer, activations, scratch, constants; } an_model_memory;
typedef struct an_model_cost { double flops_forward, flops_backward, bytes_forward, bytes_backward; } an_model_cost;
an_model_memory an_model_get_memory(const an_model *model);
an_model_cost an_model_get_cost(const an_model *model);      /* of one pass of B*T tokens */
json_t *an_model_describe(const an_model *model);             /* the plan as JSON (plan/describe.c); a new reference, NULL: out of memory */

/* What the user of this configuration must know before training, one sentence each (norms speak of their batch statistics). The list is
 * borrowed from the model, its sentences are static. */
const char *const *an_model_get_notes(const an_model *model, size_t *count);

/* Decoding one token at a time with a key/value cache. Same parameters, same steps; one sequence, or a batch of them, each at its own
 * position; a sequence has the same logits, bit for bit, whatever stands beside it. */
typedef struct an_decoder an_decoder;
typedef struct an_decoder_shape {
    size_t tokens, batch;          /* most tokens of a sequence; sequences, 0: one */
    an_store weights;              /* how matrices are read: as they are, or copies in bf16 or int8 made here (plan/copies.c) */
} an_decoder_shape;
an_status an_decoder_create_for(an_decoder **out, an_model *model, const an_decoder_shape *shape) AN_MUST_USE;   /* AN_ECONFIG: beyond a learned position table */
an_status an_decoder_create(an_decoder **out, an_model *model, size_t max_tokens) AN_MUST_USE;   /* one sequence, weights as they are */
void an_decoder_destroy(an_decoder **decoder);
void an_decoder_reset(an_decoder *decoder);                                  /* all at position 0, empty cache */
void an_decoder_seek(an_decoder *decoder, size_t position);                  /* all at this position, at most shape.tokens, over the cache as it lies: to measure, or to go back */
size_t an_decoder_position(const an_decoder *decoder);                       /* of the first sequence */
size_t an_decoder_weight_bytes(const an_decoder *decoder);                   /* matrices that a step reads whole */
size_t an_decoder_cache_bytes(const an_decoder *decoder);                    /* that a step reads at the present positions */
/* Feeds each sequence its next token, -1: none, it rests; returns logits [batch, V], borrowed until the next call; rows of resting
 * sequences mean nothing. Errors, before anything is fed: AN_EUSAGE past shape.tokens or outside the vocabulary. */
an_status an_decoder_step_all(an_decoder *decoder, const int32_t *tokens, const an_real **logits) AN_MUST_USE;
an_status an_decoder_step(an_decoder *decoder, int32_t token, const an_real **logits) AN_MUST_USE;

#endif
