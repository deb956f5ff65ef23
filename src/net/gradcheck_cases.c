/* net/gradcheck_cases.c
 * The product of registries that the derivative test walks: a new norm or design is in it by its row alone. */
#include <stdio.h>
#include <string.h>

#include "net/arch.h"
#include "net/design.h"
#include "net/gradcheck.h"
#include "net/norm.h"
#include "net/sublayers.h"

const char *an_gradcheck_status_name(an_gradcheck_status status)
{
    static const char *const NAMES[] = {
#define NAME(name) #name,
        AN_GRADCHECK_STATUSES(NAME)
#undef NAME
    };
    return NAMES[status];
}

static int wanted(const char *filter, const char *name) { return !filter || strcmp(filter, name) == 0; }

static size_t count(const char *(*name)(size_t))
{
    size_t n = 0;
    while (name(n)) n++;
    return n;
}

/* Variant v of a registry's row: 0 is the defaults, then its own list. NULL past the last. */
static const char *variant(const char *const *list, size_t v)
{
    if (v == 0) return "";
    for (size_t k = 0; list && list[k]; k++)
        if (k + 1 == v) return list[k];
    return NULL;
}

typedef struct pair { size_t arch, design, norm, design_variant, norm_variant; } pair;

/* Every design meets every norm; their variants meet the other's defaults only. */
static int next_pair(pair *p)
{
    const char *const *designs = an_design_at(p->design)->variants, *const *norms = an_norm_at(p->norm)->variants;
    if (p->design_variant == 0 && variant(norms, p->norm_variant + 1)) return p->norm_variant++, 1;
    p->norm_variant = 0;
    if (p->norm == 0 && variant(designs, p->design_variant + 1)) return p->design_variant++, 1;
    p->design_variant = 0;
    if (an_norm_at(++p->norm)) return 1;
    p->norm = 0;
    if (an_design_at(++p->design)) return 1;
    p->design = 0;
    return an_arch_at(++p->arch) != NULL;
}

int an_gradcheck_case(size_t i, const char *norm, const char *design, const char *arch, char *text, size_t size)
{
    const size_t positions = count(an_position_name);
    pair p = { 0 };
    size_t turn = 0;
    do {
        if (!wanted(arch, an_arch_name(p.arch)) || !wanted(design, an_design_name(p.design)) || !wanted(norm, an_norm_name(p.norm))) continue;
        /* of architectures that have them, pairs with every position and activation, their variants with one each, taking turns */
        const size_t all = an_arch_at(p.arch)->tokens ? positions * count(an_activation_name) : 1;
        const size_t inner = p.norm_variant == 0 && p.design_variant == 0 ? all : 1, at = inner == 1 ? turn++ % all : i;
        if (i >= inner) {
            i -= inner;
            continue;
        }
        const char *more[2] = { variant(an_design_at(p.design)->variants, p.design_variant), variant(an_norm_at(p.norm)->variants, p.norm_variant) };
        const char *shared = (p.design + p.norm + at) % 2 ? " n_kv_head=1" : "";   /* and keys that query heads share, or not */
        const int n = snprintf(text, size, "arch=%s design=%s norm=%s%s%s%s%s", an_arch_name(p.arch), an_design_name(p.design), an_norm_name(p.norm),
                               *more[0] ? " " : "", more[0], *more[1] ? " " : "", more[1]);
        if (an_arch_at(p.arch)->tokens && n > 0 && (size_t)n < size)
            snprintf(text + n, size - (size_t)n, " position=%s activation=%s%s", an_position_name(at % positions), an_activation_name(at / positions), shared);
        return 1;
    } while (next_pair(&p));
    return 0;
}
