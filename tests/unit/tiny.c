/* tiny.c: see tiny.h */
#include "tiny.h"

#include "unit.h"

void tiny_open(tiny *t, const char *const *pairs)
{
    static const char *const SMALL[] = { "n_layer", "2", "n_head", "2", "d_model", "8", "seq_len", "8", "batch_size", "3", "seed", "5", NULL };
    *t = (tiny){ 0 };
    assert_ok(an_run_options_create(&t->options, &t->train));
    for (size_t i = 0; SMALL[i]; i += 2) assert_ok(an_options_set(t->options, SMALL[i], SMALL[i + 1], AN_FROM_FILE, "tiny"));
    for (size_t i = 0; pairs && pairs[i]; i += 2) assert_ok(an_options_set(t->options, pairs[i], pairs[i + 1], AN_FROM_FLAG, "test"));
    assert_ok(an_options_resolve(t->options));
    assert_ok(an_train_config_finish(&t->train, t->options));
    assert_ok(an_model_config_read(&t->config, t->options));
    const an_model_shape shape = { .batch = TINY_BATCH, .seq = TINY_SEQ, .train = true };
    assert_ok(an_model_create(&t->model, &t->config, t->options, &shape));
    an_model_init_params(t->model, 5);
}

void tiny_close(tiny *t)
{
    an_model_destroy(&t->model);
    an_options_destroy(&t->options);
}

void tiny_fill(int32_t *tokens, int32_t *targets, uint32_t seed)
{
    for (size_t i = 0; i < TINY_BATCH * TINY_SEQ; i++) {
        seed = seed * 1664525u + 1013904223u;
        tokens[i] = (int32_t)(seed >> 24);
        targets[i] = (int32_t)((seed >> 16) & 255);
    }
}
