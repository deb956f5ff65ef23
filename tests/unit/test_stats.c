/* train/stats: measures of samples against closed forms: orthogonal and equal rows, planes, Gaussians, known buckets. */
#include "unit.h"

#include <float.h>
#include <math.h>

#include "core/rng.h"
#include "train/stats.h"

#define NEAR(got, want, relative) near((got), (want), (relative), #got, __LINE__)

static void near(double got, double want, double relative, const char *what, int line)
{
    if (fabs(got - want) <= relative * fmax(fabs(want), 1e-300)) return;
    print_error("%s: %.17g, expected %.17g within %g\n", what, got, want, relative);
    _fail(__FILE__, line);
}

enum { N = 64, C = 1100 };                                   /* more columns than any strip, no multiple of the lanes */
static an_real x[N * C];

static void gaussians(size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) x[i] = (an_real)an_rng_normal(an_rng_key_make(seed, 0, 0), i);
}

static void clear(size_t count) { memset(x, 0, count * sizeof *x); }

static void orthogonal_rows(void **state)
{
    (void)state;
    double trace = 0, squares = 0;
    clear(N * C);
    for (size_t i = 0; i < N; i++) {
        const double length = 1 + (double)(i % 4);
        x[i * C + 17 * i + 3] = (an_real)(i % 2 ? -length : length);
        trace += length * length;
        squares += pow(length, 4);
    }
    assert_true(fabs(an_stats_token_cosine(N, C, x)) < 1e-15);
    NEAR(an_stats_effective_rank(N, C, x), trace * trace / squares, 1e-14);
    for (size_t i = 0; i < N; i++) x[i * C + 17 * i + 3] = 2;
    NEAR(an_stats_effective_rank(N, C, x), N, 1e-14);
}

static void equal_rows(void **state)
{
    (void)state;
    gaussians(C, 1);
    for (size_t i = 1; i < N; i++)
        for (size_t j = 0; j < C; j++) x[i * C + j] = x[j] * (an_real)(1 << i % 3);
    NEAR(an_stats_token_cosine(N, C, x), 1, 1e-13);
    NEAR(an_stats_effective_rank(N, C, x), 1, 1e-13);
    for (size_t j = 0; j < C; j++) x[C + j] = -3 * x[j];
    NEAR(an_stats_token_cosine(2, C, x), -1, 1e-7);          /* 3 x is rounded in float */
}

/* n vectors from the centre of a simplex to its corners: the least mean cosine there is, in n - 1 dimensions. */
static void a_simplex(void **state)
{
    (void)state;
    enum { CORNERS = 8 };
    for (size_t i = 0; i < CORNERS * CORNERS; i++) x[i] = (an_real)(i / CORNERS == i % CORNERS ? 7 : -1);
    NEAR(an_stats_token_cosine(CORNERS, CORNERS, x), -1.0 / (CORNERS - 1), 1e-14);
    NEAR(an_stats_effective_rank(CORNERS, CORNERS, x), CORNERS - 1, 1e-14);
}

/* Half of the rows along a p, half along b q, p and q orthogonal and spread over all columns. */
static void a_plane(void **state)
{
    (void)state;
    const double a = 3, b = 0.5, half = N / 2.0;
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j < C; j++) x[i * C + j] = (an_real)(i % 2 ? (j % 2 ? b : -b) : a);
    NEAR(an_stats_effective_rank(N, C, x), pow(a * a + b * b, 2) / (pow(a, 4) + pow(b, 4)), 1e-13);
    NEAR(an_stats_token_cosine(N, C, x), half * (half - 1) / (half * (N - 1)), 1e-13);
}

static void gaussian_rows(void **state)
{
    (void)state;
    gaussians(N * C, 2);
    assert_true(fabs(an_stats_token_cosine(N, C, x)) < 4 / sqrt((double)C * N * (N - 1) / 2));
    NEAR(an_stats_effective_rank(N, C, x), (double)N * C / (N + C + 1), 0.01);
    NEAR(an_stats_kurtosis(N * C, x), 3, 0.03);
    NEAR(an_stats_median_abs(N * C, x), 0.67448975, 0.01);
    for (size_t i = 0; i < N * C; i++) x[i] += 1;            /* a common direction as long as the rest */
    NEAR(an_stats_token_cosine(N, C, x), 0.5, 0.03);
}

static void what_has_no_meaning_is_nan(void **state)
{
    (void)state;
    clear(4 * C);
    assert_true(isnan(an_stats_token_cosine(4, C, x)) && isnan(an_stats_effective_rank(4, C, x)));
    assert_true(isnan(an_stats_kurtosis(C, x)) && isnan(an_stats_max_over_median(C, x)) && isnan(an_stats_median_abs(0, x)) && isnan(an_stats_kurtosis(0, x)));
    for (size_t j = 0; j < C; j++) x[2 * C + j] = AN_R(0.1);
    assert_true(isnan(an_stats_token_cosine(4, C, x)));      /* one row alone */
    assert_true(isnan(an_stats_kurtosis(C, x + 2 * C)));
    NEAR(an_stats_effective_rank(4, C, x), 1, 1e-14);
    for (size_t j = 0; j < C; j++) x[C + j] = AN_R(0.1);
    NEAR(an_stats_token_cosine(4, C, x), 1, 1e-13);          /* zero rows are left out */
    static const double BAD[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        gaussians(4 * C, 3);
        x[C + 600] = (an_real)BAD[i];
        assert_true(isnan(an_stats_token_cosine(4, C, x)) && isnan(an_stats_effective_rank(4, C, x)) && isnan(an_stats_kurtosis(4 * C, x)));
        assert_true(isnan(an_stats_median_abs(4 * C, x)) && isnan(an_stats_max_over_median(4 * C, x)));
    }
}

