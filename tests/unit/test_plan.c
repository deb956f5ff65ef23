/* plan: what the builder refuses and how it says so, who sets and who adds a gradient, shared constants, and the memory
 * planner: no buffer is read before it is written, none is written while another value still lives in it. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "net/model_impl.h"

/* --- a plan by hand -------------------------------------------------------------------------------------------- */

typedef struct bench { an_params params; an_plan *plan; an_build b; } bench;

static const an_init ONE = { AN_LAW_NORMAL, 1, 0 };
static const an_residual_attr SUM = { 1, 1 };

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

static an_value *param(bench *t, const char *name, an_dims dims) { return an_param_make(&t->b, name, dims, &ONE, 1, false, 1); }

static an_value *emit_linear(bench *t, const char *name, an_value *x, an_value *w, an_value *bias) { return AN_EMIT_BARE(&t->b, &an_op_linear, name, x, w, bias); }

/* --- refusals -------------------------------------------------------------------------------------------------- */

static void wrong_linear(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(3, 4)), param(t, "w", AN_MAT(6, 5)), NULL); }
static void wrong_bias(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(3, 4)), param(t, "w", AN_MAT(6, 4)), param(t, "b", AN_VEC(5))); }
static void wrong_rank(bench *t) { emit_linear(t, "fc", param(t, "x", AN_VEC(4)), param(t, "w", AN_MAT(6, 4)), NULL); }
static void no_input(bench *t) { emit_linear(t, "fc", param(t, "x", AN_MAT(3, 4)), NULL, NULL); }
static void wrong_sum(bench *t) { AN_EMIT(&t->b, &an_op_residual, "add", &SUM, param(t, "x", AN_MAT(3, 4)), param(t, "f", AN_MAT(4, 3))); }
static void wrong_targets(bench *t) { AN_EMIT_BARE(&t->b, &an_op_xent, "loss", param(t, "z", AN_MAT(3, 4)), an_input(&t->b, "targets", 4)); }

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
    const an_attention_attr attr = { .batch = 1, .seq = 2, .heads = 2, .width = 4, .scale = 1, .causal = true };
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
    const an_attention_attr attr = { .batch = 1, .seq = 1, .heads = 2, .width = 4, .cache = 5, .scale = 1, .causal = true };
    AN_EMIT(&t->b, &an_op_attention_cached, "attention", &attr, param(t, "qkv", AN_MAT(1, 24)), an_state(&t->b, "cache", (an_dims){ 3, { 1, 5, 16 } }));
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
    t.plan->loss = AN_EMIT_BARE(&t.b, &an_op_xent, "loss", sum, an_input(&t.b, "targets", 3));
    assert_ok(t.b.status);
    assert_fails(an_plan_freeze(t.plan, false, false), AN_EFAIL, "here.drop: dropout works in place, but here.fc is still needed");
    finish(&t);

    start(&t, true);                                 /* attention can only set the gradient of what it reads */
    const an_attention_attr attr = { .batch = 1, .seq = 2, .heads = 1, .width = 2, .scale = 1, .causal = true };
    an_value *qkv = emit_linear(&t, "qkv", param(&t, "x", AN_MAT(2, 4)), param(&t, "w", AN_MAT(6, 4)), NULL);
    an_value *a = AN_EMIT(&t.b, &an_op_attention, "attention", &attr, qkv), *other = emit_linear(&t, "fc", qkv, param(&t, "v", AN_MAT(2, 6)), NULL);
    t.plan->loss = AN_EMIT_BARE(&t.b, &an_op_xent, "loss", AN_EMIT(&t.b, &an_op_residual, "add", &SUM, a, other), an_input(&t.b, "targets", 2));
    assert_ok(t.b.status);
    assert_fails(an_plan_freeze(t.plan, false, false), AN_EFAIL, "can only set the gradient of here.qkv");
    finish(&t);

    start(&t, true);
    emit_linear(&t, "fc", param(&t, "x", AN_MAT(3, 4)), param(&t, "w", AN_MAT(4, 4)), NULL);
    assert_fails(an_plan_freeze(t.plan, true, false), AN_EFAIL, "without a loss");
    finish(&t);

    start(&t, false);                                /* a later plan may not ask for more than the first defined */
    param(&t, "w", AN_MAT(3, 4));
    assert_ok(an_params_freeze(&t.params, false));
    an_plan *later = NULL;
    assert_ok(an_plan_create(&later, &t.params, false));
    an_build b = { .plan = later, .block = -1 };
    assert_null(an_param_make(&b, "here.v", AN_VEC(3), &ONE, 1, false, 1));
    assert_fails(b.status, AN_EFAIL, "here.v");
    an_plan_destroy(&later);
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
    assert_ok(an_plan_freeze(t.plan, true, false));
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
    t.plan->loss = AN_EMIT_BARE(&t.b, &an_op_xent, "loss", z, targets);
    assert_ok(t.b.status);
    assert_ok(an_plan_freeze(t.plan, false, false));
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

