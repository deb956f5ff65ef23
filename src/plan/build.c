/* plan/build.c
 * Emission: values and steps are appended in forward order; each op checks its inputs as it is added. The first failure
 * sticks, so emitters (designs, norms, architectures) need no error handling of their own. */
#include "plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static an_status no_memory(const char *what) { return an_fail(AN_ENOMEM, "out of memory while building %s", what); }

void an_build_fail(an_build *b, an_status status) { if (b->status == AN_OK) b->status = status; }

void an_note(an_build *b, const char *text)
{
    an_plan *plan = b->plan;
    for (size_t i = 0; i < plan->n_notes; i++)
        if (plan->note[i] == text) return;
    if (plan->n_notes < AN_NOTES) plan->note[plan->n_notes++] = text;
}

void an_scope_push(an_build *b, const char *format, ...)
{
    const size_t used = strlen(b->scope);
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(b->scope + used, sizeof b->scope - used - 1, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof b->scope - used - 1 || b->depth == sizeof b->marks / sizeof *b->marks) {
        b->scope[used] = '\0';
        an_build_fail(b, an_fail(AN_EFAIL, "scopes too deep or too long after %s", b->scope));
        return;
    }
    b->marks[b->depth++] = used;
    strcat(b->scope, ".");
}

void an_scope_pop(an_build *b)
{
    if (b->depth) b->scope[b->marks[--b->depth]] = '\0';
}

static bool grow(void *list, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) return true;
    const size_t to = *capacity ? 2 * *capacity : 64;
    void *bigger = an_realloc(*(void **)list, to * size);
    if (!bigger) return false;
    *(void **)list = bigger;
    *capacity = to;
    return true;
}

static bool count_of(an_dims dims, size_t *count)
{
    *count = 1;
    for (size_t i = 0; i < dims.rank; i++)
        if (!an_size_mul(*count, dims.d[i], count)) return false;
    size_t bytes;
    return an_size_mul(*count, sizeof(an_real), &bytes);
}

static int print_dims(char *text, size_t size, an_dims d)
{
    int n = snprintf(text, size, "[");
    for (size_t i = 0; i < d.rank; i++) n += snprintf(text + n, size - (size_t)n, i ? ",%zu" : "%zu", d.d[i]);
    return n + snprintf(text + n, size - (size_t)n, "]");
}

/* Why an_value_new gave nothing; the sentence is recorded. */
static an_status no_value(an_dims dims)
{
    size_t count;
    return count_of(dims, &count) ? AN_ENOMEM : AN_ESHAPE;
}

an_value *an_value_new(an_plan *plan, const char *name, an_dims dims, an_home home)
{
    size_t count;
    if (!count_of(dims, &count)) {
        char shape[96];
        print_dims(shape, sizeof shape, dims);
        const an_status st = an_fail(AN_ESHAPE, "%s: %s overflows the address space; lower batch_size, seq_len or the model's dimensions", name, shape);
        (void)st;
        return NULL;
    }
    an_value *v = an_arena_alloc(&plan->arena, sizeof *v);
    if (!v || !grow(&plan->values, &plan->cap_values, plan->n_values + 1, sizeof *plan->values)) {
        const an_status st = no_memory(name);
        (void)st;
        return NULL;
    }
    *v = (an_value){ .name = name, .dims = dims, .count = count, .home = home, .id = (int)plan->n_values, .origin = (int)plan->n_values };
    plan->values[plan->n_values++] = v;
    return v;
}

/* A named value in the current scope; records the failure when there is none. */
static an_value *scoped_value(an_build *b, const char *name, an_dims dims, an_home home)
{
    if (b->status != AN_OK) return NULL;
    const char *full = an_arena_printf(&b->plan->arena, "%s%s", b->scope, name);
    an_value *v = full ? an_value_new(b->plan, full, dims, home) : NULL;
    if (!v) an_build_fail(b, full ? no_value(dims) : no_memory(name));
    return v;
}

an_value *an_input(an_build *b, const char *name, size_t n) { return scoped_value(b, name, AN_VEC(n), AN_HOME_INPUT); }
an_value *an_state(an_build *b, const char *name, an_dims dims) { return scoped_value(b, name, dims, AN_HOME_STATE); }


