/* net/arch.c
 * The registry of architectures, made from arch/arch.def. */
#include "net/arch.h"

#include <stdio.h>
#include <string.h>

#define AN_ARCH(name) extern const an_arch an_arch_##name;
#include "net/arch/arch.def"
#undef AN_ARCH

static const an_arch *const ARCHS[] = {
#define AN_ARCH(name) &an_arch_##name,
#include "net/arch/arch.def"
#undef AN_ARCH
};

const an_arch *an_arch_at(size_t i) { return i < sizeof ARCHS / sizeof *ARCHS ? ARCHS[i] : NULL; }
const char *an_arch_name(size_t i) { return an_arch_at(i) ? ARCHS[i]->name : NULL; }

const an_arch *an_arch_find(const char *name)
{
    for (size_t i = 0; an_arch_at(i); i++)
        if (strcmp(ARCHS[i]->name, name) == 0) return ARCHS[i];
    return NULL;
}

bool an_arch_reads_tokens(const an_options *options)
{
    const an_arch *arch = an_arch_find(an_options_text(options, "arch"));
    return arch && arch->tokens;
}

an_status an_arch_options_add(an_options *options)
{
    for (size_t i = 0; an_arch_at(i); i++) {
        char needs[64];
        if (!ARCHS[i]->options) continue;
        snprintf(needs, sizeof needs, "arch=%s", ARCHS[i]->name);
        AN_TRY(an_options_add_owned(options, ARCHS[i]->options, NULL, needs));
    }
    return AN_OK;
}
