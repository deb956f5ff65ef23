/* stack.c: see stack.h. x0 is made as a parameter drawn from N(0, 1), so that it depends on the seed alone. */
#include "stack.h"

#include <stdarg.h>

#include "net/design.h"
#include "net/sublayers.h"
#include "plan/ledger.h"

static an_status probe_infer(struct an_build *b, an_step *s) { return an_out(b, s, 0, "", AN_VEC(1), false); }

static size_t probe_parts(const an_step *s, an_direction dir, int phase)
{
    (void)s; (void)dir;
    return phase == 0 ? 1 : 0;
}

double stack_probe_weight(uint64_t seed, size_t i) { return an_rng_normal(an_rng_key_make(seed, AN_RNG_PROBE, 9), i); }

static void probe_forward(const an_run *r, const an_step *s, const an_part *p)
{
    double sum = 0;
    (void)r; (void)p;
    for (size_t i = 0; i < s->in[0]->count; i++) sum += stack_probe_weight(((const stack_probe_attr *)s->attr)->seed, i) * (double)s->in[0]->data[i];
    s->out[0]->data[0] = AN_R(sum);
}

static void probe_backward(const an_run *r, const an_step *s, const an_part *p)
{
    (void)p;
    for (size_t i = 0; an_has_grad(s, 0) && i < s->in[0]->count; i++) {
        const an_real w = AN_R(stack_probe_weight(((const stack_probe_attr *)s->attr)->seed, i));
        s->in[0]->grad[i] = an_add(r, s, 0) ? s->in[0]->grad[i] + w : w;
    }
}

static an_cost probe_cost(const an_step *s) { return (an_cost){ 2 * (double)s->in[0]->count, (double)s->in[0]->count * sizeof(an_real) }; }

const an_op stack_probe = { .name = "probe", .infer = probe_infer, .parts = probe_parts, .forward = probe_forward, .backward = probe_backward, .cost = probe_cost };

static void need(an_status status, const char *settings)
{
    if (status == AN_OK) return;
    printf("FAIL %s: %s\n", settings, an_error_text());
    exit(1);
}

static an_status read_settings(stack *s, char *settings)
{
    AN_TRY(an_options_create(&s->options));
    AN_TRY(an_model_options_add(s->options));
    for (char *rest = settings, *pair; (pair = strtok_r(rest, " ", &rest));) {
        char *equal = strchr(pair, '=');
        if (!equal) return an_fail(AN_EUSAGE, "'%s' is not key=value", pair);
        *equal = '\0';
        AN_TRY(an_options_set(s->options, pair, equal + 1, AN_FROM_FLAG, "the test"));
    }
    AN_TRY(an_options_resolve(s->options));
    return an_model_config_read(&s->config, s->options);
}

static void keep(an_value **list, size_t i, an_value *v)
{
    list[i] = v;
    if (v) v->keep = true;
}

static an_status emit(stack *s, int what, size_t batch)
{
    static const an_sublayer attention = { an_attention_emit }, feed_forward = { an_feed_forward_emit };
    const an_model_config *c = &s->config;
    an_build b = { .plan = s->plan, .block = -1, .branch = -1, .train = what & STACK_TRAIN };
    an_value *first_value = NULL;
    an_net net = { .b = &b, .config = c, .options = s->options, .batch = batch, .seq = c->seq_len, .bidirectional = (what & STACK_BIDIRECTIONAL) != 0, .layer = -1, .first_value = &first_value };
    an_package p;
    const an_design *design = an_design_here(&net);
    const an_init unit = { AN_LAW_NORMAL, 1, 0 };
    an_stream stream = { 0 };
    AN_TRY(an_design_package(&net, design, &p));
    net.package = &p;
    net.tokens = an_input(&b, "tokens", s->rows);
    design->enter(&net, &p, an_param_emit(&net, AN_KIND_EMBEDDING, "x0", AN_MAT(s->rows, c->d_model), &unit, 1), &stream);
    if (b.status != AN_OK) return b.status;
    keep(s->stream, 0, stream.x[0]);
    for (net.layer = 0; net.layer < (int64_t)c->n_layer; net.layer++) {
        an_scope_push(&b, "layers.%zu", (size_t)net.layer);
        for (int site = STACK_ATTN; site <= STACK_MLP; site *= 2) {
            if (!(what & site)) continue;
            an_site(&net, &stream, site == STACK_ATTN ? "attn" : "mlp", site == STACK_ATTN ? &attention : &feed_forward);
            if (b.status != AN_OK) return b.status;
            keep(s->input, s->n, s->plan->sites[s->plan->n_sites - 1].branch_in);
            keep(s->branch, s->n++, s->plan->sites[s->plan->n_sites - 1].branch_out);
            keep(s->stream, s->n, stream.x[0]);
        }
        an_block_end(&net, &stream);
        an_scope_pop(&b);
    }
    if (what & STACK_TRAIN) s->plan->loss = AN_EMIT(&b, &stack_probe, "probe", (&(const stack_probe_attr){ 1 }), stream.x[0]);
    return b.status;
}

