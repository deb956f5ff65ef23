/* plan/layout.c
 * The memory planner. Every activation and every activation gradient is a slot with a first and a last instruction; slots
 * that must be one buffer (in-place steps, shared gradients) are joined; then slots get offsets in order of first use,
 * each in the smallest gap between the buffers alive at that time. The peak is known before a byte is reserved. */
#include "plan/ledger.h"

#include <stdlib.h>

typedef struct slot { size_t first, last, size, offset; size_t parent; bool used; } slot;   /* parent: union-find */

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

/* alive: indices of placed slots still in use, by ascending offset. Puts slot i into the tightest gap. */
static void place(slot *slots, size_t *alive, size_t *n_alive, size_t i, size_t *peak)
{
    size_t kept = 0, end = 0, best = 0, best_gap = (size_t)-1, best_at = 0;
    for (size_t k = 0; k < *n_alive; k++)
        if (slots[alive[k]].last >= slots[i].first) alive[kept++] = alive[k];
    for (size_t k = 0; k <= kept; k++) {
        const size_t gap = k < kept ? slots[alive[k]].offset - end : (size_t)-2;
        if (gap >= slots[i].size && gap < best_gap) {
            best_gap = gap;
            best = end;
            best_at = k;
        }
        if (k < kept) end = slots[alive[k]].offset + slots[alive[k]].size;
    }
    slots[i].offset = best;
    memmove(alive + best_at + 1, alive + best_at, (kept - best_at) * sizeof *alive);
    alive[best_at] = i;
    *n_alive = kept + 1;
    if (best + slots[i].size > *peak) *peak = best + slots[i].size;
}

static an_status place_all(layout *l, size_t *peak)
{
    const size_t n = 2 * l->plan->n_values, line = AN_ALIGN / sizeof(an_real);
    size_t *order_of = an_alloc(n * sizeof *order_of), *alive = an_alloc((n + 1) * sizeof *alive), count = 0, n_alive = 0;
    if (!order_of || !alive) {
        free(order_of);
        free(alive);
        return an_fail(AN_ENOMEM, "out of memory while planning memory");
    }
    for (size_t i = 0; i < n; i++) {
        if (l->slots[i].parent != i || !l->slots[i].used) continue;
        l->slots[i].size = (l->slots[i].size + line - 1) / line * line;
        order_of[count++] = i;
    }
    sort_base = l->slots;
    qsort(order_of, count, sizeof *order_of, by_first_use);
    for (size_t k = 0; k < count; k++) place(l->slots, alive, &n_alive, order_of[k], peak);
    free(order_of);
    free(alive);
    return AN_OK;
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
