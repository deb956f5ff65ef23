/* tests/kern/check.c
 * The arrays, choices, runs and verdicts behind check.h. Every choice is a hash of row name and case number, so one case can be
 * run again alone. Arrays are their own mappings between two pages that may not be touched. */
#include "check_run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { CANARY = 0xa5 };
static const size_t SIZES[] = { 1, 8, 16, 7, 9, 15, 17, 33, 0, 2, 3, 31, 32, 63, 64, 65, 100, 127, 129, 255, 256, 257, 511, 768, 1000, 1537, 2051, 4099 };
static const size_t ROWS[] = { 1, 2, 3, 5, 4, 8, 7, 0, 17, 33 };

double an_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t mix(uint64_t x)   /* the finalizer of splitmix64 */
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t draw(an_check *k)
{
    if (k->draws == 0)
        for (const char *p = k->row; *p; p++) k->draws = mix(k->draws ^ (unsigned char)*p) + k->number + 1;
    return mix(k->draws += 0x9e3779b97f4a7c15u);
}

uint64_t an_pick(an_check *k, uint64_t below) { return below ? draw(k) % below : 0; }
int an_pick_bool(an_check *k) { const uint64_t bit = an_pick(k, 2); return k->bench ? 0 : (int)bit; }
size_t an_pick_size(an_check *k) { return k->bench ? k->bench_c : SIZES[k->number % (sizeof SIZES / sizeof SIZES[0])]; }
size_t an_pick_rows(an_check *k)   /* fewer where rows are wide: long double formulas are slow; six of the widest, three of the groups that norms make of them */
{
    const size_t n = ROWS[an_pick(k, sizeof ROWS / sizeof ROWS[0])], most = 20500 / (SIZES[k->number % (sizeof SIZES / sizeof SIZES[0])] + 1) + 1;
    return k->bench ? k->bench_n : n < most ? n : most;
}
an_fill an_case_fill(const an_check *k) { return k->fill; }
int an_checking(const an_check *k) { return !k->bench; }

an_real an_pick_scale(an_check *k)
{
    static const double scales[] = { 1, 0.5, -1, 0, 2.25, -0.3, 0.1 };
    return k->bench ? AN_R(0.5) : AN_R(scales[an_pick(k, sizeof scales / sizeof scales[0])]);
}

void an_check_init(an_check *k, const char *row, an_level ref, an_level level, uint64_t number)
{
    memset(k, 0, sizeof *k);
    k->row = row;
    k->ref = ref;
    k->level = level;
    k->number = number;
    k->run = -1;
    const uint64_t sizes = sizeof SIZES / sizeof SIZES[0];
    k->fill = (an_fill)(1 + (number / sizes) % (AN_FILL_COUNT - 1));
    k->flush = an_pick_bool(k);
}

void an_check_fini(an_check *k)
{
    for (size_t i = 0; i < k->arrays; i++) {
        munmap(k->array[i].map, k->array[i].map_bytes);
        free(k->array[i].copy);
    }
    for (size_t i = 0; i < k->outs; i++) {
        free(k->out[i].want);
        free(k->out[i].mag);
    }
}

static void *need(void *p)
{
    if (p && p != MAP_FAILED) return p;
    fprintf(stderr, "kern_check: out of memory\n");
    exit(1);
}

