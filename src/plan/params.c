/* plan/params.c
 * Parameters and their gradients: two arenas, tensors in the order they were first asked for, each aligned to a cache
 * line. Every tensor is drawn from its own counter-based stream, so its values depend on (seed, name) alone. */
#include "plan/plan.h"

#include <stdlib.h>

static size_t aligned(size_t count) { const size_t a = AN_ALIGN / sizeof(an_real); return (count + a - 1) / a * a; }

an_status an_params_freeze(an_params *params, bool train)
{
    if (!params->frozen) {
        size_t total = 0;
        for (size_t i = 0; i < params->n; i++) {
            params->list[i].offset = total;
            if (!an_size_add(total, aligned(params->list[i].count), &total)) return an_fail(AN_ESHAPE, "%s: the parameters overflow the address space", params->list[i].name);
        }
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
    free(params->list);
    an_arena_fini(&params->arena);
    *params = (an_params){ 0 };
}

an_param_def *an_params_find(an_params *params, const char *name)
{
    for (size_t tried = 0; tried < params->n; tried++) {
        const size_t i = (params->cursor + tried) % params->n;
        if (strcmp(params->list[i].name, name) != 0) continue;
        params->cursor = i + 1;
        return &params->list[i];
    }
    return NULL;
}

static uint64_t name_hash(const char *name)   /* FNV-1a, 64 bits */
{
    uint64_t h = 14695981039346656037ull;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211ull;
    return h;
}

static void draw(const an_init *init, an_rng_key key, size_t first, size_t n, an_real *out)
{
    for (size_t i = 0; i < n; i++)
        switch (init->law) {
        case AN_LAW_CONST: out[i] = AN_R(init->scale); break;
        case AN_LAW_NORMAL: out[i] = AN_R(init->scale * an_rng_normal(key, first + i)); break;
        case AN_LAW_UNIFORM: out[i] = AN_R(init->scale * (2 * an_rng_uniform(key, first + i) - 1)); break;
        }
}

void an_params_draw(an_params *params, uint64_t seed)
{
    for (size_t i = 0; i < params->n; i++) {
        const an_param_def *p = &params->list[i];
        const an_rng_key key = an_rng_key_make(seed, name_hash(p->name), 0);
        const size_t row = p->dims.rank > 1 ? p->count / p->dims.d[0] : 1;
        size_t done = 0;
        for (; p->start && done < p->count; done++) p->data[done] = AN_R(p->start[done]);
        for (size_t g = 0; g < AN_INIT_GROUPS && done < p->count; g++) {
            size_t n = p->init[g].rows ? p->init[g].rows * row : p->count - done;
            if (n > p->count - done) n = p->count - done;
            draw(&p->init[g], key, done, n, p->data + done);
            done += n;
        }
        for (size_t part = 0; part < an_unit_parts(p->rule.unit, p->dims.d[0], row); part++) an_unit_scale(p->rule.unit, p->dims.d[0], row, p->data, part);
    }
}
