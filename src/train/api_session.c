/* train/api_session.c
 * Circles 1 and 2 of the public header: a thin layer over options, trainer, run, generation and evaluation. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/text.h"
#include "train/api.h"
#include "train/generate.h"
#include "train/presets.h"

#ifndef AN_F64   /* the public library is the float engine */

an_code an__code(an_status status) { return (an_code)an_status_exit_code(status); }
const char *an_version(void) { return AN_VERSION; }
const char *an_last_error(void) { return an_error_text(); }

an_model *an__session_model(an_session *session)
{
    if (session->run) return session->run->model;
    return session->trainer ? an_trainer_get_model(session->trainer) : NULL;
}

an_code an_session_create(an_session **session)
{
    an_session *s = an_alloc(sizeof *s);
    if (!s) return an__code(an_fail(AN_ENOMEM, "session: no memory"));
    const an_status status = an_run_options_create(&s->options, &s->config);
    if (status != AN_OK) an_session_destroy(&s);
    else *session = s;
    return an__code(status);
}

void an_session_destroy(an_session **session)
{
    an_session *s = *session;
    if (!s) return;
    an_trainer_destroy(&s->trainer);
    an_run_close(&s->run);
    an_options_destroy(&s->options);
    free(s);
    *session = NULL;
}

static an_status settable(const an_session *s)
{
    if (s->options && !s->trainer) return AN_OK;
    return an_fail(AN_EUSAGE, "session: it has its model already; settings belong before training");
}

an_code an_session_set(an_session *session, const char *key, const char *value)
{
    an_status status = settable(session);
    if (status == AN_OK) status = an_options_set(session->options, key, value, AN_FROM_FLAG, key);
    return an__code(status);
}

an_code an_session_preset(an_session *session, const char *name)
{
    an_status status = settable(session);
    if (status == AN_OK && session->preset) status = an_fail(AN_EUSAGE, "preset %s: another preset is in force already", name);
    if (status == AN_OK) status = an_preset_apply(session->options, name);
    if (status == AN_OK) session->preset = 1;
    return an__code(status);
}

an_code an_session_read(an_session *session, const char *yaml_path)
{
    an_status status = settable(session);
    if (status == AN_OK) status = an_options_read_file(session->options, yaml_path);
    return an__code(status);
}

static void tell(an_session *s)
{
    if (s->report) s->report(s->user, &s->last);
}

/* A step's report waits for the evaluation that may follow it: it is handed on by the next event, whatever that is. */
static void on_step(void *ctx, const an_event_step *e)
{
    an_session *s = ctx;
    if (s->last.step > 0) tell(s);
    s->last = (an_report){ .step = e->step, .steps = e->steps, .tokens = e->tokens, .loss = e->loss, .val_loss = NAN, .lr = e->lr, .grad_norm = e->grad_norm,
                           .tokens_per_second = e->tok_per_s, .seconds_left = e->eta_s };
}

static void on_eval(void *ctx, const an_event_eval *e) { ((an_session *)ctx)->last.val_loss = e->val.loss; }

static void on_end(void *ctx, const an_event_end *e)
{
    an_session *s = ctx;
    (void)e;
    if (s->last.step > 0) tell(s);
}

static an_status train(an_session *s)
{
    const an_events events = { .ctx = s, .step = on_step, .eval = on_eval, .end = on_end };
    AN_TRY(settable(s));
    AN_TRY(an_run_read_config(s->options));
    AN_TRY(an_options_resolve(s->options));
    AN_TRY(an_trainer_create(&s->trainer, s->options, &s->config, &events));
    return an_trainer_run(s->trainer);
}

an_code an_session_train(an_session *session) { return an__code(train(session)); }

void an_session_on_step(an_session *session, an_report_callback *report, void *user)
{
    session->report = report;
    session->user = user;
}

void an_session_stop(an_session *session)
{
    if (session->trainer) an_trainer_stop(session->trainer);
}

const char *an_session_run(const an_session *session)
{
    if (session->run) return session->run->run;
    return session->trainer ? an_trainer_get_run(session->trainer) : "";
}

an_code an_session_open(an_session **session, const char *path)
{
    an_session *s = an_alloc(sizeof *s);
    if (!s) return an__code(an_fail(AN_ENOMEM, "%s: no memory", path));
    const an_status status = an_run_open(&s->run, path, 0, 0);
    if (status != AN_OK) an_session_destroy(&s);
    else *session = s;
    return an__code(status);
}

typedef struct text_sink { an_text_callback *put; void *user; an_utf8_stream stream; an_text text; int stopped; } text_sink;

static int hand_over(text_sink *sink)
{
    if (sink->text.length > 0 && !sink->stopped) sink->stopped = sink->put(sink->user, an_text_get(&sink->text), sink->text.length);
    sink->text.length = 0;
    return sink->stopped;
}

static int put_token(void *ctx, int32_t token)
{
    text_sink *sink = ctx;
    const char byte = (char)(unsigned char)token;
    an_utf8_stream_put(&sink->stream, &byte, 1, &sink->text);
    return hand_over(sink);
}

an_code an_session_sample(an_session *session, const char *prompt, size_t tokens, const an_sampling_settings *settings, an_text_callback *put, void *user)
{
    an_model *model = an__session_model(session);
    if (!model) return an__code(an_fail(AN_EUSAGE, "sample: the session has no model yet; train or open one"));
    const an_sampling_settings plain = { .temperature = 1, .top_p = 1 }, *s = settings ? settings : &plain;
    const an_sampling sampling = { s->temperature, s->top_k, s->top_p == 0 ? 1 : s->top_p, s->seed, 0 };
    text_sink sink = { .put = put, .user = user };
    an_status status = an_generate(model, prompt, strlen(prompt), tokens, &sampling, put_token, &sink);
    if (status == AN_OK) {
        an_utf8_stream_end(&sink.stream, &sink.text);
        hand_over(&sink);
        status = an_text_status(&sink.text);
    }
    an_text_fini(&sink.text);
    return an__code(status);
}

static an_status evaluate(an_model *model, int threads, const an_stream *stream, an_score *score)
{
    const size_t batch = 8, seq = an_model_get_config(model)->seq_len;
    const an_model_shape shape = { .batch = batch, .seq = seq };
    an_model *plan = NULL;
    int32_t *tokens = an_alloc(2 * batch * seq * sizeof *tokens);
    an_status status = tokens ? an_model_share(&plan, model, &shape) : an_fail(AN_ENOMEM, "evaluate: no memory");
    if (status == AN_OK) status = an_model_set_threads(plan, threads);
    if (status == AN_OK) {
        const an_eval_result r = an_evaluate(plan, stream, batch, seq, 0, tokens, tokens + batch * seq, NULL, NULL);
        *score = (an_score){ r.loss, r.perplexity, r.bits_per_byte, r.tokens };
    }
    an_model_destroy(&plan);
    free(tokens);
    return status;
}

an_code an_session_evaluate(an_session *session, const char *path, an_score *score)
{
    an_model *model = an__session_model(session);
    if (!model) return an__code(an_fail(AN_EUSAGE, "evaluate: the session has no model yet; train or open one"));
    const an_option_list files = { 1, &path };
    an_stream *stream;
    an_status status = an_stream_open_for(&stream, &files, an_model_get_config(model));
    if (status != AN_OK) return an__code(status);
    status = evaluate(model, an_train_config_threads(session->run ? &session->run->config : &session->config), stream, score);
    an_stream_close(&stream);
    return an__code(status);
}

#endif
