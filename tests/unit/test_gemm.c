/* kern/gemm: what a product owes the program around it, whichever back end runs it. (Its values: tests/kern, tests/prop.) */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include "kern/gemm.h"

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
    static const char *const NAMES[] = { "onednn", "cblas", "native", "ref" };
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
    for (size_t s = 0; s < COUNT(SHAPES) * COUNT(NAMES); s++)
        for (int transposed = 0; transposed < 4; transposed++) {
            const an_gemm_backend *back = an_gemm_by_name(NAMES[s / COUNT(SHAPES)]);
            if (!back) continue;
            const shape_of *shape = &SHAPES[s % COUNT(SHAPES)];
            const int ta = transposed & 1, tb = transposed >> 1;
            const size_t m = shape->m, n = shape->n, k = shape->k;
            for (const double end = seconds() + 0.01; seconds() < end && !strayed; )
                back->run(ta, tb, m, n, k, a, ta ? m : k, b, tb ? k : n, 0, c, n);
        }
    setitimer(ITIMER_REAL, &never, NULL);
    sigaction(SIGALRM, &before, NULL);
    assert_true(handled > 20);
    assert_int_equal(strayed, 0);
    free(a);
    free(b);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(signals_find_a_stack) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
