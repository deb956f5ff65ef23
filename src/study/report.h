/* study/report.h
 * What the report_*.c files share; nobody else includes it. Charts are made once and go to whoever takes them: the page, or a folder of CSV. */
#ifndef AN_STUDY_REPORT_H
#define AN_STUDY_REPORT_H

#include "study/page.h"
#include "study/runs.h"

typedef struct an_taker {
    void *ctx;
    an_status (*curves)(void *ctx, const an_chart *chart);
    an_status (*heat)(void *ctx, const an_heat *heat);
    an_status (*group)(void *ctx, int columns);                   /* charts that belong together follow; 0: their end. NULL: does not care */
    bool means;                                                   /* wants runs that differ by their seed as one curve */
    size_t taken;
} an_taker;

/* A section of charts; it gives only those that have something to show. */
typedef struct an_report_section {
    const char *title, *missing;                                   /* missing: what would have recorded it */
    an_status (*give)(const an_runs *runs, an_taker *taker);
    bool telemetry;                                                /* from tables that are not read of very many runs */
} an_report_section;
extern const an_report_section an_report_sections[];               /* ends with title NULL */

/* report_config.c */
void an__report_configuration(const an_runs *runs, an_page *page);
void an__report_commands(const an_runs *runs, an_page *page);
void an__report_papers(const an_runs *runs, an_page *page);

/* report_tables.c */
void an__report_summary(const an_runs *runs, an_page *page);
void an__report_study(const json_t *study, an_page *page);
void an__report_spikes(const an_runs *runs, an_page *page);
void an__report_samples(const an_runs *runs, an_page *page);

#endif
