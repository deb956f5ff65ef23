/* net/norm: what each kind emits equals its oracle (a row, or a batch in training) in every variant (in double to 1e-12, in float to 1e-5), the published
 * conventions tell themselves apart on one small row, and what cannot be normed is refused while building. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "core/rng.h"
#include "net/norm.h"

static const double TOLERANCE = sizeof(an_real) == 4 ? 1e-5 : 1e-12;

typedef struct fixture {
    an_options *options;
    an_model_config config;
    an_params params;
    an_plan *plan;
    an_build b;
    an_net net;
    an_value *x, *y;
} fixture;

static void set(fixture *f, const char *settings)
{
    char text[256];
    snprintf(text, sizeof text, "%s", settings);
    for (char *rest = text, *pair; (pair = strtok_r(rest, " ", &rest));) {
        char *equal = strchr(pair, '=');
        *equal = '\0';
        assert_ok(an_options_set(f->options, pair, equal + 1, AN_FROM_FLAG, "the test"));
    }
}

/* One norm over x [n, c], x being a parameter so that the test can fill it; rows belong to `tokens` tokens in equal numbers, 0: no such input. */
static void emit_over(fixture *f, const char *settings, size_t n, size_t c, size_t tokens, bool train)
{
    const an_init init = { AN_LAW_NORMAL, 1, 0 };
    *f = (fixture){ 0 };
    assert_ok(an_options_create(&f->options));
    assert_ok(an_model_options_add(f->options));
    set(f, settings);
    assert_ok(an_options_resolve(f->options));
    assert_ok(an_model_config_read(&f->config, f->options));
    f->config.d_model = c;
    assert_ok(an_plan_create(&f->plan, &f->params, train));
    f->b = (an_build){ .plan = f->plan, .block = -1, .train = train };
    f->net = (an_net){ .b = &f->b, .config = &f->config, .options = f->options, .layer = -1 };
    if (tokens) f->net.tokens = an_input(&f->b, "tokens", tokens);
    f->x = an_param_make(&f->b, "x", AN_MAT(n, c), &init, 1, AN_RULE_BARE);
    f->y = an_norm_emit(&f->net, "pre", f->x);
}

static void emit(fixture *f, const char *settings, size_t n, size_t c, bool train) { emit_over(f, settings, n, c, 0, train); }

static void run(fixture *f)
{
    assert_ok(f->b.status);
    f->y->keep = true;
    assert_ok(an_plan_freeze(f->plan, false));
    assert_ok(an_params_freeze(&f->params, false));
    assert_ok(an_plan_bind(f->plan, 1));
    an_params_draw(&f->params, 1, 1);                   /* gains 1, biases 0, running statistics as they start */
}

static void forward(fixture *f, bool train)
{
    an_run r = { .k = an_kern_get(), .gemm = an_gemm_get(), .train = train };
    an_plan_forward(f->plan, &r);
}

static void finish(fixture *f)
{
    an_plan_destroy(&f->plan);
    an_params_fini(&f->params);
    an_options_destroy(&f->options);
}

static an_real *parameter(fixture *f, const char *name)
{
    for (size_t i = 0; i < f->params.n; i++)
        if (strcmp(f->params.list[i].name, name) == 0) return f->params.list[i].data;
    return NULL;
}

static size_t count_of(const fixture *f, const char *name)
{
    for (size_t i = 0; i < f->params.n; i++)
        if (strcmp(f->params.list[i].name, name) == 0) return f->params.list[i].count;
    return 0;
}

static void draw(an_real *x, size_t n, double scale, double shift, uint64_t seed)
{
    for (size_t i = 0; x && i < n; i++) x[i] = AN_R(shift + scale * an_rng_normal(an_rng_key_make(seed, AN_RNG_PROBE, 0), i));
}

