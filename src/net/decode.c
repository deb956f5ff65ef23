/* net/decode.c
 * Decoding one token at a time: the same emitters with attention over a cache, batch 1, one row per step. */
#include <stdlib.h>
#include <string.h>

#include "net/model_impl.h"

struct an_decoder {
    an_model model;                /* a plan of its own over the parent's parameters */
    size_t position, max_tokens;
};

an_status an_decoder_create(an_decoder **out, an_model *parent, size_t max_tokens)
{
    if (max_tokens == 0) return an_fail(AN_EUSAGE, "decoding 0 tokens; ask for at least 1");
    if (max_tokens > parent->config.seq_len && strcmp(parent->config.position, "learned") == 0)
        return an_fail(AN_ECONFIG, "%zu tokens go beyond the learned position table of seq_len %zu; ask for at most %zu, or train with rotary or sinusoidal positions",
                       max_tokens, parent->config.seq_len, parent->config.seq_len);
    an_decoder *d = an_alloc(sizeof *d);
    if (!d) return an_fail(AN_ENOMEM, "out of memory for a decoder");
    d->model = (an_model){ .config = parent->config, .options = parent->options, .shape = { .batch = 1, .seq = 1, .logits = true }, .params = parent->params, .threads = parent->threads };
    d->max_tokens = max_tokens;
    const an_status status = an_model_build(&d->model, max_tokens);
    if (status != AN_OK) an_decoder_destroy(&d);
    else *out = d;
    return status;
}

void an_decoder_destroy(an_decoder **decoder)
{
    if (!decoder || !*decoder) return;
    an_plan_destroy(&(*decoder)->model.plan);
    free((*decoder)->model.list);
    free(*decoder);
    *decoder = NULL;
}

void an_decoder_reset(an_decoder *d) { d->position = 0; }
size_t an_decoder_position(const an_decoder *d) { return d->position; }

an_status an_decoder_step(an_decoder *d, int32_t token, const an_real **logits)
{
    if (d->position >= d->max_tokens) return an_fail(AN_EUSAGE, "token %zu is past the %zu this decoder was made for", d->position + 1, d->max_tokens);
    if (token < 0 || (size_t)token >= d->model.config.vocab_size) return an_fail(AN_EUSAGE, "token %d is outside the vocabulary of %zu", token, d->model.config.vocab_size);
    const an_pass pass = { .tokens = &token };
    an_run run = an_model_begin(&d->model, &pass);
    run.position = d->position++;
    an_plan_forward(d->model.plan, &run);
    *logits = d->model.logits->data;
    return AN_OK;
}
