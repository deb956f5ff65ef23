/* core/threads.c
 * OpenMP (libgomp: the runtime that Debian's oneDNN uses, so one process holds one team). Under the thread sanitizer,
 * which cannot see into libgomp, the same contract is kept by plain pthreads. */
#include "core/threads.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define AN_USE_PTHREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define AN_USE_PTHREADS 1
#endif
#endif

#if defined(AN_USE_PTHREADS)

#include <pthread.h>
#include <stdatomic.h>

typedef struct team { void (*part)(void *, size_t, int); void *ctx; size_t n; atomic_size_t next; } team;
typedef struct member { team *team; int id; } member;

static void *work(void *arg)
{
    const member *m = arg;
    for (size_t i; (i = atomic_fetch_add(&m->team->next, 1)) < m->team->n;) m->team->part(m->team->ctx, i, m->id);
    return NULL;
}

void an_parallel_for(int threads, size_t n, void (*part)(void *ctx, size_t i, int thread), void *ctx)
{
    enum { MOST = 64 };
    if (threads > MOST) threads = MOST;
    team t = { part, ctx, n, 0 };
    pthread_t id[MOST];
    member m[MOST];
    int started = 0;
    for (int k = 1; k < threads && (size_t)k < n; k++) {
        m[started] = (member){ &t, k };
        if (pthread_create(&id[started], NULL, work, &m[started]) != 0) break;
        started++;
    }
    member self = { &t, 0 };
    work(&self);
    for (int k = 0; k < started; k++) pthread_join(id[k], NULL);
}

const char *an_threads_backend(void) { return "pthreads"; }

#else

void an_parallel_for(int threads, size_t n, void (*part)(void *ctx, size_t i, int thread), void *ctx)
{
    if (threads <= 1 || n <= 1) {
        for (size_t i = 0; i < n; i++) part(ctx, i, 0);
        return;
    }
#ifdef _OPENMP
    extern int omp_get_thread_num(void);
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (size_t i = 0; i < n; i++) part(ctx, i, omp_get_thread_num());
#else
    for (size_t i = 0; i < n; i++) part(ctx, i, 0);
#endif
}

const char *an_threads_backend(void)
{
#ifdef _OPENMP
    return "OpenMP";
#else
    return "serial";
#endif
}

#endif

/* cgroup v2 "max period" or v1 quota, rounded up to whole processors; 0 when unlimited or unknown. */
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
