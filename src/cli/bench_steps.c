/* cli/bench_steps.c
 * Whole training steps on made-up tokens: forward, backward, gradient norm, AdamW. The same code that train runs. The
 * precisions take turns, so that their ratio is honest on a busy machine. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/rng.h"
#include "kern/gemm.h"
#include "net/model.h"
#include "plan/meter.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/presets.h"

const an_bench_preset AN_BENCH_PRESETS[] = {
    { "shakespeare-char-cpu", (const char *const[]){ NULL }, false },
    { "shakespeare-char", (const char *const[]){ "batch_size", "8", "dropout", "0", NULL }, false },
    { "gpt2-124m", (const char *const[]){ "batch_size", "4", "seq_len", "256", NULL }, true },
    { NULL, NULL, false },
};

void an_bench_model_step(an_bench_model *m, an_meter *meter, double optimizer[2])
{
    const an_pass pass = { .tokens = m->tokens, .targets = m->tokens + 1, .seed = 1, .step = m->step++, .train = true, .loss_scale = 1, .meter = meter };
    an_model_forward_backward(m->model, &pass);
    const double began = an_clock(), norm = an_optimizer_grad_norm(m->optimizer, m->threads), between = an_clock();
    an_optimizer_apply(m->optimizer, 1e-4, m->step, norm, m->threads);
    if (!meter) return;
    optimizer[0] = between - began;
    optimizer[1] = an_clock() - between;
}

static an_status build(an_bench_model *m, const an_bench_preset *preset, const char *precision, int threads)
{
    an_train_config config;
    an_model_config model;
    size_t count;
    AN_TRY(an_run_options_create(&m->options, &config));
    AN_TRY(an_preset_apply(m->options, preset->name));
    AN_TRY(an_options_set_preset(m->options, "bench", preset->changes));
    AN_TRY(an_options_set(m->options, "precision", precision, AN_FROM_FLAG, "bench"));
    AN_TRY(an_options_resolve(m->options));
    AN_TRY(an_train_config_finish(&config, m->options));
    AN_TRY(an_model_config_read(&model, m->options));
    const size_t batch = (size_t)config.batch_size, n = batch * model.seq_len;
    AN_TRY(an_model_create(&m->model, &model, m->options, &(an_model_shape){ .batch = batch, .seq = model.seq_len, .train = true }));
    AN_TRY(an_model_set_threads(m->model, threads));
    an_model_init_params(m->model, 1);
    const an_optimizer_config optimizer = an_train_config_optimizer(&config);
    const an_param *params = an_model_get_params(m->model, &count);
    AN_TRY(an_optimizer_create(&m->optimizer, params, count, &optimizer));
    m->tokens = an_alloc((n + 1) * sizeof *m->tokens);
    if (!m->tokens) return an_fail(AN_ENOMEM, "bench: no memory for tokens");
    for (size_t i = 0; i <= n; i++) m->tokens[i] = (int32_t)(an_rng_u32(an_rng_key_make(1, 1, 1), i) % model.vocab_size);
    const an_model_cost cost = an_model_get_cost(m->model);
    m->threads = threads;
    m->params = (double)an_model_param_count(m->model);
    m->flops = cost.flops_forward + cost.flops_backward;
    m->bytes = cost.bytes_forward + cost.bytes_backward + 7.0 * sizeof(an_real) * m->params;   /* AdamW reads p g m v and writes p m v */
    snprintf(m->shape, sizeof m->shape, "%zu x %zu, %.1fM params", batch, model.seq_len, m->params / 1e6);
    return AN_OK;
}

an_status an_bench_model_init(an_bench_model *m, const an_bench_preset *preset, const char *precision, int threads)
{
    *m = (an_bench_model){ 0 };
    const an_status status = build(m, preset, precision, threads);
    if (status != AN_OK) an_bench_model_fini(m);
    return status;
}

void an_bench_model_fini(an_bench_model *m)
{
    an_optimizer_destroy(&m->optimizer);
    an_model_destroy(&m->model);
    an_options_destroy(&m->options);
    free(m->tokens);
    m->tokens = NULL;
}

static void step(void *ctx, size_t i, int thread)
{
    (void)i;
    (void)thread;
    an_bench_model_step(ctx, NULL, NULL);
}

enum { PRECISIONS = 2 };

static an_status measure(an_bench *bench, const an_bench_preset *preset)
{
    static const char *const NAMES[PRECISIONS] = { "f32", "bf16" };
    an_bench_model m[PRECISIONS] = { { 0 } };
    an_bench_runner race[PRECISIONS] = { { .best = 0 } };
    an_bench serial = *bench;
    serial.threads = 1;   /* the model deals its work to the threads itself */
    if (bench->tick) bench->tick(bench->ctx, preset->name);
    an_status status = AN_OK;
    for (int i = 0; i < PRECISIONS && status == AN_OK; i++) {
        status = an_bench_model_init(&m[i], preset, NAMES[i], bench->threads);
        race[i].phase[0] = (an_bench_phase){ step, &m[i] };
    }
    if (status == AN_OK) an_bench_race(&serial, 1, race, PRECISIONS);
    for (int i = 0; i < PRECISIONS && status == AN_OK; i++) {
        an_bench_row row = { .group = "step", .seconds = race[i].best, .flops = m[i].flops, .bytes = m[i].bytes, .low = i > 0, .over = i > 0 ? race[0].best / race[i].best : 0,
            .note = i > 0 ? an_gemm_get_unit() : NULL };
        snprintf(row.name, sizeof row.name, "%s, %s", preset->name, NAMES[i]);
        snprintf(row.shape, sizeof row.shape, "%s", m[i].shape);
        status = an_bench_add(bench, &row);
    }
    for (int i = 0; i < PRECISIONS; i++) an_bench_model_fini(&m[i]);
    return status;
}

an_status an_bench_steps(an_bench *bench, bool full)
{
    for (const an_bench_preset *p = AN_BENCH_PRESETS; p->name; p++)
        if (full || !p->large) AN_TRY(measure(bench, p));
    return AN_OK;
}
