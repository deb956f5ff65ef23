/* tests/kern/check_gemm.c
 * Every back end of kern/gemm.h, and every level of the native one, against the product in long double. A sum of k rounded
 * products in any order is at most k + 1 roundings, eps/2 each, of the sum of absolute terms. C starts full of NaN when
 * beta is 0. One of the runs is made by three threads at once, of which one packs operands ahead and one takes the product block by block, where
 * that can be: they must agree bit for bit. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/flush.h"
#include "core/threads.h"
#include "kern/gemm.h"
#include "kern/gemm_micro.h"

#ifdef AN_HAVE_avx512_emulated
extern const an_gemm_micro an_avx512_emulated_gemm_micro;
#endif
#ifndef AN_F64
extern const an_gemm_micro an_amx_emulated_gemm_micro;
#endif

/* a, b: what is multiplied, as reals; low_a, low_b: the same numbers as bfloat16, or NULL */
typedef struct product { int ta, tb, low; size_t m, n, k; const an_real *a; size_t lda; const an_real *b; size_t ldb; const an_bf16 *low_a, *low_b; an_real beta; size_t ldc, c_size; const an_real *c_init; an_real *c[3]; const char *level; } product;

static const an_gemm_micro *micro_of(const char *level)
{
#ifdef AN_HAVE_simd
#define LEVEL(isa) if (strcmp(level, "native " #isa) == 0) return an_kern_level(#isa) ? &an_##isa##_gemm_micro : NULL;
#include "kern/simd/levels.def"
#undef LEVEL
#endif
#ifdef AN_HAVE_avx512_emulated
    if (strcmp(level, "native avx512-emulated") == 0) return &an_avx512_emulated_gemm_micro;
#endif
#ifndef AN_F64
    if (strcmp(level, "native amx-emulated") == 0) return &an_amx_emulated_gemm_micro;
#endif
#ifdef AN_HAVE_amx
    if (strcmp(level, "native amx") == 0) return an_kern_level("amx") ? &an_amx_gemm_micro : NULL;
#endif
    (void)level;
    return NULL;
}

/* The i-th of those names that this build and processor have; NULL behind the last. low: of those with mixed products of their own. */
static const char *present(const char *const *names, size_t n_names, bool low, size_t i)
{
    size_t kept = 0;
    for (size_t n = 0; n < n_names; n++) {
        const an_gemm_backend *backend = an_gemm_by_name(names[n]);
        if (((backend && (!low || backend->run_low)) || micro_of(names[n])) && kept++ == i) return names[n];
    }
    return NULL;
}

#define LEVEL(isa) "native " #isa,
const char *an_levels_gemm(size_t i)
{
    static const char *const names[] = {
        "ref",
#include "kern/simd/levels.def"
        "native avx512-emulated", "onednn", "cblas" };
    return present(names, sizeof names / sizeof names[0], false, i);
}

/* Of mixed products: the tiles too, and a library that has tiles. */
const char *an_levels_gemm_low(size_t i)
{
    static const char *const names[] = {
        "ref",
#include "kern/simd/levels.def"
        "native avx512-emulated", "native amx", "native amx-emulated", "onednn" };
    return present(names, sizeof names / sizeof names[0], true, i);
}
#undef LEVEL

static an_operand operand(const an_real *x, const an_bf16 *low, size_t ld)
{
    return low ? (an_operand){ low, ld, AN_STORE_BF16 } : (an_operand){ x, ld, AN_STORE_REAL };
}

#ifndef AN_F64
/* The operands that can be, packed ahead in parts, the last part first; then tiles of the product that begin at whole units. */
static void run_ahead(const an_gemm_micro *micro, const an_product *x)
{
    enum { DEPTH = AN_PACK_DEPTH, UNITS = 2 };
    const size_t a_room = an_packed_room(x->m, x->k), b_room = an_packed_room(x->n, x->k);
    float *a = malloc(a_room * sizeof *a), *b = malloc(b_room * sizeof *b);
    an_product t = *x;
    if (!a || !b) abort();
    memset(a, 0xff, a_room * sizeof *a);
    memset(b, 0xff, b_room * sizeof *b);
    for (size_t i = (x->k + DEPTH - 1) / DEPTH; x->ta && i-- > 0;) an_gemm_native_pack(micro, AN_SIDE_A, 0, x->m, x->k, x->a, i * DEPTH, x->k - i * DEPTH < DEPTH ? x->k - i * DEPTH : DEPTH, a);
    const size_t lie = x->tb ? x->n : x->k, step = x->tb ? AN_PACK_STEP : AN_PACK_DEPTH;
    for (size_t i = (lie + step - 1) / step; i-- > 0;) an_gemm_native_pack(micro, AN_SIDE_B, x->tb, x->n, x->k, x->b, i * step, lie - i * step < step ? lie - i * step : step, b);
    const size_t tall = x->ta ? UNITS * micro->mr : x->m, wide = UNITS * micro->nr;
    for (size_t i = 0; i < x->m; i += tall)
        for (size_t j = 0; j < x->n; j += wide) {
            t.m = x->m - i < tall ? x->m - i : tall;
            t.n = x->n - j < wide ? x->n - j : wide;
            t.a = an_operand_at(x->a, x->ta ? 0 : i, x->ta ? i : 0);
            t.b = an_operand_at(x->b, x->tb ? j : 0, x->tb ? 0 : j);
            t.c = x->c + i * x->ldc + j;
            if (x->ta) t.ahead_a = (an_packed){ a, x->m, i };
            t.ahead_b = (an_packed){ b, x->n, j };
            an_gemm_native_with(micro, &t);
        }
    free(a);
    free(b);
}
#endif

