/* study/page.h
 * A page of results: one self-contained HTML file with headings, paragraphs, tables and line charts, light and dark,
 * readable on a phone, without any request to a network. Charts are drawn by Chart.js, which is embedded while building
 * (cmake/embed.cmake); without it the page has their numbers as tables. */
#ifndef AN_STUDY_PAGE_H
#define AN_STUDY_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text.h"

extern const unsigned char an_chart_js[];        /* ends in 0; empty: not embedded */

typedef struct an_page { an_text *out; size_t charts; } an_page;

typedef struct an_series {
    const char *name;
    const double *y;                             /* NaN: no point */
    bool dashed;
} an_series;

void an_page_begin(an_page *page, an_text *out, const char *title);
void an_page_end(an_page *page);

void an_page_heading(an_page *page, const char *text);
void an_page_paragraph(an_page *page, const char *text);
void an_page_code(an_page *page, const char *text);

/* A table: begin with its column names, then cells row by row; a row ends by itself. Cells are escaped. */
void an_page_table_begin(an_page *page, const char *const *columns, size_t n);
void an_page_row(an_page *page, const char *const *cells, size_t n);
void an_page_table_end(an_page *page);

/* Lines over shared labels. logarithmic: powers of ten on the y axis, points <= 0 left out. */
void an_page_chart(an_page *page, const char *title, const char *x_title, const char *const *labels, size_t n, const an_series *series, size_t n_series, bool logarithmic);

#endif
