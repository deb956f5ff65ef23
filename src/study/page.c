/* study/page.c
 * The page's markup. What a browser does with it is page.js, how it looks page.css. The policy in its head forbids every request
 * but those of a live page to its own server, whatever a run's texts may contain. */
#include "study/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"

/* Text for an element or an attribute. */
static void put_safe(an_text *out, const char *text)
{
    for (const char *from = text;; text++) {
        const char *entity = *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '&' ? "&amp;" : *text == '"' ? "&quot;" : NULL;
        if (*text && !entity) continue;
        an_text_put(out, from, (size_t)(text - from));
        if (!*text) return;
        an_text_add(out, "%s", entity);
        from = text + 1;
    }
}

static void put_element(an_page *page, const char *name, const char *text)
{
    an_text_add(page->out, "<%s>", name);
    put_safe(page->out, text);
    an_text_add(page->out, "</%.*s>\n", (int)strcspn(name, " "), name);
}

static void put_asset(an_text *out, const char *element, const unsigned char *bytes)
{
    const char *text = (const char *)bytes;
    an_text_add(out, "<%s>", element);
    an_text_put(out, text, strlen(text));
    an_text_add(out, "</%s>\n", element);
}

void an_page_begin(an_page *page, an_text *out, const char *title, unsigned refresh_ms)
{
    *page = (an_page){ .out = out };
    an_text_add(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; connect-src %s\">\n<title>",
                refresh_ms ? "'self'" : "'none'");
    put_safe(out, title);
    an_text_add(out, "</title>\n<link rel=\"icon\" href=\"data:,\">\n"
                     "<script>document.documentElement.dataset.theme=matchMedia('(prefers-color-scheme: dark)').matches?'dark':'light'</script>\n");
    put_asset(out, "style", an_page_css);
    if (an_chart_js[0]) put_asset(out, "script", an_chart_js);
    an_text_add(out, "</head><body");
    if (refresh_ms) an_text_add(out, " data-live=\"%u\"", refresh_ms);
    an_text_add(out, ">\n<nav aria-label=\"sections\"><button type=\"button\" id=\"theme\" aria-label=\"light or dark\">dark</button></nav>\n<main>\n");
    an_page_title(page, title);
}

an_status an_page_finish(an_page *page)
{
    an_text_add(page->out, "</main>\n<div id=\"gone\" role=\"status\" hidden>No answer: the run has ended or was stopped. Its last report is report.html in the run folder.</div>\n");
    put_asset(page->out, "script", an_page_js);
    an_text_add(page->out, "</body></html>\n");
    return an_text_status(page->out);
}

an_status an_page_end(an_page *page, const an_options *options)
{
    an_text yaml = { 0 };
    an_page_heading(page, "Configuration");
    an_options_yaml(options, &yaml);
    an_page_code(page, an_text_get(&yaml));
    const an_status status = an_text_status(&yaml);
    an_text_fini(&yaml);
    return status == AN_OK ? an_page_finish(page) : status;
}

void an_page_title(an_page *page, const char *text) { put_element(page, "h1", text); }
void an_page_heading(an_page *page, const char *text) { put_element(page, "h2", text); }
void an_page_subheading(an_page *page, const char *text) { put_element(page, "h3", text); }
void an_page_paragraph(an_page *page, const char *text) { put_element(page, "p", text); }
void an_page_note(an_page *page, const char *text) { put_element(page, "p class=\"note\"", text); }
void an_page_code(an_page *page, const char *text) { put_element(page, "pre", text); }

void an_page_command(an_page *page, const char *text)
{
    an_text_add(page->out, "<div class=\"copy\">");
    put_element(page, "pre", text);
    an_text_add(page->out, "</div>\n");
}

void an_page_link(an_page *page, const char *before, const char *text, const char *url)
{
    an_text_add(page->out, "<p>");
    put_safe(page->out, before);
    if (url) {
        an_text_add(page->out, "<a rel=\"noreferrer\" href=\"");
        put_safe(page->out, url);
        an_text_add(page->out, "\">");
    }
    put_safe(page->out, text);
    an_text_add(page->out, url ? "</a></p>\n" : "</p>\n");
}

void an_page_group_begin(an_page *page, int columns) { an_text_add(page->out, "<div class=\"grid%s\">\n", columns > 2 ? " three" : ""); }
void an_page_group_end(an_page *page) { an_text_add(page->out, "</div>\n"); }

void an_page_fold_begin(an_page *page, const char *id, const char *summary)
{
    an_text_add(page->out, "<details id=\"");
    put_safe(page->out, id);
    an_text_add(page->out, "\">");
    put_element(page, "summary", summary);
}

void an_page_fold_end(an_page *page) { an_text_add(page->out, "</details>\n"); }

