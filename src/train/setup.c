/* train/setup.c
 * From options to a trainer that is ready to run, in the order in which mistakes are cheapest to report: configuration,
 * data, model, memory, and only then a run folder is made; one that is gone on in is locked before it is read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/file.h"
#include "train/checkpoint.h"
#include "train/images.h"
#include "train/memory.h"
#include "train/run.h"
#include "train/runlog.h"
#include "train/trainer.h"

static an_status no_memory(void) { return an_fail(AN_ENOMEM, "trainer: no memory"); }

/* Whether a checkpoint folder lies in this run folder, which exists. */
static an_status is_same_run(const char *checkpoint, const char *run, bool *same)
{
    char *owner = an_checkpoint_run(checkpoint), *real = realpath(run, NULL);
    const an_status status = owner && real ? AN_OK : no_memory();
    *same = status == AN_OK && strcmp(owner, real) == 0;
    free(owner);
    free(real);
    return status;
}

/* A run writes config.yaml into its folder: one that stands there without a folder of checkpoints is somebody's own. */
static an_status spare_config(const char *out)
{
    char *config = an_path_join(out, "config.yaml"), *checkpoints = an_path_join(out, "checkpoints");
    an_status status = config && checkpoints ? AN_OK : no_memory();
    if (status == AN_OK && an_path_exists(config) && !an_path_exists(checkpoints)) status = an_fail(AN_EUSAGE, "out: %s is no run's and would be overwritten; choose another --out", config);
    free(config);
    free(checkpoints);
    return status;
}

/* The checkpoint to go on from (t->resumed_from stays NULL for a fresh run), its state, and the run folder (t->run stays NULL for one that is to be named). */
static an_status find_start(an_trainer *t)
{
    const char *resume = t->config->resume, *out = t->config->out;
    const int is_auto = strcmp(resume, "auto") == 0, chosen = strcmp(out, "auto") != 0;
    int exists = 0;
    bool same = true;
    AN_TRY(an_run_enter(t->options, &t->lock));
    if (chosen) AN_TRY(an_checkpoint_exists(out, &exists));
    if (resume[0] && (exists || !is_auto)) {
        AN_TRY(an_checkpoint_find(is_auto ? out : resume, &t->resumed_from));
        char *path = an_path_join(t->resumed_from, "state.json");
        const an_status status = path ? an_checkpoint_explain(t->resumed_from, an_run_state_read(&t->state, path)) : no_memory();
        free(path);
        AN_TRY(status);
        t->state.seed = (uint64_t)t->config->seed;
        if (t->state.step > (uint64_t)t->config->steps)
            return an_fail(AN_ECONFIG, "steps %lld: %s has done %llu already; raise steps or resume from an earlier checkpoint", (long long)t->config->steps, t->resumed_from,
                           (unsigned long long)t->state.step);
        if (!is_auto && an_options_source(t->options, "out") <= AN_FROM_FILE) {
            t->run = an_checkpoint_run(t->resumed_from);
            return t->run ? AN_OK : no_memory();
        }
        if (exists) AN_TRY(is_same_run(t->resumed_from, out, &same));
        if (!same) return an_fail(AN_EUSAGE, "out: %s already holds another run than %s; choose another --out", out, t->resumed_from);
    } else if (exists) {
        return an_fail(AN_EUSAGE, "out: %s already holds a run; go on with it by --resume auto or choose another --out", out);
    }
    if (!chosen) return AN_OK;
    AN_TRY(spare_config(out));
    t->run = an_strdup(out);
    return t->run ? AN_OK : no_memory();
}

static an_status settle_options(an_trainer *t)
{
    AN_TRY(an_train_config_finish(t->config, t->options));
    AN_TRY(an_train_config_schedule(t->config, &t->schedule));
    return an_model_config_text(t->options, &t->model_text);
}

