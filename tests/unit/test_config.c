/* The option table of a run: neighbours' names, what "auto" stands for, keys held against each other. */
#include "unit.h"

#include "train/config.h"

typedef struct fixture { an_options *options; an_train_config config; } fixture;

static void open_run(fixture *f) { assert_ok(an_run_options_create(&f->options, &f->config)); }
static void close_run(fixture *f) { an_options_destroy(&f->options); }

static an_status resolve(fixture *f, const char *const *pairs)
{
    for (size_t i = 0; pairs[i]; i += 2) AN_TRY(an_options_set(f->options, pairs[i], pairs[i + 1], AN_FROM_FLAG, pairs[i]));
    AN_TRY(an_options_resolve(f->options));
    return an_train_config_finish(&f->config, f->options);
}

#define PAIRS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void defaults_are_filled_in(void **state)
{
    (void)state;
    fixture f;
    open_run(&f);
    assert_ok(resolve(&f, PAIRS("steps", "5000", "lr", "2e-3")));
    assert_int_equal(f.config.warmup, 250);
    assert_int_equal(f.config.decay_steps, 5000);
    assert_true(f.config.min_lr == 2e-4);
    assert_true(an_train_config_threads(&f.config) >= 1);
    assert_ok(an_train_config_finish(&f.config, f.options));        /* a second time changes nothing */
    assert_int_equal(f.config.warmup, 250);
    close_run(&f);
}

static void neighbours_names(void **state)
{
    (void)state;
    fixture f;
    open_run(&f);
    assert_ok(resolve(&f, PAIRS("max_iters", "700", "learning_rate", "1", "min-lr", "0", "warmup_iters", "5", "lr_decay_iters", "600", "gradient_accumulation_steps", "3",
                                "eval_interval", "11", "eval_iters", "12", "log_interval", "13", "out_dir", "x", "adam_beta1", "0.8", "adam_beta2", "0.95", "max_grad_norm", "2",
                                "per_device_train_batch_size", "4", "save_total_limit", "9", "n_embd", "64", "block_size", "32", "n_head", "4")));
    assert_int_equal(f.config.steps, 700);
    assert_true(f.config.lr == 1 && f.config.min_lr == 0 && f.config.beta1 == 0.8 && f.config.beta2 == 0.95 && f.config.grad_clip == 2);
    assert_int_equal(f.config.warmup, 5);
    assert_int_equal(f.config.decay_steps, 600);
    assert_int_equal(f.config.grad_accum, 3);
    assert_int_equal(f.config.eval_every, 11);
    assert_int_equal(f.config.eval_batches, 12);
    assert_int_equal(f.config.log_every, 13);
    assert_int_equal(f.config.batch_size, 4);
    assert_int_equal(f.config.keep_checkpoints, 9);
    assert_string_equal(f.config.out, "x");
    assert_int_equal(an_options_int(f.options, "seq_len"), 32);
    close_run(&f);
}

static void contradictions(void **state)
{
    (void)state;
    static const struct { const char *key[3], *value[3], *words; } CASE[] = {
        { { "steps", "warmup" }, { "10", "11" }, "warmup 11 is longer than the run of 10 steps" },
        { { "lr", "min_lr" }, { "1e-4", "1e-3" }, "min_lr 0.001 is above lr 0.0001" },
        { { "steps", "warmup", "decay_steps" }, { "100", "50", "40" }, "decay_steps 40 ends before warmup 50" },
        { { "vocab_size" }, { "100" }, "vocab_size 100 is below the 256" },
        { { "lr" }, { "0" }, "lr" },
        { { "lr" }, { "nan" }, "lr" },
        { { "beta2" }, { "1" }, "beta2" },
        { { "batch_size" }, { "0" }, "batch_size" },
        { { "steps" }, { "0" }, "steps" },
        { { "val_fraction" }, { "0" }, "val_fraction" },
        { { "schedule" }, { "cosin" }, "cosine" },
        { { "lerning_rate" }, { "1" }, "learning_rate" },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        fixture f;
        const char *pairs[8] = { NULL };
        for (size_t k = 0; k < 3 && CASE[i].key[k]; k++) pairs[2 * k] = CASE[i].key[k], pairs[2 * k + 1] = CASE[i].value[k];
        open_run(&f);
        const an_status status = resolve(&f, pairs);
        assert_int_equal(an_status_exit_code(status), 2);
        assert_fails(status, status, CASE[i].words);
        close_run(&f);
    }
}

static void stored_text_reads_back(void **state)
{
    (void)state;
    fixture a, b;
    an_text first = { 0 }, second = { 0 }, model = { 0 };
    open_run(&a);
    open_run(&b);
    assert_ok(resolve(&a, PAIRS("data", "some file.txt", "data", "b: c.txt", "n_layer", "3", "lr", "0.00037", "schedule", "linear")));
    an_options_yaml(a.options, &first);
    assert_ok(an_options_read_yaml(b.options, an_text_get(&first), first.length, "stored"));
    assert_ok(an_options_resolve(b.options));
    an_options_yaml(b.options, &second);
    assert_string_equal(an_text_get(&first), an_text_get(&second));
    assert_int_equal(b.config.data.count, 2);
    assert_string_equal(b.config.data.item[1], "b: c.txt");
    assert_ok(an_model_config_text(a.options, &model));
    assert_non_null(strstr(an_text_get(&model), "n_layer: 3\n"));
    assert_non_null(strstr(an_text_get(&model), "norm: layernorm\n"));
    assert_null(strstr(an_text_get(&model), "batch_size"));
    assert_null(strstr(an_text_get(&model), "\nadd_norm:"));
    an_text_fini(&first);
    an_text_fini(&second);
    an_text_fini(&model);
    close_run(&a);
    close_run(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(defaults_are_filled_in), cmocka_unit_test(neighbours_names), cmocka_unit_test(contradictions),
                                        cmocka_unit_test(stored_text_reads_back) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