#ifndef AN_F64
/* Puts blocks where they belong; of a narrow product all columns must come at once. */
typedef struct putting { an_sink sink; const an_product *x; } putting;

static void take(const an_sink *sink, size_t i, size_t j, size_t m, size_t n, an_real *sums, size_t ld)
{
    const an_product *x = ((const putting *)(const void *)sink)->x;
    for (size_t r = 0; r < m && (x->n > AN_SINK_WIDTH || n == x->n); r++, sums += ld) memcpy(x->c + (i + r) * x->ldc + j, sums, n * sizeof *sums);
}

static void run_into(const an_gemm_micro *micro, const an_product *x)
{
    const putting to = { { take }, x };
    an_product y = *x;
    y.c = NULL;
    y.sink = &to.sink;
    an_gemm_native_with(micro, &y);
}
#endif

enum { PLAIN, INTO, AHEAD };

static void run(const product *p, an_real *c, int how)
{
    const an_operand a = operand(p->a, p->low_a, p->lda), b = operand(p->b, p->low_b, p->ldb);
#ifndef AN_F64
    const an_gemm_micro *micro = micro_of(p->level);
    if (micro) {
        const an_product x = { p->ta, p->tb, p->m, p->n, p->k, a, b, .beta = p->beta, .c = c, .ldc = p->ldc };
        if (how == AHEAD && p->k > 0) run_ahead(micro, &x);
        else if (how == INTO && micro->apart && p->beta == 0 && p->k > 0) run_into(micro, &x);
        else an_gemm_native_with(micro, &x);
        return;
    }
#endif
    (void)how;
    if (p->low) {
        an_gemm_by_name(p->level)->run_low(p->ta, p->tb, p->m, p->n, p->k, a, b, p->beta, c, p->ldc);
        return;
    }
    an_gemm_by_name(p->level)->run(p->ta, p->tb, p->m, p->n, p->k, p->a, p->lda, p->b, p->ldb, p->beta, c, p->ldc);
}

static void part(void *ctx, size_t i, int thread)
{
    const product *p = ctx;
    const an_float_mode mode = an_float_mode_get();
    (void)thread;
    an_float_mode_set(mode & ~(an_float_mode)AN_FLUSH);   /* as outside of parts, where it runs once more */
    run(p, p->c[i], (int)i);
    an_float_mode_set(mode);
}

/* The same product on three threads at once: as it is, into a sink, from operands packed ahead; the first into the output. */
static void run_together(an_check *k, product *p)
{
    for (int i = 1; i < 3; i++) {
        p->c[i] = malloc(p->c_size * sizeof(an_real) + 1);
        if (!p->c[i]) {
            an_complain(k, "out of memory");
            return;
        }
        if (p->c_size) memcpy(p->c[i], p->c_init, p->c_size * sizeof(an_real));
    }
    an_parallel_for(3, 3, part, p);
    for (int i = 1; i < 3; i++) {
        if (p->c_size && memcmp(p->c[0], p->c[i], p->c_size * sizeof(an_real)) != 0) an_complain(k, "three threads at once disagree");
        free(p->c[i]);
    }
}

/* Small where numbers are plain, so that the bound stays below the faults of the self-test; elsewhere one of the three
 * sizes is `large`, past the edges of register tiles, or `beyond` that of a block. */
static size_t pick(an_check *k, int large, size_t beyond)
{
    static const size_t small[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 24, 31, 32, 33, 0 };
    static const size_t big[] = { 28, 29, 48, 63, 64, 65, 96, 97, 100, 127, 129, 145, 200, 230 };
    if (an_case_fill(k) == AN_FILL_NORMAL || !large) return small[an_pick(k, sizeof small / sizeof small[0])];
    return an_pick(k, 6) == 0 ? beyond : big[an_pick(k, sizeof big / sizeof big[0])];
}

static size_t extent(size_t rows, size_t width, size_t ld) { return rows && width ? (rows - 1) * ld + width : 0; }