/* Rows around 0 and around 3, small and large, against the formula in double on the same (rounded) numbers. */
static bool against_oracle(const an_norm_kind *kind, const char *settings, size_t n, size_t c)
{
    static const struct { double scale, shift; } ROW[] = { { 1, 0 }, { 1, 3 }, { 1e-3, 0 }, { 200, -50 } };
    fixture f;
    emit(&f, settings, n, c, false);
    if (f.b.status == AN_ECONFIG) {                  /* so many groups do not fit into so few channels */
        finish(&f);
        return false;
    }
    run(&f);
    an_real *gain = parameter(&f, "pre.gain"), *bias = parameter(&f, "pre.bias");
    const size_t gains = count_of(&f, "pre.gain");       /* c, or 1 */
    double *x = malloc((2 * n + 2) * c * sizeof *x), *y = x + n * c, *g = y + n * c, *b = g + c;
    assert_non_null(x);
    for (size_t k = 0; k < COUNT(ROW); k++) {
        /* two rows may be close in some channel: what rounding of the mean is, over their distance */
        const double allowed = TOLERANCE * (kind->batchwise && n < 4 ? 10 * (1 + fabs(ROW[k].shift) / ROW[k].scale) : 1);
        double worst = 0, size = 0;
        draw(f.x->data ? f.x->data : parameter(&f, "x"), n * c, ROW[k].scale, ROW[k].shift, 1);
        draw(gain, gains, 0.3, 1, 2);
        draw(bias, c, 0.3, 0, 3);
        forward(&f, kind->batchwise);
        for (size_t i = 0; i < n * c; i++) x[i] = (double)f.x->data[i];
        for (size_t i = 0; i < c; i++) {
            g[i] = i < gains ? (double)gain[i] : 0;
            b[i] = bias ? (double)bias[i] : 0;
        }
        if (kind->batchwise) kind->oracle_batch(&f.net, n, c, x, gain ? g : NULL, bias ? b : NULL, y);
        for (size_t r = 0; r < n && !kind->batchwise; r++) kind->oracle(&f.net, c, x + r * c, gain ? g : NULL, bias ? b : NULL, y + r * c);
        for (size_t i = 0; i < n * c; i++) {
            worst = fmax(worst, fabs((double)f.y->data[i] - y[i]));
            size = fmax(size, fabs(y[i]));
        }
        if (!(worst <= allowed * size)) print_error("%s [%zu,%zu] rows of %g +- %g: off by %.2e of %.2e\n", settings, n, c, ROW[k].shift, ROW[k].scale, worst, size);
        assert_true(worst <= allowed * size && size > 0);
    }
    free(x);
    finish(&f);
    return true;
}

static void every_kind_equals_its_oracle(void **state)
{
    (void)state;
    static const size_t SHAPE[][2] = { { 1, 2 }, { 3, 7 }, { 33, 16 }, { 5, 129 }, { 2, 768 } };
    for (size_t k = 0; an_norm_at(k); k++)
        for (size_t v = 0; v == 0 || (an_norm_at(k)->variants && an_norm_at(k)->variants[v - 1]); v++) {
            char settings[256];
            size_t tried = 0;
            for (size_t s = 0; s < COUNT(SHAPE); s++) {
                snprintf(settings, sizeof settings, "norm=%s%s%s", an_norm_name(k), v ? " " : "", v ? an_norm_at(k)->variants[v - 1] : "");
                tried += against_oracle(an_norm_at(k), settings, SHAPE[s][0], SHAPE[s][1]);
            }
            if (tried < 2) print_error("%s: only %zu shapes fit\n", settings, tried);
            assert_true(tried >= 2);
        }
}