/* ---- tables ---- */

void an_page_table_begin(an_page *page, const char *const *columns, size_t n)
{
    an_text_add(page->out, "<div class=\"wide\" tabindex=\"0\"><table><thead><tr>");
    for (size_t i = 0; i < n; i++) put_element(page, "th", columns[i]);
    an_text_add(page->out, "</tr></thead><tbody>\n");
}

void an_page_choice_table(an_page *page, const char *id, const char *choice, bool checked, const char *const *columns, size_t n)
{
    if (choice) {
        an_text_add(page->out, "<p><label><input type=\"checkbox\" id=\"%s_only\" data-only=\"%s\"%s> ", id, id, checked ? " checked" : "");
        put_safe(page->out, choice);
        an_text_add(page->out, "</label></p>\n");
    }
    an_text_add(page->out, "<div id=\"%s\">", id);
    an_page_table_begin(page, columns, n);
}

void an_page_row_begin(an_page *page, bool differs) { an_text_add(page->out, differs ? "<tr class=\"differs\">" : "<tr>"); }
void an_page_row_end(an_page *page) { an_text_add(page->out, "</tr>\n"); }

void an_page_cell(an_page *page, an_cell_kind kind, const char *text, const char *note)
{
    static const char *const CLASS[] = { "", " class=\"text\"", " class=\"long\"", " class=\"text good\"", " class=\"text bad\"" };
    an_text_add(page->out, "<td%s>", CLASS[kind]);
    put_safe(page->out, text);
    if (note && *note) {
        an_text_add(page->out, "<small>");
        put_safe(page->out, note);
        an_text_add(page->out, "</small>");
    }
    an_text_add(page->out, "</td>");
}

void an_page_cell_number(an_page *page, double value, const char *text)
{
    if (!isfinite(value)) an_text_add(page->out, "<td></td>");
    else {
        an_text_add(page->out, "<td data-v=\"%.9g\">", value);
        put_safe(page->out, text);
        an_text_add(page->out, "</td>");
    }
}

void an_page_row(an_page *page, const char *const *cells, size_t n)
{
    an_page_row_begin(page, false);
    for (size_t i = 0; i < n; i++) an_page_cell(page, AN_CELL_NUMBER, cells[i], NULL);
    an_page_row_end(page);
}

void an_page_table_end(an_page *page) { an_text_add(page->out, "</tbody></table></div>\n"); }

char *an_page_number(char out[24], double value)
{
    if (isfinite(value)) snprintf(out, 24, "%.4g", value);
    else out[0] = '\0';
    return out;
}

/* ---- what goes beside a chart as JSON ---- */

/* A string of a script, which no "</" in it may end. */
static void put_string(an_text *out, const char *text)
{
    an_text_add(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') an_text_add(out, "\\%c", *text);
        else if (*text == '<' || (unsigned char)*text < ' ') an_text_add(out, "\\u%04x", (unsigned)*text);
        else an_text_put(out, text, 1);
    }
    an_text_add(out, "\"");
}

static void put_strings(an_text *out, const char *const *texts, size_t n)
{
    an_text_add(out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i) an_text_add(out, ",");
        put_string(out, texts[i]);
    }
    an_text_add(out, "]");
}

static void put_number(an_text *out, double y)
{
    if (!isfinite(y)) an_text_add(out, "null");
    else if (y == floor(y) && fabs(y) < 1e15) an_text_add(out, "%.0f", y);
    else an_text_add(out, "%.5g", y);
}

static void put_figure(an_page *page, const char *id, const char *classes, const char *title, const char *note)
{
    an_text *out = page->out;
    an_text_add(out, "<figure class=\"%s\" id=\"%s\"><figcaption>", classes, id);
    put_safe(out, title);
    if (note && *note) put_element(page, "small", note);
    an_text_add(out, "</figcaption>\n");
    if (!an_chart_js[0]) return;
    an_text_add(out, "<div class=\"plot\"><canvas role=\"img\" aria-label=\"");
    put_safe(out, title);
    an_text_add(out, "\"></canvas></div>\n");
    page->charts++;
}

/* ---- lines ---- */

enum { MOST_POINTS = 12000, LEAST_A_CURVE = 36, MOST_A_CURVE = 800 };

