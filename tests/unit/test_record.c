/* A run folder read back: a real run with all its events, logs that are cut, damaged, hostile or still growing, and folders that are no runs. */
#include "unit.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/file.h"
#include "study/record.h"
#include "train/loop.h"

static void make_run(const char *run, const char *telemetry)
{
    const char *pairs[] = { "data", unit_path("text"), "out", run, "steps", "6", "log_every", "2", "n_layer", "2", "n_head", "2", "d_model", "8", "seq_len", "8", "batch_size", "2",
                            "eval_batches", "1", "eval_every", "3", "save_every", "3", "sample_every", "3", "sample_tokens", "4", "threads", "1", "telemetry", telemetry, "norm@1.mlp", "rmsnorm" };
    an_options *options;
    an_train_config config = { 0 };
    an_trainer *trainer = NULL;
    assert_ok(an_run_options_create(&options, &config));
    for (size_t i = 0; i < COUNT(pairs); i += 2) assert_ok(an_options_set(options, pairs[i], pairs[i + 1], AN_FROM_FLAG, pairs[i]));
    assert_ok(an_options_resolve(options));
    assert_ok(an_trainer_create(&trainer, options, &config, NULL));
    assert_ok(an_trainer_run(trainer));
    an_trainer_destroy(&trainer);
    an_options_destroy(&options);
}

static int setup(void **state)
{
    if (unit_scratch_setup(state) != 0) return -1;
    FILE *f = fopen(unit_path("text"), "w");
    for (unsigned i = 0; f && i < 300; i++) fprintf(f, "%u words of text ", i * 2654435761u >> 20);
    if (!f || fclose(f) != 0) return -1;
    make_run(unit_path("run"), "full");
    return 0;
}

static void a_run_comes_back(void **state)
{
    (void)state;
    an_record *r;
    size_t at;
    assert_ok(an_record_read(&r, unit_path("run"), true));
    assert_string_equal(r->name, "run");
    assert_int_equal(r->state, AN_RECORD_FINISHED);
    assert_string_equal(an_record_state_name(r->state), "finished");
    assert_true(r->damaged == 0 && !r->torn && r->sessions == 1 && r->start.steps == 6 && r->start.params > 0 && r->start.threads == 1);
    assert_string_equal(r->version, AN_VERSION);
    assert_true(strlen(r->began) == 20 && strlen(r->ended) == 20);
    assert_int_equal(r->n_steps, 4);                                  /* 1, 2, 4, 6 */
    assert_true(r->step[3].step == 6 && r->step[3].tokens == 6 * 16 && isfinite(r->step[3].loss) && r->step[3].update_norm > 0 && r->step[3].lr > 0);
    assert_int_equal(r->n_evals, 3);                                  /* 0, 3, 6 */
    assert_true(fabs(an_record_last_eval(r)->val.bits_per_byte - an_record_last_eval(r)->val.loss / log(2)) < 1e-6);
    assert_true(r->n_samples == 2 && r->n_checkpoints == 2 && r->end.step == 6 && r->end.seconds > 0 && r->peak_memory > 0);
    assert_string_equal(r->checkpoint[1].folder, "step-00000006");
    assert_int_equal(r->config.batch_size, 2);
    assert_string_equal(an_options_text_at(r->options, "norm", 1, "mlp"), "rmsnorm");
    assert_string_equal(an_record_source(r, "norm@1.mlp"), "norm@1.mlp");    /* the place that make_run gave */
    assert_string_equal(an_record_source(r, "lr"), "default");
    const an_record_table *t = an_record_find(r, "ledger", "attenuation", &at);
    assert_non_null(t);
    assert_true(t->n_names == 4 && t->n_looks == 4 && t->step[0] == 1 && t->step[3] == 6);
    assert_string_equal(t->name[3], "layers.1.mlp");
    assert_true(an_record_value(t, 0, at, 0) == 1 && an_record_value(t, 3, at, 3) == 1);   /* pre-ln */
    assert_non_null(an_record_find(r, "stream", "kurtosis", &at));
    assert_non_null(an_record_find(r, "updates", "ratio", &at));
    assert_null(an_record_find(r, "ledger", "entropy", &at));
    an_record_destroy(&r);
    assert_ok(an_record_read(&r, unit_path("run"), false));
    assert_true(r->n_tables == 0 && r->damaged == 0 && r->n_steps == 4 && r->n_evals == 3);
    an_record_destroy(&r);
    assert_null(r);
}

