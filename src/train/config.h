/* train/config.h
 * Everything about a run that is not the model: one struct, one option table, and the checks that need two keys at once.
 * Defaults follow nanoGPT; nanoGPT, Hugging Face and Marian names are aliases. */
#ifndef AN_TRAIN_CONFIG_H
#define AN_TRAIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/option.h"
#include "net/config.h"
#include "train/optimizer.h"
#include "train/schedule.h"

typedef struct an_train_config {
    /* data */
    an_option_list data, val_data;   /* files, read as one stream in this order */
    double val_fraction;             /* of the bytes, or images, of data; unused with val_data */
    int64_t shapes;                  /* built-in images, where a model of images has no data */
    const char *tokenizer;           /* "byte" */
    /* training */
    int64_t steps;                   /* optimizer updates */
    int64_t batch_size, grad_accum;  /* sequences per pass; passes per update */
    const char *optimizer, *schedule;
    double lr, min_lr;               /* min_lr < 0: lr / 10 */
    const char *lr_scale;            /* groups by tensor name, see train/groups.h */
    int64_t warmup, decay_steps;     /* steps; warmup < 0: steps / 20, at most 2000; decay_steps 0: steps */
    double beta1, beta2, adam_eps, weight_decay, grad_clip;
    int64_t seed;
    /* running */
    const char *telemetry;           /* "off", "basic", "full" */
    int64_t threads;                 /* 0: every processor this process may use */
    const char *out, *resume;        /* run folder or "auto"; "", "auto" or a run or checkpoint folder */
    int64_t log_every, telemetry_every, eval_every, eval_batches, save_every, keep_checkpoints, sample_every, sample_tokens;
} an_train_config;

/* The train layer's rows alone, or the rows of a whole training run (the model's and these); `config` is bound. */
an_status an_train_options_add(an_options *options, an_train_config *config) AN_MUST_USE;
an_status an_run_options_create(an_options **out, an_train_config *config) AN_MUST_USE;

/* After an_options_resolve: fills in what "auto" stands for and holds the keys against each other and the model.
 * Errors: AN_ECONFIG naming both keys and both values. */
an_status an_train_config_finish(an_train_config *config, const an_options *options) AN_MUST_USE;

/* The settings that make the model what it is, one "key: value" per line, for a model file and for comparing two models. */
an_status an_model_config_text(const an_options *options, an_text *out) AN_MUST_USE;

an_optimizer_config an_train_config_optimizer(const an_train_config *config);
an_status an_train_config_schedule(const an_train_config *config, an_schedule *schedule) AN_MUST_USE;
an_observe an_train_config_observe(const an_train_config *config);   /* what `telemetry` stands for */
int an_train_config_threads(const an_train_config *config);   /* the number `threads` stands for */

#endif
