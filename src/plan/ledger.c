/* plan/ledger.c
 * Planning what observed passes look at, see ledger.h. Recomputation makes further copies of a value, of the same origin, and
 * it is one of those whose gradient exists. */
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

/* --- what stands where in the code ------------------------------------------------------------------------------ */

/* For every value: the forward instruction that makes it, the first step that adds it to a skip, and, all its copies together,
 * the backward instructions that may write its gradient or make it. */
typedef struct an_index {
    size_t *made;                  /* value id -> position; n_forward: nowhere, it exists before */
    const an_step **adder;         /* value id -> step, or NULL */
    size_t *first, *at;            /* at[first[origin], first[origin + 1]): ascending positions, perhaps twice the same */
} an_index;

static void index_fini(an_index *x)
{
    free(x->made);
    free((void *)x->adder);
    free(x->first);
    free(x->at);
}

/* Who reads or makes each value going down: counted first, then put down. */
static size_t index_backward(const an_plan *plan, an_index *x, bool put)
{
    size_t total = 0;
    for (size_t c = plan->n_forward; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        for (int k = -s->n_out; k < s->n_in && plan->code[c].dir == AN_BACKWARD; k++) {
            const an_value *v = k < 0 ? s->out[-k - 1] : s->in[k];
            if (!v) continue;
            if (put) x->at[x->first[v->origin + 1]++] = c;
            else x->first[v->origin + 2]++;
            total++;
        }
    }
    return total;
}

static an_status index_init(an_index *x, const an_plan *plan)
{
    const size_t n = plan->n_values;
    *x = (an_index){ an_alloc(n * sizeof *x->made), an_alloc(n * sizeof *x->adder), an_alloc((n + 2) * sizeof *x->first), NULL };
    const size_t total = x->made && x->adder && x->first ? index_backward(plan, x, false) : 0;
    x->at = an_alloc(total * sizeof *x->at);
    if (!x->made || !x->adder || !x->first || !x->at) {
        index_fini(x);
        return no_memory();
    }
    for (size_t i = 2; i <= n; i++) x->first[i] += x->first[i - 1];
    index_backward(plan, x, true);
    for (size_t i = 0; i < n; i++) x->made[i] = plan->n_forward;
    for (size_t c = plan->n_forward; c-- > 0;) {
        const an_step *s = plan->code[c].step;
        for (int o = 0; o < s->n_out; o++) x->made[s->out[o]->id] = c;
        if ((s->op == &an_op_residual || s->op == &an_op_add_norm) && s->in[1]) x->adder[s->in[1]->id] = s;
    }
    return AN_OK;
}

/* --- gradients ------------------------------------------------------------------------------------------------- */

static bool writes(const an_step *s, int i, int origin)
{
    return s->in[i] && s->in[i]->origin == origin && s->in[i]->wants_grad && !s->in[i]->aux && !an_bit(s->op->no_grad_in, i);
}

