/* train/generate.c
 * The last token drawn is not fed back, so a text of n tokens needs a cache of n - 1 positions. All samples of a batch are as far
 * along; one that has ended rests. */
#include "train/generate.h"

#include <stdlib.h>

#include "core/arena.h"

typedef struct batch {
    const an_generation *g;
    an_decoder *decoder;
    const an_real *logits;
    size_t vocab;
    int32_t *token;                /* [samples] the next to feed; -1: has ended */
    an_candidate *work;            /* [vocab] */
} batch;

static an_status feed_prompt(batch *b)
{
    static const unsigned char NEWLINE = '\n';
    const unsigned char *prompt = b->g->prompt_bytes ? b->g->prompt : &NEWLINE;
    const size_t bytes = b->g->prompt_bytes ? b->g->prompt_bytes : 1;
    for (size_t i = 0; i < bytes; i++) {
        if (b->g->stop && b->g->stop()) return an_fail(AN_EINTERRUPTED, "interrupted after %zu of the %zu tokens of the prompt", i, bytes);
        for (size_t s = 0; s < b->g->samples; s++) b->token[s] = prompt[i];
        AN_TRY(an_decoder_step_all(b->decoder, b->token, &b->logits));
    }
    return AN_OK;
}

/* Draws the next token of every sample that goes on; *alive tells whether any does. */
static an_status draw(batch *b, size_t position, an_sample_fn *put, void *ctx, bool *alive)
{
    *alive = false;
    for (size_t s = 0; s < b->g->samples; s++) {
        an_sampling sampling = b->g->sampling;
        sampling.sequence += s;
        if (b->token[s] < 0) continue;
        AN_TRY(an_sample(&sampling, b->logits + s * b->vocab, b->vocab, position, b->work, &b->token[s]));
        if (put(ctx, s, b->token[s]) != 0) b->token[s] = -1;
        else *alive = true;
    }
    return AN_OK;
}

static an_status run(batch *b, an_sample_fn *put, void *ctx)
{
    const size_t before = b->g->prompt_bytes ? b->g->prompt_bytes : 1;
    if (!b->token || !b->work) return an_fail(AN_ENOMEM, "sampling: no memory for %zu samples of %zu candidates", b->g->samples, b->vocab);
    if (b->g->begun) b->g->begun(ctx, b->decoder);
    AN_TRY(feed_prompt(b));
    bool alive = true;
    for (size_t i = 0; alive; i++) {
        AN_TRY(draw(b, before + i, put, ctx, &alive));
        if (i + 1 == b->g->tokens) break;
        if (alive) AN_TRY(an_decoder_step_all(b->decoder, b->token, &b->logits));
    }
    return AN_OK;
}

an_status an_generate_samples(an_model *model, const an_generation *g, an_sample_fn *put, void *ctx)
{
    AN_TRY(an_sampling_check(&g->sampling));
    if (g->samples == 0) return an_fail(AN_EUSAGE, "0 samples; ask for at least 1");
    if (g->tokens == 0) return AN_OK;
    batch b = { .g = g, .vocab = an_model_get_config(model)->vocab_size };
    const size_t before = g->prompt_bytes ? g->prompt_bytes : 1;
    size_t positions;
    if (!an_size_add(before, g->tokens - 1, &positions)) return an_fail(AN_ECONFIG, "tokens %zu: too many", g->tokens);
    an_status status = an_decoder_create_for(&b.decoder, model, &(an_decoder_shape){ .tokens = positions, .batch = g->samples, .weights = g->weights });
    if (status != AN_OK) return an_fail_prefix(status, "prompt of %zu tokens and %zu more", before, g->tokens);
    b.token = an_alloc(g->samples * sizeof *b.token);
    b.work = an_alloc(b.vocab * sizeof *b.work);
    status = run(&b, put, ctx);
    free(b.token);
    free(b.work);
    an_decoder_destroy(&b.decoder);
    return status;
}

typedef struct single { an_token_fn *put; void *ctx; } single;
static int put_single(void *ctx, size_t sample, int32_t token)
{
    const single *one = ctx;
    (void)sample;
    return one->put(one->ctx, token);
}

an_status an_generate(an_model *model, const void *prompt, size_t prompt_bytes, size_t tokens, const an_sampling *sampling, an_token_fn *put, void *ctx)
{
    const an_generation g = { .prompt = prompt, .prompt_bytes = prompt_bytes, .tokens = tokens, .samples = 1, .sampling = *sampling };
    return an_generate_samples(model, &g, put_single, &(single){ put, ctx });
}
