/* train/stats.c
 * The cosine goes by the length of the sum of unit rows, |sum u|^2 = m + 2 sum_{i<j} cos, linear in the rows; the Gram
 * matrix is never stored, its entries are summed as they come. The median is found by halving the range of bit patterns:
 * those of non-negative floats sort like integers, so counting passes need no copy of the sample. */
#include "train/stats.h"

#include <float.h>
#include <math.h>
#include <string.h>

#ifdef AN_F64
typedef uint64_t bits_of_real;
#define BITS_OF_INFINITY 0x7FF0000000000000ull
#else
typedef uint32_t bits_of_real;
#define BITS_OF_INFINITY 0x7F800000u
#endif

/* Sums over rows for one strip of columns at a time, so that they fit on the stack; a wider x reads its rows again. */
double an_stats_token_cosine(size_t n, size_t c, const an_real *x)
{
    enum { STRIP = 512 };
    double total = 0, rows = 0;
    for (size_t first = 0; first < c; first += STRIP) {
        const size_t width = c - first < STRIP ? c - first : STRIP;
        double sum[STRIP] = { 0 };
        rows = 0;
        for (size_t i = 0; i < n; i++) {
            const double square = an_dot(c, x + i * c, x + i * c);
            if (square == 0) continue;
            const double scale = 1 / sqrt(square);
            for (size_t j = 0; j < width; j++) sum[j] += scale * (double)x[i * c + first + j];
            rows++;
        }
        for (size_t j = 0; j < width; j++) total += sum[j] * sum[j];
    }
    return rows < 2 ? NAN : (total - rows) / (rows * (rows - 1));
}

double an_stats_effective_rank(size_t n, size_t c, const an_real *x)
{
    double trace = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        const double own = an_dot(c, x + i * c, x + i * c);
        double others = 0;
        for (size_t j = 0; j < i; j++) {
            const double g = an_dot(c, x + i * c, x + j * c);
            others += g * g;
        }
        trace += own;
        squares += own * own + 2 * others;
    }
    return trace == 0 ? NAN : trace * trace / squares;
}

double an_stats_kurtosis(size_t count, const an_real *x)
{
    double sum = 0, second = 0, fourth = 0;
    size_t differ = 0;                                       /* equal entries leave the rounding of their mean, not 0 */
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i];
        differ += x[i] != x[0];
    }
    const double n = (double)count, mean = sum / n;
    for (size_t i = 0; i < count; i++) {
        const double square = ((double)x[i] - mean) * ((double)x[i] - mean);
        second += square;
        fourth += square * square;
    }
    return differ == 0 ? NAN : n * fourth / (second * second);
}

static bits_of_real magnitude(an_real value)
{
    bits_of_real bits;
    value = an_fabs(value);
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The k-th smallest |x|, k from 0: the least pattern that more than k entries do not exceed. */
static double select_abs(size_t count, const an_real *x, size_t k)
{
    bits_of_real low = 0, high = BITS_OF_INFINITY;
    an_real value;
    while (low < high) {
        const bits_of_real middle = low + (high - low) / 2;
        size_t within = 0;
        for (size_t i = 0; i < count; i++) within += magnitude(x[i]) <= middle;
        if (within > k) high = middle;
        else low = middle + 1;
    }
    memcpy(&value, &low, sizeof value);
    return (double)value;
}

static int all_finite(size_t count, const an_real *x)
{
    int finite = 1;
    for (size_t i = 0; i < count; i++) finite &= magnitude(x[i]) < BITS_OF_INFINITY;
    return finite;
}

double an_stats_median_abs(size_t count, const an_real *x)
{
    if (count == 0 || !all_finite(count, x)) return NAN;
    const double upper = select_abs(count, x, count / 2);
    return count % 2 ? upper : 0.5 * (upper + select_abs(count, x, count / 2 - 1));
}

double an_stats_max_over_median(size_t count, const an_real *x)
{
    const double median = an_stats_median_abs(count, x);
    double largest = 0;
    for (size_t i = 0; i < count; i++) largest = fmax(largest, (double)an_fabs(x[i]));
    return median > 0 ? largest / median : NAN;
}

/* --- histogram: limits -2^20 .. -2^-40, 2^-40 .. 2^20, and the open end ---------------------------------------------- */

static double power_of_root_two(int k)                       /* 2^(k/2) */
{
    return k % 2 == 0 ? ldexp(1, k / 2) : ldexp(M_SQRT1_2, (k + 1) / 2);
}

/* The largest k with 2^(k/2) <= a, for a > 0; exact where power_of_root_two is. */
static int half_exponent(double a)
{
    int e;
    const double fraction = frexp(a, &e);                    /* a = fraction 2^e, fraction in [1/2, 1) */
    return 2 * (e - 1) + (fraction >= M_SQRT1_2);
}

void an_histogram_init(an_histogram *h)
{
    *h = (an_histogram){ .min = INFINITY, .max = -INFINITY };
    for (int i = 0; i < AN_HISTOGRAM_SIDE; i++) {
        h->limit[AN_HISTOGRAM_SIDE + i] = power_of_root_two(AN_HISTOGRAM_LOW + i);
        h->limit[AN_HISTOGRAM_SIDE - 1 - i] = -h->limit[AN_HISTOGRAM_SIDE + i];
    }
    h->limit[AN_HISTOGRAM_BUCKETS - 1] = DBL_MAX;
}

static size_t bucket_of(const an_histogram *h, double x)
{
    const double a = fabs(x);
    if (a < h->limit[AN_HISTOGRAM_SIDE]) return AN_HISTOGRAM_SIDE;
    const int step = half_exponent(a) - AN_HISTOGRAM_LOW, last = AN_HISTOGRAM_SIDE - 1, i = step < last ? step : last;
    if (x > 0) return (size_t)(AN_HISTOGRAM_SIDE + 1 + i);
    const size_t bucket = (size_t)(AN_HISTOGRAM_SIDE - 1 - i);
    return x == h->limit[bucket] ? bucket + 1 : bucket;      /* a limit belongs to the bucket above it, on either side of zero */
}

void an_histogram_add(an_histogram *h, size_t count, const an_real *x)
{
    for (size_t i = 0; i < count; i++) {
        const double v = (double)x[i];
        if (!isfinite(v)) { h->other++; continue; }
        h->count[bucket_of(h, v)]++;
        h->finite++;
        h->min = fmin(h->min, v);
        h->max = fmax(h->max, v);
        h->sum += v;
        h->sum_squares += v * v;
    }
}

an_bins an_histogram_bins(const an_histogram *h)
{
    return (an_bins){ AN_HISTOGRAM_BUCKETS, h->limit, h->count, h->min, h->max, h->sum, h->sum_squares };
}
