/* train/events.h
 * What a run tells the world: one struct per kind of event. The log writes them, the command line shows them; the library
 * itself never prints. Strings are borrowed for the call. */
#ifndef AN_TRAIN_EVENTS_H
#define AN_TRAIN_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/option.h"
#include "train/evaluate.h"
#include "train/optimizer.h"
#include "train/spikes.h"

typedef struct an_event_start {
    const char *run, *resumed_from;              /* folders; resumed_from NULL for a fresh run */
    uint64_t step, steps, params;
    uint64_t train_bytes, val_bytes, epoch_samples;
    double unigram_entropy;                      /* of the training text, nats */
    double flops_per_step;                       /* forward and backward of all passes of one update */
    uint64_t memory, memory_room;                /* bytes: predicted peak, and what there is */
    const char *memory_limit;                    /* what bounds the room, a phrase */
    const char *kernels, *threads_backend;       /* "avx2", "OpenMP" */
    int threads;
    const an_model_config *model;
    const char *const *notes;                    /* [n_notes], what to know about this model before training it */
    size_t n_notes;
    const an_options *options;                   /* in force, each value with its source */
} an_event_start;

typedef struct an_event_step {
    uint64_t step, steps, tokens;                /* step: updates done; tokens: predictions made, of images one each */
    double epoch, loss, lr, grad_norm, grad_norm_clipped, update_norm;   /* update_norm: 0 with telemetry off */
    double dt_ms, tok_per_s, flops_per_s, eta_s; /* dt_ms per step, mean since the last logged step */
    double accuracy;                             /* of images: the share of this update's that were put into their class; NaN: of text */
    bool logged;                                 /* one of every log_every steps; the others only feed a live display */
    bool observed;                               /* telemetry looked at this step */
} an_event_step;

typedef struct an_stream_stats { double token_cosine, effective_rank, kurtosis, massive; } an_stream_stats;   /* train/stats.h; massive: max / median of |x| */

/* What an observed step has measured; definitions in docs/telemetry.md. */
typedef struct an_event_telemetry {
    uint64_t step;
    const an_telemetry *model;                   /* sub-layers, norms, attentions, output */
    const an_param *param;                       /* [n_params], and what the optimizer measured of each */
    const an_tensor_norms *norms;
    size_t n_params;
    const an_stream_stats *stream;               /* [model->n_sites], of samples of what leaves each sub-layer; NULL unless telemetry is full */
} an_event_telemetry;

/* A spike of the loss or a norm began, ended, or turned out to be a new level (train/spikes.h). */
typedef struct an_event_spike { uint64_t step; an_spike_verdict verdict; } an_event_spike;

typedef struct an_event_eval {
    uint64_t step;
    an_eval_result val;
    double seconds;
    bool best;                                   /* the lowest validation loss so far */
} an_event_eval;

typedef struct an_event_checkpoint { uint64_t step; const char *folder; double seconds; } an_event_checkpoint;

typedef struct an_event_sample { uint64_t step; const char *text; } an_event_sample;   /* printable UTF-8 */

typedef struct an_event_end {
    an_status status;                            /* AN_OK, AN_EINTERRUPTED, AN_EDIVERGED, ... */
    const char *error;                           /* "" when done */
    uint64_t step, tokens;
    double seconds;                              /* of this session */
    double val_loss, best_val_loss;              /* nats; infinite when never evaluated */
    uint64_t best_val_step;
    double unigram_entropy;
    const char *run;
} an_event_end;

/* Any of the functions may be NULL. */
typedef struct an_events {
    void *ctx;
    void (*start)(void *ctx, const an_event_start *event);
    void (*step)(void *ctx, const an_event_step *event);
    void (*telemetry)(void *ctx, const an_event_telemetry *event);
    void (*spike)(void *ctx, const an_event_spike *event);
    void (*eval)(void *ctx, const an_event_eval *event);
    void (*checkpoint)(void *ctx, const an_event_checkpoint *event);
    void (*sample)(void *ctx, const an_event_sample *event);
    void (*end)(void *ctx, const an_event_end *event);
} an_events;

#endif
