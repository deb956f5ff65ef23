/* train/runlog.c
 * The key names here are the contract with readers of runs (reports, dashboards, scripts). */
#include "train/runlog.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "train/memory.h"

static an_status write_config(const char *run, const an_options *options)
{
    an_text yaml = { 0 };
    an_options_yaml(options, &yaml);
    char *path = an_path_join(run, "config.yaml");
    an_status status = path ? an_text_status(&yaml) : an_fail(AN_ENOMEM, "%s: no memory", run);
    if (status == AN_OK) status = an_file_write(path, an_text_get(&yaml), yaml.length);
    free(path);
    an_text_fini(&yaml);
    return status;
}

an_status an_runlog_open(an_logger *log, const char *run, const an_options *options, bool resumed, uint64_t step)
{
    AN_TRY(write_config(run, options));
    char *path = an_path_join(run, "log.jsonl");
    an_status status = path ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", run);
    if (status == AN_OK && !resumed) status = an_file_write(path, "", 0);
    if (status == AN_OK) status = an_log_open(log, path, (int64_t)step);
    free(path);
    return status;
}

static void put_time(an_logger *log)
{
    char when[24];
    an_log_text(log, "time", an_clock_iso(an_clock_wall(), when));
}

an_status an_runlog_start(an_logger *log, const an_event_start *e)
{
    an_log_begin(log, e->resumed_from ? "resume" : "run");
    an_log_int(log, "step", (int64_t)e->step);
    if (e->resumed_from) an_log_text(log, "from", e->resumed_from);
    an_log_int(log, "steps", (int64_t)e->steps);
    an_log_text(log, "version", AN_VERSION);
    an_log_int(log, "params", (int64_t)e->params);
    an_log_int(log, "train_bytes", (int64_t)e->train_bytes);
    an_log_int(log, "val_bytes", (int64_t)e->val_bytes);
    an_log_real(log, "unigram_entropy", e->unigram_entropy);
    an_log_real(log, "flops_per_step", e->flops_per_step);
    an_log_int(log, "memory_bytes", (int64_t)e->memory);
    an_log_text(log, "kernels", e->kernels);
    an_log_int(log, "threads", e->threads);
    if (e->n_notes) an_log_texts(log, "notes", e->n_notes, e->notes);
    put_time(log);
    return an_log_end(log);
}

an_status an_runlog_step(an_logger *log, const an_event_step *e)
{
    an_log_begin(log, "step");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_int(log, "tokens", (int64_t)e->tokens);
    an_log_real(log, "epoch", e->epoch);
    an_log_real(log, "loss", e->loss);
    if (!isnan(e->accuracy)) an_log_real(log, "accuracy", e->accuracy);
    an_log_real(log, "lr", e->lr);
    an_log_real(log, "grad_norm", e->grad_norm);
    an_log_real(log, "grad_norm_clipped", e->grad_norm_clipped);
    if (e->update_norm > 0) an_log_real(log, "update_norm", e->update_norm);
    an_log_real(log, "tok_per_s", e->tok_per_s);
    an_log_real(log, "dt_ms", e->dt_ms);
    an_log_real(log, "flops_per_s", e->flops_per_s);
    an_log_real(log, "eta_s", e->eta_s);
    return an_log_end(log);
}

an_status an_runlog_eval(an_logger *log, const an_event_eval *e)
{
    an_log_begin(log, "eval");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_real(log, "val_loss", e->val.loss);
    if (isnan(e->val.accuracy)) an_log_real(log, "bits_per_byte", e->val.bits_per_byte);
    else an_log_real(log, "val_accuracy", e->val.accuracy);
    an_log_real(log, "perplexity", e->val.perplexity);
    an_log_int(log, "val_tokens", (int64_t)e->val.tokens);
    an_log_bool(log, "best", e->best);
    an_log_real(log, "seconds", e->seconds);
    return an_log_end(log);
}

an_status an_runlog_checkpoint(an_logger *log, const an_event_checkpoint *e)
{
    an_log_begin(log, "checkpoint");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_text(log, "folder", an_path_base(e->folder));
    an_log_real(log, "seconds", e->seconds);
    return an_log_end(log);
}

an_status an_runlog_sample(an_logger *log, const an_event_sample *e)
{
    an_log_begin(log, "sample");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_text(log, "text", e->text);
    return an_log_end(log);
}

an_status an_runlog_end(an_logger *log, const an_event_end *e)
{
    an_log_begin(log, "end");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_text(log, "status", an_status_message(e->status));
    an_log_int(log, "exit_code", an_status_exit_code(e->status));
    if (e->error[0]) an_log_text(log, "error", e->error);
    an_log_int(log, "tokens", (int64_t)e->tokens);
    an_log_real(log, "seconds", e->seconds);
    an_log_int(log, "peak_memory_bytes", (int64_t)an_memory_peak());
    if (isfinite(e->best_val_loss)) {
        an_log_real(log, "best_val_loss", e->best_val_loss);
        an_log_int(log, "best_val_step", (int64_t)e->best_val_step);
    }
    put_time(log);
    return an_log_end(log);
}
