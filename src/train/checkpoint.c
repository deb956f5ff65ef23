/* train/checkpoint.c
 * Saving and loading. The state is written last inside the temporary folder, the folder is renamed last of all: a crash
 * leaves either the old set of checkpoints and a ".tmp-" folder, or the new set. A checkpoint of the same step is
 * exchanged in one call, so at no moment is there less than one; on a file system that cannot it is put aside, and comes
 * back when the other does not get to its place. */
#include "train/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checkpoint_dir.h"
#include "train/safetensors.h"

/* The parameters under their own names, or one set of moments under prefix.NAME. */
static an_status fill_tensors(an_st_tensor *tensors, an_arena *names, const char *prefix, const an_model *model, an_optimizer *optimizer, an_real *(*part)(an_optimizer *, size_t))
{
    size_t count;
    const an_param *p = an_model_get_params(model, &count);
    for (size_t i = 0; i < count; i++) {
        an_st_tensor *t = &tensors[i];
        *t = (an_st_tensor){ .dtype = AN_REAL_DTYPE, .rank = p[i].rank, .data = part ? part(optimizer, i) : p[i].data };
        t->name = part ? an_arena_printf(names, "%s.%s", prefix, p[i].name) : p[i].name;
        if (!t->name) return an_fail(AN_ENOMEM, "checkpoint: no memory for names");
        memcpy(t->dim, p[i].dim, p[i].rank * sizeof *t->dim);
    }
    return AN_OK;
}

static an_status write_model(const char *folder, const char *model_config, const an_model *model, an_st_tensor *tensors, uint64_t *checksum)
{
    size_t count;
    const an_st_meta meta[] = { { "format", "pt" }, { "addnorm_config", model_config } };
    char *path = an_path_join(folder, "model.safetensors");
    an_model_get_params(model, &count);
    an_status status = path ? fill_tensors(tensors, NULL, NULL, model, NULL, NULL) : an_fail(AN_ENOMEM, "checkpoint: no memory");
    if (status == AN_OK) status = an_safetensors_write(path, tensors, count, meta, 2, checksum);
    free(path);
    return status;
}

static an_status write_optimizer(const char *folder, const an_model *model, an_optimizer *optimizer, an_st_tensor *tensors, uint64_t *checksum)
{
    size_t count;
    an_arena names = { 0 };
    const an_st_meta meta[] = { { "format", "pt" } };
    char *path = an_path_join(folder, "optimizer.safetensors");
    an_model_get_params(model, &count);
    an_status status = path ? fill_tensors(tensors, &names, "exp_avg", model, optimizer, an_optimizer_get_m) : an_fail(AN_ENOMEM, "checkpoint: no memory");
    if (status == AN_OK) status = fill_tensors(tensors + count, &names, "exp_avg_sq", model, optimizer, an_optimizer_get_v);
    if (status == AN_OK) status = an_safetensors_write(path, tensors, 2 * count, meta, 1, checksum);
    free(path);
    an_arena_fini(&names);
    return status;
}

static an_status write_files(const char *folder, an_run_state *state, const char *model_config, const an_model *model, an_optimizer *optimizer)
{
    size_t count;
    an_model_get_params(model, &count);
    an_st_tensor *tensors = an_alloc(2 * count * sizeof *tensors);
    char *path = an_path_join(folder, "state.json");
    an_status status = tensors && path ? an_dir_create(folder) : an_fail(AN_ENOMEM, "checkpoint: no memory for %zu tensors", count);
    if (status == AN_OK) status = write_model(folder, model_config, model, tensors, &state->model_checksum);
    if (status == AN_OK) status = write_optimizer(folder, model, optimizer, tensors, &state->optimizer_checksum);
    if (status == AN_OK) status = an_run_state_write(state, path);
    if (status == AN_OK) status = an_dir_sync(folder);
    free(tensors);
    free(path);
    return status;
}

