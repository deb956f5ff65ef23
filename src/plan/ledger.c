/* plan/ledger.c
 * Planning what observed passes look at, see ledger.h. Values are told by name: recomputation makes a second value of the
 * same name, and it is that one whose gradient exists. */
#include "plan/ledger.h"

#include <stdlib.h>

static an_status no_memory(void) { return an_fail(AN_ENOMEM, "out of memory while planning telemetry"); }

/* Room for one more at the end of a list; its count is raised. NULL: out of memory. */
static void *more(void *list, size_t *n, size_t *capacity, size_t size)
{
    if (*n == *capacity) {
        const size_t to = *capacity ? 2 * *capacity : 64;
        void *bigger = an_realloc(*(void **)list, to * size);
        if (!bigger) return NULL;
        *(void **)list = bigger;
        *capacity = to;
    }
    char *at = *(char **)list + (*n)++ * size;
    memset(at, 0, size);
    return at;
}

static an_status add_need(an_ledger *l, const an_value *v, bool gradient, size_t at)
{
    if (!v) return AN_OK;
    an_need_at *n = more(&l->need, &l->n_need, &l->cap_need, sizeof *n);
    if (!n) return no_memory();
    *n = (an_need_at){ v, gradient, at };
    return AN_OK;
}

static an_status add_probe(an_ledger *l, const an_probe_kind *kind, size_t at, bool after, size_t index, double keep, double add)
{
    an_probe *p = more(&l->probe, &l->n_probe, &l->cap_probe, sizeof *p);
    if (!p) return no_memory();
    *p = (an_probe){ .at = at, .after = after, .kind = kind, .index = index, .keep = AN_R(keep), .add = AN_R(add) };
    return AN_OK;
}

/* --- gradients ------------------------------------------------------------------------------------------------- */

static bool writes(const an_step *s, int i, const char *name)
{
    return s->in[i] && s->in[i]->name == name && s->in[i]->wants_grad && !s->in[i]->aux && !an_bit(s->op->no_grad_in, i);
}

/* The value of this name whose gradient step s writes, or NULL. */
static an_value *written(const an_step *s, const char *name)
{
    for (int i = 0; i < s->n_in; i++)
        if (writes(s, i, name)) return s->in[i];
    return NULL;
}

/* Keeps the branch's share apart as it begins (before instruction `at`) or stops (after it) to add to the buffer. */
static an_status add_keep(an_ledger *l, size_t watch, size_t at, bool begins)
{
    an_watch *w = &l->watch[watch];
    const bool first = !w->kept;
    if (begins && !w->filled) return AN_OK;              /* nothing there yet: what the buffer holds later is all the branch's */
    if (first) {
        w->kept = an_value_new(l->plan, "kept gradient", w->value->dims, AN_HOME_ACT);
        if (!w->kept) return no_memory();
    }
    AN_TRY(add_need(l, w->kept, false, at));
    return add_probe(l, &an__probe_keep, at, !begins, watch, first ? 0 : 1, begins ? -1 : 1);
}

/* Follows the gradient of v through the backward code: steps emitted before `begin` belong to earlier boundaries. */
static an_status add_watch(an_ledger *l, const an_value *v, int site, int begin)
{
    const an_plan *plan = l->plan;
    const size_t index = l->n_watch;
    an_watch *w = more(&l->watch, &l->n_watch, &l->cap_watch, sizeof *w);
    if (!w) return no_memory();
    w->site = site;
    size_t last = plan->n_code, own_at = plan->n_code;
    bool foreign = false;
    for (size_t c = plan->n_forward; c < plan->n_code && v; c++) {
        const an_step *s = plan->code[c].step;
        if (plan->code[c].dir != AN_BACKWARD) continue;
        an_value *mine = written(s, v->name);
        if (mine && s->id >= begin) {
            const bool branch = site >= 0 && s->branch == site;
            w->value = mine;
            if (branch && !w->open) AN_TRY(add_keep(l, index, c, true));
            if (!branch && w->open) AN_TRY(add_keep(l, index, last, false));
            w->open = branch;
            w->filled = true;
            foreign |= !branch;
            last = c;
        }
        const an_value *made = s->op->own_grad ? s->out[s->op->grad_out] : NULL;
        if (made && made->name == v->name && (s->own_branch < 0 || s->own_branch >= site)) {
            w->own = s;
            w->value = s->out[s->op->grad_out];
            w->own_branch = site >= 0 && s->own_branch == site;
            own_at = c;
        }
    }
    if (!w->value) return AN_OK;
    w->all_branch = w->filled && !foreign;
    const size_t at = w->own ? own_at : last;
    if (w->kept) AN_TRY(add_need(l, w->kept, false, at));
    if (w->filled) AN_TRY(add_need(l, w->value, true, at));
    return add_probe(l, &an__probe_gradient, at, !w->own, index, 0, 0);
}

