/* train/schedule.h
 * The learning rate as a pure function of the step: nothing to store, so resume needs no scheduler state.
 * All schedules share nanoGPT's warm-up, lr * (step + 1) / (warmup + 1), and meet it without a jump. */
#ifndef AN_TRAIN_SCHEDULE_H
#define AN_TRAIN_SCHEDULE_H

#include <stdint.h>

#include "core/status.h"

/*  name           meaning of the part after warm-up (t = step, w = warmup, D = decay steps)                  */
#define AN_SCHEDULE_LIST(X)                                                                                  \
    X(cosine,       "cosine",       "min_lr + (lr - min_lr) (1 + cos(pi (t-w)/(D-w))) / 2")                   \
    X(linear,       "linear",       "lr + (min_lr - lr) (t-w)/(D-w)")                                         \
    X(inverse_sqrt, "inverse-sqrt", "lr sqrt((w+1)/(t+1)), never below min_lr")                               \
    X(constant,     "constant",     "lr")

typedef struct an_schedule {
    const struct an_schedule_kind *kind;
    double lr, min_lr;             /* peak and floor */
    uint64_t warmup;               /* steps of linear warm-up; 0: none */
    uint64_t decay_steps;          /* step at which cosine and linear reach min_lr; they stay there after it */
} an_schedule;

/* Errors: AN_ECONFIG for an unknown name. */
an_status an_schedule_init(an_schedule *schedule, const char *name, double lr, double min_lr, uint64_t warmup, uint64_t decay_steps) AN_MUST_USE;

double an_schedule_lr(const an_schedule *schedule, uint64_t step);   /* step counts from 0 */

#endif
