/* study/study_read.c
 * A study's text: what it may say, checked against the option table line by line, before any combination is made. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_file.h"
#include "study/study_impl.h"
#include "train/presets.h"

enum { MOST_SEEDS = 10000 };

typedef struct reader { an_study *study; an_options *known; bool named; } reader;   /* named: its lines are nobody's file, its configurations arguments */

static an_status no_memory(const an_study *s) { return an_fail(AN_ENOMEM, "%s: no memory", s->place); }

/* What a study may say at the top, besides its groups. */
static const char *own_key(void *ctx, size_t i)
{
    static const char *const KEYS[] = { "name", "preset", "seeds", "base", "grid" };
    (void)ctx;
    return i < sizeof KEYS / sizeof *KEYS ? KEYS[i] : NULL;
}

static an_status refuse_key(const reader *r, const char *place, const char *key)
{
    char near[AN_NAME];
    if (an_options_find(r->known, key)) return an_fail(AN_ECONFIG, "%s: '%s' is a key of runs; it stands under base: or, with its values, under grid:", place, key);
    const int close = an_text_nearest(key, own_key, NULL, near);
    return an_fail(AN_ECONFIG, "%s: unknown key '%s'%s%s%s", place, key, close ? "; did you mean '" : "; a study has name, preset, base, grid, seeds", near, close ? "'?" : "");
}

static an_status take_name(an_study *s, const char *place, const char *value)
{
    s->name = an_arena_printf(&s->arena, "%s", value);
    if (!s->name) return no_memory(s);
    bool fits = *value && *value != '.' && strlen(value) <= 64;
    for (const char *p = value; *p; p++) fits &= isalnum((unsigned char)*p) || strchr("._-", *p);
    return fits ? AN_OK : an_fail(AN_ECONFIG, "%s: name: '%s' is to be a folder's name: letters, digits, '.', '_', '-', at most 64", place, value);
}

static an_status count_seeds(an_study *s, size_t n)
{
    s->seed = an_arena_alloc(&s->arena, n * sizeof *s->seed);
    for (s->n_seeds = 0; s->seed && s->n_seeds < n; s->n_seeds++)
        if (!(s->seed[s->n_seeds] = an_arena_printf(&s->arena, "%zu", s->n_seeds + 1))) return no_memory(s);
    return s->seed ? AN_OK : no_memory(s);
}

/* A list of seeds, or how many. */
static an_status take_seeds(reader *r, const an_config_entry *e, const char *place)
{
    an_study *s = r->study;
    char *end;
    if (s->n_seeds) return an_fail(AN_ECONFIG, "%s: seeds stand twice", place);
    const long count = e->is_list ? 0 : strtol(e->value[0], &end, 10);
    if (!e->is_list && (*end || e->is_null || count < 1 || count > MOST_SEEDS))
        return an_fail(AN_ECONFIG, "%s: seeds: '%s' is neither a list of seeds nor how many there are to be, 1..%d", place, e->is_null ? "" : e->value[0], MOST_SEEDS);
    if (!e->is_list) return count_seeds(s, (size_t)count);
    const size_t n = e->count;
    if (n == 0) return an_fail(AN_ECONFIG, "%s: seeds: the list is empty", place);
    s->seed = an_arena_alloc(&s->arena, n * sizeof *s->seed);
    for (size_t i = 0; s->seed && i < n; i++) {
        AN_TRY(an_options_set(r->known, "seed", e->value[i], AN_FROM_FILE, place));
        s->seed[i] = an_arena_printf(&s->arena, "%s", an_options_text(r->known, "seed"));
        if (!s->seed[i]) return no_memory(s);
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->seed[k], s->seed[i]) == 0) return an_fail(AN_ECONFIG, "%s: seeds: %s stands twice", place, s->seed[i]);
    }
    s->n_seeds = n;
    return s->seed ? AN_OK : no_memory(s);
}

