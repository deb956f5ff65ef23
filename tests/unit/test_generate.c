/* Text from a model and scores of a text: limits, stopping, agreement with the full forward pass. */
#include "unit.h"

#include <math.h>

#include "tiny.h"
#include "train/evaluate.h"
#include "train/generate.h"

typedef struct heard { int32_t token[64]; size_t count, stop_at; } heard;

static int hear(void *ctx, int32_t token)
{
    heard *h = ctx;
    h->token[h->count++] = token;
    return h->count == h->stop_at;
}

static void counts_and_stops(void **state)
{
    (void)state;
    tiny t;
    const an_sampling s = { .temperature = 1, .top_p = 1, .seed = 3 };
    tiny_open(&t, NULL);
    heard all = { 0 }, again = { 0 }, less = { .stop_at = 2 }, none = { 0 }, empty = { 0 };
    assert_ok(an_generate(t.model, "ab", 2, 7, &s, hear, &all));       /* 2 + 7 - 1 = the 8 positions of the table */
    assert_int_equal(all.count, 7);
    assert_ok(an_generate(t.model, "ab", 2, 7, &s, hear, &again));
    assert_memory_equal(all.token, again.token, sizeof all.token);
    assert_ok(an_generate(t.model, "ab", 2, 7, &s, hear, &less));
    assert_int_equal(less.count, 2);
    assert_memory_equal(all.token, less.token, 2 * sizeof *all.token);
    assert_ok(an_generate(t.model, "ab", 2, 0, &s, hear, &none));
    assert_int_equal(none.count, 0);
    assert_ok(an_generate(t.model, "", 0, 3, &s, hear, &empty));
    assert_int_equal(empty.count, 3);
    assert_fails(an_generate(t.model, "ab", 2, 8, &s, hear, &none), AN_ECONFIG, "seq_len 8");
    assert_fails(an_generate(t.model, "ab", 2, SIZE_MAX, &s, hear, &none), AN_ECONFIG, "too many");
    const an_sampling bad = { .temperature = -1, .top_p = 1 };
    assert_fails(an_generate(t.model, "ab", 2, 1, &bad, hear, &none), AN_ECONFIG, "temperature");
    tiny_close(&t);
}

typedef struct heard_samples { int32_t token[3][8]; size_t count[3], stop; } heard_samples;

static int hear_sample(void *ctx, size_t sample, int32_t token)
{
    heard_samples *h = ctx;
    h->token[sample][h->count[sample]++] = token;
    return sample == 1 && h->count[1] == h->stop;
}

/* Samples of a batch are the texts that their sequence numbers give one by one; one that is ended leaves the others as they are. */
static void a_batch_is_its_samples(void **state)
{
    (void)state;
    tiny t;
    heard_samples all = { .stop = 3 };
    tiny_open(&t, NULL);
    for (int w = AN_STORE_REAL; w < AN_STORES; w++) {
        an_generation g = { .prompt = "ab", .prompt_bytes = 2, .tokens = 7, .samples = 3, .weights = (an_store)w, .sampling = { .temperature = 1, .top_k = 200, .top_p = 1, .seed = 3 } };
        memset(all.count, 0, sizeof all.count);
        assert_ok(an_generate_samples(t.model, &g, hear_sample, &all));
        assert_int_equal(all.count[0], 7);
        assert_int_equal(all.count[1], 3);
        assert_int_equal(all.count[2], 7);
        assert_memory_not_equal(all.token[0], all.token[2], 7 * sizeof(int32_t));
        for (size_t i = 0; i < 3; i++) {
            heard_samples one = { .stop = 0 };
            g.samples = 1;
            g.sampling.sequence = i;
            assert_ok(an_generate_samples(t.model, &g, hear_sample, &one));
            assert_memory_equal(one.token[0], all.token[i], all.count[i] * sizeof(int32_t));
        }
    }
    const an_generation none = { .tokens = 3, .sampling = { .temperature = 1, .top_p = 1 } };
    assert_fails(an_generate_samples(t.model, &none, hear_sample, &all), AN_EUSAGE, "0 samples");
    tiny_close(&t);
}

