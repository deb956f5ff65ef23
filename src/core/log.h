/* core/log.h
 * log.jsonl: one JSON object per line and event, in one write each, so a reader or a crash never sees half an event
 * that a later event follows: what a full disk has cut short is taken off again. Resuming cuts off events after the step it resumes from and a torn last line. */
#ifndef AN_CORE_LOG_H
#define AN_CORE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

typedef struct an_logger {
    int fd;
    char *path;
    void *event;          /* a jansson object between begin and end */
    int64_t end;          /* of the last whole line, in bytes */
    int torn;             /* something follows it that could not be taken off yet */
} an_logger;

/* Opens for appending. keep_step >= 0: first drops every event whose "step" is above it (the run is being resumed there). */
an_status an_log_open(an_logger *log, const char *path, int64_t keep_step) AN_MUST_USE;
void an_log_close(an_logger *log);

/* One event: begin, fields, end. Keys keep their order. Non-finite numbers are written as the strings "nan", "inf", "-inf", bytes of a
 * text that are not UTF-8 as \xNN. A log that was never opened (fd < 0 or zeroed with an_log_none) swallows all. an_log_end reports what went wrong since begin. */
void an_log_begin(an_logger *log, const char *event);                   /* "step", "eval", "checkpoint", ...: the key "event" */
void an_log_int(an_logger *log, const char *key, int64_t value);
void an_log_real(an_logger *log, const char *key, double value);
void an_log_text(an_logger *log, const char *key, const char *value);
void an_log_texts(an_logger *log, const char *key, size_t n, const char *const *values);
void an_log_reals(an_logger *log, const char *key, size_t n, const double *values);   /* 6 digits each; what is not finite: null */
void an_log_bool(an_logger *log, const char *key, int value);
an_status an_log_end(an_logger *log) AN_MUST_USE;

#define an_log_none ((an_logger){ .fd = -1 })

#endif
