/* train/loop.h
 * A training run: created from resolved options, run to its end, destroyed. What the run does is in loop.c, one page;
 * how it is set up is in setup.c. */
#ifndef AN_TRAIN_LOOP_H
#define AN_TRAIN_LOOP_H

#include "train/config.h"
#include "train/events.h"
#include "train/state.h"

typedef struct an_trainer an_trainer;

/* `options` are those of an_run_options_create, resolved, with `config` bound to them; both are borrowed and finished here
 * (the run folder is chosen, "auto" is filled in). Builds the model, opens the data, loads the checkpoint to resume from,
 * refuses what cannot fit into memory, creates the run folder. Errors: every code but AN_EDIVERGED and AN_EINTERRUPTED. */
an_status an_trainer_create(an_trainer **out, an_options *options, an_train_config *config, const an_events *events) AN_MUST_USE;
void an_trainer_destroy(an_trainer **trainer);

/* Trains to the last step. AN_OK; AN_EINTERRUPTED after a signal or an_trainer_stop, with a checkpoint written;
 * AN_EDIVERGED naming step and first non-finite value, with the last good checkpoint kept and named; AN_EIO, AN_ENOMEM. */
an_status an_trainer_run(an_trainer *trainer) AN_MUST_USE;

void an_trainer_stop(an_trainer *trainer);        /* from a callback or another thread: finish the step, checkpoint, return */

an_model *an_trainer_get_model(an_trainer *trainer);
const char *an_trainer_get_run(const an_trainer *trainer);          /* the run folder */
const an_run_state *an_trainer_get_state(const an_trainer *trainer);

#endif
