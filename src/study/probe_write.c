/* study/probe_write.c
 * The measures on demand as JSON and as a page. */
#include "study/probe.h"

#include <math.h>
#include <stdio.h>

#include "study/page.h"

/* --- JSON: each measure is an object of columns, or says why it was refused --------------------------------------- */

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* n values, `stride` bytes apart. */
static json_t *column(const double *first, size_t n, size_t stride)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++)
        if (json_array_append_new(a, number(*(const double *)(const void *)((const char *)first + i * stride))) != 0) {
            json_decref(a);
            return NULL;
        }
    return a;
}

#define COLUMN(list, field, n) column(&(list)->field, n, sizeof *(list))

static json_t *lesion_json(const an_probe_report *r)
{
    json_t *change = json_array();
    for (size_t i = 0; change && i < r->n_sites; i++) json_array_append_new(change, number(r->lesion[i] - r->loss));
    return json_pack("{s:o, s:o}", "loss", column(r->lesion, r->n_sites, sizeof *r->lesion), "change", change);
}

static json_t *lens_json(const an_probe_report *r)
{
    return json_pack("{s:o, s:o}", "loss", COLUMN(r->lens, loss, r->n_sites), "accuracy", COLUMN(r->lens, accuracy, r->n_sites));
}

static json_t *paths_json(const an_probe_report *r)
{
    const an_paths *p = &r->paths;
    const size_t n = r->n_sites + 1;
    json_t *sets = json_array();
    for (size_t i = 0; sets && i < n; i++) json_array_append_new(sets, json_integer((json_int_t)r->path[i].sets));
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "whole", number(p->whole), "slope", number(p->slope), "r2", number(p->r2),
                     "short_share", number(p->short_share), "mean", number(p->mean_k), "peak", number(p->peak_k), "sets", sets,
                     "gradient", COLUMN(r->path, length, n), "error", COLUMN(r->path, deviation, n),
                     "log_count", COLUMN(r->path, log_count, n), "share", COLUMN(r->path, share, n));
}

static json_t *amplification_json(const an_probe_report *r)
{
    json_t *all = json_array();
    for (size_t i = 0; all && i < r->n_updates; i++) {
        const an_probe_update *u = &r->update[i];
        const an_moved *out = &u->moved[r->n_sites];
        json_t *row = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "step", (json_int_t)u->step, "lr", number(u->lr), "update", number(u->length),
                                "output", number(out->size), "change", number(out->change), "relative", number(out->change / out->size),
                                "loss", number(u->loss), "loss_after", number(u->loss_after));
        json_array_append_new(all, row);
    }
    return all;
}

static json_t *linearisation_json(const an_probe_report *r)
{
    json_t *all = json_array();
    const size_t n = r->n_sites + 1;
    for (size_t i = 0; all && i < r->n_updates; i++) {
        const an_probe_update *u = &r->update[i];
        json_t *row = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "step", (json_int_t)u->step, "loss_change", number(u->loss_after - u->loss),
                                "loss_linear", number(u->loss_linear), "size", COLUMN(u->moved, size, n), "change", COLUMN(u->moved, change, n),
                                "linear", COLUMN(u->moved, linear, n), "distance", COLUMN(u->moved, distance, n), "doubt", COLUMN(u->moved, doubt, n),
                                "since_start", COLUMN(u->moved, since, n));
        json_array_append_new(all, row);
    }
    return all;
}

json_t *an_probe_json(const an_probe_report *r)
{
    static json_t *(*const MAKE[AN_PROBES])(const an_probe_report *r) = { [AN_PROBE_LESION] = lesion_json, [AN_PROBE_PATHS] = paths_json,
        [AN_PROBE_LENS] = lens_json, [AN_PROBE_AMPLIFICATION] = amplification_json, [AN_PROBE_LINEARISATION] = linearisation_json };
    json_t *sites = json_array();
    for (size_t i = 0; sites && i < r->n_sites; i++) json_array_append_new(sites, json_string(r->name[i]));
    json_t *doc = json_pack("{s:s?, s:I, s:I, s:I, s:o, s:o}", "run", r->run, "step", (json_int_t)r->step, "windows", (json_int_t)r->batch,
                            "seq_len", (json_int_t)r->seq, "loss", number(r->loss), "sites", sites);
    for (size_t i = 0; doc && i < AN_PROBES; i++) {
        if (!(r->measured >> i & 1u) && !r->refused[i][0]) continue;
        json_t *value = r->refused[i][0] ? json_pack("{s:s}", "refused", r->refused[i]) : MAKE[i](r);
        if (value && json_object_set_new(doc, an_probe_name(i), value) == 0) continue;
        json_decref(doc);
        doc = NULL;
    }
    return doc;
}

/* --- the page ------------------------------------------------------------------------------------------------------ */

static void label_sites(an_sheet *s, const an_probe_report *r)
{
    for (size_t i = 0; i < s->n; i++) s->label[i] = i < r->n_sites ? r->name[i] + sizeof "layers." - 1 : "output";
}

static void label_numbers(an_sheet *s, size_t first)
{
    for (size_t i = 0; i < s->n; i++) an_sheet_number(s, i, first + i);
}

