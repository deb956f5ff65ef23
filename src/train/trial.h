/* train/trial.h
 * The first steps of a run, in memory: the configured data, model, optimizer and schedule, but no run folder, no log and no
 * checkpoints. The same bits as the run itself would compute. */
#ifndef AN_TRAIN_TRIAL_H
#define AN_TRAIN_TRIAL_H

#include "net/model.h"
#include "train/config.h"

typedef struct an_trial an_trial;

typedef struct an_trial_step {
    uint64_t step;                 /* updates done, this one included */
    double loss, lr, grad_norm;
    bool finite;                   /* false: nothing was updated, and further steps would say the same */
} an_trial_step;

/* `options` resolved, `config` bound to them; both borrowed and finished here. Errors: as an_trainer_create, without folders. */
an_status an_trial_create(an_trial **out, an_options *options, an_train_config *config, an_observe observe) AN_MUST_USE;
void an_trial_destroy(an_trial **trial);

/* One update. observe: an_model_get_telemetry(an_trial_get_model(trial)) then tells of this step, before its update. */
void an_trial_advance(an_trial *trial, bool observe, an_trial_step *out);

/* Puts the trial where a run's latest checkpoint, or a checkpoint folder, stands: parameters, moments, step, place in the data.
 * `options` as for create. Errors: AN_EDATA without a checkpoint, AN_EFORMAT, AN_ECONFIG for another model's. */
an_status an_trial_resume(an_trial *trial, const an_options *options, const char *path) AN_MUST_USE;

/* A batch of windows evenly spread over the validation part, always the same, into [batch, seq] of an_trial_get_shape. */
void an_trial_validate(const an_trial *trial, int32_t *tokens, int32_t *targets);
an_model_shape an_trial_get_shape(const an_trial *trial);
bool an_trial_has_other_data(const an_trial *trial);      /* resumed, with other data than the run was trained on */
uint64_t an_trial_get_step(const an_trial *trial);        /* updates done, those of the checkpoint included */

an_model *an_trial_get_model(an_trial *trial);
double an_trial_get_entropy(const an_trial *trial);       /* unigram entropy of the training text, nats */
double an_trial_get_collision(an_trial *trial);     /* probability that two positions of one window of the next batch hold the same token */

#endif
