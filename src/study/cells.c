/* study/cells.c
 * From axes to cells. A cell's configuration is made in the order in which any run's is: the study's defaults, preset, files and base,
 * environment, flags, and on top the grid; so a base key that a value of the grid leaves without a meaning is passed by, not refused. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "study/study_impl.h"
#include "train/checksum.h"
#include "train/data.h"
#include "train/images.h"
#include "train/presets.h"

enum { MOST_CELLS = 10000, MOST_NAME = 120 };

/* Every step's loss is in the log, since the failure rule reads the last fifty; telemetry as often as in any run. */
static const char *const DEFAULTS[] = { "log_every", "1", "telemetry_every", "10", NULL };

/* Not part of what a cell is: what changes no result, and where a text lies, for the text itself is part of it. */
static const char PASSED_BY[] = "data|val_data|out|threads|save_every|keep_checkpoints|sample_every|sample_tokens";

static an_status no_memory(const an_study *s) { return an_fail(AN_ENOMEM, "%s: no memory", s->place); }

/* ---- one configuration ---- */

static an_status read_files(an_options *o, const char *paths)
{
    char path[4096];
    for (; *paths; paths += strcspn(paths, "\n"), paths += *paths == '\n') {
        snprintf(path, sizeof path, "%.*s", (int)strcspn(paths, "\n"), paths);
        AN_TRY(an_options_read_file(o, path));
    }
    return AN_OK;
}

static bool is_config(const an_study_setting *t) { return strcmp(t->key, "config") == 0; }

static an_status read_below_grid(const an_study *s, const an_study_cell *cell, an_options *o)
{
    const char *flag = s->flags ? an_options_text(s->flags, "preset") : "";
    AN_TRY(an_options_set_preset(o, "study", DEFAULTS));
    AN_TRY(an_preset_apply(o, *flag && strcmp(flag, "none") != 0 ? flag : s->preset ? s->preset : "none"));
    for (size_t i = 0; i < s->n_base; i++)
        if (is_config(&s->base[i])) AN_TRY(read_files(o, s->base[i].value));
    for (size_t i = 0; i < cell->n_settings; i++)
        if (is_config(&cell->setting[i])) AN_TRY(read_files(o, cell->setting[i].value));
    for (size_t i = 0; i < s->n_base; i++)
        if (!is_config(&s->base[i])) AN_TRY(an_options_set(o, s->base[i].key, s->base[i].value, AN_FROM_FILE, s->base[i].place));
    return s->flags ? an_options_copy(o, s->flags, AN_FROM_ENV) : AN_OK;
}

static an_status read_all(const an_study *s, const an_study_cell *cell, const char *design, an_options *o, an_train_config *config)
{
    an_model_config model;
    AN_TRY(read_below_grid(s, cell, o));
    for (size_t i = 0; i < cell->n_settings; i++) {
        const an_study_setting *t = &cell->setting[i];
        const an_option *row = an_options_find(o, t->key);
        if (is_config(t) || (design && strcmp(t->key, "design") == 0)) continue;
        if (row && row->type == AN_PATHS) AN_TRY(an_options_set(o, t->key, "", AN_FROM_FLAG, t->place));   /* in place of those of the command line, not beside them */
        AN_TRY(an_options_set(o, t->key, t->value, design ? AN_FROM_ENV : AN_FROM_FLAG, t->place));   /* below another design: what that leaves without a meaning is passed by */
    }
    if (cell->seed) AN_TRY(an_options_set(o, "seed", cell->seed, AN_FROM_FLAG, s->place));
    if (design) AN_TRY(an_options_set(o, "design", design, AN_FROM_FLAG, "design"));
    AN_TRY(an_options_resolve(o));
    AN_TRY(an_train_config_finish(config, o));
    AN_TRY(an_images_settle(o, &config->data));
    return an_model_config_read(&model, o);
}

an_status an_study_configure(const an_study *s, const an_study_cell *cell, const char *design, an_options **options, an_train_config *config)
{
    an_options *o;
    AN_TRY(an_run_options_create(&o, config));
    const an_status status = read_all(s, cell, design, o, config);
    if (status != AN_OK) an_options_destroy(&o);
    else *options = o;
    return status;
}

/* ---- what a cell is ---- */

/* The fingerprint of the text, or of the images, of one configuration; neighbours mostly share it, so the last one is kept. */
typedef struct text_memo { char *key; uint64_t fingerprint; } text_memo;

