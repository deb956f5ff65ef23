/* train/optimizer.c
 * Both moments lie in one block each, in parameter order, so a checkpoint can walk them and nothing allocates per step.
 * A chunk never crosses a tensor: decay and learning-rate scale are constant inside it. Clipping follows the common
 * form min(1, clip / (norm + 1e-6)), so runs compare number by number with other programs. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/threads.h"
#include "kern/kern.h"
#include "train/groups.h"

enum { CHUNK = 16384 };

typedef struct chunk { size_t param, begin, n, at; } chunk;   /* begin: within the tensor; at: within the moment blocks */

struct an_optimizer {
    const an_param *params;
    const an_kernels *k;
    an_optimizer_config config;
    an_block m, v;
    chunk *chunks;
    double *partial;                                          /* one sum of squares per chunk: of the gradient, */
    double *moved, *weight;                                   /* of the update, of the weights after it */
    an_tensor_norms *norms;                                   /* per parameter */
    double update_norm;
    bool measure_update, measure_tensors;
    bool has_unit;                                            /* some tensor is kept at length 1 */
    size_t *start;                                            /* per parameter: where its moments begin */
    double *lr_scale;                                         /* per parameter */
    size_t chunk_count, param_count;
    double lr, grad_scale, c1, c2;                            /* of the update in progress */
};

static void cut(an_optimizer *o)
{
    size_t at = 0, c = 0;
    for (size_t p = 0; p < o->param_count; p++) {
        o->start[p] = at;
        for (size_t begin = 0; begin < o->params[p].count && !o->params[p].rule.buffer; begin += CHUNK) {
            const size_t left = o->params[p].count - begin, n = left < CHUNK ? left : CHUNK;
            o->chunks[c++] = (chunk){ p, begin, n, at + begin };
        }
        at += o->params[p].count;
    }
}

an_status an_optimizer_create(an_optimizer **out, const an_param *params, size_t count, const an_optimizer_config *config)
{
    size_t total = 0, chunks = 0;
    bool unit = false;
    for (size_t p = 0; p < count; p++) {
        total += params[p].count;                             /* buffers have moments too, always zero: one layout for checkpoints */
        unit |= params[p].rule.unit != AN_UNIT_FREE;
        chunks += params[p].rule.buffer ? 0 : (params[p].count + CHUNK - 1) / CHUNK;
    }
    an_status status = AN_ENOMEM;
    an_optimizer *o = an_alloc(sizeof *o);
    if (!o) return an_fail(AN_ENOMEM, "optimizer: no memory for its description");
    o->params = params;
    o->param_count = count;
    o->chunk_count = chunks;
    o->has_unit = unit;
    o->config = *config;
    o->k = an_kern_get();
    o->chunks = an_alloc(chunks * sizeof *o->chunks);
    o->partial = an_alloc(chunks * sizeof *o->partial);
    o->moved = an_alloc(chunks * sizeof *o->moved);
    o->weight = an_alloc(chunks * sizeof *o->weight);
    o->norms = an_alloc(count * sizeof *o->norms);
    o->start = an_alloc(count * sizeof *o->start);
    o->lr_scale = an_alloc(count * sizeof *o->lr_scale);
    if (!o->chunks || !o->partial || !o->moved || !o->weight || !o->norms || !o->start || !o->lr_scale) {
        status = an_fail(AN_ENOMEM, "optimizer: no memory for %zu chunks", chunks);
        goto fail;
    }
    for (size_t p = 0; p < count; p++) o->lr_scale[p] = params[p].rule.lr;
    if ((status = an_groups_apply("lr_scale", config->lr_scale, params, count, o->lr_scale)) != AN_OK) goto fail;
    if ((status = an_block_init(&o->m, total, "optimizer: first moments")) != AN_OK) goto fail;
    if ((status = an_block_init(&o->v, total, "optimizer: second moments")) != AN_OK) goto fail;
    cut(o);
    *out = o;
    return AN_OK;
fail:
    an_optimizer_destroy(&o);
    return status;
}

void an_optimizer_destroy(an_optimizer **optimizer)
{
    an_optimizer *o = *optimizer;
    if (!o) return;
    an_block_fini(&o->m);
    an_block_fini(&o->v);
    free(o->chunks);
    free(o->partial);
    free(o->moved);
    free(o->weight);
    free(o->norms);
    free(o->start);
    free(o->lr_scale);
    free(o);
    *optimizer = NULL;
}

size_t an_optimizer_bytes(size_t trained_scalars) { return 2 * trained_scalars * sizeof(an_real); }

static void measure(void *ctx, size_t i, int thread)
{
    an_optimizer *o = ctx;
    (void)thread;
    const chunk *c = &o->chunks[i];
    o->partial[i] = o->k->sumsq(c->n, o->params[c->param].grad + c->begin);
}

