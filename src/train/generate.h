/* train/generate.h
 * Text from a model, one token at a time with a key/value cache. */
#ifndef AN_TRAIN_GENERATE_H
#define AN_TRAIN_GENERATE_H

#include "net/model.h"
#include "train/sampling.h"

/* Called with each new token as it is drawn; anything but 0 ends the text there. */
typedef int an_token_fn(void *ctx, int32_t token);

/* Feeds the bytes of the prompt (an empty one stands for a newline), then draws up to `tokens` tokens.
 * Errors: AN_ECONFIG for settings out of range or a text longer than a learned position table; AN_EDIVERGED; AN_ENOMEM. */
an_status an_generate(an_model *model, const void *prompt, size_t prompt_bytes, size_t tokens, const an_sampling *sampling, an_token_fn *put, void *ctx) AN_MUST_USE;

#endif
