/* train/checkpoint_dir.h
 * What checkpoint.c and checkpoint_dir.c share; nobody else includes it. */
#ifndef AN_TRAIN_CHECKPOINT_DIR_H
#define AN_TRAIN_CHECKPOINT_DIR_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

char *an__checkpoint_path(const char *run, const char *name);   /* RUN/checkpoints/NAME; freed with free(); NULL: no memory */
an_status an__checkpoint_prune(const char *run, uint64_t step, size_t keep) AN_MUST_USE;

#endif
