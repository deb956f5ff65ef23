/* plan/layout and plan/run on whole models: no buffer is read before it is written, none is written while another value
 * still lives in it, kept values outlive the pass, and the first non-finite value is named. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "net/model_impl.h"

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

/* Gives every value and every gradient memory of its own, but for those that are one buffer by nature (in-place steps),
 * lets no gradients share a buffer, and binds the plan anew. */
static void unshare(an_model *m)
{
    an_plan *plan = m->plan;
    const size_t n = 2 * plan->n_values;
    size_t *parent = malloc(n * sizeof *parent), *offset = malloc(n * sizeof *offset), total = 0;
    assert_true(parent && offset);
    for (size_t i = 0; i < n; i++) parent[i] = i, offset[i] = AN_NO_OFFSET;
    for (size_t c = 0; c < plan->n_code; c++) {
        an_step *s = plan->code[c].step;
        for (size_t g = 0; g < 2 && s->op->in_place; g++) parent[root(parent, 2 * (size_t)s->in[0]->id + g)] = root(parent, 2 * (size_t)s->out[0]->id + g);
        memset(s->shared, 0, (size_t)s->n_in * sizeof *s->shared);
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
    static const char *const MORE[] = { "", "fuse=false", "recompute=block", "fuse=false recompute=block", "n_layer=9 recompute=sqrt dropout=0.1", "dropout=0.2", "dropout=0.2 recompute=block position=rotary",
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_live_buffers_overlap), cmocka_unit_test(logits_are_kept), cmocka_unit_test(nonfinite_is_named) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
