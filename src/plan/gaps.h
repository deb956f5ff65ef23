/* plan/gaps.h
 * Best fit: a piece of memory is placed in the smallest gap that holds it, the first of several equal ones; freed pieces become
 * gaps again, joined with the gaps beside them. Any number of gaps: each call is logarithmic in it. Units are the caller's. */
#ifndef AN_PLAN_GAPS_H
#define AN_PLAN_GAPS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct an_gaps an_gaps;

an_gaps *an_gaps_create(size_t limit, size_t most);                          /* [0, limit), for at most `most` placements; NULL: out of memory */
void an_gaps_destroy(an_gaps **gaps);
bool an_gaps_take(an_gaps *gaps, size_t size, size_t *piece);               /* size >= 1; false: no gap is large enough */
size_t an_gaps_offset(const an_gaps *gaps, size_t piece);
void an_gaps_give(an_gaps *gaps, size_t piece);                              /* free again */

#endif
