/* plan/gradients.c
 * Who needs a gradient, who writes it first, and which gradients may share a buffer. All of it is decided here, once:
 * the first backward writer SETs and the later ones ADD, so there is no zero-fill pass and tied weights are no special case. */
#include "plan/plan.h"

#include <stdlib.h>

/* Positions in code, n_code: none. The first two steps that write a value's gradient, and the one that takes it further down. */
typedef struct an_value_use { size_t first_writer, second_writer, maker; } an_value_use;

static bool can_flow(const an_step *s, int i) { return s->in[i] && !an_bit(s->op->no_grad_in, i) && !s->in[i]->aux; }

static bool is_trained(const an_plan *plan, const an_value *v)
{
    return v->home == AN_HOME_PARAM && !an_params_find(plan->params, v->name)->rule.buffer;
}

/* A value wants a gradient when a parameter (or the plan's root) lies below it (or it is one) and the loss above it. */
static void find_wanted(an_plan *plan, char *below, char *above)
{
    for (size_t i = 0; i < plan->n_values; i++) below[plan->values[i]->id] = plan->root ? plan->values[i] == plan->root : is_trained(plan, plan->values[i]);
    for (size_t c = 0; c < plan->n_code; c++) {                    /* forward and replays: parameters flow up */
        const an_step *s = plan->code[c].step;
        if (plan->code[c].dir != AN_FORWARD) continue;
        bool any = false;
        for (int i = 0; i < s->n_in; i++) any |= can_flow(s, i) && below[s->in[i]->id];
        for (int o = 0; o < s->n_out; o++) below[s->out[o]->id] |= any && !s->out[o]->aux;
    }
    for (size_t c = plan->n_code; c-- > plan->n_forward;) {        /* copies that are not replayed inherit from their inputs */
        const an_step *s = plan->code[c].step;
        if (plan->code[c].dir != AN_BACKWARD || !s->replay) continue;
        bool any = false;
        for (int i = 0; i < s->n_in; i++) any |= can_flow(s, i) && below[s->in[i]->id];
        for (int o = 0; o < s->n_out; o++) below[s->out[o]->id] |= any && !s->out[o]->aux;
    }
    above[plan->loss->id] = 1;
    for (size_t c = plan->n_forward; c < plan->n_code; c++) {      /* backward order: the loss flows down */
        const an_step *s = plan->code[c].step;
        if (plan->code[c].dir != AN_BACKWARD) continue;
        bool any = false;
        for (int o = 0; o < s->n_out; o++) any |= above[s->out[o]->id];
        for (int i = 0; i < s->n_in; i++)
            if (can_flow(s, i)) above[s->in[i]->id] |= any;
    }
    for (size_t i = 0; i < plan->n_values; i++) {
        an_value *v = plan->values[i];
        v->wants_grad = below[v->id] && above[v->id] && v != plan->loss;
    }
}

static bool writes(const an_step *s, int i) { return can_flow(s, i) && s->in[i]->wants_grad; }

/* Something to write, and something to make it from: a value that nobody reads has no gradient. */
static bool has_gradient_work(const an_plan *plan, const an_step *s)
{
    bool wanted = false, given = false;
    for (int i = 0; i < s->n_in; i++) wanted |= writes(s, i);
    for (int o = 0; o < s->n_out; o++) given |= s->out[o]->wants_grad || s->out[o] == plan->loss;
    return wanted && given;
}

/* Backward instructions without work are dropped. */
static void prune(an_plan *plan)
{
    size_t kept = plan->n_forward;
    for (size_t c = plan->n_forward; c < plan->n_code; c++)
        if (plan->code[c].dir == AN_FORWARD || has_gradient_work(plan, plan->code[c].step)) plan->code[kept++] = plan->code[c];
    plan->n_code = kept;
}

static an_status find_writers(an_plan *plan, an_value_use *use)
{
    const size_t none = plan->n_code;
    for (size_t i = 0; i < plan->n_values; i++) use[i] = (an_value_use){ none, none, none };
    for (size_t c = plan->n_forward; c < plan->n_code; c++) {
        an_step *s = plan->code[c].step;
        if (plan->code[c].dir != AN_BACKWARD) continue;
        for (int o = 0; o < s->n_out; o++)
            if (s->out[o]->producer == s) use[s->out[o]->id].maker = c;
        for (int i = 0; i < s->n_in; i++) {
            if (!writes(s, i)) continue;
            an_value_use *u = &use[s->in[i]->id];
            s->acc[i] = u->first_writer != none;
            if (s->acc[i] && an_bit(s->op->sets_only, i))
                return an_fail(AN_EFAIL, "%s: %s can only set the gradient of %s, which another step also writes", s->name, s->op->name, s->in[i]->name);
            if (!s->acc[i]) u->first_writer = c;
            else if (u->second_writer == none && u->first_writer != c) u->second_writer = c;
        }
    }
    return AN_OK;
}

/* y = x + f: the gradients of x, f and y are one and the same until somebody adds to x's. They share y's buffer when
 *   x: this step is its first writer, and nobody writes again before f's maker has read it;
 *   f: this step is its only reader, and while x shares too, its maker neither overwrites what it reads nor shares it further
 *      down: the end of f's maker would not be the end of the buffer's use on that side (two streams that meet in one sum). */
static void find_shared(an_plan *plan, const an_value_use *use)
{
    for (size_t c = plan->n_forward; c < plan->n_code; c++) {
        an_step *s = plan->code[c].step;
        if (plan->code[c].dir != AN_BACKWARD || !s->op->same_grad) continue;
        const uint32_t same = s->op->same_grad(s);
        an_value *x = s->in[0], *f = s->in[1];
        if (x == f) continue;
        const bool f_may = (same >> 1 & 1u) && writes(s, 1) && f->home == AN_HOME_ACT && f->n_use == 1 && f->producer;
        const size_t f_read = f_may && use[f->id].maker < plan->n_code ? use[f->id].maker : c;
        const bool x_may = (same & 1u) && writes(s, 0) && x->home == AN_HOME_ACT && use[x->id].first_writer == c && use[x->id].second_writer > f_read;
        s->shared[0] = x_may;
        s->shared[1] = f_may && !(x_may && (f->producer->op->clobbers || f->producer->op->same_grad));
        if (s->shared[0] || s->shared[1]) s->out[s->op->grad_out]->wants_grad = true;   /* even when nobody else reads it */
    }
}

an_status an_plan_gradients(an_plan *plan)
{
    if (!plan->train) return AN_OK;
    if (!plan->loss) return an_fail(AN_EFAIL, "a training plan without a loss");
    char *below = an_alloc(plan->n_values), *above = an_alloc(plan->n_values);
    an_value_use *use = an_alloc(plan->n_values * sizeof *use);
    an_status status = below && above && use ? AN_OK : an_fail(AN_ENOMEM, "out of memory while planning gradients");
    if (status == AN_OK) {
        find_wanted(plan, below, above);
        prune(plan);
        status = find_writers(plan, use);
    }
    if (status == AN_OK && !plan->apart) find_shared(plan, use);
    free(below);
    free(above);
    free(use);
    return status;
}
