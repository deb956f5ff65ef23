/* cli/bench_steps.c
 * Whole training steps on made-up tokens: forward, backward, gradient norm, AdamW. The same code that train runs. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/rng.h"
#include "net/model.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/presets.h"

typedef struct trained { an_model *model; an_optimizer *optimizer; an_pass pass; uint64_t t; int threads; } trained;

static void step(void *ctx, size_t i, int thread)
{
    trained *s = ctx;
    (void)i;
    (void)thread;
    s->pass.step = s->t++;
    an_model_forward_backward(s->model, &s->pass);
    an_optimizer_apply(s->optimizer, 1e-4, s->t, an_optimizer_grad_norm(s->optimizer, s->threads), s->threads);
}

/* The model is built in `s`, whose parts the caller frees. */
static an_status build(an_bench *bench, trained *s, an_options *options, an_train_config *config, int32_t **tokens, an_bench_row *row)
{
    an_model_config model;
    size_t count;
    AN_TRY(an_options_resolve(options));
    AN_TRY(an_train_config_finish(config, options));
    AN_TRY(an_model_config_read(&model, options));
    const size_t batch = (size_t)config->batch_size, n = batch * model.seq_len;
    AN_TRY(an_model_create(&s->model, &model, options, &(an_model_shape){ .batch = batch, .seq = model.seq_len, .train = true }));
    AN_TRY(an_model_set_threads(s->model, bench->threads));
    an_model_init_params(s->model, 1);
    const an_optimizer_config optimizer = an_train_config_optimizer(config);
    const an_param *params = an_model_get_params(s->model, &count);
    AN_TRY(an_optimizer_create(&s->optimizer, params, count, &optimizer));
    *tokens = an_alloc((n + 1) * sizeof **tokens);
    if (!*tokens) return an_fail(AN_ENOMEM, "bench: no memory for tokens");
    for (size_t i = 0; i <= n; i++) (*tokens)[i] = (int32_t)(an_rng_u32(an_rng_key_make(1, 1, 1), i) % model.vocab_size);
    s->pass = (an_pass){ .tokens = *tokens, .targets = *tokens + 1, .seed = 1, .train = true, .loss_scale = 1 };
    s->threads = bench->threads;
    const an_model_cost cost = an_model_get_cost(s->model);
    const double moments = 7.0 * sizeof(an_real) * (double)an_model_param_count(s->model);   /* AdamW reads p g m v and writes p m v */
    row->flops = cost.flops_forward + cost.flops_backward;
    row->bytes = cost.bytes_forward + cost.bytes_backward + moments;
    snprintf(row->shape, sizeof row->shape, "%zu x %zu tokens, %.1fM params", batch, model.seq_len, (double)an_model_param_count(s->model) / 1e6);
    return AN_OK;
}

static an_status measure(an_bench *bench, const char *preset, const char *const *changes)
{
    an_options *options = NULL;
    an_train_config config;
    int32_t *tokens = NULL;
    trained s = { 0 };
    an_bench_row row = { .group = "step" };
    snprintf(row.name, sizeof row.name, "%s", preset);
    if (bench->tick) bench->tick(bench->ctx, preset);
    an_status status = an_run_options_create(&options, &config);
    if (status == AN_OK) status = an_preset_apply(options, preset);
    if (status == AN_OK) status = an_options_set_preset(options, "bench", changes);
    if (status == AN_OK) status = build(bench, &s, options, &config, &tokens, &row);
    if (status == AN_OK) {
        an_bench serial = *bench;
        serial.threads = 1;   /* the model deals its work to the threads itself */
        row.seconds = an_bench_time(&serial, 1, step, &s);
        status = an_bench_add(bench, &row);
    }
    an_optimizer_destroy(&s.optimizer);
    an_model_destroy(&s.model);
    an_options_destroy(&options);
    free(tokens);
    return status;
}

an_status an_bench_steps(an_bench *bench, bool full)
{
    AN_TRY(measure(bench, "shakespeare-char-cpu", (const char *const[]){ NULL }));
    AN_TRY(measure(bench, "shakespeare-char", (const char *const[]){ "batch_size", "8", "dropout", "0", NULL }));
    return full ? measure(bench, "gpt2-124m", (const char *const[]){ "batch_size", "4", "seq_len", "256", NULL }) : AN_OK;
}
