/* tests/kern/kern_check.c
 * The program: every row of kernels.def and extra.def, on every level this processor has, against the reference.
 *   kern_check                                   all; one line per row and level, exit 1 if any failed
 *   kern_check [--row NAME] [--level L] [--case N]   a part, or one case again
 *   kern_check --selftest                        plants faults and demands that each is found
 *   kern_check --bench [ROW] [--n N] [--c C]     times rows beside the bytes and flops they must move */
#include "check_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "selftest.h"

typedef struct row { const char *name; void (*check)(an_check *k); const char *(*levels)(size_t i); } row;

static const row ROWS[] = {
#define KERNEL(ret, name, args) { #name, an_check_##name, NULL },
#include "kern/kernels.def"
#undef KERNEL
#define EXTRA(name) { #name, an_check_##name, an_levels_##name },
#include "extra.def"
#undef EXTRA
};
enum { ROW_COUNT = sizeof ROWS / sizeof ROWS[0] };

typedef struct options { const char *row, *level; long long number; int bench, selftest; size_t n, c; } options;

static an_check *current;   /* for the signal handler */
static int passed, failed;

#ifdef AN_HAVE_avx512_emulated
const an_kernels *an_kern_table_avx512_emulated(void);

const an_kernels *an_kern_table_amx_emulated(void);

static void lay_over(an_kernels *table, const char *level, const an_kernels *over)
{
    table->level = level;
#define KERNEL(ret, name, args) if (over->name) table->name = over->name;
#include "kern/kernels.def"
#undef KERNEL
}

/* AVX-512 over the reference, and the tiles of AMX over that. */
static const an_kernels *emulated(int tiles)
{
    static an_kernels table[2];
    an_kernels *to = &table[tiles];
    *to = *an_kern_level("ref");
    lay_over(to, "avx512-emulated", an_kern_table_avx512_emulated());
    if (tiles) lay_over(to, "amx-emulated", an_kern_table_amx_emulated());
    return to;
}
#endif

static size_t table_levels(an_level *level)
{
    size_t count = 0;
    const char *name;
    for (size_t i = 0; (name = an_kern_level_name(i)); i++)
        if (an_kern_level(name)) level[count++] = (an_level){ name, an_kern_level(name) };
#ifdef AN_HAVE_avx512_emulated
    level[count++] = (an_level){ "avx512-emulated", emulated(0) };
    level[count++] = (an_level){ "amx-emulated", emulated(1) };
#endif
    return count;
}

/* Does `high` have its own kernel for this row, or does the one below show through? */
static int own_kernel(const char *name, const an_kernels *high, const an_kernels *low)
{
#define KERNEL(ret, row_name, args) if (strcmp(name, #row_name) == 0) return high->row_name != low->row_name;
#include "kern/kernels.def"
#undef KERNEL
    return 1;
}

static size_t row_levels(const row *r, an_level *level)
{
    if (r->levels) {
        size_t count = 0;
        for (; count < AN_BENCH_LEVELS && r->levels(count); count++) level[count] = (an_level){ r->levels(count), an_kern_level("ref") };
        return count;
    }
    an_level all[AN_BENCH_LEVELS];
    const size_t count = table_levels(all);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (i == 0 || own_kernel(r->name, all[i].table, level[kept - 1].table)) level[kept++] = all[i];
    return kept;
}

static void on_fault(int signal_number)
{
    char text[400];
    const int n = snprintf(text, sizeof text, "FAIL  %s %s case %llu: signal %d: touched memory outside its arrays; rerun: kern_check --row %s --level %s --case %llu\n", current ? current->row : "?",
                           current ? an_run_level(current) : "?", current ? (unsigned long long)current->number : 0ull, signal_number, current ? current->row : "?", current ? current->level.name : "?",
                           current ? (unsigned long long)current->number : 0ull);
    if (n > 0 && write(STDOUT_FILENO, text, (size_t)n) < 0) _exit(3);
    _exit(1);
}

static void check_row(const row *r, an_level ref, an_level level, const options *o)
{
    double worst = 0;
    char place[240] = "";
    int bad = 0;
    const uint64_t from = o->number >= 0 ? (uint64_t)o->number : 0, to = o->number >= 0 ? from + 1 : AN_CASES;
    for (uint64_t i = from; i < to; i++) {
        an_check k;
        an_check_init(&k, r->name, ref, level, i);
        current = &k;
        r->check(&k);
        current = NULL;
        if (k.worst > worst) {
            worst = k.worst;
            snprintf(place, sizeof place, "case %llu, %s", (unsigned long long)i, k.place);
        }
        if (k.failed && bad++ < 3) printf("FAIL  %s %s case %llu: %s; rerun: kern_check --row %s --level %s --case %llu\n", r->name, level.name, (unsigned long long)i, k.text, r->name, level.name, (unsigned long long)i);
        an_check_fini(&k);
    }
    printf("%s  %-14s %-16s %llu cases, %d failed, worst %.3f bounds%s%s\n", bad ? "FAIL" : "pass", r->name, level.name, (unsigned long long)(to - from), bad, worst, *place ? ": " : "", place);
    fflush(stdout);
    if (bad) failed++;
    else passed++;
}

