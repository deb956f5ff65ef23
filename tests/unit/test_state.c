/* state.json: what is written is read, and any damage is seen. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "core/file.h"
#include "train/state.h"

static an_run_state sample(void)
{
    return (an_run_state){ .step = 120, .samples = 1440, .tokens = 92160, .seed = 1337, .data_fingerprint = 0xfedcba9876543210ull, .train_bytes = 1003854, .val_bytes = 111540,
                           .best_val_loss = 1.8812345678901234, .best_val_step = 100, .model_checksum = 1, .optimizer_checksum = UINT64_MAX,
                           .config = (char *)(uintptr_t)"model:\n  n_layer: 2\n", .spikes = (char *)(uintptr_t)"0123" };
}

static void round_trip(void **state)
{
    (void)state;
    an_run_state a = sample(), b;
    assert_ok(an_run_state_write(&a, unit_path("state.json")));
    assert_ok(an_run_state_read(&b, unit_path("state.json")));
    assert_string_equal(a.config, b.config);
    assert_string_equal(a.spikes, b.spikes);
    an_run_state_fini(&b);
    b.config = a.config;
    assert_true(a.step == b.step && a.samples == b.samples && a.tokens == b.tokens && a.seed == b.seed && a.data_fingerprint == b.data_fingerprint);
    assert_true(a.best_val_loss == b.best_val_loss && a.best_val_step == b.best_val_step);
    assert_true(a.train_bytes == b.train_bytes && a.val_bytes == b.val_bytes && a.model_checksum == b.model_checksum && a.optimizer_checksum == b.optimizer_checksum);
    a.spikes = NULL;                                 /* telemetry off */
    a.best_val_loss = INFINITY;                      /* before the first evaluation */
    assert_ok(an_run_state_write(&a, unit_path("state.json")));
    assert_ok(an_run_state_read(&b, unit_path("state.json")));
    assert_true(isinf(b.best_val_loss) && !b.spikes);
    an_run_state_fini(&b);
}

/* Every flipped bit either breaks the JSON or the checksum, or changes nothing that is read. */
static void flipped_bits_are_seen(void **state)
{
    (void)state;
    const an_run_state a = sample();
    char *text;
    size_t size, unseen = 0;
    assert_ok(an_run_state_write(&a, unit_path("state.json")));
    assert_ok(an_file_read(unit_path("state.json"), &text, &size));
    for (size_t bit = 0; bit < 8 * size; bit += 3) {
        an_run_state b = { 0 };
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
        unit_write(unit_path("flipped.json"), text, size);
        if (an_run_state_read(&b, unit_path("flipped.json")) == AN_OK) {
            unseen++;
            assert_true(a.step == b.step && a.samples == b.samples && a.best_val_loss == b.best_val_loss && strcmp(a.config, b.config) == 0);
            an_run_state_fini(&b);
        }
        text[bit / 8] = (char)(text[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(unseen < size / 4);                  /* white space turned into other white space */
    free(text);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    an_run_state b;
    static const struct { const char *text, *words; } CASE[] = {
        { "", "not valid JSON" }, { "{}", "not the state" }, { "[1]", "not the state" }, { "{\"format\":\"addnorm run state\"}", "format version" },
        { "{\"format\":\"addnorm run state\",\"version\":99}", "format version 99" }, { "{\"format\":\"addnorm run state\",\"version\":1}", "checksum is missing" },
        { "{\"format\":\"addnorm run state\",\"version\":1,\"checksum\":\"0000000000000000\"}", "checksum does not match" },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        unit_write(unit_path("other.json"), CASE[i].text, strlen(CASE[i].text));
        assert_fails(an_run_state_read(&b, unit_path("other.json")), AN_EFORMAT, CASE[i].words);
    }
    assert_fails(an_run_state_read(&b, unit_path("absent.json")), AN_EDATA, "absent.json");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(flipped_bits_are_seen), cmocka_unit_test(other_files_are_refused) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
