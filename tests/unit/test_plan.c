/* plan: what the builder refuses and how it says so, shared constants, and who sets and who adds a gradient. */
#include "unit.h"

#include <math.h>

#include "plan/intervene.h"

/* --- a plan by hand -------------------------------------------------------------------------------------------- */

typedef struct bench { an_params params; an_plan *plan; an_build b; } bench;

static const an_init ONE = { AN_LAW_NORMAL, 1, 0 };
static const an_residual_attr SUM = { .a = 1, .b = 1 };
static const an_xent_attr NO_Z_LOSS = { 0 };

static void start(bench *t, bool train)
{
    *t = (bench){ 0 };
    assert_ok(an_plan_create(&t->plan, &t->params, train));
    t->b = (an_build){ .plan = t->plan, .block = -1, .train = train };
    an_scope_push(&t->b, "here");
}

static void finish(bench *t)
{
    an_plan_destroy(&t->plan);
    an_params_fini(&t->params);
}

static an_value *param(bench *t, const char *name, an_dims dims) { return an_param_make(&t->b, name, dims, &ONE, 1, AN_RULE_BARE); }

static an_value *emit_linear(bench *t, const char *name, an_value *x, an_value *w, an_value *bias) { return AN_EMIT_BARE(&t->b, &an_op_linear, name, x, w, bias); }

/* --- refusals -------------------------------------------------------------------------------------------------- */

static void wrong_linear(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(3, 4)), param(t, "w", AN_MAT(6, 5)), NULL); }
static void wrong_bias(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(3, 4)), param(t, "w", AN_MAT(6, 4)), param(t, "b", AN_VEC(5))); }
static void wrong_rank(bench *t) { emit_linear(t, "fc", param(t, "x", AN_VEC(4)), param(t, "w", AN_MAT(6, 4)), NULL); }
static void no_input(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(3, 4)), NULL, NULL); }
static void wrong_sum(bench *t) { AN_EMIT(&t->b, &an_op_residual, "add", &SUM, param(t, "x", AN_MAT(3, 4)), param(t, "f", AN_MAT(4, 3))); }
static void wrong_targets(bench *t) { AN_EMIT(&t->b, &an_op_xent, "loss", &NO_Z_LOSS, param(t, "z", AN_MAT(3, 4)), an_input(&t->b, "targets", 4)); }

static void wrong_gain(bench *t)
{
    const an_norm_attr attr = { { .eps = AN_R(1e-5), .center = 1 } };
    AN_EMIT(&t->b, &an_op_norm, "norm", &attr, param(t, "x", AN_MAT(3, 4)), param(t, "g", AN_VEC(3)));
}

static void short_positions(bench *t)
{
    const an_embed_attr attr = { 1, 6 };
    AN_EMIT(&t->b, &an_op_embed, "sum", &attr, an_input(&t->b, "tokens", 12), param(t, "e", AN_MAT(9, 4)), param(t, "p", AN_MAT(5, 4)));
}

static void odd_rotation(bench *t)
{
    const an_rope_attr attr = { 2, 2, 3 };
    AN_EMIT(&t->b, &an_op_rope, "rope", &attr, param(t, "x", AN_MAT(2, 9)), param(t, "cos", AN_MAT(2, 1)), param(t, "sin", AN_MAT(2, 1)));
}

static void wrong_heads(bench *t)
{
    const an_attention_attr attr = { .batch = 1, .seq = 2, .heads = 2, .kv_heads = 2, .width = 4, .scale = 1, .causal = true };
    AN_EMIT(&t->b, &an_op_attention, "attention", &attr, param(t, "qkv", AN_MAT(2, 20)));
}

static void certain_dropout(bench *t)
{
    const an_dropout_attr attr = { 1 };
    AN_EMIT(&t->b, &an_op_dropout, "drop", &attr, param(t, "x", AN_MAT(2, 4)));
}

static void two_shapes_of_one_name(bench *t) { param(t, "w", AN_MAT(3, 4)), param(t, "w", AN_MAT(4, 3)); }
static void huge_param(bench *t) { param(t, "w", AN_MAT(SIZE_MAX / 2, 3)); }
static void huge_bytes(bench *t) { param(t, "w", AN_VEC(SIZE_MAX / sizeof(an_real) + 1)); }
static void huge_output(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(SIZE_MAX / 16, 1)), param(t, "w", AN_MAT(16, 1)), NULL); }