/* --- memory ------------------------------------------------------------------------------------------------------ */

typedef struct subject { an_options *options; an_model *model; size_t rows; int32_t *tokens, *targets; an_pass pass; } subject;

static void open_subject(subject *s, const char *settings, bool logits)
{
    char text[512];
    an_model_config config;
    *s = (subject){ 0 };
    assert_ok(an_options_create(&s->options));
    assert_ok(an_model_options_add(s->options));
    snprintf(text, sizeof text, "n_layer=3 n_head=2 d_model=16 d_ff=20 seq_len=19 vocab_size=23 %s", settings);
    for (char *rest = text, *pair; (pair = strtok_r(rest, " ", &rest));) {
        char *equal = strchr(pair, '=');
        *equal = '\0';
        assert_ok(an_options_set(s->options, pair, equal + 1, AN_FROM_FLAG, "the test"));
    }
    assert_ok(an_options_resolve(s->options));
    assert_ok(an_model_config_read(&config, s->options));
    const an_model_shape shape = { .batch = 2, .seq = config.seq_len, .train = true, .logits = logits };
    assert_ok(an_model_create(&s->model, &config, s->options, &shape));
    an_model_init_params(s->model, 1);
    s->rows = shape.batch * shape.seq;
    s->tokens = malloc(s->rows * sizeof *s->tokens);
    s->targets = malloc(s->rows * sizeof *s->targets);
    assert_true(s->tokens && s->targets);
    for (size_t i = 0; i < s->rows; i++) {
        s->tokens[i] = (int32_t)(i * i % config.vocab_size);
        s->targets[i] = i == 4 ? -1 : (int32_t)((i * 7 + 1) % config.vocab_size);
    }
    s->pass = (an_pass){ .tokens = s->tokens, .targets = s->targets, .seed = 1, .train = true, .loss_scale = 1 };
}

static void close_subject(subject *s)
{
    an_model_destroy(&s->model);
    an_options_destroy(&s->options);
    free(s->tokens);
    free(s->targets);
}

static void poison(an_block *block)
{
    for (size_t i = 0; i < block->count; i++) block->data[i] = AN_R(NAN);
}

/* One pass over poisoned memory: gradients, and the loss. */
static double pass_over_poison(subject *s, an_real *gradients)
{
    an_plan *plan = s->model->plan;
    poison(&plan->activations);
    poison(&plan->scratch);
    poison(&plan->thread_scratch);
    poison(&s->model->params->grad);
    const double loss = an_model_forward_backward(s->model, &s->pass);
    for (size_t i = 0, at = 0; i < s->model->params->n; at += s->model->params->list[i++].count)
        memcpy(gradients + at, s->model->params->list[i].grad, s->model->params->list[i].count * sizeof *gradients);
    return loss;
}

static size_t root(const size_t *parent, size_t i)
{
    while (parent[i] != i) i = parent[i];
    return i;
}

/* Gives every value and every gradient memory of its own, but for those that are one buffer by intent (in-place steps,
 * shared gradients), and binds the plan anew. */
static void unshare(an_model *m)
{
    an_plan *plan = m->plan;
    const size_t n = 2 * plan->n_values;
    size_t *parent = malloc(n * sizeof *parent), *offset = malloc(n * sizeof *offset), total = 0;
    assert_true(parent && offset);
    for (size_t i = 0; i < n; i++) parent[i] = i, offset[i] = AN_NO_OFFSET;
    for (size_t c = 0; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        for (size_t g = 0; g < 2 && s->op->in_place; g++) parent[root(parent, 2 * (size_t)s->in[0]->id + g)] = root(parent, 2 * (size_t)s->out[0]->id + g);
        for (int i = 0; i < s->n_in; i++)
            if (s->shared[i]) parent[root(parent, 2 * (size_t)s->in[i]->id + 1)] = root(parent, 2 * (size_t)s->out[s->op->grad_out]->id + 1);
    }
    for (size_t i = 0; i < n; i++) {
        an_value *v = plan->values[i / 2];
        size_t *mine = i % 2 ? &v->grad_offset : &v->data_offset;
        if (v->home != AN_HOME_ACT || *mine == AN_NO_OFFSET) continue;
        const size_t r = root(parent, i);
        if (offset[r] == AN_NO_OFFSET) {
            offset[r] = total;
            total += (v->count + 15) / 16 * 16;
        }
        *mine = offset[r];
    }
    an_block *blocks[] = { &plan->activations, &plan->constants, &plan->state, &plan->scratch };
    for (size_t i = 0; i < COUNT(blocks); i++) {
        const size_t count = i == 0 ? total : blocks[i]->count;
        an_block_fini(blocks[i]);
        blocks[i]->count = count;
    }
    free(parent);
    free(offset);
    assert_ok(an_plan_bind(plan, 1));
}

