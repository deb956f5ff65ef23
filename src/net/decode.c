/* net/decode.c
 * Decoding one token at a time: the same emitters with attention over a cache and products of few rows, one row per sequence. */
#include <stdlib.h>
#include <string.h>

#include "net/model_impl.h"

struct an_decoder {
    an_model model;                /* a plan of its own over the parent's parameters */
    size_t max_tokens, batch;
    int32_t *next, *place;         /* [batch] position of the next token; the same for those fed in this pass, else -1 */
};

/* The plan of a decoder whose shape is set. */
static an_status build(an_decoder *d)
{
    d->next = an_alloc(2 * d->batch * sizeof *d->next);
    if (!d->next) return an_fail(AN_ENOMEM, "out of memory for a decoder of %zu sequences", d->batch);
    d->place = d->next + d->batch;
    AN_TRY(an_model_build(&d->model, d->max_tokens));
    an_block *cache = &d->model.plan->state;             /* its pages are taken now, not while tokens are waited for; */
    if (cache->data) memset(cache->data, 0, cache->count * sizeof *cache->data);   /* and until then reading costs no memory traffic, which measures nothing */
    an_params_refresh(d->model.params, d->model.shape.weights, d->model.threads);
    return AN_OK;
}

an_status an_decoder_create_for(an_decoder **out, an_model *parent, const an_decoder_shape *shape)
{
    const size_t batch = shape->batch ? shape->batch : 1;
    if (shape->tokens == 0) return an_fail(AN_EUSAGE, "decoding 0 tokens; ask for at least 1");
    if (shape->tokens > INT32_MAX || batch > INT32_MAX) return an_fail(AN_EUSAGE, "decoding %zu sequences of %zu tokens: at most %d of each", batch, shape->tokens, INT32_MAX);
    if (parent->config.image.side) return an_fail(AN_ECONFIG, "arch %s gives classes to images and continues no text; nothing can be sampled from it", parent->config.arch);
    if (shape->tokens > parent->config.seq_len && strcmp(parent->config.position, "learned") == 0)
        return an_fail(AN_ECONFIG, "%zu tokens go beyond the learned position table of seq_len %zu; ask for at most %zu, or train with rotary or sinusoidal positions",
                       shape->tokens, parent->config.seq_len, parent->config.seq_len);
    an_decoder *d = an_alloc(sizeof *d);
    if (!d) return an_fail(AN_ENOMEM, "out of memory for a decoder");
    d->model = (an_model){ .config = parent->config, .options = parent->options, .shape = { .batch = batch, .seq = 1, .logits = true, .weights = shape->weights },
        .params = parent->params, .threads = parent->threads };
    d->max_tokens = shape->tokens;
    d->batch = batch;
    const an_status status = build(d);
    if (status != AN_OK) an_decoder_destroy(&d);
    else *out = d;
    return status;
}

an_status an_decoder_create(an_decoder **out, an_model *parent, size_t max_tokens) { return an_decoder_create_for(out, parent, &(an_decoder_shape){ .tokens = max_tokens }); }

void an_decoder_destroy(an_decoder **decoder)
{
    if (!decoder || !*decoder) return;
    an_plan_destroy(&(*decoder)->model.plan);
    free((*decoder)->model.list);
    free((*decoder)->next);
    free(*decoder);
    *decoder = NULL;
}

void an_decoder_reset(an_decoder *d) { memset(d->next, 0, d->batch * sizeof *d->next); }
void an_decoder_seek(an_decoder *d, size_t position) { for (size_t b = 0; b < d->batch; b++) d->next[b] = (int32_t)(position < d->max_tokens ? position : d->max_tokens); }
size_t an_decoder_position(const an_decoder *d) { return (size_t)d->next[0]; }

size_t an_decoder_weight_bytes(const an_decoder *d)
{
    const an_plan *plan = d->model.plan;
    size_t bytes = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const an_step *s = plan->steps[i];
        for (int k = 0; k < s->n_in; k++) {
            const an_value *w = s->in[k];
            if (!w || w->home != AN_HOME_PARAM || !an_bit(s->op->low_in, k)) continue;
            bytes += w->store == AN_STORE_BF16 ? 2 * w->count : w->store == AN_STORE_INT8 ? w->count + an_rows(w) * sizeof(float) : w->count * sizeof(an_real);
        }
    }
    return bytes;
}

size_t an_decoder_cache_bytes(const an_decoder *d)
{
    size_t bytes = 0, tokens = 0;
    for (size_t b = 0; b < d->batch; b++) tokens += (size_t)d->next[b];
    for (size_t i = 0; i < d->model.plan->n_values; i++) {
        const an_value *v = d->model.plan->values[i];
        if (v->home == AN_HOME_STATE) bytes += v->count / (d->batch * d->max_tokens) * tokens * sizeof(an_real);
    }
    return bytes;
}

static an_status check_tokens(const an_decoder *d, const int32_t *tokens)
{
    for (size_t b = 0; b < d->batch; b++) {
        if (tokens[b] == -1) continue;
        if ((size_t)d->next[b] >= d->max_tokens) return an_fail(AN_EUSAGE, "token %zu is past the %zu this decoder was made for", (size_t)d->next[b] + 1, d->max_tokens);
        if (tokens[b] < 0 || (size_t)tokens[b] >= d->model.config.vocab_size) return an_fail(AN_EUSAGE, "token %d is outside the vocabulary of %zu", tokens[b], d->model.config.vocab_size);
    }
    return AN_OK;
}

an_status an_decoder_step_all(an_decoder *d, const int32_t *tokens, const an_real **logits)
{
    AN_TRY(check_tokens(d, tokens));
    for (size_t b = 0; b < d->batch; b++) d->place[b] = tokens[b] < 0 ? -1 : d->next[b]++;
    const an_pass pass = { .tokens = tokens };
    an_run run = an_model_begin(&d->model, &pass);
    run.place = d->place;
    an_plan_forward(d->model.plan, &run);
    *logits = d->model.logits->data;
    return AN_OK;
}

an_status an_decoder_step(an_decoder *d, int32_t token, const an_real **logits)
{
    if (d->batch != 1) return an_fail(AN_EUSAGE, "one token for a decoder of %zu sequences; feed all of them", d->batch);
    if (token < 0) return an_fail(AN_EUSAGE, "token %d is outside the vocabulary of %zu", token, d->model.config.vocab_size);
    return an_decoder_step_all(d, &token, logits);
}
