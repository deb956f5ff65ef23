/* train/evaluate.c
 * The last batch is filled up with rows whose targets do not count, so one plan serves any number of windows; a pass's
 * mean is weighted by its own number of targets. */
#include "train/evaluate.h"

#include <math.h>

size_t an_eval_batch(const an_stream *stream, size_t batch, size_t seq, uint64_t first, uint64_t used, int32_t *tokens, int32_t *targets)
{
    const uint64_t all = an_stream_windows(stream, seq);
    size_t counted = 0;
    for (size_t row = 0; row < batch; row++) {
        const uint64_t i = first + row;
        int32_t *tok = tokens + row * seq, *tgt = targets + row * seq;
        if (i < used) {
            counted += an_stream_window(stream, seq, i * (all / used) + i * (all % used) / used, tok, tgt);
            continue;
        }
        for (size_t k = 0; k < seq; k++) tok[k] = 0, tgt[k] = -1;
    }
    return counted;
}

an_eval_result an_evaluate(an_model *model, const an_stream *stream, size_t batch, size_t seq, uint64_t windows, int32_t *tokens, int32_t *targets,
                           int (*tick)(void *ctx, uint64_t done, uint64_t all), void *ctx)
{
    const uint64_t all = an_stream_windows(stream, seq), used = windows == 0 || windows > all ? all : windows;
    const an_pass pass = { .tokens = tokens, .targets = targets, .loss_scale = 1 };
    double sum = 0;
    uint64_t count = 0;
    for (uint64_t first = 0; first < used; first += batch) {
        const size_t counted = an_eval_batch(stream, batch, seq, first, used, tokens, targets);
        sum += an_model_forward(model, &pass) * (double)counted;
        count += counted;
        if (tick && tick(ctx, first + batch < used ? first + batch : used, used) != 0) break;
    }
    const double loss = sum / (double)count;
    return (an_eval_result){ loss, loss / log(2), exp(loss), count, count };
}