an_value *an_const(an_build *b, const char *name, an_dims dims, void (*fill)(an_real *out, const an_dims *dims, double arg), double arg)
{
    for (an_value *old = b->plan->last_const; old; old = ((const an_const_fill *)old->producer->attr)->before) {
        const an_const_fill *f = old->producer->attr;
        if (f->fill == fill && f->arg == arg && memcmp(&old->dims, &dims, sizeof dims) == 0) return old;
    }
    an_value *v = scoped_value(b, name, dims, AN_HOME_CONST);
    if (!v) return NULL;
    an_step *maker = an_arena_alloc(&b->plan->arena, sizeof *maker);   /* not in the program: only carries the fill function to bind */
    an_const_fill *f = an_arena_alloc(&b->plan->arena, sizeof *f);
    if (!maker || !f) {
        an_build_fail(b, no_memory(name));
        return NULL;
    }
    *f = (an_const_fill){ .fill = fill, .arg = arg, .before = b->plan->last_const };
    maker->attr = f;
    v->producer = maker;
    b->plan->last_const = v;
    return v;
}

an_value *an_param_make(an_build *b, const char *name, an_dims dims, const an_init *init, size_t groups, an_rule rule)
{
    if (b->status != AN_OK) return NULL;
    an_params *params = b->plan->params;
    const char *full = an_arena_printf(&params->arena, "%s%s", b->scope, name);
    an_param_def *def = full ? an_params_find(params, full) : NULL;
    if (def && memcmp(&def->dims, &dims, sizeof dims) != 0) an_build_fail(b, an_fail(AN_ESHAPE, "%s: asked for twice with different shapes", full));
    if (def && def->value) return def->value;
    an_value *v = scoped_value(b, name, dims, AN_HOME_PARAM);
    if (!v) return NULL;
    if (!def && params->frozen) {
        an_build_fail(b, an_fail(AN_EFAIL, "%s: a later plan asks for a parameter that the first did not have", v->name));
        return NULL;
    }
    if (!def) {
        if (!full || !grow(&params->list, &params->capacity, params->n + 1, sizeof *params->list)) {
            an_build_fail(b, no_memory(v->name));
            return NULL;
        }
        def = &params->list[params->n++];
        *def = (an_param_def){ .name = full, .dims = dims, .count = v->count, .rule = rule };
        for (size_t i = 0; i < groups && i < AN_INIT_GROUPS; i++) def->init[i] = init[i];
        if (!rule.buffer) params->trained += v->count;
        an_build_fail(b, an_params_index(params));
        if (b->status != AN_OK) return NULL;
    }
    def->value = v;
    return v;
}

an_value *an_param_make_at(an_build *b, const char *name, an_dims dims, const double *start, an_rule rule)
{
    static const an_init NOWHERE = { AN_LAW_CONST, 0, 0 };
    an_value *v = an_param_make(b, name, dims, &NOWHERE, 1, rule);
    an_param_def *def = v ? an_params_find(b->plan->params, v->name) : NULL;
    if (!def || def->start) return v;
    double *copy = an_arena_alloc(&b->plan->params->arena, v->count * sizeof *copy);
    if (!copy) {
        an_build_fail(b, no_memory(name));
        return NULL;
    }
    memcpy(copy, start, v->count * sizeof *copy);
    def->start = copy;
    return v;
}

an_status an_out(struct an_build *b, an_step *s, int index, const char *suffix, an_dims dims, bool aux)
{
    const char *name = an_arena_printf(&b->plan->arena, "%s%s", s->name, suffix);
    an_value *v = name ? an_value_new(b->plan, name, dims, AN_HOME_ACT) : NULL;
    if (!v) return name ? no_value(dims) : no_memory(s->name);
    v->aux = aux;
    v->producer = s;
    s->out[index] = v;
    if (s->n_out <= index) s->n_out = index + 1;
    return AN_OK;
}

an_status an_need(const an_step *s, int i, an_dims dims)
{
    if (!s->in[i]) return an_fail(AN_ESHAPE, "%s: input %d of %s is missing", s->name, i, s->op->name);
    bool same = s->in[i]->dims.rank == dims.rank;
    for (size_t k = 0; same && k < dims.rank; k++) same = s->in[i]->dims.d[k] == dims.d[k];
    if (same) return AN_OK;
    char have[96], want[96];
    print_dims(have, sizeof have, s->in[i]->dims);
    print_dims(want, sizeof want, dims);
    return an_fail(AN_ESHAPE, "%s: %s has shape %s where %s needs %s", s->name, s->in[i]->name, have, s->op->name, want);
}

