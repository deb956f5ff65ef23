/* core/file, core/log, core/text: files whole or not at all whatever fails, logs cut back, text safe to print. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"

static void assert_holds(const char *path, const char *text)
{
    char *data;
    size_t size;
    assert_ok(an_file_read(path, &data, &size));
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text);
    free(data);
}

static size_t entries(const char *folder)
{
    char **names;
    size_t count;
    assert_ok(an_dir_list(folder, &names, &count));
    an_dir_list_free(names, count);
    return count;
}

static void any_failing_step_leaves_the_old_file(void **state)
{
    (void)state;
    const char *folder = unit_path("atomic"), *path = unit_path("atomic/file");
    assert_ok(an_dir_create(folder));
    assert_ok(an_file_write(path, "old", 3));
    int failed = 0;
    for (uint64_t op = 1; op <= 3; op++) {   /* create, write, sync: before the rename nothing has happened */
        an_file_fail_after_ops(op, EIO);
        assert_fails(an_file_write(path, "new", 3), AN_EIO, "Input/output error");
        an_file_fail_after_ops(0, 0);
        assert_holds(path, "old");
        assert_int_equal(entries(folder), 1);
        failed++;
    }
    an_file_fail_after_ops(4, EACCES);       /* the rename itself */
    assert_fails(an_file_write(path, "new", 3), AN_EIO, path);
    an_file_fail_after_ops(0, 0);
    assert_holds(path, "old");
    assert_int_equal(entries(folder), 1);
    assert_int_equal(failed, 3);
    an_file_fail_after_ops(5, EIO);          /* the folder's sync: told, and the new file is there */
    assert_fails(an_file_write(path, "new", 3), AN_EIO, "cannot sync folder");
    an_file_fail_after_ops(0, 0);
    assert_holds(path, "new");
    assert_int_equal(entries(folder), 1);
    an_file_fail_after_ops(6, EIO);          /* there is no further one */
    assert_ok(an_file_write(path, "newer", 5));
    an_file_fail_after_ops(0, 0);
    assert_holds(path, "newer");
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    const char *folder = unit_path("full"), *path = unit_path("full/file");
    static char big[3 << 20];
    assert_ok(an_dir_create(folder));
    for (uint64_t room = 0; room < sizeof big; room += 1000003) {
        an_file_writer w;
        an_file_fail_after_bytes(room, ENOSPC);
        assert_ok(an_file_open(&w, path));
        an_status status = an_file_append(&w, big, 10);
        if (status == AN_OK) status = an_file_append(&w, big, sizeof big - 10);
        if (status == AN_OK) status = an_file_commit(&w);
        an_file_fail_after_bytes(0, 0);
        assert_fails(status, AN_EIO, "No space left on device");
        assert_int_equal(entries(folder), 0);
    }
}

static void reading_names_what_is_wrong(void **state)
{
    (void)state;
    an_map map;
    char *data;
    size_t size;
    const char *empty = unit_path("empty");
    unit_write(empty, "", 0);
    assert_ok(an_map_open(&map, empty));
    assert_null(map.data);
    an_map_close(&map);
    assert_fails(an_map_open(&map, unit_path(".")), AN_EDATA, "is a folder");
    assert_fails(an_file_read(unit_path("missing"), &data, &size), AN_EDATA, "No such file");
    assert_ok(an_file_read("/proc/self/status", &data, &size));   /* a file without a size */
    assert_true(size > 100 && strlen(data) == size);
    free(data);
}

static void folders(void **state)
{
    (void)state;
    const char *deep = unit_path("a/b/c");
    uint64_t room;
    assert_ok(an_dir_create(deep));
    assert_ok(an_dir_create(deep));
    assert_true(an_path_is_dir(deep));
    assert_ok(an_file_write(unit_path("a/keep"), "1", 1));
    assert_int_equal(symlink(unit_path("a/keep"), unit_path("a/b/link")), 0);
    assert_ok(an_dir_remove(unit_path("a/b")));
    assert_holds(unit_path("a/keep"), "1");                       /* links are removed, not followed */
    assert_false(an_path_exists(unit_path("a/b")));
    assert_ok(an_dir_remove(unit_path("a/b")));
    assert_fails(an_dir_create(unit_path("a/keep/x")), AN_EIO, "a/keep");
    assert_ok(an_dir_free(unit_path("a"), &room));
    assert_true(room > 0);
}

static void logs_are_cut_back(void **state)
{
    (void)state;
    const char *path = unit_path("log.jsonl");
    static const char OLD[] = "{\"event\":\"run\"}\n{\"event\":\"step\",\"step\":1}\n{\"event\":\"step\",\"step\":2}\n{\"event\":\"step\",\"st";
    unit_write(path, OLD, sizeof OLD - 1);
    an_logger log;
    assert_ok(an_log_open(&log, path, 1));
    an_log_begin(&log, "step");
    an_log_int(&log, "step", 2);
    an_log_real(&log, "loss", 0.5);
    an_log_real(&log, "bad", 0.0 / (double)(log.fd < 0));
    an_log_text(&log, "text", "a \"b\"");
    an_log_bool(&log, "best", 1);
    assert_ok(an_log_end(&log));
    an_log_begin(&log, "latin");
    an_log_text(&log, "text", "caf\xe9");
    an_log_texts(&log, "list", 2, (const char *const[]){ "\xff", "caf\xc3\xa9" });
    assert_ok(an_log_end(&log));
    an_log_close(&log);
    assert_holds(path, "{\"event\":\"run\"}\n{\"event\":\"step\",\"step\":1}\n{\"event\":\"step\",\"step\":2,\"loss\":0.5,\"bad\":\"nan\",\"text\":\"a \\\"b\\\"\",\"best\":true}\n"
                       "{\"event\":\"latin\",\"text\":\"caf\\\\xE9\",\"list\":[\"\\\\xFF\",\"caf\xc3\xa9\"]}\n");
    log = an_log_none;
    an_log_begin(&log, "nothing");
    assert_ok(an_log_end(&log));
}

