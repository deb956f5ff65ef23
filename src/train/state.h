/* train/state.h
 * state.json: all of a run that is not a tensor. With it and the two tensor files beside it a run goes on as if it had
 * never stopped. Carries checksums of those files and one of itself, so a flipped bit anywhere is seen. */
#ifndef AN_TRAIN_STATE_H
#define AN_TRAIN_STATE_H

#include <stdint.h>

#include "core/status.h"

typedef struct an_run_state {
    uint64_t step;                   /* updates done */
    uint64_t samples, tokens;        /* training sequences and tokens consumed; samples is the place in the data */
    uint64_t seed;
    uint64_t data_fingerprint, train_bytes, val_bytes;
    double best_val_loss;            /* nats per token; infinite before the first evaluation */
    uint64_t best_val_step;
    uint64_t model_checksum, optimizer_checksum;
    char *spikes;                    /* the state of an_spikes as text; NULL: none; freed by an_run_state_fini */
    char *config;                    /* the resolved configuration as YAML; freed by an_run_state_fini */
} an_run_state;

an_status an_run_state_write(const an_run_state *state, const char *path) AN_MUST_USE;

/* Errors: AN_EDATA for a missing file, AN_EFORMAT naming what is wrong in it. */
an_status an_run_state_read(an_run_state *state, const char *path) AN_MUST_USE;
void an_run_state_fini(an_run_state *state);

#endif
