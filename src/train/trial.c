/* train/trial.c
 * A run without its folder, see trial.h. */
#include "train/trial.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checkpoint.h"
#include "train/data.h"
#include "train/evaluate.h"
#include "train/images.h"
#include "train/memory.h"
#include "train/optimizer.h"

struct an_trial {
    an_train_config config;
    an_model_config model_config;
    an_schedule schedule;
    an_data *data;
    an_model *model;
    an_optimizer *optimizer;
    int32_t *tokens, *targets;
    size_t batch, seq;
    uint64_t step, samples;
    double entropy;
    int threads;
    bool other_data;
};

static an_status build(an_trial *t, an_options *options, an_observe observe)
{
    size_t tokens, bytes, count;
    if (!an_size_mul(t->batch, t->seq, &tokens) || !an_size_mul(tokens, sizeof *t->tokens, &bytes))
        return an_fail(AN_ECONFIG, "batch_size %zu times seq_len %zu is beyond the address space", t->batch, t->seq);
    const an_model_shape shape = { .batch = t->batch, .seq = t->seq, .train = true, .observe = observe, .threads = t->threads };
    an_memory_budget(&t->model_config, t->threads);
    AN_TRY(an_memory_explain(an_model_create(&t->model, &t->model_config, options, &shape)));
    AN_TRY(an_model_set_threads(t->model, t->threads));
    AN_TRY(an_memory_check(an_memory_predict(t->model, 1, t->threads) + 2 * bytes, an_memory_available()));
    const an_optimizer_config config = an_train_config_optimizer(&t->config);
    const an_param *params = an_model_get_params(t->model, &count);
    AN_TRY(an_optimizer_create(&t->optimizer, params, count, &config));
    t->tokens = an_alloc(bytes);
    t->targets = an_alloc(bytes);
    return t->tokens && t->targets ? AN_OK : an_fail(AN_ENOMEM, "trial: no memory for a batch");
}

static an_pass next_batch(an_trial *t, uint64_t micro)
{
    for (size_t row = 0; row < t->batch; row++)
        an_data_sample(t->data, (uint64_t)t->config.seed, t->samples + micro * t->batch + row, t->tokens + row * t->seq, t->targets + row * an_stream_targets(an_data_train(t->data), t->seq));
    return (an_pass){ .tokens = t->tokens, .targets = t->targets, .seed = (uint64_t)t->config.seed, .step = t->step, .micro = micro, .train = true,
        .accumulate = micro > 0, .loss_scale = 1.0 / (double)t->config.grad_accum };
}

static an_status set_up(an_trial *t, an_options *options, an_train_config *config, an_observe observe)
{
    AN_TRY(an_images_settle(options, &config->data));
    AN_TRY(an_model_config_read(&t->model_config, options));
    AN_TRY(an_train_config_finish(config, options));
    AN_TRY(an_train_config_schedule(config, &t->schedule));
    t->config = *config;
    t->batch = (size_t)config->batch_size;
    t->seq = t->model_config.seq_len;
    t->threads = an_train_config_threads(config);
    AN_TRY(an_data_open_for(&t->data, config, &t->model_config));
    t->entropy = an_stream_entropy(an_data_train(t->data));
    AN_TRY(build(t, options, observe));
    an_model_init_params(t->model, (uint64_t)config->seed);
    const an_pass first = next_batch(t, 0);
    an_model_profile(t->model, &first);
    return AN_OK;
}

an_status an_trial_create(an_trial **out, an_options *options, an_train_config *config, an_observe observe)
{
    an_trial *t = an_alloc(sizeof *t);
    if (!t) return an_fail(AN_ENOMEM, "trial: no memory");
    const an_status status = set_up(t, options, config, observe);
    if (status != AN_OK) an_trial_destroy(&t);
    else *out = t;
    return status;
}

void an_trial_destroy(an_trial **trial)
{
    an_trial *t = *trial;
    if (!t) return;
    an_optimizer_destroy(&t->optimizer);
    an_model_destroy(&t->model);
    an_data_close(&t->data);
    free(t->tokens);
    free(t->targets);
    free(t);
    *trial = NULL;
}

void an_trial_advance(an_trial *t, bool observe, an_trial_step *out)
{
    const uint64_t passes = (uint64_t)t->config.grad_accum;
    double sum = 0;
    for (uint64_t micro = 0; micro < passes; micro++) {
        an_pass pass = next_batch(t, micro);
        pass.observe = observe && micro == 0;
        sum += an_model_forward_backward(t->model, &pass);
    }
    const double norm = an_optimizer_grad_norm(t->optimizer, t->threads);
    *out = (an_trial_step){ .loss = sum / (double)passes, .lr = an_schedule_lr(&t->schedule, t->step), .grad_norm = norm };
    out->finite = isfinite(out->loss) && isfinite(norm);
    if (out->finite) {
        an_optimizer_apply(t->optimizer, out->lr, t->step + 1, norm, t->threads);
        t->samples += passes * t->batch;
        t->step++;
    }
    out->step = t->step;
}

static an_status load(an_trial *t, const an_options *options, const char *folder)
{
    an_run_state state = { 0 };
    an_text text = { 0 };
    char *path = an_path_join(folder, "state.json");
    an_status status = path ? an_checkpoint_explain(folder, an_run_state_read(&state, path)) : an_fail(AN_ENOMEM, "%s: no memory", folder);
    free(path);
    if (status == AN_OK) status = an_model_config_text(options, &text);
    if (status == AN_OK) status = an_checkpoint_load(folder, &state, an_text_get(&text), t->model, t->optimizer);
    if (status == AN_OK) {
        t->step = state.step;
        t->samples = state.samples;
        t->other_data = state.data_fingerprint != an_data_fingerprint(t->data);
    }
    an_text_fini(&text);
    an_run_state_fini(&state);
    return status;
}

an_status an_trial_resume(an_trial *t, const an_options *options, const char *path)
{
    char *folder;
    AN_TRY(an_checkpoint_find(path, &folder));
    const an_status status = load(t, options, folder);
    free(folder);
    return status;
}

void an_trial_validate(const an_trial *t, int32_t *tokens, int32_t *targets)
{
    const uint64_t all = an_stream_windows(an_data_val(t->data), t->seq);
    an_eval_batch(an_data_val(t->data), t->batch, t->seq, 0, t->batch < all ? t->batch : all, tokens, targets);
}

an_model_shape an_trial_get_shape(const an_trial *t) { return (an_model_shape){ .batch = t->batch, .seq = t->seq, .train = true }; }
bool an_trial_has_other_data(const an_trial *t) { return t->other_data; }
uint64_t an_trial_get_step(const an_trial *t) { return t->step; }
an_model *an_trial_get_model(an_trial *trial) { return trial->model; }
double an_trial_get_entropy(const an_trial *trial) { return trial->entropy; }

double an_trial_get_collision(an_trial *trial)
{
    double same = 0, pairs = 0;
    next_batch(trial, 0);
    for (size_t row = 0; row < trial->batch; row++) {
        uint64_t count[256] = { 0 };
        for (size_t i = 0; i < trial->seq; i++) count[(unsigned char)trial->tokens[row * trial->seq + i]]++;
        for (size_t k = 0; k < 256; k++) same += (double)count[k] * (double)(count[k] - (count[k] > 0));
        pairs += (double)trial->seq * (double)(trial->seq - 1);
    }
    return pairs > 0 ? same / pairs : 1;
}
