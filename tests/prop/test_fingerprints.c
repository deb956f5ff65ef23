/* Each single-stream design against its own law, written here a second time from the papers (and not read from the code):
 *   twins        two spellings of one design, or a design whose parameter makes it another, have the same weights, loss and
 *                gradients, bit for bit, as drawn and with random parameters; and one setting away they do not
 *   equations    on every sub-layer of a stack: what F reads and what becomes of the stream, in double from the stored values
 *   identity     where a branch starts at nothing, the stack returns the embedding and the logits are those of no block
 * Sizes as drawn and what is learned: test_design_init.c. Designs without a law here are printed. Norm kinds that are another kind's special case stand here too. */
#include "stack.h"

#include "core/rng.h"
#include "law.h"
#include "net/design.h"
#include "net/sublayers.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* Numbers that depend on the parameter's name and not on its place, so that two models with the same tensors agree. */
static uint64_t name_key(const char *name)
{
    uint64_t h = 5381;
    for (; *name; name++) h = 33 * h + (unsigned char)*name;
    return h;
}

static void fill(const char *name, size_t rank, size_t fan_in, size_t count, an_real *data)
{
    const an_rng_key key = an_rng_key_make(name_key(name), AN_RNG_PROBE, 4);
    const int around_one = strstr(name, "gain") || strstr(name, "scale");
    const double size = rank > 1 ? 1 / sqrt((double)fan_in) : 0.3;
    for (size_t i = 0; i < count; i++) data[i] = AN_R(around_one + size * an_rng_normal(key, i));
}

/* --- twins ------------------------------------------------------------------------------------------------------ */

typedef struct twin { const char *a, *b, *extra; } twin;   /* extra: parameters that only a has, and that start where they do nothing */

static int is_extra(const char *name, const char *extra) { return extra && strstr(name, extra) != NULL; }

static void fill_shared(subject *s, const char *extra)
{
    for (size_t i = 0; i < s->n_params; i++)
        if (!is_extra(s->param[i].name, extra)) fill(s->param[i].name, s->param[i].rank, s->param[i].dim[1], s->param[i].count, s->param[i].data);
}

static size_t compare_tensors(subject *a, subject *b, const twin *t, int gradients)
{
    size_t off = 0;
    for (size_t i = 0; i < a->n_params; i++) {
        const an_param *p = &a->param[i], *q = prop_param(b, p->name);
        if (!q) {
            off += !is_extra(p->name, t->extra);
            continue;
        }
        off += p->count != q->count || !prop_equal(p->count, gradients ? p->grad : p->data, gradients ? q->grad : q->data);
    }
    for (size_t i = 0; i < b->n_params; i++) off += !prop_param(a, b->param[i].name);
    return off;
}

/* The number of differences. */
static size_t differences(const twin *t, int random)
{
    subject a, b;
    prop_open(&a, 2, PROP_TRAIN, "n_layer=3 %s", t->a);
    prop_open(&b, 2, PROP_TRAIN, "n_layer=3 %s", t->b);
    an_model_init_params(a.model, 7);
    an_model_init_params(b.model, 7);
    if (random) {
        fill_shared(&a, t->extra);
        fill_shared(&b, NULL);
    }
    size_t off = compare_tensors(&a, &b, t, 0);
    const double x = an_model_forward_backward(a.model, &a.pass), y = an_model_forward_backward(b.model, &b.pass);
    off += !(x == y) + compare_tensors(&a, &b, t, 1);
    prop_close(&a);
    prop_close(&b);
    return off;
}

#define CUSTOM_POST "design=custom custom_pre=false custom_post=true custom_final_norm=false"
#define BARE "design=custom custom_pre=false custom_final_norm=false init=xavier"