static an_status take_own(reader *r, const an_config_entry *e, const char *place)
{
    an_study *s = r->study;
    if (e->is_null && (strcmp(e->key, "base") == 0 || strncmp(e->key, "grid", 4) == 0)) return AN_OK;   /* an empty group */
    if (strcmp(e->key, "base") == 0 || strncmp(e->key, "grid", 4) == 0) return an_fail(AN_ECONFIG, "%s: %s: below it stand lines 'key: %s'", place, e->key, e->key[0] == 'b' ? "value" : "[value, ...]");
    if (strcmp(e->key, "seeds") == 0) return take_seeds(r, e, place);
    if (strcmp(e->key, "name") != 0 && strcmp(e->key, "preset") != 0) return refuse_key(r, place, e->key);
    if (e->is_list || e->is_null) return an_fail(AN_ECONFIG, "%s: '%s' takes one value", place, e->key);
    if (strcmp(e->key, "name") == 0 ? s->name : s->preset) return an_fail(AN_ECONFIG, "%s: key '%s' stands twice", place, e->key);
    if (strcmp(e->key, "name") == 0) return take_name(s, place, e->value[0]);
    s->preset = an_arena_printf(&s->arena, "%s", e->value[0]);
    if (!s->preset) return no_memory(s);
    const an_status status = an_preset_apply(r->known, s->preset);
    return status == AN_OK ? AN_OK : an_fail_prefix(status, "%s", place);
}

/* The canonical spelling of a key of runs, with its selector; what a study decides itself is refused. */
static an_status take_key(reader *r, const char *place, const char *text, size_t n, const char **key)
{
    an_study *s = r->study;
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    const size_t bare = strcspn(name, "@");
    char selector[256];
    snprintf(selector, sizeof selector, "%s", name + bare);
    name[bare] = '\0';
    const an_option *row = an_options_find(r->known, name);
    if (strcmp(name, "preset") == 0) return an_fail(AN_ECONFIG, "%s: preset: one for all cells, at the top: 'preset: NAME'", place);
    if (strcmp(name, "config") != 0 && !row) {
        AN_TRY(an_options_set(r->known, name, "", AN_FROM_FILE, place));   /* says so, with the nearest name */
        return an_fail(AN_ECONFIG, "%s: unknown key '%s'", place, name);
    }
    if (row && strcmp(row->name, "out") == 0) return an_fail(AN_ECONFIG, "%s: out: cells write into the study's folder; give that by --out", place);
    if (row && (row->flags & AN_EPHEMERAL)) return an_fail(AN_ECONFIG, "%s: '%s' is no setting of a run", place, row->name);
    *key = an_arena_printf(&s->arena, "%s%s", row ? row->name : name, selector);
    return *key ? AN_OK : no_memory(s);
}

static an_status check_value(reader *r, const char *place, const char *key, const char *value)
{
    if (strcmp(key, "config") != 0) return an_options_set(r->known, key, value, AN_FROM_FILE, place);
    an_options *scratch;
    an_train_config config;
    AN_TRY(an_run_options_create(&scratch, &config));
    const an_status status = an_options_read_file(scratch, value);
    an_options_destroy(&scratch);
    return status == AN_OK || r->named ? status : an_fail_prefix(status, "%s", place);
}

static an_status take_base(reader *r, const an_config_entry *e, const char *place)
{
    an_study *s = r->study;
    const char *key;
    an_text joined = { 0 };
    AN_TRY(take_key(r, place, e->key, strlen(e->key), &key));
    for (size_t i = 0; i < s->n_base; i++)
        if (strcmp(s->base[i].key, key) == 0) return an_fail(AN_ECONFIG, "%s: key '%s' stands twice; first in %s", place, key, s->base[i].place);
    const an_option *row = an_options_find(r->known, key);
    const bool many = (row && row->type == AN_PATHS) || !row;
    if (e->is_list && !many) return an_fail(AN_ECONFIG, "%s: '%s' takes one value, not a list; values to compare stand under grid:", place, key);
    if (e->is_null && !(row && row->type == AN_STRING)) return an_fail(AN_ECONFIG, "%s: '%s' has no value", place, key);
    for (size_t i = 0; i < e->count && !e->is_null; i++) {
        if (!row) AN_TRY(check_value(r, place, key, e->value[i]));
        an_text_add(&joined, "%s%s", i ? "\n" : "", e->value[i]);
    }
    an_status status = an_text_status(&joined);
    if (status == AN_OK && row) status = check_value(r, place, key, an_text_get(&joined));
    if (status == AN_OK) {
        void *grown = an__record_room(s->base, s->n_base, sizeof *s->base);
        const an_study_setting setting = { key, an_arena_printf(&s->arena, "%s", an_text_get(&joined)), an_arena_printf(&s->arena, "%s", place) };
        if (grown) s->base = grown;
        if (grown && setting.value && setting.place) s->base[s->n_base++] = setting;
        else status = no_memory(s);
    }
    an_text_fini(&joined);
    return status;
}

