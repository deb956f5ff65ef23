/* From logits to tokens: limits of each setting, distributions, purity in (seed, position). */
#include "unit.h"

#include <math.h>

#include "train/sampling.h"

enum { V = 6 };
static const an_real LOGITS[V] = { AN_R(1.0), AN_R(3.0), AN_R(-2.0), AN_R(3.0), AN_R(0.5), AN_R(2.0) };

static int32_t draw(an_sampling s, const an_real *logits, uint64_t position)
{
    an_candidate work[V];
    int32_t token = -1;
    assert_ok(an_sample(&s, logits, V, position, work, &token));
    assert_in_range(token, 0, V - 1);
    return token;
}

static void count(an_sampling s, int n, int histogram[V])
{
    memset(histogram, 0, V * sizeof *histogram);
    for (int i = 0; i < n; i++) histogram[draw(s, LOGITS, (uint64_t)i)]++;
}

static void zero_temperature_is_argmax(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 50; i++) assert_int_equal(draw((an_sampling){ 0, 0, 1, i, 0 }, LOGITS, i), 1);   /* the first of equals */
    for (uint64_t i = 0; i < 50; i++) assert_int_equal(draw((an_sampling){ 1, 1, 1, i, 0 }, LOGITS, i), 1);   /* top_k 1 */
    for (uint64_t i = 0; i < 50; i++) assert_int_equal(draw((an_sampling){ 1, 0, 1e-9, i, 0 }, LOGITS, i), 1);
}

static void follows_the_softmax(void **state)
{
    (void)state;
    enum { N = 40000 };
    int h[V];
    double sum = 0;
    for (int i = 0; i < V; i++) sum += exp((double)LOGITS[i] / 1.5);
    count((an_sampling){ 1.5, 0, 1, 7, 0 }, N, h);
    for (int i = 0; i < V; i++) {
        const double p = exp((double)LOGITS[i] / 1.5) / sum, sigma = sqrt(p * (1 - p) / N);
        assert_true(fabs((double)h[i] / N - p) < 5 * sigma);
    }
}

static void top_k_and_top_p_cut(void **state)
{
    (void)state;
    int h[V];
    count((an_sampling){ 1, 3, 1, 7, 0 }, 3000, h);
    assert_true(h[1] > 0 && h[3] > 0 && h[5] > 0);
    assert_int_equal(h[0] + h[2] + h[4], 0);
    count((an_sampling){ 1, 0, 0.70, 7, 0 }, 3000, h);         /* the two equal best hold 0.725 together */
    assert_true(h[1] > 0 && h[3] > 0);
    assert_int_equal(h[0] + h[2] + h[4] + h[5], 0);
    count((an_sampling){ 1, 100, 1, 7, 0 }, 20000, h);         /* k beyond the vocabulary cuts nothing */
    for (int i = 0; i < V; i++) assert_true(h[i] > 0);
}

static void pure_in_seed_and_position(void **state)
{
    (void)state;
    int differs = 0;
    for (uint64_t i = 0; i < 200; i++) {
        const int32_t a = draw((an_sampling){ 1, 0, 1, 3, 0 }, LOGITS, i), b = draw((an_sampling){ 1, 0, 1, 4, 0 }, LOGITS, i);
        assert_int_equal(a, draw((an_sampling){ 1, 0, 1, 3, 0 }, LOGITS, i));
        differs |= a != b;
    }
    assert_true(differs);
}

static void not_finite_is_an_error(void **state)
{
    (void)state;
    an_candidate work[V];
    int32_t token;
    const an_sampling s = { 1, 0, 1, 1, 0 };
    an_real bad[V] = { 0 };
    bad[3] = AN_R(NAN);
    assert_fails(an_sample(&s, bad, V, 5, work, &token), AN_EDIVERGED, "position 5");
    bad[3] = AN_R(INFINITY);
    assert_fails(an_sample(&s, bad, V, 5, work, &token), AN_EDIVERGED, "not finite");
    bad[3] = AN_R(-INFINITY);                               /* a masked token is never drawn */
    for (uint64_t i = 0; i < 500; i++) assert_int_not_equal(draw(s, bad, i), 3);
}

static void settings_are_checked(void **state)
{
    (void)state;
    assert_ok(an_sampling_check(&(an_sampling){ 0, 0, 1, 0, 0 }));
    assert_fails(an_sampling_check(&(an_sampling){ -1, 0, 1, 0, 0 }), AN_ECONFIG, "temperature");
    assert_fails(an_sampling_check(&(an_sampling){ NAN, 0, 1, 0, 0 }), AN_ECONFIG, "temperature");
    assert_fails(an_sampling_check(&(an_sampling){ 1, 0, 0, 0, 0 }), AN_ECONFIG, "top_p");
    assert_fails(an_sampling_check(&(an_sampling){ 1, 0, 1.5, 0, 0 }), AN_ECONFIG, "top_p");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_temperature_is_argmax), cmocka_unit_test(follows_the_softmax), cmocka_unit_test(top_k_and_top_p_cut),
        cmocka_unit_test(pure_in_seed_and_position), cmocka_unit_test(not_finite_is_an_error), cmocka_unit_test(settings_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