static bool has_branch(const an_watch *w) { return w->own_branch || w->open || w->kept || w->all_branch; }

static an_status watch_inputs(an_ledger *l, size_t i)
{
    const an_site_mark *m = &l->plan->sites[i];
    an_site_plan *s = &l->site[i];
    s->in = s->fork = l->n_watch;
    s->n_fork = m->n_in;
    bool forked = false;
    for (size_t k = 0; k < m->n_in; k++) {
        AN_TRY(add_watch(l, m->in[k], (int)i, m->begin));
        forked |= has_branch(&l->watch[s->in + k]);
    }
    if (forked || !m->branch_in) return AN_OK;           /* else skip and branch part later: at a norm of x that both carry */
    s->fork = l->n_watch;
    s->n_fork = 1;
    AN_TRY(add_watch(l, m->branch_in, (int)i, m->begin));
    if (has_branch(&l->watch[s->fork])) return AN_OK;
    s->fork = s->in;
    s->n_fork = m->n_in;
    return AN_OK;
}

/* What leaves this site is what enters the next one, unless something stands between them that reads the stream too. */
static an_status watch_outputs(an_ledger *l, size_t i)
{
    const an_site_mark *m = &l->plan->sites[i], *next = i + 1 < l->plan->n_sites && m[1].begin == m->end ? m + 1 : NULL;
    for (size_t k = 0; k < m->n_out; k++) {
        size_t found = (size_t)-1;
        for (size_t j = 0; next && j < next->n_in; j++)
            if (next->in[j] == m->out[k]) found = l->site[i + 1].in + j;
        l->site[i].out[k] = found != (size_t)-1 ? found : l->n_watch;
        if (found == (size_t)-1) AN_TRY(add_watch(l, m->out[k], -1, m->end));
    }
    return AN_OK;
}

/* --- forward values -------------------------------------------------------------------------------------------- */

/* Where in the forward code v is made; n_forward: nowhere, it exists before. */
static size_t made_at(const an_plan *plan, const an_value *v)
{
    for (size_t c = 0; c < plan->n_forward; c++)
        for (int o = 0; o < plan->code[c].step->n_out; o++)
            if (plan->code[c].step->out[o] == v) return c;
    return plan->n_forward;
}

/* The step that adds f to the skip, or NULL. */
static const an_step *adder_of(const an_plan *plan, const an_value *f)
{
    for (size_t c = 0; c < plan->n_forward && f; c++) {
        const an_step *s = plan->code[c].step;
        if ((s->op == &an_op_residual || s->op == &an_op_add_norm) && s->in[1] == f) return s;
    }
    return NULL;
}

static double scale_in(const an_step *adder) { return adder->op == &an_op_residual ? ((const an_residual_attr *)adder->attr)->b : ((const an_add_norm_attr *)adder->attr)->b; }

static an_status watch_stream(an_ledger *l, size_t i)
{
    const an_site_mark *m = &l->plan->sites[i];
    an_site_plan *s = &l->site[i];
    const an_step *adder = adder_of(l->plan, m->branch_out);
    size_t at = 0;
    s->n_x = m->history && m->n_in ? 1 : m->n_in;
    s->n_y = m->history && m->n_out ? 1 : m->n_out;
    s->f = m->branch_out;
    s->sum = adder ? adder->out[adder->op->grad_out] : NULL;
    s->scale = adder ? scale_in(adder) : 1;
    for (size_t k = 0; k < s->n_x; k++) s->x[k] = m->in[m->n_in - s->n_x + k];
    for (size_t k = 0; k < s->n_y; k++) s->y[k] = m->out[m->n_out - s->n_y + k];
    s->tokens = s->f ? an_rows(s->f) : s->n_y && s->y[0] ? an_rows(s->y[0]) : 0;
    s->fold = s->f && s->n_y && s->y[0] && s->f->count ? s->y[0]->count / s->f->count : 1;
    for (size_t k = 0; k < s->n_y + 1; k++) {
        const size_t made = made_at(l->plan, k < s->n_y ? s->y[k] : s->f);
        if (made < l->plan->n_forward && made > at) at = made;
    }
    for (size_t k = 0; k < s->n_x; k++) AN_TRY(add_need(l, s->x[k], false, at));
    for (size_t k = 0; k < s->n_y; k++) AN_TRY(add_need(l, s->y[k], false, at));
    AN_TRY(add_need(l, s->f, false, at));
    AN_TRY(add_need(l, s->sum, false, at));
    return add_probe(l, &an__probe_stream, at, true, i, 0, 0);
}

