/* core/option_read.c
 * The four ways in: one value, a preset, a YAML file, the environment, the command line. All end in set_value, so a value
 * is checked the same way wherever it comes from. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_file.h"
#include "core/file.h"
#include "core/option_impl.h"

static an_status no_memory(void) { return an_fail(AN_ENOMEM, "options: no memory"); }

static an_status refuse_unknown(const an_options *o, an_source source, const char *place, const char *key, size_t length)
{
    char near[AN_NAME];
    const int close = an__option_near(o, key, length, near);
    const int n = (int)length;
    if (source == AN_FROM_FLAG)
        return close ? an_fail(AN_EUSAGE, "unknown option '--%.*s'; did you mean '--%s'?", n, key, near) : an_fail(AN_EUSAGE, "unknown option '--%.*s'; --help lists all", n, key);
    if (source == AN_FROM_ENV) {
        for (char *p = near; *p; p++) *p = (char)toupper((unsigned char)*p);
        return close ? an_fail(AN_ECONFIG, "%s: unknown key; did you mean ADDNORM_%s?", place, near) : an_fail(AN_ECONFIG, "%s: unknown key; --help lists all", place);
    }
    return close ? an_fail(AN_ECONFIG, "%s: unknown key '%.*s'; did you mean '%s'?", place, n, key, near) : an_fail(AN_ECONFIG, "%s: unknown key '%.*s'; --help lists all", place, n, key);
}

/* ---- selectors: LAYERS[.SITE] ---- */

static const char *read_layer(const char *p, int64_t *layer)
{
    char *end;
    if (!isdigit((unsigned char)*p)) return NULL;
    *layer = strtoll(p, &end, 10);
    return *layer > 1000000 ? NULL : end;
}

static an_status read_selector(an_options *o, const char *place, const char *key, an_override *v)
{
    const char *p = v->selector;
    size_t most = 1;
    for (const char *q = p; *q; q++) most += *q == ',';
    if (*p == '*') p++;
    else {
        v->range = an_arena_alloc(&o->arena, most * sizeof *v->range);
        if (!v->range) return no_memory();
        while (p) {
            an_layer_range *r = &v->range[v->ranges++];
            p = read_layer(p, &r->first);
            r->last = r->first;
            if (p && *p == '-') p = read_layer(p + 1, &r->last);
            if (p && r->last < r->first) return an_fail(AN_ECONFIG, "%s: '%s@%s': range %lld-%lld runs backwards", place, key, v->selector, (long long)r->first, (long long)r->last);
            if (!p || *p != ',') break;
            p++;
        }
    }
    if (p && *p == '.' && p[1]) v->site = p + 1;
    else if (!p || *p) return an_fail(AN_ECONFIG, "%s: '%s@%s': after @ stand layers (3, 0-5,8 or *) and perhaps a sub-layer (.attn)", place, key, v->selector);
    return AN_OK;
}

/* ---- one value ---- */

static an_status refuse_twice(const char *place, const char *key, size_t length, const an_setting *old)
{
    return an_fail(AN_ECONFIG, "%s: key '%.*s' stands twice; first in %s", place, (int)length, key, old->place);
}

static an_status set_override(an_options *o, an_option_slot *slot, const char *selector, const an_setting *value, an_source source, size_t key_length, const char *key)
{
    an_override *v = an_arena_alloc(&o->arena, sizeof *v), **end = &slot->overrides;
    if (!v) return no_memory();
    *v = (an_override){ .source = source, .value = *value };
    v->selector = an_arena_printf(&o->arena, "%s", selector);
    if (!v->selector) return no_memory();
    if (!(slot->option->flags & AN_PER_SITE)) return an_fail(AN_ECONFIG, "%s: '%s' holds for the whole model; it cannot be set per layer", value->place, slot->option->name);
    AN_TRY(read_selector(o, value->place, slot->option->name, v));
    for (; *end; end = &(*end)->next)
        if (value->reading && (*end)->value.reading == value->reading && strcmp((*end)->selector, v->selector) == 0) return refuse_twice(value->place, key, key_length, &(*end)->value);
    *end = v;
    return AN_OK;
}