/* runs/DATE-TIME, or with -2, -3, ... behind it: mkdir gives a folder to one run only, however many start in one second. */
static an_status make_folder(an_trainer *t)
{
    char stamp[24], path[64];
    int made = 0;
    an_clock_stamp(an_clock_wall(), stamp);
    AN_TRY(an_dir_create("runs"));
    for (unsigned n = 1; !made; n++) {
        snprintf(path, sizeof path, n > 1 ? "runs/%s-%u" : "runs/%s", stamp, n);
        AN_TRY(an_dir_create_new(path, &made));
    }
    t->run = an_strdup(path);
    return t->run ? AN_OK : no_memory();
}

/* Puts the chosen folder into the options, so that the stored configuration names it. */
static an_status settle_folder(an_trainer *t)
{
    const an_source from = an_options_source(t->options, "out");
    if (strcmp(t->run, t->config->out) != 0) {
        AN_TRY(an_options_set(t->options, "out", t->run, from > AN_FROM_FILE ? from : AN_FROM_FILE, "run folder"));
        AN_TRY(an_options_resolve(t->options));
        AN_TRY(an_train_config_finish(t->config, t->options));
    }
    an_text yaml = { 0 };
    an_options_yaml(t->options, &yaml);
    free(t->state.config);
    t->state.config = an_text_status(&yaml) == AN_OK ? an_strdup(an_text_get(&yaml)) : NULL;
    an_text_fini(&yaml);
    return t->state.config ? AN_OK : no_memory();
}

static an_status open_data(an_trainer *t)
{
    const an_train_config *c = t->config;
    AN_TRY(an_data_open_for(&t->data, c, &t->model_config));
    const uint64_t fingerprint = an_data_fingerprint(t->data), train = an_stream_bytes(an_data_train(t->data)), val = an_stream_bytes(an_data_val(t->data));
    const bool alike = train == t->state.train_bytes && val == t->state.val_bytes;
    if (t->resumed_from && alike && fingerprint != t->state.data_fingerprint)
        return an_fail(AN_EDATA, "data: these are other bytes, of the same length, than %s was trained on; give that data or start a new run", t->resumed_from);
    if (t->resumed_from && !alike)
        return an_fail(AN_EDATA, "data: %llu training and %llu validation bytes are not the data that %s was trained on (%llu and %llu bytes); give that data or start a new run",
                       (unsigned long long)train, (unsigned long long)val, t->resumed_from, (unsigned long long)t->state.train_bytes, (unsigned long long)t->state.val_bytes);
    t->state.data_fingerprint = fingerprint;
    t->state.train_bytes = train;
    t->state.val_bytes = val;
    t->unigram_entropy = an_stream_entropy(an_data_train(t->data));
    return AN_OK;
}

static an_status build_model(an_trainer *t)
{
    size_t tokens, bytes, count;
    if (!an_size_mul(t->batch, t->seq, &tokens) || !an_size_mul(tokens, sizeof *t->tokens, &bytes))
        return an_fail(AN_ECONFIG, "batch_size %zu times seq_len %zu is beyond the address space", t->batch, t->seq);
    const an_model_shape shape = { .batch = t->batch, .seq = t->seq, .train = true, .observe = t->observe, .threads = t->threads };
    an_memory_budget(&t->model_config, t->threads);
    AN_TRY(an_memory_explain(an_model_create(&t->model, &t->model_config, t->options, &shape)));
    AN_TRY(an_model_set_threads(t->model, t->threads));
    t->memory = an_memory_predict(t->model, 1, t->threads) + 2 * bytes;
    AN_TRY(an_memory_check(t->memory, an_memory_available()));
    const an_model_cost cost = an_model_get_cost(t->model);
    t->flops_per_step = (cost.flops_forward + cost.flops_backward) * (double)t->config->grad_accum;
    const an_optimizer_config config = an_train_config_optimizer(t->config);
    const an_param *params = an_model_get_params(t->model, &count);
    AN_TRY(an_optimizer_create(&t->optimizer, params, count, &config));
    if (t->observe != AN_OBSERVE_OFF) AN_TRY(an_watcher_create(&t->watcher, t->model, t->optimizer, t->observe));
    t->tokens = an_alloc(bytes);
    t->targets = an_alloc(bytes);
    return t->tokens && t->targets ? AN_OK : no_memory();
}

