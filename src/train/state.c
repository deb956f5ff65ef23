/* train/state.c
 * One table of fields serves writing and reading. 64-bit hashes go in as hexadecimal text, since JSON numbers of other
 * programs lose bits. The checksum of the file covers the compact form of all other keys, in order. */
#include "train/state.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checksum.h"

enum { VERSION = 1 };

typedef enum field_kind { COUNT, HASH, REAL } field_kind;
typedef struct field { const char *key; field_kind kind; size_t at; } field;

static const field FIELDS[] = {
    { "step", COUNT, offsetof(an_run_state, step) },
    { "samples", COUNT, offsetof(an_run_state, samples) },
    { "tokens", COUNT, offsetof(an_run_state, tokens) },
    { "seed", COUNT, offsetof(an_run_state, seed) },
    { "best_val_loss", REAL, offsetof(an_run_state, best_val_loss) },
    { "best_val_step", COUNT, offsetof(an_run_state, best_val_step) },
    { "train_bytes", COUNT, offsetof(an_run_state, train_bytes) },
    { "val_bytes", COUNT, offsetof(an_run_state, val_bytes) },
    { "data_fingerprint", HASH, offsetof(an_run_state, data_fingerprint) },
    { "model_checksum", HASH, offsetof(an_run_state, model_checksum) },
    { "optimizer_checksum", HASH, offsetof(an_run_state, optimizer_checksum) },
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

static json_t *hash_json(uint64_t hash)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return json_string(text);
}

static json_t *field_json(const an_run_state *state, const field *f)
{
    const void *p = (const char *)state + f->at;
    if (f->kind == REAL) return isfinite(*(const double *)p) ? json_real(*(const double *)p) : json_null();
    return f->kind == HASH ? hash_json(*(const uint64_t *)p) : json_integer((json_int_t)*(const uint64_t *)p);
}

/* Checksum of the object without its own; 0 for out of memory, which then compares unequal. */
static uint64_t own_checksum(const json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    const uint64_t sum = text ? an_checksum_of(text, strlen(text)) : 0;
    free(text);
    return sum;
}

an_status an_run_state_write(const an_run_state *state, const char *path)
{
    json_t *object = json_pack("{s:s, s:i, s:s}", "format", "addnorm run state", "version", VERSION, "program", "addnorm " AN_VERSION);
    int fine = object != NULL;
    for (int i = 0; fine && i < FIELD_COUNT; i++) fine = json_object_set_new(object, FIELDS[i].key, field_json(state, &FIELDS[i])) == 0;
    if (fine && state->spikes) fine = json_object_set_new(object, "spikes", json_string(state->spikes)) == 0;
    fine = fine && json_object_set_new(object, "config", json_string(state->config)) == 0;
    fine = fine && json_object_set_new(object, "checksum", hash_json(own_checksum(object))) == 0;
    char *text = fine ? json_dumps(object, JSON_INDENT(2)) : NULL;
    json_decref(object);
    if (!text) return an_fail(AN_ENOMEM, "%s: no memory, or a path in the configuration is not UTF-8", path);
    const an_status status = an_file_write(path, text, strlen(text));
    free(text);
    return status;
}

static int read_hash(const json_t *value, uint64_t *out)
{
    const char *text = json_string_value(value);
    char *end;
    if (!text || strlen(text) != 16) return 0;
    *out = strtoull(text, &end, 16);
    return *end == '\0';
}

static int read_field(an_run_state *state, const field *f, const json_t *value)
{
    void *p = (char *)state + f->at;
    if (f->kind == HASH) return read_hash(value, p);
    if (f->kind == REAL) {
        *(double *)p = json_is_number(value) ? json_number_value(value) : INFINITY;
        return json_is_number(value) || json_is_null(value);
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) return 0;
    *(uint64_t *)p = (uint64_t)json_integer_value(value);
    return 1;
}

static an_status read_object(an_run_state *state, json_t *object, const char *path)
{
    uint64_t sum;
    const json_t *version = json_object_get(object, "version");
    const char *format = json_string_value(json_object_get(object, "format")), *config = json_string_value(json_object_get(object, "config"));
    if (!format || strcmp(format, "addnorm run state") != 0) return an_fail(AN_EFORMAT, "%s: not the state of an addnorm run", path);
    if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        return an_fail(AN_EFORMAT, "%s: format version %lld, this program reads %d", path, (long long)json_integer_value(version), VERSION);
    if (!read_hash(json_object_get(object, "checksum"), &sum)) return an_fail(AN_EFORMAT, "%s: checksum is missing; damaged", path);
    json_object_del(object, "checksum");
    if (sum != own_checksum(object)) return an_fail(AN_EFORMAT, "%s: checksum does not match; damaged or edited", path);
    for (int i = 0; i < FIELD_COUNT; i++)
        if (!read_field(state, &FIELDS[i], json_object_get(object, FIELDS[i].key))) return an_fail(AN_EFORMAT, "%s: %s is missing or not a number", path, FIELDS[i].key);
    if (!config) return an_fail(AN_EFORMAT, "%s: config is missing", path);
    const char *spikes = json_string_value(json_object_get(object, "spikes"));
    state->config = an_strdup(config);
    state->spikes = spikes ? an_strdup(spikes) : NULL;
    if (state->config && (state->spikes || !spikes)) return AN_OK;
    an_run_state_fini(state);
    return an_fail(AN_ENOMEM, "%s: no memory", path);
}

an_status an_run_state_read(an_run_state *state, const char *path)
{
    char *text;
    size_t size;
    json_error_t error;
    an_run_state fresh = { 0 };
    AN_TRY(an_file_read(path, &text, &size));
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    free(text);
    if (!object) return an_fail(AN_EFORMAT, "%s: not valid JSON at line %d; truncated or damaged", path, error.line);
    const an_status status = read_object(&fresh, object, path);
    json_decref(object);
    if (status == AN_OK) *state = fresh;
    return status;
}

void an_run_state_fini(an_run_state *state)
{
    free(state->config);
    free(state->spikes);
    state->config = state->spikes = NULL;
}