/* One row on which the conventions differ by sight. */
static void conventions(void **state)
{
    (void)state;
    static const struct { const char *settings; double one, zero; } CASE[] = {
        { "norm=layernorm norm_eps=1e-12", 1.7320508075688772, -0.57735026918962573 },                                     /* 0.75 / sqrt(3/16) */
        { "norm=layernorm norm_eps=1e-12 norm_eps_place=outside", 1.7320508075688772, -0.57735026918962573 },
        { "norm=layernorm norm_eps=1e-12 norm_variance=unbiased", 1.5, -0.5 },                                             /* 0.75 / sqrt(1/4) */
        { "norm=layernorm norm_eps=1e-12 norm_eps_place=outside norm_variance=unbiased", 1.5, -0.5 },
        { "norm=layernorm norm_eps=0.5 norm_eps_place=outside norm_variance=unbiased", 0.75, -0.25 },                      /* 0.75 / (1/2 + 1/2) */
        { "norm=layernorm norm_eps=0.0625", 1.5, -0.5 },                                                                   /* 0.75 / sqrt(3/16 + 1/16) */
        { "norm=rmsnorm norm_eps=1e-12", 2, 0 },                                                                           /* 1 / sqrt(1/4) */
        { "norm=rmsnorm norm_eps=0.5 norm_eps_place=outside", 1, 0 },
        { "norm=rmsnorm norm_eps=0.75", 1, 0 },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        fixture f;
        emit(&f, CASE[i].settings, 1, 4, false);
        run(&f);
        memcpy(f.x->data, ((an_real[]){ 1, 0, 0, 0 }), 4 * sizeof(an_real));
        forward(&f, false);
        const double tolerance = sizeof(an_real) == 4 ? 1e-6 : 1e-11;
        if (fabs((double)f.y->data[0] - CASE[i].one) > tolerance) print_error("%s: %.9g, expected %.9g\n", CASE[i].settings, (double)f.y->data[0], CASE[i].one);
        assert_true(fabs((double)f.y->data[0] - CASE[i].one) <= tolerance);
        for (size_t k = 1; k < 4; k++) assert_true(fabs((double)f.y->data[k] - CASE[i].zero) <= tolerance);
        finish(&f);
    }
}

static void refusals(void **state)
{
    (void)state;
    fixture f;
    emit(&f, "norm=layernorm norm_variance=unbiased", 3, 1, false);
    assert_fails(f.b.status, AN_ESHAPE, "unbiased variance of 1 channel");
    finish(&f);
    emit(&f, "norm=layernorm", 3, 1, false);         /* biased, one channel: constant rows, but defined */
    assert_ok(f.b.status);
    finish(&f);
    emit(&f, "norm=rmsnorm", 3, 0, false);
    assert_fails(f.b.status, AN_ESHAPE, "0 channels");
    finish(&f);

    static const char *const BATCHWISE[] = { "batchnorm", "rbn", "powernorm" };
    for (size_t i = 0; i < COUNT(BATCHWISE); i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "norm=%s", BATCHWISE[i]);
        emit(&f, settings, 1, 4, true);
        assert_fails(f.b.status, AN_ECONFIG, "trained on 1 token per pass");
        finish(&f);
        emit(&f, settings, 1, 4, false);             /* decoding: running statistics */
        assert_ok(f.b.status);
        finish(&f);
        emit_over(&f, settings, 7, 4, 3, false);
        assert_fails(f.b.status, AN_ESHAPE, "7 rows do not fall to 3 tokens");
        finish(&f);
    }
    emit(&f, "norm=powernorm powernorm_groups=3", 5, 4, false);
    assert_fails(f.b.status, AN_ECONFIG, "powernorm_groups 3 (the test) does not divide the 4 channels");
    finish(&f);

    an_options *options;                             /* a key of one kind on another kind */
    assert_ok(an_options_create(&options));
    assert_ok(an_model_options_add(options));
    assert_ok(an_options_set(options, "norm", "rmsnorm", AN_FROM_FLAG, "--norm"));
    assert_ok(an_options_set(options, "norm_variance", "unbiased", AN_FROM_FLAG, "--norm-variance"));
    assert_fails(an_options_resolve(options), AN_ECONFIG, "norm_variance");
    assert_fails(an_options_set(options, "norm_eps", "0", AN_FROM_FLAG, "--norm-eps"), AN_ECONFIG, "--norm-eps");
    assert_fails(an_options_set(options, "norm_eps", "-1e-5", AN_FROM_FLAG, "--norm-eps"), AN_ECONFIG, "--norm-eps");
    an_options_destroy(&options);
}

