/* train/spikes: what is a spike and what is not, against laws that can be worked out: noise, trends, planted jumps. */
#include "unit.h"

#include <math.h>

#include "core/rng.h"
#include "train/spikes.h"

static double noise(uint64_t seed, uint64_t i) { return an_rng_normal(an_rng_key_make(seed, 0, 0), i); }

static void near(double got, double want, double relative)
{
    if (fabs(got - want) <= relative * fabs(want)) return;
    print_error("%.17g, expected %.17g within %g\n", got, want, relative);
    fail();
}

static an_spike_kind kind_of(an_spikes *s, an_spike_quantity q, uint64_t step, double value) { return an_spikes_add(s, q, step, value).kind; }

/* Steps 0 .. n-1 of the loss: 2 and noise. */
static void quiet(an_spikes *s, uint64_t seed, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) assert_int_equal(kind_of(s, AN_SPIKE_LOSS, i, 2 + 0.1 * noise(seed, i)), AN_SPIKE_NONE);
}

static void z_is_that_of_the_window(void **state)
{
    (void)state;
    an_spikes s = { 0 };
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < 200; i++) {                     /* loss 0, 1, 2, ...: the window ends with 72 .. 199 */
        const an_spike_verdict v = an_spikes_add(&s, AN_SPIKE_LOSS, i, (double)i);
        assert_int_equal(v.kind, AN_SPIKE_NONE);
        if (i < AN_SPIKE_LEAST) assert_true(isnan(v.z));
        if (i == AN_SPIKE_LEAST) near(v.z, sqrt(3.0 * (AN_SPIKE_LEAST + 1) / AN_SPIKE_LEAST), 1e-14);
    }
    for (int i = 72; i < 200; i++) { sum += i; squares += i * i; }
    const double mean = sum / 128, deviation = sqrt((squares - 128 * mean * mean) / 127);
    const an_spike_verdict v = an_spikes_add(&s, AN_SPIKE_LOSS, 200, mean + 5.99 * deviation);
    near(v.z, 5.99, 1e-12);
    near(v.mean, mean, 1e-14);
    assert_int_equal(v.kind, AN_SPIKE_NONE);
}

static void the_band_starts_above_six(void **state)
{
    (void)state;
    for (int q = 0; q < AN_SPIKE_QUANTITIES; q++) {
        const int by_factors = q != AN_SPIKE_LOSS;
        for (int up = 0; up < 2; up++) {
            an_spikes s = { 0 };
            for (uint64_t i = 0; i < 64; i++) {              /* +-0.1 around 0.7, itself or as exponent: deviation 0.1 sqrt(64/63) */
                const double x = 0.7 + (i % 2 ? 0.1 : -0.1);
                assert_int_equal(kind_of(&s, (an_spike_quantity)q, i, by_factors ? exp(x) : x), AN_SPIKE_NONE);
            }
            const double z = up ? 6.001 : 5.999, x = 0.7 + z * 0.1 * sqrt(64.0 / 63);
            const an_spike_verdict v = an_spikes_add(&s, (an_spike_quantity)q, 64, by_factors ? exp(x) : x);
            near(v.z, z, 1e-11);
            near(v.mean, by_factors ? exp(0.7) : 0.7, 1e-13);
            assert_int_equal(v.kind, up ? AN_SPIKE_START : AN_SPIKE_NONE);
            assert_int_equal(v.quantity, q);
        }
    }
}

static void noise_and_trends_are_no_spikes(void **state)
{
    (void)state;
    an_spikes s = { 0 };
    double largest = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        const double fall = 2 + 3 * exp(-(double)i / 300), warm = i < 2000 ? (double)(i + 1) / 2000 : 1;
        const an_spike_verdict loss = an_spikes_add(&s, AN_SPIKE_LOSS, i, fall + 0.05 * noise(1, i));
        assert_int_equal(loss.kind, AN_SPIKE_NONE);
        assert_int_equal(kind_of(&s, AN_SPIKE_GRAD_NORM, i, exp(0.4 * noise(2, i))), AN_SPIKE_NONE);   /* scattered by factors of 1.5 */
        assert_int_equal(kind_of(&s, AN_SPIKE_UPDATE_NORM, i, warm * (1 + 0.02 * noise(3, i))), AN_SPIKE_NONE);
        if (loss.z > largest) largest = loss.z;
    }
    assert_true(largest > 3.8 && largest < 5.5);             /* of 1e5 Gaussians: 4.3 */
}

