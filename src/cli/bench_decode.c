/* cli/bench_decode.c
 * Decoding GPT-2 124M with weights drawn at random: one token for each sequence of a batch, against the time of plainly reading as
 * many bytes as the weights in their storage and the cache take, which took turns with it. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "net/model.h"
#include "train/config.h"
#include "train/presets.h"

enum { CONTEXT = 1024, ROUNDS = 6, STREAM_PARTS = 256, MOST_BATCH = 8 };

typedef struct decoding { an_decoder *decoder; size_t position; int32_t token[MOST_BATCH]; } decoding;

static void step(void *ctx, size_t i, int thread)
{
    decoding *d = ctx;
    const an_real *logits;
    (void)i;
    (void)thread;
    an_decoder_seek(d->decoder, d->position);
    if (an_decoder_step_all(d->decoder, d->token, &logits) != AN_OK) return;   /* tokens and positions are this file's own */
}

/* The best step and the best reading of as many bytes, in turn. */
static an_status race(an_bench *bench, decoding *d, an_bench_row *row)
{
    an_block block;
    an_bench turn = *bench, serial = *bench;
    turn.seconds = serial.seconds = bench->seconds / ROUNDS;
    serial.threads = 1;                                  /* the decoder deals its work to the threads itself */
    AN_TRY(an_block_init(&block, (size_t)row->bytes / sizeof(an_real) + 16 * STREAM_PARTS, "bench: an array to read"));
    memset(block.data, 0, block.count * sizeof(an_real));
    an_bench_stream s = { .count = (size_t)row->bytes / sizeof(float) / (16 * STREAM_PARTS) * (16 * STREAM_PARTS), .parts = STREAM_PARTS, .reads = 1 };
    s.array[0] = (float *)(void *)block.data;
    row->seconds = row->stream = 1e30;
    for (int i = 0; i < ROUNDS; i++) {
        const double one = an_bench_time(&serial, 1, step, d), read = an_bench_time(&turn, STREAM_PARTS, an_bench_stream_part, &s);
        if (one < row->seconds) row->seconds = one;
        if (read < row->stream) row->stream = read;
    }
    an_block_fini(&block);
    return AN_OK;
}

static an_status measure(an_bench *bench, an_model *model, size_t batch, an_store weights, size_t context)
{
    static const char *const STORE[] = { "f32", "bf16", "int8" };
    decoding d = { .position = context };
    an_bench_row row = { .group = "decode", .tokens = (double)batch };
    for (size_t b = 0; b < batch; b++) d.token[b] = (int32_t)(17 * b + 5);
    snprintf(row.name, sizeof row.name, "GPT-2 124M, weights %s", STORE[weights]);
    snprintf(row.shape, sizeof row.shape, "batch %zu, context %zu", batch, context);
    if (bench->tick) bench->tick(bench->ctx, row.name);
    AN_TRY(an_decoder_create_for(&d.decoder, model, &(an_decoder_shape){ .tokens = CONTEXT, .batch = batch, .weights = weights }));
    an_decoder_seek(d.decoder, context);
    row.bytes = (double)(an_decoder_weight_bytes(d.decoder) + an_decoder_cache_bytes(d.decoder));
    row.flops = 2.0 * (double)batch * (double)an_model_param_count(model);
    an_status status = race(bench, &d, &row);
    if (status == AN_OK) status = an_bench_add(bench, &row);
    an_decoder_destroy(&d.decoder);
    return status;
}

static an_status all(an_bench *bench, an_options *options, an_train_config *config, an_model **model)
{
    static const size_t BATCH[] = { 1, MOST_BATCH }, PLACE[] = { 128, 1000 };
    an_model_config shape;
    AN_TRY(an_options_resolve(options));
    AN_TRY(an_train_config_finish(config, options));
    AN_TRY(an_model_config_read(&shape, options));
    AN_TRY(an_model_create(model, &shape, options, &(an_model_shape){ .batch = 1, .seq = 1 }));
    AN_TRY(an_model_set_threads(*model, bench->threads));
    an_model_init_params(*model, 1);
    for (size_t b = 0; b < 2; b++)
        for (size_t p = 0; p < 2; p++)
            for (int w = AN_STORE_REAL; w < AN_STORES; w++) AN_TRY(measure(bench, *model, BATCH[b], (an_store)w, PLACE[p]));
    return AN_OK;
}

an_status an_bench_decode(an_bench *bench)
{
    an_options *options = NULL;
    an_train_config config;
    an_model *model = NULL;
    an_status status = an_run_options_create(&options, &config);
    if (status == AN_OK) status = an_preset_apply(options, "gpt2-124m");
    if (status == AN_OK) status = an_options_set_preset(options, "bench", (const char *const[]){ "dropout", "0", NULL });
    if (status == AN_OK) status = all(bench, options, &config, &model);
    an_model_destroy(&model);
    an_options_destroy(&options);
    return status;
}