void stack_open(stack *s, int what, size_t batch, const char *format, ...)
{
    char text[512], copy[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(copy, text, sizeof copy);
    *s = (stack){ 0 };
    need(read_settings(s, copy), text);
    s->rows = batch * s->config.seq_len;
    s->stream = calloc(2 * s->config.n_layer + 1, sizeof *s->stream);
    s->branch = calloc(2 * s->config.n_layer + 1, sizeof *s->branch);
    s->input = calloc(2 * s->config.n_layer + 1, sizeof *s->input);
    s->tokens = calloc(s->rows, sizeof *s->tokens);
    if (!s->stream || !s->branch || !s->input || !s->tokens) exit(1);
    need(an_plan_create(&s->plan, &s->params, what & STACK_TRAIN), text);
    need(emit(s, what, batch), text);
    s->plan->observe = what & STACK_TRAIN ? AN_OBSERVE_BASIC : AN_OBSERVE_OFF;
    need(an_plan_freeze(s->plan, false), text);
    need(an_params_freeze(&s->params, what & STACK_TRAIN), text);
    need(an_plan_bind(s->plan, 2), text);
}

void stack_draw(stack *s, uint64_t seed) { an_params_draw(&s->params, seed, 1); }

void stack_forward(stack *s)
{
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .loss_scale = 1, .observe = s->plan->train };
    for (size_t i = 0; i < s->plan->n_values; i++)
        if (s->plan->values[i]->home == AN_HOME_INPUT) s->plan->values[i]->tokens = s->tokens;
    an_plan_forward(s->plan, &run);
    if (s->plan->train) an_plan_backward(s->plan, &run);
}

void stack_run(stack *s, uint64_t seed)
{
    stack_draw(s, seed);
    stack_forward(s);
}

const an_telemetry *stack_telemetry(const stack *s) { return &s->plan->ledger->telemetry; }

void stack_close(stack *s)
{
    an_plan_destroy(&s->plan);
    an_params_fini(&s->params);
    an_options_destroy(&s->options);
    free(s->stream);
    free(s->branch);
    free(s->input);
    free(s->tokens);
}

double stack_factor(const stack *s, size_t i)
{
    for (size_t k = 0; k < s->plan->n_steps; k++)
        if (s->plan->steps[k]->op == &an_op_residual && s->plan->steps[k]->in[1] == s->branch[i]) return ((const an_residual_attr *)s->plan->steps[k]->attr)->b;
    return 1;
}

double stack_square(const an_value *v)
{
    double sum = 0;
    for (size_t i = 0; i < v->count; i++) sum += (double)v->data[i] * (double)v->data[i];
    return sum / (double)v->count;
}

double stack_token_cosine(const an_value *v, size_t seq)
{
    const size_t c = an_cols(v), n = an_rows(v);
    double sum = 0, pairs = 0;
    double *unit = malloc(v->count * sizeof *unit);
    if (!unit) exit(1);
    for (size_t i = 0; i < n; i++) {
        double square = 0;
        for (size_t j = 0; j < c; j++) square += (double)v->data[i * c + j] * (double)v->data[i * c + j];
        for (size_t j = 0; j < c; j++) unit[i * c + j] = (double)v->data[i * c + j] / sqrt(square);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = i / seq * seq; k < i; k++, pairs++)
            for (size_t j = 0; j < c; j++) sum += unit[i * c + j] * unit[k * c + j];
    free(unit);
    return sum / pairs;
}

double stack_slope(size_t n, const double *x, const double *y, double *r2)
{
    double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < n; i++) mx += x[i] / (double)n, my += y[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        xx += (x[i] - mx) * (x[i] - mx);
        xy += (x[i] - mx) * (y[i] - my);
        yy += (y[i] - my) * (y[i] - my);
    }
    if (r2) *r2 = xy * xy / (xx * yy);
    return xy / xx;
}