static void cached_attention(bench *t)
{
    const an_attention_attr attr = { .batch = 1, .seq = 1, .heads = 2, .kv_heads = 2, .width = 4, .cache = 5, .scale = 1, .causal = true };
    AN_EMIT(&t->b, &an_op_attention_cached, "attention", &attr, param(t, "qkv", AN_MAT(1, 24)), an_state(&t->b, "cache", (an_dims){ 4, { 1, 4, 5, 4 } }));
}

static void deep_scopes(bench *t)
{
    for (int i = 0; i < 40; i++) an_scope_push(&t->b, "level%d", i);
}

/* What is built, the status, and words that the sentence must contain: the step, the value, both shapes. */
static void the_builder_refuses(void **state)
{
    (void)state;
    static const struct { void (*build)(bench *); bool train; an_status status; const char *words[4]; } CASE[] = {
        { wrong_linear, true, AN_ESHAPE, { "here.fc", "here.w", "[6,5]", "[6,4]" } },
        { wrong_bias, true, AN_ESHAPE, { "here.fc", "here.b", "[5]", "[6]" } },
        { wrong_rank, false, AN_ESHAPE, { "here.fc", "here.x", "rank 1", "2" } },
        { no_input, false, AN_ESHAPE, { "here.fc", "input 1", "linear", "missing" } },
        { wrong_sum, true, AN_ESHAPE, { "here.add", "here.f", "[4,3]", "[3,4]" } },
        { wrong_targets, true, AN_ESHAPE, { "here.loss", "here.targets", "[4]", "[3]" } },
        { wrong_gain, true, AN_ESHAPE, { "here.norm", "here.g", "[3]", "[4]" } },
        { short_positions, true, AN_ESHAPE, { "here.sum", "5 x 4", "6 x 4", "position" } },
        { odd_rotation, true, AN_ESHAPE, { "here.rope", "3", "even", "n_head" } },
        { wrong_heads, true, AN_ESHAPE, { "here.attention", "here.qkv", "[2,20]", "[2,24]" } },
        { certain_dropout, true, AN_ECONFIG, { "here.drop", "dropout 1", "[0, 1)", "" } },
        { two_shapes_of_one_name, false, AN_ESHAPE, { "here.w", "twice", "shapes", "" } },
        { huge_param, false, AN_ESHAPE, { "here.w", "overflow", "", "" } },
        { huge_bytes, false, AN_ESHAPE, { "here.w", "overflow", "", "" } },
        { huge_output, false, AN_ESHAPE, { "here.fc", "overflow", "", "" } },
        { cached_attention, true, AN_ECONFIG, { "here.attention", "attention_cached", "no backward", "trained" } },
        { cached_attention, false, AN_OK, { "" } },
        { deep_scopes, false, AN_EFAIL, { "scopes", "", "", "" } },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        bench t;
        start(&t, CASE[i].train);
        CASE[i].build(&t);
        if (CASE[i].status == AN_OK) assert_ok(t.b.status);
        for (size_t w = 0; w < 4 && CASE[i].status != AN_OK; w++) assert_fails(t.b.status, CASE[i].status, CASE[i].words[w]);
        finish(&t);
    }
}

/* The first failure stays, and everything after it is a no-op. */
static void failure_sticks(void **state)
{
    (void)state;
    bench t;
    start(&t, true);
    wrong_linear(&t);
    const size_t values = t.plan->n_values, steps = t.plan->n_steps;
    assert_null(param(&t, "other", AN_VEC(3)));
    assert_null(emit_linear(&t, "again", NULL, NULL, NULL));
    assert_null(an_input(&t.b, "tokens", 3));
    wrong_sum(&t);
    assert_fails(t.b.status, AN_ESHAPE, "here.fc");
    assert_true(t.plan->n_values == values && t.plan->n_steps == steps);
    finish(&t);
}

