/* study/check: every rule of the verdict and its boundary on signs given by hand; then small configurations whose fate is
 * known, probed on a generated text with structure; the document and the page. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "core/rng.h"
#include "study/check.h"

/* ---- the rules ---- */
static const double H = 3.3;

/* A run that trains: everything a rule looks at is on the good side. */
static an_check good(void)
{
    return (an_check){ .n_steps = 60, .signs = { .entropy = H, .loss_first = 5.6, .loss = H - 0.3, .pre_ln = H - 0.31, .behind = 0.02, .tokens_first = 0.5, .tokens = 0.6, .reach_first = 1, .reach = 1,
                                                 .product_first = 1, .product = 1, .grad_norm_first = 1, .grad_norm_most = 2, .lr_sum = 0.06, .finite = true } };
}

static void judged(an_check k, an_verdict verdict, const char *rule, const char *words)
{
    an_check_judge(&k);
    if (k.verdict != verdict || strncmp(k.rule, rule, strlen(rule)) != 0 || !strstr(k.because, words)) {
        print_error("verdict %s, rule %s, because %s; expected %s, %s, %s\n", an_verdict_name(k.verdict), k.rule, k.because, an_verdict_name(verdict), rule, words);
        fail();
    }
    assert_true(strlen(k.because) < sizeof k.because - 1);
}

static void each_rule_speaks(void **state)
{
    (void)state;
    an_check k = good();
    judged(k, AN_VERDICT_TRAINS, "none", "3.000");
    k.signs.pre_ln = k.signs.behind = NAN;                   /* Pre-LN itself: nothing to compare with */
    judged(k, AN_VERDICT_TRAINS, "none", "unigram entropy 3.300");
    k = good();
    k.signs.finite = false;
    judged(k, AN_VERDICT_WILL_NOT_TRAIN, "non-finite", "60 steps");
    k = good();
    k.signs.loss = H + 0.02, k.signs.tokens = 1 - 1e-7, k.signs.reach = 1e-4, k.signs.collapsed = 2, k.signs.settled = true;
    judged(k, AN_VERDICT_WILL_NOT_TRAIN, "collapse", "1 - 1e-07");
    k.signs.settled = false;                                 /* on its way back: half a failure */
    judged(k, AN_VERDICT_DEGRADES, "fading", "part of the depth");
    k = good();
    k.signs.loss = H - 0.1, k.signs.lr_sum = 0.6;
    judged(k, AN_VERDICT_WILL_NOT_TRAIN, "stuck", "hardly below");
    k.signs.loss = H + 0.1;
    judged(k, AN_VERDICT_WILL_NOT_TRAIN, "stuck", "not below");
    k = good();
    k.signs.behind = 0.6;
    judged(k, AN_VERDICT_DEGRADES, "behind", "40 % of the learning");
    k.signs.behind = 0.379, k.offer = true;                  /* what is offered must be surer */
    judged(k, AN_VERDICT_TRAINS, "none", "");
    k.signs.behind = 0.381;
    judged(k, AN_VERDICT_DEGRADES, "behind", "62 % of the learning");
    k.offer = false;
    judged(k, AN_VERDICT_TRAINS, "none", "");
    k = good();
    k.signs.loss = H + 0.1;                                  /* not below it yet, and nothing amiss */
    k.steps_set = 1000;
    judged(k, AN_VERDICT_TRAINS, "none", "too short to tell; --check_steps 240");
    k.steps_set = 60;
    judged(k, AN_VERDICT_TRAINS, "none", "raise steps");
}

