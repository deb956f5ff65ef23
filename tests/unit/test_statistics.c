/* study/statistics beside numbers of another program: SciPy 1.17.1 (stats.t, ttest_rel, linregress, spearmanr); and the failure rule. */
#include "unit.h"

#include <math.h>

#include "study/statistics.h"

#define NEAR(got, want) near((got), (want), #got, __LINE__)

static void near(double got, double want, const char *what, int line)
{
    if (fabs(got - want) <= 1e-12 * fmax(fabs(want), 1e-3)) return;
    print_error("%s: %.17g, expected %.17g\n", what, got, want);
    _fail(__FILE__, line);
}

static void students_t(void **state)
{
    (void)state;
    static const struct { double p; size_t n; double t; } QUANTILE[] = {
        { 0.975, 1, 12.706204736174694 }, { 0.975, 2, 4.3026527297494619 }, { 0.975, 3, 3.1824463052837078 }, { 0.975, 4, 2.7764451051977934 },
        { 0.975, 7, 2.364624251592784 }, { 0.975, 30, 2.0422724563012378 }, { 0.975, 101, 1.9837310029556059 }, { 0.9, 5, 1.4758840488244815 },
        { 0.1, 6, -1.4397557472651481 }, { 0.9995, 2, 31.599054576445365 },
    };
    static const struct { double t; size_t n; double p; } BELOW[] = {
        { 0.5, 1, 0.64758361765043326 }, { -1.25, 2, 0.16886691073373905 }, { 2, 5, 0.94903026058507078 }, { 3.3, 8, 0.9945705741950035 },
        { -40, 3, 1.7190340394579253e-05 }, { 1, 100, 0.84013792210793836 }, { 0, 7, 0.5 }, { INFINITY, 4, 1 }, { -INFINITY, 4, 0 },
    };
    for (size_t i = 0; i < COUNT(QUANTILE); i++) NEAR(an_stat_t_quantile(QUANTILE[i].p, QUANTILE[i].n), QUANTILE[i].t);
    for (size_t i = 0; i < COUNT(BELOW); i++) NEAR(an_stat_t_below(BELOW[i].t, BELOW[i].n), BELOW[i].p);
}

static const double X[] = { 2.31, 2.35, 2.28, 2.4, 2.33 }, Y[] = { 2.27, 2.36, 2.2, 2.31, 2.30 };

static void means_and_differences(void **state)
{
    (void)state;
    const an_mean m = an_stat_mean(COUNT(X), X), d = an_stat_paired(COUNT(X), X, Y);
    assert_int_equal(m.n, 5);
    NEAR(m.mean, 2.334);
    NEAR(m.deviation, 0.045055521304275238);
    assert_true(fabs(m.half - 0.0559438187238213) < 1e-15);
    assert_int_equal(d.n, 5);
    NEAR(d.mean, 0.046);
    NEAR(d.deviation, 0.040373258476372485);
    NEAR(d.half, 0.050130021540286666);
    NEAR(d.p, 0.063459760790572278);
    const double holed[] = { 2.31, NAN, 2.35, INFINITY, 2.28, 2.4, 2.33 }, other[] = { 2.27, 2, 2.36, 2, 2.2, 2.31, 2.30 };
    NEAR(an_stat_mean(COUNT(holed), holed).half, m.half);
    NEAR(an_stat_paired(COUNT(holed), holed, other).p, d.p);
    assert_int_equal(an_stat_paired(COUNT(holed), holed, other).n, 5);
    const an_mean one = an_stat_mean(1, X), none = an_stat_mean(0, NULL), same = an_stat_paired(COUNT(X), X, X);
    assert_true(one.n == 1 && one.mean == X[0] && isnan(one.half) && isnan(one.p));
    assert_true(none.n == 0 && isnan(none.mean) && isnan(none.half));
    assert_true(same.mean == 0 && same.half == 0 && same.p == 1);
}

