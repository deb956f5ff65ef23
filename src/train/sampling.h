/* train/sampling.h
 * From a row of logits to a token. All in double, and random only through (seed, sequence, position): the same prompt, seed and
 * model give the same text, whatever was sampled before. */
#ifndef AN_TRAIN_SAMPLING_H
#define AN_TRAIN_SAMPLING_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"
#include "core/status.h"

typedef struct an_sampling {
    double temperature;      /* divides the logits; 0: the most likely token, always */
    size_t top_k;            /* only the k most likely tokens; 0: all */
    double top_p;            /* then only the fewest tokens that together hold this much probability; 1: all */
    uint64_t seed, sequence; /* two sequences of one seed differ; where they are drawn, together or one by one, does not matter */
} an_sampling;

typedef struct an_candidate { double weight; int32_t token; } an_candidate;

/* Errors: AN_ECONFIG for a temperature < 0 or a top_p outside (0, 1]. */
an_status an_sampling_check(const an_sampling *sampling) AN_MUST_USE;

/* Draws the token for `position`; `work` holds `count` candidates. Ties go to the lower token. Errors: AN_EDIVERGED when no
 * logit is finite or one is NaN. */
an_status an_sample(const an_sampling *sampling, const an_real *logits, size_t count, uint64_t position, an_candidate *work, int32_t *token) AN_MUST_USE;

#endif
