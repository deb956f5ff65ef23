/* train/runlog.c
 * The key names here are the contract with readers of runs (reports, dashboards, scripts). */
#include "train/runlog.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/file.h"
#include "train/memory.h"
#include "train/telemetry.h"

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

/* Which keys are no defaults, and who said so. What a resumed run has from its checkpoint was told when it began. */
typedef struct sources { const char *stored; const char **key, **by; size_t n, room; an_arena arena; bool failed; } sources;

static void take_source(void *ctx, const char *key, const char *text, const char *place)
{
    sources *s = ctx;
    (void)text;
    if (s->stored && strncmp(place, s->stored, strlen(s->stored)) == 0) return;
    if (s->n < s->room) {
        s->key[s->n] = an_arena_printf(&s->arena, "%s", key);
        s->by[s->n] = an_arena_printf(&s->arena, "%s", place);
        s->failed |= !s->key[s->n] || !s->by[s->n];
    }
    s->n++;
}

static an_status put_sources(an_logger *log, const an_event_start *e)
{
    sources s = { .stored = e->resumed_from };
    an_options_walk(e->options, take_source, &s);
    s.room = s.n;
    s.n = 0;
    s.key = an_alloc((s.room + 1) * sizeof *s.key);
    s.by = an_alloc((s.room + 1) * sizeof *s.by);
    if (s.key && s.by) an_options_walk(e->options, take_source, &s);
    const an_status status = s.key && s.by && !s.failed ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", log->path);
    if (status == AN_OK) {
        an_log_texts(log, "set", s.n, s.key);
        an_log_texts(log, "by", s.n, s.by);
    }
    an_arena_fini(&s.arena);
    free(s.key);
    free(s.by);
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
    if (log->fd >= 0) AN_TRY(put_sources(log, e));
    put_time(log);
    return an_log_end(log);
}

static void put_column(an_logger *log, const an_column *c, const void *record)
{
    const double value = an_column_get(c, record);
    if (!c->sometimes || !isnan(value)) an_log_real(log, c->key, value);
}

an_status an_runlog_step(an_logger *log, const an_event_step *e)
{
    an_log_begin(log, "step");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_int(log, "tokens", (int64_t)e->tokens);
    for (const an_column *c = an_step_columns; c->key; c++)
        if (c->at != offsetof(an_event_step, update_norm) || e->update_norm > 0) put_column(log, c, e);
    return an_log_end(log);
}

an_status an_runlog_eval(an_logger *log, const an_event_eval *e)
{
    an_log_begin(log, "eval");
    an_log_int(log, "step", (int64_t)e->step);
    for (const an_column *c = an_eval_columns; c->key; c++) put_column(log, c, e);
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
