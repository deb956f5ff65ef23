/* plan/intervene.c
 * Where the branches join the stream is read off the marks that designs leave (an_site_mark) and the steps around them; what
 * cannot be read off is refused with its reason. */
#include "plan/intervene.h"

#include <stdlib.h>

static an_status no_memory(void) { return an_fail(AN_ENOMEM, "out of memory while looking for skips and branches"); }

static bool makes(const an_step *s, const an_value *v)
{
    for (int o = 0; o < s->n_out; o++)
        if (s->out[o] == v) return true;
    return false;
}

/* Whether a gradient finds a way from `to` down to `from` that does not pass `around`. */
static an_status has_way(const an_plan *plan, const an_value *from, const an_value *to, const an_value *around, bool *found)
{
    char *on = an_alloc(plan->n_values);
    if (!on) return no_memory();
    on[from->id] = 1;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const an_step *s = plan->steps[i];
        bool any = false;
        for (int k = 0; k < s->n_in; k++) any |= s->in[k] && on[s->in[k]->id] && !an_bit(s->op->no_grad_in, k);
        for (int o = 0; o < s->n_out; o++)
            if (any && s->out[o] != around) on[s->out[o]->id] = 1;
    }
    *found = on[to->id];
    free(on);
    return AN_OK;
}

/* All readers of the branch outside of it take it as a term of a sum, so that zeros leave it out. */
static bool only_terms(const an_plan *plan, size_t site, const an_value *f)
{
    size_t terms = 0;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const an_step *s = plan->steps[i];
        for (int k = 0; k < s->n_in; k++) {
            if (s->in[k] != f || s->branch == (int)site) continue;
            if (!an_bit(s->op->terms, k)) return false;
            terms++;
        }
    }
    return terms > 0;
}

static bool is_stream(const an_site_mark *m, const an_value *v)
{
    for (size_t k = 0; k < m->n_out; k++)
        if (m->out[k] == v) return true;
    return false;
}

static an_status find_joint(an_plan *plan, size_t i)
{
    const an_site_mark *m = &plan->sites[i];
    an_joint *j = &plan->joints[i];
    an_value *f = m->branch_out;
    if (!f) return AN_OK;
    for (size_t k = 0; k < plan->n_steps; k++)
        if (plan->steps[k]->op == &an_op_residual && plan->steps[k]->in[1] == f && f->n_use == 1) j->sum = plan->steps[k];
    if (j->sum && !(j->stand_in = an_step_copy(plan, j->sum))) return no_memory();
    if (!is_stream(m, f) && only_terms(plan, i, f)) {
        j->patch = f;
        return AN_OK;
    }
    bool around = true;
    if (m->n_in == 1 && m->n_out == 1) AN_TRY(has_way(plan, m->in[0], m->out[0], f, &around));
    if (!around) {                                       /* no skip */
        j->patch = m->out[0];
        j->source = m->in[0];
    }
    return AN_OK;
}

void an_plan_open(an_plan *plan)
{
    for (size_t i = 0; i < plan->n_sites; i++) {
        an_site_mark *m = &plan->sites[i];
        for (size_t k = 0; k < m->n_in; k++) m->in[k]->keep = m->in[k]->keep_grad = true;
        if (m->fork) m->fork->keep_grad = true;
        for (size_t k = 0; k < m->n_out; k++) m->out[k]->keep = true;
        if (m->branch_out) m->branch_out->keep = true;
    }
    if (plan->train && plan->n_sites && plan->sites[0].n_in == 1) plan->root = plan->sites[0].in[0];
}

an_status an_plan_join(an_plan *plan)
{
    plan->joints = an_arena_alloc(&plan->arena, plan->n_sites * sizeof *plan->joints);
    if (!plan->joints) return no_memory();
    for (size_t i = 0; i < plan->n_sites; i++) AN_TRY(find_joint(plan, i));
    return AN_OK;
}

/* --- what can be asked for ------------------------------------------------------------------------------------- */

