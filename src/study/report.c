/* study/report.c
 * The report: its sections in order, as a page or as files of numbers. Equal runs give equal bytes: nothing here asks for the time. */
#include "study/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "net/design.h"

/* ---- the page ---- */

static an_status page_curves(void *ctx, const an_chart *chart) { return an_page_curves(ctx, chart), AN_OK; }
static an_status page_heat(void *ctx, const an_heat *heat) { return an_page_heat(ctx, heat), AN_OK; }

static an_status page_group(void *ctx, int columns)
{
    if (columns) an_page_group_begin(ctx, columns);
    else an_page_group_end(ctx);
    return AN_OK;
}

static an_status put_section(const an_runs *runs, const an_report_section *s, an_page *page)
{
    an_taker taker = { .ctx = page, .curves = page_curves, .heat = page_heat, .group = page_group, .means = true };
    an_page_heading(page, s->title);
    an_page_group_begin(page, 2);
    const an_status status = s->give(runs, &taker);
    an_page_group_end(page);
    if (!taker.taken) an_page_note(page, s->missing);
    return status;
}

static an_status put_body(const an_runs *runs, an_page *page)
{
    const bool many = runs->n > AN_RUNS_SIDE_BY_SIDE;
    an_status status = AN_OK;
    char text[256];
    if (runs->study) an__report_study(runs->study, page);
    an__report_summary(runs, page);
    if (runs->n_sets < runs->n) {
        snprintf(text, sizeof text, "%zu runs, %zu that differ by more than their seed. Lines are means over seeds, shaded from the least to the largest; the numbers of every run: addnorm report --csv FOLDER.", runs->n, runs->n_sets);
        an_page_note(page, text);
    }
    for (const an_report_section *s = an_report_sections; s->title && status == AN_OK; s++)
        if (!many || !s->telemetry) status = put_section(runs, s, page);
    if (many) {
        const bool grouped = runs->grouped_by && runs->n_sets > AN_RUNS_SIDE_BY_SIDE;
        snprintf(text, sizeof text, "%s%.60s%sThe telemetry of single runs is shown for up to %d at a time: addnorm report RUN...", grouped ? "Colours: " : "", grouped ? runs->grouped_by->key : "",
                 grouped ? ". " : "", AN_RUNS_SIDE_BY_SIDE);
        an_page_note(page, text);
    }
    an__report_spikes(runs, page);
    an__report_samples(runs, page);
    an__report_configuration(runs, page);
    an__report_commands(runs, page);
    an__report_papers(runs, page);
    return status;
}

static void title_of(const an_runs *runs, an_text *out)
{
    const an_record *r = runs->record[0];
    const char *title = json_string_value(json_object_get(runs->study, "title")), *name = json_string_value(json_object_get(runs->study, "study"));
    if (title || name) an_text_add(out, "%s: %zu runs", title ? title : name, runs->n);
    else if (runs->folder && runs->n > 1) an_text_add(out, "%s: %zu runs", an_path_base(runs->folder)[0] ? an_path_base(runs->folder) : runs->folder, runs->n);
    else if (runs->n > 1) an_text_add(out, "%zu runs side by side", runs->n);
    else an_text_add(out, "%s: design %s, norm %s", runs->name[0], an_options_text(r->options, "design"), an_options_text(r->options, "norm"));
}

an_status an_runs_page(const an_runs *runs, unsigned refresh_ms, an_text *out)
{
    an_page page;
    an_text title = { 0 };
    title_of(runs, &title);
    an_page_begin(&page, out, an_text_get(&title), refresh_ms);
    an_text_fini(&title);
    AN_TRY(put_body(runs, &page));
    return an_page_finish(&page);
}

an_status an_runs_body(const an_runs *runs, an_text *out)
{
    an_page page = { .out = out };
    an_text title = { 0 };
    title_of(runs, &title);
    an_page_title(&page, an_text_get(&title));
    an_text_fini(&title);
    AN_TRY(put_body(runs, &page));
    return an_text_status(out);
}

an_status an_run_report(const char *run)
{
    an_runs runs;
    an_text page = { 0 };
    char *path = an_path_join(run, "report.html");
    an_status status = path ? an_runs_open(&runs, &run, 1) : an_fail(AN_ENOMEM, "%s: no memory", run);
    if (path) {
        if (status == AN_OK) status = an_runs_page(&runs, 0, &page);
        if (status == AN_OK) status = an_file_write(path, an_text_get(&page), page.length);
        an_runs_close(&runs);
    }
    an_text_fini(&page);
    free(path);
    return status;
}

