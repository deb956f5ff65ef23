/* Studies: a text becomes cells with names, identities, groups and Pre-LN partners; what is no study is refused by line; results are read,
 * grouped and judged from run folders; claims exclude each other and remember failures. */
#include "unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "core/file.h"
#include "study/claim.h"
#include "study/evidence.h"
#include "study/index.h"
#include "study/study_write.h"

static const char BASE[] = "base: { n_layer: 1, n_head: 2, d_model: 8, seq_len: 8, batch_size: 2, steps: 60, val_fraction: 0.2 }\n";

static an_options *flags;
static an_train_config flag_config;

static int write_text(const char *words)
{
    FILE *f = fopen(unit_path("text"), "w");
    for (unsigned i = 0; f && i < 300; i++) fprintf(f, "%u words of %s ", i * 2654435761u >> 20, words);
    return f && fclose(f) == 0 ? 0 : -1;
}

static int setup(void **state) { return unit_scratch_setup(state) == 0 ? write_text("text") : -1; }

static void new_flags_with(const char *data)
{
    an_options_destroy(&flags);
    assert_ok(an_run_options_create(&flags, &flag_config));
    assert_ok(an_options_set(flags, "data", unit_path(data), AN_FROM_FLAG, "--data"));
}

static void new_flags(void) { new_flags_with("text"); }

static an_status open_with(an_study **s, const char *text, size_t seeds)
{
    const an_study_source source = { text, strlen(text), "s.yaml", "s.yaml", seeds, false };
    return an_study_open(s, &source, flags, unit_path("out"));
}

/* BASE and then `grid`. */
static an_study *study_of(const char *grid)
{
    an_study *s = NULL;
    an_text text = { 0 };
    an_text_add(&text, "%s%s", BASE, grid);
    assert_ok(open_with(&s, an_text_get(&text), 0));
    an_text_fini(&text);
    return s;
}

static void a_grid_becomes_cells(void **state)
{
    (void)state;
    new_flags();
    an_study *s = study_of("grid:\n  design: [post-ln, pre-ln]\n  warmup: [0, 5]\nseeds: [3, 4]\n");
    assert_int_equal(s->n_cells, 8);
    assert_int_equal(s->n_groups, 4);
    assert_string_equal(s->name, "s");
    assert_true(strncmp(s->cell[0].name, "design=post-ln,warmup=0,seed=3-", 31) == 0 && strncmp(s->cell[7].name, "design=pre-ln,warmup=5,seed=4-", 30) == 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(s->cell[i].reference, i < 4 ? i + 4 : AN_NO_CELL);
        assert_int_equal(s->cell[i].group, i / 2);
        for (size_t k = 0; k < i; k++) assert_true(s->cell[i].identity != s->cell[k].identity && strcmp(s->cell[i].name, s->cell[k].name) != 0);
    }
    assert_true(an_study_find(s, "design=pre-ln warmup=5") == &s->group[3] && an_study_find(s, "warmup=5") == &s->group[1] && !an_study_find(s, "warmup=6") && an_study_find(s, ""));
    assert_true(an_cell_number(&s->cell[7], "warmup") == 5 && isnan(an_cell_number(&s->cell[7], "design")) && isnan(an_cell_number(&s->cell[7], "lr")));
    assert_non_null(strstr(s->cell[0].config, "warmup: 0                             # s.yaml:4"));
    an_study_close(&s);
}

static uint64_t first_identity(const char *text)
{
    an_study *s = study_of(text);
    const uint64_t identity = s->cell[0].identity;
    an_study_close(&s);
    return identity;
}

/* Pinned: with another value the finished runs of everybody's studies are made again. It changes when a default does that some cell does not set and
 * DEFAULTS_SINCE in study/cells.c is raised for it, not when an option is added. */
static const uint64_t PINNED = 0x3c2f2e4df0f8d75f;

/* Settings at their defaults are no part of a cell, so a default that changes makes other runs of the same cells: then DEFAULTS_SINCE in study/cells.c is raised, if it
 * changes what is computed, and the row in defaults.def renewed. An option that is new needs no row. */
static void defaults(void **state)
{
    (void)state;
    static const struct { const char *key, *text; } ROW[] = {
#define DEFAULT(key, text) { #key, text },
#include "defaults.def"
#undef DEFAULT
    };
    new_flags();
    for (size_t i = 0; i < COUNT(ROW); i++)
        if (!an_options_is_default(flags, ROW[i].key, ROW[i].text, strlen(ROW[i].text))) fail_msg("%s: the default is no longer '%s'", ROW[i].key, ROW[i].text);
}

