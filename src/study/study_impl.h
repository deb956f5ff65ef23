/* study/study_impl.h
 * What study_read.c, cells.c and results.c share; nobody else includes it. */
#ifndef AN_STUDY_STUDY_IMPL_H
#define AN_STUDY_STUDY_IMPL_H

#include "study/record.h"
#include "study/study.h"

an_status an__study_read(an_study *study, const an_study_source *source) AN_MUST_USE;   /* the text, into base, axes, seeds */

#endif