static void put_sites(an_page *page, const an_probe_report *r, an_sheet *s)
{
    label_sites(s, r);
    if (r->measured >> AN_PROBE_LESION & 1u) {
        for (size_t i = 0; i < s->n; i++) s->y[i] = r->lesion[i] - r->loss;
        const an_series change = { "change of the loss", s->y, false };
        an_page_chart(page, "Lesion: loss without the sub-layer, minus the loss, nats", "sub-layer", s->label, s->n, &change, 1, false);
    }
    if (!(r->measured >> AN_PROBE_LENS & 1u)) return;
    for (size_t i = 0; i < s->n; i++) {
        s->y[i] = r->lens[i].loss;
        s->y[s->n + i] = r->loss;
        s->y[2 * s->n + i] = r->lens[i].accuracy;
    }
    const an_series loss[] = { { "loss", s->y, false }, { "of the whole model", s->y + s->n, true } };
    an_page_chart(page, "Logit lens: loss of final norm and head on the stream after each sub-layer, nats", "sub-layer", s->label, s->n, loss, 2, false);
    an_page_chart(page, "Logit lens: share of tokens it gets right", "sub-layer", s->label, s->n, &(an_series){ "accuracy", s->y + 2 * s->n, false }, 1, false);
}

static void put_paths(an_page *page, const an_probe_report *r, an_sheet *s)
{
    label_numbers(s, 0);
    for (size_t k = 0; k < s->n; k++) {
        s->y[k] = r->path[k].length;
        s->y[s->n + k] = r->path[k].share;
    }
    const an_series length = { "gradient", s->y, false }, share = { "share", s->y + s->n, false };
    an_page_chart(page, "Gradient through exactly k branches, skips elsewhere: mean length", "k", s->label, s->n, &length, 1, true);
    an_page_chart(page, "Times the number of such paths: share of the whole", "k", s->label, s->n, &share, 1, false);
}

static void put_output(an_page *page, const an_probe_report *r, an_sheet *s)
{
    label_numbers(s, (size_t)r->step + 1);
    for (size_t i = 0; i < s->n; i++) {
        const an_moved *out = &r->update[i].moved[r->n_sites];
        s->y[i] = out->change;
        s->y[s->n + i] = out->distance;
    }
    const an_series series[] = { { "change of the output", s->y, false }, { "of it beyond first order", s->y + s->n, true } };
    const size_t lines = r->measured >> AN_PROBE_LINEARISATION & 1u ? 2 : 1;
    an_page_chart(page, "Amplification: RMS of the change of the output by each update", "update", s->label, s->n, series, lines, true);
}

static void put_stream(an_page *page, const an_probe_report *r, an_sheet *s)
{
    const an_moved *first = r->update[0].moved, *last = r->update[r->n_updates - 1].moved;
    label_sites(s, r);
    for (size_t i = 0; i < s->n; i++) {
        s->y[i] = first[i].change;
        s->y[s->n + i] = first[i].distance;
        s->y[2 * s->n + i] = last[i].since;
    }
    const an_series series[] = { { "first update", s->y, false }, { "of it beyond first order", s->y + s->n, true }, { "all updates", s->y + 2 * s->n, false } };
    an_page_chart(page, "Change of the stream, RMS", "after sub-layer", s->label, s->n, series, 3, true);
}

static an_status put_charts(an_page *page, const an_probe_report *r)
{
    const struct { bool on; size_t n; void (*put)(an_page *page, const an_probe_report *r, an_sheet *s); } PART[] = {
        { true, r->n_sites, put_sites },
        { r->measured >> AN_PROBE_PATHS & 1u, r->n_sites + 1, put_paths },
        { r->n_updates > 0, r->n_updates, put_output },
        { r->n_updates > 0 && r->measured >> AN_PROBE_LINEARISATION & 1u, r->n_sites + 1, put_stream },
    };
    for (size_t i = 0; i < sizeof PART / sizeof *PART; i++) {
        an_sheet s;
        const an_status status = PART[i].on ? an_sheet_open(&s, PART[i].n, 3) : AN_OK;
        if (PART[i].on && status == AN_OK) PART[i].put(page, r, &s);
        if (PART[i].on) an_sheet_close(&s);
        AN_TRY(status);
    }
    return AN_OK;
}

an_status an_probe_page(const an_probe_report *r, const an_options *options, an_text *out)
{
    an_page page;
    char text[512];
    snprintf(text, sizeof text, "Probes: design %s, norm %s", an_options_text(options, "design"), an_options_text(options, "norm"));
    an_page_begin(&page, out, text, 0);
    snprintf(text, sizeof text, "%s, %llu updates done; measured on %zu windows of %zu tokens of the validation part.", r->run ? r->run : "At initialisation",
             (unsigned long long)r->step, r->batch, r->seq);
    an_page_paragraph(&page, text);
    for (size_t i = 0; i < AN_PROBES; i++) {
        if (!r->refused[i][0]) continue;
        snprintf(text, sizeof text, "%s: refused. %s.", an_probe_name(i), r->refused[i]);
        an_page_paragraph(&page, text);
    }
    if (r->measured >> AN_PROBE_PATHS & 1u) {
        snprintf(text, sizeof text, "Log of the gradient against k: slope %.3g per branch, R^2 %.4f. Paths through at most half of the branches carry %.2f %% of "
                 "the gradient, weighted with their number; the largest share is that of k = %.0f.", r->paths.slope, r->paths.r2, 100 * r->paths.short_share, r->paths.peak_k);
        an_page_paragraph(&page, text);
    }
    const an_status status = put_charts(&page, r);
    return status == AN_OK ? an_page_end(&page, options) : status;
}