/* A disk that is full for a while: what was cut short is taken off, and later events follow whole ones. */
static void no_event_follows_half_a_one(void **state)
{
    (void)state;
    const char *path = unit_path("full.jsonl");
    an_logger log;
    assert_ok(an_log_open(&log, path, -1));
    for (int64_t i = 0; i < 4; i++) {
        an_log_begin(&log, "step");
        an_log_int(&log, "step", i);
        an_file_fail_after_bytes(9, i == 1 || i == 2 ? ENOSPC : 0);
        if (i == 1 || i == 2) assert_fails(an_log_end(&log), AN_EIO, "No space left on device");
        else assert_ok(an_log_end(&log));
    }
    an_log_close(&log);
    assert_holds(path, "{\"event\":\"step\",\"step\":0}\n{\"event\":\"step\",\"step\":3}\n");
}

/* Nothing is lost to a sanitizer after a field that could not be made either. */
static void a_field_that_fails_is_told_at_the_end(void **state)
{
    (void)state;
    an_logger log;
    assert_ok(an_log_open(&log, unit_path("fields.jsonl"), -1));
    an_log_begin(&log, "step");
    an_log_text(&log, "text", NULL);
    an_log_int(&log, "step", 1);
    an_log_reals(&log, "list", 1, (const double[]){ 1 });
    an_log_texts(&log, "texts", 2, (const char *const[]){ "a", NULL });
    assert_fails(an_log_end(&log), AN_ENOMEM, "no memory for an event");
    an_log_close(&log);
    assert_holds(unit_path("fields.jsonl"), "");
}

static const char *animal(void *ctx, size_t i)
{
    static const char *const NAMES[] = { "zebra", "horse", "mouse" };
    (void)ctx;
    return i < COUNT(NAMES) ? NAMES[i] : NULL;
}

static void near_names(void **state)
{
    (void)state;
    char near[AN_NAME];
    assert_int_equal(an_text_distance("kitten", "sitting"), 3);
    assert_int_equal(an_text_distance("norm", "nrom"), 1);
    assert_int_equal(an_text_distance("pre-ln", "PRE_LN"), 0);
    assert_int_equal(an_text_distance("", "abc"), 3);
    assert_true(an_text_nearest("hosre", animal, NULL, near));
    assert_string_equal(near, "horse");
    assert_false(an_text_nearest("elephant", animal, NULL, near));
    assert_string_equal(near, "");
}

static void bytes_are_safe_to_print(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } CASES[] = {
        { "plain\n\ttext", "plain\n\ttext" }, { "\x1b[31m", "\\x1B[31m" }, { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" }, { "\xc0\x80", "\\xC0\\x80" },
        { "\xed\xa0\x80", "\\xED\\xA0\\x80" }, { "\xf4\x90\x80\x80", "\\xF4\\x90\\x80\\x80" }, { "\xc2\x9b", "\\xC2\\x9B" }, { "a\xe2\x82", "a\\xE2\\x82" }, { "\xe2\x82x", "\\xE2\\x82x" } };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        an_text whole = { 0 }, bytewise = { 0 };
        an_utf8_stream stream = { 0 };
        an_text_put_safe(&whole, CASES[i].in, strlen(CASES[i].in));
        assert_string_equal(an_text_get(&whole), CASES[i].out);
        for (const char *p = CASES[i].in; *p; p++) an_utf8_stream_put(&stream, p, 1, &bytewise);
        an_utf8_stream_end(&stream, &bytewise);
        assert_string_equal(an_text_get(&bytewise), CASES[i].out);
        an_text_fini(&whole);
        an_text_fini(&bytewise);
    }
}

static void human_units(void **state)
{
    (void)state;
    char out[AN_HUMAN];
    static const struct { double value; const char *bytes, *count, *time; } CASES[] = {
        { 0, "0 B", "0", "0 s" }, { 17, "17 B", "17", "17.0 s" }, { 999.96, "1000 B", "1.00k", "16m40s" }, { 1536, "1.5 KiB", "1.54k", "25m36s" }, { 124439808, "119 MiB", "124.4M", "1440d06h" },
        { 0.0005, "0 B", "0.00", "500 us" } };
    for (size_t i = 0; i < COUNT(CASES); i++) {
        assert_string_equal(an_human_bytes(out, CASES[i].value), CASES[i].bytes);
        assert_string_equal(an_human_count(out, CASES[i].value), CASES[i].count);
        assert_string_equal(an_human_time(out, CASES[i].value), CASES[i].time);
    }
    assert_string_equal(an_human_time(out, -1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(any_failing_step_leaves_the_old_file), cmocka_unit_test(a_full_disk_is_told), cmocka_unit_test(reading_names_what_is_wrong), cmocka_unit_test(folders),
                                        cmocka_unit_test(logs_are_cut_back), cmocka_unit_test(no_event_follows_half_a_one), cmocka_unit_test(a_field_that_fails_is_told_at_the_end),
                                        cmocka_unit_test(near_names), cmocka_unit_test(bytes_are_safe_to_print), cmocka_unit_test(human_units) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