/* What a cell is does not depend on where it stands, on threads or folders; it does on every setting and on the text. */
static void identities(void **state)
{
    (void)state;
    new_flags();
    const uint64_t one = first_identity("grid:\n  lr: [1e-3, 2e-3]\n");
    assert_true(one == first_identity("name: other\ngrid:\n  design: [pre-ln, post-ln]\n"));        /* both are defaults */
    assert_true(one == first_identity("grid:\n  save_every: [7]\n") && one == first_identity("grid:\n  threads: [3]\n"));
    assert_true(one != first_identity("grid:\n  lr: [2e-3]\n") && one != first_identity("grid:\n  log_every: [2]\n"));
    assert_int_equal(one, PINNED);
    assert_ok(an_options_set(flags, "beta2", "0.9", AN_FROM_FLAG, "--beta2"));
    assert_true(one != first_identity("grid:\n  lr: [1e-3]\n"));
    assert_int_equal(rename(unit_path("text"), unit_path("moved")), 0);
    new_flags_with("moved");
    assert_true(one == first_identity("grid:\n  lr: [1e-3]\n"));                                     /* the same text elsewhere */
    new_flags();
    assert_int_equal(write_text("another text"), 0);
    assert_true(one != first_identity("grid:\n  lr: [1e-3]\n"));
}

static void joined_keys_and_several_grids(void **state)
{
    (void)state;
    new_flags();
    an_study *s = study_of("grid:\n  design|lr: [pre-ln|2e-3, post-ln|3e-3, pre-ln|]\ngrid_more:\n  dropout: [0, 0.1]\n");
    assert_true(s->n_cells == 4 && s->merged == 1);    /* dropout 0 is what the third is already */
    assert_true(s->cell[0].n_settings == 2 && s->cell[2].n_settings == 1 && s->cell[1].reference == AN_NO_CELL);
    assert_string_equal(an_cell_value(&s->cell[1], "lr"), "3e-3");
    assert_string_equal(an_cell_value(&s->cell[3], "dropout"), "0.1");
    an_study_close(&s);
    s = study_of("grid:\n  norm: [layernorm, dyt]\nseeds: 1\n");
    an_study_close(&s);
    assert_ok(open_with(&s, "base: { norm_eps: 1e-6, seq_len: 8 }\ngrid:\n  norm: [layernorm, dyt]\n", 0));
    assert_int_equal(an_study_count(s, AN_CELL_SKIPPED), 0);   /* a base key without a meaning for one value is passed by */
    an_study_close(&s);
}

static void combinations_that_cannot_be(void **state)
{
    (void)state;
    an_study *s = NULL;
    new_flags();
    assert_ok(open_with(&s, "base: { d_model: 8, n_layer: 1, seq_len: 8 }\ngrid:\n  n_head: [2, 3]\nseeds: 2\n", 0));
    assert_true(s->n_cells == 4 && an_study_count(s, AN_CELL_SKIPPED) == 2 && s->cell[2].state == AN_CELL_SKIPPED);
    assert_non_null(strstr(s->cell[2].reason, "n_head"));
    assert_ok(an_study_price(s, &s->cell[0]));
    assert_true(s->cell[0].flops > 0 && s->cell[0].memory > 0 && s->cell[0].flops == s->cell[0].flops_step * (double)s->cell[0].steps);
    an_study_close(&s);
    assert_fails(open_with(&s, "base: { d_model: 8 }\ngrid:\n  n_head: [3]\n", 0), AN_ECONFIG, "n_head");
    assert_ok(an_options_set(flags, "data", "missing", AN_FROM_FLAG, "--data"));
    assert_fails(open_with(&s, "seeds: 3\n", 0), AN_EDATA, "missing");
}