static void bench_row(const row *r, const options *o)
{
    an_level level[AN_BENCH_LEVELS];
    size_t count = row_levels(r, level), kept = 0;
    for (size_t i = 0; i < count; i++)
        if (strstr(level[i].name, "emulated") == NULL) level[kept++] = level[i];
    an_check k;
    an_check_init(&k, r->name, level[0], level[0], 0);
    k.bench = 1;
    k.bench_n = o->n;
    k.bench_c = o->c;
    memcpy(k.levels, level, kept * sizeof *level);
    k.level_count = kept;
    k.budget = 0.5;
    current = &k;
    r->check(&k);
    current = NULL;
    for (size_t i = 0; i < kept; i++)
        printf("%-14s %-10s %9.3f ms %8.2f GB/s %8.2f GFLOP/s %7.2fx ref\n", r->name, level[i].name, 1e3 * k.time[i].best, 1e-9 * k.bytes / k.time[i].best, 1e-9 * k.flops / k.time[i].best, k.time[0].best / k.time[i].best);
    fflush(stdout);
    an_check_fini(&k);
}

/* The machine's own limit: a = b + s*c over arrays far larger than the caches, plain stores. */
static void bench_triad(const options *o)
{
    const size_t n = o->n * o->c;
    float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b), *c = malloc(n * sizeof *c);
    double best = 0;
    if (a && b && c) {
        for (size_t i = 0; i < n; i++) a[i] = 0, b[i] = 1, c[i] = 2;
        for (int turn = 0; turn < 12; turn++) {
            const double t = an_seconds();
            for (size_t i = 0; i < n; i++) a[i] = b[i] + 0.5f * c[i];
            const double took = an_seconds() - t;
            if (turn == 0 || took < best) best = took;
            b[(size_t)turn % n] = a[n - 1];
        }
        printf("%-14s %-10s %9.3f ms %8.2f GB/s (read 2, write 1: the limit to compare with)\n", "triad", "compiler", 1e3 * best, 1e-9 * 12 * (double)n / best);
    }
    free(a);
    free(b);
    free(c);
}

static int parse(int argc, char **argv, options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--selftest") == 0) o->selftest = 1;
        else if (strcmp(argv[i], "--bench") == 0) {
            o->bench = 1;
            if (next && *next != '-') o->row = argv[++i];
        } else if (next && strcmp(argv[i], "--row") == 0) o->row = argv[++i];
        else if (next && strcmp(argv[i], "--level") == 0) o->level = argv[++i];
        else if (next && strcmp(argv[i], "--case") == 0) o->number = atoll(argv[++i]);
        else if (next && strcmp(argv[i], "--n") == 0) o->n = strtoull(argv[++i], NULL, 10);
        else if (next && strcmp(argv[i], "--c") == 0) o->c = strtoull(argv[++i], NULL, 10);
        else return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    options o = { NULL, NULL, -1, 0, 0, 8192, 768 };
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: kern_check [--row NAME] [--level L] [--case N] | --selftest [--row NAME] | --bench [ROW] [--n N] [--c C]\n");
        return 2;
    }
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    signal(SIGILL, on_fault);
    if (o.bench) bench_triad(&o);
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (o.row && strcmp(o.row, ROWS[i].name) != 0) continue;
        if (o.bench) {
            bench_row(&ROWS[i], &o);
            continue;
        }
        an_level level[AN_BENCH_LEVELS];
        const size_t count = row_levels(&ROWS[i], level);
        for (size_t l = 0; l < count; l++) {
            if (o.level && strcmp(o.level, level[l].name) != 0) continue;
            if (o.selftest) an_selftest_row(ROWS[i].name, ROWS[i].check, level[0], level[l], &passed, &failed);
            else check_row(&ROWS[i], level[0], level[l], &o);
        }
    }
    if (o.bench) return 0;
    if (o.selftest && !o.row) an_selftest_copies(&passed, &failed);
    printf("%d passed, %d failed\n", passed, failed);
    return failed || passed == 0;
}
