/* cli/cmd_eval.c
 * addnorm eval: the whole validation part of the run's data, or all of a given file, every byte once. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "core/arena.h"
#include "core/threads.h"
#include "train/run.h"
#include "train/signals.h"

typedef struct eval_options { an_option_list data; int64_t threads, windows; } eval_options;
static eval_options settings;

#define AT(field) .at = AN_AT(eval_options, field), .group = "evaluation", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "data", AN_PATHS, "", NULL, "text file to evaluate, or IDX files of images and labels, all of it; none: the validation part of the run's own data", AT(data) },
    { "windows", AN_INT, "0", "0..", "at most this many windows of seq_len tokens, evenly spread; 0: all", AT(windows) },
    { "threads", AN_INT, "0", "0..4096", "processor threads; 0: all that this process may use", AT(threads) },
    AN_OPTION_END
};

an_status an_cmd_eval_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

static int tick(void *ctx, uint64_t done, uint64_t all)
{
    an_progress_part(ctx, "eval", (double)done, (double)all);
    return an_signals_stop();
}

static an_status evaluate(const an_cli *cli, an_saved_run *run, an_progress *progress, an_eval_result *result)
{
    an_data *data = NULL;
    an_stream *given = NULL;
    const size_t batch = (size_t)run->config.batch_size, seq = run->model_config.seq_len;
    const bool own = settings.data.count == 0;
    AN_TRY(own ? an_data_open_for(&data, &run->config, &run->model_config) : an_stream_open_for(&given, &settings.data, &run->model_config));
    if (own && an_data_fingerprint(data) != run->state.data_fingerprint) an_cli_warn_data(cli, cli->argument[0]);
    int32_t *tokens = an_alloc(batch * seq * sizeof *tokens), *targets = an_alloc(batch * seq * sizeof *targets);
    an_status status = tokens && targets ? AN_OK : an_fail(AN_ENOMEM, "eval: no memory for a batch");
    if (status == AN_OK) *result = an_evaluate(run->model, own ? an_data_val(data) : given, batch, seq, (uint64_t)settings.windows, tokens, targets, tick, progress);
    free(tokens);
    free(targets);
    an_data_close(&data);
    an_stream_close(&given);
    if (status == AN_OK && an_signals_stop()) status = an_fail(AN_EINTERRUPTED, "interrupted");
    return status;
}

static an_status print_result(const an_cli *cli, const an_saved_run *run, const an_eval_result *r)
{
    const bool images = run->model_config.image.side > 0;
    an_text text = { 0 };
    if (cli->json) {
        json_t *o = json_pack("{s:s, s:I, s:f, s:f, s:f, s:I}", "run", run->run, "step", (json_int_t)run->state.step, "loss", r->loss, "perplexity", r->perplexity, images ? "accuracy" : "bits_per_byte",
                              images ? r->accuracy : r->bits_per_byte, images ? "images" : "tokens", (json_int_t)r->tokens);
        if (o && !images) json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
        char *line = o ? json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(o);
        if (!line) return an_fail(AN_EDIVERGED, "eval: loss %g cannot be written as JSON", r->loss);
        an_text_add(&text, "%s\n", line);
        free(line);
    } else if (images) {
        an_text_add(&text, "loss           %.4f nats per image\naccuracy       %.2f %%\nimages         %llu\nstep           %llu\n", r->loss, 100 * r->accuracy, (unsigned long long)r->tokens, (unsigned long long)run->state.step);
    } else {
        an_text_add(&text, "loss           %.4f nats per token\nperplexity     %.4f\nbits per byte  %.4f\ntokens         %llu\nstep           %llu\n", r->loss, r->perplexity, r->bits_per_byte,
                    (unsigned long long)r->tokens, (unsigned long long)run->state.step);
    }
    return an_cli_print(stdout, &text);
}

an_status an_cmd_eval(an_cli *cli)
{
    an_saved_run *run = NULL;
    an_progress progress;
    an_eval_result result = { 0 };
    AN_TRY(an_cli_need_arguments(cli, 1, 1));
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    an_signals_catch();
    an_status status = an_run_open(&run, cli->argument[0], 0, 0);
    if (status == AN_OK) {
        status = an_model_set_threads(run->model, settings.threads ? (int)settings.threads : an_threads_available());
        if (status == AN_OK) status = evaluate(cli, run, &progress, &result);
    }
    an_progress_clear(&progress);
    if (status == AN_OK) status = print_result(cli, run, &result);
    an_run_close(&run);
    an_signals_release();
    return status;
}