/* reading > 0: a second value of the same reading is an error; 0: it replaces (or, for paths on the command line, is appended, and an empty one takes all away). */
static an_status set_value(an_options *o, const char *key, const char *text, an_source source, const char *place, unsigned reading)
{
    const size_t n = strcspn(key, "@");
    an_option_slot *slot = an__option_find(o, key, n);
    if (!slot) return refuse_unknown(o, source, place, key, n);
    const an_option *row = slot->option;
    an_setting value = { .place = an_arena_printf(&o->arena, "%s", place), .reading = reading };
    const char *where = source == AN_FROM_FLAG || source == AN_FROM_ENV ? value.place : an_arena_printf(&o->arena, "%s: %s", place, row->name);
    if (!value.place || !where) return no_memory();
    AN_TRY(an__option_check(&o->arena, row, text, where, &value.text));
    AN_TRY(an__option_check_name(row, text, source, where));
    if (key[n] == '@') return set_override(o, slot, key + n + 1, &value, source, n, key);
    an_setting *old = &slot->value[source];
    if (old->text && reading && old->reading == reading) return refuse_twice(place, key, n, old);
    if (row->type == AN_PATHS) {
        if (old->text && *old->text && *text && source == AN_FROM_FLAG) value.text = an_arena_printf(&o->arena, "%s\n%s", old->text, value.text);
        if (!value.text) return no_memory();
        AN_TRY(an__option_to_list(&o->arena, value.text, &value.list));
    }
    *old = value;
    return AN_OK;
}

an_status an_options_set(an_options *o, const char *key, const char *value, an_source source, const char *place) { return set_value(o, key, value, source, place, 0); }

an_status an_options_set_preset(an_options *o, const char *preset, const char *const *pairs)
{
    char place[AN_NAME + 8];
    snprintf(place, sizeof place, "preset %s", preset);
    for (; pairs[0]; pairs += 2) AN_TRY(set_value(o, pairs[0], pairs[1], AN_FROM_PRESET, place, 0));
    return AN_OK;
}

an_status an_options_copy(an_options *to, const an_options *from, an_source least)
{
    for (size_t i = 0; i < from->count; i++) {
        const an_option_slot *slot = &from->slot[i];
        const char *name = slot->option->name;
        if ((slot->option->flags & AN_EPHEMERAL) || !an__option_find(to, name, strlen(name))) continue;
        for (int s = (int)least; s < AN_SOURCES; s++)
            if (slot->value[s].text) AN_TRY(set_value(to, name, slot->value[s].text, (an_source)s, slot->value[s].place, 0));
        for (const an_override *v = slot->overrides; v; v = v->next) {
            if (v->source < least) continue;
            const char *key = an_arena_printf(&to->arena, "%s@%s", name, v->selector);
            if (!key) return no_memory();
            AN_TRY(set_value(to, key, v->value.text, v->source, v->value.place, 0));
        }
    }
    return AN_OK;
}

/* ---- YAML ---- */

typedef struct file_reading { an_options *options; const char *name; unsigned reading; } file_reading;

typedef struct group_names { const an_options *options; char slug[AN_NAME]; } group_names;
static const char *group_at(void *ctx, size_t i)
{
    group_names *g = ctx;
    if (i >= g->options->count) return NULL;
    an__option_slug(an__option_group(g->options->slot[i].option), g->slug);
    return g->slug;
}

/* "model, data, training": each once, in the order of their first rows. */
static void list_groups(group_names *names, an_text *out)
{
    for (size_t i = 0; group_at(names, i); i++) {
        const char *group = an__option_group(names->options->slot[i].option);
        size_t first = 0;
        while (strcmp(an__option_group(names->options->slot[first].option), group) != 0) first++;
        if (first == i) an_text_add(out, "%s%s", i ? ", " : "", names->slug);
    }
}

static int is_group(const an_options *o, const char *slug)
{
    group_names names = { .options = o };
    for (size_t i = 0; i < o->count; i++)
        if (strcmp(group_at(&names, i), slug) == 0) return 1;
    return 0;
}