/* A folder with the run's configuration and this log. */
static const char *folder_with(const char *log, size_t size)
{
    static char folder[512], path[600];
    char *config;
    size_t n;
    snprintf(folder, sizeof folder, "%s", unit_path("other"));
    assert_ok(an_dir_create(folder));
    assert_ok(an_file_read(unit_path("run/config.yaml"), &config, &n));
    snprintf(path, sizeof path, "%s/config.yaml", folder);
    unit_write(path, config, n);
    free(config);
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    unit_write(path, log, size);
    return folder;
}

/* Cut anywhere, the log reads as far as it goes; only a cut that takes whole lines leaves no torn one. */
static void any_cut_is_read(void **state)
{
    (void)state;
    char *log;
    size_t size;
    an_record *r;
    assert_ok(an_file_read(unit_path("run/log.jsonl"), &log, &size));
    for (size_t n = 0; n <= size; n += n + 200 < size ? 97 : 1) {
        size_t lines = 0;
        for (size_t i = 0; i < n; i++) lines += log[i] == '\n';
        assert_ok(an_record_read(&r, folder_with(log, n), true));
        assert_true(r->damaged == 0 && r->lines == lines);
        assert_int_equal(r->torn, n > 0 && log[n - 1] != '\n');
        assert_int_equal(r->state, n == size ? AN_RECORD_FINISHED : AN_RECORD_KILLED);
        an_record_destroy(&r);
    }
    free(log);
}

static void damaged_lines_are_counted(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "", "{", "[]", "null", "{}", "\"step\"", "{\"event\":7}", "{\"event\":\"step\"}", "{\"event\":\"step\",\"step\":-1}", "{\"event\":\"step\",\"step\":1e3}", "{\"event\":\"step\",\"step\":0,\"loss\":1}",
        "{\"event\":\"step\",\"step\":99999999999999999999,\"loss\":1}", "{\"event\":\"step\",\"step\":9223372036854775807,\"loss\":1}", "{\"event\":\"step\",\"step\":7,\"loss\":\"big\"}",
        "{\"event\":\"step\",\"step\":7,\"loss\":[1]}", "{\"event\":\"step\",\"step\":7,\"loss\":1e999}", "{\"event\":\"step\",\"step\":5,\"loss\":1}", "{\"event\":\"step\",\"step\":4,\"loss\":1}",
        "{\"event\":\"step\",\"step\":7,\"step\":8,\"loss\":1}", "{\"event\":\"eval\",\"step\":5,\"val_loss\":{}}", "{\"event\":\"spike\",\"step\":5,\"quantity\":\"mood\",\"kind\":\"start\"}",
        "{\"event\":\"spike\",\"step\":5,\"quantity\":\"loss\"}", "{\"event\":\"sample\",\"step\":5,\"text\":5}", "{\"event\":\"sample\",\"step\":5,\"text\":\"\xff\"}", "{\"event\":\"end\",\"exit_code\":-1}",
        "{\"event\":\"run\",\"threads\":9007199254740991}", "{\"event\":\"run\",\"set\":[\"lr\"],\"by\":[]}", "{\"event\":\"run\",\"notes\":[1]}", "{\"event\":\"run\",\"notes\":\"x\"}",
        "{\"event\":\"ledger\",\"step\":5,\"site\":[\"a\"],\"g_in\":[1,2]}", "{\"event\":\"ledger\",\"step\":5,\"site\":[\"a\"],\"g_in\":[\"1\"]}", "{\"event\":\"ledger\",\"step\":5,\"site\":[1],\"g_in\":[1]}",
        "{\"event\":\"ledger\",\"step\":5,\"site\":[],\"g_in\":[]}", "{\"event\":\"ledger\",\"site\":[\"a\"],\"g_in\":[1]}", "{\"event\":\"ledger\",\"step\":5,\"site\":[\"a\"]}", "\x01\x02", "{\"event\":\"step\",\"step\":7} x",
    };
    an_record *r;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        char log[1024];
        const int n = snprintf(log, sizeof log, "{\"event\":\"run\",\"step\":0,\"steps\":6}\n{\"event\":\"step\",\"step\":5,\"loss\":2.5}\n%s\n{\"event\":\"mystery\",\"x\":1}\n{\"event\":\"end\",\"step\":6,\"exit_code\":4,"
                               "\"error\":\"loss is nan\"}\n", BAD[i]);
        assert_ok(an_record_read(&r, folder_with(log, (size_t)n), true));
        if (r->damaged != 1 || r->first_damaged != 3) print_error("%s: %zu damaged\n", BAD[i], r->damaged);
        assert_true(r->damaged == 1 && r->first_damaged == 3 && r->n_steps == 1 && r->step[0].loss == 2.5 && r->n_tables == 0);
        assert_int_equal(r->state, AN_RECORD_DIVERGED);
        assert_string_equal(r->end.error, "loss is nan");
        an_record_destroy(&r);
    }
}