static void at_the_boundaries(void **state)
{
    (void)state;
    static const struct { double apart, reach, gain, lr_sum, behind; an_verdict verdict; } CASE[] = {
        { 0.0201, 0.249, 0, 0.1, 0, AN_VERDICT_TRAINS },     { 0.0199, 0.251, 0, 0.1, 0, AN_VERDICT_TRAINS }, { 0.0199, 0.249, 0, 0.1, 0, AN_VERDICT_DEGRADES },
        { 0.0199, 0.2, 0.151, 0.1, 0, AN_VERDICT_TRAINS },   { 0.0199, 0.2, 0.149, 0.1, 0, AN_VERDICT_DEGRADES },
        { 0.5, 1, 0.149, 0.501, 0, AN_VERDICT_WILL_NOT_TRAIN }, { 0.5, 1, 0.149, 0.499, 0, AN_VERDICT_TRAINS }, { 0.5, 1, 0.151, 0.501, 0, AN_VERDICT_TRAINS },
        { 0.5, 1, 0.3, 0.1, 0.501, AN_VERDICT_DEGRADES },    { 0.5, 1, 0.3, 0.1, 0.499, AN_VERDICT_TRAINS },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        an_check k = good();
        k.signs.tokens = 1 - CASE[i].apart, k.signs.reach = CASE[i].reach, k.signs.loss = H - CASE[i].gain, k.signs.lr_sum = CASE[i].lr_sum, k.signs.behind = CASE[i].behind;
        judged(k, CASE[i].verdict, "", "");
    }
}

static void collapse_and_clear_signs(void **state)
{
    (void)state;
    an_check_signs s = good().signs;
    assert_false(an_check_is_collapsed(&s));
    s.tokens = 1 - 0.9e-3, s.reach = 0.019;
    assert_true(an_check_is_collapsed(&s));
    s.reach = 0.021;
    assert_false(an_check_is_collapsed(&s));
    s.tokens = 1 - 1.1e-3, s.reach = 0.019;
    assert_false(an_check_is_collapsed(&s));
    s.tokens = NAN;                                          /* no rows were sampled */
    assert_false(an_check_is_collapsed(&s));
    s = good().signs;
    assert_true(an_check_is_clear(&s));                      /* learned */
    s.loss = H - 0.149;
    assert_false(an_check_is_clear(&s));
    s.settled = true, s.collapsed = 1;
    assert_false(an_check_is_clear(&s));                     /* seen once: it may come back */
    s.collapsed = 2;
    assert_true(an_check_is_clear(&s));
    s.settled = false;
    assert_false(an_check_is_clear(&s));
    s.finite = false;
    assert_true(an_check_is_clear(&s));
}

/* ---- small configurations on a generated text ---- */
typedef struct tried { an_options *options; an_train_config config; an_check check; size_t ticks; } tried;

static void count_ticks(void *ctx, const char *what, uint64_t done, uint64_t all)
{
    assert_true(what[0] && done < all);
    ++*(size_t *)ctx;
}

/* Sentences of 40 words in which each word leaves three that may follow it: a model that sees its context can use it. */
static const char *text_path(void)
{
    static char text[60000];
    const an_rng_key key = an_rng_key_make(7, 0, 0);
    size_t n = 0, word = 0;
    for (uint64_t i = 0; n + 16 < sizeof text; i++) {
        word = (5 * word + (size_t)(an_rng_uniform(key, i) * 3)) % 40;
        for (size_t c = 0; c < 2 + word % 4; c++) text[n++] = (char)('a' + (word * (c + 3) + 7 * c) % 26);
        text[n++] = word % 11 ? ' ' : '\n';
    }
    unit_write(unit_path("text"), text, n);
    return unit_path("text");
}

static an_status try(tried *t, const an_check_settings *settings, const char *const *pairs)
{
    static const char *const SMALL[] = { "n_head", "2", "d_model", "32", "seq_len", "32", "batch_size", "8", "steps", "300", "warmup", "0", "schedule", "constant", "dropout", "0", "init", "xavier", "threads", "1",
                                         "seed", "3", NULL };
    an_check_settings how = *settings;
    *t = (tried){ 0 };
    how.tick = count_ticks;
    how.ctx = &t->ticks;
    assert_ok(an_run_options_create(&t->options, &t->config));
    for (size_t i = 0; SMALL[i]; i += 2) assert_ok(an_options_set(t->options, SMALL[i], SMALL[i + 1], AN_FROM_FILE, "small"));
    for (size_t i = 0; pairs[i]; i += 2) assert_ok(an_options_set(t->options, pairs[i], pairs[i + 1], AN_FROM_FLAG, "test"));
    assert_ok(an_options_resolve(t->options));
    return an_check_run(&t->check, t->options, &t->config, &how);
}

