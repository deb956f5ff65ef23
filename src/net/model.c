/* net/model.c
 * Building a model: options -> net emits -> the plan is frozen -> arenas are bound. Several plans (training, evaluation,
 * decoding) may share one set of parameters; the first one made defines and owns them. */
#include "net/model.h"

#include <stdlib.h>
#include <string.h>

#include "net/arch.h"
#include "net/model_impl.h"
#include "plan/ledger.h"

an_status an_model_emit(an_model *m, size_t cache)
{
    an_build b = { .plan = m->plan, .block = -1, .branch = -1, .train = m->shape.train };
    size_t norms = 0;
    an_net net = { .b = &b, .config = &m->config, .options = m->options, .batch = m->shape.batch, .seq = m->shape.seq, .cache = cache, .layer = -1, .norms = &norms };
    m->tokens = net.tokens = an_input(&b, "tokens", m->shape.batch * m->shape.seq);
    m->logits = an_arch_find(m->config.arch)->emit(&net, m->tokens);
    if (b.status != AN_OK) return b.status;
    if (norms == 0) an_note(&b, "the design has no place for a norm: `norm` and its keys change nothing");
    m->logits->keep = m->shape.logits || cache || m->config.image.side;      /* of images: who evaluates counts what is right */
    m->hidden = m->logits->producer->in[0];
    m->hidden->keep |= m->shape.probe;
    if (cache) return AN_OK;
    m->targets = an_input(&b, "targets", an_rows(m->logits));
    const an_xent_attr attr = { m->shape.train ? m->config.z_loss : 0 };     /* what is evaluated is the cross-entropy alone */
    m->plan->loss = m->loss = AN_EMIT(&b, &an_op_xent, "loss", &attr, m->logits, m->targets);
    return b.status;
}

static an_status publish_params(an_model *m)
{
    free(m->list);
    m->list = an_alloc(m->params->n * sizeof *m->list);
    if (!m->list) return an_fail(AN_ENOMEM, "out of memory for the list of %zu parameters", m->params->n);
    for (size_t i = 0; i < m->params->n; i++) {
        const an_param_def *d = &m->params->list[i];
        m->list[i] = (an_param){ .name = d->name, .rank = d->dims.rank, .count = d->count, .data = d->data, .grad = d->grad, .low = d->low[AN_STORE_BF16].data, .rule = d->rule };
        memcpy(m->list[i].dim, d->dims.d, sizeof m->list[i].dim);
    }
    return AN_OK;
}

static an_status check_shape(const an_model_config *c, const an_model_shape *s)
{
    if (s->batch == 0 || s->seq == 0) return an_fail(AN_ESHAPE, "a pass of %zu sequences of %zu tokens is empty", s->batch, s->seq);
    size_t rows;
    if (!an_size_mul(s->batch, s->seq, &rows)) return an_fail(AN_ESHAPE, "%zu sequences of %zu tokens are beyond the address space; use fewer", s->batch, s->seq);
    if (c->image.side && s->seq != c->seq_len) return an_fail(AN_ESHAPE, "a pass over %zu bytes per image, but images have %zu x %zu x %zu", s->seq, c->image.side, c->image.side, c->image.channels);
    if (s->seq > c->seq_len && strcmp(c->position, "learned") == 0)
        return an_fail(AN_ECONFIG, "%zu tokens go beyond the learned position table of seq_len %zu; use fewer tokens, or a model with rotary or sinusoidal positions", s->seq, c->seq_len);
    return AN_OK;
}

an_status an_model_build(an_model *m, size_t cache)
{
    AN_TRY(check_shape(&m->config, &m->shape));
    AN_TRY(an_model_plan(m, cache));
    AN_TRY(an_params_freeze(m->params, m->shape.train));
    AN_TRY(an_plan_bind(m->plan, m->threads));
    return publish_params(m);
}

static an_model *new_model(const an_model_config *config, const an_options *options, const an_model_shape *shape)
{
    an_model *m = an_alloc(sizeof *m);
    if (!m) return NULL;
    m->config = *config;
    m->options = options;
    m->shape = *shape;
    m->threads = shape->threads > 0 ? shape->threads : 1;
    return m;
}

an_status an_model_create(an_model **out, const an_model_config *config, const an_options *options, const an_model_shape *shape)
{
    an_model *m = new_model(config, options, shape);
    if (!m) return an_fail(AN_ENOMEM, "out of memory for a model");
    m->params = &m->own;
    const an_status status = an_model_build(m, 0);
    if (status != AN_OK) an_model_destroy(&m);
    else *out = m;
    return status;
}