/* Every byte replaced by others: it may be damage or another number, never a crash, and never costs a second line. */
static void any_byte_may_change(void **state)
{
    (void)state;
    char *log;
    size_t size;
    an_record *r;
    assert_ok(an_file_read(unit_path("run/log.jsonl"), &log, &size));
    for (size_t i = 0; i < size; i += 41) {
        static const char OTHER[] = { '\0', '"', '{', '9', '\n', (char)0xff };
        const char old = log[i];
        log[i] = OTHER[i % sizeof OTHER];
        assert_ok(an_record_read(&r, folder_with(log, size), true));
        assert_true(r->damaged <= 2);                                 /* a line break in the middle makes two lines of one */
        an_record_destroy(&r);
        log[i] = old;
    }
    free(log);
}

static void numbers_beyond_reals(void **state)
{
    (void)state;
    static const char LOG[] = "{\"event\":\"step\",\"step\":1,\"loss\":\"nan\",\"grad_norm\":\"inf\"}\n{\"event\":\"ledger\",\"step\":1,\"site\":[\"a\",\"b\"],\"g_in\":[null,1e-300]}\n"
                              "{\"event\":\"ledger\",\"step\":2,\"site\":[\"a\",\"b\",\"c\"],\"g_in\":[1,2,3]}\n{\"event\":\"ledger\",\"step\":3,\"site\":[\"a\",\"b\"],\"g_in\":[4,5]}\n";
    an_record *r;
    size_t at;
    assert_ok(an_record_read(&r, folder_with(LOG, sizeof LOG - 1), true));
    assert_true(isnan(r->step[0].loss) && isinf(r->step[0].grad_norm) && isnan(r->step[0].lr));
    assert_int_equal(r->n_tables, 2);                                 /* other names: another table */
    const an_record_table *t = an_record_find(r, "ledger", "g_in", &at);
    assert_int_equal(t->n_names, 3);
    assert_true(r->table[0].n_looks == 2 && isnan(an_record_value(&r->table[0], 0, 0, 0)) && an_record_value(&r->table[0], 1, 0, 1) == 5);
    an_record_destroy(&r);
}

