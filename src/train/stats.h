/* train/stats.h
 * Measures over a sample of token vectors, the rows of x [n,c], dense: do the tokens still differ, how many directions do
 * they use, do a few channels dwarf the rest. Sums are in double, in one fixed order, on the caller's thread; nothing is
 * allocated. A measure without a meaning for its input is NaN, and any NaN or infinity in x makes the first five NaN.
 * Source    token cosine and rank: Noci et al. 2022, arXiv:2206.03126, Dong et al. 2021, arXiv:2103.03404;
 *           massive activations: Sun et al. 2024, arXiv:2402.17762 */
#ifndef AN_TRAIN_STATS_H
#define AN_TRAIN_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

/* Mean of cos(x_i, x_j) over all pairs i < j: 1 when all tokens point one way (rank collapse), about 0 for independent
 * ones, no less than -1/(n-1). A zero row has no direction and is left out; NaN with fewer than two others. Cost about 4nc flop. */
double an_stats_token_cosine(size_t n, size_t c, const an_real *x);

/* (tr G)^2 / tr(G^2) of the token Gram G = x x^T, not centred: the number of equally strong directions that would give the
 * same spread, 1 .. min(n,c). NaN when x is all zero. Cost n^2 c flop. */
double an_stats_effective_rank(size_t n, size_t c, const an_real *x);

/* Over all count = n*c entries: mean((x-m)^4) / mean((x-m)^2)^2 with m their mean; 3 for a Gaussian, 1.8 for a uniform. NaN
 * when all entries are equal. */
double an_stats_kurtosis(size_t count, const an_real *x);

/* Median of |x|, exact; of an even count the mean of the middle two. NaN for no entries. About 2 passes per bit of an_real. */
double an_stats_median_abs(size_t count, const an_real *x);

/* max|x| / median|x|: about 4.5 for a thousand Gaussians, 1e3 and more with massive activations. NaN when the median is 0. */
double an_stats_max_over_median(size_t count, const an_real *x);

/* Counts over buckets: bucket i holds limit[i-1] <= x < limit[i], the first all below limit[0]. Ascending limits; min and
 * max, sum and sum of squares are those of the values themselves. Borrowed arrays. */
typedef struct an_bins {
    size_t n;
    const double *limit;           /* [n] */
    const uint64_t *count;         /* [n] */
    double min, max, sum, sum_squares;
} an_bins;

/* Fixed buckets, so that histograms of different steps, layers and runs line up: limits at -+2^(k/2) from 2^-40 to 2^20 (a
 * ratio of 1.41: two buckets per doubling), one bucket around zero, the last open. NaN and infinities are counted apart. */
enum { AN_HISTOGRAM_LOW = -80, AN_HISTOGRAM_HIGH = 40, AN_HISTOGRAM_SIDE = AN_HISTOGRAM_HIGH - AN_HISTOGRAM_LOW + 1, AN_HISTOGRAM_BUCKETS = 2 * AN_HISTOGRAM_SIDE + 1 };

typedef struct an_histogram {
    double limit[AN_HISTOGRAM_BUCKETS];
    uint64_t count[AN_HISTOGRAM_BUCKETS];
    uint64_t finite, other;        /* values counted; NaN and infinities left out */
    double min, max, sum, sum_squares;   /* of the finite ones; min > max when there are none */
} an_histogram;

void an_histogram_init(an_histogram *h);
void an_histogram_add(an_histogram *h, size_t count, const an_real *x);   /* any number of times */
an_bins an_histogram_bins(const an_histogram *h);                         /* borrows h */

#endif