static void a_still_window_has_a_floor(void **state)
{
    (void)state;
    an_spikes s = { 0 };
    for (uint64_t i = 0; i < 64; i++) {
        assert_int_equal(kind_of(&s, AN_SPIKE_LOSS, i, 1.25), AN_SPIKE_NONE);
        assert_int_equal(kind_of(&s, AN_SPIKE_GRAD_NORM, i, 1e-20), AN_SPIKE_NONE);
    }
    assert_int_equal(kind_of(&s, AN_SPIKE_LOSS, 64, 1.25 + 0.059), AN_SPIKE_NONE);
    assert_int_equal(kind_of(&s, AN_SPIKE_GRAD_NORM, 64, 1e-20 * exp(0.119)), AN_SPIKE_NONE);
    an_spikes t = { 0 };
    for (uint64_t i = 0; i < 64; i++) assert_int_equal(kind_of(&t, AN_SPIKE_LOSS, i, 1.25), AN_SPIKE_NONE);
    near(an_spikes_add(&t, AN_SPIKE_LOSS, 64, 1.25 + 0.061).z, 6.1, 1e-12);
    assert_int_equal(t.track[AN_SPIKE_LOSS].spiking, 1);
}

static void time_to_recover(void **state)
{
    (void)state;
    an_spikes s = { 0 };
    quiet(&s, 4, 500);
    const an_spike_verdict start = an_spikes_add(&s, AN_SPIKE_LOSS, 500, 4);
    assert_int_equal(start.kind, AN_SPIKE_START);
    assert_true(start.since == 500 && start.steps == 0 && start.peak == 4 && start.peak_z == start.z && start.z > 15 && start.z < 25);
    const double band = start.mean + 3 * (4 - start.mean) / start.z;   /* z = 3 of the window before */
    for (uint64_t i = 1; i < 17; i++) {                      /* up to 5, then back; just outside of the band until the last */
        const double value = i == 1 ? 5 : i < 15 ? 4 - 0.1 * (double)i : band * 1.0001;
        const an_spike_verdict v = an_spikes_add(&s, AN_SPIKE_LOSS, 500 + i, value);
        assert_int_equal(v.kind, AN_SPIKE_GOES_ON);
        assert_true(v.since == 500 && v.steps == i && v.peak == 5 && v.mean == start.mean);
    }
    const an_spike_verdict end = an_spikes_add(&s, AN_SPIKE_LOSS, 517, band * 0.9999);
    assert_int_equal(end.kind, AN_SPIKE_RECOVERED);
    assert_true(end.since == 500 && end.steps == 17 && end.peak == 5 && end.peak_z > start.z);
    const an_spike_verdict after = an_spikes_add(&s, AN_SPIKE_LOSS, 518, 4);   /* the spike has not widened the band */
    assert_int_equal(after.kind, AN_SPIKE_START);
    near(after.z, start.z, 0.1);
}

static void what_is_not_finite_is_a_spike(void **state)
{
    (void)state;
    static const double BAD[] = { (double)NAN, (double)INFINITY, -(double)INFINITY };
    for (size_t i = 0; i < COUNT(BAD); i++) {
        for (int q = 0; q < AN_SPIKE_QUANTITIES; q++) {
            an_spikes s = { 0 };
            const an_spike_verdict v = an_spikes_add(&s, (an_spike_quantity)q, 0, BAD[i]);   /* even with nothing to compare with */
            assert_true(v.kind == AN_SPIKE_START && isinf(v.z) && v.z > 0 && isnan(v.mean));
            assert_int_equal(kind_of(&s, (an_spike_quantity)q, 1, BAD[i]), AN_SPIKE_GOES_ON);
            assert_int_equal(kind_of(&s, (an_spike_quantity)q, 2, 1), AN_SPIKE_RECOVERED);
            assert_int_equal(s.track[q].count, 1);
        }
    }
    an_spikes s = { 0 };
    assert_int_equal(kind_of(&s, AN_SPIKE_GRAD_NORM, 0, 0), AN_SPIKE_NONE);   /* a norm of nothing */
    assert_int_equal(s.track[AN_SPIKE_GRAD_NORM].count, 0);
}

static void a_new_level_is_given_up(void **state)
{
    (void)state;
    an_spikes s = { 0 };
    quiet(&s, 5, 300);
    for (uint64_t i = 0; i < AN_SPIKE_WINDOW; i++) {
        const an_spike_verdict v = an_spikes_add(&s, AN_SPIKE_LOSS, 300 + i, 6 + 0.1 * noise(6, i));
        assert_int_equal(v.kind, i == 0 ? AN_SPIKE_START : i < AN_SPIKE_WINDOW - 1 ? AN_SPIKE_GOES_ON : AN_SPIKE_NEW_LEVEL);
        assert_int_equal(v.steps, i);
    }
    for (uint64_t i = 0; i < 100; i++) assert_int_equal(kind_of(&s, AN_SPIKE_LOSS, 428 + i, 6 + 0.1 * noise(7, i)), AN_SPIKE_NONE);
    assert_int_equal(kind_of(&s, AN_SPIKE_LOSS, 528, 8), AN_SPIKE_START);
}

