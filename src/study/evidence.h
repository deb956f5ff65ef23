/* study/evidence.h
 * What judges of named studies read beyond the table of cells: telemetry of a cell's log as profiles over depth, means over a group's
 * seeds, and findings made of a number and its limits. A number that is not there is NaN, and a finding about it is OPEN; the loss of a run
 * that diverged, and the step at which it would have come to one, are infinite: worse than any. */
#ifndef AN_STUDY_EVIDENCE_H
#define AN_STUDY_EVIDENCE_H

#include "study/probe.h"
#include "study/suite.h"

enum { AN_PROFILE_MOST = 512 };

/* One number of a telemetry table for every name that ends in `suffix`, in the order of the log. */
typedef struct an_profile { size_t n; double y[AN_PROFILE_MOST]; } an_profile;
enum { AN_EARLY_STEPS = 200 };
typedef enum an_when { AN_AT_FIRST, AN_AT_LAST, AN_AT_MOST, AN_AT_MOST_EARLY } an_when;   /* the first or last look; the largest of all looks, or of those up to step 200 */
typedef struct an_wanted { const char *family, *metric, *suffix; an_when when; } an_wanted;

void an_cell_profile(const an_study *study, const an_study_cell *cell, an_wanted wanted, an_profile *out);         /* n 0: not there */

double an_cell_mean(const an_study *study, const an_study_cell *cell, an_wanted wanted);       /* over that profile; NaN: not there */
double an_cell_most(const an_study *study, const an_study_cell *cell, an_wanted wanted);

/* Before the first update: what the skips alone keep of a gradient over all sub-layers, and the gradient before the first over that behind the last; NaN: not there. */
double an_cell_skips_keep(const an_study *study, const an_study_cell *cell);
double an_cell_reach(const an_study *study, const an_study_cell *cell);

/* Largest absolute value of a tensor in a finished cell's last checkpoint; NaN: not there. */
double an_cell_tensor_most(const an_study *study, const an_study_cell *cell, const char *tensor);

/* Mean over the seeds of the square of such a profile, of the group that an_study_find finds; n 0: a cell is missing. */
void an_group_squares(const an_study *study, const char *settings, an_wanted wanted, an_profile *out);

/* Mean over the seeds of a number of a cell; NaN when one has none. */
typedef double (*an_cell_measure)(const an_study *study, const an_study_cell *cell);
double an_group_measure(const an_study *study, const char *settings, an_cell_measure measure);
double an_group_quantity(const an_study *study, const char *settings, an_quantity quantity);   /* NaN unless all runs are over, INFINITY when one diverged */

/* Sensitivity to the learning rate (arXiv:2309.14322, section 2.2): mean over the cells that `among` wants, NULL: all, of min(validation loss, loss
 * at initialisation) - lowest loss, in nats; NaN unless all are over and one finished. */
typedef struct an_sensitivity { double nats, first, lowest; size_t n, over, diverged; } an_sensitivity;
typedef bool (*an_cell_wanted)(const void *ctx, const an_study_cell *cell);
an_sensitivity an_study_sensitivity(const an_study *study, an_cell_wanted among, const void *ctx);

/* Update after which the mean of ten logged losses is at most `target`; INFINITY: never, NaN: the run is not over. */
double an_cell_steps_to(const an_study *study, const an_study_cell *cell, double target);
double an_cell_loss_at(const an_study *study, const an_study_cell *cell, uint64_t step);       /* that mean where `step` is the last of the ten; NaN likewise */

/* What `addnorm check --probe KIND` says of a finished cell, at its checkpoint or, for what follows updates, from its start: the member KIND of
 * that document, a new reference. Kept in the cell's folder, so that only the first call measures, which can take minutes. NULL: not to be had. */
json_t *an_cell_probe(const an_study *study, const an_study_cell *cell, an_probe_kind kind, const an_findings *findings);
double an_probe_number(const json_t *of_kind, const char *key);                                /* NaN: not there */
double an_cell_change(const an_study *study, const an_study_cell *cell, const an_findings *findings);   /* what one of the first updates changes behind the final norm, mean of them */
size_t an_probe_numbers(const json_t *of_kind, const char *key, an_profile *out);              /* how many */

/* PASS when x lies in least..most, FAIL when outside, OPEN when it is NaN. */
typedef struct an_limits { double least, most; } an_limits;
void an_find_number(an_findings *findings, double x, an_limits limits, const char *claim, const char *expected, const char *measured, ...) AN_PRINTF(6, 7);

/* A number to tell and not to judge: TOLD, or OPEN when x is NaN. */
void an_find_told(an_findings *findings, double x, const char *claim, const char *measured, ...) AN_PRINTF(4, 5);

/* At least `share` of the runs of a group are to end as wanted; or, for anything but trained, worse. `against`: the settings of the group whose run with
 * the same seed decides whether one is degraded, NULL: its Pre-LN run. */
typedef struct an_expected_outcome { const char *settings, *against; an_outcome wanted; double share; } an_expected_outcome;
void an_find_outcome(const an_study *study, an_findings *findings, an_expected_outcome what, const char *claim, const char *expected);

#endif