double an_optimizer_grad_norm(an_optimizer *optimizer, int threads)
{
    an_parallel_for(threads, optimizer->chunk_count, measure, optimizer);
    double sum = 0;
    for (size_t i = 0; i < optimizer->chunk_count; i++) sum += optimizer->partial[i];
    return sqrt(sum);
}

static void update(void *ctx, size_t i, int thread)
{
    an_optimizer *o = ctx;
    (void)thread;
    const chunk *c = &o->chunks[i];
    const an_param *p = &o->params[c->param];
    const an_adamw_spec spec = {
        .lr = AN_R(o->lr * o->lr_scale[c->param]), .beta1 = AN_R(o->config.beta1), .beta2 = AN_R(o->config.beta2), .eps = AN_R(o->config.eps * p->rule.eps),
        .decay = AN_R(o->config.weight_decay * p->rule.decay), .c1 = AN_R(o->c1), .c2 = AN_R(o->c2), .grad_scale = AN_R(o->grad_scale),
    };
    o->k->adamw(c->n, &spec, p->data + c->begin, p->grad + c->begin, o->m.data + c->at, o->v.data + c->at, p->low ? p->low + c->begin : NULL, o->measure_update ? &o->moved[i] : NULL);
    if (o->measure_tensors) o->weight[i] = o->k->sumsq(c->n, p->data + c->begin);
}

static size_t row_of(const an_param *p) { return p->count / p->dim[0]; }

static void scale_part(void *ctx, size_t i, int thread)
{
    const an_param *p = ctx;
    (void)thread;
    an_unit_scale(p->rule.unit, p->dim[0], row_of(p), p->data, i);
}

static void take_held(void *ctx, size_t i, int thread)   /* what else was taken from the weights before they were held */
{
    an_optimizer *o = ctx;
    (void)thread;
    const chunk *c = &o->chunks[i];
    const an_param *p = &o->params[c->param];
    if (p->rule.unit == AN_UNIT_FREE) return;
    if (o->measure_tensors) o->weight[i] = o->k->sumsq(c->n, p->data + c->begin);
    if (p->low) o->k->narrow(c->n, p->data + c->begin, p->low + c->begin);
}

/* Outside of the gradient: the moments are those of the update, and stay as they are. */
static void hold_lengths(an_optimizer *o, int threads)
{
    for (size_t p = 0; p < o->param_count; p++) {
        an_param held = o->params[p];
        an_parallel_for(threads, an_unit_parts(held.rule.unit, held.dim[0], row_of(&held)), scale_part, &held);
    }
    an_parallel_for(threads, o->chunk_count, take_held, o);
}

static void sum_up(an_optimizer *o)
{
    double all = 0;
    for (size_t i = 0; i < o->chunk_count; i++) all += o->measure_update ? o->moved[i] : 0;
    o->update_norm = sqrt(all);
    if (!o->measure_tensors) return;
    for (size_t p = 0; p < o->param_count; p++) o->norms[p] = (an_tensor_norms){ 0, 0, 0 };
    for (size_t i = 0; i < o->chunk_count; i++) {
        an_tensor_norms *n = &o->norms[o->chunks[i].param];
        n->grad += o->partial[i];
        n->update += o->moved[i];
        n->weight += o->weight[i];
    }
    for (size_t p = 0; p < o->param_count; p++) o->norms[p] = (an_tensor_norms){ sqrt(o->norms[p].grad), sqrt(o->norms[p].update), sqrt(o->norms[p].weight) };
}

void an_optimizer_measure(an_optimizer *optimizer, bool moves, bool tensors)
{
    optimizer->measure_update = moves || tensors;
    optimizer->measure_tensors = tensors;
}

double an_optimizer_update_norm(const an_optimizer *optimizer) { return optimizer->update_norm; }
const an_tensor_norms *an_optimizer_tensor_norms(const an_optimizer *optimizer) { return optimizer->norms; }

double an_optimizer_apply(an_optimizer *optimizer, double lr, uint64_t t, double grad_norm, int threads)
{
    const double clip = optimizer->config.grad_clip;
    const double scale = clip > 0 ? clip / (grad_norm + 1e-6) : 1;
    optimizer->lr = lr;
    optimizer->grad_scale = scale < 1 ? scale : 1;
    optimizer->c1 = 1 - pow(optimizer->config.beta1, (double)t);
    optimizer->c2 = 1 - pow(optimizer->config.beta2, (double)t);
    an_parallel_for(threads, optimizer->chunk_count, update, optimizer);
    if (optimizer->has_unit) hold_lengths(optimizer, threads);
    sum_up(optimizer);
    return grad_norm * optimizer->grad_scale;
}

an_real *an_optimizer_get_m(an_optimizer *optimizer, size_t i) { return optimizer->m.data + optimizer->start[i]; }
an_real *an_optimizer_get_v(an_optimizer *optimizer, size_t i) { return optimizer->v.data + optimizer->start[i]; }
