/* study/record.c
 * Whole lines only, each by a function for its event. What could not have been written by the trainer is damage: no JSON, wrong types,
 * steps that do not rise. It is counted and passed by, so that one bad sector costs one line. Unknown events are not damage: they
 * are what other versions write. */
#include "study/record.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"
#include "study/statistics.h"
#include "train/checkpoint.h"
#include "train/telemetry.h"

typedef enum taken { NO_MEMORY = -1, DAMAGED, TAKEN } taken;

static const json_int_t MOST = (json_int_t)1 << 53;   /* the largest count that a double and a page hold exactly */

const char *an_record_state_name(an_record_state state)
{
    static const char *const NAMES[AN_RECORD_STATES] = { "running", "finished", "interrupted", "killed", "diverged", "failed" };
    return NAMES[state];
}

void *an__record_room(void *list, size_t n, size_t bytes)
{
    if (n & (n - 1)) return list;                    /* not 0 and no power of two */
    size_t more;
    return an_size_mul(n ? 2 * n : 1, bytes, &more) ? an_realloc(list, more) : NULL;
}

#define APPEND(list, n, item)                                                                    \
    do {                                                                                         \
        void *grown_ = an__record_room(list, n, sizeof *(list));                                 \
        if (!grown_) return NO_MEMORY;                                                           \
        (list) = grown_;                                                                         \
        (list)[(n)++] = (item);                                                                  \
    } while (0)

/* ---- one value; what is absent is 0, NaN or "", what is of another kind is damage ---- */

static bool get_count(const json_t *line, const char *key, uint64_t *out)
{
    const json_t *v = json_object_get(line, key);
    *out = 0;
    if (!v) return true;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > MOST) return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool get_real(const json_t *line, const char *key, double *out)
{
    const json_t *v = json_object_get(line, key);
    const char *word = json_string_value(v);
    *out = NAN;
    if (json_is_number(v)) *out = json_number_value(v);
    else if (word && strcmp(word, "inf") == 0) *out = INFINITY;
    else if (word && strcmp(word, "-inf") == 0) *out = -INFINITY;
    else if (v && !(word && strcmp(word, "nan") == 0)) return false;
    return true;
}

static bool get_text(an_record *r, const json_t *line, const char *key, const char **out, taken *result)
{
    const json_t *v = json_object_get(line, key);
    if (v && !json_is_string(v)) return false;
    *out = v ? an_arena_printf(&r->arena, "%s", json_string_value(v)) : "";
    if (!*out) *result = NO_MEMORY;
    return *out != NULL;
}

static bool get_columns(const json_t *line, const an_column *columns, void *record)
{
    for (const an_column *c = columns; c->key; c++) {
        double value;
        if (!get_real(line, c->key, &value)) return false;
        an_column_set(c, record, value);
    }
    return true;
}

/* A list of texts of any length into the arena. */
static taken get_texts(an_record *r, const json_t *line, const char *key, const char ***out, size_t *n)
{
    const json_t *list = json_object_get(line, key), *item;
    size_t i;
    *n = json_array_size(list);
    *out = *n ? an_arena_alloc(&r->arena, *n * sizeof **out) : NULL;
    if (*n && !*out) return NO_MEMORY;
    json_array_foreach(list, i, item) {
        if (!json_is_string(item)) return DAMAGED;
        if (!((*out)[i] = an_arena_printf(&r->arena, "%s", json_string_value(item)))) return NO_MEMORY;
    }
    return !list || json_is_array(list) ? TAKEN : DAMAGED;
}

/* ---- one line ---- */

static taken take_settings(an_record *r, const json_t *line)
{
    const char **key, **by;
    size_t n, m;
    taken t = get_texts(r, line, "set", &key, &n);
    if (t == TAKEN) t = get_texts(r, line, "by", &by, &m);
    if (t != TAKEN || n != m) return t == TAKEN ? DAMAGED : t;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < r->n_settings && strcmp(r->setting[at].key, key[i]) != 0) at++;
        const an_record_setting s = { key[i], by[i] };
        if (at < r->n_settings) r->setting[at] = s;
        else APPEND(r->setting, r->n_settings, s);
    }
    return TAKEN;
}

