/* train/checkpoint.h
 * RUN/checkpoints/step-00000100/{model.safetensors, optimizer.safetensors, state.json} and the link RUN/checkpoints/latest.
 * A checkpoint is written into a temporary folder, synced and renamed: it appears whole or not at all, and nothing older is
 * touched before it has. */
#ifndef AN_TRAIN_CHECKPOINT_H
#define AN_TRAIN_CHECKPOINT_H

#include <stdbool.h>

#include "net/model.h"
#include "train/optimizer.h"
#include "train/state.h"

/* Writes the checkpoint of state->step under the run folder, points `latest` at it and removes all but the newest `keep`
 * (0: keeps all). model_config goes into the model file's metadata. The checksums in `state` are filled in. *folder (may be
 * NULL) receives its path, freed with free(). Errors: AN_EIO, AN_ENOMEM; older checkpoints are then as they were. */
an_status an_checkpoint_save(const char *run, an_run_state *state, const char *model_config, const an_model *model, an_optimizer *optimizer, size_t keep, char **folder) AN_MUST_USE;

/* From a run folder (its latest checkpoint) or a checkpoint folder to the checkpoint folder, freed with free().
 * Errors: AN_EDATA when there is none. */
an_status an_checkpoint_find(const char *path, char **folder) AN_MUST_USE;
an_status an_checkpoint_exists(const char *run, int *exists) AN_MUST_USE;
char *an_checkpoint_run(const char *folder);      /* the run folder that a checkpoint folder lies in; NULL: no memory */

/* Fills the parameters, and with an optimizer its moments. The files' checksums, names, shapes and model configuration are
 * compared first. Errors: AN_EFORMAT naming file, tensor or key; AN_ECONFIG for the configuration of another model. */
an_status an_checkpoint_load(const char *folder, const an_run_state *state, const char *model_config, an_model *model, an_optimizer *optimizer) AN_MUST_USE;

/* After a failure to read a checkpoint: `status` again, and the sentence names the checkpoint before it, if there is one and the file was at fault. */
an_status an_checkpoint_explain(const char *folder, an_status status) AN_MUST_USE;

/* Before a run starts: creates the folder, takes the lock that keeps a second process out (*lock, a file descriptor, closed to
 * release) and removes what an interrupted write left, or puts it back. Errors: AN_EIO, AN_EUSAGE when another process trains into it. */
an_status an_checkpoint_prepare(const char *run, int *lock) AN_MUST_USE;

/* The same for the run of a run or checkpoint folder that is to be read, and gone on in. Where no checkpoints are yet nothing is done and *lock stays. */
an_status an_checkpoint_enter(const char *path, int *lock) AN_MUST_USE;

/* Whether a process trains into this run folder now; takes no lock, so it never stands in the way of one. False where the system cannot tell. */
bool an_checkpoint_is_locked(const char *run);

/* Makes `latest` name this checkpoint folder of its run. */
an_status an_checkpoint_point(const char *folder) AN_MUST_USE;

/* The first key whose value differs between two model configurations, as an AN_ECONFIG sentence with both values.
 * A key that `stored` has not, since it was written before there was one, is no difference where `wanted` has its default. Errors: AN_ENOMEM too. */
an_status an_model_config_compare(const char *stored, const char *wanted, const char *place) AN_MUST_USE;

#endif
