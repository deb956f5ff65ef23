/* train/memory.h
 * How much memory this process may still take: the least of what the system has available, what its control group leaves
 * and what the address space limit leaves. Asked before the first step, so a run that cannot fit is refused with numbers. */
#ifndef AN_TRAIN_MEMORY_H
#define AN_TRAIN_MEMORY_H

#include <stdint.h>

#include "core/status.h"
#include "net/model.h"

typedef struct an_memory_room { uint64_t bytes; const char *limit; } an_memory_room;   /* limit: a phrase naming what binds */

an_memory_room an_memory_available(void);

/* What the program itself takes: what is resident now (code, libraries, small objects; a bound plan is not touched yet)
 * and the packing room of each thread, of which small matrices touch no more than about twice their own size. */
uint64_t an_memory_program(const an_model *model, int threads);

/* Peak of a run: a plan's parts, the optimizer's moments and the program. Asked after building, before the first pass. */
uint64_t an_memory_predict(const an_model *model, int train, int threads);

/* Where the configuration leaves to this machine what training may take (recompute auto, memory auto): what is available now, without
 * what the program itself takes at most. */
void an_memory_budget(an_model_config *config, int threads);

/* Largest resident set this process has had, in bytes. */
uint64_t an_memory_peak(void);

/* Errors: AN_ENOMEM with both numbers when `needed` exceeds the room. */
an_status an_memory_check(uint64_t needed, an_memory_room room) AN_MUST_USE;

/* Adds what there is to the sentence of a reservation that failed with AN_ENOMEM; passes anything else on. */
an_status an_memory_explain(an_status status) AN_MUST_USE;

#endif