/* n_layer is 3 unless said. DeepNorm at 3 layers: a = 6^1/4, b = 24^-1/4; Sub-LN: sqrt(ln 6). */
static const twin SAME[] = {
    { "design=custom", "design=pre-ln", NULL },
    { CUSTOM_POST, "design=post-ln", NULL },
    { "design=custom custom_skip=0", "design=plain", NULL },
    { "design=deepnorm deepnorm_alpha=1 deepnorm_beta=1", "design=post-ln init=xavier", NULL },
    { CUSTOM_POST " init=xavier custom_skip=1.5650845800732873 custom_gain_v=0.45180100180492244 custom_gain_o=0.45180100180492244 custom_gain_fc1=0.45180100180492244 custom_gain_fc2=0.45180100180492244",
      "design=deepnorm", NULL },
    { "design=layerscale layerscale_start=1", "design=pre-ln", ".branch.scale" },
    { "design=custom custom_branch_kind=vector custom_branch=0.1", "design=layerscale", NULL },
    { "design=layernorm-scaling n_layer=1", "design=pre-ln init=normal n_layer=1", NULL },
    { "design=pre-ln init=normal design@0=layernorm-scaling", "design=pre-ln init=normal", NULL },
    { "design=custom init=normal custom_pre_scale@1=0.70710678118654746 custom_pre_scale@2=0.57735026918962584", "design=layernorm-scaling", NULL },
    { "design=mix-ln mix_ln_post=0", "design=pre-ln init=normal", NULL },
    { "design=custom custom_pre=false custom_post=true init=normal", "design=mix-ln mix_ln_post=1", NULL },          /* Post-LN, and the final norm of the package */
    { "design=mix-ln n_layer=4", "design=pre-ln init=normal n_layer=4 design@0=post-ln", NULL },
    { "design=custom custom_pre=true custom_post=true custom_post@0.attn=false custom_final_norm=false custom_skip=6 custom_skip@0=1", "design=keel", NULL },
    { "design=sandwich-ln", "design=custom custom_out=true", NULL },
    { "design=peri-ln", "design=custom custom_out=true custom_embed_norm=true", NULL },
    { "design=peri-ln peri_embed_norm=false", "design=sandwich-ln", NULL },
    { "design=reordered", "design=custom custom_pre=false custom_out=true qk_norm=full init=normal", NULL },
    { "design=reordered qk_norm=off", "design=custom custom_pre=false custom_out=true init=normal", NULL },
    { "design=custom custom_inner_norm=true init=xavier custom_gain_v=1.3385661990458504 custom_gain_o=1.3385661990458504 custom_gain_fc1=1.3385661990458504 custom_gain_fc2=1.3385661990458504",
      "design=sub-ln", NULL },
    { "design=normformer", "design=custom custom_out@*.attn=true custom_inner_norm@*.mlp=true", "head_scale" },
    { "design=normformer normformer_resscale=true", "design=normformer", ".skip.scale" },
    { "design=qk-norm qk_norm=off", "design=pre-ln", NULL },
    { "design=pre-ln qk_norm=head", "design=qk-norm", NULL },
    { "design=value-residual value_residual=off", "design=pre-ln", NULL },
    { "design=value-residual n_layer=1", "design=pre-ln n_layer=1", NULL },
    { "design=post-ln value_residual=half value_residual@1-2=off", "design=post-ln", NULL },                          /* the first layer has nothing to mix */
    { "design=skipinit", BARE " custom_branch_kind=scalar custom_branch=0", NULL },
    { "design=rezero rezero_share=site", "design=skipinit", NULL },
    { "design=rezero", BARE, ".branch.scale" },                                                                       /* not as drawn: see twins() */
    { "design=b2t b2t_rescale=false n_layer=1 norm=none", BARE " n_layer=1 norm=none", NULL },                        /* not the same: the block's input again */
};
enum { LAST_TWO = 2 };             /* of the rows above, which must differ */

static const twin DIFFERENT[] = {
    { "design=deepnorm deepnorm_alpha=1.01 deepnorm_beta=1", "design=post-ln init=xavier", NULL },
    { "design=deepnorm deepnorm_alpha=1 deepnorm_beta=0.99", "design=post-ln init=xavier", NULL },
    { "design=layerscale layerscale_start=0.99", "design=pre-ln", ".branch.scale" },
    { "design=layernorm-scaling", "design=pre-ln init=normal", NULL },
    { "design=mix-ln", "design=mix-ln mix_ln_post=0.34", NULL },
    { "design=keel", "design=keel keel_alpha=5", NULL },
    { "design=value-residual", "design=pre-ln", NULL },
    { "design=pre-ln init=gpt2", "design=pre-ln init=normal", NULL },
    { "design=qk-norm", "design=pre-ln", NULL },
};

