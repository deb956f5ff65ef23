/* plan/copies.c
 * Matrices once more in bf16 or int8, beside the masters: half or a quarter of the bytes for steps that only read them. A plan says
 * which storage it wants, ops which inputs they read so (low_in); copies are made when it is bound and shared by all plans of these
 * parameters. Whoever changes the masters has them filled again, in parts of rows whose cut depends on shapes alone.
 * Error     bf16: 2^-8 of each number; int8: half of the row's scale, that is 1/254 of the row's largest, plus 2^-24 of the number */
#include <stdlib.h>

#include "core/threads.h"
#include "plan/plan.h"

enum { PART = 1 << 16 };   /* numbers of a part, about */

/* What one plan was the first to ask for. */
typedef struct an_copies {
    struct an_copies *next;
    an_store kind;
    an_block data, scale;
    size_t n_parts;
    struct { const an_param_def *def; size_t row, rows; } part[];
} an_copies;

static size_t rows_of(const an_param_def *d) { return d->dims.d[0]; }
static size_t bytes_of(const an_param_def *d, an_store kind) { return d->count * (kind == AN_STORE_BF16 ? sizeof(an_bf16) : sizeof(int8_t)); }
static size_t part_rows(const an_param_def *d) { const size_t width = d->count / rows_of(d); return width < PART ? PART / width : 1; }
static size_t parts_of(const an_param_def *d) { return (rows_of(d) + part_rows(d) - 1) / part_rows(d); }
static size_t reals_for(size_t bytes) { return (bytes + AN_ALIGN - 1) / AN_ALIGN * (AN_ALIGN / sizeof(an_real)); }   /* whole cache lines */

void an_plan_store(an_plan *plan)
{
    if (plan->weights == AN_STORE_REAL) return;
    for (size_t k = 0; k < plan->n_steps; k++) {
        const an_step *s = plan->steps[k];
        for (int i = 0; i < s->n_in; i++)
            if (s->in[i] && s->in[i]->home == AN_HOME_PARAM && s->in[i]->dims.rank == 2 && s->in[i]->count > 0 && an_bit(s->op->low_in, i)) s->in[i]->store = plan->weights;
    }
}

static an_param_def *wanted(const an_plan *plan, const an_value *v) { return v->home == AN_HOME_PARAM && v->store != AN_STORE_REAL ? an_params_find(plan->params, v->name) : NULL; }

/* Room for the copies that no plan has asked for before. */
static an_status make(an_plan *plan)
{
    an_params *params = plan->params;
    size_t parts = 0, data = 0, scale = 0;
    for (size_t i = 0; i < plan->n_values; i++) {
        const an_param_def *d = wanted(plan, plan->values[i]);
        if (!d || d->low[plan->weights].data) continue;
        parts += parts_of(d);
        data += reals_for(bytes_of(d, plan->weights));
        scale += plan->weights == AN_STORE_INT8 ? reals_for(rows_of(d) * sizeof(float)) : 0;
    }
    if (parts == 0) return AN_OK;
    an_copies *c = an_alloc(sizeof *c + parts * sizeof *c->part);
    if (!c) return an_fail(AN_ENOMEM, "out of memory for copies of the weights");
    *c = (an_copies){ .next = params->copies, .kind = plan->weights };
    params->copies = c;                                  /* from here on with the parameters, whatever fails */
    AN_TRY(an_block_init(&c->data, data, "copies of the weights"));
    return an_block_init(&c->scale, scale, "scales of the weights");
}

/* Deals the newest room to them. */
static void deal(an_plan *plan)
{
    an_copies *c = plan->params->copies;
    size_t data = 0, scale = 0;
    for (size_t i = 0; i < plan->n_values; i++) {
        an_param_def *d = wanted(plan, plan->values[i]);
        if (!d || d->low[plan->weights].data) continue;
        d->low[c->kind].data = c->data.data + data;
        data += reals_for(bytes_of(d, c->kind));
        if (c->kind == AN_STORE_INT8) {
            d->low[c->kind].scale = (float *)(void *)(c->scale.data + scale);
            scale += reals_for(rows_of(d) * sizeof(float));
        }
        for (size_t row = 0, n = part_rows(d); row < rows_of(d); row += n, c->n_parts++) {
            c->part[c->n_parts].def = d;
            c->part[c->n_parts].row = row;
            c->part[c->n_parts].rows = rows_of(d) - row < n ? rows_of(d) - row : n;
        }
    }
}

an_status an_plan_copy(an_plan *plan)
{
    const an_copies *before = plan->params->copies;
    if (plan->weights == AN_STORE_REAL) return AN_OK;
    AN_TRY(make(plan));
    if (plan->params->copies != before) deal(plan), plan->params->stale = true;
    for (size_t i = 0; i < plan->n_values; i++) {
        an_value *v = plan->values[i];
        const an_param_def *d = wanted(plan, v);
        v->low = d ? d->low[v->store].data : NULL;
        v->low_scale = d ? d->low[v->store].scale : NULL;
    }
    return AN_OK;
}

static void refresh_part(void *ctx, size_t i, int thread)
{
    const an_copies *c = ctx;
    const an_param_def *d = c->part[i].def;
    const size_t row = c->part[i].row, rows = c->part[i].rows, width = d->count / rows_of(d);
    const an_real *from = d->data + row * width;
    (void)thread;
    if (c->kind == AN_STORE_BF16) an_kern_get()->narrow(rows * width, from, (an_bf16 *)d->low[c->kind].data + row * width);
    else an_kern_get()->quantise_int8(rows, width, from, (int8_t *)d->low[c->kind].data + row * width, d->low[c->kind].scale + row);
}

void an_params_refresh(an_params *params, an_store kind, int threads)
{
    for (an_copies *c = params->copies; c; c = c->next)
        if (c->kind == kind) an_parallel_for(threads, c->n_parts, refresh_part, c);
}

size_t an_plan_copy_bytes(const an_plan *plan)
{
    size_t bytes = 0;
    for (size_t i = 0; i < plan->n_values; i++) {
        const an_value *v = plan->values[i];
        if (v->home != AN_HOME_PARAM || v->store == AN_STORE_REAL) continue;
        bytes += v->store == AN_STORE_BF16 ? v->count * sizeof(an_bf16) : v->count + v->dims.d[0] * sizeof(float);
    }
    return bytes;
}

void an_params_drop_copies(an_params *params)
{
    while (params->copies) {
        an_copies *next = params->copies->next;
        an_block_fini(&params->copies->data);
        an_block_fini(&params->copies->scale);
        free(params->copies);
        params->copies = next;
    }
}