/* The group must exist, and the key must be one of its keys. */
static an_status check_group(const an_options *o, const char *place, const an_config_entry *e)
{
    char wanted[AN_NAME], slug[AN_NAME], near[AN_NAME];
    group_names names = { .options = o };
    an__option_slug(e->group, wanted);
    if (!is_group(o, wanted)) {
        if (an_text_nearest(wanted, group_at, &names, near)) return an_fail(AN_ECONFIG, "%s: unknown group '%s'; did you mean '%s'?", place, e->group, near);
        an_text all = { 0 };
        list_groups(&names, &all);
        const an_status status = an_fail(AN_ECONFIG, "%s: unknown group '%s'; there are %s", place, e->group, an_text_get(&all));
        an_text_fini(&all);
        return status;
    }
    const an_option_slot *slot = an__option_find(o, e->key, strcspn(e->key, "@"));
    if (!slot) return AN_OK;   /* told as an unknown key */
    an__option_slug(an__option_group(slot->option), slug);
    return strcmp(slug, wanted) == 0 ? AN_OK : an_fail(AN_ECONFIG, "%s: '%s' stands under '%s'; it belongs to '%s'", place, e->key, e->group, slug);
}

static an_status visit_entry(void *ctx, const an_config_entry *e)
{
    const file_reading *f = ctx;
    char place[4096];
    snprintf(place, sizeof place, "%s:%d", f->name, e->line);
    if (e->group) AN_TRY(check_group(f->options, place, e));
    const an_option_slot *slot = an__option_find(f->options, e->key, strcspn(e->key, "@"));
    const int many = slot && slot->option->type == AN_PATHS;
    if (!slot && !e->group && is_group(f->options, e->key))      /* a heading; what stood below it may be commented out */
        return e->is_null ? AN_OK : an_fail(AN_ECONFIG, "%s: '%s' is a group; below it stand lines 'key: value'", place, e->key);
    if (slot && e->is_list && !many)
        return slot->option->flags & AN_PER_SITE ? an_fail(AN_ECONFIG, "%s: '%s' takes one value, not a list; for single layers set %s@LAYERS", place, e->key, slot->option->name)
                                                 : an_fail(AN_ECONFIG, "%s: '%s' takes one value, not a list", place, e->key);
    if (slot && e->is_null && !many && slot->option->type != AN_STRING) return an_fail(AN_ECONFIG, "%s: '%s' has no value", place, e->key);
    an_text joined = { 0 };
    for (size_t i = 0; i < e->count && !e->is_null; i++) {
        if (many && strchr(e->value[i], '\n')) {
            an_text_fini(&joined);
            return an_fail(AN_ECONFIG, "%s: '%s': a line break in a file name", place, e->key);
        }
        if (!many || *e->value[i]) an_text_add(&joined, "%s%s", joined.length ? "\n" : "", e->value[i]);
    }
    an_status status = an_text_status(&joined);
    if (status == AN_OK) status = set_value(f->options, e->key, an_text_get(&joined), AN_FROM_FILE, place, f->reading);
    an_text_fini(&joined);
    return status;
}

an_status an_options_read_yaml(an_options *o, const char *text, size_t size, const char *name)
{
    file_reading f = { o, name, ++o->reading };
    return an_config_read(text, size, name, visit_entry, &f);
}

an_status an_options_read_file(an_options *o, const char *path)
{
    char *text;
    size_t size;
    if (an_file_read(path, &text, &size) != AN_OK) return an_fail(AN_ECONFIG, "configuration %s", an_error_text());
    const an_status status = an_options_read_yaml(o, text, size, path);
    free(text);
    return status;
}

/* ---- environment ---- */

static an_status read_variable(an_options *o, const char *variable, size_t length, unsigned reading)
{
    const char *key = variable + 8;
    an_text place = { 0 }, lower = { 0 }, value = { 0 };
    an_text_put(&place, variable, length);
    for (const char *p = key; p < variable + length; p++) an_text_add(&lower, "%c", tolower((unsigned char)*p));
    an_text_add(&value, "%s", variable + length + 1);
    const an_option_slot *slot = an__option_find(o, an_text_get(&lower), strcspn(an_text_get(&lower), "@"));
    if (slot && slot->option->type == AN_PATHS)
        for (char *p = value.s; p && *p; p++) if (*p == ':') *p = '\n';
    an_status status = an_text_status(&place);
    if (status == AN_OK) status = an_text_status(&lower);
    if (status == AN_OK) status = an_text_status(&value);
    if (status == AN_OK) status = set_value(o, an_text_get(&lower), an_text_get(&value), AN_FROM_ENV, an_text_get(&place), reading);
    an_text_fini(&place);
    an_text_fini(&lower);
    an_text_fini(&value);
    return status;
}