static void done(tried *t)
{
    an_check_fini(&t->check);
    an_options_destroy(&t->options);
}

static void pre_ln_trains(void **state)
{
    (void)state;
    tried t;
    const an_check_settings how = { .suggest = true };
    assert_ok(try(&t, &how, (const char *const[]){ "data", text_path(), "n_layer", "4", "lr", "3e-3", NULL }));
    const an_check *k = &t.check;
    assert_int_equal(k->verdict, AN_VERDICT_TRAINS);
    assert_true(k->signs.entropy - k->signs.loss >= 0.15 && k->n_steps >= 40 && k->n_steps < 100);   /* clear before a third of the run is over */
    assert_int_equal(t.ticks, k->n_steps);
    assert_int_equal(k->n_suggestions, 0);
    assert_true(isnan(k->signs.pre_ln) && isnan(k->signs.behind));   /* it is Pre-LN */
    assert_int_equal(k->n_sites, 8);
    assert_true(k->has_theory);
    for (size_t i = 0; i < k->n_sites; i++) assert_true(fabs(k->site[i].measured.attenuation - 1) < 1e-4 && k->site[i].predicted.attenuation == 1 && k->site[i].after.stream > 0);
    done(&t);
}

/* `behind`, from the steps alone: the first ten steps of Pre-LN whose mean is as low as that of the last ten here. */
static double behind_of(const an_check *k)
{
    double all = 0, last = 0;
    for (size_t i = 0; i < k->n_steps; i++) all += k->step[i].lr;
    for (size_t i = k->n_steps - 10; i < k->n_steps; i++) last += k->step[i].loss / 10;
    for (size_t end = 10; end <= k->n_steps; end++) {
        double mean = 0, sum = 0;
        for (size_t i = end - 10; i < end; i++) mean += k->step[i].pre_ln / 10;
        for (size_t i = 0; i < end; i++) sum += k->step[i].lr;
        if (mean <= last) return 1 - sum / all;
    }
    return 0;
}

static void plain_does_not_and_pre_ln_is_told(void **state)
{
    (void)state;
    tried t;
    const an_check_settings how = { .suggest = true };
    assert_ok(try(&t, &how, (const char *const[]){ "data", text_path(), "n_layer", "10", "lr", "3e-3", "design", "plain", NULL }));
    const an_check *k = &t.check;
    assert_int_equal(k->verdict, AN_VERDICT_WILL_NOT_TRAIN);
    assert_int_equal(strncmp(k->rule, "collapse", 8), 0);
    assert_true(k->signs.collapsed >= 2 && k->signs.settled && k->n_steps % 20 == 0);
    assert_true(k->signs.pre_ln < k->signs.loss && k->signs.behind > 0);
    for (size_t i = 0; i < k->n_steps; i++) assert_true(isfinite(k->step[i].pre_ln));
    assert_true(fabs(k->signs.behind - behind_of(k)) < 1e-9);
    assert_true(k->n_suggestions >= 2);
    const an_suggestion *last = &k->suggestion[k->n_suggestions - 1];
    assert_string_equal(last->change, "--design pre-ln");
    assert_int_equal(last->verdict, AN_VERDICT_TRAINS);
    assert_true(last->loss == k->signs.pre_ln);
    done(&t);
    const an_check_settings quick = { .steps = 12 };        /* asked for: so many and no more, and nothing is tried */
    assert_ok(try(&t, &quick, (const char *const[]){ "data", text_path(), "n_layer", "3", "design", "post-ln", NULL }));
    assert_int_equal(t.check.n_steps, 12);
    assert_int_equal(t.ticks, 24);                           /* the run and Pre-LN beside it */
    assert_int_equal(t.check.n_suggestions, 0);
    done(&t);
}

