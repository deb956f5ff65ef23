/* train/evaluate.h
 * The mean loss of a model over a stream of text, weighted by tokens. */
#ifndef AN_TRAIN_EVALUATE_H
#define AN_TRAIN_EVALUATE_H

#include "net/model.h"
#include "train/data.h"

typedef struct an_eval_result {
    double loss;                     /* nats per token */
    double bits_per_byte, perplexity;   /* bits_per_byte: of text; NaN: of images */
    double accuracy;                 /* of images: the share whose class is the likeliest; NaN: of text */
    uint64_t tokens, bytes;          /* predicted tokens, and the bytes they stand for; of images, both count images */
} an_eval_result;

/* Fills tokens and targets [batch, seq] with the windows first, first + 1, ... of `used` (> 0) that are evenly spread over the stream;
 * rows beyond them do not count (target -1). Returns the number of targets that count. */
size_t an_eval_batch(const an_stream *stream, size_t batch, size_t seq, uint64_t first, uint64_t used, int32_t *tokens, int32_t *targets);

/* Of n rows of logits [n, v], how many have their largest at the target; rows without one (-1) count for nothing. */
size_t an_count_right(const an_real *logits, const int32_t *targets, size_t n, size_t v);

/* Forward passes of batch x seq (the model's plan) over at most `windows` windows, evenly spread over the stream; 0: all of
 * it. `tokens` and `targets` are the caller's, batch * seq each. Every call on the same model gives the same bits.
 * `tick` (NULL: none) hears how many windows are done; anything but 0 ends the evaluation there. */
an_eval_result an_evaluate(an_model *model, const an_stream *stream, size_t batch, size_t seq, uint64_t windows, int32_t *tokens, int32_t *targets,
                           int (*tick)(void *ctx, uint64_t done, uint64_t all), void *ctx);

#endif
