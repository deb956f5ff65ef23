/* study/record_table.c
 * Telemetry lines are tables by columns (train/runlog_telemetry.c): a list of names, and lists of numbers as long. Which numbers there are
 * is decided beside the ops that measure them, so nothing here knows one; lines that are alike make one table over steps. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "study/record.h"

enum { NO_MEMORY = -1, DAMAGED, TAKEN };

/* The names' key, "site" or "name"; NULL: this is no table, and nothing to hold against it. */
static const char *names_key(const json_t *line)
{
    return json_is_array(json_object_get(line, "site")) ? "site" : json_is_array(json_object_get(line, "name")) ? "name" : NULL;
}

static bool is_number(const char *key, const char *names) { return strcmp(key, "event") != 0 && strcmp(key, "step") != 0 && strcmp(key, names) != 0; }

/* Every column is as long as the names and holds numbers; the names are texts. */
static bool is_whole(const json_t *line, const char *names)
{
    const json_t *column, *item, *list = json_object_get(line, names), *step = json_object_get(line, "step");
    const char *key;
    size_t i, numbers = 0;
    if (!json_is_integer(step) || json_integer_value(step) < 0 || json_array_size(list) == 0) return false;
    json_array_foreach(list, i, item) if (!json_is_string(item)) return false;
    json_object_foreach((json_t *)(uintptr_t)line, key, column) {
        if (!is_number(key, names)) continue;
        numbers++;
        if (!json_is_array(column) || json_array_size(column) != json_array_size(list)) return false;
        json_array_foreach(column, i, item) if (!json_is_number(item) && !json_is_null(item)) return false;
    }
    return numbers > 0;
}

static bool is_alike(const an_record_table *t, const char *event, const json_t *line, const char *names)
{
    const json_t *list = json_object_get(line, names), *column;
    const char *key;
    size_t k = 0;
    if (strcmp(t->family, event) != 0 || t->n_names != json_array_size(list)) return false;
    for (size_t i = 0; i < t->n_names; i++)
        if (strcmp(t->name[i], json_string_value(json_array_get(list, i))) != 0) return false;
    json_object_foreach((json_t *)(uintptr_t)line, key, column) {
        if (!is_number(key, names)) continue;
        if (k == t->n_metrics || strcmp(t->metric[k], key) != 0) return false;
        k++;
    }
    return k == t->n_metrics;
}

static an_record_table *new_table(an_record *r, const char *event, const json_t *line, const char *names)
{
    const json_t *list = json_object_get(line, names), *column;
    const char *key;
    an_record_table t = { .family = an_arena_printf(&r->arena, "%s", event), .n_names = json_array_size(list) };
    t.name = an_arena_alloc(&r->arena, t.n_names * sizeof *t.name);
    t.metric = an_arena_alloc(&r->arena, json_object_size(line) * sizeof *t.metric);
    bool whole = t.family && t.name && t.metric;
    for (size_t i = 0; whole && i < t.n_names; i++) whole = (t.name[i] = an_arena_printf(&r->arena, "%s", json_string_value(json_array_get(list, i)))) != NULL;
    if (whole) json_object_foreach((json_t *)(uintptr_t)line, key, column)
        if (is_number(key, names)) whole &= (t.metric[t.n_metrics++] = an_arena_printf(&r->arena, "%s", key)) != NULL;
    an_record_table *grown = whole ? an__record_room(r->table, r->n_tables, sizeof *grown) : NULL;
    if (!grown) return NULL;
    r->table = grown;
    r->table[r->n_tables] = t;
    return &r->table[r->n_tables++];
}

int an__record_take_table(an_record *r, const char *event, const void *json)
{
    const json_t *line = json;
    const char *names = names_key(line);
    an_record_table *t = NULL;
    if (!names) return TAKEN;
    if (!is_whole(line, names)) return DAMAGED;
    const uint64_t step = (uint64_t)json_integer_value(json_object_get(line, "step"));
    for (size_t i = 0; i < r->n_tables && !t; i++)
        if (is_alike(&r->table[i], event, line, names)) t = &r->table[i];
    if (t && step <= t->step[t->n_looks - 1]) return DAMAGED;
    if (!t && !(t = new_table(r, event, line, names))) return NO_MEMORY;
    const size_t look = t->n_metrics * t->n_names;
    uint64_t *steps = an__record_room(t->step, t->n_looks, sizeof *steps);
    if (steps) t->step = steps;
    double *values = an__record_room(t->value, t->n_looks, look * sizeof *values);
    if (values) t->value = values;
    if (!steps || !values) {
        if (t->n_looks == 0) r->n_tables--, free(t->step), free(t->value);
        return NO_MEMORY;
    }
    for (size_t k = 0; k < t->n_metrics; k++)
        for (size_t i = 0; i < t->n_names; i++) {
            const json_t *x = json_array_get(json_object_get(line, t->metric[k]), i);
            t->value[(t->n_looks * t->n_metrics + k) * t->n_names + i] = json_is_number(x) ? json_number_value(x) : NAN;
        }
    t->step[t->n_looks++] = step;
    return TAKEN;
}

const an_record_table *an_record_find(const an_record *r, const char *family, const char *metric, size_t *at)
{
    for (size_t i = r->n_tables; i-- > 0;) {
        const an_record_table *t = &r->table[i];
        for (size_t k = 0; k < t->n_metrics && strcmp(t->family, family) == 0; k++)
            if (strcmp(t->metric[k], metric) == 0) {
                *at = k;
                return t;
            }
    }
    return NULL;
}

double an_record_value(const an_record_table *t, size_t look, size_t metric, size_t name) { return t->value[(look * t->n_metrics + metric) * t->n_names + name]; }
