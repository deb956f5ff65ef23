/* train/telemetry.c
 * Statistics over the samples cost more than all else, so they belong to full telemetry, and run over samples, not streams. */
#include "train/telemetry.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "train/stats.h"

struct an_watcher {
    const an_model *model;
    const an_optimizer *optimizer;
    an_stream_stats *stream;                 /* NULL unless full */
    an_event_telemetry event;
};

an_status an_watcher_create(an_watcher **out, const an_model *model, const an_optimizer *optimizer, an_observe observe)
{
    an_watcher *w = an_alloc(sizeof *w);
    if (!w) return an_fail(AN_ENOMEM, "telemetry: no memory");
    w->model = model;
    w->optimizer = optimizer;
    const an_telemetry *t = an_model_get_telemetry(model);
    if (t && observe == AN_OBSERVE_FULL && !(w->stream = an_alloc((t->n_sites + 1) * sizeof *w->stream))) {
        an_watcher_destroy(&w);
        return an_fail(AN_ENOMEM, "telemetry: no memory for %zu sub-layers", t->n_sites);
    }
    *out = w;
    return AN_OK;
}

void an_watcher_destroy(an_watcher **watcher)
{
    if (!*watcher) return;
    free((*watcher)->stream);
    free(*watcher);
    *watcher = NULL;
}

static an_stream_stats stats_of(const an_site_record *r)
{
    const size_t count = r->sample_rows * r->cols;
    return (an_stream_stats){ an_stats_token_cosine(r->sample_rows, r->cols, r->sample), an_stats_effective_rank(r->sample_rows, r->cols, r->sample), an_stats_kurtosis(count, r->sample),
                              an_stats_max_over_median(count, r->sample) };
}

const an_event_telemetry *an_watcher_look(an_watcher *w, uint64_t step)
{
    w->event = (an_event_telemetry){ .step = step, .model = an_model_get_telemetry(w->model), .norms = an_optimizer_tensor_norms(w->optimizer), .stream = w->stream };
    w->event.param = an_model_get_params(w->model, &w->event.n_params);
    for (size_t i = 0; w->stream && i < w->event.model->n_sites; i++) w->stream[i] = stats_of(&w->event.model->site[i]);
    return &w->event;
}

#define COLUMN(type, key, field) { key, offsetof(type, field), false }
#define SOMETIMES(type, key, field) { key, offsetof(type, field), true }

const an_column an_ledger_columns[] = {
    COLUMN(an_site_record, "g_in", g_in), COLUMN(an_site_record, "g_identity", g_id), COLUMN(an_site_record, "g_branch", g_br), COLUMN(an_site_record, "g_cos", g_cos),
    COLUMN(an_site_record, "g_out", g_out), COLUMN(an_site_record, "attenuation", attenuation), COLUMN(an_site_record, "x_rms", x_rms), COLUMN(an_site_record, "f_rms", f_rms),
    COLUMN(an_site_record, "y_rms", y_rms), COLUMN(an_site_record, "rho", rho), COLUMN(an_site_record, "dependency", dependency), COLUMN(an_site_record, "sum_dev", sum_dev),
    COLUMN(an_site_record, "cos_xf", cos_xf), COLUMN(an_site_record, "cos_xy", cos_xy), { NULL, 0, false }
};
const an_column an_stream_columns[] = { COLUMN(an_stream_stats, "token_cosine", token_cosine), COLUMN(an_stream_stats, "effective_rank", effective_rank),
    COLUMN(an_stream_stats, "kurtosis", kurtosis), COLUMN(an_stream_stats, "massive", massive), { NULL, 0, false } };
const an_column an_update_columns[] = { COLUMN(an_update_record, "grad", grad), COLUMN(an_update_record, "update", update), COLUMN(an_update_record, "weight", weight),
    COLUMN(an_update_record, "ratio", ratio), { NULL, 0, false } };

const an_column an_step_columns[] = {
    COLUMN(an_event_step, "epoch", epoch), COLUMN(an_event_step, "loss", loss), SOMETIMES(an_event_step, "accuracy", accuracy),
    COLUMN(an_event_step, "lr", lr), COLUMN(an_event_step, "grad_norm", grad_norm),
    COLUMN(an_event_step, "grad_norm_clipped", grad_norm_clipped), COLUMN(an_event_step, "update_norm", update_norm), COLUMN(an_event_step, "tok_per_s", tok_per_s),
    COLUMN(an_event_step, "dt_ms", dt_ms), COLUMN(an_event_step, "flops_per_s", flops_per_s), COLUMN(an_event_step, "eta_s", eta_s), { NULL, 0, false } };
