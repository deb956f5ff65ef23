/* study/runner.h
 * Works a study off: each cell is a process of its own, `addnorm train`, several at a time. Any number of processes, on any machines that
 * share the folder, may work on one study; any of them may be stopped or killed at any time, and running it again goes on.
 *
 *     OUT/cells/NAME/         the run
 *     OUT/work/NAME.yaml      what addnorm train was given, NAME.claim who works on it and what failed, NAME.out what it said,
 *     OUT/work/NAME.refused   why one rank of several had no room for it */
#ifndef AN_STUDY_RUNNER_H
#define AN_STUDY_RUNNER_H

#include "study/claim.h"
#include "study/study.h"

typedef enum an_runner_event { AN_CELL_STARTED, AN_CELL_OVER, AN_CELL_RETRIED, AN_CELL_GAVE_UP } an_runner_event;

typedef struct an_runner_progress {
    const char *what;              /* "planning", "running", "waiting" (for cells that others work on) */
    size_t over, cells, running;   /* cells that need nothing more, all, running here */
    double share;                  /* of the flops, 0..1 */
    double seconds_left;           /* by what has been done since the start; NaN: not known yet */
} an_runner_progress;

typedef struct an_runner {
    const char *program;           /* path of addnorm */
    size_t jobs;                   /* cells at a time; each on study->threads threads */
    bool retry;                    /* failed cells get two attempts more */
    an_rank rank;
    void (*tell)(void *ctx, const an_study *study, const an_study_cell *cell, an_runner_event event, const char *text);
    void (*tick)(void *ctx, const an_runner_progress *progress);
    void *ctx;
} an_runner;

/* Looks at all cells, and at what has failed; plans those that wait. */
an_status an_runner_survey(an_study *study, const an_runner *how) AN_MUST_USE;

/* Until nothing is left to do. Heeds train/signals.h: cells are stopped where they can go on. Errors: AN_EINTERRUPTED then; AN_EIO. */
an_status an_runner_run(an_study *study, const an_runner *how) AN_MUST_USE;

#endif
