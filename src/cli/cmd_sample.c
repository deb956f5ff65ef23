/* cli/cmd_sample.c
 * addnorm sample: text streams to stdout as it is drawn. Bytes that are not UTF-8 are shown as \xNN and a sequence that
 * is not complete yet is held back, so a terminal never sees half a character; --raw writes the bytes as they are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/threads.h"
#include "train/generate.h"
#include "train/run.h"
#include "train/signals.h"

typedef struct sample_options { const char *prompt, *weights; int64_t tokens, samples, top_k, seed, threads; double temperature, top_p; bool raw; } sample_options;
static sample_options settings;

#define AT(field) .at = AN_AT(sample_options, field), .group = "sampling", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "prompt", AN_STRING, "", NULL, "text to go on from; empty: a line break", .at = AN_AT(sample_options, prompt), .group = "sampling", .aliases = "p", .flags = AN_EPHEMERAL | AN_ANY_BYTES },
    { "tokens", AN_INT, "auto", "1..", "tokens to write; auto: what is left of the model's seq_len after the prompt", .words = "auto=0", AT(tokens), .aliases = "n max_new_tokens num_tokens" },
    { "samples", AN_INT, "1", "1..4096", "continuations of the prompt, decoded as one batch; number i is the same text in any batch", AT(samples) },
    { "weights", AN_CHOICE, "auto", "auto|f32|bf16|int8", "how matrices are read: bf16 has half the bytes of f32, int8 a quarter; auto: f32", AT(weights) },
    { "temperature", AN_FLOAT, "1", ">=0", "divides the logits; 0: always the most likely token", AT(temperature), .aliases = "t temp" },
    { "top_k", AN_INT, "0", "0..", "only the k most likely tokens; 0: all", AT(top_k) },
    { "top_p", AN_FLOAT, "1", "(0,1]", "only the fewest tokens that together hold this probability", AT(top_p) },
    { "seed", AN_INT, "1337", "0..", "the same seed writes the same text", AT(seed) },
    { "threads", AN_INT, "0", "0..4096", "processor threads; 0: all that this process may use", AT(threads) },
    { "raw", AN_BOOL, "false", NULL, "write bytes as they are, valid UTF-8 or not", AT(raw) },
    AN_OPTION_END
};

an_status an_cmd_sample_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

/* One text streams to stdout; several are kept until all have ended, for they grow side by side. */
typedef struct writer { an_utf8_stream *stream; an_text *text; size_t samples, count; bool failed, quiet; } writer;

static void put_text(writer *w, an_text *text)
{
    if (text->failed || (text->length && fwrite(text->s, 1, text->length, stdout) != text->length) || fflush(stdout) != 0) w->failed = true;
    an_text_fini(text);
}

static int put_token(void *ctx, size_t sample, int32_t token)
{
    writer *w = ctx;
    const char byte = (char)(unsigned char)token;
    an_text *text = &w->text[sample];
    w->count++;
    if (token > 255) an_text_add(text, "<%d>", (int)token);   /* a vocabulary beyond the bytes has no text of its own */
    else if (settings.raw) an_text_put(text, &byte, 1);
    else an_utf8_stream_put(&w->stream[sample], &byte, 1, text);
    if (w->samples == 1) put_text(w, text);
    return w->failed || an_signals_stop();
}

/* What is read, then the prompt. */
static void begin(void *ctx, const an_decoder *decoder)
{
    writer *w = ctx;
    char size[AN_HUMAN];
    if (!w->quiet && strcmp(settings.weights, "auto") != 0) fprintf(stderr, "weights %s: %s read for each token\n", settings.weights, an_human_bytes(size, (double)an_decoder_weight_bytes(decoder)));
    if (w->samples == 1) put_text(w, &w->text[0]);
}

static an_store storage(void)
{
    return strcmp(settings.weights, "bf16") == 0 ? AN_STORE_BF16 : strcmp(settings.weights, "int8") == 0 ? AN_STORE_INT8 : AN_STORE_REAL;
}

/* The prompt, as it stands before every text. */
static void put_prompt(an_text *text, size_t bytes)
{
    if (settings.raw) an_text_put(text, settings.prompt, bytes);
    else an_text_put_safe(text, settings.prompt, bytes);
}

static an_status write_samples(an_saved_run *run, writer *w)
{
    const size_t prompt_bytes = strlen(settings.prompt), before = prompt_bytes ? prompt_bytes : 1, seq = run->model_config.seq_len, left = seq > before ? seq - before : 1;
    const an_generation g = { .prompt = settings.prompt, .prompt_bytes = prompt_bytes, .tokens = settings.tokens ? (size_t)settings.tokens : left, .samples = w->samples, .weights = storage(),
        .sampling = { .temperature = settings.temperature, .top_k = (size_t)settings.top_k, .top_p = settings.top_p, .seed = (uint64_t)settings.seed }, .begun = begin, .stop = an_signals_stop };
    for (size_t i = 0; i < w->samples; i++) put_prompt(&w->text[i], prompt_bytes);
    an_status status = an_generate_samples(run->model, &g, put_token, w);
    if (status == AN_OK && an_signals_stop() && w->count < g.tokens * w->samples) status = an_fail(AN_EINTERRUPTED, "interrupted after %zu of %zu tokens", w->count, g.tokens * w->samples);
    if (status != AN_OK && status != AN_EINTERRUPTED) return status;
    for (size_t i = 0; i < w->samples; i++) {
        an_utf8_stream_end(&w->stream[i], &w->text[i]);
        an_text_add(&w->text[i], settings.raw ? "" : "\n");
        if (w->samples > 1) printf("--- sample %zu of %zu\n", i + 1, w->samples);
        put_text(w, &w->text[i]);
    }
    AN_TRY(status);
    return an_cli_flush(stdout);
}

static an_status write_all(const an_cli *cli, an_saved_run *run)
{
    const size_t samples = (size_t)settings.samples;
    writer w = { .stream = an_alloc(samples * sizeof *w.stream), .text = an_alloc(samples * sizeof *w.text), .samples = samples, .quiet = cli->quiet };
    const double began = an_clock();
    const an_status status = w.stream && w.text ? write_samples(run, &w) : an_fail(AN_ENOMEM, "out of memory for %zu samples", samples);
    if (status == AN_OK && cli->verbose) fprintf(stderr, "%zu tokens, %.1f per second\n", w.count, (double)w.count / (an_clock() - began));
    for (size_t i = 0; w.text && i < samples; i++) an_text_fini(&w.text[i]);
    free(w.stream);
    free(w.text);
    return status;
}

an_status an_cmd_sample(an_cli *cli)
{
    an_saved_run *run = NULL;
    AN_TRY(an_cli_need_arguments(cli, 1, 1));
    an_signals_catch();
    an_status status = an_run_open(&run, cli->argument[0], 1, 0);
    if (status == AN_OK) {
        status = an_model_set_threads(run->model, settings.threads ? (int)settings.threads : an_threads_available());
        if (status == AN_OK) status = write_all(cli, run);
    }
    an_run_close(&run);
    an_signals_release();
    return status;
}
