/* Files that appear whole or not at all, folders, the log, text for people. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"

static void expect_content(const char *path, const char *text)
{
    char *bytes;
    size_t size;
    assert_ok(an_file_read(path, &bytes, &size));
    assert_int_equal(size, strlen(text));
    assert_string_equal(bytes, text);
    free(bytes);
}

static size_t files_in(const char *folder)
{
    char **names;
    size_t count;
    assert_ok(an_dir_list(folder, &names, &count));
    an_dir_list_free(names, count);
    return count;
}

static void writes_are_atomic(void **state)
{
    (void)state;
    static char big[300000];
    assert_ok(an_dir_create(unit_path("atomic/deep/er")));
    const char *path = unit_path("atomic/deep/er/file"), *folder = unit_path("atomic/deep/er");
    assert_ok(an_file_write(path, "old", 3));
    memset(big, 'x', sizeof big);
    for (uint64_t n = 0; n < 12; n++) {                  /* every operation of a write fails once */
        an_file_fail_after_ops(n, EIO);
        const an_status status = an_file_write(path, big, sizeof big);
        an_file_fail_after_ops(0, 0);
        if (status == AN_OK) break;
        assert_int_equal(status, AN_EIO);
        assert_true(n < 11);
        assert_int_equal(files_in(folder), 1);           /* no temporary file stays */
        if (n < 3) expect_content(path, "old");
    }
    assert_ok(an_file_write(path, "old", 3));
    an_file_fail_after_bytes(1000, ENOSPC);
    assert_fails(an_file_write(path, big, sizeof big), AN_EIO, "space");
    an_file_fail_after_bytes(0, 0);
    expect_content(path, "old");
    assert_int_equal(files_in(folder), 1);
    assert_ok(an_dir_remove(unit_path("atomic")));
    assert_false(an_path_exists(path));
    assert_ok(an_dir_remove(unit_path("atomic")));
}

static void reading(void **state)
{
    (void)state;
    an_map map;
    char *bytes;
    size_t size;
    assert_fails(an_map_open(&map, unit_path("absent")), AN_EDATA, "absent");
    assert_fails(an_file_read(unit_path("."), &bytes, &size), AN_EDATA, "/.");
    unit_write(unit_path("empty"), "", 0);
    assert_ok(an_map_open(&map, unit_path("empty")));
    assert_true(map.size == 0 && map.data == NULL);
    an_map_close(&map);
    unit_write(unit_path("abc"), "abc", 3);
    assert_ok(an_map_open(&map, unit_path("abc")));
    assert_int_equal(map.size, 3);
    assert_memory_equal(map.data, "abc", 3);
    an_map_close(&map);
}

static void removing_follows_no_links(void **state)
{
    (void)state;
    assert_ok(an_dir_create(unit_path("kept")));
    unit_write(unit_path("kept/file"), "x", 1);
    assert_ok(an_dir_create(unit_path("gone")));
    assert_int_equal(symlink(unit_path("kept"), unit_path("gone/link")), 0);
    assert_ok(an_dir_remove(unit_path("gone")));
    assert_true(an_path_exists(unit_path("kept/file")));
}

static void log_is_cut_back(void **state)
{
    (void)state;
    an_logger log;
    const char *path = unit_path("log.jsonl");
    assert_ok(an_log_open(&log, path, -1));
    for (int step = 0; step <= 30; step += 10) {
        an_log_begin(&log, "step");
        an_log_int(&log, "step", step);
        an_log_real(&log, "loss", step == 30 ? 1.0 / 0.0 : 0.5);
        an_log_text(&log, "note", "a \"quote\"\n");
        assert_ok(an_log_end(&log));
    }
    an_log_close(&log);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs("{\"event\":\"torn", f);
    fclose(f);
    assert_ok(an_log_open(&log, path, 10));
    an_log_close(&log);
    expect_content(path, "{\"event\":\"step\",\"step\":0,\"loss\":0.5,\"note\":\"a \\\"quote\\\"\\n\"}\n{\"event\":\"step\",\"step\":10,\"loss\":0.5,\"note\":\"a \\\"quote\\\"\\n\"}\n");
    log = an_log_none;                                   /* swallows all */
    an_log_begin(&log, "step");
    an_log_int(&log, "step", 1);
    assert_ok(an_log_end(&log));
}

static void human_units(void **state)
{
    (void)state;
    char s[AN_HUMAN];
    assert_string_equal(an_human_bytes(s, 1.5 * 1024 * 1024), "1.5 MiB");
    assert_string_equal(an_human_count(s, 124.4e6), "124.4M");
    assert_string_equal(an_human_count(s, 17), "17");
    assert_string_equal(an_human_time(s, 245), "4m05s");
    assert_int_equal(an_text_distance("lerning_rate", "learning-rate"), 1);
}

static void bytes_for_terminals(void **state)
{
    (void)state;
    static const char BYTES[] = "a\x1b[31m\xc3\xa9\xff\xe2\x82\xac\n";
    an_text whole = { 0 }, parts = { 0 };
    an_utf8_stream stream = { .count = 0 };
    an_text_put_safe(&whole, BYTES, sizeof BYTES - 1);
    assert_string_equal(an_text_get(&whole), "a\\x1B[31m\xc3\xa9\\xFF\xe2\x82\xac\n");
    for (size_t i = 0; i < sizeof BYTES - 1; i++) an_utf8_stream_put(&stream, BYTES + i, 1, &parts);
    an_utf8_stream_end(&stream, &parts);
    assert_string_equal(an_text_get(&whole), an_text_get(&parts));
    an_text_fini(&whole);
    an_text_fini(&parts);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(writes_are_atomic), cmocka_unit_test(reading), cmocka_unit_test(removing_follows_no_links), cmocka_unit_test(log_is_cut_back),
                                        cmocka_unit_test(human_units), cmocka_unit_test(bytes_for_terminals) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
