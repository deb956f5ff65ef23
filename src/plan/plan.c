/* plan/plan.c
 * The life of a plan after emission: freeze (the passes, in order), bind (arenas reserved, every value given its address),
 * and the scratch that each thread has. */
#include "plan/ledger.h"

#include <stdlib.h>

static an_status no_memory(const char *what) { return an_fail(AN_ENOMEM, "out of memory for %s", what); }

an_status an_plan_create(an_plan **out, an_params *params, bool train)
{
    an_plan *plan = an_alloc(sizeof *plan);
    if (!plan) return no_memory("a plan");
    plan->params = params;
    for (size_t i = 0; i < params->n; i++) params->list[i].value = NULL;
    plan->train = train;
    plan->threads = 1;
    *out = plan;
    return AN_OK;
}

void an_plan_destroy(an_plan **plan)
{
    if (!plan || !*plan) return;
    an_plan *p = *plan;
    an_block *blocks[] = { &p->activations, &p->constants, &p->state, &p->scratch, &p->thread_scratch };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) an_block_fini(blocks[i]);
    an_ledger_destroy(&p->ledger);
    free(p->values);
    free(p->steps);
    free(p->sites);
    free(p->code);
    free(p->thread_work);
    an_arena_fini(&p->arena);
    free(p);
    *plan = NULL;
}

an_status an_plan_freeze(an_plan *plan, bool fuse)
{
    plan->fused = fuse && !plan->apart;
    for (size_t i = 0; i < plan->n_steps; i++)
        if (plan->steps[i]->block >= 0 && (size_t)plan->steps[i]->block >= plan->n_blocks) plan->n_blocks = (size_t)plan->steps[i]->block + 1;
    if (plan->apart || !plan->train) plan->recompute = (an_recompute){ 0 };
    if (plan->apart) an_plan_open(plan);
    if (plan->fused) AN_TRY(an_plan_fuse(plan));
    if (plan->apart) plan->store = AN_STORE_REAL;   /* who looks inside reads reals */
    if (plan->store == AN_STORE_BF16 && plan->weights == AN_STORE_REAL) plan->weights = AN_STORE_BF16;
    an_plan_narrow(plan);
    an_plan_store(plan);
    AN_TRY(an_plan_schedule(plan));
    AN_TRY(an_plan_gradients(plan));
    AN_TRY(an_plan_narrow_gradients(plan));
    if (plan->apart) AN_TRY(an_plan_join(plan));
    AN_TRY(an_plan_watch(plan));
    return an_plan_layout(plan);
}

static void fill_const(an_value *v)
{
    const an_const_fill *f = v->producer->attr;
    f->fill(v->data, &v->dims, f->arg);
}

static void bind_values(an_plan *plan)
{
    for (size_t i = 0; i < plan->n_values; i++) {
        an_value *v = plan->values[i];
        if (v->home == AN_HOME_PARAM) {
            const an_param_def *def = an_params_find(plan->params, v->name);
            v->data = def->data;
            v->grad = v->wants_grad ? def->grad : NULL;
            continue;
        }
        an_real *base = v->home == AN_HOME_ACT ? plan->activations.data : v->home == AN_HOME_CONST ? plan->constants.data : plan->state.data;
        if (v->home == AN_HOME_INPUT) continue;
        v->data = base && v->data_offset != AN_NO_OFFSET ? base + v->data_offset : NULL;
        v->grad = v->wants_grad && v->grad_offset != AN_NO_OFFSET ? plan->activations.data + v->grad_offset : NULL;
        if (v->home == AN_HOME_CONST) fill_const(v);
    }
    for (size_t i = 0; i < plan->n_code; i++) plan->code[i].step->work = plan->scratch.data;
}

an_status an_plan_bind(an_plan *plan, int threads)
{
    AN_TRY(an_block_init(&plan->activations, plan->activations.count, "activations"));
    AN_TRY(an_block_init(&plan->constants, plan->constants.count, "constants"));
    AN_TRY(an_block_init(&plan->state, plan->state.count, "key/value cache"));
    AN_TRY(an_block_init(&plan->scratch, plan->scratch.count, "scratch"));
    bind_values(plan);
    AN_TRY(an_plan_copy(plan));
    if (plan->ledger) AN_TRY(an_ledger_bind(plan->ledger));
    return an_plan_set_threads(plan, threads);
}

an_status an_plan_set_threads(an_plan *plan, int threads)
{
    if (threads < 1) threads = 1;
    an_real **work = an_alloc((size_t)threads * sizeof *work);
    an_block fresh;
    if (!work) return no_memory("thread scratch");
    const an_status status = an_block_init(&fresh, plan->thread_reals * (size_t)threads, "thread scratch");
    if (status != AN_OK) {
        free(work);
        return status;
    }
    an_block_fini(&plan->thread_scratch);
    free(plan->thread_work);
    plan->thread_scratch = fresh;
    plan->thread_work = work;
    plan->threads = threads;
    for (size_t i = 0; i < (size_t)threads; i++) work[i] = fresh.data ? fresh.data + i * plan->thread_reals : NULL;
    return AN_OK;
}