static void want(an_check *k, const product *p, an_out *c, const an_real *init)
{
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            const long double old = p->beta == 0 ? 0 : (long double)p->beta * (long double)init[i * p->ldc + j];
            long double sum = old, mag = fabsl(old), small = 1, lost = p->low;   /* times the smallest normal number: one denormal step a term; whole terms and operands, where tiles take denormals for zero */
            for (size_t x = 0; x < p->k; x++) {
                const long double u = (long double)p->a[p->ta ? x * p->lda + i : i * p->lda + x], w = (long double)p->b[p->tb ? j * p->ldb + x : x * p->ldb + j];
                sum += u * w;
                mag += fabsl(u * w);
                small += 1;
                lost += p->low ? 1 + fabsl(u) + fabsl(w) : 0;
            }
            const long double smallest = sizeof(an_real) == 4 ? FLT_MIN : (long double)DBL_MIN;
            an_want(c, i * p->ldc + j, sum, (0.5L * (long double)p->k + 1.5L) * mag + (small + lost / AN_REAL_EPS) * smallest);
        }
    an_judge(k, c, 1);
}

/* Numbers that bfloat16 holds exactly, so that it does not matter who rounds; their bits, when this operand is stored so. */
static const an_bf16 *lower(an_check *k, const char *name, an_real *x, size_t n, int stored)
{
    for (size_t i = 0; i < n; i++) x[i] = an_bf16_widen(an_bf16_round(x[i]));
    if (!stored) return NULL;
    an_bf16 *low = (an_bf16 *)(void *)an_in_edit(k, name, n / 2 + 1, AN_FILL_ZERO);
    for (size_t i = 0; i < n; i++) low[i] = an_bf16_round(x[i]);
    return low;
}

static void check(an_check *k, int low)
{
    const int bench = !an_checking(k);
    const an_fill asked = an_case_fill(k), fill = bench || asked == AN_FILL_HUGE ? AN_FILL_NORMAL : asked;   /* inf - inf depends on the order */
    product p = { .ta = an_pick_bool(k), .tb = bench ? 1 : an_pick_bool(k), .low = low };
    const uint64_t large = an_pick(k, 4);   /* 3: all of them */
    p.m = bench ? an_pick_rows(k) : pick(k, large == 0 || large == 3, large == 3 ? 64 : 310);
    p.n = bench ? an_pick_size(k) : pick(k, large == 1 || large == 3, large == 3 ? 80 : 1601);
    p.k = bench ? an_pick_size(k) : pick(k, large == 2, 1100);
    const size_t a_rows = p.ta ? p.k : p.m, a_wide = p.ta ? p.m : p.k, b_rows = p.tb ? p.n : p.k, b_wide = p.tb ? p.k : p.n;
    const size_t gap = bench ? 0 : 1;
    p.lda = (a_wide ? a_wide : 1) + gap * an_pick(k, 4);
    p.ldb = (b_wide ? b_wide : 1) + gap * an_pick(k, 4);
    p.ldc = (p.n ? p.n : 1) + gap * an_pick(k, 4);
    p.beta = bench ? 0 : (an_real[]){ 0, 1, AN_R(0.5) }[an_pick(k, 3)];
    const size_t a_size = extent(a_rows, a_wide, p.lda), b_size = extent(b_rows, b_wide, p.ldb);
    an_real *a = an_in_edit(k, "a", a_size, fill), *b = an_in_edit(k, "b", b_size, fill == AN_FILL_INF || fill == AN_FILL_NAN || fill == AN_FILL_TINY ? AN_FILL_NORMAL : fill);
    if (low) {
        const uint64_t stored = bench ? 3 : an_pick(k, 4);
        p.low_a = lower(k, "a as bf16", a, a_size, stored & 1);
        p.low_b = lower(k, "b as bf16", b, b_size, stored >> 1 & 1);
    }
    p.a = a;
    p.b = b;
    p.c_size = extent(p.m, p.n, p.ldc);
    an_out *c = an_out_new(k, "c", p.c_size, AN_FILL_NORMAL);
    if (p.beta == 0 && !bench)
        for (size_t i = 0; i < p.c_size; i++) an_out_set(c, i, (an_real)NAN);
    p.c_init = c->init;
    an_work(k, an_bytes(p.m * p.k + p.n * p.k + p.m * p.n), 2.0 * (double)p.m * (double)p.n * (double)p.k);
    for (int turn = 0; an_next_run(k); turn++) {
        p.level = an_run_level(k);
        p.c[0] = an_at(c);
        if (turn == 2 && !bench) run_together(k, &p);
        else run(&p, p.c[0], PLAIN);
    }
    if (bench) return;
    want(k, &p, c, c->init);
}

void an_check_gemm(an_check *k) { check(k, 0); }
void an_check_gemm_low(an_check *k) { check(k, 1); }
