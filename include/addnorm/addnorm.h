/* addnorm.h
 * Trains transformers and makes what lets them train, "Add & Norm", a choice. Three circles, each needing only the ones
 * before it:
 *     1. a session      settings -> train -> sample                      (a complete program in 30 lines: examples/01_train.c)
 *     2. runs           progress, stopping, resuming, opening, evaluating
 *     3. the engine     your own data and your own loop: forward, backward, step, parameters, logits
 *
 * Every function that can fail returns an an_code, which is also what the program `addnorm` exits with; the sentence that
 * belongs to it (what, where, which value, what to do) is an_last_error(). Nothing here prints, exits or installs handlers.
 * Results are written through the last parameters, on success only. Pointers handed in are borrowed for the call unless
 * said otherwise. A session or engine belongs to one thread at a time; the work inside uses as many as `threads` says, and
 * gives the same bits for any number of them. */
#ifndef ADDNORM_ADDNORM_H
#define ADDNORM_ADDNORM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define AN_API __attribute__((visibility("default")))
#define AN_CHECK __attribute__((warn_unused_result))
#else
#define AN_API
#define AN_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum an_code {
    AN_DONE = 0,
    AN_FAILED = 1,             /* while running: memory, disk */
    AN_WRONG_USAGE = 2,        /* a setting that does not exist, is out of range or contradicts another; shapes that do not fit */
    AN_BAD_DATA = 3,           /* a file or text that is missing, damaged or not what it should be */
    AN_LOSS_DIVERGED = 4,      /* training met a non-finite loss or gradient; the sentence names step and value */
    AN_STOPPED = 75            /* asked to stop; a checkpoint is written and the run can be resumed */
} an_code;

AN_API const char *an_version(void);
AN_API const char *an_last_error(void);        /* of this thread; "" if none; valid until its next failure */

/* ---- 1. a session ---------------------------------------------------------------------------------------------- */

typedef struct an_session an_session;

AN_API an_code an_session_create(an_session **session) AN_CHECK;
AN_API void an_session_destroy(an_session **session);                    /* NULL inside is fine; sets it to NULL */

/* One setting, by the names of `addnorm train --help` (and nanoGPT's, Hugging Face's and Marian's): "data", "steps",
 * "n_layer", "design", "norm", "lr", ... A list ("data") grows with each call. AN_WRONG_USAGE names the nearest key. */
AN_API an_code an_session_set(an_session *session, const char *key, const char *value) AN_CHECK;
AN_API an_code an_session_preset(an_session *session, const char *name) AN_CHECK;          /* a recipe; single settings win over it */
AN_API an_code an_session_read(an_session *session, const char *yaml_path) AN_CHECK;       /* a CONFIG.yaml; single settings win over it */

/* Trains to the last step, or goes on where the setting "resume" says. Writes the run folder `out`. Once per session.
 * Codes: all. */
AN_API an_code an_session_train(an_session *session) AN_CHECK;

typedef struct an_sampling_settings {
    double temperature;        /* divides the logits; 0: always the most likely token */
    size_t top_k;              /* keep the k most likely; 0: all */
    double top_p;              /* keep the fewest that hold this probability together; 1, and 0 as in an empty struct: all */
    uint64_t seed;
} an_sampling_settings;

/* Called with each piece of new text as it is made (valid UTF-8, `size` bytes and a NUL); anything but 0 ends the text. */
typedef int an_text_callback(void *user, const char *text, size_t size);

/* Continues `prompt` ("": from a line break) by up to `tokens` tokens, with the model just trained or opened.
 * settings NULL: temperature 1, everything kept, seed 0. Codes: AN_WRONG_USAGE (no model yet; beyond a learned position
 * table), AN_FAILED, AN_LOSS_DIVERGED. */
AN_API an_code an_session_sample(an_session *session, const char *prompt, size_t tokens, const an_sampling_settings *settings, an_text_callback *put, void *user) AN_CHECK;

/* ---- 2. runs --------------------------------------------------------------------------------------------------- */