/* Two rows per token: what stands in the rows of a padding token moves no bit of the others, unless it is counted. */
static void rows_that_do_not_count(void **state)
{
    (void)state;
    enum { N = 40, C = 5 };
    static const char *const BATCHWISE[] = { "batchnorm", "rbn", "powernorm" };
    for (size_t i = 0; i < COUNT(BATCHWISE); i++)
        for (int masked = 0; masked < 2; masked++) {
            fixture f;
            char settings[64];
            int32_t tokens[N / 2] = { [0] = -1, [7] = -1, [N / 2 - 1] = -1 };
            an_real before[N * C];
            snprintf(settings, sizeof settings, "norm=%s norm_masked=%s", BATCHWISE[i], masked ? "true" : "false");
            emit_over(&f, settings, N, C, N / 2, false);
            run(&f);
            f.net.tokens->tokens = tokens;
            draw(f.x->data, N * C, 1, 0.5, 4);
            forward(&f, true);
            memcpy(before, f.y->data, sizeof before);
            for (size_t r = 0; r < N; r++)
                for (size_t j = 0; j < C && tokens[r / 2] < 0; j++) f.x->data[r * C + j] = f.x->data[r * C + j] * 3 + 1;
            forward(&f, true);
            size_t moved = 0;
            for (size_t r = 0; r < N; r++)
                for (size_t j = 0; j < C && tokens[r / 2] >= 0; j++) moved += f.y->data[r * C + j] != before[r * C + j];
            if ((moved == 0) != masked) print_error("%s: %zu elements of rows that count have moved\n", settings, moved);
            assert_int_equal(moved == 0, masked);
            finish(&f);
        }
}

/* Rows of the registry are whole, and what a norm declares as parameters is what its settings say. */
static void registry(void **state)
{
    (void)state;
    static const struct { const char *settings; int gain, bias; } CASE[] = {
        { "norm=layernorm", 1, 1 }, { "norm=layernorm bias=false", 1, 0 }, { "norm=layernorm norm_bias=false", 1, 0 }, { "norm=layernorm bias=false norm_bias=true", 1, 1 },
        { "norm=layernorm norm_affine=false", 0, 0 }, { "norm=rmsnorm", 1, 0 }, { "norm=rmsnorm norm_affine=false", 0, 0 },
    };
    for (size_t k = 0; an_norm_at(k); k++) {
        const an_norm_kind *kind = an_norm_at(k);
        assert_true(kind->name && *kind->name && kind->formula && *kind->formula && kind->source && *kind->source && kind->emit);
        assert_true((kind->oracle != NULL) == !kind->batchwise && (kind->oracle_batch != NULL) == kind->batchwise);
        assert_true(!kind->batchwise || kind->note);
        assert_ptr_equal(an_norm_find(kind->name), kind);
    }
    assert_null(an_norm_find("no-such-norm"));
    for (size_t i = 0; i < COUNT(CASE); i++) {
        fixture f;
        emit(&f, CASE[i].settings, 3, 8, false);
        run(&f);
        assert_int_equal(parameter(&f, "pre.gain") != NULL, CASE[i].gain);
        assert_int_equal(parameter(&f, "pre.bias") != NULL, CASE[i].bias);
        for (size_t p = 1; p < f.params.n; p++) assert_true(f.params.list[p].rule.decay == 0);
        finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_kind_equals_its_oracle), cmocka_unit_test(conventions), cmocka_unit_test(refusals), cmocka_unit_test(rows_that_do_not_count), cmocka_unit_test(registry) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
