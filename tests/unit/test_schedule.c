/* Learning-rate schedules against their closed forms. */
#include "unit.h"

#include <math.h>

#include "train/schedule.h"

static const double PI = 3.14159265358979323846;

static void near(double got, double want)
{
    if (fabs(got - want) <= 1e-15 + 1e-12 * fabs(want)) return;
    print_error("%.17g, expected %.17g\n", got, want);
    fail();
}

static an_schedule make(const char *name)
{
    an_schedule s;
    assert_ok(an_schedule_init(&s, name, 1e-3, 1e-4, 10, 110));
    return s;
}

static void warmup_is_shared(void **state)
{
    (void)state;
    static const char *const NAMES[] = { "cosine", "linear", "inverse-sqrt", "constant" };
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        const an_schedule s = make(NAMES[i]);
        for (uint64_t t = 0; t < 10; t++) near(an_schedule_lr(&s, t), 1e-3 * (double)(t + 1) / 11);
        near(an_schedule_lr(&s, 10), 1e-3);               /* meets the peak without a jump */
    }
}

static void closed_forms(void **state)
{
    (void)state;
    const an_schedule c = make("cosine"), l = make("linear"), i = make("inverse-sqrt"), k = make("constant");
    for (uint64_t t = 10; t < 110; t++) {
        const double r = (double)(t - 10) / 100;
        near(an_schedule_lr(&c, t), 1e-4 + 9e-4 * 0.5 * (1 + cos(PI * r)));
        near(an_schedule_lr(&l, t), 1e-3 - 9e-4 * r);
        near(an_schedule_lr(&i, t), 1e-3 * sqrt(11 / (double)(t + 1)));
        near(an_schedule_lr(&k, t), 1e-3);
    }
}

static void after_the_end(void **state)
{
    (void)state;
    const an_schedule c = make("cosine"), l = make("linear"), i = make("inverse-sqrt");
    near(an_schedule_lr(&c, 110), 1e-4);
    near(an_schedule_lr(&c, 100000), 1e-4);
    near(an_schedule_lr(&l, 111), 1e-4);
    near(an_schedule_lr(&i, 100000), 1e-4);               /* floor */
}

static void degenerate(void **state)
{
    (void)state;
    an_schedule s;
    assert_ok(an_schedule_init(&s, "cosine", 1e-3, 0, 0, 1));
    near(an_schedule_lr(&s, 0), 1e-3);
    near(an_schedule_lr(&s, 1), 0);
    assert_ok(an_schedule_init(&s, "linear", 1e-3, 0, 5, 5));   /* warm-up as long as the run */
    near(an_schedule_lr(&s, 4), 1e-3 * 5 / 6);
    near(an_schedule_lr(&s, 5), 0);
    assert_fails(an_schedule_init(&s, "step", 1, 0, 0, 1), AN_ECONFIG, "unknown name 'step'");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(warmup_is_shared), cmocka_unit_test(closed_forms), cmocka_unit_test(after_the_end), cmocka_unit_test(degenerate) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
