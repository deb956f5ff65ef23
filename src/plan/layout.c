/* plan/layout.c
 * The memory planner. Every activation and every activation gradient is a slot with a first and a last instruction; slots
 * that must be one buffer (in-place steps, shared gradients) are joined; then slots get offsets in order of first use,
 * each in the smallest gap between the buffers alive at that time, large ones staggered within their pages. The peak is known before a byte is reserved. */
#include "plan/gaps.h"
#include "plan/ledger.h"

#include <stdint.h>
#include <stdlib.h>

typedef struct slot { size_t first, last, size, offset, piece; size_t parent; bool used; } slot;   /* parent: union-find; piece: see gaps.h */

typedef struct layout { an_plan *plan; slot *slots; } layout;

static size_t data_slot(const an_value *v) { return 2 * (size_t)v->id; }
static size_t grad_slot(const an_value *v) { return 2 * (size_t)v->id + 1; }

static size_t data_reals(const an_value *v) { return an_store_reals(v->store, v->count); }
static size_t grad_reals(const an_value *v) { return an_store_reals(v->grad_store, v->count); }

static size_t root(slot *slots, size_t i)
{
    while (slots[i].parent != i) i = slots[i].parent = slots[slots[i].parent].parent;
    return i;
}

static void unite(slot *slots, size_t a, size_t b) { slots[root(slots, a)].parent = root(slots, b); }

static void touch(layout *l, size_t i, size_t when, size_t size)
{
    slot *s = &l->slots[root(l->slots, i)];
    if (!s->used) *s = (slot){ .first = when, .last = when, .size = size, .parent = s->parent, .used = true };
    if (when < s->first) s->first = when;
    if (when > s->last) s->last = when;
    if (size > s->size) s->size = size;
}

static bool in_arena(const an_value *v) { return v && v->home == AN_HOME_ACT; }

static an_status join_in_place(layout *l, const an_step *s)
{
    const an_value *x = s->in[0], *y = s->out[0];
    const bool saved = l->plan->train && x->producer && (x->producer->op->saves_out & 1u) && x->producer->out[0] == x;
    if (!in_arena(x) || x->n_use != 1 || x->keep || saved)
        return an_fail(AN_EFAIL, "%s: %s works in place, but %s is still needed", s->name, s->op->name, x->name);
    unite(l->slots, data_slot(x), data_slot(y));
    unite(l->slots, grad_slot(x), grad_slot(y));
    return AN_OK;
}

static an_status join_slots(layout *l)
{
    for (size_t c = 0; c < l->plan->n_code; c++) {
        const an_step *s = l->plan->code[c].step;
        if (s->op->in_place) AN_TRY(join_in_place(l, s));
        for (int i = 0; i < 2; i++)
            if (s->shared[i] && l->plan->code[c].dir == AN_BACKWARD) unite(l->slots, grad_slot(s->in[i]), grad_slot(s->out[s->op->grad_out]));
    }
    return AN_OK;
}

static void find_lifetimes(layout *l)
{
    const an_plan *plan = l->plan;
    for (size_t c = 0; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        const bool forward = plan->code[c].dir == AN_FORWARD;
        for (int i = 0; i < s->n_in; i++) {
            if (!in_arena(s->in[i])) continue;
            if (forward || an_bit(s->op->saves_in, i)) touch(l, data_slot(s->in[i]), c, data_reals(s->in[i]));
            if (!forward && s->in[i]->wants_grad) touch(l, grad_slot(s->in[i]), c, grad_reals(s->in[i]));
        }
        for (int o = 0; o < s->n_out; o++) {
            const an_value *v = s->out[o];
            if (forward || (s->op->saves_out >> o & 1u)) touch(l, data_slot(v), c, data_reals(v));
            if (!forward && v->wants_grad) touch(l, grad_slot(v), c, grad_reals(v));
            if (v->keep) touch(l, data_slot(v), plan->n_code, data_reals(v));
            if (v->keep_grad && v->wants_grad) touch(l, grad_slot(v), plan->n_code, grad_reals(v));
        }
    }
    for (size_t i = 0; plan->ledger && i < plan->ledger->n_need; i++) {
        const an_need_at *n = &plan->ledger->need[i];
        if (in_arena(n->value)) touch(l, n->gradient ? grad_slot(n->value) : data_slot(n->value), n->at, n->gradient ? grad_reals(n->value) : data_reals(n->value));
    }
}

static _Thread_local const slot *sort_base;   /* qsort has no context argument */

static int by_first_use(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const slot *s = sort_base;
    if (s[x].first != s[y].first) return s[x].first < s[y].first ? -1 : 1;
    if (s[x].size != s[y].size) return s[x].size > s[y].size ? -1 : 1;
    return x < y ? -1 : 1;
}

static int by_last_use(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (sort_base[x].last != sort_base[y].last) return sort_base[x].last < sort_base[y].last ? -1 : 1;
    return x < y ? -1 : 1;
}