static void what_is_no_study(void **state)
{
    (void)state;
    static const struct { const char *text, *words; } CASE[] = {
        { "grid:\n  desing: [pre-ln]\n", "s.yaml:2: unknown key 'desing'; did you mean 'design'?" }, { "grid: {}\n", "the grid is empty" }, { "", "the grid is empty" },
        { "grid:\n", "the grid is empty" }, { "grid:\n  lr: []\n", "s.yaml:2: 'lr' has no values" }, { "grid:\n  lr:\n", "'lr' has no values" },
        { "grid:\n  lr: [1, x]\n", "s.yaml:2: lr: 'x' is not a number" }, { "grid:\n  lr: [1, 1]\n", "the value '1' twice" },
        { "base:\n  lr: 1\ngrid:\n  learning_rate: [1]\n", "s.yaml:4: 'lr' stands in the grid and in the base, s.yaml:2" }, { "grid:\n  lr: [1]\n  learn_rate: [2]\n", "stands twice" },
        { "base:\n  lr: 1\n  lr: 2\n", "s.yaml:3: key 'lr' stands twice; first in s.yaml:2" }, { "base:\n  lr: [1, 2]\n", "values to compare stand under grid" },
        { "lr: 1\n", "'lr' is a key of runs; it stands under base" }, { "seds: 1\n", "did you mean 'seeds'" }, { "grd:\n  lr: [1]\n", "did you mean 'grid'" }, { "seeds: 0\n", "neither a list" },
        { "seeds: [1, 1]\n", "1 stands twice" }, { "seeds: []\n", "the list is empty" }, { "seeds: [x]\n", "not a number" }, { "grid:\n  seed: [1]\n", "at the top" }, { "name: a/b\nseeds: 1\n", "a folder's name" },
        { "preset: deom\nseeds: 1\n", "did you mean 'demo'" }, { "grid:\n  preset: [demo]\n", "at the top" }, { "grid:\n  out: [a]\n", "--out" }, { "grid:\n  resume: [a]\n", "no setting of a run" },
        { "grid:\n  design|lr: [pre-ln]\n", "has 1 parts" }, { "grid:\n  config: [missing.yaml]\n", "missing.yaml" }, { "grid: [1]\n", "below it stand lines" }, { "a: {b: {c: d}}\n", "do not nest" },
        { "grid:\n  seed@1: [1]\nseeds: 1\n", "whole model" }, { "seeds: 20000\n", "1..10000" }, { "grid:\n  data: [a]\n", "--data: s.yaml:2" },
    };
    an_study *s = NULL;
    new_flags();
    for (size_t i = 0; i < COUNT(CASE); i++) {
        const an_status status = open_with(&s, CASE[i].text, 0);
        if (status == AN_OK || !strstr(an_error_text(), CASE[i].words)) fail_msg("'%s': %s", CASE[i].text, status == AN_OK ? "opened" : an_error_text());
    }
}

/* A run folder as it would be, with these losses at the last two steps. */
static void fake_run(const an_study *s, size_t cell, double before, double last, int code)
{
    char *run = an_study_path(s, "cells", s->cell[cell].name, ""), *config = an_path_join(run, "config.yaml"), *log = an_path_join(run, "log.jsonl");
    an_text text = { 0 };
    assert_ok(an_dir_create(run));
    assert_ok(an_file_write(config, s->cell[cell].config, strlen(s->cell[cell].config)));
    an_text_add(&text, "{\"event\":\"run\",\"step\":0,\"steps\":60,\"version\":\"%s\",\"params\":9,\"unigram_entropy\":3.3,\"flops_per_step\":10}\n", AN_VERSION);
    an_text_add(&text, "{\"event\":\"step\",\"step\":10,\"tokens\":160,\"loss\":9}\nno line of a log\n");
    an_text_add(&text, "{\"event\":\"step\",\"step\":11,\"tokens\":176,\"loss\":%.17g}\n{\"event\":\"step\",\"step\":60,\"tokens\":960,\"loss\":%.17g}\n", before, last);
    an_text_add(&text, "{\"event\":\"eval\",\"step\":60,\"val_loss\":%.17g,\"bits_per_byte\":3}\n{\"event\":\"end\",\"step\":60,\"exit_code\":%d}\n", last, code);
    assert_ok(an_file_write(log, an_text_get(&text), text.length));
    an_text_fini(&text);
    free(run);
    free(config);
    free(log);
}

static void look_at_all(an_study *s)
{
    for (size_t i = 0; i < s->n_cells; i++) assert_ok(an_study_look(s, &s->cell[i]));
    an_study_judge(s);
}