/* Settings of a design fall away where another design is tried. */
static void a_design_with_settings_is_compared(void **state)
{
    (void)state;
    tried t;
    const an_check_settings how = { .steps = 10 };
    assert_ok(try(&t, &how, (const char *const[]){ "data", text_path(), "n_layer", "2", "design", "custom", "custom_skip", "0.5", NULL }));
    assert_true(isfinite(t.check.signs.pre_ln));
    done(&t);
    assert_ok(try(&t, &how, (const char *const[]){ "data", text_path(), "n_layer", "2", "design", "post-ln", "design@0", "pre-ln", NULL }));
    assert_true(isnan(t.check.signs.pre_ln));                /* set layer by layer: not one design to hold against another */
    done(&t);
}

static void the_document_and_the_page(void **state)
{
    (void)state;
    static const char *const KEYS[] = { "verdict", "because", "rule", "warmup", "signs", "sites", "steps", "tried", "predicted_attenuation_product", "too_short" };
    static const char *const SIGNS[] = { "unigram_entropy", "loss_first", "loss", "pre_ln_loss", "behind_pre_ln", "attenuation_product_first", "attenuation_product", "token_cosine_first", "token_cosine",
                                         "gradient_reach_first", "gradient_reach", "grad_norm_first", "grad_norm_most", "lr_sum", "finite" };
    tried t;
    an_text page = { 0 };
    const an_check_settings how = { .steps = 15 };
    assert_ok(try(&t, &how, (const char *const[]){ "data", text_path(), "n_layer", "2", "design", "post-ln", NULL }));
    json_t *doc = an_check_json(&t.check);
    assert_non_null(doc);
    assert_int_equal(json_object_size(doc), COUNT(KEYS));
    for (size_t i = 0; i < COUNT(KEYS); i++) assert_non_null(json_object_get(doc, KEYS[i]));
    for (size_t i = 0; i < COUNT(SIGNS); i++) assert_non_null(json_object_get(json_object_get(doc, "signs"), SIGNS[i]));
    assert_string_equal(json_string_value(json_object_get(doc, "verdict")), an_verdict_name(t.check.verdict));
    assert_int_equal(json_array_size(json_object_get(doc, "steps")), 15);
    assert_int_equal(json_array_size(json_object_get(doc, "sites")), 4);
    const json_t *site = json_array_get(json_object_get(doc, "sites"), 0);
    assert_true(json_is_number(json_object_get(json_object_get(site, "predicted"), "attenuation")));
    assert_true(json_is_number(json_object_get(json_array_get(json_object_get(doc, "steps"), 14), "pre_ln_loss")));
    json_decref(doc);
    assert_ok(an_check_page(&t.check, t.options, &page));
    assert_non_null(strstr(an_text_get(&page), an_verdict_name(t.check.verdict)));
    assert_non_null(strstr(an_text_get(&page), "Pre-LN, everything else alike"));
    assert_non_null(strstr(an_text_get(&page), "</html>"));
    an_text_fini(&page);
    done(&t);
}

static void what_cannot_run_is_an_error(void **state)
{
    (void)state;
    tried t;
    const an_check_settings how = { .steps = 5 };
    assert_fails(try(&t, &how, (const char *const[]){ "n_layer", "2", NULL }), AN_EUSAGE, "no text given");
    an_options_destroy(&t.options);
    assert_fails(try(&t, &how, (const char *const[]){ "data", text_path(), "n_layer", "2", "n_head", "5", NULL }), AN_ECONFIG, "n_head");
    an_options_destroy(&t.options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_speaks), cmocka_unit_test(at_the_boundaries), cmocka_unit_test(collapse_and_clear_signs), cmocka_unit_test(pre_ln_trains),
        cmocka_unit_test(plain_does_not_and_pre_ln_is_told), cmocka_unit_test(a_design_with_settings_is_compared), cmocka_unit_test(the_document_and_the_page), cmocka_unit_test(what_cannot_run_is_an_error),
    };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
