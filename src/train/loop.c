/* train/loop.c
 * The run. Everything that decides the next parameters is a pure function of (configuration, state): batches come from a
 * sample number, learning rates from a step number, dropout from (seed, step, micro-batch). A resumed run is therefore the
 * same run. Between two steps, in this order: log, evaluate, sample, save, stop. */
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/clock.h"
#include "kern/kern.h"
#include "core/threads.h"
#include "train/checkpoint.h"
#include "train/generate.h"
#include "train/memory.h"
#include "train/runlog.h"
#include "train/signals.h"
#include "train/trainer.h"

#define TELL(t, name, event) do { if ((t)->events.name) (t)->events.name((t)->events.ctx, event); } while (0)

an_pass an__trainer_batch(an_trainer *t, uint64_t micro)
{
    const uint64_t first = t->state.samples + micro * t->batch;
    for (size_t row = 0; row < t->batch; row++)
        an_data_sample(t->data, t->state.seed, first + row, t->tokens + row * t->seq, t->targets + row * t->each);
    return (an_pass){ .tokens = t->tokens, .targets = t->targets, .seed = t->state.seed, .step = t->state.step, .micro = micro, .train = true,
                      .accumulate = micro > 0, .loss_scale = 1.0 / (double)t->config->grad_accum };
}

/* Runs the passes of this step once more, watching every value, to name where it went wrong. */
static an_status diverged(an_trainer *t, const char *what, double value)
{
    const char *name = NULL;
    for (uint64_t micro = 0; !name && micro < (uint64_t)t->config->grad_accum; micro++) {
        const an_pass pass = an__trainer_batch(t, micro);
        name = an_model_find_nonfinite(t->model, &pass);
    }
    return an_fail(AN_EDIVERGED, "diverged at step %llu: %s is %g; first non-finite value: %s; last good checkpoint: %s; %s",
                   (unsigned long long)t->state.step + 1, what, isnan(value) ? (double)NAN : value, name ? name : "the sum of squared gradients", t->last_checkpoint ? t->last_checkpoint : "none yet",
                   t->state.step ? "lower lr or raise warmup" : "no update was made yet, so init or a scale of the design is too large");
}

static int is_last(const an_trainer *t) { return t->state.step >= (uint64_t)t->config->steps; }

/* Whether the update to come is one that telemetry looks at. */
static bool is_observed(const an_trainer *t)
{
    const uint64_t update = t->state.step + 1;
    return t->observe != AN_OBSERVE_OFF && (update == 1 || update % (uint64_t)t->config->telemetry_every == 0 || update == (uint64_t)t->config->steps);
}

static an_status train_step(an_trainer *t, an_event_step *report)
{
    double sum = 0;
    uint64_t right = 0;
    const bool observed = is_observed(t), images = t->model_config.image.side > 0;
    for (uint64_t micro = 0; micro < (uint64_t)t->config->grad_accum; micro++) {
        an_pass pass = an__trainer_batch(t, micro);
        pass.observe = observed && micro == 0;
        const double loss = an_model_forward_backward(t->model, &pass);
        if (!isfinite(loss)) return diverged(t, "loss", loss);
        sum += loss;
        if (images) right += an_count_right(an_model_get_logits(t->model), t->targets, t->batch, t->model_config.vocab_size);
    }
    report->loss = sum / (double)t->config->grad_accum;
    report->accuracy = images ? (double)right / ((double)t->config->grad_accum * (double)t->batch) : (double)NAN;
    report->lr = an_schedule_lr(&t->schedule, t->state.step);
    report->grad_norm = an_optimizer_grad_norm(t->optimizer, t->threads);
    if (!isfinite(report->grad_norm)) return diverged(t, "gradient norm", report->grad_norm);
    an_optimizer_measure(t->optimizer, t->observe != AN_OBSERVE_OFF, observed);
    report->grad_norm_clipped = an_optimizer_apply(t->optimizer, report->lr, t->state.step + 1, report->grad_norm, t->threads);
    report->update_norm = an_optimizer_update_norm(t->optimizer);
    report->observed = observed;
    t->state.step++;
    t->state.samples += (uint64_t)t->config->grad_accum * t->batch;
    t->state.tokens += (uint64_t)t->config->grad_accum * t->batch * t->each;
    return AN_OK;
}