enum { STAGGERED = 1 << 16 };   /* reals from which a slot is staggered: a page more is 2 % of it at most */

static size_t room(const slot *s) { return s->size < STAGGERED ? s->size : s->size + AN_PAGE; }

static size_t offset_in(const slot *s, size_t at, size_t k)
{
    return s->size < STAGGERED ? at : at + (an_stagger(k) + AN_PAGE - at % AN_PAGE) % AN_PAGE;
}

/* Each slot in the tightest gap at its first use; before that, slots whose last use is over make room. */
static an_status place(layout *l, const size_t *coming, const size_t *going, size_t count, an_gaps *gaps, size_t *peak)
{
    for (size_t k = 0, gone = 0; k < count; k++) {
        slot *s = &l->slots[coming[k]];
        for (; l->slots[going[gone]].last < s->first; gone++) an_gaps_give(gaps, l->slots[going[gone]].piece);
        if (!an_gaps_take(gaps, room(s), &s->piece))
            return an_fail(AN_ESHAPE, "%s: activations overflow the address space; lower batch_size, seq_len or the model", l->plan->values[coming[k] / 2]->name);
        s->offset = offset_in(s, an_gaps_offset(gaps, s->piece), k);
        if (s->offset + s->size > *peak) *peak = s->offset + s->size;
    }
    return AN_OK;
}

static an_status place_all(layout *l, size_t *peak)
{
    const size_t n = 2 * l->plan->n_values, line = AN_ALIGN / sizeof(an_real), limit = SIZE_MAX / sizeof(an_real) / line * line;
    size_t *coming = an_alloc(n * sizeof *coming), *going = an_alloc(n * sizeof *going), count = 0;
    an_gaps *gaps = an_gaps_create(limit, n);
    an_status status = coming && going && gaps ? AN_OK : an_fail(AN_ENOMEM, "out of memory while planning memory");
    for (size_t i = 0; i < n && status == AN_OK; i++) {
        if (l->slots[i].parent != i || !l->slots[i].used || l->slots[i].size == 0) continue;
        l->slots[i].size = (l->slots[i].size + line - 1) / line * line;
        coming[count] = going[count] = i;
        count++;
    }
    if (status == AN_OK) {
        sort_base = l->slots;
        qsort(coming, count, sizeof *coming, by_first_use);
        qsort(going, count, sizeof *going, by_last_use);
        status = place(l, coming, going, count, gaps, peak);
    }
    free(coming);
    free(going);
    an_gaps_destroy(&gaps);
    return status;
}

static size_t home_sum(an_plan *plan, an_home home)   /* constants and state: one after the other */
{
    size_t total = 0;
    const size_t line = AN_ALIGN / sizeof(an_real);
    for (size_t i = 0; i < plan->n_values; i++) {
        an_value *v = plan->values[i];
        if (v->home != home) continue;
        v->data_offset = total;
        v->grad_offset = AN_NO_OFFSET;
        total += (v->count + line - 1) / line * line;
    }
    return total;
}

static void find_scratch(an_plan *plan)
{
    for (size_t c = 0; c < plan->n_code; c++) {
        const an_step *s = plan->code[c].step;
        const size_t work = s->op->work ? s->op->work(s, plan->code[c].dir) : 0, mine = s->op->thread_work ? s->op->thread_work(s) : 0;
        const size_t line = AN_ALIGN / sizeof(an_real), rounded = (mine + line - 1) / line * line;
        if (work > plan->scratch.count) plan->scratch.count = work;
        if (rounded > plan->thread_reals) plan->thread_reals = rounded;
    }
}

an_status an_plan_layout(an_plan *plan)
{
    const size_t n = 2 * plan->n_values;
    layout l = { plan, an_alloc(n * sizeof *l.slots) };
    if (!l.slots) return an_fail(AN_ENOMEM, "out of memory while planning memory");
    for (size_t i = 0; i < n; i++) l.slots[i].parent = i;
    size_t peak = 0;
    an_status status = join_slots(&l);
    if (status == AN_OK) {
        find_lifetimes(&l);
        status = place_all(&l, &peak);
    }
    for (size_t i = 0; i < plan->n_values && status == AN_OK; i++) {
        an_value *v = plan->values[i];
        const slot *d = &l.slots[root(l.slots, data_slot(v))], *g = &l.slots[root(l.slots, grad_slot(v))];
        v->data_offset = d->used ? d->offset : AN_NO_OFFSET;
        v->grad_offset = g->used ? g->offset : AN_NO_OFFSET;
    }
    free(l.slots);
    if (status != AN_OK) return status;
    plan->activations.count = peak;
    plan->constants.count = home_sum(plan, AN_HOME_CONST);
    plan->state.count = home_sum(plan, AN_HOME_STATE);
    find_scratch(plan);
    return AN_OK;
}
