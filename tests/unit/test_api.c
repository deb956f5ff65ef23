/* The public header: codes, sentences, and an engine that agrees with the session it came from. */
#include "unit.h"

#include <math.h>

#include <addnorm/addnorm.h>

enum { B = 2, T = 8 };

#define assert_code(call, code) unit_code((call), (code), #call, __FILE__, __LINE__)

static void unit_code(an_code got, an_code want, const char *call, const char *file, int line)
{
    if (got == want) return;
    print_error("%s: %d, expected %d: %s\n", call, (int)got, (int)want, an_last_error());
    _fail(file, line);
}

static an_session *small(const char *out)
{
    static char text[4000];
    an_session *s;
    for (size_t i = 0; i < sizeof text; i++) text[i] = "the add norm "[i % 13];
    unit_write(unit_path("text"), text, sizeof text);
    const char *pairs[][2] = { { "data", unit_path("text") }, { "out", out }, { "n_layer", "1" }, { "n_head", "2" }, { "d_model", "16" }, { "seq_len", "8" }, { "batch_size", "4" },
                               { "steps", "30" }, { "warmup", "2" }, { "lr", "1e-2" }, { "eval_every", "10" }, { "eval_batches", "2" }, { "threads", "1" }, { "position", "rotary" } };
    assert_code(an_session_create(&s), AN_DONE);
    for (size_t i = 0; i < COUNT(pairs); i++) assert_code(an_session_set(s, pairs[i][0], pairs[i][1]), AN_DONE);
    return s;
}

typedef struct seen { int steps, evaluations, stop_at; double last; an_session *session; } seen;

static void watch(void *user, const an_report *r)
{
    seen *s = user;
    assert_int_equal(r->step, ++s->steps);
    if (!isnan(r->val_loss)) s->evaluations++;
    s->last = r->loss;
    if (s->steps == s->stop_at) an_session_stop(s->session);
}

static int append(void *user, const char *text, size_t size)
{
    assert_int_equal(strlen(text), size);
    strcat(user, text);
    return 0;
}

static void train_sample_evaluate_open(void **state)
{
    (void)state;
    an_session *s = small(unit_path("run")), *opened;
    seen w = { .session = s };
    char a[256] = "", b[256] = "", c[256] = "";
    an_score score, again;
    const an_sampling_settings settings = { .temperature = 0.5, .top_k = 20, .top_p = 0.9, .seed = 4 };
    assert_code(an_session_sample(s, "t", 5, NULL, append, a), AN_WRONG_USAGE);     /* no model yet */
    assert_code(an_session_evaluate(s, unit_path("text"), &score), AN_WRONG_USAGE);
    assert_string_equal(an_session_run(s), "");
    an_session_on_step(s, watch, &w);
    assert_code(an_session_train(s), AN_DONE);
    assert_int_equal(w.steps, 30);
    assert_int_equal(w.evaluations, 3);
    assert_true(w.last < 4);
    assert_code(an_session_train(s), AN_WRONG_USAGE);                               /* once per session */
    assert_code(an_session_set(s, "lr", "1"), AN_WRONG_USAGE);
    assert_code(an_session_sample(s, "the ", 20, &settings, append, a), AN_DONE);
    assert_code(an_session_sample(s, "the ", 2, &(an_sampling_settings){ .temperature = 0.8 }, append, c), AN_DONE);   /* what is not named keeps all */
    assert_code(an_session_evaluate(s, unit_path("text"), &score), AN_DONE);
    assert_int_equal(score.tokens, 3999);
    assert_true(fabs(score.perplexity - exp(score.loss)) < 1e-9 * score.perplexity);
    assert_code(an_session_open(&opened, unit_path("run")), AN_DONE);
    assert_code(an_session_sample(opened, "the ", 20, &settings, append, b), AN_DONE);
    assert_string_equal(a, b);
    assert_code(an_session_evaluate(opened, unit_path("text"), &again), AN_DONE);
    assert_memory_equal(&score, &again, sizeof score);
    an_session_destroy(&opened);
    an_session_destroy(&s);
    assert_null(s);
    an_session_destroy(&s);
}

static void stop_and_resume(void **state)
{
    (void)state;
    an_session *s = small(unit_path("stopped")), *t = small(unit_path("stopped"));
    seen w = { .session = s, .stop_at = 7 }, rest = { .session = t, .steps = 8 };
    an_session_on_step(s, watch, &w);
    assert_code(an_session_train(s), AN_STOPPED);
    assert_true(w.steps < 10);
    an_session_destroy(&s);                                                         /* gives the folder back */
    rest.steps = w.steps;
    assert_code(an_session_set(t, "resume", "auto"), AN_DONE);
    an_session_on_step(t, watch, &rest);
    assert_code(an_session_train(t), AN_DONE);
    assert_int_equal(rest.steps, 30);
    an_session_destroy(&t);
}

static void mistakes_have_codes(void **state)
{
    (void)state;
    an_session *s = small(unit_path("mistakes")), *none = NULL;
    assert_code(an_session_set(s, "lerning_rate", "1"), AN_WRONG_USAGE);
    assert_non_null(strstr(an_last_error(), "learning_rate"));
    assert_code(an_session_preset(s, "nonsense"), AN_WRONG_USAGE);
    assert_code(an_session_read(s, unit_path("absent.yaml")), AN_WRONG_USAGE);
    assert_code(an_session_open(&none, unit_path("nowhere")), AN_BAD_DATA);
    assert_null(none);
    assert_code(an_session_set(s, "n_head", "3"), AN_DONE);
    assert_code(an_session_train(s), AN_WRONG_USAGE);
    an_session_destroy(&s);
    assert_true(strlen(an_version()) > 2);
}

