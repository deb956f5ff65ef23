/* core/log.c
 * jansson builds the event, one write() appends it. Cutting back on resume reads the old log line by line and
 * rewrites it atomically, so a crash in between leaves the old log. */
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/file.h"
#include "core/text.h"

/* Whether a whole line (without its newline) belongs to the run up to keep_step. */
static int line_stays(const char *line, size_t length, int64_t keep_step)
{
    json_t *event = json_loadb(line, length, 0, NULL);
    if (!event) return 0;
    const json_t *step = json_object_get(event, "step");
    const int stays = !json_is_integer(step) || json_integer_value(step) <= keep_step;
    json_decref(event);
    return stays;
}

static an_status cut_back(const char *path, int64_t keep_step)
{
    char *old;
    size_t size;
    an_file_writer w;
    if (!an_path_exists(path)) return AN_OK;
    AN_TRY(an_file_read(path, &old, &size));
    an_status status = an_file_open(&w, path);
    for (const char *line = old, *end = old + size; status == AN_OK && line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        if (!stop) break;   /* a torn last line */
        if (line_stays(line, (size_t)(stop - line), keep_step)) status = an_file_append(&w, line, (size_t)(stop - line) + 1);
        line = stop + 1;
    }
    if (status == AN_OK) status = an_file_commit(&w);
    free(old);
    return status;
}

an_status an_log_open(an_logger *log, const char *path, int64_t keep_step)
{
    *log = an_log_none;
    if (keep_step >= 0) AN_TRY(cut_back(path, keep_step));
    char *copy = an_strdup(path);
    if (!copy) return an_fail(AN_ENOMEM, "%s: no memory", path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    const off_t end = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
    if (end < 0) {
        const int error = errno;
        if (fd >= 0) close(fd);
        free(copy);
        return an_fail(AN_EIO, "%s: cannot open: %s", path, strerror(error));
    }
    *log = (an_logger){ .fd = fd, .path = copy, .end = end };
    return AN_OK;
}

void an_log_close(an_logger *log)
{
    if (log->fd >= 0) close(log->fd);
    free(log->path);
    json_decref(log->event);
    *log = an_log_none;
}

/* Takes `value`, always: jansson drops it where it fails. A value that could not be made turns the whole event into a failure, told by an_log_end. */
static void put(an_logger *log, const char *key, json_t *value)
{
    if (json_object_set_new(log->event, key, value) == 0) return;
    json_decref(log->event);
    log->event = NULL;
}

void an_log_begin(an_logger *log, const char *event)
{
    if (log->fd < 0) return;
    json_decref(log->event);
    log->event = json_object();
    put(log, "event", json_string(event));
}

/* What is not UTF-8, as a file's name may be, with \xNN for those bytes. */
static json_t *string_of(const char *value)
{
    json_t *whole = json_string(value);
    an_text safe = { 0 };
    if (whole || !value) return whole;
    an_text_put_safe(&safe, value, strlen(value));
    whole = safe.failed ? NULL : json_string(an_text_get(&safe));
    an_text_fini(&safe);
    return whole;
}

/* Takes `item`, as put does; a list that lacks one is none. */
static void append_to(json_t **list, json_t *item)
{
    if (json_array_append_new(*list, item) == 0) return;
    json_decref(*list);
    *list = NULL;
}

void an_log_int(an_logger *log, const char *key, int64_t value) { if (log->fd >= 0) put(log, key, json_integer(value)); }
void an_log_text(an_logger *log, const char *key, const char *value) { if (log->fd >= 0) put(log, key, string_of(value)); }
void an_log_bool(an_logger *log, const char *key, int value) { if (log->fd >= 0) put(log, key, json_boolean(value)); }

void an_log_real(an_logger *log, const char *key, double value)
{
    if (log->fd < 0) return;
    put(log, key, isfinite(value) ? json_real(value) : json_string(isnan(value) ? "nan" : value > 0 ? "inf" : "-inf"));
}

void an_log_texts(an_logger *log, const char *key, size_t n, const char *const *values)
{
    if (log->fd < 0) return;
    json_t *list = json_array();
    for (size_t i = 0; i < n && list; i++) append_to(&list, string_of(values[i]));
    put(log, key, list);
}

void an_log_reals(an_logger *log, const char *key, size_t n, const double *values)
{
    if (log->fd < 0) return;
    json_t *list = json_array();
    for (size_t i = 0; i < n && list; i++) {
        char text[32];
        snprintf(text, sizeof text, "%.6g", values[i]);
        append_to(&list, isfinite(values[i]) ? json_real(strtod(text, NULL)) : json_null());
    }
    put(log, key, list);
}

/* 0 or an errno, and the log ends in a whole line; while it does not, nothing is appended. */
static int append(an_logger *log, const char *line, size_t size)
{
    if (log->torn && ftruncate(log->fd, log->end) != 0) return errno;
    log->torn = 0;
    if (an_file_write_all(log->fd, line, size) == 0) {
        log->end += (int64_t)size;
        return 0;
    }
    const int error = errno;
    log->torn = ftruncate(log->fd, log->end) != 0;
    return error;
}

an_status an_log_end(an_logger *log)
{
    if (log->fd < 0) return AN_OK;
    char *line = log->event ? json_dumps(log->event, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(log->event);
    log->event = NULL;
    if (!line) return an_fail(AN_ENOMEM, "%s: no memory for an event", log->path);
    const size_t n = strlen(line);
    line[n] = '\n';   /* in place of the NUL: the line and its end go out in one write */
    const int error = append(log, line, n + 1);
    free(line);
    return error ? an_fail(AN_EIO, "%s: cannot append: %s", log->path, strerror(error)) : AN_OK;
}
