/* plan/schedule.c
 * From steps to code. Forward is the steps in order, backward the same steps in reverse. With recomputation, the values
 * made and read inside one block are dropped after the forward pass: backward works on copies of the block's steps, and
 * those copies whose results it needs are run forward again first. Replays see the same counters, so the same bits. */
#include "plan/plan.h"

#include <stdlib.h>

typedef struct region { size_t begin, end; } region;    /* steps [begin, end) of one block */

static region region_ending_at(const an_plan *plan, size_t end)
{
    size_t begin = end - 1;
    while (begin > 0 && plan->steps[begin - 1]->block == plan->steps[end - 1]->block) begin--;
    return (region){ begin, end };
}

/* interior[v->id] = 1 for values made in the region and read by nobody outside it. */
static void find_interior(const an_plan *plan, region r, char *interior)
{
    for (size_t i = r.begin; i < r.end; i++)
        for (int k = 0; k < plan->steps[i]->n_out; k++) interior[plan->steps[i]->out[k]->id] = !plan->steps[i]->out[k]->keep;
    for (size_t i = 0; i < plan->n_steps; i++) {
        if (i >= r.begin && i < r.end) continue;
        for (int k = 0; k < plan->steps[i]->n_in; k++)
            if (plan->steps[i]->in[k]) interior[plan->steps[i]->in[k]->id] = 0;
    }
}

/* needed[i - begin] = 1 for steps whose interior results backward reads, directly or through other replays. */
static void find_needed(const an_plan *plan, region r, const char *interior, char *needed)
{
    for (size_t i = r.begin; i < r.end; i++) {
        const an_step *s = plan->steps[i];
        for (int k = 0; k < s->n_in; k++)
            if (s->in[k] && an_bit(s->op->saves_in, k) && interior[s->in[k]->id])
                for (size_t j = r.begin; j < r.end; j++) needed[j - r.begin] |= plan->steps[j] == s->in[k]->producer;
        for (int k = 0; k < s->n_out; k++) needed[i - r.begin] |= (s->op->saves_out >> k & 1u) && interior[s->out[k]->id];
    }
    for (size_t i = r.end; i-- > r.begin;) {
        if (!needed[i - r.begin]) continue;
        for (int k = 0; k < plan->steps[i]->n_in; k++)
            if (plan->steps[i]->in[k] && interior[plan->steps[i]->in[k]->id])
                for (size_t j = r.begin; j < i; j++) needed[j - r.begin] |= plan->steps[j] == plan->steps[i]->in[k]->producer;
    }
}

static void append(an_plan *plan, an_step *step, an_direction dir) { plan->code[plan->n_code++] = (an_instr){ step, dir }; }

/* Copies of the region's steps over copies of its interior values; twin: value id -> its copy. */
static an_status replay(an_plan *plan, region r, const char *interior, const char *needed, an_value **twin)
{
    const size_t first_copy = plan->n_code;
    for (size_t i = r.begin; i < r.end; i++) {
        const an_step *s = plan->steps[i];
        an_step *copy = an_step_copy(plan, s);
        if (!copy) return an_fail(AN_ENOMEM, "out of memory while planning recomputation");
        copy->replay = true;
        for (int k = 0; k < s->n_in; k++)
            if (s->in[k] && interior[s->in[k]->id]) copy->in[k] = twin[s->in[k]->id];
        for (int k = 0; k < s->n_out; k++) {
            an_value *v = s->out[k];
            if (!interior[v->id]) continue;
            an_value *c = an_value_new(plan, v->name, v->dims, v->home);
            if (!c) return an_fail(AN_ENOMEM, "out of memory while planning recomputation");
            c->aux = v->aux;
            c->store = v->store;
            c->n_use = v->n_use;
            c->producer = copy;
            copy->out[k] = twin[v->id] = c;
            plan->dropped += needed[i - r.begin] ? an_store_reals(v->store, v->count) : 0;
        }
        for (int k = 0; k < s->n_out; k++)
            if (!interior[s->out[k]->id]) s->out[k]->producer = copy;   /* its gradient is consumed by the copy */
        append(plan, copy, needed[i - r.begin] ? AN_FORWARD : AN_BACKWARD);
    }
    /* run the needed ones forward in order, then all of them backward in reverse */
    const size_t n = r.end - r.begin;
    an_instr *all = an_alloc(n * sizeof *all);
    if (!all) return an_fail(AN_ENOMEM, "out of memory while planning recomputation");
    memcpy(all, plan->code + first_copy, n * sizeof *all);
    plan->n_code = first_copy;
    for (size_t i = 0; i < n; i++)
        if (all[i].dir == AN_FORWARD) append(plan, all[i].step, AN_FORWARD);
    for (size_t i = n; i-- > 0;) append(plan, all[i].step, AN_BACKWARD);
    free(all);
    return AN_OK;
}

static an_status backward_region(an_plan *plan, region r, size_t n_original)
{
    char *interior = an_alloc(n_original), *needed = an_alloc(r.end - r.begin);
    an_value **twin = an_alloc(n_original * sizeof *twin);
    an_status status = interior && needed && twin ? AN_OK : an_fail(AN_ENOMEM, "out of memory while planning recomputation");
    if (status == AN_OK) {
        find_interior(plan, r, interior);
        find_needed(plan, r, interior, needed);
        status = replay(plan, r, interior, needed, twin);
    }
    free(interior);
    free(needed);
    free(twin);
    return status;
}

an_status an_plan_schedule(an_plan *plan, bool recompute)
{
    const size_t n_original = plan->n_values;
    plan->code = an_alloc(3 * plan->n_steps * sizeof *plan->code);
    if (!plan->code && plan->n_steps) return an_fail(AN_ENOMEM, "out of memory while planning");
    for (size_t i = 0; i < plan->n_steps; i++) append(plan, plan->steps[i], AN_FORWARD);
    plan->n_forward = plan->n_code;
    if (!plan->train) return AN_OK;
    for (size_t end = plan->n_steps; end > 0;) {
        if (!recompute || plan->steps[end - 1]->block < 0) {
            append(plan, plan->steps[--end], AN_BACKWARD);
            continue;
        }
        const region r = region_ending_at(plan, end);
        AN_TRY(backward_region(plan, r, n_original));
        end = r.begin;
    }
    return AN_OK;
}
