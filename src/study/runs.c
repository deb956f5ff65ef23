/* study/runs.c
 * From folders to records, and what differs between them. */
#include "study/runs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

static an_status no_memory(void) { return an_fail(AN_ENOMEM, "report: no memory"); }

/* ---- which runs ---- */

typedef struct paths { const char **path; size_t n; } paths;

static an_status add_path(an_runs *runs, paths *list, const char *path)
{
    const char **grown = an__record_room(list->path, list->n, sizeof *grown), *copy = an_arena_printf(&runs->arena, "%s", path);
    if (grown) list->path = grown;
    if (!grown || !copy) return no_memory();
    list->path[list->n++] = copy;
    return AN_OK;
}

/* The run folders inside `folder`; `inside`: how many. */
static an_status add_inside(an_runs *runs, paths *list, const char *folder, size_t *inside)
{
    char **names;
    size_t n;
    AN_TRY(an_dir_list(folder, &names, &n));
    an_status status = AN_OK;
    for (size_t i = 0; i < n && status == AN_OK; i++) {
        char *path = an_path_join(folder, names[i]);
        if (!path) status = no_memory();
        else if (an_is_run_folder(path)) {
            status = add_path(runs, list, path);
            ++*inside;
        }
        free(path);
    }
    an_dir_list_free(names, n);
    return status;
}

static an_status read_study(an_runs *runs, const char *folder)
{
    json_error_t error;
    char *path = an_path_join(folder, "study.json");
    if (!path) return no_memory();
    if (!runs->study && an_path_exists(path)) {
        runs->study = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
        if (!runs->study) snprintf(runs->why, sizeof runs->why, "%s:%d: %.120s", path, error.line, error.text), runs->unread++;
    }
    free(path);
    return AN_OK;
}

static an_status expand(an_runs *runs, paths *list, const char *path, bool *alone)
{
    size_t inside = 0;
    *alone = an_is_run_folder(path) || !an_path_is_dir(path);
    if (*alone) return add_path(runs, list, path);                    /* what is no folder is refused where it is read */
    char *cells = an_path_join(path, "cells");
    if (!cells) return no_memory();
    an_status status = an_path_is_dir(cells) ? add_inside(runs, list, cells, &inside) : AN_OK;
    free(cells);
    if (status == AN_OK && inside) status = read_study(runs, path);
    if (status == AN_OK && !inside) status = add_inside(runs, list, path, &inside);
    if (status == AN_OK && !inside) return an_fail(AN_EDATA, "%s: neither a run folder nor a folder of runs; name a folder that addnorm train or study wrote", path);
    return status;
}

static an_status read_all(an_runs *runs, const paths *list, const bool *alone)
{
    runs->record = an_alloc((list->n + 1) * sizeof *runs->record);
    if (!runs->record) return no_memory();
    for (size_t i = 0; i < list->n; i++) {
        const an_status status = an_record_read(&runs->record[runs->n], list->path[i], list->n <= AN_RUNS_SIDE_BY_SIDE);
        if (status == AN_OK) runs->n++;
        else if (status == AN_ENOMEM || alone[i]) return status;
        else if (runs->unread++ == 0) snprintf(runs->why, sizeof runs->why, "%s", an_error_text());
    }
    return runs->n ? AN_OK : an_fail(AN_EDATA, "no run can be read; the first: %s", runs->why);
}

static an_status find_runs(an_runs *runs, const char *const *path, size_t n)
{
    paths list = { 0 };
    bool *alone = NULL, one = true;
    an_status status = AN_OK;
    for (size_t i = 0; i < n && status == AN_OK; i++) {
        const size_t before = list.n;
        status = expand(runs, &list, path[i], &one);
        bool *grown = an_realloc(alone, list.n + 1);
        if (grown) alone = grown;
        else status = no_memory();
        for (size_t k = before; grown && k < list.n; k++) alone[k] = one;
    }
    if (n == 1 && !one) runs->folder = path[0];
    if (status == AN_OK) status = read_all(runs, &list, alone);
    free(list.path);
    free(alone);
    return status;
}

/* ---- what differs ---- */

typedef struct wanted { const char *key, *text; } wanted;

static void find_override(void *ctx, const char *key, const char *text, const char *place)
{
    wanted *w = ctx;
    (void)place;
    if (strcmp(key, w->key) == 0) w->text = text;
}

const char *an_runs_text(const an_runs *runs, size_t run, const an_runs_key *key)
{
    const an_options *o = runs->record[run]->options;
    wanted w = { key->key, "" };
    if (key->row) return an_options_in_use(o, key->key) ? an_options_text(o, key->key) : "";
    an_options_walk(o, find_override, &w);
    return w.text;
}

typedef struct key_list { an_runs *runs; bool failed; } key_list;

static void add_key(key_list *l, const char *key, const an_option *row)
{
    an_runs *r = l->runs;
    for (size_t i = 0; i < r->n_keys; i++)
        if (strcmp(r->key[i].key, key) == 0) return;
    an_runs_key *grown = an__record_room(r->key, r->n_keys, sizeof *grown);
    const char *copy = an_arena_printf(&r->arena, "%s", key);
    if (grown) r->key = grown;
    if (grown && copy) r->key[r->n_keys++] = (an_runs_key){ .key = copy, .row = row };
    else l->failed = true;
}

static void add_override(void *ctx, const char *key, const char *text, const char *place)
{
    (void)text;
    (void)place;
    if (strchr(key, '@')) add_key(ctx, key, NULL);
}