static void results(void **state)
{
    (void)state;
    new_flags();
    assert_ok(an_dir_remove(unit_path("out")));
    an_study *s = study_of("grid:\n  design: [post-ln, pre-ln, deepnorm]\nseeds: 2\n");
    fake_run(s, 0, 2.3, 2.1, 0);                       /* the tail is the last 50 steps: 11 and 60, not 10 */
    fake_run(s, 1, 2.5, 2.4, 0);
    fake_run(s, 2, 2.0, 1.9, 0);
    fake_run(s, 3, 2.1, 2.1, 0);
    fake_run(s, 4, 2.0, 2.0, 4);
    look_at_all(s);
    assert_true(s->cell[0].state == AN_CELL_FINISHED && s->cell[4].state == AN_CELL_DIVERGED && s->cell[5].state == AN_CELL_WAITING);
    assert_true(fabs(s->cell[0].result.loss - 2.2) < 1e-12 && s->cell[0].result.val_loss == 2.1 && s->cell[0].result.damaged == 1 && s->cell[0].result.params == 9);
    assert_true(s->cell[0].result.outcome == AN_OUTCOME_DEGRADED && s->cell[1].result.outcome == AN_OUTCOME_DEGRADED);
    assert_true(s->cell[2].result.outcome == AN_OUTCOME_TRAINED && s->cell[4].result.outcome == AN_OUTCOME_FAILED && s->cell[5].result.outcome == AN_OUTCOME_NONE);
    const an_study_group *post = an_study_find(s, "design=post-ln"), *pre = an_study_find(s, "design=pre-ln"), *deep = an_study_find(s, "design=deepnorm");
    assert_true(an_group_count(s, post, AN_OUTCOME_DEGRADED) == 2 && an_group_mean(s, deep, AN_Q_LOSS).n == 0);
    const an_mean m = an_group_mean(s, post, AN_Q_LOSS), d = an_group_difference(s, post, pre, AN_Q_LOSS), r = an_group_against_reference(s, post, AN_Q_LOSS);
    assert_true(m.n == 2 && fabs(m.mean - 2.325) < 1e-12 && d.n == 2 && fabs(d.mean - 0.3) < 1e-12 && r.n == 2 && r.mean == d.mean && r.half == d.half);
    an_text table = { 0 };
    an_study_table(s, NULL, &table);
    assert_non_null(strstr(an_text_get(&table), "degraded 2"));
    assert_non_null(strstr(an_text_get(&table), "DAMAGED design=post-ln,seed=1"));
    assert_non_null(strstr(an_text_get(&table), "failed 1, waiting 1, diverged 1"));
    an_text_fini(&table);
    assert_ok(an_study_write(s, NULL));
    an_study_close(&s);
}

/* A log that says it finished and lacks steps, as after a loss of power, is no result; one damaged line is. */
static void lost_logs(void **state)
{
    (void)state;
    static const struct { unsigned from, to, damaged, hole; an_cell_state want; } LOG[] = {
        { 1, 60, 0, 0, AN_CELL_FINISHED }, { 1, 60, 30, 0, AN_CELL_FINISHED }, { 1, 40, 0, 0, AN_CELL_FAILED }, { 20, 60, 0, 0, AN_CELL_FAILED }, { 1, 0, 0, 0, AN_CELL_FAILED }, { 1, 60, 0, 30, AN_CELL_FAILED },
    };
    new_flags();
    assert_ok(an_dir_remove(unit_path("out")));
    an_study *s = study_of("grid:\n  lr: [1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 6e-3]\n");
    for (size_t i = 0; i < COUNT(LOG); i++) {
        char *run = an_study_path(s, "cells", s->cell[i].name, ""), *log = an_path_join(run, "log.jsonl");
        an_text text = { 0 };
        fake_run(s, i, 2, 2, 0);
        an_text_add(&text, "{\"event\":\"run\",\"step\":0,\"steps\":60,\"version\":\"%s\",\"params\":9,\"unigram_entropy\":3.3,\"flops_per_step\":10}\n", AN_VERSION);
        for (unsigned step = LOG[i].from; step <= LOG[i].to; step++) {
            if (step == LOG[i].damaged) an_text_add(&text, "{\"event\":\"step\",\"st\n");
            else if (step != LOG[i].hole) an_text_add(&text, "{\"event\":\"step\",\"step\":%u,\"tokens\":%u,\"loss\":2}\n", step, 16 * step);
        }
        an_text_add(&text, "{\"event\":\"end\",\"step\":60,\"exit_code\":0}\n");
        assert_ok(an_file_write(log, an_text_get(&text), text.length));
        an_text_fini(&text);
        free(run);
        free(log);
    }
    look_at_all(s);
    for (size_t i = 0; i < COUNT(LOG); i++)
        if (s->cell[i].state != LOG[i].want) fail_msg("log %zu: %s", i, an_cell_state_name(s->cell[i].state));
    assert_non_null(strstr(s->cell[2].reason, "lacks 20 steps or more; remove "));
    an_study_close(&s);
}