static void lines(void **state)
{
    (void)state;
    const double x[] = { 8, 16, 24, 48, 64, -1, 32 }, y[] = { 0.31, 0.2, 0.19, 0.11, 0.12, 5, NAN };
    const an_line straight = an_stat_line(5, x, y), log_log = an_stat_log_log(COUNT(x), x, y);
    NEAR(straight.slope, -0.0030147058823529415);
    NEAR(straight.intercept, 0.28247058823529414);
    NEAR(straight.r2, 0.76891409752081263);
    assert_int_equal(log_log.n, 5);
    NEAR(log_log.slope, -0.48872612939556032);
    NEAR(log_log.intercept, -0.18397334278480582);
    NEAR(log_log.r2, 0.94615958814043044);
    assert_true(isnan(an_stat_line(3, (double[]){ 1, 1, 1 }, y).slope) && isnan(an_stat_line(0, x, y).slope));
}

static void spearman(void **state)
{
    (void)state;
    NEAR(an_stat_spearman(8, (double[]){ 1, 2, 2, 3, 5, 5, 5, 9 }, (double[]){ 3, 1, 4, 4, 8, 2, 9, 7 }), 0.56189970595167082);
    NEAR(an_stat_spearman(4, (double[]){ 1, NAN, 10, 100 }, (double[]){ 3, -7, 2, 1 }), -1);
    assert_true(isnan(an_stat_spearman(3, (double[]){ 4, 4, 4 }, (double[]){ 1, 2, 3 })));
}

static void envelopes(void **state)
{
    (void)state;
    const double a[] = { 1, 5, NAN, 4 }, b[] = { 3, INFINITY, NAN }, c[] = { 8 };      /* of a run that diverged, and of one that ended early */
    const double *const y[] = { a, b, c };
    const size_t length[] = { 4, 3, 1 };
    double mean[4], low[4], high[4];
    an_stat_envelope(3, y, length, 4, mean, low, high);
    NEAR(mean[0], 4); NEAR(low[0], 1); NEAR(high[0], 8);
    NEAR(mean[1], 5); NEAR(low[1], 5); NEAR(high[1], 5);
    assert_true(isnan(mean[2]) && isnan(low[2]) && isnan(high[2]));
    NEAR(mean[3], 4); NEAR(low[3], 4); NEAR(high[3], 4);
}

/* A number that is not there is not the smaller one. */
static void largest(void **state)
{
    (void)state;
    const double x[] = { 1, 3, 2 }, y[] = { NAN, 3 }, z[] = { 3, NAN, 4 }, u[] = { -INFINITY, -2 };
    NEAR(an_stat_most(3, x), 3);
    NEAR(an_stat_most(2, u), -2);
    assert_true(isnan(an_stat_most(0, x)) && isnan(an_stat_most(2, y)) && isnan(an_stat_most(3, z)));
}

static void the_failure_rule(void **state)
{
    (void)state;
    static const struct { double loss; uint64_t steps; double pre_ln; an_outcome want; } CASE[] = {
        { NAN, 600, NAN, AN_OUTCOME_FAILED }, { INFINITY, 600, 2, AN_OUTCOME_FAILED }, { 3.01, 600, NAN, AN_OUTCOME_FAILED }, { 2.99, 600, NAN, AN_OUTCOME_PARTIAL },
        { 2.31, 600, NAN, AN_OUTCOME_PARTIAL }, { 2.29, 600, NAN, AN_OUTCOME_TRAINED }, { 2.59, 300, NAN, AN_OUTCOME_TRAINED }, { 2.59, 301, NAN, AN_OUTCOME_PARTIAL },
        { 2.29, 600, 2.2, AN_OUTCOME_TRAINED }, { 2.29, 600, 2.18, AN_OUTCOME_DEGRADED }, { 2.35, 600, 2.26, AN_OUTCOME_PARTIAL }, { 2.35, 600, 2.0, AN_OUTCOME_PARTIAL },
        { 2.29, 600, 3.2, AN_OUTCOME_TRAINED }, { 3.05, 600, 3.04, AN_OUTCOME_FAILED },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        const an_outcome got = an_outcome_judge(CASE[i].loss, 3.3, CASE[i].steps, CASE[i].pre_ln);
        if (got != CASE[i].want) fail_msg("case %zu: %s", i, an_outcome_name(got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(students_t), cmocka_unit_test(means_and_differences), cmocka_unit_test(lines), cmocka_unit_test(spearman), cmocka_unit_test(envelopes), cmocka_unit_test(largest), cmocka_unit_test(the_failure_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