/* ---- CSV: one file per chart; heat maps of several runs share one, so all files stay open until the end ---- */

enum { MOST_FILES = 64 };
typedef struct csv_file { char id[48]; an_text text; } csv_file;
typedef struct csv { csv_file file[MOST_FILES]; size_t n; } csv;

/* The text of that file; a new one begins with its head. NULL: there are more charts than anybody has thought of. */
static an_text *csv_text(csv *c, const char *id, int length, const char *head)
{
    for (size_t i = 0; i < c->n; i++)
        if (strlen(c->file[i].id) == (size_t)length && strncmp(c->file[i].id, id, (size_t)length) == 0) return &c->file[i].text;
    if (c->n == MOST_FILES) return NULL;
    csv_file *f = &c->file[c->n++];
    snprintf(f->id, sizeof f->id, "%.*s", length, id);
    an_text_add(&f->text, "%s", head);
    return &f->text;
}

static an_status csv_write(csv *c, const char *folder)
{
    an_status status = AN_OK;
    for (size_t i = 0; i < c->n && status == AN_OK; i++) {
        char name[sizeof c->file[i].id + 4];
        snprintf(name, sizeof name, "%s.csv", c->file[i].id);
        char *path = an_path_join(folder, name);
        status = path ? an_text_status(&c->file[i].text) : an_fail(AN_ENOMEM, "%s: no memory", folder);
        if (status == AN_OK) status = an_file_write(path, an_text_get(&c->file[i].text), c->file[i].text.length);
        free(path);
    }
    return status;
}

static void put_field(an_text *out, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        an_text_add(out, "%s", text);
        return;
    }
    an_text_add(out, "\"");
    for (; *text; text++) an_text_add(out, *text == '"' ? "\"\"" : "%c", *text);
    an_text_add(out, "\"");
}

static void put_csv_number(an_text *out, double v) { an_text_add(out, isfinite(v) ? "%.9g\n" : "\n", v); }

static an_status too_many(void) { return an_fail(AN_EFAIL, "csv: more than %d charts", MOST_FILES); }

static an_status csv_curves(void *ctx, const an_chart *chart)
{
    char head[64];
    snprintf(head, sizeof head, "curve,%s,value\n", chart->x_title);
    an_text *out = csv_text(ctx, chart->id, (int)strlen(chart->id), head);
    if (!out) return too_many();
    for (size_t k = 0; k < chart->n_curves; k++)
        for (size_t i = 0; i < chart->curve[k].n; i++) {
            put_field(out, chart->curve[k].name);
            an_text_add(out, ",");
            if (chart->label) put_field(out, chart->label[i]);
            else an_text_add(out, "%.0f", chart->curve[k].x[i]);
            an_text_add(out, ",");
            put_csv_number(out, chart->curve[k].y[i]);
        }
    return an_text_status(out);
}

static an_status csv_heat(void *ctx, const an_heat *h)
{
    an_text *out = csv_text(ctx, h->id, (int)(strrchr(h->id, '_') - h->id), "run,step,sub-layer,value\n");   /* without the number of the run */
    if (!out) return too_many();
    for (size_t i = 0; i < h->n_steps * h->n_rows; i++) {
        put_field(out, h->of);
        an_text_add(out, ",%" PRIu64 ",", h->step[i / h->n_rows]);
        put_field(out, h->row[i % h->n_rows]);
        an_text_add(out, ",");
        put_csv_number(out, h->value[i]);
    }
    return an_text_status(out);
}

an_status an_runs_csv(const an_runs *runs, const char *folder)
{
    csv *c = an_alloc(sizeof *c);
    if (!c) return an_fail(AN_ENOMEM, "csv: no memory");
    an_taker taker = { .ctx = c, .curves = csv_curves, .heat = csv_heat };
    an_status status = an_dir_create(folder);
    for (const an_report_section *s = an_report_sections; s->title && status == AN_OK; s++) status = s->give(runs, &taker);
    if (status == AN_OK) status = csv_write(c, folder);
    for (size_t i = 0; i < c->n; i++) an_text_fini(&c->file[i].text);
    free(c);
    return status;
}