/* Places of a curve that stay, rising; of each stretch the least, the largest, and one gap. */
static size_t thin(const an_curve *c, size_t most, size_t *keep)
{
    size_t n = 0, stretches = most / 3;
    if (c->n <= most) {
        for (; n < c->n; n++) keep[n] = n;
        return n;
    }
    for (size_t s = 0; s < stretches; s++) {
        const size_t first = s * c->n / stretches, end = (s + 1) * c->n / stretches;
        size_t at[3] = { end, end, end };                    /* least, largest, gap */
        for (size_t i = first; i < end; i++) {
            if (isnan(c->y[i])) { at[2] = i; continue; }
            if (at[0] == end || c->y[i] < c->y[at[0]]) at[0] = i;
            if (at[1] == end || c->y[i] > c->y[at[1]]) at[1] = i;
        }
        for (size_t i = first; i < end; i++)
            if (i == at[0] || i == at[1] || i == at[2] || (s == 0 && i == 0) || (s + 1 == stretches && i + 1 == c->n)) keep[n++] = i;
    }
    return n;
}

static size_t points_a_curve(const an_chart *chart)
{
    const size_t even = MOST_POINTS / (chart->n_curves ? chart->n_curves : 1);
    return even < LEAST_A_CURVE ? LEAST_A_CURVE : even > MOST_A_CURVE ? MOST_A_CURVE : even;
}

/* The values that stay; keep NULL: all. */
static void put_values(an_text *out, const double *v, const size_t *keep, size_t n)
{
    an_text_add(out, "[");
    for (size_t i = 0; i < n; i++) {
        if (i) an_text_add(out, ",");
        put_number(out, v[keep ? keep[i] : i]);
    }
    an_text_add(out, "]");
}

/* [name, color, style, x, y], and of a shaded one low and high; x is null where it is that of the curve before. */
static void put_curve(an_text *out, const an_chart *chart, const an_curve *c, const an_curve *before)
{
    static const char *const STYLE[] = { "", "dash", "dots" };
    size_t keep[MOST_A_CURVE + 2];
    const size_t n = chart->label ? chart->n_labels : thin(c, points_a_curve(chart), keep);
    const bool whole = !chart->label && n == c->n, same = chart->label || (whole && before && before->n == c->n && memcmp(before->x, c->x, n * sizeof *c->x) == 0);
    an_text_add(out, "[");
    put_string(out, c->name);
    const size_t *kept = chart->label ? NULL : keep;
    an_text_add(out, ",%d,\"%s\",%s", c->color, STYLE[c->style], same ? "null" : "");
    if (!same) put_values(out, c->x, kept, n);
    const double *const rows[] = { c->y, c->low, c->high };
    for (size_t i = 0; i < (c->low ? 3 : 1); i++) {
        an_text_add(out, ",");
        put_values(out, rows[i], kept, n);
    }
    an_text_add(out, "]");
}

/* Where nothing can draw: every number of a chart with labels, of others where each curve begins, ends and has been. */
static void put_numbers(an_page *page, const an_chart *chart)
{
    static const char *const COLUMNS[] = { "", "points", "first", "last", "least", "largest" };
    char text[24];
    an_text_add(page->out, "<div class=\"wide\"><table><thead><tr>");
    if (chart->label) put_element(page, "th", chart->x_title);
    for (size_t k = 0; chart->label && k < chart->n_curves; k++) put_element(page, "th", chart->curve[k].name);
    for (size_t k = 0; !chart->label && k < sizeof COLUMNS / sizeof *COLUMNS; k++) put_element(page, "th", COLUMNS[k]);
    an_text_add(page->out, "</tr></thead><tbody>\n");
    for (size_t i = 0; chart->label && i < chart->n_labels; i++) {
        an_text_add(page->out, "<tr>");
        put_element(page, "td", chart->label[i]);
        for (size_t k = 0; k < chart->n_curves; k++) put_element(page, "td", an_page_number(text, chart->curve[k].y[i]));
        an_text_add(page->out, "</tr>\n");
    }
    for (size_t k = 0; !chart->label && k < chart->n_curves; k++) {
        const an_curve *c = &chart->curve[k];
        double ends[4] = { c->n ? c->y[0] : NAN, c->n ? c->y[c->n - 1] : NAN, NAN, NAN };
        for (size_t i = 0; i < c->n; i++) {
            ends[2] = fmin(ends[2], c->y[i]);
            ends[3] = fmax(ends[3], c->y[i]);
        }
        an_text_add(page->out, "<tr>");
        put_element(page, "td", c->name);
        an_text_add(page->out, "<td>%zu</td>", c->n);
        for (size_t i = 0; i < 4; i++) put_element(page, "td", an_page_number(text, ends[i]));
        an_text_add(page->out, "</tr>\n");
    }
    an_page_table_end(page);
}