/* Greedy text: each token must be the argmax of the full forward pass over everything before it. */
static void equals_the_full_forward(void **state)
{
    (void)state;
    tiny t;
    an_model *full;
    const an_sampling greedy = { .top_p = 1 };
    heard h = { 0 };
    tiny_open(&t, (const char *const[]){ "position", "rotary", NULL });
    size_t count;
    const an_param *p = an_model_get_params(t.model, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < p[i].count; k++) p[i].data[k] += AN_R(0.3 * sin((double)(k + 31 * i)));   /* far from ties */
    assert_ok(an_generate(t.model, "xyz", 3, 6, &greedy, hear, &h));
    assert_int_equal(h.count, 6);
    int32_t tokens[8] = { 'x', 'y', 'z' };
    memcpy(tokens + 3, h.token, 5 * sizeof *tokens);
    const an_model_shape shape = { .batch = 1, .seq = 8, .logits = true };
    assert_ok(an_model_share(&full, t.model, &shape));
    const an_pass pass = { .tokens = tokens };
    an_model_forward(full, &pass);
    for (size_t i = 2; i < 8; i++) {
        const an_real *row = an_model_get_logits(full) + i * 256;
        size_t best = 0;
        for (size_t v = 1; v < 256; v++) if (row[v] > row[best]) best = v;
        assert_int_equal(h.token[i - 2], best);
    }
    an_model_destroy(&full);
    tiny_close(&t);
}

static void evaluation_is_the_mean_over_tokens(void **state)
{
    (void)state;
    tiny t;
    an_stream *s;
    unsigned char text[60];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (unsigned char)(i * i * 7 + i);
    unit_write(unit_path("eval"), text, sizeof text);
    const char *item[] = { unit_path("eval") };
    const an_option_list list = { 1, item };
    int32_t tokens[TINY_BATCH * TINY_SEQ], targets[TINY_BATCH * TINY_SEQ];
    tiny_open(&t, (const char *const[]){ "dropout", "0.5", NULL });
    assert_ok(an_stream_open(&s, &list));
    const an_eval_result r = an_evaluate(t.model, s, TINY_BATCH, TINY_SEQ, 0, tokens, targets, NULL, NULL);
    assert_int_equal(r.tokens, 59);                      /* seven windows of eight and one of three */
    double sum = 0;
    for (size_t w = 0; w < 8; w++) {                     /* window by window, alone in its batch */
        for (size_t i = 0; i < COUNT(tokens); i++) tokens[i] = 0, targets[i] = -1;
        const size_t n = an_stream_window(s, TINY_SEQ, w, tokens, targets);
        const an_pass pass = { .tokens = tokens, .targets = targets, .loss_scale = 1 };
        sum += an_model_forward(t.model, &pass) * (double)n;
    }
    assert_true(fabs(r.loss - sum / 59) < 1e-5);
    assert_true(fabs(r.bits_per_byte - r.loss / log(2)) < 1e-12);
    assert_true(fabs(r.perplexity - exp(r.loss)) < 1e-9 * r.perplexity);
    const an_eval_result again = an_evaluate(t.model, s, TINY_BATCH, TINY_SEQ, 1000, tokens, targets, NULL, NULL);
    assert_memory_equal(&r, &again, sizeof r);
    const an_eval_result few = an_evaluate(t.model, s, TINY_BATCH, TINY_SEQ, 2, tokens, targets, NULL, NULL);
    assert_int_equal(few.tokens, 16);                    /* windows 0 and 4 */
    an_stream_close(&s);
    tiny_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(counts_and_stops), cmocka_unit_test(a_batch_is_its_samples), cmocka_unit_test(equals_the_full_forward), cmocka_unit_test(evaluation_is_the_mean_over_tokens) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