static an_array *new_array(an_check *k, const char *name, size_t bytes, size_t element)
{
    if (k->arrays == AN_ARRAYS) {
        fprintf(stderr, "kern_check: %s uses more than %d arrays\n", k->row, AN_ARRAYS);
        exit(1);
    }
    an_array *a = &k->array[k->arrays++];
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), inside = (bytes + 192 + page - 1) / page * page;
    a->map_bytes = inside + 2 * page;
    a->map = need(mmap(NULL, a->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    memset(a->map, CANARY, a->map_bytes);
    if (mprotect(a->map, page, PROT_NONE) || mprotect(a->map + page + inside, page, PROT_NONE)) need(NULL);
    a->data = k->bench ? a->map + page : k->flush ? a->map + page + inside - bytes : a->map + page + 64 + element * an_pick(k, 16 / element * 4);
    a->bytes = bytes;
    a->name = name;
    return a;
}

static double uniform(an_check *k) { return ((double)draw(k) + 0.5) * 0x1p-64; }

static double normal(an_check *k)   /* nearly: the sum of four uniforms, scaled to variance 1 */
{
    const uint64_t bits = draw(k);
    const double sum = (double)(bits & 0xffff) + (double)(bits >> 16 & 0xffff) + (double)(bits >> 32 & 0xffff) + (double)(bits >> 48);
    return (sum * 0x1p-16 - 2) * 1.7320508075688772;
}

static void fill_array(an_check *k, an_real *x, size_t n, an_fill fill)
{
    if (fill == AN_FILL_CASE) fill = k->fill;
    if (k->bench) {   /* the drawing is too slow for large arrays */
        for (size_t i = 0; i < n; i++) x[i] = (an_real)((double)((i * 2654435761u) >> 7 & 4095) / 2048.0 - (fill == AN_FILL_POSITIVE ? 0 : 1));
        return;
    }
    const double max = sizeof(an_real) == 4 ? (double)FLT_MAX : DBL_MAX, min = sizeof(an_real) == 4 ? (double)FLT_MIN : DBL_MIN, level = normal(k);
    for (size_t i = 0; i < n; i++) {
        const double z = normal(k);
        switch (fill) {
        case AN_FILL_POSITIVE: x[i] = (an_real)(fabs(z) + 1e-3); break;
        case AN_FILL_OFFSET: x[i] = (an_real)(300 * level + 0.1 * z); break;
        case AN_FILL_CONSTANT: x[i] = (an_real)level; break;
        case AN_FILL_ZERO: x[i] = i % 3 ? AN_R(0) : -AN_R(0); break;
        case AN_FILL_TINY: x[i] = (an_real)(z * min * 1e3); break;
        case AN_FILL_DENORMAL: x[i] = (an_real)(z * min * 0.1); break;
        case AN_FILL_HUGE: x[i] = (an_real)(z * max * 0.05); break;
        case AN_FILL_WIDE: x[i] = (an_real)(z * pow(10, 12 * (uniform(k) - 0.5))); break;
        default: x[i] = (an_real)z; break;
        }
    }
    if (n && fill == AN_FILL_INF) x[an_pick(k, n)] = (an_real)(an_pick(k, 2) ? INFINITY : -INFINITY);
    if (n && fill == AN_FILL_NAN) x[an_pick(k, n)] = (an_real)NAN;
}

an_real *an_in_edit(an_check *k, const char *name, size_t n, an_fill fill)
{
    an_array *a = new_array(k, name, n * sizeof(an_real), sizeof(an_real));
    fill_array(k, (an_real *)(void *)a->data, n, fill);
    return (an_real *)(void *)a->data;
}

const an_real *an_in(an_check *k, const char *name, size_t n, an_fill fill) { return an_in_edit(k, name, n, fill); }

int32_t *an_in_ids(an_check *k, const char *name, size_t n, int32_t from, int32_t below)
{
    int32_t *id = (int32_t *)(void *)new_array(k, name, n * sizeof(int32_t), sizeof(int32_t))->data;
    for (size_t i = 0; i < n; i++) id[i] = from + (int32_t)an_pick(k, (uint64_t)(below - from));
    return id;
}

an_out *an_out_new(an_check *k, const char *name, size_t n, an_fill fill)
{
    an_out *y = &k->out[k->outs++];
    y->name = name;
    y->n = n;
    an_array *init = new_array(k, name, n * sizeof(an_real), sizeof(an_real));
    fill_array(k, (an_real *)(void *)init->data, n, fill);
    y->init = (an_real *)(void *)init->data;
    for (int r = 0; r < 3; r++) y->run[r] = k->bench ? (an_real *)(void *)init->data : (an_real *)(void *)new_array(k, name, n * sizeof(an_real), sizeof(an_real))->data;
    y->now = y->run[0];
    if (k->bench) return y;
    y->want = need(calloc(n + 1, sizeof *y->want));
    y->mag = need(calloc(n + 1, sizeof *y->mag));
    for (size_t i = 0; i < n; i++) y->mag[i] = -1;
    return y;
}

void an_out_set(an_out *y, size_t i, an_real v)
{
    an_real *init;
    memcpy(&init, &y->init, sizeof init);
    init[i] = v;
}

void an_complain(an_check *k, const char *format, ...)
{
    if (k->failed++) return;
    va_list args;
    va_start(args, format);
    vsnprintf(k->text, sizeof k->text, format, args);
    va_end(args);
}

static int is_output(const an_check *k, const an_array *a)
{
    for (size_t o = 0; o < k->outs; o++)
        for (int r = 0; r < 3; r++)
            if (a->data == (const char *)k->out[o].run[r]) return 1;
    return 0;
}

/* Bytes from p to end that still are canaries: all, or the offset of the first that is not. */
static ptrdiff_t dirty(const char *p, const char *end)
{
    if (p == end || ((unsigned char)*p == CANARY && memcmp(p, p + 1, (size_t)(end - p) - 1) == 0)) return -1;
    ptrdiff_t i = 0;
    while ((unsigned char)p[i] == CANARY) i++;
    return i;
}

static void check_surroundings(an_check *k)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < k->arrays; i++) {
        const an_array *a = &k->array[i];
        const char *start = a->map + page, *end = a->map + a->map_bytes - page, *behind = a->data + a->bytes;
        const ptrdiff_t before = dirty(start, a->data), after = dirty(behind, end);
        if (before >= 0) an_complain(k, "wrote %td bytes before the start of %s", a->data - start - before, a->name);
        if (after >= 0) an_complain(k, "wrote %td bytes past the end of %s", after, a->name);
        if (a->bytes && !is_output(k, a) && memcmp(a->data, a->copy, a->bytes) != 0) an_complain(k, "changed its input %s", a->name);
    }
}