an_status an_model_share(an_model **out, an_model *parent, const an_model_shape *shape)
{
    an_model *m = new_model(&parent->config, parent->options, shape);
    if (!m) return an_fail(AN_ENOMEM, "out of memory for a model");
    m->params = parent->params;
    m->threads = parent->threads;
    const an_status status = an_model_build(m, 0);
    if (status != AN_OK) an_model_destroy(&m);
    else *out = m;
    return status;
}

void an_model_destroy(an_model **model)
{
    if (!model || !*model) return;
    an_model *m = *model;
    an_plan_destroy(&m->plan);
    an_params_fini(&m->own);
    free(m->list);
    free(m);
    *model = NULL;
}

const an_model_config *an_model_get_config(const an_model *m) { return &m->config; }
size_t an_model_param_count(const an_model *m) { return m->params->trained; }
void an_model_params_written(an_model *m) { m->params->stale = true; }
void an_model_init_params(an_model *m, uint64_t seed) { an_params_draw(m->params, seed, m->threads); }
const an_real *an_model_get_logits(const an_model *m) { return m->logits->keep ? m->logits->data : NULL; }
const an_telemetry *an_model_get_telemetry(const an_model *m) { return m->plan->ledger ? &m->plan->ledger->telemetry : NULL; }
json_t *an_model_describe(const an_model *m) { return an_plan_describe(m->plan); }

const char *const *an_model_get_notes(const an_model *m, size_t *count)
{
    *count = m->plan->n_notes;
    return m->plan->note;
}

const an_param *an_model_get_params(const an_model *m, size_t *count)
{
    *count = m->params->n;
    return m->list;
}

an_status an_model_set_threads(an_model *m, int threads)
{
    AN_TRY(an_plan_set_threads(m->plan, threads));
    m->threads = threads;
    return AN_OK;
}

an_run an_model_begin(an_model *m, const an_pass *pass)
{
    an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .seed = pass->seed, .step = pass->step, .micro = pass->micro, .train = pass->train,
        .accumulate = pass->accumulate, .observe = pass->observe, .cut = m->shape.probe ? pass->cut : NULL, .loss_scale = pass->loss_scale, .meter = pass->meter };
    if (m->params->stale && m->plan->weights == AN_STORE_BF16) {
        an_params_refresh(m->params, AN_STORE_BF16, m->threads);
        m->params->stale = false;
    }
    m->tokens->tokens = pass->tokens;
    if (m->targets) m->targets->tokens = pass->targets;
    for (size_t i = 0; pass->targets && m->targets && i < m->targets->count; i++) run.n_target += pass->targets[i] >= 0;
    return run;
}

double an_model_forward(an_model *m, const an_pass *pass)
{
    an_run run = an_model_begin(m, pass);
    an_plan_forward(m->plan, &run);
    return m->loss && run.n_target ? (double)m->loss->data[0] : 0;   /* without targets the value is an older pass's */
}

double an_model_forward_backward(an_model *m, const an_pass *pass)
{
    an_run run = an_model_begin(m, pass);
    run.late = true;
    an_plan_forward(m->plan, &run);
    an_plan_backward(m->plan, &run);
    return (double)m->loss->data[0];
}

const char *an_model_find_nonfinite(an_model *m, const an_pass *pass)
{
    an_run run = an_model_begin(m, pass);
    bool gradient;
    const char *name = an_plan_find_nonfinite(m->plan, &run, &gradient);
    if (!name || !gradient) return name;
    snprintf(m->text, sizeof m->text, "gradient of %s", name);
    return m->text;
}

an_model_memory an_model_get_memory(const an_model *m)
{
    const size_t unit = sizeof(an_real), p = m->params->data.count * unit;
    const an_plan *plan = m->plan;
    return (an_model_memory){ .params = p + an_plan_copy_bytes(plan), .grads = m->shape.train ? p : 0, .optimizer = m->shape.train ? 2 * p : 0, .activations = plan->activations.count * unit,
        .scratch = (plan->scratch.count + plan->thread_scratch.count) * unit, .constants = (plan->constants.count + plan->state.count) * unit };
}

an_model_cost an_model_get_cost(const an_model *m)
{
    const an_cost f = an_plan_cost(m->plan, AN_FORWARD), b = an_plan_cost(m->plan, AN_BACKWARD);
    return (an_model_cost){ f.flops, b.flops, f.bytes, b.bytes };
}