static void plans_that_cannot_be_frozen(void **state)
{
    (void)state;
    bench t;
    const an_dropout_attr half = { 0.5 };
    start(&t, true);                                 /* dropout would overwrite what the sum still reads */
    an_value *y = emit_linear(&t, "fc", param(&t, "x", AN_MAT(3, 4)), param(&t, "w", AN_MAT(4, 4)), NULL);
    an_value *sum = AN_EMIT(&t.b, &an_op_residual, "add", &SUM, y, AN_EMIT(&t.b, &an_op_dropout, "drop", &half, y));
    an_input(&t.b, "targets", 3)->tokens = NULL;
    t.plan->loss = AN_EMIT(&t.b, &an_op_xent, "loss", &NO_Z_LOSS, sum, an_input(&t.b, "targets", 3));
    assert_ok(t.b.status);
    assert_fails(an_plan_freeze(t.plan, false), AN_EFAIL, "here.drop: dropout works in place, but here.fc is still needed");
    finish(&t);

    start(&t, true);                                 /* attention can only set the gradient of what it reads */
    const an_attention_attr attr = { .batch = 1, .seq = 2, .heads = 1, .kv_heads = 1, .width = 2, .scale = 1, .causal = true };
    an_value *qkv = emit_linear(&t, "qkv", param(&t, "x", AN_MAT(2, 4)), param(&t, "w", AN_MAT(6, 4)), NULL);
    an_value *a = AN_EMIT(&t.b, &an_op_attention, "attention", &attr, qkv), *other = emit_linear(&t, "fc", qkv, param(&t, "v", AN_MAT(2, 6)), NULL);
    t.plan->loss = AN_EMIT(&t.b, &an_op_xent, "loss", &NO_Z_LOSS, AN_EMIT(&t.b, &an_op_residual, "add", &SUM, a, other), an_input(&t.b, "targets", 2));
    assert_ok(t.b.status);
    assert_fails(an_plan_freeze(t.plan, false), AN_EFAIL, "can only set the gradient of here.qkv");
    finish(&t);

    start(&t, true);
    emit_linear(&t, "fc", param(&t, "x", AN_MAT(3, 4)), param(&t, "w", AN_MAT(4, 4)), NULL);
    assert_fails(an_plan_freeze(t.plan, true), AN_EFAIL, "without a loss");
    finish(&t);

    start(&t, false);                                /* a later plan may not ask for more than the first defined */
    param(&t, "w", AN_MAT(3, 4));
    assert_ok(an_params_freeze(&t.params, false));
    an_plan *later = NULL;
    assert_ok(an_plan_create(&later, &t.params, false));
    an_build b = { .plan = later, .block = -1 };
    assert_null(an_param_make(&b, "here.v", AN_VEC(3), &ONE, 1, AN_RULE_BARE));
    assert_fails(b.status, AN_EFAIL, "here.v");
    an_plan_destroy(&later);
    finish(&t);
}

/* --- what probes refuse (plan/intervene.h) -------------------------------------------------------------------------- */

/* One sub-layer by hand: its branch joins by a sum, by something else, or there is a way around the sum. */
typedef enum joining { BY_SUM, BY_GAIN, AROUND } joining;

static void start_site(bench *t, joining how)
{
    const an_gain_attr half = { .factor = 0.5 };
    start(t, true);
    t->plan->apart = true;
    an_value *x = emit_linear(t, "in", param(t, "x", AN_MAT(3, 4)), param(t, "w", AN_MAT(4, 4)), NULL);
    an_site_begin(&t->b, "layers.0.mlp", 0);
    t->b.branch = 0;
    an_value *f = emit_linear(t, "fc", x, param(t, "v", AN_MAT(4, 4)), NULL);
    t->b.branch = -1;
    an_value *y = AN_EMIT(&t->b, &an_op_residual, "add", &SUM, x, how == BY_GAIN ? AN_EMIT(&t->b, &an_op_gain, "half", &half, f, NULL) : f);
    an_value *z = how == AROUND ? AN_EMIT(&t->b, &an_op_residual, "again", &SUM, y, x) : y;
    t->plan->sites[0] = (an_site_mark){ .name = "layers.0.mlp", .in = { x }, .out = { y }, .n_in = 1, .n_out = 1, .branch_in = x, .branch_out = f };
    t->plan->loss = AN_EMIT(&t->b, &an_op_xent, "loss", &NO_Z_LOSS, z, an_input(&t->b, "targets", 3));
    assert_ok(t->b.status);
    assert_ok(an_plan_freeze(t->plan, true));
}