static void kurtosis_of_known_laws(void **state)
{
    (void)state;
    const double k = 1000, p = 1 / k;
    for (size_t i = 0; i < 1000; i++) x[i] = (an_real)i - 250;
    NEAR(an_stats_kurtosis(1000, x), 3 * (3 * k * k - 7) / (5 * (k * k - 1)), 1e-12);
    for (size_t i = 0; i < 1000; i++) x[i] = (an_real)(i % 2 ? 5 : 3);
    NEAR(an_stats_kurtosis(1000, x), 1, 1e-12);
    clear(1000);
    x[7] = 1e4f;
    NEAR(an_stats_kurtosis(1000, x), (1 - 3 * p * (1 - p)) / (p * (1 - p)), 1e-9);
}

static int ascending(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

static void medians_equal_sorting(void **state)
{
    (void)state;
    static double sorted[999];
    for (size_t count = 1; count < COUNT(sorted); count = count * 3 / 2 + 1) {
        gaussians(count, count);
        if (count > 4) { x[0] = 0; x[1] = -x[2]; x[3] = AN_R(FLT_MIN) / 8; x[4] = AN_R(-FLT_MAX); }
        for (size_t i = 0; i < count; i++) sorted[i] = fabs((double)x[i]);
        qsort(sorted, count, sizeof *sorted, ascending);
        const double median = 0.5 * (sorted[(count - 1) / 2] + sorted[count / 2]);
        NEAR(an_stats_median_abs(count, x), median, 0);
        NEAR(an_stats_max_over_median(count, x), sorted[count - 1] / median, 1e-15);
    }
    clear(9);
    x[0] = 5;
    NEAR(an_stats_median_abs(9, x), 0, 0);
}

static void massive_activations_stand_out(void **state)
{
    (void)state;
    gaussians(1000, 5);
    const double before = an_stats_max_over_median(1000, x), kurtosis = an_stats_kurtosis(1000, x);
    assert_true(before > 3 && before < 7 && kurtosis < 4);
    x[500] = -2000;
    NEAR(an_stats_max_over_median(1000, x), 2000 / 0.6745, 0.1);
    assert_true(an_stats_kurtosis(1000, x) > 900);
}

static size_t slow_bucket(const an_histogram *h, double value)
{
    size_t i = 0;
    while (i + 1 < AN_HISTOGRAM_BUCKETS && value >= h->limit[i]) i++;
    return i;
}

static void buckets(void **state)
{
    (void)state;
    an_histogram h, one;
    uint64_t want[AN_HISTOGRAM_BUCKETS] = { 0 };
    size_t count = 0;
    double sum = 0, squares = 0;
    an_histogram_init(&h);
    for (size_t i = 1; i < AN_HISTOGRAM_BUCKETS; i++) assert_true(h.limit[i] > h.limit[i - 1]);
    NEAR(h.limit[AN_HISTOGRAM_SIDE], ldexp(1, -40), 0);
    NEAR(h.limit[AN_HISTOGRAM_BUCKETS - 2], ldexp(1, 20), 0);
    for (size_t i = 0; i + 1 < AN_HISTOGRAM_BUCKETS; i++)   /* at a limit, and a hair on either side of it */
        for (int side = -1; side <= 1; side++) x[count++] = (an_real)(h.limit[i] * (1 + side * (double)AN_REAL_EPS));
    x[count++] = 0;
    x[count++] = AN_R(1e30);
    x[count++] = AN_R(-1e30);
    for (size_t i = 0; i < 4000; i++, count++) x[count] = (an_real)(an_rng_normal(an_rng_key_make(9, 0, 0), i) * exp(8 * an_rng_normal(an_rng_key_make(10, 0, 0), i)));
    for (size_t i = 0; i < count; i++) {
        want[slow_bucket(&h, (double)x[i])]++;
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
        an_histogram_init(&one);
        an_histogram_add(&one, 1, x + i);
        assert_int_equal(one.count[slow_bucket(&one, (double)x[i])], 1);
    }
    an_histogram_add(&h, count / 2, x);
    an_histogram_add(&h, count - count / 2, x + count / 2);
    assert_memory_equal(h.count, want, sizeof want);
    assert_int_equal(h.finite, count);
    assert_true(h.min == (double)AN_R(-1e30) && h.max == (double)AN_R(1e30));
    NEAR(h.sum, sum, 1e-12);
    NEAR(h.sum_squares, squares, 1e-12);
}

static void values_that_are_no_numbers_are_counted_apart(void **state)
{
    (void)state;
    an_histogram h;
    an_histogram_init(&h);
    assert_true(h.min > h.max);
    x[0] = (an_real)NAN; x[1] = (an_real)INFINITY; x[2] = 3; x[3] = -(an_real)INFINITY; x[4] = -1;
    an_histogram_add(&h, 5, x);
    const an_bins bins = an_histogram_bins(&h);
    uint64_t total = 0;
    for (size_t i = 0; i < bins.n; i++) total += bins.count[i];
    assert_true(total == 2 && h.finite == 2 && h.other == 3);
    assert_true(bins.min == -1 && bins.max == 3 && bins.sum == 2 && bins.sum_squares == 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(orthogonal_rows), cmocka_unit_test(equal_rows), cmocka_unit_test(a_simplex), cmocka_unit_test(a_plane), cmocka_unit_test(gaussian_rows),
                                        cmocka_unit_test(what_has_no_meaning_is_nan), cmocka_unit_test(kurtosis_of_known_laws), cmocka_unit_test(medians_equal_sorting),
                                        cmocka_unit_test(massive_activations_stand_out), cmocka_unit_test(buckets), cmocka_unit_test(values_that_are_no_numbers_are_counted_apart) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
