/* train/evaluate.c
 * The last batch is filled up with rows whose targets do not count, so one plan serves any number of windows; a pass's
 * mean is weighted by its own number of targets. */
#include "train/evaluate.h"

#include <math.h>

size_t an_eval_batch(const an_stream *stream, size_t batch, size_t seq, uint64_t first, uint64_t used, int32_t *tokens, int32_t *targets)
{
    const uint64_t all = an_stream_windows(stream, seq);
    const size_t each = an_stream_targets(stream, seq);
    size_t counted = 0;
    for (size_t row = 0; row < batch; row++) {
        const uint64_t i = first + row;
        int32_t *tok = tokens + row * seq, *tgt = targets + row * each;
        if (i < used) {
            counted += an_stream_window(stream, seq, i * (all / used) + i * (all % used) / used, tok, tgt);
            continue;
        }
        for (size_t k = 0; k < seq; k++) tok[k] = 0;
        for (size_t k = 0; k < each; k++) tgt[k] = -1;
    }
    return counted;
}

size_t an_count_right(const an_real *logits, const int32_t *targets, size_t n, size_t v)
{
    size_t right = 0;
    for (size_t i = 0; i < n; i++) {
        size_t best = 0;
        for (size_t k = 1; k < v; k++)
            if (logits[i * v + k] > logits[i * v + best]) best = k;
        right += targets[i] >= 0 && (size_t)targets[i] == best;
    }
    return right;
}

an_eval_result an_evaluate(an_model *model, const an_stream *stream, size_t batch, size_t seq, uint64_t windows, int32_t *tokens, int32_t *targets,
                           int (*tick)(void *ctx, uint64_t done, uint64_t all), void *ctx)
{
    const uint64_t all = an_stream_windows(stream, seq), used = windows == 0 || windows > all ? all : windows;
    const an_pass pass = { .tokens = tokens, .targets = targets, .loss_scale = 1 };
    const an_model_config *config = an_model_get_config(model);
    const bool images = config->image.side > 0;
    double sum = 0;
    uint64_t count = 0, right = 0;
    for (uint64_t first = 0; first < used; first += batch) {
        const size_t counted = an_eval_batch(stream, batch, seq, first, used, tokens, targets);
        sum += an_model_forward(model, &pass) * (double)counted;
        count += counted;
        if (images) right += an_count_right(an_model_get_logits(model), targets, batch, config->vocab_size);
        if (tick && tick(ctx, first + batch < used ? first + batch : used, used) != 0) break;
    }
    const double loss = sum / (double)count;
    return (an_eval_result){ .loss = loss, .bits_per_byte = images ? (double)NAN : loss / log(2), .perplexity = exp(loss), .accuracy = images ? (double)right / (double)count : (double)NAN, .tokens = count, .bytes = count };
}