static taken take_start(an_record *r, const json_t *line)
{
    an_event_start e = { .run = r->run };
    const char *version, *began, **notes;
    uint64_t threads;
    taken t = DAMAGED;
    if (!get_count(line, "step", &e.step) || !get_count(line, "steps", &e.steps) || !get_count(line, "params", &e.params) || !get_count(line, "train_bytes", &e.train_bytes) ||
        !get_count(line, "val_bytes", &e.val_bytes) || !get_count(line, "memory_bytes", &e.memory) || !get_count(line, "threads", &threads) || threads > 1u << 20 ||
        !get_real(line, "unigram_entropy", &e.unigram_entropy) || !get_real(line, "flops_per_step", &e.flops_per_step)) return DAMAGED;
    if (!get_text(r, line, "version", &version, &t) || !get_text(r, line, "kernels", &e.kernels, &t) || !get_text(r, line, "from", &e.resumed_from, &t) ||
        !get_text(r, line, "time", &began, &t)) return t;
    t = get_texts(r, line, "notes", &notes, &e.n_notes);
    if (t == TAKEN) t = take_settings(r, line);
    if (t != TAKEN) return t;
    e.notes = notes;
    e.threads = (int)threads;
    if (!*e.resumed_from) e.resumed_from = NULL;
    if (r->sessions++ == 0) {
        snprintf(r->version, sizeof r->version, "%s", version);
        r->began = began;
    }
    r->start = e;
    r->state = AN_RECORD_RUNNING;
    return TAKEN;
}

static taken take_step(an_record *r, const json_t *line)
{
    an_event_step e = { .steps = r->start.steps, .logged = true };
    if (!get_count(line, "step", &e.step) || !get_count(line, "tokens", &e.tokens) || !get_columns(line, an_step_columns, &e)) return DAMAGED;
    if (e.step == 0 || (r->n_steps && e.step <= r->step[r->n_steps - 1].step)) return DAMAGED;
    APPEND(r->step, r->n_steps, e);
    return TAKEN;
}

static taken take_eval(an_record *r, const json_t *line)
{
    an_event_eval e = { .best = json_is_true(json_object_get(line, "best")) };
    if (!get_count(line, "step", &e.step) || !get_count(line, "val_tokens", &e.val.tokens) || !get_columns(line, an_eval_columns, &e) || !get_real(line, "seconds", &e.seconds)) return DAMAGED;
    if (r->n_evals && e.step <= r->eval[r->n_evals - 1].step) return DAMAGED;
    APPEND(r->eval, r->n_evals, e);
    return TAKEN;
}

static taken take_spike(an_record *r, const json_t *line)
{
    an_event_spike e = { 0 };
    an_spike_verdict *v = &e.verdict;
    const char *quantity = json_string_value(json_object_get(line, "quantity")), *kind = json_string_value(json_object_get(line, "kind"));
    if (!quantity || !kind || !get_count(line, "step", &e.step) || !get_count(line, "since", &v->since) || !get_count(line, "steps", &v->steps) || !get_real(line, "z", &v->z) ||
        !get_real(line, "value", &v->value) || !get_real(line, "mean", &v->mean) || !get_real(line, "peak", &v->peak)) return DAMAGED;
    while (v->quantity < AN_SPIKE_QUANTITIES && strcmp(an_spike_name(v->quantity), quantity) != 0) v->quantity++;
    while (v->kind <= AN_SPIKE_NEW_LEVEL && strcmp(an_spike_kind_name(v->kind), kind) != 0) v->kind++;
    if (v->quantity == AN_SPIKE_QUANTITIES || v->kind > AN_SPIKE_NEW_LEVEL) return DAMAGED;
    APPEND(r->spike, r->n_spikes, e);
    return TAKEN;
}

static taken take_checkpoint(an_record *r, const json_t *line)
{
    an_event_checkpoint e;
    taken t = DAMAGED;
    if (!get_count(line, "step", &e.step) || !get_real(line, "seconds", &e.seconds) || !get_text(r, line, "folder", &e.folder, &t)) return t;
    APPEND(r->checkpoint, r->n_checkpoints, e);
    return TAKEN;
}

static taken take_sample(an_record *r, const json_t *line)
{
    an_event_sample e;
    taken t = DAMAGED;
    if (!get_count(line, "step", &e.step) || !get_text(r, line, "text", &e.text, &t)) return t;
    APPEND(r->sample, r->n_samples, e);
    return TAKEN;
}

static taken take_end(an_record *r, const json_t *line)
{
    an_event_end e = { .run = r->run };
    uint64_t code;
    taken t = DAMAGED;
    if (!get_count(line, "step", &e.step) || !get_count(line, "exit_code", &code) || !get_count(line, "tokens", &e.tokens) || !get_count(line, "best_val_step", &e.best_val_step) ||
        !get_count(line, "peak_memory_bytes", &r->peak_memory) || !get_real(line, "seconds", &e.seconds) || !get_real(line, "best_val_loss", &e.best_val_loss)) return DAMAGED;
    if (!get_text(r, line, "error", &e.error, &t) || !get_text(r, line, "time", &r->ended, &t)) return t;
    e.status = code == 0 ? AN_OK : code == (uint64_t)an_status_exit_code(AN_EINTERRUPTED) ? AN_EINTERRUPTED : code == (uint64_t)an_status_exit_code(AN_EDIVERGED) ? AN_EDIVERGED : AN_EFAIL;
    r->state = e.status == AN_OK ? AN_RECORD_FINISHED : e.status == AN_EINTERRUPTED ? AN_RECORD_INTERRUPTED : e.status == AN_EDIVERGED ? AN_RECORD_DIVERGED : AN_RECORD_FAILED;
    r->end = e;
    return TAKEN;
}