static an_status fingerprint(text_memo *memo, const an_options *o, const an_train_config *c, uint64_t *out)
{
    an_text key = { 0 };
    an_data *data;
    an_model_config model;
    AN_TRY(an_model_config_read(&model, o));
    an_text_add(&key, "%s|%s|%g|%zu", an_options_text(o, "data"), an_options_text(o, "val_data"), c->val_fraction, model.seq_len);
    an_text_add(&key, "|%zu|%zu|%zu|%lld", model.image.side, model.image.channels, model.image.classes, (long long)c->shapes);
    if (!memo->key || strcmp(memo->key, an_text_get(&key)) != 0) {
        const an_status status = an_data_open_for(&data, c, &model);
        if (status != AN_OK) {
            an_text_fini(&key);
            return status;
        }
        memo->fingerprint = an_data_fingerprint(data);
        an_data_close(&data);
        free(memo->key);
        memo->key = an_strdup(an_text_get(&key));
    }
    *out = memo->fingerprint;
    const an_status status = memo->key ? an_text_status(&key) : an_fail(AN_ENOMEM, "study: no memory");
    an_text_fini(&key);
    return status;
}

/* Raised when a default changes what a run computes, so that cells from before are others. */
static const char DEFAULTS_SINCE[] = "1";

typedef struct settings_sum { const an_options *options; an_checksum sum; } settings_sum;

static void add_setting(void *ctx, const char *key, const char *text, const char *place)
{
    settings_sum *s = ctx;
    (void)place;
    if (an_text_in_list(PASSED_BY, '|', key, strlen(key)) || an_options_is_default(s->options, key, text, strlen(text))) return;
    an_checksum_add(&s->sum, key, strlen(key) + 1);
    an_checksum_add(&s->sum, text, strlen(text) + 1);
}

/* Checksum of every setting in force that is not its default, without those that change no result, and of the text. Defaults are left out so that a
 * study survives an addnorm that has more options. */
static an_status identify(text_memo *memo, const an_options *o, const an_train_config *c, uint64_t *out)
{
    uint64_t text;
    settings_sum s = { .options = o };
    AN_TRY(fingerprint(memo, o, c, &text));
    an_checksum_init(&s.sum);
    an_checksum_add(&s.sum, DEFAULTS_SINCE, sizeof DEFAULTS_SINCE);
    an_options_walk(o, add_setting, &s);
    an_checksum_add(&s.sum, &text, sizeof text);
    *out = an_checksum_get(&s.sum);
    return AN_OK;
}

/* "design=post-ln,warmup=0,seed=1-5f0c2a91": of letters that are safe in any shell and file system. */
static an_status name_it(an_study *s, an_study_cell *cell)
{
    an_text name = { 0 };
    for (size_t i = 0; i < cell->n_settings; i++) {
        const an_study_setting *t = &cell->setting[i];
        an_text_add(&name, "%s%s=%s", i ? "," : "", t->key, is_config(t) ? an_path_base(t->value) : t->value);
    }
    if (cell->seed) an_text_add(&name, "%sseed=%s", name.length ? "," : "", cell->seed);
    for (size_t i = 0; i < name.length; i++)
        if (!isalnum((unsigned char)name.s[i]) && !strchr("._+-=,@", name.s[i])) name.s[i] = '_';
    cell->name = an_arena_printf(&s->arena, "%.*s-%08" PRIx32, MOST_NAME, an_text_get(&name), (uint32_t)(cell->identity ^ cell->identity >> 32));
    an_text_fini(&name);
    return cell->name ? AN_OK : no_memory(s);
}

char *an_study_path(const an_study *s, const char *folder, const char *name, const char *suffix)
{
    const size_t n = strlen(s->out) + strlen(folder) + strlen(name) + strlen(suffix) + 3;
    char *path = an_alloc(n);
    if (path) snprintf(path, n, "%s/%s/%s%s", s->out, folder, name, suffix);
    return path;
}

static an_status write_config(an_study *s, an_study_cell *cell, an_options *o)
{
    an_text yaml = { 0 };
    char *run = an_study_path(s, "cells", cell->name, "");
    an_status status = run ? an_options_set(o, "out", run, AN_FROM_FLAG, "the study's folder") : no_memory(s);
    an_options_changes(o, &yaml);
    if (status == AN_OK) status = an_text_status(&yaml);
    cell->config = an_arena_printf(&s->arena, "%s", an_text_get(&yaml));
    free(run);
    an_text_fini(&yaml);
    return status == AN_OK && !cell->config ? no_memory(s) : status;
}

/* ---- all cells ---- */

static bool is_own_failure(an_status status) { return status == AN_ENOMEM || status == AN_EIO; }

/* What the first combination that cannot run said; told when none can. */
typedef struct refusal { an_status status; char text[1024]; bool several; } refusal;   /* several: not all for the same reason */

