/* train/run.c
 * The configuration comes from the checkpoint, not from config.yaml beside it: it is covered by a checksum and belongs to
 * exactly those tensors. */
#include "train/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checkpoint.h"
#include "train/memory.h"

static an_status read_state(const char *folder, an_run_state *state)
{
    char *path = an_path_join(folder, "state.json");
    const an_status status = path ? an_checkpoint_explain(folder, an_run_state_read(state, path)) : an_fail(AN_ENOMEM, "%s: no memory", folder);
    free(path);
    return status;
}

static an_status read_config(an_options *options, const char *folder)
{
    an_run_state state;
    AN_TRY(read_state(folder, &state));
    const an_status status = an_options_read_yaml(options, state.config, strlen(state.config), folder);
    an_run_state_fini(&state);
    return status;
}

an_status an_run_enter(const an_options *options, int *lock)
{
    const char *resume = an_options_text(options, "resume"), *out = an_options_text(options, "out");
    if (resume[0] && strcmp(resume, "auto") != 0 && an_options_source(options, "out") <= AN_FROM_FILE) return an_checkpoint_enter(resume, lock);
    return strcmp(out, "auto") == 0 ? AN_OK : an_checkpoint_enter(out, lock);
}

static an_status find_config(an_options *options, const char *resume)
{
    const char *path = resume;
    char *folder;
    int exists;
    if (strcmp(resume, "auto") == 0) {
        path = an_options_text(options, "out");
        if (strcmp(path, "auto") == 0) return an_fail(AN_EUSAGE, "resume auto: needs the run folder; name it with --out");
        AN_TRY(an_checkpoint_exists(path, &exists));
        if (!exists) return AN_OK;
    }
    AN_TRY(an_checkpoint_find(path, &folder));
    const an_status status = read_config(options, folder);
    free(folder);
    return status;
}

an_status an_run_read_config(an_options *options)
{
    const char *resume = an_options_text(options, "resume");
    int lock = -1;
    if (resume[0] == '\0') return AN_OK;
    AN_TRY(an_run_enter(options, &lock));
    const an_status status = find_config(options, resume);
    if (lock >= 0) close(lock);
    return status;
}

static an_status build_model(an_saved_run *r, size_t batch, size_t seq)
{
    an_text text = { 0 };
    AN_TRY(an_options_resolve(r->options));
    AN_TRY(an_train_config_finish(&r->config, r->options));
    AN_TRY(an_model_config_read(&r->model_config, r->options));
    const an_model_shape shape = { .batch = batch ? batch : (size_t)r->config.batch_size, .seq = seq ? seq : r->model_config.seq_len };
    AN_TRY(an_memory_explain(an_model_create(&r->model, &r->model_config, r->options, &shape)));
    const int threads = an_train_config_threads(&r->config);
    AN_TRY(an_model_set_threads(r->model, threads));
    AN_TRY(an_memory_check(an_memory_predict(r->model, 0, threads), an_memory_available()));
    an_status status = an_model_config_text(r->options, &text);
    if (status == AN_OK) status = an_checkpoint_load(r->folder, &r->state, an_text_get(&text), r->model, NULL);
    an_text_fini(&text);
    return status;
}

an_status an_run_open(an_saved_run **out, const char *path, size_t batch, size_t seq)
{
    an_saved_run *r = an_alloc(sizeof *r);
    if (!r) return an_fail(AN_ENOMEM, "%s: no memory", path);
    an_status status = an_checkpoint_find(path, &r->folder);
    if (status == AN_OK && !(r->run = an_checkpoint_run(r->folder))) status = an_fail(AN_ENOMEM, "%s: no memory", path);
    if (status == AN_OK) status = read_state(r->folder, &r->state);
    if (status == AN_OK) status = an_run_options_create(&r->options, &r->config);
    if (status == AN_OK) status = an_options_read_yaml(r->options, r->state.config, strlen(r->state.config), r->folder);
    if (status == AN_OK) status = build_model(r, batch, seq);
    if (status != AN_OK) an_run_close(&r);
    else *out = r;
    return status;
}

void an_run_close(an_saved_run **run)
{
    an_saved_run *r = *run;
    if (!r) return;
    an_model_destroy(&r->model);
    an_options_destroy(&r->options);
    an_run_state_fini(&r->state);
    free(r->folder);
    free(r->run);
    free(r);
    *run = NULL;
}
