/* tiny_run.h
 * The smallest real run, inside this process and in a scratch folder, for the tests that make calls fail. */
#ifndef AN_TESTS_TINY_RUN_H
#define AN_TESTS_TINY_RUN_H

#include "core/option.h"
#include "train/loop.h"

typedef struct tiny_run { an_options *options; an_train_config config; an_trainer *trainer; } tiny_run;

int tiny_scratch(void);                              /* an empty folder with a text; the process moves into it. 0: cannot */
void tiny_scratch_remove(void);

/* Options of a run in `out` of so many steps, resolved. Ends the process on failure: no fault is injected yet. */
void tiny_options(tiny_run *run, const char *out, const char *resume, int steps);
an_status tiny_create(tiny_run *run);
void tiny_close(tiny_run *run);

uint64_t tiny_checksum(const char *path);            /* of a file; 0: cannot be read */
void tiny_remove(const char *path);                  /* a folder and all in it */

#endif