static an_status make_cell(an_study *s, an_study_cell *cell, text_memo *memo, refusal *refused)
{
    an_options *o = NULL;
    an_train_config config;
    an_status status = an_study_configure(s, cell, NULL, &o, &config);
    if (status == AN_OK) status = identify(memo, o, &config, &cell->identity);
    if (status == AN_OK) status = name_it(s, cell);
    if (status == AN_OK) {
        cell->steps = (uint64_t)config.steps;
        status = write_config(s, cell, o);
    } else if (!is_own_failure(status)) {
        if (refused->status == AN_OK) snprintf(refused->text, sizeof refused->text, "%s", an_error_text());
        refused->several |= strncmp(refused->text, an_error_text(), sizeof refused->text - 1) != 0;
        if (refused->status == AN_OK) refused->status = status;
        cell->state = AN_CELL_SKIPPED;
        cell->reason = an_arena_printf(&s->arena, "%s", an_error_text());
        for (size_t i = 0; i < cell->n_settings; i++) cell->identity = 31 * cell->identity + an_checksum_of(cell->setting[i].value, strlen(cell->setting[i].value)) + i;
        cell->identity += cell->seed ? an_checksum_of(cell->seed, strlen(cell->seed)) : 0;
        status = cell->reason ? name_it(s, cell) : no_memory(s);
    }
    an_options_destroy(&o);
    return status;
}

static size_t find_identity(const an_study *s, uint64_t identity)
{
    for (size_t i = 0; i < s->n_cells; i++)
        if (s->cell[i].identity == identity) return i;
    return AN_NO_CELL;
}

/* One combination, with all seeds. */
static an_status add_group(an_study *s, const an_study_setting *setting, size_t n, text_memo *memo, refusal *refused)
{
    const an_study_group group = { s->n_cells, 0 };
    for (size_t i = 0; i < (s->n_seeds ? s->n_seeds : 1); i++) {
        an_study_cell cell = { .setting = setting, .n_settings = n, .seed = s->n_seeds ? s->seed[i] : NULL, .group = s->n_groups, .reference = AN_NO_CELL };
        AN_TRY(make_cell(s, &cell, memo, refused));
        if (find_identity(s, cell.identity) != AN_NO_CELL) {
            s->merged++;
            continue;
        }
        if (s->n_cells >= MOST_CELLS) return an_fail(AN_ECONFIG, "%s: more than %d cells; make several studies of it", s->place, MOST_CELLS);
        void *grown = an__record_room(s->cell, s->n_cells, sizeof *s->cell);
        if (!grown) return no_memory(s);
        s->cell = grown;
        s->cell[s->n_cells++] = cell;
    }
    if (s->n_cells == group.first) return AN_OK;
    void *grown = an__record_room(s->group, s->n_groups, sizeof *s->group);
    if (!grown) return no_memory(s);
    s->group = grown;
    s->group[s->n_groups++] = (an_study_group){ group.first, s->n_cells - group.first };
    return AN_OK;
}

/* Settings number `at` of the product of the n axes, the last one running fastest. */
static an_status combine(an_study *s, const an_axis *const *axis, size_t n, size_t at, an_study_setting **out, size_t *count)
{
    size_t keys = 0;
    for (size_t i = 0; i < n; i++) keys += axis[i]->n_keys;
    an_study_setting *setting = an_arena_alloc(&s->arena, (keys + 1) * sizeof *setting);
    if (!setting) return no_memory(s);
    *count = 0;
    size_t stride = 1;
    for (size_t i = 0; i < n; i++) stride *= axis[i]->n_values;
    for (size_t i = 0; i < n; i++) {
        stride /= axis[i]->n_values;
        const char **value = axis[i]->value + at / stride % axis[i]->n_values * axis[i]->n_keys;
        for (size_t k = 0; k < axis[i]->n_keys; k++)
            if (*value[k] || axis[i]->n_keys == 1) setting[(*count)++] = (an_study_setting){ axis[i]->key[k], value[k], axis[i]->place };
    }
    *out = setting;
    return AN_OK;
}

/* The product of the axes of one grid, named by its first axis. */
static an_status expand_grid(an_study *s, size_t first, text_memo *memo, refusal *refused)
{
    const an_axis **axis = an_alloc((s->n_axes + 1) * sizeof *axis);
    size_t n = 0, cells = 1;
    an_status status = axis ? AN_OK : no_memory(s);
    for (size_t i = first; axis && i < s->n_axes; i++)
        if (strcmp(s->axis[i].grid, s->axis[first].grid) == 0) axis[n++] = &s->axis[i];
    for (size_t i = 0; i < n && status == AN_OK; i++)
        if (!an_size_mul(cells, axis[i]->n_values, &cells) || cells > MOST_CELLS)
            status = an_fail(AN_ECONFIG, "%s: %s: more than %d combinations; make several studies of it", axis[i]->place, axis[i]->grid, MOST_CELLS);
    for (size_t at = 0; at < cells && status == AN_OK; at++) {
        an_study_setting *setting = NULL;
        size_t count = 0;
        status = combine(s, axis, n, at, &setting, &count);
        if (status == AN_OK) status = add_group(s, setting, count, memo, refused);
    }
    free(axis);
    return status;
}