/* Puts `temporary` at `final`; what was there before ends up at `temporary` or `aside`. */
static an_status put_in_place(const char *temporary, const char *final, const char *aside)
{
    int exchanged;
    if (!an_path_exists(final)) return an_path_rename(temporary, final);
    AN_TRY(an_path_exchange(temporary, final, &exchanged));
    if (exchanged) return AN_OK;
    AN_TRY(an_dir_remove(aside));                      /* of a save whose cleaning up failed; `final` is newer */
    AN_TRY(an_path_rename(final, aside));
    return an_path_rename(temporary, final);
}

static an_status save_at(const char *run, an_run_state *state, const char *model_config, const an_model *model, an_optimizer *optimizer, size_t keep, const char *final,
                         const char *temporary, const char *aside)
{
    an_status status = an_dir_remove(temporary);
    if (status == AN_OK) status = write_files(temporary, state, model_config, model, optimizer);
    if (status == AN_OK) status = put_in_place(temporary, final, aside);
    if (status == AN_OK) status = an_checkpoint_point(final);
    if (status == AN_OK) status = an__checkpoint_prune(run, state->step, keep);
    if (status != AN_OK) {
        char why[1024];                                /* cleaning up may fail too and must not hide the reason */
        snprintf(why, sizeof why, "%s", an_error_text());
        if (!an_path_exists(final) && an_path_exists(aside) && an_path_rename(aside, final) != AN_OK) { /* put back at the next start */ }
        if (an_dir_remove(temporary) != AN_OK) { /* removed at the next start */ }
        return an_fail(status, "checkpoint at step %llu: %s; older checkpoints are untouched", (unsigned long long)state->step, why);
    }
    if (an_path_exists(temporary)) AN_TRY(an_dir_remove(temporary));
    return an_path_exists(aside) ? an_dir_remove(aside) : AN_OK;
}

an_status an_checkpoint_save(const char *run, an_run_state *state, const char *model_config, const an_model *model, an_optimizer *optimizer, size_t keep, char **folder)
{
    char name[48], hidden[48], old[48];
    snprintf(name, sizeof name, "step-%08llu", (unsigned long long)state->step);
    snprintf(hidden, sizeof hidden, ".tmp-step-%08llu", (unsigned long long)state->step);
    snprintf(old, sizeof old, ".tmp-old-%08llu", (unsigned long long)state->step);
    char *final = an__checkpoint_path(run, name), *temporary = an__checkpoint_path(run, hidden), *aside = an__checkpoint_path(run, old);
    const an_status status = final && temporary && aside ? save_at(run, state, model_config, model, optimizer, keep, final, temporary, aside)
                                                         : an_fail(AN_ENOMEM, "checkpoint: no memory");
    free(temporary);
    free(aside);
    if (status == AN_OK && folder) *folder = final;
    else free(final);
    return status;
}

static an_status open_checked(const char *folder, const char *name, uint64_t checksum, an_safetensors **file)
{
    char *path = an_path_join(folder, name);
    if (!path) return an_fail(AN_ENOMEM, "%s: no memory", folder);
    an_status status = an_safetensors_open(file, path);
    if (status == AN_OK && an_safetensors_checksum(*file) != checksum) {
        status = an_fail(AN_EFORMAT, "%s: checksum does not match the one in state.json; the file was damaged or replaced", path);
        an_safetensors_close(file);
    }
    free(path);
    return status;
}

static an_status load_model(const an_safetensors *file, const char *folder, const char *model_config, an_model *model)
{
    size_t count;
    const an_param *p = an_model_get_params(model, &count);
    const char *stored = an_safetensors_meta(file, "addnorm_config");
    if (stored) AN_TRY(an_model_config_compare(stored, model_config, folder));
    an_model_params_written(model);
    for (size_t i = 0; i < count; i++) AN_TRY(an_safetensors_read(file, p[i].name, p[i].rank, p[i].dim, p[i].data));
    if (an_safetensors_count(file) == count) return AN_OK;
    return an_fail(AN_EFORMAT, "%s: model.safetensors has %zu tensors, the model %zu; the file is of another model", folder, an_safetensors_count(file), count);
}