static const struct { const char *event; taken (*take)(an_record *r, const json_t *line); } EVENTS[] = {
    { "run", take_start }, { "resume", take_start }, { "step", take_step }, { "eval", take_eval }, { "spike", take_spike }, { "checkpoint", take_checkpoint },
    { "sample", take_sample }, { "end", take_end },
};
enum { EVENT_COUNT = sizeof EVENTS / sizeof *EVENTS };

static taken take_event(an_record *r, const json_t *line)
{
    const char *event = json_string_value(json_object_get(line, "event"));
    if (!event) return DAMAGED;
    for (size_t i = 0; i < EVENT_COUNT; i++)
        if (strcmp(EVENTS[i].event, event) == 0) return EVENTS[i].take(r, line);
    return r->telemetry ? (taken)an__record_take_table(r, event, line) : TAKEN;
}

/* Whether a line says right at its start, as the trainer writes it, that it is none of the events above. */
static bool is_other(const char *line, size_t n)
{
    static const char HEAD[] = "{\"event\":\"";
    if (n < sizeof HEAD - 1 || memcmp(line, HEAD, sizeof HEAD - 1) != 0) return false;
    line += sizeof HEAD - 1;
    n -= sizeof HEAD - 1;
    for (size_t i = 0; i < EVENT_COUNT; i++) {
        const size_t m = strlen(EVENTS[i].event);
        if (n > m && memcmp(line, EVENTS[i].event, m) == 0 && line[m] == '"') return false;
    }
    return true;
}

static an_status take_line(an_record *r, const char *text, size_t n)
{
    r->lines++;
    if (!r->telemetry && is_other(text, n)) return AN_OK;
    json_error_t error;
    json_t *line = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    const taken t = line ? take_event(r, line) : json_error_code(&error) == json_error_out_of_memory ? NO_MEMORY : DAMAGED;
    json_decref(line);
    if (t == DAMAGED && r->damaged++ == 0) r->first_damaged = r->lines;
    return t == NO_MEMORY ? an_fail(AN_ENOMEM, "%s: no memory for its log", r->run) : AN_OK;
}

/* ---- the log, from where the last reading ended ---- */

static an_status take_bytes(an_record *r, char *bytes, size_t size)
{
    const char *at = bytes, *end = bytes + size;
    for (const char *stop; at < end && (stop = memchr(at, '\n', (size_t)(end - at))) != NULL; at = stop + 1) AN_TRY(take_line(r, at, (size_t)(stop - at)));
    r->offset += at - bytes;
    r->torn = at < end;
    return AN_OK;
}

static an_status read_from(int fd, const char *path, off_t from, char **out, size_t *size)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return an_fail(AN_EDATA, "%s: cannot look at it: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode)) return an_fail(AN_EDATA, "%s: not a file", path);
    if (st.st_size < from) return an_fail(AN_EDATA, "%s: shorter than it was; read it anew", path);
    const size_t n = (size_t)(st.st_size - from);
    char *bytes = an_alloc(n + 1);
    size_t got = 0;
    if (!bytes) return an_fail(AN_ENOMEM, "%s: no memory to read it", path);
    while (got < n) {
        const ssize_t k = pread(fd, bytes + got, n - got, from + (off_t)got);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) {
            const int error = errno;
            free(bytes);
            return an_fail(AN_EDATA, "%s: cannot read: %s", path, strerror(error));
        }
        if (k == 0) break;
        got += (size_t)k;
    }
    *out = bytes;
    *size = got;
    return AN_OK;
}

an_status an_record_follow(an_record *r, bool *fresh)
{
    char *path = an_path_join(r->run, "log.jsonl"), *bytes = NULL;
    size_t size = 0;
    const off_t before = r->offset;
    if (!path) return an_fail(AN_ENOMEM, "%s: no memory", r->run);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    an_status status = fd < 0 ? an_fail(AN_EDATA, "%s: cannot open: %s", path, strerror(errno)) : read_from(fd, path, r->offset, &bytes, &size);
    if (status == AN_OK) status = take_bytes(r, bytes, size);
    if (r->state == AN_RECORD_RUNNING || r->state == AN_RECORD_KILLED) r->state = an_checkpoint_is_locked(r->run) ? AN_RECORD_RUNNING : AN_RECORD_KILLED;
    if (fresh) *fresh = r->offset != before;
    if (fd >= 0) close(fd);
    free(bytes);
    free(path);
    return status;
}