const an_column an_eval_columns[] = { COLUMN(an_event_eval, "val_loss", val.loss), SOMETIMES(an_event_eval, "bits_per_byte", val.bits_per_byte),
    SOMETIMES(an_event_eval, "val_accuracy", val.accuracy), COLUMN(an_event_eval, "perplexity", val.perplexity), { NULL, 0, false } };

void an_column_set(const an_column *c, void *record, double value) { memcpy((char *)record + c->at, &value, sizeof value); }

double an_column_get(const an_column *c, const void *record)
{
    double value;
    memcpy(&value, (const char *)record + c->at, sizeof value);
    return value;
}

an_update_record an_update_of(const an_tensor_norms *n) { return (an_update_record){ n->grad, n->update, n->weight, n->update / n->weight }; }

bool an_update_is_told(const an_event_telemetry *e, size_t i) { return !e->param[i].rule.buffer && (e->stream || e->param[i].rank > 1); }

/* --- RUN/tb ------------------------------------------------------------------------------------------------------ */

static an_status scalar(an_tensorboard *tb, uint64_t step, const char *number, const char *name, double value)
{
    char tag[256];
    snprintf(tag, sizeof tag, "%s/%s", number, name);
    return isfinite(value) ? an_tensorboard_scalar(tb, step, tag, value) : AN_OK;   /* what has no meaning here is left out */
}

static an_status put(an_tensorboard *tb, uint64_t step, const char *before, const an_column *columns, const char *name, const void *record)
{
    char number[64];
    for (const an_column *c = columns; c->key; c++) {
        snprintf(number, sizeof number, "%s%s", before, c->key);
        AN_TRY(scalar(tb, step, number, name, an_column_get(c, record)));
    }
    return AN_OK;
}

an_status an_tb_step(an_tensorboard *tb, const an_event_step *e)
{
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/loss", e->loss));
    AN_TRY(scalar(tb, e->step, "train", "accuracy", e->accuracy));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/lr", e->lr));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/grad_norm", e->grad_norm));
    if (e->update_norm > 0) AN_TRY(an_tensorboard_scalar(tb, e->step, "train/update_norm", e->update_norm));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/tok_per_s", e->tok_per_s));
    return an_tensorboard_flush(tb);
}

an_status an_tb_eval(an_tensorboard *tb, const an_event_eval *e)
{
    AN_TRY(an_tensorboard_scalar(tb, e->step, "val/loss", e->val.loss));
    AN_TRY(scalar(tb, e->step, "val", "bits_per_byte", e->val.bits_per_byte));
    AN_TRY(scalar(tb, e->step, "val", "accuracy", e->val.accuracy));
    return an_tensorboard_flush(tb);
}

static an_status put_stream(an_tensorboard *tb, uint64_t step, const an_site_record *r, const an_stream_stats *s)
{
    char tag[256];
    an_histogram h;
    an_histogram_init(&h);
    an_histogram_add(&h, r->sample_rows * r->cols, r->sample);
    const an_bins bins = an_histogram_bins(&h);
    snprintf(tag, sizeof tag, "stream/%s", r->name);
    AN_TRY(an_tensorboard_histogram(tb, step, tag, &bins));
    return put(tb, step, "", an_stream_columns, r->name, s);
}

an_status an_tb_telemetry(an_tensorboard *tb, const an_event_telemetry *e)
{
    if (!tb) return AN_OK;
    for (size_t i = 0; i < e->model->n_sites; i++) AN_TRY(put(tb, e->step, "", an_ledger_columns, e->model->site[i].name, &e->model->site[i]));
    for (size_t i = 0; i < e->model->n_sites && e->stream; i++) AN_TRY(put_stream(tb, e->step, &e->model->site[i], &e->stream[i]));
    for (size_t i = 0; i < e->model->n_gauges; i++) {
        const an_gauge_record *g = &e->model->gauge[i];
        char number[64];
        for (size_t k = 0; k < g->n; k++) {
            snprintf(number, sizeof number, "%s_%s", g->family, g->metric[k]);
            AN_TRY(scalar(tb, e->step, number, g->name, g->value[k]));
        }
    }
    for (size_t i = 0; i < e->n_params; i++) {
        const an_update_record u = an_update_of(&e->norms[i]);
        if (an_update_is_told(e, i)) AN_TRY(put(tb, e->step, "update_", an_update_columns, e->param[i].name, &u));
    }
    return an_tensorboard_flush(tb);
}

an_status an_tb_spike(an_tensorboard *tb, const an_event_spike *e)
{
    AN_TRY(scalar(tb, e->step, "spike", an_spike_name(e->verdict.quantity), e->verdict.z));
    return an_tensorboard_flush(tb);
}
