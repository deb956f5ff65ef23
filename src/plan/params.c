/* plan/params.c
 * Parameters and their gradients: two arenas, tensors in the order they were first asked for, each aligned to a cache
 * line. Every tensor is drawn from its own counter-based stream, so its values depend on (seed, name) alone. */
#include "plan/plan.h"

#include <stdlib.h>

#include "core/threads.h"

static size_t aligned(size_t count) { const size_t a = AN_ALIGN / sizeof(an_real); return (count + a - 1) / a * a; }

an_status an_params_size(an_params *params, size_t *reals)
{
    size_t total = 0, bytes;
    for (size_t i = 0; i < params->n; i++) {
        params->list[i].offset = total;
        if (!an_size_add(total, aligned(params->list[i].count), &total) || !an_size_mul(total, sizeof(an_real), &bytes))
            return an_fail(AN_ESHAPE, "%s: the parameters overflow the address space; use fewer layers or smaller dimensions", params->list[i].name);
    }
    *reals = total;
    return AN_OK;
}

an_status an_params_freeze(an_params *params, bool train)
{
    if (!params->frozen) {
        size_t total = 0;
        AN_TRY(an_params_size(params, &total));
        AN_TRY(an_block_init(&params->data, total, "parameters"));
        params->frozen = true;
    }
    if (train && !params->grad.data) AN_TRY(an_block_init(&params->grad, params->data.count, "gradients"));
    for (size_t i = 0; i < params->n; i++) {
        params->list[i].data = params->data.data + params->list[i].offset;
        params->list[i].grad = params->grad.data ? params->grad.data + params->list[i].offset : NULL;
    }
    return AN_OK;
}

void an_params_fini(an_params *params)
{
    an_block_fini(&params->data);
    an_block_fini(&params->grad);
    an_params_drop_copies(params);
    free(params->list);
    free(params->slot);
    an_arena_fini(&params->arena);
    *params = (an_params){ 0 };
}

static uint64_t name_hash(const char *name)   /* FNV-1a, 64 bits */
{
    uint64_t h = 14695981039346656037ull;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211ull;
    return h;
}

/* The slot of the index where this name is, or the empty one where it belongs; positions in the list, plus one. */
static size_t *place_of(const an_params *params, const char *name)
{
    size_t at = (size_t)name_hash(name) & (params->slots - 1);
    while (params->slot[at] && strcmp(params->list[params->slot[at] - 1].name, name) != 0) at = (at + 1) & (params->slots - 1);
    return &params->slot[at];
}

an_status an_params_index(an_params *params)
{
    if (2 * params->n <= params->slots) {
        *place_of(params, params->list[params->n - 1].name) = params->n;
        return AN_OK;
    }
    size_t *slot = an_alloc(4 * params->slots * sizeof *slot + 64 * sizeof *slot);
    if (!slot) return an_fail(AN_ENOMEM, "out of memory for the index of %zu parameters", params->n);
    free(params->slot);
    params->slot = slot;
    params->slots = params->slots ? 4 * params->slots : 64;
    for (size_t i = 0; i < params->n; i++) *place_of(params, params->list[i].name) = i + 1;
    return AN_OK;
}

an_param_def *an_params_find(an_params *params, const char *name)
{
    const size_t at = params->slots ? *place_of(params, name) : 0;
    return at ? &params->list[at - 1] : NULL;
}

/* n numbers from p on, which are those from `first` on of the key's stream, whoever draws them. */
typedef struct drawing { an_init init; an_rng_key key; size_t first, n; an_real *p; } drawing;
enum { DRAWN_AT_ONCE = 1 << 16 };

static void draw_part(void *ctx, size_t part, int thread)
{
    const drawing *d = ctx;
    const size_t from = part * DRAWN_AT_ONCE, end = d->n - from < DRAWN_AT_ONCE ? d->n : from + DRAWN_AT_ONCE;
    (void)thread;
    for (size_t i = from; i < end; i++)
        switch (d->init.law) {
        case AN_LAW_CONST: d->p[i] = AN_R(d->init.scale); break;
        case AN_LAW_NORMAL: d->p[i] = AN_R(d->init.scale * an_rng_normal(d->key, d->first + i)); break;
        case AN_LAW_UNIFORM: d->p[i] = AN_R(d->init.scale * (2 * an_rng_uniform(d->key, d->first + i) - 1)); break;
        }
}

void an_params_draw(an_params *params, uint64_t seed, int threads)
{
    params->stale = true;
    for (size_t i = 0; i < params->n; i++) {
        const an_param_def *p = &params->list[i];
        const an_rng_key key = an_rng_key_make(seed, name_hash(p->name), 0);
        const size_t row = p->dims.rank > 1 ? p->count / p->dims.d[0] : 1;
        size_t done = 0;
        for (; p->start && done < p->count; done++) p->data[done] = AN_R(p->start[done]);
        for (size_t g = 0; g < AN_INIT_GROUPS && done < p->count; g++) {
            size_t n = p->init[g].rows ? p->init[g].rows * row : p->count - done;
            if (n > p->count - done) n = p->count - done;
            drawing d = { p->init[g], key, done, n, p->data + done };
            an_parallel_for(threads, (n + DRAWN_AT_ONCE - 1) / DRAWN_AT_ONCE, draw_part, &d);
            done += n;
        }
        for (size_t part = 0; part < an_unit_parts(p->rule.unit, p->dims.d[0], row); part++) an_unit_scale(p->rule.unit, p->dims.d[0], row, p->data, part);
    }
}