an_status an_options_read_env(an_options *o, const char *const *environment, const char *others, int strict)
{
    const unsigned reading = ++o->reading;
    for (; environment && *environment; environment++) {
        const char *variable = *environment, *eq = strchr(variable, '=');
        if (strncmp(variable, "ADDNORM_", 8) != 0 || !eq) continue;
        const size_t length = (size_t)(eq - variable);
        if (an_text_in_list(others, '|', variable + 8, length - 8)) continue;
        if (!strict) {
            char lower[AN_NAME];
            size_t n = 0;
            for (const char *p = variable + 8; p < eq && *p != '@' && n < sizeof lower - 1; p++) lower[n++] = (char)tolower((unsigned char)*p);
            if (!an__option_find(o, lower, n)) continue;
        }
        AN_TRY(read_variable(o, variable, length, reading));
    }
    return AN_OK;
}

/* ---- command line ---- */

static int is_bool_word(const char *s)
{
    static const char *const WORDS[] = { "true", "false", "True", "False", "yes", "no", "on", "off", "1", "0" };
    for (size_t i = 0; s && i < sizeof WORDS / sizeof *WORDS; i++)
        if (strcmp(s, WORDS[i]) == 0) return 1;
    return 0;
}

/* `word` without its dashes, up to `n` the key; `inline_value` after "=" or NULL; `next` the argument after it or NULL.
 * *used: whether `next` was the value. */
static an_status read_flag(an_options *o, const char *dashes, const char *word, size_t n, const char *inline_value, const char *next, int *used)
{
    const an_option_slot *slot = an__option_find(o, word, strcspn(word, "@") < n ? strcspn(word, "@") : n);
    const char *key = an_arena_printf(&o->arena, "%.*s", (int)n, word), *place = an_arena_printf(&o->arena, "%s%.*s", dashes, (int)n, word), *value = inline_value;
    if (!key || !place) return no_memory();
    if (!slot && n > 3 && word[0] == 'n' && word[1] == 'o' && (word[2] == '-' || word[2] == '_')) {
        const an_option_slot *positive = an__option_find(o, word + 3, n - 3);
        if (positive && positive->option->type == AN_BOOL)
            return inline_value ? an_fail(AN_EUSAGE, "%s: takes no value", place) : set_value(o, key + 3, "false", AN_FROM_FLAG, place, 0);
    }
    if (!slot) return refuse_unknown(o, AN_FROM_FLAG, place, word, strcspn(word, "@") < n ? strcspn(word, "@") : n);
    if (!value && slot->option->type == AN_BOOL) {
        *used = is_bool_word(next);
        value = *used ? next : "true";
    } else if (!value && slot->option->alone) {
        *used = next && isdigit((unsigned char)next[0]);
        value = *used ? next : slot->option->alone;
    } else if (!value) {
        if (!next || (strncmp(next, "--", 2) == 0 && next[2])) return an_fail(AN_EUSAGE, "%s: a value is missing", place);
        *used = 1;
        value = next;
    }
    return set_value(o, key, value, AN_FROM_FLAG, place, 0);
}

an_status an_options_read_args(an_options *o, int argc, const char **argv, int *positional)
{
    int kept = 0, only_positional = 0;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
        int used = 0;
        if (!only_positional && strcmp(arg, "--") == 0) only_positional = 1;
        else if (only_positional || arg[0] != '-' || !arg[1]) argv[kept++] = arg;
        else if (arg[1] == '-') {
            const size_t n = strcspn(arg + 2, "=");
            AN_TRY(read_flag(o, "--", arg + 2, n, arg[2 + n] ? arg + 3 + n : NULL, next, &used));
        } else {
            const char letter[2] = { arg[1], '\0' };
            if (!an__option_find(o, letter, 1)) return an_fail(AN_EUSAGE, "unknown option '%s'; long options start with --", arg);
            AN_TRY(read_flag(o, "-", letter, 1, arg[2] ? arg + 2 + (arg[2] == '=') : NULL, next, &used));
        }
        i += used;
    }
    *positional = kept;
    return AN_OK;
}