static void an_engine_of_ones_own(void **state)
{
    (void)state;
    an_session *s = small("unused");
    an_engine *e, *wrong = NULL;
    an_tensor_view v;
    int32_t tokens[B * T], targets[B * T];
    double loss, before, after, norm, square = 0, scaled = 0;
    for (int i = 0; i < B * T; i++) tokens[i] = (i * 37) % 256, targets[i] = i % 5 ? (i * 11) % 256 : -1;
    assert_code(an_engine_create(&wrong, s, B, 9), AN_WRONG_USAGE);                 /* beyond seq_len */
    assert_code(an_engine_create(&e, s, B, T), AN_DONE);
    assert_code(an_engine_forward(e, tokens, targets, &before), AN_DONE);
    assert_true(fabs(before - log(256)) < 0.3);
    assert_code(an_engine_backward(e, tokens, targets, 1.0, 0, &loss), AN_DONE);
    assert_true(fabs(loss - before) < 1e-6);
    for (size_t i = 0; i < an_engine_tensors(e); i++) {
        assert_code(an_engine_tensor(e, i, &v), AN_DONE);
        for (size_t k = 0; k < v.count; k++) square += (double)v.grad[k] * (double)v.grad[k];
    }
    assert_code(an_engine_tensor(e, an_engine_tensors(e), &v), AN_WRONG_USAGE);
    assert_code(an_engine_backward(e, tokens, targets, 0.5, 1, &loss), AN_DONE);    /* 1.5 times the gradient now */
    for (size_t i = 0; i < an_engine_tensors(e); i++) {
        assert_code(an_engine_tensor(e, i, &v), AN_DONE);
        for (size_t k = 0; k < v.count; k++) scaled += (double)v.grad[k] * (double)v.grad[k];
    }
    assert_true(fabs(scaled / square - 2.25) < 1e-4);
    assert_code(an_engine_step(e, 1e-2, &norm), AN_DONE);
    assert_true(fabs(norm - sqrt(scaled)) < 1e-4 * norm);
    assert_code(an_engine_forward(e, tokens, targets, &after), AN_DONE);
    assert_true(after < before);
    assert_code(an_engine_tensor(e, 0, &v), AN_DONE);
    v.grad[0] = NAN;
    const float kept = v.data[0];
    assert_code(an_engine_step(e, 1e-2, &norm), AN_LOSS_DIVERGED);
    assert_true(v.data[0] == kept);
    tokens[5] = 256;
    assert_code(an_engine_forward(e, tokens, targets, &after), AN_WRONG_USAGE);
    assert_non_null(strstr(an_last_error(), "token 256 at 5"));
    tokens[5] = 0;
    targets[6] = 1000;
    assert_code(an_engine_backward(e, tokens, targets, 1, 0, &after), AN_WRONG_USAGE);
    an_engine_destroy(&e);
    an_session_destroy(&s);
}

static float skip_of(an_engine *e, const char *name)
{
    an_tensor_view v;
    for (size_t i = 0; i < an_engine_tensors(e); i++) {
        assert_code(an_engine_tensor(e, i, &v), AN_DONE);
        if (strcmp(v.name, name) == 0) return v.data[0];
    }
    return NAN;
}

/* A design that starts from a real batch starts from the first one that is trained on, once. */
static void an_engine_that_profiles(void **state)
{
    (void)state;
    an_session *s = small("unused");
    an_engine *e;
    int32_t tokens[B * T], targets[B * T];
    double loss;
    for (int i = 0; i < B * T; i++) tokens[i] = (i * 37) % 256, targets[i] = (i * 11) % 256;
    assert_code(an_session_set(s, "design", "admin"), AN_DONE);
    assert_code(an_engine_create(&e, s, B, T), AN_DONE);
    assert_code(an_engine_forward(e, tokens, targets, &loss), AN_DONE);
    assert_true(skip_of(e, "layers.0.mlp.skip.scale") == 1);
    assert_code(an_engine_backward(e, tokens, targets, 1, 0, &loss), AN_DONE);
    const float attn = skip_of(e, "layers.0.attn.skip.scale"), mlp = skip_of(e, "layers.0.mlp.skip.scale");
    assert_true(attn == 1 && mlp > 1 && mlp < 3);
    tokens[0] = 9;
    assert_code(an_engine_backward(e, tokens, targets, 1, 0, &loss), AN_DONE);
    assert_true(skip_of(e, "layers.0.mlp.skip.scale") == mlp);
    an_engine_destroy(&e);
    an_session_destroy(&s);
}

static void decoding(void **state)
{
    (void)state;
    an_session *s = small("unused");
    an_engine *e;
    const float *logits;
    size_t count;
    assert_code(an_engine_create(&e, s, 1, T), AN_DONE);
    assert_code(an_engine_decode(e, 1, &logits, &count), AN_WRONG_USAGE);           /* no reset yet */
    for (int round = 0; round < 2; round++) {
        assert_code(an_engine_reset(e, 3), AN_DONE);
        for (int i = 0; i < 3; i++) {
            assert_code(an_engine_decode(e, 65 + i, &logits, &count), AN_DONE);
            assert_int_equal(count, 256);
            assert_true(isfinite(logits[0]));
        }
        assert_code(an_engine_decode(e, 65, &logits, &count), AN_WRONG_USAGE);      /* full */
        assert_code(an_engine_decode(e, -1, &logits, &count), AN_WRONG_USAGE);
    }
    an_engine_destroy(&e);
    an_session_destroy(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(train_sample_evaluate_open), cmocka_unit_test(stop_and_resume), cmocka_unit_test(mistakes_have_codes),
                                        cmocka_unit_test(an_engine_of_ones_own), cmocka_unit_test(an_engine_that_profiles), cmocka_unit_test(decoding) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
