/* train/telemetry.c
 * Statistics over the samples cost more than all else, so they belong to full telemetry, and run over samples, not streams. */
#include "train/telemetry.h"

#include <stdio.h>
#include <stdlib.h>

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

/* --- RUN/tb ------------------------------------------------------------------------------------------------------ */

static an_status scalar(an_tensorboard *tb, uint64_t step, const char *number, const char *name, double value)
{
    char tag[256];
    snprintf(tag, sizeof tag, "%s/%s", number, name);
    return value == value ? an_tensorboard_scalar(tb, step, tag, value) : AN_OK;   /* what has no meaning here is left out */
}

an_status an_tb_step(an_tensorboard *tb, const an_event_step *e)
{
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/loss", e->loss));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/lr", e->lr));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/grad_norm", e->grad_norm));
    if (e->update_norm > 0) AN_TRY(an_tensorboard_scalar(tb, e->step, "train/update_norm", e->update_norm));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "train/tok_per_s", e->tok_per_s));
    return an_tensorboard_flush(tb);
}

an_status an_tb_eval(an_tensorboard *tb, const an_event_eval *e)
{
    AN_TRY(an_tensorboard_scalar(tb, e->step, "val/loss", e->val.loss));
    AN_TRY(an_tensorboard_scalar(tb, e->step, "val/bits_per_byte", e->val.bits_per_byte));
    return an_tensorboard_flush(tb);
}

static an_status put_site(an_tensorboard *tb, uint64_t step, const an_site_record *r)
{
    AN_TRY(scalar(tb, step, "g_in", r->name, r->g_in));
    AN_TRY(scalar(tb, step, "g_identity", r->name, r->g_id));
    AN_TRY(scalar(tb, step, "g_branch", r->name, r->g_br));
    AN_TRY(scalar(tb, step, "attenuation", r->name, r->attenuation));
    AN_TRY(scalar(tb, step, "x_rms", r->name, r->x_rms));
    AN_TRY(scalar(tb, step, "rho", r->name, r->rho));
    return scalar(tb, step, "dependency", r->name, r->dependency);
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
    AN_TRY(scalar(tb, step, "token_cosine", r->name, s->token_cosine));
    AN_TRY(scalar(tb, step, "effective_rank", r->name, s->effective_rank));
    AN_TRY(scalar(tb, step, "kurtosis", r->name, s->kurtosis));
    return scalar(tb, step, "massive", r->name, s->massive);
}

an_status an_tb_telemetry(an_tensorboard *tb, const an_event_telemetry *e)
{
    if (!tb) return AN_OK;
    for (size_t i = 0; i < e->model->n_sites; i++) AN_TRY(put_site(tb, e->step, &e->model->site[i]));
    for (size_t i = 0; i < e->model->n_sites && e->stream; i++) AN_TRY(put_stream(tb, e->step, &e->model->site[i], &e->stream[i]));
    for (size_t i = 0; i < e->model->n_gauges; i++) {
        const an_gauge_record *g = &e->model->gauge[i];
        char number[64];
        for (size_t k = 0; k < g->n; k++) {
            snprintf(number, sizeof number, "%s_%s", g->family, g->metric[k]);
            AN_TRY(scalar(tb, e->step, number, g->name, g->value[k]));
        }
    }
    for (size_t i = 0; i < e->n_params; i++)
        if (e->param[i].rank > 1 && !e->param[i].rule.buffer && e->norms[i].weight > 0) AN_TRY(scalar(tb, e->step, "update_ratio", e->param[i].name, e->norms[i].update / e->norms[i].weight));
    return an_tensorboard_flush(tb);
}
