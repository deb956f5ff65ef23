/* net/inside.c
 * What plans built with shape.probe offer beyond a pass: the streams, and what stands behind the stack run on another stream. */
#include "net/model_impl.h"
#include "plan/intervene.h"

an_status an_model_need(const an_model *m, an_inside_need what)
{
    static an_status (*const ASK[])(const an_plan *plan) = { an_plan_need_lesions, an_plan_need_paths, an_plan_need_rest };
    const an_status status = ASK[what](m->plan);
    return status == AN_ECONFIG ? an_fail_prefix(status, "design %s", an_options_text(m->options, "design")) : status;
}

size_t an_model_site_count(const an_model *m) { return m->plan->n_sites; }

an_site_view an_model_get_site(an_model *m, size_t i)
{
    const an_site_mark *s = &m->plan->sites[i];
    for (size_t k = 0; k < s->n_out; k++) m->view[k] = s->out[k]->data;
    return (an_site_view){ s->name, an_rows(s->out[0]), an_cols(s->out[0]), s->n_out, m->view };
}

static an_site_view view_one(an_model *m, const char *name, const an_value *v, const an_real *data)
{
    m->view[0] = data;
    return (an_site_view){ name, an_rows(v), an_cols(v), data ? 1 : 0, m->view };
}

an_site_view an_model_get_hidden(an_model *m) { return view_one(m, "output", m->hidden, m->hidden->data); }
an_site_view an_model_get_root_gradient(an_model *m) { return view_one(m, "gradient", m->plan->sites[0].in[0], m->plan->root ? m->plan->root->grad : NULL); }

double an_model_forward_rest(an_model *m, const an_pass *pass, const an_real *stream)
{
    an_run run = an_model_begin(m, pass);
    const an_value *last = m->plan->sites[m->plan->n_sites - 1].out[0];
    memcpy(last->data, stream, last->count * sizeof *stream);
    an_plan_rest(m->plan, &run, last);
    return m->loss && run.n_target ? (double)m->loss->data[0] : 0;
}