static void twins(void)
{
    for (size_t i = 0; i < COUNT(SAME) - LAST_TWO; i++)
        for (int random = 0; random < 2; random++) {
            const size_t off = differences(&SAME[i], random);
            prop_check(off == 0, "%s  and  %s%s: %zu tensors, losses or gradients differ", SAME[i].a, SAME[i].b, random ? ", random parameters" : ", as drawn", off);
        }
    for (size_t i = COUNT(SAME) - LAST_TWO; i < COUNT(SAME); i++) prop_check(differences(&SAME[i], 0) > 0, "%s  and  %s are the same", SAME[i].a, SAME[i].b);
    for (size_t i = 0; i < COUNT(DIFFERENT); i++) prop_check(differences(&DIFFERENT[i], 0) > 0, "%s  and  %s are the same", DIFFERENT[i].a, DIFFERENT[i].b);
}

/* With values of zero in the first layer, mixing halves every later layer's: Pre-LN with half of W_v. Exact in binary. */
static void value_residual_halves(void)
{
    subject a, b;
    enum { D = 16 };
    prop_open(&a, 2, PROP_TRAIN, "design=value-residual n_layer=3");
    prop_open(&b, 2, PROP_TRAIN, "design=pre-ln n_layer=3");
    for (int k = 0; k < 2; k++) {
        subject *s = k ? &b : &a;
        fill_shared(s, NULL);
        for (size_t i = 0; i < s->n_params; i++) {
            an_param p = s->param[i];
            if (!strstr(p.name, "qkv")) continue;
            const an_real factor = AN_R(strstr(p.name, "layers.0") ? 0 : k ? 0.5 : 1);
            for (size_t e = 2 * p.count / 3; e < p.count; e++) p.data[e] *= factor;
        }
    }
    const double x = an_model_forward(a.model, &a.pass), y = an_model_forward(b.model, &b.pass);
    prop_check(x == y, "value-residual with no values in layer 0: loss %.9g, pre-ln with half of its values %.9g", x, y);
    prop_close(&a);
    prop_close(&b);
}

/* --- equations --------------------------------------------------------------------------------------------------- */

enum { D = 24, T = 6, BATCH = 2, ROWS = T * BATCH };

static const an_real *gain_of(stack *s, const char *site, const char *slot, const char *part)
{
    char name[96];
    snprintf(name, sizeof name, "%s.%s.%s", site, slot, part);
    const an_param_def *p = an_params_find(&s->params, name);
    return p ? p->data : NULL;
}

static int has_slot(stack *s, const char *design, const char *site, const char *slot, int wanted)
{
    return prop_check((gain_of(s, site, slot, "gain") != NULL) == wanted, "%s: %s has %s norm '%s'", design, site, wanted ? "no" : "a", slot);
}

/* LayerNorm of one row in double. */
static void norm_row(stack *s, const char *site, const char *slot, const double *x, double *y)
{
    const an_real *g = gain_of(s, site, slot, "gain"), *b = gain_of(s, site, slot, "bias");
    double mean = 0, square = 0;
    for (int i = 0; i < D; i++) mean += x[i] / D;
    for (int i = 0; i < D; i++) square += (x[i] - mean) * (x[i] - mean) / D;
    for (int i = 0; i < D; i++) y[i] = (double)g[i] * (x[i] - mean) / sqrt(square + 1e-5) + (double)b[i];
}

static double apart(const double *want, const an_real *got)
{
    double difference = 0, size = 0;
    for (int i = 0; i < D; i++) {
        difference += (want[i] - (double)got[i]) * (want[i] - (double)got[i]);
        size += want[i] * want[i];
    }
    return sqrt(difference / size);
}

/* The worst row of one design: of what F reads, of the stream behind, of an output norm's mean and mean square. */
typedef struct errors { double in, out, norm; char in_site[32], out_site[32], norm_site[32]; } errors;

static void keep_worst(double *worst, char *where, double now, const char *site)
{
    if (!(now > *worst) && !isnan(now)) return;
    *worst = isnan(now) ? HUGE_VAL : now;
    snprintf(where, 32, "%s", site);
}

