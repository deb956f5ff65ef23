/* train/generate.h
 * Text from a model, one token at a time with a key/value cache; several continuations of one prompt as a batch. */
#ifndef AN_TRAIN_GENERATE_H
#define AN_TRAIN_GENERATE_H

#include "net/model.h"
#include "train/sampling.h"

/* Called with each new token as it is drawn; anything but 0 ends the text there. */
typedef int an_token_fn(void *ctx, int32_t token);
typedef int an_sample_fn(void *ctx, size_t sample, int32_t token);

typedef struct an_generation {
    const void *prompt;            /* its bytes are fed; an empty one stands for a newline */
    size_t prompt_bytes, tokens;   /* up to so many are drawn */
    size_t samples;                /* continuations; number i is what sampling.sequence + i alone would give, token for token */
    an_store weights;              /* how matrices are read */
    an_sampling sampling;
    void (*begun)(void *ctx, const an_decoder *decoder);   /* before the first token is fed; NULL: nobody asks */
    int (*stop)(void);             /* asked before each token of the prompt: anything but 0 ends it there; NULL: nobody does */
} an_generation;

/* Errors: AN_EUSAGE for no samples; AN_ECONFIG for settings out of range or a text longer than a learned position table; AN_EDIVERGED;
 * AN_EINTERRUPTED where `stop` said so; AN_ENOMEM. */
an_status an_generate_samples(an_model *model, const an_generation *g, an_sample_fn *put, void *ctx) AN_MUST_USE;

/* One text, weights as they are. */
an_status an_generate(an_model *model, const void *prompt, size_t prompt_bytes, size_t tokens, const an_sampling *sampling, an_token_fn *put, void *ctx) AN_MUST_USE;

#endif