static void plant_in_memory(an_check *k)
{
    for (size_t i = k->arrays; i-- > 0 && !k->planted;) {
        const an_array *a = &k->array[i];
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        const int out = is_output(k, a);
        if (k->fault == AN_FAULT_BEYOND && out && a->data + a->bytes < a->map + a->map_bytes - page) { a->data[a->bytes] ^= 1; k->planted = 1; }
        if (k->fault == AN_FAULT_BEFORE && out) { a->data[-1] ^= 1; k->planted = 1; }
        if (k->fault == AN_FAULT_INPUT && !out && a->bytes) { a->data[a->bytes - 1] ^= 1; k->planted = 1; }
    }
    for (size_t o = 0; o < k->outs && !k->planted; o++)
        if (k->fault == AN_FAULT_UNSTABLE && k->out[o].n) { ((unsigned char *)k->out[o].run[2])[0] ^= 1; k->planted = 1; }
}

static int next_check(an_check *k)
{
    if (k->run < 0)
        for (size_t i = 0; i < k->arrays; i++) {
            k->array[i].copy = need(malloc(k->array[i].bytes + 1));
            if (k->array[i].bytes) memcpy(k->array[i].copy, k->array[i].data, k->array[i].bytes);
        }
    if (k->run == 2 && k->fault >= AN_FAULT_BEYOND) plant_in_memory(k);
    if (k->run >= 0) check_surroundings(k);
    if (++k->run == 3) {
        for (size_t o = 0; o < k->outs; o++)
            if (k->out[o].n && memcmp(k->out[o].run[1], k->out[o].run[2], k->out[o].n * sizeof(an_real)) != 0) an_complain(k, "%s differs between two runs of the same case", k->out[o].name);
        return 0;
    }
    for (size_t o = 0; o < k->outs; o++) {
        k->out[o].now = k->out[o].run[k->run];
        if (k->out[o].n) memcpy(k->out[o].now, k->out[o].init, k->out[o].n * sizeof(an_real));
    }
    return 1;
}

/* Levels take turns, so that a slow moment of the machine hits all alike; the best time of each counts. */
static int next_bench(an_check *k)
{
    const double now = an_seconds();
    if (k->run < 0) k->budget += now;
    else {
        an_bench_time *t = &k->time[(size_t)k->run % k->level_count];
        const double took = now - k->started;
        if (t->runs++ == 0 || took < t->best) t->best = took;
    }
    k->run++;
    if ((size_t)k->run % k->level_count == 0 && now > k->budget && (size_t)k->run >= 3 * k->level_count) return 0;
    k->started = an_seconds();
    return 1;
}

void an_work(an_check *k, double bytes, double flops) { k->bytes = bytes; k->flops = flops; }
int an_next_run(an_check *k) { return k->bench ? next_bench(k) : next_check(k); }

static const an_level *now_level(const an_check *k)
{
    return k->bench ? &k->levels[(size_t)k->run % k->level_count] : k->run == 0 ? &k->ref : &k->level;
}

const an_kernels *an_table(const an_check *k) { return now_level(k)->table; }
const char *an_run_level(const an_check *k) { return now_level(k)->name; }

/* The distance of a from b in bounds; huge for the wrong kind of number. No statement where terms overflow. */
static double distance(long double a, long double b, long double mag, double factor)
{
    const long double eps = (long double)AN_REAL_EPS, max = sizeof(an_real) == 4 ? (long double)FLT_MAX : (long double)DBL_MAX;
    const long double tiny = sizeof(an_real) == 4 ? 0x1p-149L : 0x1p-1074L;
    if (isnan(b)) return isnan(a) ? 0 : 1e30;
    if (!(mag < max / 8) && !(isinf(b) && isinf(mag))) return 0;
    if (isinf(b)) return a == b ? 0 : 1e30;
    if (!isfinite(a)) return 1e30;
    return (double)(fabsl(a - b) / ((long double)factor * (eps * mag + tiny)));
}

