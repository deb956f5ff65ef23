/* core/threads.c
 * How many processors there are, and how libraries that bring threads of their own are kept on the caller's. The teams
 * themselves are in threads_pool.c (the default) and threads_openmp.c. */
#include "core/threads.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* cgroup v2 "max period", rounded up to whole processors; 0 when unlimited or unknown. */
static int quota_processors(void)
{
    long quota = -1, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (f) {
        if (fscanf(f, "%ld %ld", &quota, &period) != 2) quota = -1;
        fclose(f);
    }
    return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

int an_threads_available(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    const int quota = quota_processors();
    const char *omp = getenv("OMP_NUM_THREADS");
    const int asked = omp ? atoi(omp) : 0;
    if (quota > 0 && quota < n) n = quota;
    if (asked > 0 && asked < n) n = asked;
    return n > 0 ? n : 1;
}

/* Weak, because a library may bring the runtime along where this build has none. The setting belongs to the calling
 * thread (or task) alone: other members of a team are not touched. */
extern int omp_get_max_threads(void) __attribute__((weak));
extern void omp_set_num_threads(int) __attribute__((weak));

int an_threads_hold(void)
{
    if (!omp_get_max_threads || !omp_set_num_threads) return 0;
    const int held = omp_get_max_threads();
    if (held > 1) omp_set_num_threads(1);
    return held;
}

void an_threads_release(int held)
{
    if (held > 1) omp_set_num_threads(held);
}
