/* study/statistics.h
 * What can be said from few runs: means with intervals, paired differences, slopes, rank correlation, and the failure rule by which
 * studies call a run failed, partial, trained or degraded. Values that are not finite are left out and never counted. */
#ifndef AN_STUDY_STATISTICS_H
#define AN_STUDY_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A mean over n runs. `half`: half the width of the 95 % interval of Student's t, NaN for n < 2. `p`: two-sided probability of a mean
 * as far from 0 when the truth is 0, NaN likewise; meant for differences. */
typedef struct an_mean { size_t n; double mean, deviation, half, p; } an_mean;
an_mean an_stat_mean(size_t n, const double *x);

/* Of a[i] - b[i], over the i where both are finite. */
an_mean an_stat_paired(size_t n, const double *a, const double *b);

/* Several runs over the same n places as one curve: at each the mean of those that are finite there, the least and the largest; NaN where none is.
 * y[r] holds length[r] <= n values. */
void an_stat_envelope(size_t runs, const double *const *y, const size_t *length, size_t n, double *mean, double *low, double *high);

/* Student's t with `freedom` >= 1 degrees: probability of being below t, and the value below which it is with `probability` in (0,1). */
double an_stat_t_below(double t, size_t freedom);
double an_stat_t_quantile(double probability, size_t freedom);

/* Least squares y = a + slope x. r2: share of y's variance that the line explains. NaN with fewer than two different x. */
typedef struct an_line { size_t n; double slope, intercept, r2; } an_line;
an_line an_stat_line(size_t n, const double *x, const double *y);
an_line an_stat_log_log(size_t n, const double *x, const double *y);      /* of ln y against ln x; pairs that are not above 0 are left out */

double an_stat_most(size_t n, const double *x);                           /* the largest; NaN when one is, or for none */

double an_stat_spearman(size_t n, const double *x, const double *y);      /* ties share their mean rank; NaN where one side is constant */

/* The failure rule, on the mean training loss of the last AN_TAIL_STEPS steps, in nats beside the unigram entropy H1 of the training text:
 *   failed    not finite, or above H1 - 0.3
 *   trained   at most H1 - 1.0 (H1 - 0.7 for runs of at most 300 steps)
 *   degraded  would be trained, but more than 0.10 above Pre-LN with everything else alike
 *   partial   what is between
 * pre_ln is that run's loss; not finite where there is none, and then nothing is compared. */
enum { AN_TAIL_STEPS = 50 };
#define AN_FAILED_NATS 0.3                                                /* the first of these */
typedef enum an_outcome { AN_OUTCOME_NONE, AN_OUTCOME_FAILED, AN_OUTCOME_PARTIAL, AN_OUTCOME_DEGRADED, AN_OUTCOME_TRAINED, AN_OUTCOMES } an_outcome;
const char *an_outcome_name(an_outcome outcome);                          /* "", "failed", "partial", "degraded", "trained" */
an_outcome an_outcome_judge(double loss, double entropy, uint64_t steps, double pre_ln);

#endif
