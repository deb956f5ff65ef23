/* train/trainer.h
 * The inside of an_trainer, shared by setup.c and loop.c; nobody else includes it. */
#ifndef AN_TRAIN_TRAINER_H
#define AN_TRAIN_TRAINER_H

#include <signal.h>

#include "core/log.h"
#include "train/data.h"
#include "train/loop.h"
#include "train/telemetry.h"

struct an_trainer {
    an_options *options;                 /* borrowed */
    an_train_config *config;             /* borrowed */
    an_events events;
    an_model_config model_config;
    an_schedule schedule;
    an_data *data;
    an_model *model;
    an_optimizer *optimizer;
    an_logger log;
    an_tensorboard *tb;
    an_watcher *watcher;                 /* telemetry; NULL when off */
    an_run_state state;
    an_spikes spikes;
    an_text model_text;                  /* the model's configuration, for checkpoints */
    char *run, *resumed_from;            /* folders */
    char *last_checkpoint;               /* folder; NULL before the first */
    an_observe observe;
    int lock, threads;
    int32_t *tokens, *targets;           /* one batch, B*T each */
    size_t batch, seq, each;             /* each: targets of a window */
    uint64_t memory;
    double unigram_entropy, flops_per_step;
    double val_loss, began, log_began;   /* of the last evaluation; clocks */
    uint64_t first_step, log_step;       /* step at which this session began, and of the last logged step */
    volatile sig_atomic_t stop;
};

/* The micro-batch of the step to come, and its pass; loop.c. */
an_pass an__trainer_batch(an_trainer *t, uint64_t micro);

#endif
