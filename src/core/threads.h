/* core/threads.h
 * The only place that knows threads. Work is cut into parts whose number depends on shapes alone, never on the number
 * of threads, and every part writes memory no other part writes: the same bits come out for any thread count. */
#ifndef AN_CORE_THREADS_H
#define AN_CORE_THREADS_H

#include <stddef.h>

/* Calls part(ctx, i, thread) for i in [0, n), on at most `threads` threads (0 <= thread < threads), dynamically scheduled.
 * Returns when all parts are done. Called from within a part, or while another caller has the team, it runs on its caller
 * alone. There are never fewer threads than one: a team that cannot be had costs speed, not the result. Numbers below the smallest normal
 * one count as zero within parts (flush.h). */
void an_parallel_for(int threads, size_t n, void (*part)(void *ctx, size_t i, int thread), void *ctx);

int an_threads_available(void);   /* processors this process may run on (affinity mask, cgroup quota, OMP_NUM_THREADS), at least 1 */
const char *an_threads_backend(void);   /* "pool" or "OpenMP" */

/* Around a call into a library that has its own OpenMP loops: between the two it stays on the calling thread, inside a
 * parallel region or outside one, so that its result cannot depend on the number of threads.
 *     const int held = an_threads_hold();  library_call();  an_threads_release(held); */
int an_threads_hold(void);
void an_threads_release(int held);

#endif
