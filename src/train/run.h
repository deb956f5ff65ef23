/* train/run.h
 * A run folder as something to go back to: its configuration for resuming, its model for sampling and evaluating. */
#ifndef AN_TRAIN_RUN_H
#define AN_TRAIN_RUN_H

#include "train/config.h"
#include "train/state.h"

/* With a value for `resume`: reads the configuration stored there into `options` as if it stood in a file. To be called after
 * the flags are read and before CONFIG.yaml, which then may change it. "auto" without a checkpoint in `out` reads nothing.
 * Errors: AN_EDATA, AN_EFORMAT; AN_EUSAGE for "auto" without `out` and where another process trains. */
an_status an_run_read_config(an_options *options) AN_MUST_USE;

/* Takes the lock of the run folder that these options go on in, if it has checkpoints (train/checkpoint.h): before any of them is read, for
 * another process may be writing or removing it. A checkpoint of another run, which a new one begins at, is that run's own. */
an_status an_run_enter(const an_options *options, int *lock) AN_MUST_USE;

typedef struct an_saved_run {
    an_options *options;
    an_train_config config;
    an_model_config model_config;
    an_run_state state;
    an_model *model;
    char *folder, *run;              /* of the checkpoint, of the run */
} an_saved_run;

/* Opens a run folder or a checkpoint folder and loads its model with a plan of batch x seq (0: as it was trained) for
 * inference. Errors: AN_EDATA, AN_EFORMAT, AN_ECONFIG, AN_ENOMEM. */
an_status an_run_open(an_saved_run **out, const char *path, size_t batch, size_t seq) AN_MUST_USE;
void an_run_close(an_saved_run **run);

#endif