typedef struct an_report {
    uint64_t step, steps;      /* updates done, and in all */
    uint64_t tokens;           /* trained on so far */
    double loss;               /* nats per token on this step's batches */
    double val_loss;           /* nats per token of the evaluation after this step; NaN: there was none */
    double lr, grad_norm;      /* of this step; the norm before clipping */
    double tokens_per_second, seconds_left;
} an_report;

typedef void an_report_callback(void *user, const an_report *report);

AN_API void an_session_on_step(an_session *session, an_report_callback *report, void *user);   /* after every step; NULL: no more */
AN_API void an_session_stop(an_session *session);      /* from a callback or a signal handler: an_session_train returns AN_STOPPED after this step */
AN_API const char *an_session_run(const an_session *session);      /* the run folder; "" before training or opening */

/* A session that holds a trained model: from a run folder (its latest checkpoint) or a checkpoint folder.
 * Codes: AN_BAD_DATA, AN_WRONG_USAGE, AN_FAILED. */
AN_API an_code an_session_open(an_session **session, const char *path) AN_CHECK;

typedef struct an_score {
    double loss;               /* nats per token */
    double perplexity, bits_per_byte;   /* bits_per_byte: NaN of a model of images */
    uint64_t tokens;           /* or images */
} an_score;

/* The model on a whole file. Codes: AN_BAD_DATA, AN_WRONG_USAGE (no model yet), AN_FAILED. */
AN_API an_code an_session_evaluate(an_session *session, const char *path, an_score *score) AN_CHECK;

/* ---- 3. the engine --------------------------------------------------------------------------------------------- */

typedef struct an_engine an_engine;

typedef struct an_tensor_view {
    const char *name;          /* "layers.0.attn.qkv.weight" */
    size_t rank, dim[4], count;
    float *data, *grad;        /* row-major, `count` each; yours to read and write between calls */
} an_tensor_view;

/* A model of its own from the session's settings, parameters drawn from `seed` (or copied from the model that the session
 * has trained or opened), and an optimizer from the settings beta1, beta2, adam_eps, weight_decay, grad_clip. Every call
 * works on batch x seq tokens. A design that takes its start from a real batch (admin) takes the first one that
 * an_engine_backward gets, if the parameters were drawn here. The session must outlive it. Codes: AN_WRONG_USAGE, AN_FAILED. */
AN_API an_code an_engine_create(an_engine **engine, an_session *session, size_t batch, size_t seq) AN_CHECK;
AN_API void an_engine_destroy(an_engine **engine);

AN_API size_t an_engine_tensors(const an_engine *engine);
AN_API an_code an_engine_tensor(const an_engine *engine, size_t i, an_tensor_view *view) AN_CHECK;   /* AN_WRONG_USAGE: no i-th */

/* Mean loss in nats over the targets that are not negative. tokens, targets: [batch * seq], below vocab_size, which is
 * checked. Codes: AN_WRONG_USAGE naming the first token out of range. */
AN_API an_code an_engine_forward(an_engine *engine, const int32_t *tokens, const int32_t *targets, double *loss) AN_CHECK;

/* The same and the gradients of scale * loss; with `add` they are added to what is there. Dropout, if set, is on and
 * follows from the number of steps taken and the calls since. */
AN_API an_code an_engine_backward(an_engine *engine, const int32_t *tokens, const int32_t *targets, double scale, int add, double *loss) AN_CHECK;

/* One AdamW update with the gradients as they stand. *grad_norm (NULL: not wanted): before clipping. A non-finite gradient
 * changes nothing and is AN_LOSS_DIVERGED. */
AN_API an_code an_engine_step(an_engine *engine, double lr, double *grad_norm) AN_CHECK;

/* One token at a time. reset: position 0. decode: logits [*count] for the token after `token`, valid until the next call. */
AN_API an_code an_engine_reset(an_engine *engine, size_t most_tokens) AN_CHECK;
AN_API an_code an_engine_decode(an_engine *engine, int32_t token, const float **logits, size_t *count) AN_CHECK;

#ifdef __cplusplus
}
#endif
#endif
