/* core/threads_pool.c
 * A team of our own: helpers spin for some microseconds after a job, which keeps the next parallel loop cheap, and then
 * sleep on a futex, which keeps a shared machine fast; a runtime that spins for milliseconds ran a small model six times
 * slower than this on a loaded machine (SPEED.md). One job at a time. Every thread has a share of neighbouring parts, whose operands lie beside each
 * other and, from one loop to the next, often in its own cache; who is done with its share takes from those of the others.
 *
 * A helper may join a job as long as it is open, and the caller leaves when it has closed the job and nobody is joined.
 * Job fields are written only between the two, so whoever sees `open` sees them whole. */
#include "core/threads.h"

#ifndef AN_THREADS_OPENMP

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/faults.h"
#include "core/flush.h"

enum { MOST = 1024, SPINS = 1500 };   /* a spin is one pause: 10 to 40 ns */

typedef struct share { _Alignas(64) atomic_size_t next; size_t end; } share;   /* parts that are still to be taken; a line of its own each */

static struct team {
    pthread_mutex_t use;               /* held by the caller whose job it is */
    pthread_t helper[MOST];
    int helpers;
    bool prepared;                     /* fork handler installed */
    /* the job */
    void (*part)(void *ctx, size_t i, int thread);
    void *ctx;
    int threads;
    share share[MOST];
    atomic_int open, joined, sleeping, quit;
    atomic_uint epoch;                 /* one more per job; what helpers sleep on */
} team = { .use = PTHREAD_MUTEX_INITIALIZER };

static _Thread_local bool inside;      /* this thread is running a part, or is a helper: loops within stay on it */

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void futex_wait(atomic_uint *word, unsigned seen) { syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0); }
static void futex_wake_all(atomic_uint *word) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0); }

static void deal(size_t n, int threads)
{
    const size_t each = n / (size_t)threads, more = n % (size_t)threads;
    size_t at = 0;
    for (int i = 0; i < threads; i++) {
        atomic_store_explicit(&team.share[i].next, at, memory_order_relaxed);
        at += each + ((size_t)i < more);
        team.share[i].end = at;
    }
}

static void work(int id)
{
    for (int k = 0; k < team.threads; k++) {
        share *s = &team.share[(id + k) % team.threads];
        for (size_t i; atomic_load_explicit(&s->next, memory_order_relaxed) < s->end && (i = atomic_fetch_add(&s->next, 1)) < s->end;) team.part(team.ctx, i, id);   /* an empty share is only read */
    }
}

static void join_job(int id)
{
    atomic_fetch_add(&team.joined, 1);
    if (atomic_load(&team.open) && id < team.threads) work(id);
    atomic_fetch_sub(&team.joined, 1);
}

/* Waits for another job than `seen`: awake for a while, then asleep. */
static unsigned wait_for_job(unsigned seen)
{
    for (int k = 0; k < SPINS; k++) {
        if (atomic_load_explicit(&team.epoch, memory_order_relaxed) != seen) return atomic_load(&team.epoch);
        pause_briefly();
    }
    atomic_fetch_add(&team.sleeping, 1);
    while (atomic_load(&team.epoch) == seen) futex_wait(&team.epoch, seen);
    atomic_fetch_sub(&team.sleeping, 1);
    return atomic_load(&team.epoch);
}

static void *helper_main(void *arg)
{
    const int id = (int)(intptr_t)arg;
    unsigned seen = 0;
    inside = true;
    an_flush_begin();
    while (!atomic_load(&team.quit)) {
        seen = wait_for_job(seen);
        join_job(id);
    }
    return NULL;
}

static void announce(void)
{
    atomic_fetch_add(&team.epoch, 1);
    if (atomic_load(&team.sleeping)) futex_wake_all(&team.epoch);
}

static void forget_team(void)          /* a forked child has the caller's thread alone */
{
    team.helpers = 0;
    atomic_store(&team.open, 0);
    atomic_store(&team.joined, 0);
    atomic_store(&team.sleeping, 0);
    pthread_mutex_init(&team.use, NULL);
}

/* A new thread inherits this mask: signals sent to the process are for the program's own threads, faults stay with theirs, and a profiler sees all. */
static void block_signals(sigset_t *before)
{
    sigset_t all;
    an_signals_but_faults(&all);
    sigdelset(&all, SIGPROF);
    pthread_sigmask(SIG_SETMASK, &all, before);
}

static void grow_team(int threads)
{
    sigset_t before;
    if (!team.prepared) team.prepared = pthread_atfork(NULL, NULL, forget_team) == 0;
    if (team.helpers >= threads - 1) return;
    block_signals(&before);
    while (team.helpers < threads - 1 && pthread_create(&team.helper[team.helpers], NULL, helper_main, (void *)(intptr_t)(team.helpers + 1)) == 0) team.helpers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

__attribute__((destructor)) static void end_team(void)
{
    atomic_store(&team.quit, 1);
    announce();
    for (int i = 0; i < team.helpers; i++) pthread_join(team.helper[i], NULL);
    team.helpers = 0;
}

void an_parallel_for(int threads, size_t n, void (*part)(void *ctx, size_t i, int thread), void *ctx)
{
    const an_float_mode before = an_flush_begin();
    if (threads <= 1 || n <= 1 || inside || pthread_mutex_trylock(&team.use) != 0) {
        for (size_t i = 0; i < n; i++) part(ctx, i, 0);
        an_float_mode_set(before);
        return;
    }
    if (threads > MOST) threads = MOST;
    grow_team(threads);
    team.part = part;
    team.ctx = ctx;
    team.threads = threads;
    deal(n, threads);
    atomic_store(&team.open, 1);
    announce();
    inside = true;
    work(0);
    inside = false;
    atomic_store(&team.open, 0);
    for (int k = 0; atomic_load(&team.joined); k++) {
        if (k < SPINS) pause_briefly();
        else sched_yield();
    }
    pthread_mutex_unlock(&team.use);
    an_float_mode_set(before);
}

const char *an_threads_backend(void) { return "pool"; }

#else
typedef int an_threads_are_openmp;   /* a translation unit may not be empty */
#endif