an_status an_plan_need_lesions(const an_plan *plan)
{
    for (size_t i = 0; i < plan->n_sites; i++)
        if (!plan->joints[i].patch)
            return an_fail(AN_ECONFIG, "%s joins its branch to the stream by something else than a sum, so it cannot be left out", plan->sites[i].name);
    return AN_OK;
}

an_status an_plan_need_paths(const an_plan *plan)
{
    for (size_t i = 0; i < plan->n_sites; i++) {
        const an_site_mark *m = &plan->sites[i];
        const an_joint *j = &plan->joints[i];
        bool around = false;
        if (m->n_in != 1 || m->n_out != 1) return an_fail(AN_ECONFIG, "%s has several streams; a path through it has no one length", m->name);
        if (j->source) return an_fail(AN_ECONFIG, "%s has no skip, so there is one path only", m->name);
        if (j->sum) AN_TRY(has_way(plan, plan->sites[0].in[0], plan->loss, j->sum->out[0], &around));
        if (!j->sum) return an_fail(AN_ECONFIG, "%s joins its branch to the stream by something else than one sum, so skip and branch cannot be told apart", m->name);
        if (around) return an_fail(AN_ECONFIG, "gradients also go around the sum of %s, so paths through its skip and its branch are not all", m->name);
    }
    return AN_OK;
}

an_status an_plan_need_rest(const an_plan *plan)
{
    const an_site_mark *last = &plan->sites[plan->n_sites - 1];
    bool around, joined = true;
    for (size_t i = 0; i < plan->n_sites; i++) {
        const an_site_mark *m = &plan->sites[i];
        if (m->n_out != 1) return an_fail(AN_ECONFIG, "%s has several streams; what stands behind the stack reads more than one", m->name);
        if (i > 0) AN_TRY(has_way(plan, m[-1].out[0], m->in[0], NULL, &joined));
        if (!joined || m->out[0]->count != last->out[0]->count)
            return an_fail(AN_ECONFIG, "the stream that ends at %s is not that of %s", last->name, joined ? m->name : m[-1].name);
    }
    AN_TRY(has_way(plan, plan->sites[0].in[0], plan->loss, last->out[0], &around));
    return around ? an_fail(AN_ECONFIG, "what stands behind the stack reads more than the stream after %s", last->name) : AN_OK;
}

/* --- running ----------------------------------------------------------------------------------------------------- */

an_instr an_intervene(const an_plan *plan, const an_run *run, an_instr in)
{
    if (in.dir != AN_BACKWARD || in.step->op != &an_op_residual) return in;
    for (size_t i = 0; i < plan->n_sites; i++) {
        const an_joint *j = &plan->joints[i];
        if (j->sum != in.step || !(run->cut[i] & (AN_CUT_BRANCH_GRADIENT | AN_CUT_SKIP_GRADIENT))) continue;
        const bool cut[2] = { run->cut[i] & AN_CUT_SKIP_GRADIENT, run->cut[i] & AN_CUT_BRANCH_GRADIENT };
        for (int k = 0; k < 2; k++) {
            an_value *v = in.step->in[k];
            j->stand_in->in[k] = cut[k] ? NULL : v;
            j->stand_in->acc[k] = in.step->acc[k];
            if (cut[k] && v->grad && !in.step->acc[k]) memset(v->grad, 0, v->count * sizeof *v->grad);   /* it was to be set here */
        }
        return (an_instr){ j->stand_in, in.dir };
    }
    return in;
}

void an_intervene_after(const an_plan *plan, const an_run *run, an_instr in)
{
    if (in.dir != AN_FORWARD) return;
    for (size_t i = 0; i < plan->n_sites; i++) {
        const an_joint *j = &plan->joints[i];
        if (!(run->cut[i] & AN_CUT_BRANCH) || !makes(in.step, j->patch)) continue;
        if (j->source) memcpy(j->patch->data, j->source->data, j->patch->count * sizeof *j->patch->data);
        else memset(j->patch->data, 0, j->patch->count * sizeof *j->patch->data);
    }
}
