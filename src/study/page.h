/* study/page.h
 * A page of results: one self-contained HTML file with headings, paragraphs, tables and line charts, light and dark,
 * readable on a phone, without any request to a network. Charts are drawn by Chart.js, which is embedded while building
 * (cmake/embed.cmake); without it the page has their numbers as tables. */
#ifndef AN_STUDY_PAGE_H
#define AN_STUDY_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/option.h"
#include "core/text.h"

extern const unsigned char an_chart_js[];        /* ends in 0; empty: not embedded */

typedef struct an_page { an_text *out; size_t charts; } an_page;

typedef struct an_series {
    const char *name;
    const double *y;                             /* NaN: no point */
    bool dashed;
} an_series;

void an_page_begin(an_page *page, an_text *out, const char *title);
an_status an_page_end(an_page *page, const an_options *options) AN_MUST_USE;   /* with the configuration in force. Errors: AN_ENOMEM, of all that was put */

void an_page_heading(an_page *page, const char *text);
void an_page_paragraph(an_page *page, const char *text);
void an_page_code(an_page *page, const char *text);

/* A table: its column names, then row by row its cells. Both are escaped. */
void an_page_table_begin(an_page *page, const char *const *columns, size_t n);
void an_page_row(an_page *page, const char *const *cells, size_t n);
void an_page_table_end(an_page *page);

/* Room for a chart: n labels, borrowed or made of numbers, and rows of n values for its lines. */
typedef struct an_sheet { const char **label; char (*text)[24]; double *y; size_t n; } an_sheet;
an_status an_sheet_open(an_sheet *sheet, size_t n, size_t rows) AN_MUST_USE;      /* Errors: AN_ENOMEM, and then to be closed as well */
void an_sheet_close(an_sheet *sheet);
void an_sheet_number(an_sheet *sheet, size_t i, uint64_t number);                 /* label i */

/* Lines over shared labels. logarithmic: powers of ten on the y axis, points <= 0 left out. */
void an_page_chart(an_page *page, const char *title, const char *x_title, const char *const *labels, size_t n, const an_series *series, size_t n_series, bool logarithmic);

#endif