static bool says_the_same(const an_study_cell *a, const an_study_cell *b)
{
    for (size_t i = 0; i < a->n_settings; i++) {
        const char *key = a->setting[i].key;
        if (strcmp(key, "design") != 0 && strcmp(key, "init") != 0 && strcmp(a->setting[i].value, an_cell_value(b, key)) != 0) return false;
    }
    return true;
}

/* A design that brings its own initialisation stands beside the first of Pre-LN's: what else the grid says of the two is alike. */
static size_t find_other_init(const an_study *s, const an_study_cell *cell)
{
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *c = &s->cell[i];
        if (c->state != AN_CELL_SKIPPED && c->seed == cell->seed && strcmp(an_cell_value(c, "design"), "pre-ln") == 0 && says_the_same(c, cell) && says_the_same(cell, c)) return i;
    }
    return AN_NO_CELL;
}

/* Pre-LN with everything else alike, where that is a cell. */
static an_status find_references(an_study *s, text_memo *memo)
{
    for (size_t i = 0; i < s->n_cells; i++) {
        an_options *o = NULL;
        an_train_config config;
        uint64_t identity;
        if (s->cell[i].state == AN_CELL_SKIPPED) continue;
        an_status status = an_study_configure(s, &s->cell[i], "pre-ln", &o, &config);
        if (status == AN_OK) status = identify(memo, o, &config, &identity);
        const size_t found = status == AN_OK ? find_identity(s, identity) : AN_NO_CELL;
        if (found != i) s->cell[i].reference = found == AN_NO_CELL ? find_other_init(s, &s->cell[i]) : found;
        an_options_destroy(&o);
        if (status == AN_ENOMEM) return status;
    }
    return AN_OK;
}

static an_status expand(an_study *s)
{
    text_memo memo = { 0 };
    refusal refused = { 0 };
    an_status status = s->n_axes ? AN_OK : add_group(s, NULL, 0, &memo, &refused);
    for (size_t i = 0; i < s->n_axes && status == AN_OK; i++) {
        bool known = false;
        for (size_t k = 0; k < i; k++) known |= strcmp(s->axis[k].grid, s->axis[i].grid) == 0;
        if (!known) status = expand_grid(s, i, &memo, &refused);
    }
    if (status == AN_OK) status = find_references(s, &memo);
    free(memo.key);
    if (status == AN_OK && an_study_count(s, AN_CELL_SKIPPED) == s->n_cells)
        return refused.several ? an_fail(refused.status, "none of %zu cells can run; the first: %s", s->n_cells, refused.text) : an_fail(refused.status, "%s", refused.text);
    return status;
}

/* ---- open and close ---- */

static an_status settle_folder(an_study *s, const char *name, const char *folder)
{
    if (!s->name) {
        char *own = an_arena_printf(&s->arena, "%.*s", (int)strcspn(an_path_base(name), "."), an_path_base(name));
        for (char *p = own; p && *p; p++)
            if (!isalnum((unsigned char)*p) && !strchr("_-", *p)) *p = '-';
        s->name = own && *own ? own : "study";
    }
    s->out = strcmp(folder, "auto") == 0 ? an_arena_printf(&s->arena, "studies/%s", s->name) : an_arena_printf(&s->arena, "%s", folder);
    return s->out ? AN_OK : no_memory(s);
}

an_status an_study_open(an_study **out, const an_study_source *source, const an_options *flags, const char *folder)
{
    an_study *s = an_alloc(sizeof *s);
    if (!s) return an_fail(AN_ENOMEM, "%s: no memory", source->place);
    s->flags = flags;
    s->threads = 1;
    s->place = an_arena_printf(&s->arena, "%s", source->place);
    an_status status = s->place ? an__study_read(s, source) : an_fail(AN_ENOMEM, "study: no memory");
    if (status == AN_OK) status = settle_folder(s, source->name, folder);
    if (status == AN_OK) status = expand(s);
    if (status != AN_OK) an_study_close(&s);
    else *out = s;
    return status;
}

void an_study_close(an_study **study)
{
    an_study *s = *study;
    if (!s) return;
    free(s->base);
    free(s->axis);
    free(s->cell);
    free(s->group);
    an_arena_fini(&s->arena);
    free(s);
    *study = NULL;
}