static an_status load_optimizer(const an_safetensors *file, const char *folder, const an_model *model, an_optimizer *optimizer)
{
    size_t count;
    const an_param *p = an_model_get_params(model, &count);
    an_arena names = { 0 };
    an_status status = AN_OK;
    for (size_t i = 0; status == AN_OK && i < count; i++) {
        const char *m = an_arena_printf(&names, "exp_avg.%s", p[i].name), *v = an_arena_printf(&names, "exp_avg_sq.%s", p[i].name);
        if (!m || !v) status = an_fail(AN_ENOMEM, "%s: no memory for names", folder);
        if (status == AN_OK) status = an_safetensors_read(file, m, p[i].rank, p[i].dim, an_optimizer_get_m(optimizer, i));
        if (status == AN_OK) status = an_safetensors_read(file, v, p[i].rank, p[i].dim, an_optimizer_get_v(optimizer, i));
    }
    an_arena_fini(&names);
    return status;
}

static an_status load_files(const char *folder, const an_run_state *state, const char *model_config, an_model *model, an_optimizer *optimizer)
{
    an_safetensors *file = NULL;
    AN_TRY(open_checked(folder, "model.safetensors", state->model_checksum, &file));
    an_status status = load_model(file, folder, model_config, model);
    an_safetensors_close(&file);
    if (status != AN_OK || !optimizer) return status;
    AN_TRY(open_checked(folder, "optimizer.safetensors", state->optimizer_checksum, &file));
    status = load_optimizer(file, folder, model, optimizer);
    an_safetensors_close(&file);
    return status;
}

an_status an_checkpoint_load(const char *folder, const an_run_state *state, const char *model_config, an_model *model, an_optimizer *optimizer)
{
    return an_checkpoint_explain(folder, load_files(folder, state, model_config, model, optimizer));
}

/* The line "key: ..." of a configuration; NULL when it has none. *length without the newline. */
static const char *find_line(const char *config, const char *key, size_t key_length, size_t *length)
{
    for (const char *line = config; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, key, key_length) != 0 || line[key_length] != ':') continue;
        *length = strcspn(line, "\n");
        return line;
    }
    return NULL;
}

/* Is this line, "key: value", a default? Then a checkpoint from before there was such a key means the same. */
static bool is_default(const an_options *rows, const char *line, size_t key, size_t n)
{
    char name[AN_NAME];
    snprintf(name, sizeof name, "%.*s", (int)key, line);
    const size_t at = key + 1 + (line[key + 1] == ' ');
    return an_options_is_default(rows, name, line + at, n - at);
}

static an_status compare_lines(const an_options *rows, const char *stored, const char *wanted, const char *place)
{
    for (int swapped = 0; swapped < 2; swapped++) {
        const char *a = swapped ? wanted : stored, *b = swapped ? stored : wanted;
        for (const char *line = a; *line; line += strcspn(line, "\n"), line += *line == '\n') {
            const size_t key = strcspn(line, ":\n"), n = strcspn(line, "\n");
            size_t other_n = 0;
            if (line[key] != ':') continue;
            const char *other = find_line(b, line, key, &other_n);
            if (other && other_n == n && memcmp(line, other, n) == 0) continue;
            if (!other && swapped && is_default(rows, line, key, n)) continue;
            const char *here = line + key, *there = other ? other + key : ": not set";
            const int here_n = (int)(n - key), there_n = other ? (int)(other_n - key) : 9;
            return an_fail(AN_ECONFIG, "%s: the checkpoint is of another model: %.*s is%.*s there and%.*s here", place, (int)key, line, swapped ? there_n - 1 : here_n - 1,
                           (swapped ? there : here) + 1, swapped ? here_n - 1 : there_n - 1, (swapped ? here : there) + 1);
        }
    }
    return AN_OK;
}

an_status an_model_config_compare(const char *stored, const char *wanted, const char *place)
{
    an_options *rows = NULL;
    AN_TRY(an_options_create(&rows));
    an_status status = an_model_options_add(rows);
    if (status == AN_OK) status = compare_lines(rows, stored, wanted, place);
    an_options_destroy(&rows);
    return status;
}