static void check_sublayer(stack *s, const char *design, size_t i, const law *l, const an_value *bottom, errors *e)
{
    char site[32];
    snprintf(site, sizeof site, "layers.%zu.%s", i / 2, i % 2 ? "mlp" : "attn");
    if (!has_slot(s, design, site, "pre", l->pre) || !has_slot(s, design, site, "out_norm", l->out) || !has_slot(s, design, site, "post", l->post)) return;
    for (size_t r = 0; r < ROWS; r++) {
        double x[D], n[D], u[D], y[D], f[D], out[D];
        for (size_t k = 0; k < D; k++) {
            n[k] = x[k] = (double)s->stream[i]->data[r * D + k];
            f[k] = (double)s->branch[i]->data[r * D + k];
        }
        if (l->pre) norm_row(s, site, "pre", x, n);
        for (size_t k = 0; k < D; k++) {
            u[k] = l->c * n[k];
            y[k] = l->a * (l->normed_skip ? n[k] : x[k]) + l->b * f[k] + (l->bottom ? (double)bottom->data[r * D + k] : 0);
        }
        if (l->post) {
            memcpy(out, y, sizeof out);
            norm_row(s, site, "post", out, y);
        }
        keep_worst(&e->in, e->in_site, apart(u, s->input[i]->data + r * D), site);
        keep_worst(&e->out, e->out_site, apart(y, s->stream[i + 1]->data + r * D), site);
        if (!l->out) continue;
        const an_real *g = gain_of(s, site, "out_norm", "gain"), *b = gain_of(s, site, "out_norm", "bias");
        double sum = 0, square = 0;
        for (size_t k = 0; k < D; k++) {
            const double h = (f[k] - (double)b[k]) / (double)g[k];
            sum += h / D;
            square += h * h / D;
        }
        keep_worst(&e->norm, e->norm_site, fmax(fabs(sum), fabs(square - 1)), site);
    }
}

static void equations(void)
{
    enum { LAYERS = 5 };               /* floor(5 / 4) = 1 layer of Mix-LN is Post-LN */
    double worst = 0;
    size_t covered = 0;
    for (size_t d = 0; an_design_at(d); d++) {
        const char *design = an_design_name(d);
        law l;
        stack s;
        errors e = { 0 };
        if (!law_of(design, 0, 0, LAYERS, &l)) {
            printf("not covered here: %s\n", design);
            continue;
        }
        covered++;
        stack_open(&s, STACK_BOTH, BATCH, "n_layer=%d seq_len=%d d_model=%d n_head=4 position=rotary norm=layernorm rope_base=100 design=%s", LAYERS, T, D, design);
        stack_draw(&s, 1);
        for (size_t i = 0; i < s.params.n; i++)
            if (!is(s.params.list[i].name, "x0")) fill(s.params.list[i].name, s.params.list[i].dims.rank, s.params.list[i].dims.d[1], s.params.list[i].count, s.params.list[i].data);
        stack_forward(&s);
        for (size_t i = 0; i < s.n; i++) {
            law_of(design, (int)(i / 2), i % 2, LAYERS, &l);
            check_sublayer(&s, design, i, &l, s.stream[i & ~(size_t)1], &e);
        }
        worst = fmax(worst, fmax(e.in, e.out));
        prop_check(e.in < 1e-5, "%s: what F of %s reads is off by %.1e", design, e.in_site, e.in);
        prop_check(e.out < 1e-5, "%s: the stream after %s is off by %.1e", design, e.out_site, e.out);
        prop_check(e.norm < 1e-3, "%s: the branch of %s is not normed: mean or mean square off by %.1e before gain and bias", design, e.norm_site, e.norm);
        stack_close(&s);
    }
    printf("%zu designs: the equations hold within %.1e\n", covered, worst);
    prop_check(covered >= 21, "only %zu designs have an equation here", covered);
}

/* --- identity ---------------------------------------------------------------------------------------------------- */

static void stack_is_identity(const char *settings, const char *zeroed)
{
    stack s;
    stack_open(&s, STACK_BOTH, BATCH, "n_layer=4 seq_len=%d d_model=%d n_head=4 position=rotary %s", T, D, settings);
    stack_draw(&s, 3);
    for (size_t i = 0; i < s.params.n; i++)
        if (zeroed && strstr(s.params.list[i].name, zeroed)) memset(s.params.list[i].data, 0, s.params.list[i].count * sizeof(an_real));
    stack_forward(&s);
    prop_check(prop_equal(s.stream[0]->count, s.stream[s.n]->data, s.stream[0]->data), "%s%s%s: the stack is not the identity", settings, zeroed ? ", zero " : "", zeroed ? zeroed : "");
    prop_check(s.n == 8 && s.stream[0] != s.stream[s.n], "%s: nothing was compared", settings);
    prop_check(stack_square(s.stream[0]) > 0.5, "%s: the stream is empty", settings);
    if (zeroed) {                          /* and with the zeros put back it is not */
        stack_run(&s, 3);
        prop_check(!prop_equal(s.stream[0]->count, s.stream[s.n]->data, s.stream[0]->data), "%s: the identity with any gain", settings);
    }
    stack_close(&s);
}