static void probes_say_what_they_cannot_tell_apart(void **state)
{
    (void)state;
    bench t;
    start_site(&t, BY_SUM);
    assert_ok(an_plan_need_lesions(t.plan));
    assert_ok(an_plan_need_paths(t.plan));
    assert_ok(an_plan_need_rest(t.plan));
    finish(&t);
    start_site(&t, BY_GAIN);
    assert_fails(an_plan_need_lesions(t.plan), AN_ECONFIG, "layers.0.mlp joins its branch to the stream by something else than a sum");
    assert_fails(an_plan_need_paths(t.plan), AN_ECONFIG, "layers.0.mlp joins its branch to the stream by something else than one sum");
    finish(&t);
    start_site(&t, AROUND);
    assert_ok(an_plan_need_lesions(t.plan));
    assert_fails(an_plan_need_paths(t.plan), AN_ECONFIG, "around the sum of layers.0.mlp");
    assert_fails(an_plan_need_rest(t.plan), AN_ECONFIG, "more than the stream after layers.0.mlp");
    finish(&t);
}

/* --- constants -------------------------------------------------------------------------------------------------- */

static void fill_a(an_real *out, const an_dims *dims, double arg) { for (size_t i = 0; i < dims->d[0] * dims->d[1]; i++) out[i] = AN_R(arg + (double)i); }
static void fill_b(an_real *out, const an_dims *dims, double arg) { for (size_t i = 0; i < dims->d[0] * dims->d[1]; i++) out[i] = AN_R(arg); }

static void constants_are_shared(void **state)
{
    (void)state;
    bench t;
    start(&t, false);
    an_value *a = an_const(&t.b, "a", AN_MAT(3, 4), fill_a, 2);
    an_scope_push(&t.b, "elsewhere");
    assert_ptr_equal(an_const(&t.b, "another name", AN_MAT(3, 4), fill_a, 2), a);
    an_value *other[] = { an_const(&t.b, "b", AN_MAT(3, 4), fill_a, 3), an_const(&t.b, "c", AN_MAT(4, 3), fill_a, 2), an_const(&t.b, "d", AN_MAT(3, 4), fill_b, 2) };
    for (size_t i = 0; i < COUNT(other); i++)
        for (size_t k = 0; k < i; k++) assert_true(other[i] && other[i] != a && other[i] != other[k]);
    AN_EMIT(&t.b, &an_op_residual, "add", &SUM, a, other[0]);
    assert_ok(t.b.status);
    assert_ok(an_plan_freeze(t.plan, true));
    assert_ok(an_params_freeze(&t.params, false));
    assert_ok(an_plan_bind(t.plan, 1));
    for (size_t i = 0; i < 12; i++) assert_true(a->data[i] == AN_R(2 + (double)i) && other[0]->data[i] == AN_R(3 + (double)i) && other[1]->data[i] == a->data[i] && other[2]->data[i] == AN_R(2));
    finish(&t);
}

/* --- SET and ADD ------------------------------------------------------------------------------------------------- */

enum { ROWS = 5, WIDTH = 6 };