/* The copy of this value whose gradient step s writes, or NULL. */
static an_value *written(const an_step *s, int origin)
{
    for (int i = 0; i < s->n_in; i++)
        if (writes(s, i, origin)) return s->in[i];
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

/* Whether a step of `branch` counts with the branch of this site. A later sub-layer's branch that reads what stands before this
 * one goes around its skip; in a history that is what the values are kept for. */
static bool is_branch(int branch, int site, bool history) { return site >= 0 && (branch == site || (branch > site && !history)); }

/* Follows the gradient of v through the backward code: steps emitted before `begin` belong to earlier boundaries. */
static an_status add_watch(an_ledger *l, const an_index *x, const an_value *v, int site, int begin)
{
    const an_plan *plan = l->plan;
    const size_t index = l->n_watch;
    an_watch *w = more(&l->watch, &l->n_watch, &l->cap_watch, sizeof *w);
    if (!w) return no_memory();
    w->site = site;
    size_t last = plan->n_code, own_at = plan->n_code;
    const bool history = site >= 0 && plan->sites[site].history;
    for (size_t k = v ? x->first[v->origin] : 0; v && k < x->first[v->origin + 1]; k++) {
        const size_t c = x->at[k];
        const an_step *s = plan->code[c].step;
        if (k > x->first[v->origin] && c == x->at[k - 1]) continue;
        an_value *mine = written(s, v->origin);
        if (mine && s->id >= begin) {
            const bool branch = is_branch(s->branch, site, history);
            w->value = mine;
            if (branch && !w->open) AN_TRY(add_keep(l, index, c, true));
            if (!branch && w->open) AN_TRY(add_keep(l, index, last, false));
            w->open = branch;
            w->filled = true;
            last = c;
        }
        const an_value *made = s->op->own_grad ? s->out[s->op->grad_out] : NULL;
        if (made && made->origin == v->origin && (s->own_branch < 0 || s->own_branch >= site)) {
            w->own = s;
            w->value = s->out[s->op->grad_out];
            w->own_branch = is_branch(s->own_branch, site, history);
            w->whole = s->shared[0] || s->shared[1];
            own_at = c;
        }
    }
    if (!w->value) return AN_OK;
    const size_t at = w->own ? own_at : last;
    if (w->kept) AN_TRY(add_need(l, w->kept, false, at));
    if (w->filled || w->whole) AN_TRY(add_need(l, w->value, true, at));
    if (w->whole) AN_TRY(add_probe(l, &an__probe_whole, at, true, index, 0, 0));
    return add_probe(l, &an__probe_gradient, at, !w->own, index, 0, 0);
}

static an_status watch_inputs(an_ledger *l, const an_index *x, size_t i)
{
    const an_site_mark *m = &l->plan->sites[i];
    an_site_plan *s = &l->site[i];
    s->in = s->fork = l->n_watch;
    s->n_fork = m->n_in + m->n_side;
    for (size_t k = 0; k < s->n_fork; k++) AN_TRY(add_watch(l, x, m->in[k], (int)i, m->begin));
    if (!m->fork) return AN_OK;
    s->fork = l->n_watch;
    s->n_fork = 1;
    return add_watch(l, x, m->fork, (int)i, m->begin);
}

/* What leaves this site is what enters the next one, unless something stands between them that reads the stream too. */
static an_status watch_outputs(an_ledger *l, const an_index *x, size_t i)
{
    const an_site_mark *m = &l->plan->sites[i], *next = i + 1 < l->plan->n_sites && m[1].begin == m->end ? m + 1 : NULL;
    for (size_t k = 0; k < m->n_out; k++) {
        size_t found = (size_t)-1;
        for (size_t j = 0; next && j < next->n_in; j++)
            if (next->in[j] == m->out[k]) found = l->site[i + 1].in + j;
        l->site[i].out[k] = found != (size_t)-1 ? found : l->n_watch;
        if (found == (size_t)-1) AN_TRY(add_watch(l, x, m->out[k], -1, m->end));
    }
    return AN_OK;
}

/* --- forward values -------------------------------------------------------------------------------------------- */

static double scale_in(const an_step *adder) { return adder->op == &an_op_residual ? ((const an_residual_attr *)adder->attr)->b : ((const an_add_norm_attr *)adder->attr)->b; }

static an_status watch_stream(an_ledger *l, const an_index *x, size_t i)
{
    const an_site_mark *m = &l->plan->sites[i];
    an_site_plan *s = &l->site[i];
    const an_step *adder = m->branch_out ? x->adder[m->branch_out->id] : NULL;
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
        const an_value *v = k < s->n_y ? s->y[k] : s->f;
        const size_t made = v ? x->made[v->id] : l->plan->n_forward;
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

static an_status watch_sites(an_ledger *l, const an_index *x)
{
    for (size_t i = 0; i < l->plan->n_sites; i++)
        if (!more(&l->site, &l->n_site, &l->cap_site, sizeof *l->site)) return no_memory();
    l->chain = l->n_site && l->plan->sites[0].n_in == 1 && l->plan->sites[l->n_site - 1].n_out == 1;
    for (size_t i = l->plan->n_sites; i-- > 0;) {
        AN_TRY(watch_stream(l, x, i));
        l->chain &= !l->plan->sites[i].history && l->site[i].fold == 1;
        if (!l->plan->train) continue;
        AN_TRY(watch_inputs(l, x, i));
        AN_TRY(watch_outputs(l, x, i));
    }
    return AN_OK;
}

static an_status watch_all(an_ledger *l)
{
    an_index x;
    AN_TRY(index_init(&x, l->plan));
    const an_status status = watch_sites(l, &x);
    index_fini(&x);
    AN_TRY(status);
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