static an_status load_or_init(an_trainer *t)
{
    if (!t->resumed_from) {
        an_model_init_params(t->model, t->state.seed);
        const an_pass first = an__trainer_batch(t, 0);
        an_model_profile(t->model, &first);
        return AN_OK;
    }
    t->last_checkpoint = an_strdup(t->resumed_from);
    if (!t->last_checkpoint) return no_memory();
    if (t->observe != AN_OBSERVE_OFF && t->state.spikes) AN_TRY(an_spikes_read(&t->spikes, t->state.spikes));
    return an_checkpoint_load(t->resumed_from, &t->state, an_text_get(&t->model_text), t->model, t->optimizer);
}

/* The stored link names the checkpoint we go on from; a later one, if any, belongs to a line of the run that is left. */
static an_status claim_folder(an_trainer *t)
{
    int exists = 0;
    bool same = false;
    if (!t->run) AN_TRY(make_folder(t));
    AN_TRY(settle_folder(t));
    if (t->lock < 0) {
        AN_TRY(an_checkpoint_prepare(t->run, &t->lock));
        AN_TRY(an_checkpoint_exists(t->run, &exists));       /* it had none when we began; a process that has ended since may have been faster */
        if (exists) return an_fail(AN_EUSAGE, "out: %s already holds a run; go on with it by --resume auto or choose another --out", t->run);
    }
    if (t->resumed_from) AN_TRY(is_same_run(t->resumed_from, t->run, &same));
    if (same) AN_TRY(an_checkpoint_point(t->resumed_from));
    AN_TRY(an_runlog_open(&t->log, t->run, t->options, same, t->state.step));
    return an_tensorboard_open(&t->tb, t->run, same, t->state.step);
}

static an_status set_up(an_trainer *t)
{
    t->state.best_val_loss = INFINITY;
    t->state.seed = (uint64_t)t->config->seed;
    t->val_loss = INFINITY;
    AN_TRY(find_start(t));
    AN_TRY(an_images_settle(t->options, &t->config->data));
    AN_TRY(an_model_config_read(&t->model_config, t->options));
    AN_TRY(settle_options(t));
    t->batch = (size_t)t->config->batch_size;
    t->seq = t->model_config.seq_len;
    t->threads = an_train_config_threads(t->config);
    t->observe = an_train_config_observe(t->config);
    AN_TRY(open_data(t));
    t->each = an_stream_targets(an_data_train(t->data), t->seq);
    AN_TRY(build_model(t));
    AN_TRY(load_or_init(t));
    return claim_folder(t);
}

an_status an_trainer_create(an_trainer **out, an_options *options, an_train_config *config, const an_events *events)
{
    an_trainer *t = an_alloc(sizeof *t);
    if (!t) return no_memory();
    t->options = options;
    t->config = config;
    t->log = an_log_none;
    t->lock = -1;
    if (events) t->events = *events;
    const an_status status = set_up(t);
    if (status != AN_OK) an_trainer_destroy(&t);
    else *out = t;
    return status;
}

void an_trainer_destroy(an_trainer **trainer)
{
    an_trainer *t = *trainer;
    if (!t) return;
    an_log_close(&t->log);
    an_tensorboard_close(t->tb);
    an_watcher_destroy(&t->watcher);
    if (t->lock >= 0) close(t->lock);
    an_optimizer_destroy(&t->optimizer);
    an_model_destroy(&t->model);
    an_data_close(&t->data);
    an_run_state_fini(&t->state);
    an_text_fini(&t->model_text);
    free(t->tokens);
    free(t->targets);
    free(t->run);
    free(t->resumed_from);
    free(t->last_checkpoint);
    free(t);
    *trainer = NULL;
}