static size_t parts_of(const char *text)
{
    size_t n = 1;
    for (; *text; text++) n += *text == '|';
    return n;
}

/* The keys of an axis, and that none of them stands in this grid before. */
static an_status take_axis_keys(reader *r, an_axis *a, const char *text)
{
    const an_study *s = r->study;
    for (size_t k = 0; k < a->n_keys; k++, text += strcspn(text, "|") + 1) {
        AN_TRY(take_key(r, a->place, text, strcspn(text, "|"), &a->key[k]));
        const char *key = a->key[k];
        for (size_t i = 0; i <= s->n_axes; i++) {
            const an_axis *other = i < s->n_axes ? &s->axis[i] : a;
            for (size_t m = 0; m < (other == a ? k : other->n_keys); m++)
                if (strcmp(other->grid, a->grid) == 0 && strcmp(other->key[m], key) == 0) return an_fail(AN_ECONFIG, "%s: '%s' stands twice in this grid; first in %s", a->place, key, other->place);
        }
    }
    return AN_OK;
}

static an_status take_axis_values(reader *r, an_axis *a, const an_config_entry *e)
{
    an_study *s = r->study;
    for (size_t i = 0; i < a->n_values; i++) {
        const char *text = e->is_null ? "" : e->value[i];
        if (a->n_keys > 1 && parts_of(text) != a->n_keys)
            return an_fail(AN_ECONFIG, "%s: '%s' has %zu parts, '%s' has %zu; separate them by '|'", a->place, text, parts_of(text), e->key, a->n_keys);
        for (size_t k = 0; k < a->n_keys; k++, text += strcspn(text, "|") + 1) {
            const size_t n = a->n_keys > 1 ? strcspn(text, "|") : strlen(text);
            const char **value = &a->value[i * a->n_keys + k];
            *value = an_arena_printf(&s->arena, "%.*s", (int)n, text);
            if (!*value) return no_memory(s);
            if (n || a->n_keys == 1) AN_TRY(check_value(r, a->place, a->key[k], *value));
            if (a->n_keys > 1) continue;
            for (size_t m = 0; m < i; m++)
                if (strcmp(a->value[m], *value) != 0) continue;
                else if (r->named) return an_fail(AN_EUSAGE, "%s: named twice; %s takes different configurations", *value, s->place);
                else return an_fail(AN_ECONFIG, "%s: '%s' has the value '%s' twice", a->place, a->key[k], *value);
        }
    }
    return AN_OK;
}

static an_status take_axis(reader *r, const an_config_entry *e, const char *place)
{
    an_study *s = r->study;
    an_axis a = { .grid = an_arena_printf(&s->arena, "%s", e->group), .place = an_arena_printf(&s->arena, "%s", place), .n_keys = parts_of(e->key), .n_values = e->count };
    if (e->count == 0 || e->is_null) return an_fail(AN_ECONFIG, "%s: '%s' has no values; give it a list, [value, ...]", place, e->key);
    a.key = an_arena_alloc(&s->arena, a.n_keys * sizeof *a.key);
    a.value = an_arena_alloc(&s->arena, a.n_keys * a.n_values * sizeof *a.value);
    void *grown = an__record_room(s->axis, s->n_axes, sizeof *s->axis);
    if (grown) s->axis = grown;
    if (!grown || !a.grid || !a.place || !a.key || !a.value) return no_memory(s);
    AN_TRY(take_axis_keys(r, &a, e->key));
    AN_TRY(take_axis_values(r, &a, e));
    s->axis[s->n_axes++] = a;
    return AN_OK;
}