static void quantities_are_apart(void **state)
{
    (void)state;
    an_spikes s = { 0 };
    for (uint64_t i = 0; i < 200; i++)
        for (int q = 0; q < AN_SPIKE_QUANTITIES; q++) kind_of(&s, (an_spike_quantity)q, i, exp(0.05 * noise(8 + (uint64_t)q, i)));
    assert_int_equal(kind_of(&s, AN_SPIKE_UPDATE_NORM, 200, 2), AN_SPIKE_START);   /* doubled */
    assert_int_equal(kind_of(&s, AN_SPIKE_GRAD_NORM, 200, 1), AN_SPIKE_NONE);
    assert_int_equal(kind_of(&s, AN_SPIKE_LOSS, 200, 1), AN_SPIKE_NONE);
    assert_string_equal(an_spike_name(AN_SPIKE_UPDATE_NORM), "update_norm");
    assert_string_equal(an_spike_kind_name(AN_SPIKE_NEW_LEVEL), "new-level");
}

static double bumpy(uint64_t q, uint64_t step) { return exp(0.1 * noise(20 + q, step)) * (step % 97 == 60 + q ? 20 : 1); }

/* Written and read at any step, the verdicts go on as if nothing had happened, to the bit. */
static void state_goes_on_exactly(void **state)
{
    (void)state;
    size_t spikes = 0;
    an_spikes whole = { 0 }, parted = { 0 };
    for (uint64_t step = 0; step < 400; step++) {
        an_text text = { 0 };
        an_spikes_write(&parted, &text);
        assert_ok(an_text_status(&text));
        memset(&parted, 0x55, sizeof parted);
        assert_ok(an_spikes_read(&parted, an_text_get(&text)));
        an_text_fini(&text);
        for (uint64_t q = 0; q < AN_SPIKE_QUANTITIES; q++) {
            const an_spike_verdict a = an_spikes_add(&whole, (an_spike_quantity)q, step, bumpy(q, step)), b = an_spikes_add(&parted, (an_spike_quantity)q, step, bumpy(q, step));
            assert_true(a.kind == b.kind && a.since == b.since && a.steps == b.steps && a.peak == b.peak && a.peak_z == b.peak_z);
            assert_memory_equal(&a.z, &b.z, sizeof a.z);
            assert_memory_equal(&a.mean, &b.mean, sizeof a.mean);
            spikes += a.kind == AN_SPIKE_START;
        }
    }
    assert_int_equal(spikes, 12);
}

static void damaged_state_is_refused(void **state)
{
    (void)state;
    an_spikes s = { 0 }, before;
    an_text text = { 0 };
    quiet(&s, 30, 40);
    before = s;
    an_spikes_write(&s, &text);
    for (size_t n = 0; n < text.length; n++) {               /* cut anywhere between or before words */
        char *cut = strndup(text.s, n);
        assert_non_null(cut);
        if (text.s[n] == ' ' || n == 0) assert_fails(an_spikes_read(&s, cut), AN_EFORMAT, "spikes");
        free(cut);
    }
    static const char *const BAD[] = { "", "x", "81 0 0 0 0", "0 80 0 0 0 0 0 0 0 0 0 0 0 0 0", "0 0 0 0 00000000000000000 0 0 0 0 0 0 0 0 0 0", "1 0 0 0 0 7ff0000000000000 0 0 0 0 0 0 0 0 0 0",
                                       "0 0 0 0 0  0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0 0 0 0 0 -1" };
    for (size_t i = 0; i < COUNT(BAD); i++) assert_fails(an_spikes_read(&s, BAD[i]), AN_EFORMAT, "spikes");
    text.length = 0;
    an_text_add(&text, "%x 0 0 0 0", AN_SPIKE_WINDOW + 1);  /* whole, but of a window that is too long */
    for (int i = 0; i < AN_SPIKE_WINDOW + 1 + 10; i++) an_text_add(&text, " 0");
    assert_fails(an_spikes_read(&s, text.s), AN_EFORMAT, "spikes");
    assert_memory_equal(&s, &before, sizeof s);
    assert_ok(an_spikes_read(&s, "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"));
    an_text_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(z_is_that_of_the_window), cmocka_unit_test(the_band_starts_above_six), cmocka_unit_test(noise_and_trends_are_no_spikes),
                                        cmocka_unit_test(a_still_window_has_a_floor), cmocka_unit_test(time_to_recover), cmocka_unit_test(what_is_not_finite_is_a_spike),
                                        cmocka_unit_test(a_new_level_is_given_up), cmocka_unit_test(quantities_are_apart), cmocka_unit_test(state_goes_on_exactly),
                                        cmocka_unit_test(damaged_state_is_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
