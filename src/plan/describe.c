/* plan/describe.c
 * What a plan will do and cost, as one JSON document; the command line prints the same numbers as a table. */
#include "plan/plan.h"

an_cost an_plan_cost(const an_plan *plan, an_direction dir)
{
    an_cost sum = { 0, 0 };
    for (size_t c = 0; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        const bool in_forward = c < plan->n_forward;
        if (in_forward != (dir == AN_FORWARD)) continue;
        const an_cost one = s->op->cost(s);
        const double times = plan->code[c].dir == AN_BACKWARD ? s->op->backward_flops : 1;   /* a replay in the backward pass costs a forward */
        sum.flops += times * one.flops;
        sum.bytes += times * one.bytes;
    }
    return sum;
}

size_t an_plan_shortcuts(const an_plan *plan)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const an_op *op = plan->steps[i]->op;
        n += op->identity && op->shortcut(plan->steps[i]);
    }
    return n;
}

static json_t *dims_json(const an_value *v)
{
    json_t *list = json_array();
    for (size_t i = 0; i < v->dims.rank; i++) json_array_append_new(list, json_integer((json_int_t)v->dims.d[i]));
    return list;
}

/* Reals of s that backward reads again: what this step keeps alive. */
static size_t saved_reals(const an_step *s)
{
    size_t n = 0;
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i] && s->in[i]->home == AN_HOME_ACT && an_bit(s->op->saves_in, i)) n += an_store_reals(s->in[i]->store, s->in[i]->count);
    for (int o = 0; o < s->n_out; o++)
        if (s->op->saves_out >> o & 1u) n += an_store_reals(s->out[o]->store, s->out[o]->count);
    return n;
}

static json_t *step_json(const an_plan *plan, const an_step *s)
{
    const an_cost cost = s->op->cost(s);
    json_t *in = json_array(), *out = json_array();
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i]) json_array_append_new(in, json_pack("{s:s, s:o}", "name", s->in[i]->name, "shape", dims_json(s->in[i])));
    for (int o = 0; o < s->n_out; o++)
        json_array_append_new(out, json_pack("{s:s, s:o, s:b, s:s}", "name", s->out[o]->name, "shape", dims_json(s->out[o]), "aux", s->out[o]->aux,
                                             "store", s->out[o]->store == AN_STORE_BF16 ? "bf16" : AN_REAL_NAME));
    return json_pack("{s:s, s:s, s:i, s:o, s:o, s:f, s:f, s:I, s:b}", "name", s->name, "op", s->op->name, "block", s->block, "in", in, "out", out,
                     "flops", cost.flops, "bytes", cost.bytes, "saved_bytes", (json_int_t)(plan->train ? saved_reals(s) * sizeof(an_real) : 0),
                     "shortcut", s->op->identity && s->op->shortcut(s));
}

json_t *an_plan_describe(const an_plan *plan)
{
    const an_cost forward = an_plan_cost(plan, AN_FORWARD), backward = an_plan_cost(plan, AN_BACKWARD);
    json_t *steps = json_array();
    for (size_t i = 0; i < plan->n_steps; i++) json_array_append_new(steps, step_json(plan, plan->steps[i]));
    size_t replays = 0;
    for (size_t c = plan->n_forward; c < plan->n_code; c++) replays += plan->code[c].dir == AN_FORWARD;
    json_t *notes = json_array();
    for (size_t i = 0; i < plan->n_notes; i++) json_array_append_new(notes, json_string(plan->note[i]));
    return json_pack("{s:o, s:o, s:I, s:I, s:b, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "steps", steps, "notes", notes, "shortcuts", (json_int_t)an_plan_shortcuts(plan),
                     "replayed_steps", (json_int_t)replays, "fused", plan->fused, "flops_forward", forward.flops, "flops_backward", backward.flops,
                     "bytes_forward", forward.bytes, "bytes_backward", backward.bytes, "parameters", (json_int_t)plan->params->trained,
                     "activation_bytes", (json_int_t)(plan->activations.count * sizeof(an_real)), "scratch_bytes", (json_int_t)(plan->scratch.count * sizeof(an_real)),
                     "recomputed_bytes", (json_int_t)(plan->dropped * sizeof(an_real)));
}
