/* plan/precision.c
 * Mixed precision: which values of a plan are held as bfloat16. Weights stay reals, and so do statistics, the loss, gradients of
 * parameters and all sums; rounded are what products read and write. A value is held as bfloat16 when the op that makes it and
 * every op that reads it say they can (low_in, low_out), so an op that knows nothing of this keeps all its values as they were.
 * The residual stream, and any sum along it, is held as bfloat16 only when asked for; its gradient never is.
 * A gradient follows its value, unless several steps add to it or it is that of a term of a sum, which may be the sum's own. */
#include "plan/plan.h"

#include <stdlib.h>

/* What an op adds a shortcut into: the sum, wherever it stands. */
static an_value *sum_of(const an_step *s) { return s->op->same_grad ? s->out[s->op->grad_out] : NULL; }

/* An op in place has one buffer: both ends are held alike. */
static bool level(an_value *a, an_value *b)
{
    if (a->store == b->store) return false;
    a->store = b->store = AN_STORE_REAL;
    return true;
}

static void choose(an_plan *plan)
{
    for (size_t i = 0; i < plan->n_values; i++) {
        an_value *v = plan->values[i];
        v->store = v->home == AN_HOME_ACT && !v->keep && v->producer ? AN_STORE_BF16 : AN_STORE_REAL;
    }
    for (size_t i = 0; i < plan->n_steps; i++) {
        const an_step *s = plan->steps[i];
        for (int k = 0; k < s->n_in; k++)
            if (s->in[k] && !an_bit(s->op->low_in, k)) s->in[k]->store = AN_STORE_REAL;
        for (int k = 0; k < s->n_out; k++)
            if (!(s->op->low_out >> k & 1u)) s->out[k]->store = AN_STORE_REAL;
    }
}

static void mark_stream(an_plan *plan)
{
    for (size_t i = 0; i < plan->n_sites; i++) {
        for (size_t k = 0; k < plan->sites[i].n_in + plan->sites[i].n_side; k++) plan->sites[i].in[k]->stream = true;
        for (size_t k = 0; k < plan->sites[i].n_out; k++) plan->sites[i].out[k]->stream = true;
    }
    for (size_t i = 0; i < plan->n_steps; i++)
        if (sum_of(plan->steps[i])) sum_of(plan->steps[i])->stream = true;
    for (size_t i = 0; i < plan->n_values && plan->stream == AN_STORE_REAL; i++)
        if (plan->values[i]->stream) plan->values[i]->store = AN_STORE_REAL;
}

void an_plan_narrow(an_plan *plan)
{
    if (plan->store == AN_STORE_REAL) return;
    choose(plan);
    mark_stream(plan);
    for (bool again = true; again;) {
        again = false;
        for (size_t i = plan->n_steps; i-- > 0;)
            if (plan->steps[i]->op->in_place) again |= level(plan->steps[i]->in[0], plan->steps[i]->out[0]);
    }
}

/* --- after gradients.c has decided who writes and who shares ------------------------------------------------------- */

static void count_writers(const an_plan *plan, unsigned char *writers)
{
    for (size_t c = plan->n_forward; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        for (int i = 0; i < s->n_in && plan->code[c].dir == AN_BACKWARD; i++)
            if (s->in[i] && s->in[i]->wants_grad && !an_bit(s->op->no_grad_in, i) && !s->shared[i] && writers[s->in[i]->id] < 2) writers[s->in[i]->id]++;
    }
}

static bool level_gradients(an_value *a, an_value *b)
{
    if (a->grad_store == b->grad_store) return false;
    a->grad_store = b->grad_store = AN_STORE_REAL;
    return true;
}

/* Buffers that are one are held alike. Values are visited from the loss down, so one round is nearly always enough. */
static void join(an_plan *plan)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t c = plan->n_forward; c < plan->n_code; c++) {
            const an_step *s = plan->code[c].step;
            if (plan->code[c].dir != AN_BACKWARD) continue;
            if (s->op->in_place) again |= level_gradients(s->in[0], s->out[0]);
            for (int i = 0; i < 2 && i < s->n_in; i++)
                if (s->shared[i]) again |= level_gradients(s->in[i], s->out[s->op->grad_out]);
        }
    }
}

an_status an_plan_narrow_gradients(an_plan *plan)
{
    if (plan->store == AN_STORE_REAL) return AN_OK;
    unsigned char *writers = an_alloc(plan->n_values);
    if (!writers) return an_fail(AN_ENOMEM, "out of memory while planning precision");
    count_writers(plan, writers);
    for (size_t i = 0; i < plan->n_values; i++) {
        an_value *v = plan->values[i];
        v->grad_store = writers[v->id] > 1 || v->stream ? AN_STORE_REAL : v->store;
    }
    free(writers);
    for (size_t c = plan->n_forward; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        if (s->op->real_grad_out) s->out[0]->grad_store = AN_STORE_REAL;
        for (int i = 0; i < 2 && s->op->same_grad; i++)
            if (s->in[i]) s->in[i]->grad_store = AN_STORE_REAL;   /* whether or not it shares the sum's buffer in this plan: the same bits however steps are joined */
    }
    join(plan);
    for (size_t c = 0; c < plan->n_code; c++) {
        an_step *s = plan->code[c].step;
        s->mixed = true;
        for (int i = 0; i < s->n_in; i++) s->low |= s->in[i] && (s->in[i]->store != AN_STORE_REAL || s->in[i]->grad_store != AN_STORE_REAL);
        for (int i = 0; i < s->n_out; i++) s->low |= s->out[i]->store != AN_STORE_REAL || s->out[i]->grad_store != AN_STORE_REAL;
    }
    return AN_OK;
}