an_status an_need_rank(const an_step *s, int i, size_t rank)
{
    if (!s->in[i]) return an_fail(AN_ESHAPE, "%s: input %d of %s is missing", s->name, i, s->op->name);
    if (s->in[i]->dims.rank == rank) return AN_OK;
    return an_fail(AN_ESHAPE, "%s: %s has rank %zu where %s needs %zu", s->name, s->in[i]->name, s->in[i]->dims.rank, s->op->name, rank);
}

/* A step's per-input arrays, with room for what fusion may add. */
static bool make_room(an_plan *plan, an_step *s)
{
    const size_t room = s->n_in < AN_ROOM_IN ? AN_ROOM_IN : (size_t)s->n_in;
    s->in = an_arena_alloc(&plan->arena, room * sizeof(an_value *));
    s->acc = an_arena_alloc(&plan->arena, room * sizeof *s->acc);
    s->shared = an_arena_alloc(&plan->arena, room * sizeof *s->shared);
    return s->in && s->acc && s->shared;
}

static an_status add_step(an_build *b, const an_op *op, const char *name, an_value *const in[], int n_in, const void *attr, size_t attr_bytes, an_step **out)
{
    an_plan *plan = b->plan;
    an_step *s = an_arena_alloc(&plan->arena, sizeof *s);
    void *copy = an_arena_alloc(&plan->arena, attr_bytes);
    const char *full = an_arena_printf(&plan->arena, "%s%s", b->scope, name);
    if (!s || !copy || !full || !grow(&plan->steps, &plan->cap_steps, plan->n_steps + 1, sizeof *plan->steps)) return no_memory(name);
    if (attr_bytes) memcpy(copy, attr, attr_bytes);
    *s = (an_step){ .op = op, .name = full, .attr = copy, .n_in = n_in, .id = (int)plan->n_steps, .block = b->block, .branch = b->branch, .own_branch = -1 };
    if (!make_room(plan, s)) return no_memory(name);
    for (int i = 0; i < n_in; i++) s->in[i] = in[i];
    if (b->train && !op->backward)
        return an_fail(AN_ECONFIG, "%s: op %s has no backward, so this model cannot be trained; it can only be run", full, op->name);
    AN_TRY(op->infer(b, s));
    for (int i = 0; i < n_in; i++)
        if (in[i]) in[i]->n_use++;
    plan->steps[plan->n_steps++] = s;
    *out = s;
    return AN_OK;
}

an_site_mark *an_site_begin(an_build *b, const char *name, int layer)
{
    an_plan *plan = b->plan;
    if (b->status != AN_OK) return NULL;
    const char *full = an_arena_printf(&plan->arena, "%s", name);
    if (!full || !grow(&plan->sites, &plan->cap_sites, plan->n_sites + 1, sizeof *plan->sites)) {
        an_build_fail(b, no_memory(name));
        return NULL;
    }
    plan->sites[plan->n_sites] = (an_site_mark){ .name = full, .layer = layer, .begin = (int)plan->n_steps };
    return &plan->sites[plan->n_sites++];
}

an_value *an_emit(an_build *b, const an_op *op, const char *name, an_value *const in[], int n_in, const void *attr, size_t attr_bytes)
{
    an_step *s = NULL;
    if (b->status == AN_OK) an_build_fail(b, add_step(b, op, name, in, n_in, attr, attr_bytes, &s));
    return s && b->status == AN_OK ? s->out[0] : NULL;
}

an_step *an_step_copy(an_plan *plan, const an_step *step)
{
    an_step *s = an_arena_alloc(&plan->arena, sizeof *s);
    if (!s) return NULL;
    *s = *step;
    if (!make_room(plan, s)) return NULL;
    memcpy(s->in, step->in, (size_t)step->n_in * sizeof *s->in);
    memcpy(s->acc, step->acc, (size_t)step->n_in * sizeof *s->acc);
    memcpy(s->shared, step->shared, (size_t)step->n_in * sizeof *s->shared);
    return s;
}