/* The planned memory, poisoned, against memory where nothing is reused: the same bits. A buffer written while its former
 * value is still read, or read before it is written, changes them. */
static void no_live_buffers_overlap(void **state)
{
    (void)state;
    static const char *const DESIGN[] = { "pre-ln", "post-ln", "plain" };
    static const char *const MORE[] = { "", "fuse=false", "recompute=block", "fuse=false recompute=block", "dropout=0.2", "dropout=0.2 recompute=block position=rotary",
        "activation=swiglu position=rotary", "tie_embeddings=false norm=rmsnorm fuse=false", "design@1=plain design@2.mlp=post-ln dropout=0.1", "bias=false activation=relu position=sinusoidal" };
    for (size_t d = 0; d < COUNT(DESIGN); d++)
        for (size_t k = 0; k < 2 * COUNT(MORE); k++) {
            char settings[256];
            subject planned, apart;
            snprintf(settings, sizeof settings, "design=%s %s", DESIGN[d], MORE[k / 2]);
            open_subject(&planned, settings, k % 2);
            open_subject(&apart, settings, k % 2);
            const size_t reused = planned.model->plan->activations.count, n = an_model_param_count(planned.model);
            unshare(apart.model);
            an_real *g = malloc(n * sizeof *g), *h = malloc(n * sizeof *h);
            assert_true(g && h);
            const double a = pass_over_poison(&planned, g), b = pass_over_poison(&apart, h);
            if (!isfinite(a) || a != b || memcmp(g, h, n * sizeof *g) != 0) print_error("%s: loss %.9g in planned memory, %.9g apart\n", settings, a, b);
            assert_true(isfinite(a) && a == b);
            for (size_t i = 0; i < n; i++) assert_true(isfinite(g[i]));
            assert_memory_equal(g, h, n * sizeof *g);
            assert_true(reused < apart.model->plan->activations.count);
            free(g);
            free(h);
            close_subject(&planned);
            close_subject(&apart);
        }
}

/* Kept values outlive the backward pass. */
static void logits_are_kept(void **state)
{
    (void)state;
    subject s;
    open_subject(&s, "", true);
    const size_t n = s.rows * 23;
    an_real *before = malloc(n * sizeof *before);
    assert_non_null(before);
    an_model_forward(s.model, &s.pass);
    memcpy(before, an_model_get_logits(s.model), n * sizeof *before);
    an_model_forward_backward(s.model, &s.pass);
    assert_memory_equal(before, an_model_get_logits(s.model), n * sizeof *before);
    free(before);
    close_subject(&s);
    open_subject(&s, "", false);
    assert_null(an_model_get_logits(s.model));
    close_subject(&s);
}

static void set_param(subject *s, const char *name, an_real even, an_real odd)
{
    for (size_t p = 0; p < s->model->params->n; p++) {
        const an_param_def *def = &s->model->params->list[p];
        for (size_t k = 0; strcmp(def->name, name) == 0 && k < def->count; k++) def->data[k] = k % 2 ? odd : even;
    }
}

/* The first non-finite value is named: a parameter, a value, or a gradient; a healthy pass names none. */
static void nonfinite_is_named(void **state)
{
    (void)state;
    const an_real most = AN_R(0.8 * (sizeof(an_real) == 4 ? (double)FLT_MAX : DBL_MAX));
    const struct { const char *param; an_real even, odd; double loss_scale; const char *settings, *want; } CASE[] = {
        { "none", 0, 0, 1, "", NULL }, { "none", 0, 0, 1, "dropout=0.1 recompute=block", NULL },
        { "layers.1.mlp.up.weight", AN_R(NAN), 0, 1, "", "layers.1.mlp.up.weight" },
        { "layers.1.mlp.up.weight", most, -most, 1, "", "layers.1.mlp.act" },                /* of a fused step, its result */
        { "layers.1.mlp.up.weight", most, -most, 1, "fuse=false", "layers.1.mlp.up" },
        { "layers.2.attn.qkv.weight", most, -most, 1, "recompute=block", "layers.2.attn.qkv" },
        { "none", 0, 0, (double)INFINITY, "fuse=false", "gradient of head" },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) {
        subject s;
        open_subject(&s, CASE[i].settings, false);
        set_param(&s, CASE[i].param, CASE[i].even, CASE[i].odd);
        s.pass.loss_scale = CASE[i].loss_scale;
        const char *name = an_model_find_nonfinite(s.model, &s.pass);
        if (!CASE[i].want) assert_null(name);
        else assert_string_equal(name ? name : "", CASE[i].want);
        close_subject(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(the_builder_refuses), cmocka_unit_test(failure_sticks), cmocka_unit_test(plans_that_cannot_be_frozen), cmocka_unit_test(constants_are_shared),
                                        cmocka_unit_test(tied_weights_add), cmocka_unit_test(no_live_buffers_overlap), cmocka_unit_test(logits_are_kept), cmocka_unit_test(nonfinite_is_named) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
