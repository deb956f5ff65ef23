/* study/record.h
 * A run folder as numbers: RUN/config.yaml and RUN/log.jsonl read into memory, in the structs that wrote them (train/events.h), so
 * that reports, verdicts and indexes read runs in one way. A log may be cut off, damaged or still growing: lines that cannot be
 * what the trainer writes are skipped and counted, and an_record_follow reads on from where the last reading ended. */
#ifndef AN_STUDY_RECORD_H
#define AN_STUDY_RECORD_H

#include <stdbool.h>
#include <sys/types.h>

#include "core/arena.h"
#include "train/config.h"
#include "train/events.h"

typedef enum an_record_state {
    AN_RECORD_RUNNING,             /* no end is logged and a process trains into the folder */
    AN_RECORD_FINISHED,
    AN_RECORD_INTERRUPTED,         /* stopped by a signal: --resume goes on */
    AN_RECORD_KILLED,              /* no end is logged and nobody trains: likewise */
    AN_RECORD_DIVERGED,
    AN_RECORD_FAILED,              /* a full disk and the like */
    AN_RECORD_STATES
} an_record_state;
const char *an_record_state_name(an_record_state state);     /* "running", "finished", ... */

/* Telemetry lines of one kind: those with the same event, names and numbers. */
typedef struct an_record_table {
    const char *family;            /* "ledger", "norm", "attention", "updates", ...: the line's event */
    const char **name, **metric;   /* [n_names] "layers.0.attn"; [n_metrics] "g_in", in the order of the log */
    size_t n_names, n_metrics, n_looks;
    uint64_t *step;                /* [n_looks], rising */
    double *value;                 /* [n_looks, n_metrics, n_names]; NaN where the log has null */
} an_record_table;

typedef struct an_record_setting { const char *key, *by; } an_record_setting;   /* "lr", "--lr"; "norm@0-3", "config.yaml:4" */

/* Lists are empty where the run has none of that kind. Strings live as long as the record. */
typedef struct an_record {
    char *run;                     /* the folder as it was given */
    const char *name;              /* the last part of its real path */
    an_options *options;           /* the resolved configuration, bound to `config` */
    an_train_config config;
    an_record_setting *setting;    /* [n_settings], who set what is no default; empty in logs of before 0.3 */
    size_t n_settings;
    char version[24];              /* of the program that began it */
    const char *began, *ended;     /* "2026-01-31T12:00:00Z"; "" when not known */
    an_event_start start;          /* of the newest session; .model and .options NULL */
    size_t sessions;               /* 1 + how often it was resumed */
    an_event_step *step;           /* [n_steps] logged ones, steps rising; what a line lacks is NaN */
    an_event_eval *eval;           /* [n_evals] likewise */
    an_event_spike *spike;
    an_event_checkpoint *checkpoint;
    an_event_sample *sample;
    size_t n_steps, n_evals, n_spikes, n_checkpoints, n_samples;
    an_event_end end;              /* of the newest session that ended; zeros before */
    uint64_t peak_memory;
    an_record_table *table;        /* telemetry, unless it was left out */
    size_t n_tables;
    an_record_state state;
    size_t damaged, first_damaged; /* lines skipped; number of the first, from 1 */
    bool torn;                     /* the last line has no end: the run was killed while writing it, or writes it now */
    bool telemetry;                /* whether tables are read */
    size_t lines;                  /* of the log, read so far */
    off_t offset;                  /* behind the last whole line */
    an_arena arena;
} an_record;

/* Reads RUN. Without `telemetry` its lines are passed by unread, which is much faster for many runs. Errors: AN_EDATA for what is no run
 * folder, AN_EFORMAT for a configuration that this version cannot read and for a run of a newer one, AN_ENOMEM. */
an_status an_record_read(an_record **out, const char *run, bool telemetry) AN_MUST_USE;
void an_record_destroy(an_record **record);

/* Takes what was appended since. *fresh (may be NULL): whether anything was. Errors: AN_EDATA when the log is gone or shorter than it was
 * (the run was resumed from earlier: read it anew). */
an_status an_record_follow(an_record *record, bool *fresh) AN_MUST_USE;

bool an_is_run_folder(const char *path);                     /* has a log.jsonl and a config.yaml */

/* The table of that kind that has this number, newest names first; NULL: none. *metric is the number's place in it. */
const an_record_table *an_record_find(const an_record *record, const char *family, const char *metric, size_t *at);
double an_record_value(const an_record_table *table, size_t look, size_t metric, size_t name);

const an_event_eval *an_record_last_eval(const an_record *record);                  /* NULL: never evaluated */
typedef struct an_tail { double loss, accuracy; } an_tail;
an_tail an_record_tail(const an_record *record);                                    /* means of the logged steps among the last AN_TAIL_STEPS; NaN: none, or of text no accuracy */
const char *an_record_source(const an_record *record, const char *key);             /* who set it; "default" */

/* record_table.c: one telemetry line, a json_t. 1: taken, 0: damaged, -1: no memory. */
int an__record_take_table(an_record *record, const char *event, const void *line);

/* A list with room for one more element of `bytes`, which grows at powers of two; NULL: no memory, the list is as it was. */
void *an__record_room(void *list, size_t n, size_t bytes);

#endif