static int is_due(const an_trainer *t, int64_t every) { return every > 0 && t->state.step % (uint64_t)every == 0; }
static an_status report_step(an_trainer *t, an_event_step *e)
{
    const double now = an_clock(), steps = (double)(t->state.step - t->log_step), all = (double)(t->state.step - t->first_step);
    const double dt = (now - t->log_began) / steps;
    e->step = t->state.step;
    e->steps = (uint64_t)t->config->steps;
    e->tokens = t->state.tokens;
    e->epoch = (double)t->state.samples / (double)an_data_epoch_samples(t->data);
    e->dt_ms = dt * 1e3;
    e->tok_per_s = (double)t->config->grad_accum * (double)(t->batch * t->each) / dt;
    e->flops_per_s = t->flops_per_step / dt;
    e->eta_s = (now - t->began) / all * (double)(e->steps - e->step);
    e->logged = is_due(t, t->config->log_every) || is_last(t) || t->state.step == 1;
    TELL(t, step, e);
    if (!e->logged) return AN_OK;
    AN_TRY(an_runlog_step(&t->log, e));
    t->log_step = t->state.step;
    t->log_began = an_clock();
    return an_tb_step(t->tb, e);
}

/* Loss and norms of this step against their last 128 values; only a change of verdict is an event. */
static an_status watch_spikes(an_trainer *t, const an_event_step *e)
{
    const double value[AN_SPIKE_QUANTITIES] = { [AN_SPIKE_LOSS] = e->loss, [AN_SPIKE_GRAD_NORM] = e->grad_norm, [AN_SPIKE_UPDATE_NORM] = e->update_norm };
    for (an_spike_quantity q = 0; q < AN_SPIKE_QUANTITIES; q++) {
        const an_event_spike spike = { t->state.step, an_spikes_add(&t->spikes, q, t->state.step, value[q]) };
        if (spike.verdict.kind == AN_SPIKE_NONE || spike.verdict.kind == AN_SPIKE_GOES_ON) continue;
        TELL(t, spike, &spike);
        AN_TRY(an_runlog_spike(&t->log, &spike));
        AN_TRY(an_tb_spike(t->tb, &spike));
    }
    return AN_OK;
}

static an_status report_telemetry(an_trainer *t)
{
    const an_event_telemetry *e = an_watcher_look(t->watcher, t->state.step);
    TELL(t, telemetry, e);
    AN_TRY(an_tb_telemetry(t->tb, e));
    return an_runlog_telemetry(&t->log, e);
}

static an_status evaluate(an_trainer *t)
{
    const double began = an_clock();
    const uint64_t windows = (uint64_t)t->config->eval_batches * t->batch;
    an_event_eval e = { .step = t->state.step };
    e.val = an_evaluate(t->model, an_data_val(t->data), t->batch, t->seq, windows, t->tokens, t->targets, NULL, NULL);
    e.seconds = an_clock() - began;
    e.best = e.val.loss < t->state.best_val_loss;
    t->val_loss = e.val.loss;
    if (e.best) {
        t->state.best_val_loss = e.val.loss;
        t->state.best_val_step = t->state.step;
    }
    TELL(t, eval, &e);
    t->log_began += an_clock() - began;             /* not part of the time per step */
    AN_TRY(an_runlog_eval(&t->log, &e));
    return an_tb_eval(t->tb, &e);
}

static int collect(void *ctx, int32_t token)
{
    const char byte = (char)(unsigned char)token;
    an_text_put(ctx, &byte, 1);
    return 0;
}

/* A few tokens from a line break on; drawn from the run's seed and the step, so equal runs show equal samples. */
static an_status show_sample(an_trainer *t)
{
    const double began = an_clock();
    const size_t wanted = (size_t)t->config->sample_tokens, tokens = wanted < t->seq ? wanted : t->seq;
    const an_sampling sampling = { .temperature = 0.8, .top_p = 1, .seed = t->state.seed + t->state.step };
    an_text raw = { 0 }, text = { 0 };
    an_status status = an_generate(t->model, "", 0, tokens, &sampling, collect, &raw);
    an_text_put_safe(&text, an_text_get(&raw), raw.length);
    if (status == AN_OK) status = an_text_status(&raw);
    if (status == AN_OK) status = an_text_status(&text);
    const an_event_sample e = { t->state.step, an_text_get(&text) };
    if (status == AN_OK) TELL(t, sample, &e);
    if (status == AN_OK) status = an_runlog_sample(&t->log, &e);
    an_text_fini(&raw);
    an_text_fini(&text);
    t->log_began += an_clock() - began;
    return status;
}