/* loss of ((x w') v'), w and v one tensor or two; gradients of both into dw (and dv). */
static void chain(bool tied, an_real *dw, an_real *dv, bool twice)
{
    static const int32_t TARGETS[ROWS] = { 0, 5, -1, 2, 2 };
    bench t;
    start(&t, true);
    an_value *x = param(&t, "x", AN_MAT(ROWS, WIDTH)), *w = param(&t, "w", AN_MAT(WIDTH, WIDTH)), *v = tied ? w : param(&t, "v", AN_MAT(WIDTH, WIDTH));
    an_value *targets = an_input(&t.b, "targets", ROWS), *z = emit_linear(&t, "second", emit_linear(&t, "first", x, w, NULL), v, NULL);
    t.plan->loss = AN_EMIT(&t.b, &an_op_xent, "loss", &NO_Z_LOSS, z, targets);
    assert_ok(t.b.status);
    assert_ok(an_plan_freeze(t.plan, false));
    assert_ok(an_params_freeze(&t.params, true));
    assert_ok(an_plan_bind(t.plan, 1));
    targets->tokens = TARGETS;
    for (size_t i = 0; i < x->count; i++) x->data[i] = AN_R(sin((double)i));
    for (size_t i = 0; i < w->count; i++) w->data[i] = v->data[i] = AN_R(0.5 * cos(3 * (double)i));
    for (size_t i = 0; i < t.params.grad.count; i++) t.params.grad.data[i] = AN_R(NAN);   /* the first writer sets */
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .loss_scale = 1, .n_target = 4 };
    for (int pass = 0; pass < 1 + twice; pass++) {
        run.accumulate = pass > 0;
        an_plan_forward(t.plan, &run);
        an_plan_backward(t.plan, &run);
    }
    memcpy(dw, w->grad, w->count * sizeof *dw);
    memcpy(dv, v->grad, v->count * sizeof *dv);
    finish(&t);
}

static void tied_weights_add(void **state)
{
    (void)state;
    an_real tied[WIDTH * WIDTH], same[WIDTH * WIDTH], dw[WIDTH * WIDTH], dv[WIDTH * WIDTH], again[WIDTH * WIDTH];
    chain(true, tied, same, false);
    chain(false, dw, dv, false);
    double size = 0, smallest = INFINITY;
    for (size_t i = 0; i < COUNT(tied); i++) {
        size = fmax(size, fabs((double)tied[i]));
        smallest = fmin(smallest, fmax(fabs((double)dw[i]), fabs((double)dv[i])));
    }
    assert_true(size > 0.01 && smallest > 0);
    for (size_t i = 0; i < COUNT(tied); i++) assert_true(fabs((double)tied[i] - (double)dw[i] - (double)dv[i]) <= 8 * (double)AN_REAL_EPS * size);
    chain(true, again, same, true);
    for (size_t i = 0; i < COUNT(tied); i++) assert_true(fabs((double)again[i] - 2 * (double)tied[i]) <= 8 * (double)AN_REAL_EPS * size);
}

/* z = (x + f) + n with f = u w' and n = x v': the gradients of x + f, x and f are equal, but n adds to x's before f's maker
 * has read its own when n is emitted after f. Returns the gradient of w. */
static void branches(bool n_after_f, an_real *dw)
{
    static const int32_t TARGETS[ROWS] = { 0, 5, 1, 2, 2 };
    bench t;
    start(&t, true);
    an_value *u = param(&t, "u", AN_MAT(ROWS, WIDTH)), *w = param(&t, "w", AN_MAT(WIDTH, WIDTH)), *v = param(&t, "v", AN_MAT(WIDTH, WIDTH)), *targets = an_input(&t.b, "targets", ROWS);
    an_value *x = emit_linear(&t, "x", u, v, NULL), *n = n_after_f ? NULL : emit_linear(&t, "n", x, v, NULL), *f = emit_linear(&t, "f", u, w, NULL);
    if (n_after_f) n = emit_linear(&t, "n", x, v, NULL);
    an_value *z = AN_EMIT(&t.b, &an_op_residual, "z", &SUM, AN_EMIT(&t.b, &an_op_residual, "y", &SUM, x, f), n);
    t.plan->loss = AN_EMIT(&t.b, &an_op_xent, "loss", &NO_Z_LOSS, z, targets);
    assert_ok(t.b.status);
    assert_ok(an_plan_freeze(t.plan, false));
    assert_ok(an_params_freeze(&t.params, true));
    assert_ok(an_plan_bind(t.plan, 1));
    targets->tokens = TARGETS;
    for (size_t i = 0; i < t.params.data.count; i++) t.params.data.data[i] = AN_R(sin(1 + (double)i));
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .loss_scale = 1, .n_target = ROWS };
    an_plan_forward(t.plan, &run);
    an_plan_backward(t.plan, &run);
    memcpy(dw, w->grad, w->count * sizeof *dw);
    finish(&t);
}

