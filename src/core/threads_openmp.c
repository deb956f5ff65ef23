/* core/threads_openmp.c
 * The team of an OpenMP runtime (-DAN_THREADS=openmp): for programs that already run one and want no second set of threads.
 * Its idle members spin for milliseconds, which a loaded machine pays for dearly (SPEED.md); the pool is the default. */
#include "core/threads.h"

#ifdef AN_THREADS_OPENMP

#include <omp.h>

#include "core/flush.h"

void an_parallel_for(int threads, size_t n, void (*part)(void *ctx, size_t i, int thread), void *ctx)
{
#pragma omp parallel num_threads(threads < 1 ? 1 : threads) if (threads > 1 && n > 1 && !omp_in_parallel())
    {
        const an_float_mode before = an_flush_begin();
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < n; i++) part(ctx, i, omp_get_thread_num());
        an_float_mode_set(before);
    }
}

const char *an_threads_backend(void) { return "OpenMP"; }

#else
typedef int an_threads_are_a_pool;   /* a translation unit may not be empty */
#endif
