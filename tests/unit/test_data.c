/* Byte streams: every window once per epoch, pure function of (seed, sample), splits, bad files. */
#include "unit.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train/data.h"

enum { BYTES = 1000, T = 16 };

static unsigned char text[BYTES];

/* Three files that together hold `text`, cut at odd places. */
static an_option_list files(void)
{
    static char path[3][512];
    static const char *item[3];
    const size_t cut[4] = { 0, 1, 333, BYTES };
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "part%d", i);
        snprintf(path[i], sizeof path[i], "%s", unit_path(name));
        unit_write(path[i], text + cut[i], cut[i + 1] - cut[i]);
        item[i] = path[i];
    }
    return (an_option_list){ 3, item };
}

static void fill_text(void)
{
    uint32_t x = 1;
    for (size_t i = 0; i < BYTES; i++) {
        x = x * 1664525u + 1013904223u;
        text[i] = (unsigned char)(x >> 24);
    }
}

static an_data *open_all(double val_fraction)
{
    an_data *data;
    const an_option_list list = files(), none = { 0, NULL };
    assert_ok(an_data_open(&data, &list, &none, val_fraction, T));
    return data;
}

static void splits_at_the_end(void **state)
{
    (void)state;
    an_data *d = open_all(0.1);
    assert_int_equal(an_stream_bytes(an_data_train(d)), 900);
    assert_int_equal(an_stream_bytes(an_data_val(d)), 100);
    int32_t tok[T], tgt[T];
    assert_int_equal(an_stream_windows(an_data_val(d), T), 7);      /* 99 targets: six full windows and 3 */
    for (uint64_t w = 0; w < 7; w++) {
        const size_t n = an_stream_window(an_data_val(d), T, w, tok, tgt);
        assert_int_equal(n, w < 6 ? T : 3);
        for (size_t i = 0; i < T; i++) {
            assert_int_equal(tgt[i], i < n ? text[900 + w * T + i + 1] : -1);
            if (i < n) assert_int_equal(tok[i], text[900 + w * T + i]);
        }
    }
    an_data_close(&d);
}

/* Where in the stream a sample lies: its bytes are distinct enough to be found again. */
static size_t place(const int32_t *tok, const int32_t *tgt)
{
    for (size_t at = 0; at + T < 900; at++) {
        size_t i = 0;
        while (i < T && text[at + i] == tok[i] && text[at + i + 1] == tgt[i]) i++;
        if (i == T) return at;
    }
    fail_msg("a sample is not a window of the text");
    return 0;
}

static void each_window_once_per_epoch(void **state)
{
    (void)state;
    an_data *d = open_all(0.1);
    const uint64_t n = an_data_epoch_samples(d);
    int32_t tok[T], tgt[T];
    size_t phase[8];
    int phases_differ = 0, order_differs = 0;
    assert_int_equal(n, 899 / T - 1);
    for (uint64_t epoch = 0; epoch < 8; epoch++) {
        char seen[64] = { 0 };
        for (uint64_t i = 0; i < n; i++) {
            an_data_sample(d, 42, epoch * n + i, tok, tgt);
            const size_t at = place(tok, tgt);
            if (i == 0) phase[epoch] = at % T;
            assert_int_equal(at % T, phase[epoch]);
            assert_false(seen[at / T]);
            seen[at / T] = 1;
            if (at / T != i) order_differs = 1;
        }
        if (phase[epoch] != phase[0]) phases_differ = 1;
    }
    assert_true(phases_differ);
    assert_true(order_differs);
    an_data_close(&d);
}

static void pure_function_of_seed_and_sample(void **state)
{
    (void)state;
    an_data *d = open_all(0.1);
    int32_t a[T], b[T], c[T], tgt[T];
    int differs = 0;
    for (uint64_t i = 300; i-- > 0;) {
        an_data_sample(d, 1, i, a, tgt);
        an_data_sample(d, 1, 299 - i, c, tgt);
        an_data_sample(d, 1, i, b, tgt);
        assert_memory_equal(a, b, sizeof a);
        an_data_sample(d, 2, i, b, tgt);
        differs |= memcmp(a, b, sizeof a) != 0;
    }
    assert_true(differs);
    an_data_close(&d);
}

static void smallest_text_works(void **state)
{
    (void)state;
    an_data *d;
    int32_t tok[T], tgt[T];
    unit_write(unit_path("small"), text, T + 1);
    const char *item[] = { unit_path("small") };
    const an_option_list list = { 1, item };
    assert_ok(an_data_open(&d, &list, &list, 0.1, T));
    assert_int_equal(an_data_epoch_samples(d), 1);
    for (uint64_t i = 0; i < 5; i++) {
        an_data_sample(d, 9, i, tok, tgt);
        assert_int_equal(place(tok, tgt), 0);
    }
    an_data_close(&d);
}

static void entropy_in_nats(void **state)
{
    (void)state;
    an_stream *s;
    unit_write(unit_path("even"), "abcdabcdabcdabcd", 16);
    const char *item[] = { unit_path("even") };
    const an_option_list list = { 1, item };
    assert_ok(an_stream_open(&s, &list));
    assert_true(fabs(an_stream_entropy(s) - log(4)) < 1e-12);
    an_stream_close(&s);
}

static void fingerprint_sees_a_byte(void **state)
{
    (void)state;
    an_data *d = open_all(0.1);
    const uint64_t before = an_data_fingerprint(d);
    an_data_close(&d);
    text[500] ^= 1;
    d = open_all(0.1);
    assert_true(an_data_fingerprint(d) != before);
    an_data_close(&d);
    text[500] ^= 1;
    d = open_all(0.2);
    assert_true(an_data_fingerprint(d) != before);       /* another split is other data */
    an_data_close(&d);
}

static an_status open_one(const char *path, double val_fraction)
{
    an_data *d = NULL;
    const char *item[] = { path };
    const an_option_list list = { 1, item }, none = { 0, NULL };
    const an_status status = an_data_open(&d, &list, &none, val_fraction, T);
    an_data_close(&d);
    return status;
}

static void bad_data_is_named(void **state)
{
    (void)state;
    const an_option_list none = { 0, NULL };
    an_data *d;
    unit_write(unit_path("empty"), "", 0);
    unit_write(unit_path("tiny"), text, T);
    unit_write(unit_path("short"), text, 10 * T);        /* long enough to train, its tenth is not to validate */
    assert_fails(an_data_open(&d, &none, &none, 0.1, T), AN_EUSAGE, "no text given");
    assert_fails(open_one(unit_path("absent"), 0.1), AN_EDATA, "absent");
    assert_fails(open_one(unit_path("empty"), 0.1), AN_EDATA, "empty");
    assert_fails(open_one(unit_path("."), 0.1), AN_EDATA, "data");
    assert_fails(open_one(unit_path("tiny"), 0.1), AN_EDATA, "too short");
    assert_fails(open_one(unit_path("short"), 0.1), AN_EDATA, "val_fraction");
    if (geteuid() != 0) {
        assert_int_equal(chmod(unit_path("short"), 0), 0);
        assert_fails(open_one(unit_path("short"), 0.1), AN_EDATA, "short");
    }
}

int main(void)
{
    fill_text();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_at_the_end), cmocka_unit_test(each_window_once_per_epoch), cmocka_unit_test(pure_function_of_seed_and_sample),
        cmocka_unit_test(smallest_text_works), cmocka_unit_test(entropy_in_nats), cmocka_unit_test(fingerprint_sees_a_byte), cmocka_unit_test(bad_data_is_named),
    };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