/* Embedding and head without a block between them. */
static void read_embedding(subject *s, uint64_t seed, an_real *logits)
{
    an_params params = { 0 };
    an_plan *plan = NULL;
    an_package package;
    if (an_plan_create(&plan, &params, false) != AN_OK) exit(1);
    an_build b = { .plan = plan, .block = -1, .branch = -1 };
    an_net net = { .b = &b, .config = &s->config, .options = s->options, .batch = s->batch, .seq = s->seq, .layer = -1 };
    if (an_design_package(&net, an_design_here(&net), &package) != AN_OK) exit(1);
    net.package = &package;
    an_value *input = an_input(&b, "tokens", s->rows), *table, *x0 = an_embedding_emit(&net, input, &table), *y = an_head_emit(&net, x0, table);
    if (b.status != AN_OK) exit(1);
    y->keep = true;
    if (an_plan_freeze(plan, true) != AN_OK || an_params_freeze(&params, false) != AN_OK || an_plan_bind(plan, 1) != AN_OK) exit(1);
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get() };
    an_params_draw(&params, seed, 1);
    input->tokens = s->tokens;
    an_plan_forward(plan, &run);
    memcpy(logits, y->data, y->count * sizeof *logits);
    an_plan_destroy(&plan);
    an_params_fini(&params);
}

static void step_zero(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN | PROP_LOGITS, "n_layer=5 %s", settings);
    an_model_init_params(s.model, 9);
    an_model_forward_backward(s.model, &s.pass);
    an_real *bare = malloc(s.rows * s.vocab * sizeof *bare);
    if (!bare) exit(1);
    read_embedding(&s, 9, bare);
    prop_check(prop_equal(s.rows * s.vocab, an_model_get_logits(s.model), bare), "%s at step 0: the logits are not those of the embedding alone", settings);
    size_t scales = 0, still = 0, matrices = 0;
    for (size_t i = 0; i < s.n_params; i++) {
        const an_param *p = &s.param[i];
        double sum = 0;
        if (strncmp(p->name, "layers.", 7) != 0) continue;
        for (size_t k = 0; k < p->count; k++) sum += fabs((double)p->grad[k]);
        if (strstr(p->name, "branch.scale")) {
            scales++;
            prop_check(p->data[0] == 0 && p->count == 1 && sum > 0, "%s: %s starts at %g with a gradient of %g", settings, p->name, (double)p->data[0], sum);
        } else {
            matrices++;
            still += sum == 0;
        }
    }
    prop_check(matrices > 0 && still == matrices, "%s at step 0: %zu of %zu tensors inside the branches have a gradient", settings, matrices - still, matrices);
    prop_check(scales == (strstr(settings, "design=rezero") && !strstr(settings, "share=site") ? 5u : 10u), "%s: %zu learned scales in 5 layers", settings, scales);
    free(bare);
    prop_close(&s);
}

/* Where a deep design is another one up to some sub-layer, the stream is the same up to there. */
static void same_start(const char *a, const char *b, size_t sublayers)
{
    stack s, t;
    stack_open(&s, STACK_BOTH, BATCH, "n_layer=4 seq_len=%d d_model=%d n_head=4 position=rotary init=normal %s", T, D, a);
    stack_open(&t, STACK_BOTH, BATCH, "n_layer=4 seq_len=%d d_model=%d n_head=4 position=rotary init=normal %s", T, D, b);
    stack_run(&s, 5);
    stack_run(&t, 5);
    for (size_t i = 0; i <= s.n; i++) {
        const int same = prop_equal(s.stream[i]->count, s.stream[i]->data, t.stream[i]->data);
        prop_check(same == (i <= sublayers), "%s and %s after %zu sub-layers: the streams are %s", a, b, i, same ? "the same" : "not the same");
    }
    stack_close(&s);
    stack_close(&t);
}