void an_page_curves(an_page *page, const an_chart *chart)
{
    an_text *out = page->out;
    put_figure(page, chart->id, "chart", chart->title, chart->note);
    if (!an_chart_js[0]) put_numbers(page, chart);
    else {
        an_text_add(out, "<script type=\"application/json\">{\"x\":");
        put_string(out, chart->x_title);
        an_text_add(out, ",\"y\":");
        put_string(out, chart->y_title ? chart->y_title : "");
        an_text_add(out, ",\"log\":%s", chart->logarithmic ? "true" : "false");
        if (chart->label) an_text_add(out, ",\"labels\":"), put_strings(out, chart->label, chart->n_labels);
        if (chart->group) an_text_add(out, ",\"groups\":"), put_strings(out, chart->group, chart->n_groups);
        an_text_add(out, ",\"sets\":[");
        for (size_t k = 0; k < chart->n_curves; k++) {
            if (k) an_text_add(out, ",\n");
            put_curve(out, chart, &chart->curve[k], k ? &chart->curve[k - 1] : NULL);
        }
        an_text_add(out, "]}</script>");
    }
    an_text_add(out, "</figure>\n");
}

/* ---- heat maps ---- */

enum { MOST_STEPS = 150 };

/* Where nothing can draw: first and last step. */
static void put_cells(an_page *page, const an_heat *h)
{
    char text[2][24];
    const char *const columns[] = { "", "first", "last" };
    an_page_table_begin(page, columns, 3);
    for (size_t i = 0; i < h->n_rows && h->n_steps; i++) {
        const char *cells[] = { h->row[i], an_page_number(text[0], h->value[i]), an_page_number(text[1], h->value[(h->n_steps - 1) * h->n_rows + i]) };
        an_page_row(page, cells, 3);
    }
    an_page_table_end(page);
}

void an_page_heat(an_page *page, const an_heat *h)
{
    an_text *out = page->out;
    const size_t n = h->n_steps < MOST_STEPS ? h->n_steps : MOST_STEPS;
    char low[24], high[24];
    put_figure(page, h->id, "chart heat", h->title, h->note);
    if (!an_chart_js[0]) put_cells(page, h);
    else {
        an_text_add(out, "<div class=\"scale\">%s<i></i>%s</div><script type=\"application/json\">{\"signed\":%s,\"low\":%.9g,\"high\":%.9g,\"rows\":", an_page_number(low, h->low), an_page_number(high, h->high),
                    h->is_signed ? "true" : "false", h->low, h->high);
        put_strings(out, h->row, h->n_rows);
        an_text_add(out, ",\"steps\":[");
        for (size_t i = 0; i < n; i++) an_text_add(out, "%s%" PRIu64, i ? "," : "", h->step[n > 1 ? i * (h->n_steps - 1) / (n - 1) : 0]);
        an_text_add(out, "],\"v\":[");
        for (size_t i = 0; i < n * h->n_rows; i++) {
            const double v = h->value[(n > 1 ? i / h->n_rows * (h->n_steps - 1) / (n - 1) : 0) * h->n_rows + i % h->n_rows];
            if (i) an_text_add(out, ",");
            if (isfinite(v)) an_text_add(out, "%.3g", v);
            else an_text_add(out, "null");
        }
        an_text_add(out, "]}</script>");
    }
    an_text_add(out, "</figure>\n");
}

/* ---- the short way ---- */

an_status an_sheet_open(an_sheet *s, size_t n, size_t rows)
{
    *s = (an_sheet){ an_alloc(n * sizeof *s->label), an_alloc(n * sizeof *s->text), an_alloc(rows * n * sizeof *s->y), n };
    return s->label && s->text && s->y ? AN_OK : an_fail(AN_ENOMEM, "page: no memory for a chart");
}

void an_sheet_close(an_sheet *s)
{
    free(s->label);
    free(s->text);
    free(s->y);
}

void an_sheet_number(an_sheet *s, size_t i, uint64_t number)
{
    snprintf(s->text[i], sizeof s->text[i], "%" PRIu64, number);
    s->label[i] = s->text[i];
}

enum { MOST_SERIES = 8 };

void an_page_chart(an_page *page, const char *title, const char *x_title, const char *const *labels, size_t n, const an_series *series, size_t n_series, bool logarithmic)
{
    an_curve curve[MOST_SERIES];
    char id[24];
    snprintf(id, sizeof id, "chart%zu", page->charts);
    for (size_t k = 0; k < n_series && k < MOST_SERIES; k++)
        curve[k] = (an_curve){ .name = series[k].name, .y = series[k].y, .n = n, .color = (int)k, .style = series[k].dashed ? AN_CURVE_DASHED : AN_CURVE_LINE };
    an_page_curves(page, &(an_chart){ .id = id, .title = title, .x_title = x_title, .label = labels, .n_labels = n, .curve = curve, .n_curves = n_series < MOST_SERIES ? n_series : MOST_SERIES,
                                      .logarithmic = logarithmic });
}
