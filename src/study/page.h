/* study/page.h
 * A page of results: one self-contained HTML file with headings, paragraphs, tables that sort, line charts and heat maps, light and dark,
 * readable on a phone, without any request to a network. Charts are drawn by Chart.js through page.js, both embedded while building
 * (cmake/embed.cmake); without the library the page has their numbers as tables. All text is escaped here. */
#ifndef AN_STUDY_PAGE_H
#define AN_STUDY_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/option.h"
#include "core/text.h"

extern const unsigned char an_chart_js[], an_page_js[], an_page_css[];   /* each ends in 0; an empty an_chart_js: not embedded */

typedef struct an_page { an_text *out; size_t charts; } an_page;

/* refresh_ms > 0: the page asks its server for "body" so often and puts the answer in the place of what stands between begin and finish. */
void an_page_begin(an_page *page, an_text *out, const char *title, unsigned refresh_ms);
an_status an_page_finish(an_page *page) AN_MUST_USE;                              /* Errors: AN_ENOMEM, of all that was put */
an_status an_page_end(an_page *page, const an_options *options) AN_MUST_USE;      /* the same, after the configuration in force */

void an_page_title(an_page *page, const char *text);                              /* begin has put one */
void an_page_heading(an_page *page, const char *text);                            /* with an entry in the navigation */
void an_page_subheading(an_page *page, const char *text);
void an_page_paragraph(an_page *page, const char *text);
void an_page_note(an_page *page, const char *text);                               /* a paragraph in small, soft letters */
void an_page_code(an_page *page, const char *text);
void an_page_command(an_page *page, const char *text);                            /* with a button that copies it */
void an_page_link(an_page *page, const char *before, const char *text, const char *url);   /* a paragraph; url NULL: text alone */

/* What belongs together: side by side where there is room, two or three in a row; or behind a line that opens it. */
void an_page_group_begin(an_page *page, int columns);
void an_page_group_end(an_page *page);
void an_page_fold_begin(an_page *page, const char *id, const char *summary);
void an_page_fold_end(an_page *page);

/* A table: its column names, then row by row its cells. A click on a name sorts by it. */
void an_page_table_begin(an_page *page, const char *const *columns, size_t n);
void an_page_row(an_page *page, const char *const *cells, size_t n);
void an_page_table_end(an_page *page);

/* The same cell by cell. `choice` (or NULL): the label of a box by which only rows that differ are shown; checked: at first. */
typedef enum an_cell_kind { AN_CELL_NUMBER, AN_CELL_TEXT, AN_CELL_LONG, AN_CELL_GOOD, AN_CELL_BAD } an_cell_kind;
void an_page_choice_table(an_page *page, const char *id, const char *choice, bool checked, const char *const *columns, size_t n);
void an_page_row_begin(an_page *page, bool differs);
void an_page_cell(an_page *page, an_cell_kind kind, const char *text, const char *note);   /* note: below it in small letters; NULL or "": none */
void an_page_cell_number(an_page *page, double value, const char *text);                   /* shows `text`, sorts by value; not finite: empty */
void an_page_row_end(an_page *page);

enum { AN_COLOR_NEUTRAL = -1 };
typedef enum an_curve_style { AN_CURVE_LINE, AN_CURVE_DASHED, AN_CURVE_DOTS } an_curve_style;

typedef struct an_curve {
    const char *name;
    const double *x, *y;           /* [n]; NaN in y: a gap */
    const double *low, *high;      /* [n] what is shaded about it; NULL: nothing */
    size_t n;
    int color;                     /* number of the colour, or of the group; AN_COLOR_NEUTRAL: of a level to compare with */
    an_curve_style style;
} an_curve;

typedef struct an_chart {
    const char *id, *title, *note, *x_title, *y_title;   /* id: unique in the page, [a-z0-9_]; note NULL or "": none */
    const char *const *label;      /* the x axis has names, [n_labels]; every curve then has a y for each and no x */
    size_t n_labels;
    const an_curve *curve;
    size_t n_curves;
    const char *const *group;      /* what colours stand for where curves are many, [n_groups]; NULL: every curve is named */
    size_t n_groups;
    bool logarithmic;              /* y; values <= 0 are left out */
} an_chart;

/* Names x steps. */
typedef struct an_heat {
    const char *id, *title, *note, *of;                  /* of: which run, for readers of the numbers */
    const char *const *row;        /* [n_rows], the first at the bottom */
    const uint64_t *step;
    const double *value;           /* [n_steps, n_rows]; NaN: no colour */
    size_t n_rows, n_steps;
    double low, high;              /* ends of the colours */
    bool is_signed;                /* two colours about the middle */
} an_heat;

/* Long curves and many steps are thinned so that a page stays small: of each stretch the least and the largest value stay. */
void an_page_curves(an_page *page, const an_chart *chart);
void an_page_heat(an_page *page, const an_heat *heat);

/* Room for a chart: n labels, borrowed or made of numbers, and rows of n values for its lines. */
typedef struct an_sheet { const char **label; char (*text)[24]; double *y; size_t n; } an_sheet;
an_status an_sheet_open(an_sheet *sheet, size_t n, size_t rows) AN_MUST_USE;      /* Errors: AN_ENOMEM, and then to be closed as well */
void an_sheet_close(an_sheet *sheet);
void an_sheet_number(an_sheet *sheet, size_t i, uint64_t number);                 /* label i */

typedef struct an_series {
    const char *name;
    const double *y;                             /* NaN: no point */
    bool dashed;
} an_series;

/* Lines over shared labels, the short way. */
void an_page_chart(an_page *page, const char *title, const char *x_title, const char *const *labels, size_t n, const an_series *series, size_t n_series, bool logarithmic);

/* For numbers in cells and sentences: 4 digits, "" where it is not finite. Returned. */
char *an_page_number(char out[24], double value);

#endif
