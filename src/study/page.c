/* study/page.c
 * The page's markup and its style. Colours are those of Okabe & Ito 2008, told apart by the colour-blind. */
#include "study/page.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"

static const char STYLE[] =
    ":root{--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--back:#fff;--band:#f6f8fa}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--back:#0d1117;--band:#161b22}}"
    "*{box-sizing:border-box}body{margin:0 auto;padding:1.2rem;max-width:64rem;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}p{margin:.5rem 0}"
    "pre{background:var(--band);padding:.7rem;overflow:auto;border-radius:6px}.wide{overflow-x:auto}"
    "table{border-collapse:collapse;font-size:.8rem;font-variant-numeric:tabular-nums}th,td{padding:.25rem .45rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}"
    "th:first-child,td:first-child{text-align:left}th{color:var(--soft);font-weight:600}tr:nth-child(even){background:var(--band)}"
    ".chart{position:relative;height:20rem;margin:1rem 0}figcaption{color:var(--soft)}";

static const char *const COLORS[] = { "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9" };

/* Text for an element or an attribute. */
static void put_safe(an_text *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<') an_text_add(out, "&lt;");
        else if (*text == '>') an_text_add(out, "&gt;");
        else if (*text == '&') an_text_add(out, "&amp;");
        else if (*text == '"') an_text_add(out, "&quot;");
        else an_text_put(out, text, 1);
    }
}

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

static void put_element(an_page *page, const char *name, const char *text)
{
    an_text_add(page->out, "<%s>", name);
    put_safe(page->out, text);
    an_text_add(page->out, "</%s>\n", name);
}

void an_page_begin(an_page *page, an_text *out, const char *title)
{
    *page = (an_page){ .out = out };
    an_text_add(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    put_safe(out, title);
    an_text_add(out, "</title>\n<style>%s</style>\n", STYLE);
    if (an_chart_js[0]) {
        an_text_add(out, "<script>");
        const char *library = (const char *)an_chart_js;
        an_text_put(out, library, strlen(library));
        an_text_add(out, "</script>\n<script>const css=n=>getComputedStyle(document.documentElement).getPropertyValue(n).trim();"
                         "Chart.defaults.color=css('--soft');Chart.defaults.borderColor=css('--line');Chart.defaults.animation=false;Chart.defaults.maintainAspectRatio=false;"
                         "Object.assign(Chart.defaults.plugins.legend.labels,{usePointStyle:true,pointStyle:'line',pointStyleWidth:36});"
                         "function draw(id,x,log,labels,sets){new Chart(document.getElementById(id),{type:'line',data:{labels:labels,datasets:sets.map(s=>({label:s[0],data:s[3].map(v=>log&&v<=0?null:v),"
                         "borderColor:s[1],backgroundColor:s[1],borderWidth:2,borderDash:s[2]?[6,4]:[],pointRadius:s[2]||labels.length>48?0:2,spanGaps:true}))},"
                         "options:{interaction:{mode:'index',intersect:false},scales:{x:{title:{display:true,text:x}},y:log?{type:'logarithmic',ticks:{callback:tick}}:{type:'linear'}}}})}\n"
                         /* powers of ten; 2 and 5 between them where there are few */
                         "function tick(v,i,all){const m=Math.round(v/10**Math.floor(Math.log10(v)+1e-9));"
                         "return m==1||(all.length<20&&(m==2||m==5))?(v<1e-3||v>=1e5?v.toExponential(0):+v.toPrecision(1)):null}</script>\n");
    }
    an_text_add(out, "</head><body>\n");
    put_element(page, "h1", title);
}

void an_page_heading(an_page *page, const char *text) { put_element(page, "h2", text); }
void an_page_paragraph(an_page *page, const char *text) { put_element(page, "p", text); }
void an_page_code(an_page *page, const char *text) { put_element(page, "pre", text); }

an_status an_page_end(an_page *page, const an_options *options)
{
    an_text yaml = { 0 };
    an_page_heading(page, "Configuration");
    an_options_yaml(options, &yaml);
    an_page_code(page, an_text_get(&yaml));
    an_text_add(page->out, "</body></html>\n");
    const an_status status = an_text_status(&yaml);
    an_text_fini(&yaml);
    return status == AN_OK ? an_text_status(page->out) : status;
}

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

void an_page_row(an_page *page, const char *const *cells, size_t n)
{
    an_text_add(page->out, "<tr>");
    for (size_t i = 0; i < n; i++) {
        an_text_add(page->out, "<td>");
        put_safe(page->out, cells[i]);
        an_text_add(page->out, "</td>");
    }
    an_text_add(page->out, "</tr>\n");
}

void an_page_table_begin(an_page *page, const char *const *columns, size_t n)
{
    an_text_add(page->out, "<div class=\"wide\"><table><thead><tr>");
    for (size_t i = 0; i < n; i++) {
        an_text_add(page->out, "<th>");
        put_safe(page->out, columns[i]);
        an_text_add(page->out, "</th>");
    }
    an_text_add(page->out, "</tr></thead><tbody>\n");
}

void an_page_table_end(an_page *page) { an_text_add(page->out, "</tbody></table></div>\n"); }

static void put_number(an_text *out, double y)
{
    if (isfinite(y)) an_text_add(out, "%.6g", y);
    else an_text_add(out, "null");
}

/* The numbers of a chart, where nothing can draw it. */
static void put_numbers(an_page *page, const char *const *labels, size_t n, const an_series *series, size_t n_series)
{
    an_text_add(page->out, "<div class=\"wide\"><table><thead><tr><th></th>");
    for (size_t k = 0; k < n_series; k++) put_element(page, "th", series[k].name);
    an_text_add(page->out, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        an_text_add(page->out, "<tr>");
        put_element(page, "td", labels[i]);
        for (size_t k = 0; k < n_series; k++) an_text_add(page->out, isfinite(series[k].y[i]) ? "<td>%.4g</td>" : "<td></td>", series[k].y[i]);
        an_text_add(page->out, "</tr>\n");
    }
    an_page_table_end(page);
}

void an_page_chart(an_page *page, const char *title, const char *x_title, const char *const *labels, size_t n, const an_series *series, size_t n_series, bool logarithmic)
{
    an_text *out = page->out;
    an_text_add(out, "<figure style=\"margin:1rem 0\">");
    put_element(page, "figcaption", title);
    if (!an_chart_js[0]) {
        put_numbers(page, labels, n, series, n_series);
        an_text_add(out, "</figure>\n");
        return;
    }
    an_text_add(out, "<div class=\"chart\"><canvas id=\"chart%zu\" role=\"img\" aria-label=\"", page->charts);
    put_safe(out, title);
    an_text_add(out, "\"></canvas></div></figure>\n<script>draw(\"chart%zu\",", page->charts);
    page->charts++;
    put_string(out, x_title);
    an_text_add(out, ",%s,[", logarithmic ? "true" : "false");
    for (size_t i = 0; i < n; i++) {
        if (i) an_text_add(out, ",");
        put_string(out, labels[i]);
    }
    an_text_add(out, "],[");
    for (size_t k = 0; k < n_series; k++) {
        an_text_add(out, "%s[", k ? "," : "");
        put_string(out, series[k].name);
        an_text_add(out, ",\"%s\",%d,[", COLORS[k % (sizeof COLORS / sizeof *COLORS)], series[k].dashed);
        for (size_t i = 0; i < n; i++) {
            if (i) an_text_add(out, ",");
            put_number(out, series[k].y[i]);
        }
        an_text_add(out, "]]");
    }
    an_text_add(out, "])</script>\n");
}
