/* tiny.h
 * A real model of a few hundred parameters, for tests that need one. */
#ifndef AN_TESTS_UNIT_TINY_H
#define AN_TESTS_UNIT_TINY_H

#include "net/model.h"
#include "train/config.h"

enum { TINY_BATCH = 3, TINY_SEQ = 8 };

typedef struct tiny { an_options *options; an_train_config train; an_model_config config; an_model *model; } tiny;

void tiny_open(tiny *t, const char *const *pairs);   /* further keys and values over the small defaults; NULL at the end */
void tiny_close(tiny *t);
void tiny_fill(int32_t *tokens, int32_t *targets, uint32_t seed);   /* one batch of random tokens, all targets count */

#endif
