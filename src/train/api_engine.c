/* train/api_engine.c
 * Circle 3 of the public header: a model and an optimizer without the loop around them. Tokens come from outside here, so
 * they are checked before a kernel uses them as an index. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "train/api.h"

#ifndef AN_F64   /* the public library is the float engine */

struct an_engine {
    an_session *session;
    an_train_config config;
    an_model_config model_config;
    an_model *model;
    an_optimizer *optimizer;
    an_decoder *decoder;
    size_t batch, seq;
    uint64_t steps, calls;           /* updates done; backward calls since the last one */
    int threads, fresh;              /* fresh: no backward call has been made on parameters that were drawn here */
};

static const an_options *options_of(const an_session *s) { return s->run ? s->run->options : s->options; }

/* Settings of a session that has not trained yet are resolved here; those of one that has are final. */
static an_status settle(an_engine *e)
{
    an_session *s = e->session;
    if (!s->run && !s->trainer) {
        AN_TRY(an_options_resolve(s->options));
        AN_TRY(an_train_config_finish(&s->config, s->options));
    }
    e->config = s->run ? s->run->config : s->config;
    e->threads = an_train_config_threads(&e->config);
    return an_model_config_read(&e->model_config, options_of(s));
}

static void copy_params(an_model *to, const an_model *from)
{
    size_t count;
    const an_param *p = an_model_get_params(to, &count), *q = an_model_get_params(from, &count);
    for (size_t i = 0; i < count; i++) memcpy(p[i].data, q[i].data, p[i].count * sizeof *p[i].data);
    an_model_params_written(to);
}

static an_status build(an_engine *e)
{
    AN_TRY(settle(e));
    size_t count;
    const an_model_shape shape = { .batch = e->batch, .seq = e->seq, .train = true };
    if (e->batch == 0 || e->seq == 0 || e->seq > e->model_config.seq_len)
        return an_fail(AN_EUSAGE, "engine: batch %zu and seq %zu must be above 0, and seq at most seq_len %zu", e->batch, e->seq, e->model_config.seq_len);
    AN_TRY(an_model_create(&e->model, &e->model_config, options_of(e->session), &shape));
    AN_TRY(an_model_set_threads(e->model, e->threads));
    const an_optimizer_config config = an_train_config_optimizer(&e->config);
    const an_param *params = an_model_get_params(e->model, &count);
    AN_TRY(an_optimizer_create(&e->optimizer, params, count, &config));
    const an_model *source = an__session_model(e->session);
    if (source) copy_params(e->model, source);
    else an_model_init_params(e->model, (uint64_t)e->config.seed);
    e->fresh = !source;
    return AN_OK;
}

an_code an_engine_create(an_engine **engine, an_session *session, size_t batch, size_t seq)
{
    an_engine *e = an_alloc(sizeof *e);
    if (!e) return an__code(an_fail(AN_ENOMEM, "engine: no memory"));
    e->session = session;
    e->batch = batch;
    e->seq = seq;
    const an_status status = build(e);
    if (status != AN_OK) an_engine_destroy(&e);
    else *engine = e;
    return an__code(status);
}

void an_engine_destroy(an_engine **engine)
{
    an_engine *e = *engine;
    if (!e) return;
    an_decoder_destroy(&e->decoder);
    an_optimizer_destroy(&e->optimizer);
    an_model_destroy(&e->model);
    free(e);
    *engine = NULL;
}

size_t an_engine_tensors(const an_engine *engine)
{
    size_t count;
    an_model_get_params(engine->model, &count);
    return count;
}

an_code an_engine_tensor(const an_engine *engine, size_t i, an_tensor_view *view)
{
    size_t count;
    const an_param *p = an_model_get_params(engine->model, &count);
    if (i >= count) return an__code(an_fail(AN_EUSAGE, "engine: tensor %zu of %zu", i, count));
    *view = (an_tensor_view){ .name = p[i].name, .rank = p[i].rank, .count = p[i].count, .data = p[i].data, .grad = p[i].grad };
    memcpy(view->dim, p[i].dim, sizeof view->dim);
    return AN_DONE;
}

static an_status check(const an_engine *e, const int32_t *tokens, const int32_t *targets)
{
    const int32_t vocab = (int32_t)e->model_config.vocab_size;
    for (size_t i = 0; i < e->batch * e->seq; i++) {
        if (tokens[i] < 0 || tokens[i] >= vocab) return an_fail(AN_EUSAGE, "engine: token %d at %zu is not in 0..%d", tokens[i], i, vocab - 1);
        if (targets[i] >= vocab) return an_fail(AN_EUSAGE, "engine: target %d at %zu is beyond %d", targets[i], i, vocab - 1);
    }
    return AN_OK;
}

an_code an_engine_forward(an_engine *engine, const int32_t *tokens, const int32_t *targets, double *loss)
{
    const an_pass pass = { .tokens = tokens, .targets = targets, .loss_scale = 1 };
    const an_status status = check(engine, tokens, targets);
    if (status == AN_OK) *loss = an_model_forward(engine->model, &pass);
    return an__code(status);
}

an_code an_engine_backward(an_engine *engine, const int32_t *tokens, const int32_t *targets, double scale, int add, double *loss)
{
    const an_pass pass = { .tokens = tokens, .targets = targets, .seed = (uint64_t)engine->config.seed, .step = engine->steps, .micro = engine->calls, .train = true,
                           .accumulate = add != 0, .loss_scale = scale };
    const an_status status = check(engine, tokens, targets);
    if (status != AN_OK) return an__code(status);
    if (engine->fresh) an_model_profile(engine->model, &pass);
    engine->fresh = 0;
    *loss = an_model_forward_backward(engine->model, &pass);
    engine->calls++;
    return AN_DONE;
}

an_code an_engine_step(an_engine *engine, double lr, double *grad_norm)
{
    const double norm = an_optimizer_grad_norm(engine->optimizer, engine->threads);
    if (!isfinite(norm)) return an__code(an_fail(AN_EDIVERGED, "engine: the gradient norm of step %llu is not finite", (unsigned long long)engine->steps + 1));
    an_optimizer_apply(engine->optimizer, lr, ++engine->steps, norm, engine->threads);
    engine->calls = 0;
    if (grad_norm) *grad_norm = norm;
    return AN_DONE;
}

an_code an_engine_reset(an_engine *engine, size_t most_tokens)
{
    an_decoder_destroy(&engine->decoder);
    return an__code(an_decoder_create(&engine->decoder, engine->model, most_tokens));
}

an_code an_engine_decode(an_engine *engine, int32_t token, const float **logits, size_t *count)
{
    if (!engine->decoder) return an__code(an_fail(AN_EUSAGE, "engine: reset comes before the first decode"));
    if (token < 0 || (size_t)token >= engine->model_config.vocab_size)
        return an__code(an_fail(AN_EUSAGE, "engine: token %d is not in 0..%zu", token, engine->model_config.vocab_size - 1));
    const an_status status = an_decoder_step(engine->decoder, token, logits);
    if (status == AN_OK) *count = engine->model_config.vocab_size;
    return an__code(status);
}

#endif
