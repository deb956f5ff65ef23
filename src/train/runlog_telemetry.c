/* train/runlog_telemetry.c
 * An observed step in the log: one line per kind of thing, each a table by columns, so that a line stays short and a reader
 * can zip names and numbers. The keys are documented in docs/telemetry.md. */
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "train/runlog.h"
#include "train/telemetry.h"

/* Lists that a line is made of, as long as its longest table. */
typedef struct lists { const char **names; double *numbers; } lists;

static an_status write_ledger(an_logger *log, const an_event_telemetry *e, lists l)
{
    const an_telemetry *t = e->model;
    an_log_begin(log, "ledger");
    an_log_int(log, "step", (int64_t)e->step);
    for (size_t i = 0; i < t->n_sites; i++) l.names[i] = t->site[i].name;
    an_log_texts(log, "site", t->n_sites, l.names);
    for (const an_column *c = an_ledger_columns; c->key; c++) {
        for (size_t i = 0; i < t->n_sites; i++) l.numbers[i] = an_column_get(c, &t->site[i]);
        an_log_reals(log, c->key, t->n_sites, l.numbers);
    }
    return an_log_end(log);
}

static an_status write_stream(an_logger *log, const an_event_telemetry *e, lists l)
{
    const size_t n = e->model->n_sites;
    an_log_begin(log, "stream");
    an_log_int(log, "step", (int64_t)e->step);
    for (size_t i = 0; i < n; i++) l.names[i] = e->model->site[i].name;
    an_log_texts(log, "site", n, l.names);
    for (const an_column *c = an_stream_columns; c->key; c++) {
        for (size_t i = 0; i < n; i++) l.numbers[i] = an_column_get(c, &e->stream[i]);
        an_log_reals(log, c->key, n, l.numbers);
    }
    return an_log_end(log);
}

static bool is_alike(const an_gauge_record *a, const an_gauge_record *b)
{
    bool alike = a->n == b->n && strcmp(a->family, b->family) == 0;
    for (size_t k = 0; alike && k < a->n; k++) alike = strcmp(a->metric[k], b->metric[k]) == 0;
    return alike;
}

/* One line for all gauges that are like gauge `first`. */
static an_status write_gauges(an_logger *log, const an_event_telemetry *e, size_t first, lists l)
{
    const an_gauge_record *g = e->model->gauge;
    size_t n = 0;
    for (size_t i = first; i < e->model->n_gauges; i++)
        if (is_alike(&g[first], &g[i])) l.names[n++] = g[i].name;
    an_log_begin(log, g[first].family);
    an_log_int(log, "step", (int64_t)e->step);
    an_log_texts(log, "name", n, l.names);
    for (size_t k = 0; k < g[first].n; k++) {
        n = 0;
        for (size_t i = first; i < e->model->n_gauges; i++)
            if (is_alike(&g[first], &g[i])) l.numbers[n++] = g[i].value[k];
        an_log_reals(log, g[first].metric[k], n, l.numbers);
    }
    return an_log_end(log);
}

static bool is_first_of_kind(const an_telemetry *t, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (is_alike(&t->gauge[j], &t->gauge[i])) return false;
    return true;
}

static an_status write_updates(an_logger *log, const an_event_telemetry *e, lists l)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n_params; i++)
        if (an_update_is_told(e, i)) l.names[n++] = e->param[i].name;
    an_log_begin(log, "updates");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_texts(log, "name", n, l.names);
    for (const an_column *c = an_update_columns; c->key; c++) {
        n = 0;
        for (size_t i = 0; i < e->n_params; i++) {
            const an_update_record u = an_update_of(&e->norms[i]);
            if (an_update_is_told(e, i)) l.numbers[n++] = an_column_get(c, &u);
        }
        an_log_reals(log, c->key, n, l.numbers);
    }
    return an_log_end(log);
}

an_status an_runlog_spike(an_logger *log, const an_event_spike *e)
{
    const an_spike_verdict *v = &e->verdict;
    an_log_begin(log, "spike");
    an_log_int(log, "step", (int64_t)e->step);
    an_log_text(log, "quantity", an_spike_name(v->quantity));
    an_log_text(log, "kind", an_spike_kind_name(v->kind));
    an_log_real(log, "z", v->z);
    an_log_real(log, "value", v->value);
    an_log_real(log, "mean", v->mean);
    an_log_int(log, "since", (int64_t)v->since);
    an_log_int(log, "steps", (int64_t)v->steps);
    an_log_real(log, "peak", v->peak);
    return an_log_end(log);
}

an_status an_runlog_telemetry(an_logger *log, const an_event_telemetry *e)
{
    const size_t most = e->model->n_sites + e->model->n_gauges + e->n_params + 1;
    lists l = { an_alloc(most * sizeof *l.names), an_alloc(most * sizeof *l.numbers) };
    an_status status = l.names && l.numbers ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", log->path);
    if (status == AN_OK) status = write_ledger(log, e, l);
    for (size_t i = 0; i < e->model->n_gauges && status == AN_OK; i++)
        if (is_first_of_kind(e->model, i)) status = write_gauges(log, e, i, l);
    if (status == AN_OK && e->stream) status = write_stream(log, e, l);
    if (status == AN_OK) status = write_updates(log, e, l);
    free(l.names);
    free(l.numbers);
    return status;
}