static an_status compare(an_runs *runs)
{
    key_list l = { .runs = runs };
    const an_options *first = runs->record[0]->options;
    for (size_t i = 0; i < an_options_count(first); i++) {
        const an_option *row = an_options_row(first, i);
        bool used = false;
        for (size_t k = 0; k < runs->n && !used; k++) used = an_options_in_use(runs->record[k]->options, row->name) != 0;
        if (used && !(row->flags & AN_EPHEMERAL)) add_key(&l, row->name, row);
    }
    for (size_t k = 0; k < runs->n; k++) an_options_walk(runs->record[k]->options, add_override, &l);
    for (size_t i = 0; i < runs->n_keys; i++)
        for (size_t k = 1; k < runs->n && !runs->key[i].differs; k++)
            runs->key[i].differs = strcmp(runs->key[i].key, "out") != 0 && strcmp(an_runs_text(runs, 0, &runs->key[i]), an_runs_text(runs, k, &runs->key[i])) != 0;
    return l.failed ? no_memory() : AN_OK;
}

static const an_runs_key *choose_group(const an_runs *runs)
{
    static const char *const BEFORE[] = { "design", "norm" };
    const an_runs_key *last = NULL;
    for (size_t b = 0; b < sizeof BEFORE / sizeof *BEFORE; b++)
        for (size_t i = 0; i < runs->n_keys; i++)
            if (runs->key[i].differs && strcmp(runs->key[i].key, BEFORE[b]) == 0) return &runs->key[i];
    for (size_t i = 0; i < runs->n_keys; i++) {
        if (!runs->key[i].differs) continue;
        if (strcmp(runs->key[i].key, "seed") != 0) return &runs->key[i];
        last = &runs->key[i];
    }
    return last;
}

/* What tells a run from others besides its seed, in the arena; NULL: no memory. */
static const char *say_settings(an_runs *runs, size_t run)
{
    an_text text = { 0 };
    for (size_t i = 0; i < runs->n_keys; i++) {
        const char *value = runs->key[i].differs && strcmp(runs->key[i].key, "seed") != 0 ? an_runs_text(runs, run, &runs->key[i]) : "";
        if (*value) an_text_add(&text, "%s%s=%s", text.length ? ", " : "", runs->key[i].key, value);
    }
    const char *copy = text.failed ? NULL : an_arena_printf(&runs->arena, "%s", text.length ? an_text_get(&text) : "all runs");
    an_text_fini(&text);
    return copy;
}

/* Has the set a run before this one with its seed? The same run twice is not two seeds. */
static bool has_seed(const an_runs *runs, size_t set, size_t run)
{
    const char *seed = an_options_text(runs->record[run]->options, "seed");
    bool found = false;
    for (size_t i = 0; i < run && !found; i++) found = runs->set[i] == set && strcmp(an_options_text(runs->record[i]->options, "seed"), seed) == 0;
    return found;
}

static an_status divide(an_runs *runs)
{
    runs->set = an_alloc(runs->n * sizeof *runs->set);
    runs->set_name = an_alloc(runs->n * sizeof *runs->set_name);
    if (!runs->set || !runs->set_name) return no_memory();
    for (size_t i = 0; i < runs->n; i++) {
        const char *name = say_settings(runs, i);
        size_t k = 0;
        if (!name) return no_memory();
        while (k < runs->n_sets && (strcmp(runs->set_name[k], name) != 0 || has_seed(runs, k, i))) k++;
        if (k == runs->n_sets) runs->set_name[runs->n_sets++] = name;
        runs->set[i] = k;
    }
    return AN_OK;
}

/* Up to a dozen runs have a colour each; more share that of their group. */
static an_status group(an_runs *runs)
{
    runs->group = an_alloc(runs->n * sizeof *runs->group);
    runs->group_name = an_alloc(runs->n * sizeof *runs->group_name);
    if (!runs->group || !runs->group_name) return no_memory();
    runs->grouped_by = runs->n > AN_RUNS_SIDE_BY_SIDE ? choose_group(runs) : NULL;
    for (size_t i = 0; i < runs->n; i++) {
        const char *value = runs->grouped_by ? an_runs_text(runs, i, runs->grouped_by) : "";
        size_t g = runs->n > AN_RUNS_SIDE_BY_SIDE ? 0 : i;
        if (runs->grouped_by) while (g < runs->n_groups && strcmp(runs->group_name[g], value) != 0) g++;
        if (runs->grouped_by && g == runs->n_groups) runs->group_name[runs->n_groups++] = value;
        runs->group[i] = g;
    }
    return AN_OK;
}

static an_status name_runs(an_runs *runs)
{
    runs->name = an_alloc(runs->n * sizeof *runs->name);
    if (!runs->name) return no_memory();
    bool unique = true;
    for (size_t i = 0; i < runs->n && unique && runs->n <= AN_RUNS_SIDE_BY_SIDE; i++)
        for (size_t k = 0; k < i; k++) unique &= strcmp(runs->record[i]->name, runs->record[k]->name) != 0;
    for (size_t i = 0; i < runs->n; i++) runs->name[i] = unique ? runs->record[i]->name : runs->record[i]->run;
    return AN_OK;
}

an_status an_runs_open(an_runs *runs, const char *const *path, size_t n)
{
    *runs = (an_runs){ 0 };
    AN_TRY(find_runs(runs, path, n));
    AN_TRY(name_runs(runs));
    AN_TRY(compare(runs));
    AN_TRY(divide(runs));
    return group(runs);
}

void an_runs_close(an_runs *runs)
{
    for (size_t i = 0; i < runs->n; i++) an_record_destroy(&runs->record[i]);
    free(runs->record);
    free(runs->name);
    free(runs->set);
    free(runs->set_name);
    free(runs->group);
    free(runs->group_name);
    free(runs->key);
    json_decref(runs->study);
    an_arena_fini(&runs->arena);
    *runs = (an_runs){ 0 };
}