/* ---- the folder ---- */

static bool has(const char *run, const char *name)
{
    char *path = an_path_join(run, name);
    const bool there = path && an_path_exists(path) && !an_path_is_dir(path);
    free(path);
    return there;
}

bool an_is_run_folder(const char *path) { return has(path, "config.yaml") && has(path, "log.jsonl"); }

static bool is_newer(const char *version)
{
    int a[2] = { 0 }, b[2] = { 0 };
    if (sscanf(version, "%d.%d", &a[0], &a[1]) != 2 || sscanf(AN_VERSION, "%d.%d", &b[0], &b[1]) != 2) return false;
    return a[0] != b[0] ? a[0] > b[0] : a[1] > b[1];
}

static an_status read_config(an_record *r)
{
    if (is_newer(r->version)) return an_fail(AN_EFORMAT, "%s: a run of addnorm %s, this is %s; read it with that version or a later one", r->run, r->version, AN_VERSION);
    char *path = an_path_join(r->run, "config.yaml");
    if (!path) return an_fail(AN_ENOMEM, "%s: no memory", r->run);
    an_status status = an_run_options_create(&r->options, &r->config);
    if (status == AN_OK) status = an_options_read_file(r->options, path);
    if (status == AN_OK) status = an_options_resolve(r->options);
    if (status == AN_OK) status = an_train_config_finish(&r->config, r->options);
    free(path);
    if (status == AN_OK || status == AN_ENOMEM) return status;
    return strcmp(r->version, AN_VERSION) == 0 || !r->version[0] ? an_fail_prefix(AN_EFORMAT, "%s: not the configuration of a run", r->run)
                                                                 : an_fail_prefix(AN_EFORMAT, "%s: a run of addnorm %s, which %s cannot read", r->run, r->version, AN_VERSION);
}

static an_status name_it(an_record *r, const char *run)
{
    char *real = realpath(run, NULL);
    r->run = an_strdup(run);
    r->name = an_arena_printf(&r->arena, "%s", an_path_base(real ? real : run));
    free(real);
    return r->run && r->name ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", run);
}

an_status an_record_read(an_record **out, const char *run, bool telemetry)
{
    if (!an_is_run_folder(run))
        return an_fail(AN_EDATA, "%s: %s; name a folder that addnorm train wrote, with config.yaml and log.jsonl in it", run, an_path_exists(run) ? "not a run folder" : "no such folder");
    an_record *r = an_alloc(sizeof *r);
    if (!r) return an_fail(AN_ENOMEM, "%s: no memory", run);
    r->began = r->ended = r->start.kernels = r->end.error = "";
    r->start.unigram_entropy = r->start.flops_per_step = r->end.best_val_loss = NAN;
    r->telemetry = telemetry;
    an_status status = name_it(r, run);
    if (status == AN_OK) status = an_record_follow(r, NULL);
    if (status == AN_OK) status = read_config(r);
    if (status != AN_OK) an_record_destroy(&r);
    else *out = r;
    return status;
}

void an_record_destroy(an_record **record)
{
    an_record *r = *record;
    if (!r) return;
    for (size_t i = 0; i < r->n_tables; i++) {
        free(r->table[i].step);
        free(r->table[i].value);
    }
    an_options_destroy(&r->options);
    free(r->setting);
    free(r->step);
    free(r->eval);
    free(r->spike);
    free(r->checkpoint);
    free(r->sample);
    free(r->table);
    free(r->run);
    an_arena_fini(&r->arena);
    free(r);
    *record = NULL;
}

const an_event_eval *an_record_last_eval(const an_record *r) { return r->n_evals ? &r->eval[r->n_evals - 1] : NULL; }

an_tail an_record_tail(const an_record *r)
{
    an_tail sum = { 0, 0 };
    size_t n = 0;
    const uint64_t last = r->n_steps ? r->step[r->n_steps - 1].step : 0;
    for (size_t i = r->n_steps; i-- > 0 && r->step[i].step + AN_TAIL_STEPS > last; n++) {
        sum.loss += r->step[i].loss;
        sum.accuracy += r->step[i].accuracy;
    }
    return n ? (an_tail){ sum.loss / (double)n, sum.accuracy / (double)n } : (an_tail){ NAN, NAN };
}

const char *an_record_source(const an_record *r, const char *key)
{
    for (size_t i = 0; i < r->n_settings; i++)
        if (strcmp(r->setting[i].key, key) == 0) return r->setting[i].by;
    return "default";
}
