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

/* Variant v of a norm kind: 0 is the defaults, then its own list. NULL past the last. */
static const char *variant(const an_norm_kind *kind, size_t v)
{
    if (v == 0) return "";
    for (size_t k = 0; kind->variants && kind->variants[k]; k++)
        if (k + 1 == v) return kind->variants[k];
    return NULL;
}

/* The i-th (position, activation) of one (norm, variant, design, arch); consumes i when it lies beyond. */
static int inner(size_t *i, const char *head, char *text, size_t size)
{
    const size_t positions = count(an_position_name), activations = count(an_activation_name);
    if (*i >= positions * activations) {
        *i -= positions * activations;
        return 0;
    }
    snprintf(text, size, "%s position=%s activation=%s", head, an_position_name(*i / activations), an_activation_name(*i % activations));
    return 1;
}

int an_gradcheck_case(size_t i, const char *norm, const char *design, const char *arch, char *text, size_t size)
{
    char head[256];
    for (size_t a = 0; an_arch_at(a); a++)
        for (size_t d = 0; an_design_at(d) && wanted(arch, an_arch_name(a)); d++)
            for (size_t k = 0; an_norm_at(k) && wanted(design, an_design_name(d)); k++)
                for (size_t v = 0; wanted(norm, an_norm_name(k)) && variant(an_norm_at(k), v); v++) {
                    snprintf(head, sizeof head, "arch=%s design=%s norm=%s%s%s", an_arch_name(a), an_design_name(d), an_norm_name(k), v ? " " : "", variant(an_norm_at(k), v));
                    if (inner(&i, head, text, size)) return 1;
                }
    return 0;
}