static an_status visit(void *ctx, const an_config_entry *e)
{
    reader *r = ctx;
    char place[4096], near[AN_NAME];
    snprintf(place, sizeof place, "%s:%d", r->study->place, e->line);
    if (!e->group) return take_own(r, e, place);
    if (strcmp(e->group, "base") == 0) return take_base(r, e, place);
    if (strncmp(e->group, "grid", 4) == 0) return take_axis(r, e, place);
    const int close = an_text_nearest(e->group, own_key, NULL, near);
    return an_fail(AN_ECONFIG, "%s: unknown group '%s'%s%s%s", place, e->group, close ? "; did you mean '" : "; a study has base and grid", near, close ? "'?" : "");
}

static bool sets(const an_study *s, const char *grid, const char *key)
{
    for (size_t i = 0; i < s->n_axes; i++)
        for (size_t k = 0; strcmp(s->axis[i].grid, grid) == 0 && k < s->axis[i].n_keys; k++)
            if (strcmp(s->axis[i].key[k], key) == 0) return true;
    return false;
}

/* A key of the grids may stand in the base or on the command line for the grids that do not set it; where all of them do, it would mean nothing. */
static an_status settle_key(const an_study *s, bool named, const char *place, const char *key)
{
    for (size_t i = 0; i < s->n_axes; i++)
        if (!sets(s, s->axis[i].grid, key)) return AN_OK;
    for (size_t i = 0; i < s->n_base; i++)
        if (strcmp(s->base[i].key, key) == 0 && strcmp(key, "config") != 0) return an_fail(AN_ECONFIG, "%s: '%s' stands in the grid and in the base, %s; keep one", place, key, s->base[i].place);
    const bool given = s->flags && an_options_find(s->flags, key) && an_options_source(s->flags, key) == AN_FROM_FLAG;
    if (given && named) return an_fail(AN_EUSAGE, "--%s: %s compares several values of it; leave it out", key, s->place);
    if (given)
        return an_fail(AN_EUSAGE, "--%s: %s gives it several values; leave it out, or change the file", key, place);
    return AN_OK;
}

static an_status settle_keys(const an_study *s, bool named)
{
    for (size_t i = 0; i < s->n_axes; i++)
        for (size_t k = 0; k < s->axis[i].n_keys; k++) AN_TRY(settle_key(s, named, s->axis[i].place, s->axis[i].key[k]));
    return AN_OK;
}

/* A grid's `seed` and `seeds` mean the same; seeds go last, so that cells that differ by them alone stand together. */
static an_status settle_seeds(an_study *s)
{
    for (size_t i = 0; i < s->n_axes; i++)
        for (size_t k = 0; k < s->axis[i].n_keys; k++)
            if (strcmp(s->axis[i].key[k], "seed") == 0) return an_fail(AN_ECONFIG, "%s: seeds stand at the top, seeds: [1, 2, 3]", s->axis[i].place);
    if (s->n_seeds && s->flags && an_options_source(s->flags, "seed") == AN_FROM_FLAG) return an_fail(AN_EUSAGE, "--seed: %s has a list of seeds; --seeds N says how many", s->place);
    for (size_t i = 0; s->n_seeds && i < s->n_base; i++)
        if (strcmp(s->base[i].key, "seed") == 0) return an_fail(AN_ECONFIG, "%s: '%s' stands twice, as seed and as seeds", s->base[i].place, "seed");
    if (s->n_axes == 0 && s->n_seeds == 0) return an_fail(AN_ECONFIG, "%s: the grid is empty; a study needs 'grid:' with lines 'key: [value, ...]', or seeds", s->place);
    return AN_OK;
}

an_status an__study_read(an_study *s, const an_study_source *source)
{
    an_train_config config;
    reader r = { .study = s, .named = source->named };
    AN_TRY(an_run_options_create(&r.known, &config));
    an_status status = an_config_read(source->text, source->size, s->place, visit, &r);
    an_options_destroy(&r.known);
    if (status == AN_OK) status = settle_keys(s, source->named);
    if (status == AN_OK && source->seeds) status = count_seeds(s, source->seeds);
    return status == AN_OK ? settle_seeds(s) : status;
}