/* The window of the spike verdicts goes into the checkpoint: a resumed run gives the same ones. */
static an_status note_spikes(an_trainer *t)
{
    an_text text = { 0 };
    an_spikes_write(&t->spikes, &text);
    free(t->state.spikes);
    t->state.spikes = t->observe != AN_OBSERVE_OFF && an_text_status(&text) == AN_OK ? an_strdup(an_text_get(&text)) : NULL;
    const an_status status = an_text_status(&text);
    an_text_fini(&text);
    return status == AN_OK && t->observe != AN_OBSERVE_OFF && !t->state.spikes ? an_fail(AN_ENOMEM, "checkpoint: no memory") : status;
}

static an_status save(an_trainer *t)
{
    const double began = an_clock();
    char *folder;
    AN_TRY(note_spikes(t));
    AN_TRY(an_checkpoint_save(t->run, &t->state, an_text_get(&t->model_text), t->model, t->optimizer, (size_t)t->config->keep_checkpoints, &folder));
    free(t->last_checkpoint);
    t->last_checkpoint = folder;
    const an_event_checkpoint e = { t->state.step, folder, an_clock() - began };
    TELL(t, checkpoint, &e);
    t->log_began += an_clock() - began;
    return an_runlog_checkpoint(&t->log, &e);
}

static an_status steps(an_trainer *t)
{
    if (t->state.step == 0 && t->config->eval_every > 0) AN_TRY(evaluate(t));
    while (!is_last(t)) {
        an_event_step e = { 0 };
        AN_TRY(train_step(t, &e));
        AN_TRY(report_step(t, &e));
        if (t->observe != AN_OBSERVE_OFF) AN_TRY(watch_spikes(t, &e));
        if (e.observed) AN_TRY(report_telemetry(t));
        if (is_due(t, t->config->eval_every) || is_last(t)) AN_TRY(evaluate(t));
        if (is_due(t, t->config->sample_every)) AN_TRY(show_sample(t));
        const int stop = t->stop || an_signals_stop(), wanted = an_signals_take_save();
        if (is_due(t, t->config->save_every) || is_last(t) || stop || wanted) AN_TRY(save(t));
        if (stop && !is_last(t))
            return an_fail(AN_EINTERRUPTED, "interrupted after step %llu of %lld; go on with --resume %s", (unsigned long long)t->state.step, (long long)t->config->steps, t->run);
    }
    return AN_OK;
}

static an_status announce(an_trainer *t)
{
    const an_memory_room room = an_memory_available();
    size_t n_notes;
    const char *const *notes = an_model_get_notes(t->model, &n_notes);
    const an_event_start e = {
        .run = t->run, .resumed_from = t->resumed_from, .step = t->state.step, .steps = (uint64_t)t->config->steps, .params = an_model_param_count(t->model),
        .train_bytes = t->state.train_bytes, .val_bytes = t->state.val_bytes, .epoch_samples = an_data_epoch_samples(t->data), .unigram_entropy = t->unigram_entropy,
        .flops_per_step = t->flops_per_step, .memory = t->memory, .memory_room = room.bytes, .memory_limit = room.limit, .kernels = an_kern_get()->level,
        .threads_backend = an_threads_backend(), .threads = t->threads, .model = &t->model_config, .notes = notes, .n_notes = n_notes, .options = t->options,
    };
    TELL(t, start, &e);
    return an_runlog_start(&t->log, &e);
}

an_status an_trainer_run(an_trainer *trainer)
{
    an_trainer *t = trainer;
    t->began = t->log_began = an_clock();
    t->first_step = t->log_step = t->state.step;
    an_status status = announce(t);
    if (status == AN_OK) status = steps(t);
    char error[2048];                                /* the callbacks may fail at something and replace the sentence */
    snprintf(error, sizeof error, "%s", status == AN_OK ? "" : an_error_text());
    const an_event_end e = { .status = status, .error = error, .step = t->state.step, .tokens = t->state.tokens, .seconds = an_clock() - t->began, .val_loss = t->val_loss,
                             .best_val_loss = t->state.best_val_loss, .best_val_step = t->state.best_val_step, .unigram_entropy = t->unigram_entropy, .run = t->run };
    const an_status logged = an_runlog_end(&t->log, &e);
    TELL(t, end, &e);
    if (status != AN_OK) return an_fail(status, "%s", error);
    return logged;
}

void an_trainer_stop(an_trainer *trainer) { trainer->stop = 1; }
an_model *an_trainer_get_model(an_trainer *trainer) { return trainer->model; }
const char *an_trainer_get_run(const an_trainer *trainer) { return trainer->run; }
const an_run_state *an_trainer_get_state(const an_trainer *trainer) { return &trainer->state; }
