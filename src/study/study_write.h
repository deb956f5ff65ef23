/* study/study_write.h
 * A study's results for people, for spreadsheets and for programs: always the same for the same runs, however they came to be. */
#ifndef AN_STUDY_STUDY_WRITE_H
#define AN_STUDY_STUDY_WRITE_H

#include "study/suite.h"

void an_study_table(const an_study *study, const an_findings *findings, an_text *out);    /* groups over seeds, what is missing, verdicts */
void an_study_tsv(const an_study *study, an_text *out);                                    /* one line a cell */
json_t *an_study_json(const an_study *study, const an_findings *findings);                 /* a new reference, NULL: no memory */

/* OUT/study.json and OUT/table.tsv. Errors: AN_ENOMEM, AN_EIO. */
an_status an_study_write(const an_study *study, const an_findings *findings) AN_MUST_USE;

#endif