static void claims(void **state)
{
    (void)state;
    const char *path = unit_path("a.claim");
    an_claim_answer answer;
    an_text last = { 0 };
    int first = -1, second = -1;
    size_t n;
    assert_ok(an_claim_try(path, &first, &answer));
    assert_int_equal(answer, AN_CLAIM_TAKEN);
    assert_ok(an_claim_try(path, &second, &answer));
    assert_int_equal(answer, AN_CLAIM_BUSY);
    assert_ok(an_claim_add_failure(first, path, "exit 1: one\ntwo"));
    assert_ok(an_claim_add_failure(first, path, "killed"));
    close(first);
    assert_ok(an_claim_try(path, &second, &answer));
    assert_int_equal(answer, AN_CLAIM_TAKEN);
    assert_ok(an_claim_failures(path, &n, &last));
    assert_int_equal(n, 2);
    assert_string_equal(an_text_get(&last), "killed");
    assert_ok(an_claim_forget_failures(second, path));
    assert_ok(an_claim_failures(path, &n, &last));
    assert_int_equal(n, 0);
    close(second);
    an_text_fini(&last);
    assert_fails(an_claim_try("/nowhere/a.claim", &first, &answer), AN_EIO, "/nowhere/a.claim");
}

static void ranks(void **state)
{
    (void)state;
    unsetenv("OMPI_COMM_WORLD_RANK");
    unsetenv("PMI_RANK");
    unsetenv("SLURM_PROCID");
    assert_true(an_rank_get().id == 0 && an_rank_get().count == 1 && !an_rank_get().by);
    setenv("SLURM_PROCID", "3", 1);
    setenv("SLURM_NTASKS", "8", 1);
    assert_true(an_rank_get().id == 3 && an_rank_get().count == 8);
    setenv("PMI_RANK", "9", 1);
    setenv("PMI_SIZE", "4", 1);                        /* says what cannot be: not heard */
    assert_true(an_rank_get().id == 3);
    setenv("PMI_RANK", "-1", 1);
    assert_true(an_rank_get().id == 3);
}

static void named_studies_are_studies(void **state)
{
    (void)state;
    new_flags();
    for (size_t i = 0; an_named_at(i); i++) {
        const an_named_study *named = an_named_at(i);
        an_text text = { 0 };
        an_findings none = { 0 };
        an_study *s = NULL;
        const char *files[2] = { unit_path("a \"b\".yaml"), unit_path("b.yaml") };
        for (size_t k = 0; k < 2; k++) unit_write(files[k], k ? "lr: 2e-3\n" : "lr: 1e-3\n", 9);
        assert_true(named->least <= named->most && named->most <= 2 && *named->help && an_named_find(named->name) == named && *an_tier_name(named->tier));
        assert_ok(an_named_text(named, (an_named_form){ named->tier, false }, files, named->least, &text));
        assert_ok(open_with(&s, an_text_get(&text), 0));
        assert_ok(an_named_judge(named, s, &none));    /* nothing has run: nothing fails, and nothing passes but what the answer measures without runs */
        assert_true(none.n > 0 && an_findings_count(&none, AN_FINDING_FAIL) == 0 && (strcmp(named->name, "answer") == 0 || an_findings_count(&none, AN_FINDING_PASS) == 0));
        an_findings_fini(&none);
        an_study_close(&s);
        an_text_fini(&text);
    }
}

static void memory_may_fail_anywhere(void **state)
{
    (void)state;
    new_flags();
    int failures = 0;
    for (size_t n = 1;; n += 1 + n / 16) {
        an_study *s = NULL;
        an_alloc_fail_after(n);
        const an_status status = open_with(&s, "base: { n_layer: 1, d_model: 8, n_head: 1, seq_len: 8 }\ngrid:\n  design: [pre-ln, post-ln]\n  lr|warmup: [1e-3|0]\nseeds: [1]\n", 0);
        an_alloc_fail_after(0);
        an_study_close(&s);
        if (status == AN_OK) break;
        assert_int_equal(status, AN_ENOMEM);
        failures++;
    }
    assert_true(failures >= 20);
    an_options_destroy(&flags);
}