static void a_growing_log_is_followed(void **state)
{
    (void)state;
    static const char A[] = "{\"event\":\"run\",\"step\":0,\"steps\":6}\n{\"event\":\"step\",\"step\":1,\"loss\":3}\n{\"event\":\"st", B[] = "ep\",\"step\":2,\"loss\":2}\n";
    an_record *r;
    bool fresh;
    char path[600];
    const char *folder = folder_with(A, sizeof A - 1);
    assert_ok(an_record_read(&r, folder, true));
    assert_true(r->n_steps == 1 && r->torn && r->damaged == 0);
    assert_int_equal(r->state, AN_RECORD_KILLED);
    snprintf(path, sizeof path, "%s/checkpoints", folder);
    assert_ok(an_dir_create(path));
    const int lock = open(path, O_RDONLY | O_DIRECTORY);              /* as a trainer holds it */
    assert_int_equal(flock(lock, LOCK_EX | LOCK_NB), 0);
    assert_ok(an_record_follow(r, &fresh));
    assert_false(fresh);
    assert_int_equal(r->state, AN_RECORD_RUNNING);
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    FILE *f = fopen(path, "a");
    assert_int_equal(fwrite(B, 1, sizeof B - 1, f), sizeof B - 1);
    fclose(f);
    assert_ok(an_record_follow(r, &fresh));
    assert_true(fresh && r->n_steps == 2 && !r->torn && r->step[1].loss == 2);
    close(lock);
    assert_ok(an_record_follow(r, &fresh));
    assert_int_equal(r->state, AN_RECORD_KILLED);
    unit_write(path, A, 10);
    assert_fails(an_record_follow(r, &fresh), AN_EDATA, "shorter than it was");
    an_record_destroy(&r);
}

static void other_folders_are_refused(void **state)
{
    (void)state;
    an_record *r = NULL;
    static const char NEWER[] = "{\"event\":\"run\",\"step\":0,\"version\":\"99.0.1\"}\n", OLDER[] = "{\"event\":\"run\",\"step\":0,\"version\":\"0.0.9\"}\n";
    char path[600];
    assert_fails(an_record_read(&r, unit_path("absent"), true), AN_EDATA, "no such folder; name a folder that addnorm train wrote");
    assert_fails(an_record_read(&r, unit_path("text"), true), AN_EDATA, "not a run folder");
    assert_ok(an_dir_create(unit_path("empty")));
    assert_fails(an_record_read(&r, unit_path("empty"), true), AN_EDATA, "not a run folder");
    assert_fails(an_record_read(&r, folder_with(NEWER, sizeof NEWER - 1), true), AN_EFORMAT, "a run of addnorm 99.0.1, this is " AN_VERSION);
    snprintf(path, sizeof path, "%s/config.yaml", folder_with(OLDER, sizeof OLDER - 1));
    unit_write(path, "model:\n  d_modell: 8\n", 21);
    assert_fails(an_record_read(&r, unit_path("other"), true), AN_EFORMAT, "a run of addnorm 0.0.9, which " AN_VERSION " cannot read");
    snprintf(path, sizeof path, "%s/config.yaml", folder_with("", 0));
    unit_write(path, "- a\n- b\n", 8);
    assert_fails(an_record_read(&r, unit_path("other"), true), AN_EFORMAT, "not the configuration of a run");
    assert_null(r);
    assert_ok(an_record_read(&r, folder_with("", 0), true));           /* a run that has only begun */
    assert_true(r->n_steps == 0 && r->lines == 0 && r->state == AN_RECORD_KILLED && !an_record_last_eval(r));
    an_record_destroy(&r);
}

/* Wherever memory runs out: one error, and nothing lost or kept. */
static void memory_may_run_out(void **state)
{
    (void)state;
    an_record *r = NULL;
    size_t n = 1, failed = 0;
    for (;; n += 1 + n / 16) {
        an_alloc_fail_after(n);
        const an_status status = an_record_read(&r, unit_path("run"), true);
        an_alloc_fail_after(0);
        if (status == AN_OK) break;
        if (status != AN_EDATA) assert_int_equal(status, AN_ENOMEM);  /* AN_EDATA: the very first, for a path */
        assert_null(r);
        failed++;
    }
    assert_true(failed > 20);
    an_record_destroy(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_comes_back), cmocka_unit_test(any_cut_is_read), cmocka_unit_test(damaged_lines_are_counted), cmocka_unit_test(any_byte_may_change),
        cmocka_unit_test(numbers_beyond_reals), cmocka_unit_test(a_growing_log_is_followed), cmocka_unit_test(other_folders_are_refused), cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, setup, unit_scratch_teardown);
}
