/* kern/dispatch.c
 * Lays the tables over each other: level i holds, row by row, the newest kernel among tables 0..i. A level whose
 * instructions the CPU lacks does not exist. ADDNORM_CPU picks the level of the process; it is read once. */
#include "kern/kern.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cpu.h"
#include "kern/ref/ref.h"
#include "kern/simd/tables.h"

static const an_kernels *table_ref(void)
{
    static const an_kernels table = {
        .level = "ref",
#define KERNEL(ret, name, args) .name = an_ref_##name,
#include "kern/kernels.def"
#undef KERNEL
    };
    return &table;
}

static int always(void) { return 1; }
#ifdef AN_HAVE_simd
#define LEVEL(isa) static int has_##isa(void) { return an_cpu()->isa; }
#include "kern/simd/levels.def"
#undef LEVEL
#define LEVEL(isa) { #isa, has_##isa, an_kern_table_##isa },
#else
#define LEVEL(isa) { #isa, NULL, NULL },
#endif
#ifdef AN_HAVE_amx
static int has_amx(void) { return an_cpu()->amx; }
#endif

/* Ascending; a name without a table is known, and answered by the level below it. */
static const struct { const char *name; int (*present)(void); const an_kernels *(*table)(void); } LEVELS[] = {
    { "ref", always, table_ref },
#include "kern/simd/levels.def"
#ifdef AN_HAVE_amx
    { "amx", has_amx, an_kern_table_amx },
#else
    { "amx", NULL, NULL },
#endif
};
#undef LEVEL
enum { LEVEL_COUNT = sizeof LEVELS / sizeof LEVELS[0] };

static an_kernels merged[LEVEL_COUNT];
static const an_kernels *chosen;
static char note[160];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int exists(int i) { return LEVELS[i].table && LEVELS[i].present(); }

static int find(const char *name)
{
    for (int i = 0; i < LEVEL_COUNT; i++)
        if (strcmp(LEVELS[i].name, name) == 0) return i;
    return -1;
}

static void lay_over(an_kernels *low, const an_kernels *high)
{
    low->level = high->level;
#define KERNEL(ret, name, args) if (high->name) low->name = high->name;
#include "kern/kernels.def"
#undef KERNEL
}

static void build(void)
{
    for (int i = 0; i < LEVEL_COUNT; i++) {
        if (i > 0) merged[i] = merged[i - 1];
        if (exists(i)) lay_over(&merged[i], LEVELS[i].table());
    }
    const char *asked = getenv("ADDNORM_CPU");
    const int named = asked && *asked ? find(asked) : LEVEL_COUNT - 1;
    chosen = &merged[named < 0 ? LEVEL_COUNT - 1 : named];
    if (named < 0) {
        int at = snprintf(note, sizeof note, "ADDNORM_CPU=%.40s is not one of", asked);
        for (int i = 0; i < LEVEL_COUNT; i++) at += snprintf(note + at, sizeof note - (size_t)at, "%s %s", i ? "," : "", LEVELS[i].name);
        snprintf(note + at, sizeof note - (size_t)at, "; using %s", chosen->level);
    }
    else if (asked && *asked && strcmp(chosen->level, asked) != 0) snprintf(note, sizeof note, "ADDNORM_CPU=%s is not available in this build on this processor; using %s", asked, chosen->level);
}

const an_kernels *an_kern_get(void)
{
    pthread_once(&once, build);
    return chosen;
}

const char *an_kern_note(void)
{
    pthread_once(&once, build);
    return note;
}

const an_kernels *an_kern_level(const char *level)
{
    pthread_once(&once, build);
    const int i = find(level);
    return i >= 0 && exists(i) ? &merged[i] : NULL;
}

const char *an_kern_level_name(size_t i) { return i < LEVEL_COUNT ? LEVELS[i].name : NULL; }
