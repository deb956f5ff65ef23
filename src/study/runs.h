/* study/runs.h
 * Run folders side by side: what a report is about, and the report as a page and as tables of numbers. A folder of runs or of a study
 * (FOLDER/cells/NAME) stands for all runs in it. docs/report.md says what the page shows. */
#ifndef AN_STUDY_RUNS_H
#define AN_STUDY_RUNS_H

#include <jansson.h>

#include "study/record.h"

enum { AN_RUNS_SIDE_BY_SIDE = 12 };      /* up to so many runs are shown one by one; more: by groups, without their telemetry */

/* A key that some run uses: a row of the option table, or an override ("norm@0-3.mlp"). */
typedef struct an_runs_key { const char *key; const an_option *row; bool differs; } an_runs_key;

typedef struct an_runs {
    an_record **record;            /* [n] */
    const char **name;             /* [n] the folder's, or the path where two have the same */
    size_t *set;                   /* [n] number of the set: runs of one configuration, each with a seed of its own */
    const char **set_name;         /* what tells it from the others, "design=pre-ln, warmup=0" */
    size_t n_sets;
    size_t *group;                 /* [n] number of the colour: the run's own, or of its value of the key that groups */
    size_t n;
    an_runs_key *key;
    size_t n_keys;
    const an_runs_key *grouped_by; /* where runs are many: the first key that differs, design and norm before others, seeds last; else NULL */
    const char **group_name;
    size_t n_groups;
    json_t *study;                 /* STUDY/study.json as it is; NULL: none */
    const char *folder;            /* of the only argument when it stands for several runs; else NULL */
    size_t unread;                 /* runs of a folder that could not be read, and why the first could not */
    char why[256];
    an_arena arena;
} an_runs;

/* Errors: of an_record_read for a run that is named itself; AN_EDATA for a folder without runs; AN_ENOMEM. *runs is to be closed either way. */
an_status an_runs_open(an_runs *runs, const char *const *path, size_t n) AN_MUST_USE;
void an_runs_close(an_runs *runs);
const char *an_runs_text(const an_runs *runs, size_t run, const an_runs_key *key);   /* the value there; "" where it is not in use */

an_status an_runs_page(const an_runs *runs, unsigned refresh_ms, an_text *out) AN_MUST_USE;   /* refresh_ms: study/page.h */
an_status an_runs_body(const an_runs *runs, an_text *out) AN_MUST_USE;                         /* what such a page asks for */

/* FOLDER/CHART.csv for every chart of the page, not thinned: run, x, value; of heat maps run, step, name, value. Errors: AN_EIO, AN_ENOMEM. */
an_status an_runs_csv(const an_runs *runs, const char *folder) AN_MUST_USE;

/* Every key but `out` that has not its default, set by `least` or what stands above it, as a flag, a line each. */
void an_command_flags(const an_options *options, an_source least, an_text *out);

/* The command that makes this run again, from any folder that its data can be found from. */
void an_runs_command(const an_record *record, an_text *out);

/* RUN/report.html of one run, as it stands. */
an_status an_run_report(const char *run) AN_MUST_USE;

#endif
