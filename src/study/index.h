/* study/index.h
 * OUT/index.sqlite: the runs of a study as tables, for questions in SQL. Made anew from the run folders each time, in a fixed order and
 * without times, so the same runs give the same bytes; nothing is in it that the folders do not say. */
#ifndef AN_STUDY_INDEX_H
#define AN_STUDY_INDEX_H

#include "study/study.h"

/* tick (may be NULL): done of all cells. Errors: AN_EIO, AN_ENOMEM; an older index is then as it was. */
an_status an_index_build(const an_study *study, void (*tick)(void *ctx, size_t done, size_t all), void *ctx) AN_MUST_USE;

#endif
