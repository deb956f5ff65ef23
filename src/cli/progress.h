/* cli/progress.h
 * Shows a run on stderr: one line that is redrawn when stderr is a terminal, one plain line per logged step otherwise. */
#ifndef AN_CLI_PROGRESS_H
#define AN_CLI_PROGRESS_H

#include <stdbool.h>

#include "core/option.h"
#include "train/events.h"

typedef struct an_progress {
    const an_options *options;     /* borrowed: what the opening lines describe */
    bool quiet, verbose, live, color;
    int width;
    bool drawn;                    /* a live line stands unfinished */
    double last_draw;
    an_eval_result last_eval;
    bool evaluated, images;        /* images: the model reads them */
} an_progress;

void an_progress_init(an_progress *progress, const an_options *options, bool quiet, bool verbose, const char *color);
an_events an_progress_events(an_progress *progress);

/* A line of the record, "label  what it says", unless quiet; and one of something that went wrong and did not stop the run. */
void an_progress_say(an_progress *progress, const char *label, const char *format, ...) AN_PRINTF(3, 4);
void an_progress_warn(an_progress *progress, const char *format, ...) AN_PRINTF(2, 3);

/* A live line for work counted in parts ("eval 40%"); an_progress_clear wipes it. */
void an_progress_part(an_progress *progress, const char *what, double done, double all);
void an_progress_note(an_progress *progress, const char *what, const char *now);
void an_progress_clear(an_progress *progress);

#endif