/* The file's sync and the rename; when only the folder's sync fails the new one is there. */
static void an_index_replaces_a_good_one_only_when_it_is_safe(void **state)
{
    (void)state;
    new_flags();
    an_study *s = study_of("grid: { warmup: [0, 5] }\n");
    assert_ok(an_dir_create(unit_path("out")));
    assert_ok(an_file_write(unit_path("out/index.sqlite"), "old", 3));
    for (uint64_t op = 1; op <= 4; op++) {
        char *data, **names;
        size_t size, count;
        an_file_fail_after_ops(op, EIO);
        const an_status status = an_index_build(s, NULL, NULL);
        an_file_fail_after_ops(0, 0);
        assert_int_equal(status, op <= 3 ? AN_EIO : AN_OK);
        assert_ok(an_file_read(unit_path("out/index.sqlite"), &data, &size));
        assert_int_equal(size == 3, op <= 2);
        free(data);
        assert_ok(an_dir_list(unit_path("out"), &names, &count));
        for (size_t i = 0; i < count; i++) assert_null(strstr(names[i], "tmp"));
        an_dir_list_free(names, count);
    }
    an_study_close(&s);
    an_options_destroy(&flags);
}

static double first_change(const an_study *s, const an_study_cell *cell)
{
    const an_findings f = { 0 };
    json_t *updates = an_cell_probe(s, cell, AN_PROBE_AMPLIFICATION, &f);
    const double change = an_probe_number(json_array_get(updates, 0), "change");
    assert_true(json_array_size(updates) > 0);
    json_decref(updates);
    return change;
}

/* What a probe has measured is kept whole, and measured again when it was measured otherwise. */
static void what_is_kept_of_a_probe(void **state)
{
    (void)state;
    new_flags();
    an_study *s = study_of("grid: { warmup: [0] }\n");
    an_study_cell *cell = &s->cell[0];
    char *path = an_study_path(s, "cells", cell->name, "/probe-amplification.json"), *run = an_study_path(s, "cells", cell->name, "");
    cell->state = AN_CELL_FINISHED;
    assert_ok(an_dir_create(run));
    const double change = first_change(s, cell);
    for (int i = 0; i < 3; i++) {                                  /* 0: as it was measured, 1: by other settings, 2: by who knows which */
        json_t *doc = json_load_file(path, 0, NULL), *settings = json_object_get(doc, "settings");
        assert_non_null(settings);
        assert_string_equal(json_string_value(json_object_get(settings, "version")), AN_VERSION);
        json_object_set_new(json_array_get(json_object_get(doc, "amplification"), 0), "change", json_real(42));
        if (i == 1) json_object_set_new(settings, "updates", json_integer(9));
        if (i == 2) json_object_del(doc, "settings");
        assert_int_equal(json_dump_file(doc, path, 0), 0);
        json_decref(doc);
        assert_true(first_change(s, cell) == (i == 0 ? 42 : change));
    }
    an_file_fail_after_ops(3, EIO);                                /* the sync: what was kept is still whole */
    unlink(path);
    assert_true(first_change(s, cell) == change);
    an_file_fail_after_ops(0, 0);
    assert_false(an_path_exists(path));
    free(path);
    free(run);
    an_study_close(&s);
    an_options_destroy(&flags);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grid_becomes_cells), cmocka_unit_test(identities), cmocka_unit_test(defaults), cmocka_unit_test(joined_keys_and_several_grids), cmocka_unit_test(combinations_that_cannot_be), cmocka_unit_test(what_is_no_study),
        cmocka_unit_test(results), cmocka_unit_test(lost_logs), cmocka_unit_test(claims), cmocka_unit_test(ranks), cmocka_unit_test(named_studies_are_studies), cmocka_unit_test(memory_may_fail_anywhere),
        cmocka_unit_test(an_index_replaces_a_good_one_only_when_it_is_safe), cmocka_unit_test(what_is_kept_of_a_probe),
    };
    return cmocka_run_group_tests(tests, setup, unit_scratch_teardown);
}
