/* net/profile.c
 * The pass before the first step in which a design learns its skips' sizes from a real batch. What it sets at one sub-layer
 * changes the stream of all later ones, so the forward program runs up to where a branch is ready, the next skip is set from
 * what stands there, and the program goes on: one pass, each skip from the stream that its own training will begin with. */
#include <math.h>

#include "net/model_impl.h"

/* Population variance over all elements, in two passes in double. */
static double variance(const an_value *v)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < v->count; i++) sum += (double)an_number(v, i);
    const double mean = sum / (double)v->count;
    for (size_t i = 0; i < v->count; i++) squares += ((double)an_number(v, i) - mean) * ((double)an_number(v, i) - mean);
    return squares / (double)v->count;
}

/* One past the instruction of the forward pass that makes v, from `at` on. */
static size_t behind(const an_plan *plan, const an_value *v, size_t at)
{
    for (; at < plan->n_forward; at++)
        for (int o = 0; o < plan->code[at].step->n_out; o++)
            if (plan->code[at].step->out[o] == v) return at + 1;
    return at;
}

void an_model_profile(an_model *m, const an_pass *pass)
{
    an_run run = an_model_begin(m, pass);
    size_t at = 0, set = 0;
    double next = 0;
    for (size_t i = 0; i < m->plan->n_sites; i++) {
        const an_site_mark *s = &m->plan->sites[i];
        if (!s->profile) continue;
        const size_t end = behind(m->plan, s->branch_out, at);
        for (size_t k = 0; k < s->profiled->count && set; k++) s->profiled->data[k] = AN_R(next);   /* the first keeps what it starts at */
        an_plan_forward_part(m->plan, &run, at, end);
        next = s->profile((double)s->profiled->data[0], variance(s->in[0]), variance(s->branch_out));
        at = end;
        set++;
    }
}
