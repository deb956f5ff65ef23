/* kern/gemm: what a product owes the program around it, whichever back end runs it. (Its values: tests/kern, tests/prop.) */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "core/arena.h"
#include "kern/gemm.h"
#include "kern/gemm_micro.h"

extern const an_gemm_micro an_amx_emulated_gemm_micro;   /* tests/kern: the kernel that hands blocks over, on any processor */

/* A handler's frame must lie on a stack, not below a block from malloc, over what lies there. */
static uintptr_t stack_low, stack_high;
static volatile sig_atomic_t handled, strayed;

static void on_alarm(int number)
{
    (void)number;
    const uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    handled++;
    if (here < stack_low || here >= stack_high) strayed++;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct shape_of { size_t m, n, k; } shape_of;

static void signals_find_a_stack(void **state)
{
    (void)state;
    /* A tiny model's products, a middling one's, and long sums. */
    static const shape_of SHAPES[] = { { 32, 48, 16 }, { 32, 16, 64 }, { 16, 64, 32 }, { 48, 16, 32 }, { 256, 384, 96 }, { 8, 8, 4096 }, { 64, 64, 10000 } };
    enum { MOST = 64 * 10000 };
    pthread_attr_t attr;
    void *low;
    size_t size;
    assert_int_equal(pthread_getattr_np(pthread_self(), &attr), 0);
    assert_int_equal(pthread_attr_getstack(&attr, &low, &size), 0);
    pthread_attr_destroy(&attr);
    stack_low = (uintptr_t)low;
    stack_high = stack_low + size;
    an_real *a = calloc(MOST, sizeof *a), *b = calloc(MOST, sizeof *b), *c = calloc(MOST, sizeof *c);
    assert_true(a && b && c);
    struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, before;
    sigemptyset(&act.sa_mask);
    sigaction(SIGALRM, &act, &before);
    const struct itimerval often = { { 0, 50 }, { 0, 50 } }, never = { { 0, 0 }, { 0, 0 } };
    setitimer(ITIMER_REAL, &often, NULL);
    for (size_t s = 0; s < COUNT(SHAPES) * AN_GEMM_BACKENDS; s++)
        for (int transposed = 0; transposed < 4; transposed++) {
            const an_gemm_backend *back = an_gemm_by_name(an_gemm_name(s / COUNT(SHAPES)));
            if (!back) continue;
            const shape_of *shape = &SHAPES[s % COUNT(SHAPES)];
            const int ta = transposed & 1, tb = transposed >> 1;
            const size_t m = shape->m, n = shape->n, k = shape->k;
            const an_operand low_a = { a, ta ? m : k, AN_STORE_BF16 }, low_b = { b, tb ? k : n, AN_STORE_BF16 };   /* zeros are zeros in both */
            for (const double end = seconds() + 0.01; seconds() < end && !strayed; ) {
                back->run(ta, tb, m, n, k, a, low_a.ld, b, low_b.ld, 0, c, n);
                if (back->run_low) back->run_low(ta, tb, m, n, k, low_a, low_b, 0, c, n);
            }
        }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_true(handled > 20);
    assert_int_equal(strayed, 0);
    free(a);
    free(b);
    free(c);
}

/* --- blocks handed over ---------------------------------------------------------------------------------------- */

typedef struct handed { an_sink sink; an_real *c; size_t ldc, blocks, narrow; an_product x; bool short_of_memory; void (*run)(const an_product *x); } handed;

static void take(const an_sink *sink, size_t i, size_t j, size_t m, size_t n, an_real *sums, size_t ld)
{
    handed *h = (handed *)(uintptr_t)sink;
    h->blocks++;
    h->narrow += n < h->x.n;
    for (size_t r = 0; r < m; r++) memcpy(h->c + (i + r) * h->ldc + j, sums + r * ld, n * sizeof *sums);
}

static void *run_handed(void *arg)
{
    handed *h = arg;
    if (h->short_of_memory) an_alloc_fail_after(1);
    h->run(&h->x);
    an_alloc_fail_after(0);
    return NULL;
}

/* A sink sees every element once, all columns of a narrow product at a time, the same bits with and without memory for packing. */
static void sink_sees_all(void (*run)(const an_product *x))
{
    static const shape_of SHAPES[] = { { 300, AN_SINK_WIDTH, 400 }, { 33, 100, 1000 }, { 70, AN_SINK_WIDTH + 1, 64 }, { 260, 1600, 40 } };
    for (size_t s = 0; s < COUNT(SHAPES); s++) {
        const size_t m = SHAPES[s].m, n = SHAPES[s].n, k = SHAPES[s].k;
        an_real *a = calloc(m * k, sizeof *a), *b = calloc(n * k, sizeof *b), *c[3];
        assert_true(a && b);
        for (size_t i = 0; i < m * k; i++) a[i] = (an_real)((i * 37 + 11) % 101) / 101 - AN_R(0.5);
        for (size_t i = 0; i < n * k; i++) b[i] = (an_real)((i * 53 + 7) % 89) / 89 - AN_R(0.5);
        for (int way = 0; way < 3; way++) {
            c[way] = malloc(m * n * sizeof **c);
            assert_non_null(c[way]);
            for (size_t i = 0; i < m * n; i++) c[way][i] = AN_R(NAN);
            handed h = { .sink = { take }, .c = c[way], .ldc = n, .short_of_memory = way == 2, .run = run, .x = { 0, 1, m, n, k, { a, k, AN_STORE_REAL }, { b, k, AN_STORE_REAL }, .beta = 0 } };
            if (way > 0) h.x.sink = &h.sink;
            else h.x.c = c[way], h.x.ldc = n;
            pthread_t thread;                            /* one that has no room for packing yet */
            assert_int_equal(pthread_create(&thread, NULL, run_handed, &h), 0);
            assert_int_equal(pthread_join(thread, NULL), 0);
            assert_int_equal(h.blocks > 0, way > 0);
            assert_true(n > AN_SINK_WIDTH || h.narrow == 0);
            assert_memory_equal(c[0], c[way], m * n * sizeof **c);
        }
        for (int way = 0; way < 3; way++) free(c[way]);
        free(a);
        free(b);
    }
}

static void run_emulated(const an_product *x) { an_gemm_native_with(&an_amx_emulated_gemm_micro, x); }

static void sinks_see_all(void **state)
{
    (void)state;
    const an_gemm_packing *here = an_gemm_get()->ahead_low;
    sink_sees_all(run_emulated);
    if (here && here->sinks) sink_sees_all(here->run);   /* the processor's own tiles */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(signals_find_a_stack), cmocka_unit_test(sinks_see_all) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