static an_status watch_gauges(an_ledger *l)
{
    for (size_t c = 0; c < l->plan->n_forward; c++) {
        const an_step *s = l->plan->code[c].step;
        if (!s->op->gauges) continue;
        const size_t index = l->n_gauge;
        an_gauge *g = more(&l->gauge, &l->n_gauge, &l->cap_gauge, sizeof *g);
        if (!g) return no_memory();
        g->step = s;
        AN_TRY(add_probe(l, &an__probe_gauge, c, true, index, 0, 0));
    }
    return AN_OK;
}

/* --- the pass of freeze ---------------------------------------------------------------------------------------- */

static int by_position(const void *a, const void *b)
{
    const an_probe *x = a, *y = b;
    if (x->at != y->at) return x->at < y->at ? -1 : 1;
    if (x->after != y->after) return y->after ? -1 : 1;
    const bool x_keeps = x->kind == &an__probe_keep, y_keeps = y->kind == &an__probe_keep;   /* what is kept is read by the others */
    if (x_keeps != y_keeps) return x_keeps ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static an_status watch_all(an_ledger *l)
{
    for (size_t i = 0; i < l->plan->n_sites; i++)
        if (!more(&l->site, &l->n_site, &l->cap_site, sizeof *l->site)) return no_memory();
    for (size_t i = l->plan->n_sites; i-- > 0;) {
        AN_TRY(watch_stream(l, i));
        if (!l->plan->train) continue;
        AN_TRY(watch_inputs(l, i));
        AN_TRY(watch_outputs(l, i));
    }
    AN_TRY(watch_gauges(l));
    if (l->n_probe) qsort(l->probe, l->n_probe, sizeof *l->probe, by_position);
    size_t widest = 1, widest_row = 0;
    for (size_t i = 0; i < l->n_probe; i++) {
        const size_t parts = l->probe[i].kind->parts(l, &l->probe[i]);
        if (parts > widest) widest = parts;
    }
    for (size_t i = 0; i < l->n_watch; i++)
        if (l->watch[i].value && an_cols(l->watch[i].value) > widest_row) widest_row = an_cols(l->watch[i].value);
    for (size_t i = 0; i < l->n_site; i++)
        if (l->site[i].n_x && l->site[i].x[0] && l->site[i].x[0]->count / l->site[i].tokens > widest_row) widest_row = l->site[i].x[0]->count / l->site[i].tokens;
    const size_t line = AN_ALIGN / sizeof(an_real), rows = (3 * widest_row + line - 1) / line * line;
    if (rows > l->plan->thread_reals) l->plan->thread_reals = rows;    /* own_grad's room, or two rows widened, per thread */
    l->sums = an_alloc(widest * AN_SUMS * sizeof *l->sums);
    return l->sums ? AN_OK : no_memory();
}

an_status an_plan_watch(an_plan *plan)
{
    if (plan->observe == AN_OBSERVE_OFF) return AN_OK;
    an_ledger *l = plan->ledger = an_alloc(sizeof *l);
    if (!l) return no_memory();
    l->plan = plan;
    return watch_all(l);
}

void an_ledger_destroy(an_ledger **ledger)
{
    an_ledger *l = *ledger;
    if (!l) return;
    an_block_fini(&l->samples);
    free(l->watch);
    free(l->site);
    free(l->gauge);
    free(l->probe);
    free(l->need);
    free(l->sums);
    free(l->record);
    free(l->gauge_record);
    free(l);
    *ledger = NULL;
}
