/* train/generate.c
 * The last token drawn is not fed back, so a text of n tokens needs a cache of n - 1 positions. */
#include "train/generate.h"

#include <stdlib.h>

#include "core/arena.h"

static an_status feed(an_decoder *decoder, const unsigned char *prompt, size_t bytes, const an_real **logits)
{
    for (size_t i = 0; i < bytes; i++) AN_TRY(an_decoder_step(decoder, prompt[i], logits));
    return AN_OK;
}

static an_status stream(an_decoder *decoder, const an_real *logits, size_t vocab, size_t tokens, const an_sampling *sampling, an_candidate *work, an_token_fn *put, void *ctx)
{
    for (size_t i = 0; i < tokens; i++) {
        int32_t token;
        AN_TRY(an_sample(sampling, logits, vocab, an_decoder_position(decoder), work, &token));
        if (put(ctx, token) != 0 || i + 1 == tokens) break;
        AN_TRY(an_decoder_step(decoder, token, &logits));
    }
    return AN_OK;
}

an_status an_generate(an_model *model, const void *prompt, size_t prompt_bytes, size_t tokens, const an_sampling *sampling, an_token_fn *put, void *ctx)
{
    AN_TRY(an_sampling_check(sampling));
    if (tokens == 0) return AN_OK;
    if (prompt_bytes == 0) prompt = "\n", prompt_bytes = 1;
    const size_t vocab = an_model_get_config(model)->vocab_size;
    size_t positions;
    if (!an_size_add(prompt_bytes, tokens - 1, &positions)) return an_fail(AN_ECONFIG, "tokens %zu: too many", tokens);
    an_decoder *decoder = NULL;
    an_status status = an_decoder_create(&decoder, model, positions);
    if (status != AN_OK) return an_fail_prefix(status, "prompt of %zu tokens and %zu more", prompt_bytes, tokens);
    const an_real *logits = NULL;
    an_candidate *work = an_alloc(vocab * sizeof *work);
    status = work ? feed(decoder, prompt, prompt_bytes, &logits) : an_fail(AN_ENOMEM, "sampling: no memory for %zu candidates", vocab);
    if (status == AN_OK) status = stream(decoder, logits, vocab, tokens, sampling, work, put, ctx);
    free(work);
    an_decoder_destroy(&decoder);
    return status;
}
