/* cli/cmd_sample.c
 * addnorm sample: text streams to stdout as it is drawn. Bytes that are not UTF-8 are shown as \xNN and a sequence that
 * is not complete yet is held back, so a terminal never sees half a character; --raw writes the bytes as they are. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "core/threads.h"
#include "train/generate.h"
#include "train/run.h"
#include "train/signals.h"

typedef struct sample_options { const char *prompt; int64_t tokens, top_k, seed, threads; double temperature, top_p; bool raw; } sample_options;
static sample_options settings;

#define AT(field) .at = AN_AT(sample_options, field), .group = "sampling", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "prompt", AN_STRING, "", NULL, "text to go on from; empty: a line break", AT(prompt), .aliases = "p" },
    { "tokens", AN_INT, "auto", "1..", "tokens to write; auto: what is left of the model's seq_len after the prompt", .words = "auto=0", AT(tokens), .aliases = "n max_new_tokens num_tokens" },
    { "temperature", AN_FLOAT, "1", ">=0", "divides the logits; 0: always the most likely token", AT(temperature), .aliases = "t temp" },
    { "top_k", AN_INT, "0", "0..", "only the k most likely tokens; 0: all", AT(top_k) },
    { "top_p", AN_FLOAT, "1", "(0,1]", "only the fewest tokens that together hold this probability", AT(top_p) },
    { "seed", AN_INT, "1337", "0..", "the same seed writes the same text", AT(seed) },
    { "threads", AN_INT, "0", "0..4096", "processor threads; 0: all that this process may use", AT(threads) },
    { "raw", AN_BOOL, "false", NULL, "write bytes as they are, valid UTF-8 or not", AT(raw) },
    AN_OPTION_END
};

an_status an_cmd_sample_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

typedef struct writer { an_utf8_stream stream; bool failed; size_t count; } writer;

static void put_text(writer *w, an_text *text)
{
    if (text->failed || (text->length && fwrite(text->s, 1, text->length, stdout) != text->length) || fflush(stdout) != 0) w->failed = true;
    an_text_fini(text);
}

static int put_token(void *ctx, int32_t token)
{
    writer *w = ctx;
    const char byte = (char)(unsigned char)token;
    an_text text = { 0 };
    w->count++;
    if (token > 255) an_text_add(&text, "<%d>", (int)token);   /* a vocabulary beyond the bytes has no text of its own */
    else if (settings.raw) an_text_put(&text, &byte, 1);
    else an_utf8_stream_put(&w->stream, &byte, 1, &text);
    put_text(w, &text);
    return w->failed || an_signals_stop();
}

static an_status write_sample(const an_cli *cli, an_saved_run *run)
{
    writer w = { 0 };
    an_text text = { 0 };
    const an_sampling sampling = { .temperature = settings.temperature, .top_k = (size_t)settings.top_k, .top_p = settings.top_p, .seed = (uint64_t)settings.seed };
    const size_t prompt_bytes = strlen(settings.prompt);
    if (settings.raw) an_text_put(&text, settings.prompt, prompt_bytes);
    else an_text_put_safe(&text, settings.prompt, prompt_bytes);
    put_text(&w, &text);
    const double began = an_clock();
    const size_t before = prompt_bytes ? prompt_bytes : 1, seq = run->model_config.seq_len, left = seq > before ? seq - before : 1;
    AN_TRY(an_generate(run->model, settings.prompt, prompt_bytes, settings.tokens ? (size_t)settings.tokens : left, &sampling, put_token, &w));
    an_text rest = { 0 };
    an_utf8_stream_end(&w.stream, &rest);
    an_text_add(&rest, settings.raw ? "" : "\n");
    put_text(&w, &rest);
    if (w.failed) return an_fail(AN_EIO, "output: cannot write the text");
    if (cli->verbose) fprintf(stderr, "%zu tokens, %.1f per second\n", w.count, (double)w.count / (an_clock() - began));
    return AN_OK;
}

an_status an_cmd_sample(an_cli *cli)
{
    an_saved_run *run = NULL;
    AN_TRY(an_cli_need_arguments(cli, 1, 1));
    an_signals_catch();
    an_status status = an_run_open(&run, cli->argument[0], 1, 0);
    if (status == AN_OK) {
        status = an_model_set_threads(run->model, settings.threads ? (int)settings.threads : an_threads_available());
        if (status == AN_OK) status = write_sample(cli, run);
    }
    an_run_close(&run);
    an_signals_release();
    return status;
}