static void identities(void)
{
    stack_is_identity("design=rezero", NULL);
    stack_is_identity("design=rezero rezero_share=site activation=swiglu", NULL);
    stack_is_identity("design=skipinit", NULL);
    stack_is_identity("design=sandwich-ln", "out_norm.");
    stack_is_identity("design=peri-ln", "out_norm.");
    stack_is_identity("design=peri-ln peri_embed_norm=false norm=rmsnorm", "out_norm.");
    stack_is_identity("design=reordered", "out_norm.");
    stack_is_identity("design=layerscale", "branch.scale");
    step_zero("design=rezero");
    step_zero("design=rezero rezero_share=site position=rotary");
    step_zero("design=skipinit position=sinusoidal activation=relu");
    same_start("design=keel", "design=pre-ln", 1);
    same_start("design=layernorm-scaling", "design=pre-ln", 2);
    same_start("design=value-residual", "design=pre-ln", 2);
    same_start("design=mix-ln", "design=post-ln", 2);
}

/* --- norm kinds that are others' special cases ------------------------------------------------------------------- */

static void same_norm(const char *a, const char *b, double gain_shift)
{
    subject s, t;
    prop_open(&s, 2, PROP_TRAIN, "design=sandwich-ln %s", a);
    prop_open(&t, 2, PROP_TRAIN, "design=sandwich-ln %s", b);
    fill_shared(&s, NULL);
    fill_shared(&t, NULL);
    for (size_t i = 0; i < s.n_params; i++)
        for (size_t k = 0; gain_shift != 0 && strstr(s.param[i].name, ".gain") && k < s.param[i].count; k++) s.param[i].data[k] = AN_R((double)s.param[i].data[k] + gain_shift);
    const double x = an_model_forward_backward(s.model, &s.pass), y = an_model_forward_backward(t.model, &t.pass);
    prop_check(fabs(x - y) <= 2e-6 * y, "%s and %s: loss %.9g and %.9g", a, b, x, y);
    for (size_t i = 0; i < s.n_params; i++) {
        const an_param *p = &s.param[i], *q = prop_param(&t, p->name);
        if (!prop_check(q && q->count == p->count, "%s has %s, %s has none such", a, p->name, b)) continue;
        const double d = prop_distance(p->count, p->grad, q->grad);
        prop_check(d <= 2e-5, "%s and %s: gradients of %s differ by %.1e", a, b, p->name, d);
    }
    prop_check(s.n_params == t.n_params, "%s has %zu tensors, %s %zu", a, s.n_params, b, t.n_params);
    prop_close(&s);
    prop_close(&t);
}

/* scalenorm as it starts is l2norm: one gain of sqrt(C), drawn and not random. */
static void scalenorm_starts_as_l2norm(void)
{
    subject s, t;
    prop_open(&s, 2, PROP_TRAIN, "norm=scalenorm");
    prop_open(&t, 2, PROP_TRAIN, "norm=l2norm");
    an_model_init_params(s.model, 3);
    an_model_init_params(t.model, 3);
    const double x = an_model_forward_backward(s.model, &s.pass), y = an_model_forward_backward(t.model, &t.pass);
    prop_check(x == y, "scalenorm at sqrt(C) and l2norm: loss %.9g and %.9g", x, y);
    for (size_t i = 0; i < t.n_params; i++) {
        const an_param *q = &t.param[i], *p = prop_param(&s, q->name);
        prop_check(p && prop_equal(q->count, p->grad, q->grad), "scalenorm at sqrt(C) and l2norm: gradients of %s differ", q->name);
    }
    prop_close(&s);
    prop_close(&t);
}

static void norms(void)
{
    same_norm("norm=groupnorm norm_groups=1", "norm=layernorm", 0);
    same_norm("norm=groupnorm norm_groups=1 norm_eps_place=outside norm_affine=false", "norm=layernorm norm_eps_place=outside norm_affine=false", 0);
    same_norm("norm=rmsnorm norm_gain_offset=1", "norm=rmsnorm", -1);
    same_norm("norm=rmsnorm norm_affine=false norm_eps=1e-20", "norm=l2norm norm_eps=1e-20", 0);
    same_norm("norm=prmsnorm prmsnorm_p=1", "norm=rmsnorm", 0);
    scalenorm_starts_as_l2norm();
}

int main(void)
{
    twins();
    value_residual_halves();
    equations();
    identities();
    norms();
    return prop_finish("fingerprints");
}