static void plant_value(an_check *k, an_out *y)
{
    if (k->planted || y->n == 0) return;
    double top = 0;
    for (size_t i = 0; i < y->n; i++) top = fmax(top, fabs((double)y->run[0][i]));
    const size_t start = k->fault == AN_FAULT_LAST ? y->n - 1 : an_pick(k, y->n);
    for (size_t j = 0; j < y->n && !k->planted; j++) {
        const size_t i = (start + y->n - j) % y->n;
        if (y->mag[i] < 0 || !isfinite(y->run[1][i]) || fabs((double)y->run[0][i]) <= fmax(0.05 * top, 0.02 * (double)y->mag[i])) continue;   /* not where terms cancel */
        y->run[1][i] *= AN_R(1.002);
        k->planted = 1;
    }
}

static void complain_value(an_check *k, const an_out *y, size_t i, const char *what, long double want, double worst)
{
    an_complain(k, "%s[%zu] of %zu: got %.9g (%a), %s says %.9g; off by %.3g bounds", y->name, i, y->n, (double)y->run[1][i], (double)y->run[1][i], what, (double)want, worst);
}

void an_judge(an_check *k, an_out *y, double factor)
{
    if (k->fault == AN_FAULT_VALUE || k->fault == AN_FAULT_LAST) plant_value(k, y);
    const double own = sizeof(an_real) == 4 ? 1 : factor;
    for (size_t i = 0; i < y->n; i++) {
        if (y->mag[i] < 0 && y->want[i] == 0) {
            for (int r = 0; r < 2; r++)
                if (memcmp(y->run[r] + i, y->init + i, sizeof(an_real)) != 0) an_complain(k, "%s[%zu] of %zu was changed and should not be", y->name, i, y->n);
            continue;
        }
        const double formula = distance((long double)(an_real)y->run[0][i], (long double)(an_real)y->want[i], y->mag[i], own);
        const double level = distance((long double)y->run[1][i], (long double)y->run[0][i], y->mag[i], factor);
        if (formula > 1) an_complain(k, "reference %s[%zu] of %zu: %.9g, the formula says %.9Lg; off by %.3g bounds", y->name, i, y->n, (double)y->run[0][i], y->want[i], formula);
        if (level > 1) complain_value(k, y, i, "the reference", (long double)y->run[0][i], level);
        const double here = level > formula ? level : formula;
        if (here > k->worst) {
            k->worst = here;
            snprintf(k->place, sizeof k->place, "%s[%zu] of %zu: %.9g, reference %.9g", y->name, i, y->n, (double)y->run[1][i], (double)y->run[0][i]);
        }
    }
}

void an_judge_exact(an_check *k, an_out *y)
{
    if (k->fault == AN_FAULT_VALUE || k->fault == AN_FAULT_LAST) plant_value(k, y);
    for (size_t i = 0; i < y->n; i++) {
        const double formula = y->mag[i] < 0 ? 0 : distance((long double)y->run[0][i], (long double)(an_real)y->want[i], y->mag[i], 1);
        if (formula > 1) an_complain(k, "reference %s[%zu] of %zu: %.9g, the formula says %.9Lg", y->name, i, y->n, (double)y->run[0][i], y->want[i]);
        if (memcmp(y->run[0] + i, y->run[1] + i, sizeof(an_real)) != 0 && !(isnan(y->run[0][i]) && isnan(y->run[1][i]))) complain_value(k, y, i, "the reference", (long double)y->run[0][i], 1e30);
    }
}

enum { BEHIND = 32, EMPTY = 0x5a5a };

static size_t low_room(size_t n, size_t ld) { return n * ld + BEHIND; }

an_bf16 *an_low_new(an_check *k, size_t n, size_t ld)
{
    an_bf16 *low = aligned_alloc(64, (low_room(n, ld) * sizeof *low + 63) / 64 * 64);
    if (!low) an_complain(k, "out of memory");
    else an_low_empty(low, n, ld);
    return low;
}

void an_low_empty(an_bf16 *low, size_t n, size_t ld)
{
    for (size_t i = 0; i < low_room(n, ld); i++) low[i] = EMPTY;
}

void an_low_take(an_check *k, const an_bf16 *low, int stored, size_t n, size_t c, size_t ld, an_out *y)
{
    for (size_t i = 0; i < low_room(n, ld); i++)
        if (stored && i < n * ld && i % ld < c) an_at(y)[i] = an_bf16_widen(low[i]);
        else if (low[i] != EMPTY) an_complain(k, "element %zu of %s, no part of a row, was written", i, y->name);
}