static void shared_gradients_wait_for_their_readers(void **state)
{
    (void)state;
    an_real before[WIDTH * WIDTH], after[WIDTH * WIDTH];
    branches(false, before);
    branches(true, after);
    assert_memory_equal(before, after, sizeof before);
}

/* One pass of a plan that ends in z; the gradient of w. */
static void gradient_of(bench *t, an_value *z, const an_value *w, bool fuse, an_real *dw)
{
    static const int32_t TARGETS[ROWS] = { 0, 5, 1, 2, 2 };
    an_value *targets = an_input(&t->b, "targets", ROWS);
    t->plan->loss = AN_EMIT(&t->b, &an_op_xent, "loss", &NO_Z_LOSS, z, targets);
    assert_ok(t->b.status);
    assert_ok(an_plan_freeze(t->plan, fuse));
    assert_ok(an_params_freeze(&t->params, true));
    assert_ok(an_plan_bind(t->plan, 1));
    targets->tokens = TARGETS;
    for (size_t i = 0; i < t->params.data.count; i++) t->params.data.data[i] = AN_R(sin(1 + (double)i));
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .loss_scale = 1, .n_target = ROWS };
    an_plan_forward(t->plan, &run);
    an_plan_backward(t->plan, &run);
    memcpy(dw, w->grad, w->count * sizeof *dw);
    finish(t);
}

/* Two streams x and y take the same branch of x and meet in a sum: their gradients are equal there, but the branch adds to x's
 * long before y's maker has read its own. A factor of 1 in between keeps the buffers apart. */
static void two_streams_meet(void **state)
{
    (void)state;
    an_real dw[2][WIDTH * WIDTH];
    const an_gain_attr one = { .factor = 1 };
    for (int apart = 0; apart < 2; apart++) {
        bench t;
        start(&t, true);
        an_value *u = param(&t, "u", AN_MAT(ROWS, WIDTH)), *v = param(&t, "v", AN_MAT(WIDTH, WIDTH)), *w = param(&t, "w", AN_MAT(WIDTH, WIDTH));
        an_value *x = emit_linear(&t, "x", u, v, NULL), *y = emit_linear(&t, "y", u, w, NULL), *f = emit_linear(&t, "f", x, v, NULL);
        an_value *a = AN_EMIT(&t.b, &an_op_residual, "a", &SUM, x, f), *b = AN_EMIT(&t.b, &an_op_residual, "b", &SUM, y, f);
        if (apart) b = AN_EMIT(&t.b, &an_op_gain, "apart", &one, b, NULL);
        gradient_of(&t, AN_EMIT(&t.b, &an_op_residual, "z", &SUM, a, b), w, false, dw[apart]);
    }
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
}

/* A norm that nobody reads changes no gradient, joined with the sum before it or not. */
static void unread_norm(void **state)
{
    (void)state;
    an_real dw[3][WIDTH * WIDTH];
    const an_norm_attr attr = { { .eps = AN_R(1e-5), .center = 1 } };
    for (int how = 0; how < 3; how++) {
        bench t;
        start(&t, true);
        an_value *u = param(&t, "u", AN_MAT(ROWS, WIDTH)), *w = param(&t, "w", AN_MAT(WIDTH, WIDTH)), *x = emit_linear(&t, "x", u, w, NULL);
        an_value *z = AN_EMIT(&t.b, &an_op_residual, "z", &SUM, x, emit_linear(&t, "f", x, w, NULL));
        if (how > 0) AN_EMIT(&t.b, &an_op_norm, "norm", &attr, z, param(&t, "g", AN_VEC(WIDTH)));
        gradient_of(&t, z, w, how > 1, dw[how]);
    }
    assert_memory_equal(dw[0], dw[1], sizeof dw[0]);
    assert_memory_equal(dw[0], dw[2], sizeof dw[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_builder_refuses), cmocka_unit_test(failure_sticks), cmocka_unit_test(plans_that_cannot_be_frozen), cmocka_unit_test(probes_say_what_they_cannot_tell_apart),
                                        cmocka_unit_test(constants_are_shared), cmocka_unit_test(tied_weights_add), cmocka_unit_test(shared_gradients_wait_for_their_readers),
                                        cmocka_unit_test(two_streams_meet), cmocka_unit_test(unread_norm) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
