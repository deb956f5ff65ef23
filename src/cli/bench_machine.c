/* cli/bench_machine.c
 * The limits of the machine: multiply-adds on registers per instruction set, and copy and triad over arrays far beyond
 * the caches. The loops hold enough independent chains to hide the latency of a multiply-add (two units of four to five cycles). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/threads.h"

double an_bench_time(const an_bench *bench, size_t parts, void (*part)(void *ctx, size_t i, int thread), void *ctx)
{
    double best = 0, spent = 0;
    an_parallel_for(bench->threads, parts, part, ctx);   /* pages touched, caches and clock warm */
    for (int round = 0; round < 3 || (spent < bench->seconds && round < 10000); round++) {
        const double began = an_clock();
        an_parallel_for(bench->threads, parts, part, ctx);
        const double took = an_clock() - began;
        spent += took;
        if (round == 0 || took < best) best = took;
    }
    return best;
}

/* ---- multiply-adds ---- */

enum { FMA_ROUNDS = 2000000 };
typedef float fma_fn(size_t rounds);   /* its result keeps the compiler from leaving the work out */
typedef struct fma_case { const char *isa; fma_fn *run; double flops_per_round; } fma_case;

static float fma_scalar(size_t rounds)
{
    float a[16] = { 0 };
    for (size_t r = 0; r < rounds; r++)
        for (int i = 0; i < 16; i++) a[i] = a[i] * 0.999f + 0.001f;
    float sum = 0;
    for (int i = 0; i < 16; i++) sum += a[i];
    return sum;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Twelve chains: two units times at most five cycles, and the registers of AVX2 still hold them and both constants. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

__attribute__((target("avx2,fma"))) static float fma_avx2(size_t rounds)
{
    const __m256 m = _mm256_set1_ps(0.999f), c = _mm256_set1_ps(0.001f);
#define START(i) __m256 a##i = _mm256_set1_ps(0.1f * (float)i);
#define ROUND(i) a##i = _mm256_fmadd_ps(a##i, m, c);
#define FINISH(i) sum = _mm256_add_ps(sum, a##i);
    CHAINS(START)
    for (size_t r = 0; r < rounds; r++) { CHAINS(ROUND) }
    __m256 sum = m;
    CHAINS(FINISH)
#undef START
#undef ROUND
#undef FINISH
    return _mm256_cvtss_f32(sum);
}

__attribute__((target("avx512f"))) static float fma_avx512(size_t rounds)
{
    const __m512 m = _mm512_set1_ps(0.999f), c = _mm512_set1_ps(0.001f);
#define START(i) __m512 a##i = _mm512_set1_ps(0.1f * (float)i);
#define ROUND(i) a##i = _mm512_fmadd_ps(a##i, m, c);
#define FINISH(i) sum = _mm512_add_ps(sum, a##i);
    CHAINS(START)
    for (size_t r = 0; r < rounds; r++) { CHAINS(ROUND) }
    __m512 sum = m;
    CHAINS(FINISH)
#undef START
#undef ROUND
#undef FINISH
    return _mm512_cvtss_f32(sum);
}
#endif

typedef struct fma_work { fma_fn *run; volatile float sink[256]; } fma_work;
static void fma_part(void *ctx, size_t i, int thread)
{
    fma_work *w = ctx;
    (void)thread;
    w->sink[i % 256] = w->run(FMA_ROUNDS);
}

static void measure_fma(an_bench *bench, const fma_case *c)
{
    an_bench_limits *l = &bench->limits;
    fma_work work = { .run = c->run };
    for (int all = 0; all < 2; all++) {
        const int threads = all ? l->threads : 1;
        an_bench one = *bench;
        one.threads = threads;
        const double seconds = an_bench_time(&one, (size_t)threads, fma_part, &work);
        l->fma[l->isas].flops[all] = c->flops_per_round * FMA_ROUNDS * threads / seconds;
    }
    l->fma[l->isas++].isa = c->isa;
}

/* ---- memory ---- */

enum { STREAM_PARTS = 16 };
typedef struct stream { float *a, *b, *c; size_t count; } stream;

static void part_range(size_t count, size_t i, size_t *first, size_t *n)
{
    *first = count / STREAM_PARTS * i;
    *n = count / STREAM_PARTS;
}

static void copy_part(void *ctx, size_t i, int thread)
{
    const stream *s = ctx;
    size_t first, n;
    (void)thread;
    part_range(s->count, i, &first, &n);
    memcpy(s->a + first, s->b + first, n * sizeof *s->a);
}

static void triad_part(void *ctx, size_t i, int thread)
{
    const stream *s = ctx;
    size_t first, n;
    (void)thread;
    part_range(s->count, i, &first, &n);
    float *restrict a = s->a + first;
    const float *restrict b = s->b + first, *restrict c = s->c + first;
    for (size_t k = 0; k < n; k++) a[k] = b[k] + 0.5f * c[k];
}

static an_status measure_stream(an_bench *bench)
{
    an_bench_limits *l = &bench->limits;
    size_t bytes = an_cpu()->l3 * 2;
    if (bytes < 64u << 20) bytes = 64u << 20;
    if (bytes > 256u << 20) bytes = 256u << 20;
    stream s = { .count = bytes / sizeof(float) / STREAM_PARTS * STREAM_PARTS };
    s.a = an_alloc(bytes);
    s.b = an_alloc(bytes);
    s.c = an_alloc(bytes);
    const bool ok = s.a && s.b && s.c;
    for (int all = 0; ok && all < 2; all++) {
        an_bench one = *bench;
        one.threads = all ? l->threads : 1;
        l->copy[all] = 2.0 * (double)bytes / an_bench_time(&one, STREAM_PARTS, copy_part, &s);
        l->triad[all] = 3.0 * (double)bytes / an_bench_time(&one, STREAM_PARTS, triad_part, &s);
    }
    l->stream_bytes = bytes;
    free(s.a);
    free(s.b);
    free(s.c);
    return ok ? AN_OK : an_fail(AN_ENOMEM, "bench: no memory for three arrays of %zu bytes", bytes);
}

an_status an_bench_machine(an_bench *bench)
{
    an_bench_limits *l = &bench->limits;
    l->threads = bench->threads;
    measure_fma(bench, &(fma_case){ "baseline", fma_scalar, 32 });
#if defined(__x86_64__)
    if (an_cpu()->avx2) measure_fma(bench, &(fma_case){ "avx2", fma_avx2, 12 * 8 * 2 });
    if (an_cpu()->avx512) measure_fma(bench, &(fma_case){ "avx512", fma_avx512, 12 * 16 * 2 });
#endif
    AN_TRY(measure_stream(bench));
    for (int all = 0; all < 2; all++) {   /* on a busy machine more threads can be slower */
        for (size_t i = 0; i < l->isas; i++)
            if (l->fma[i].flops[all] > l->flops) l->flops = l->fma[i].flops[all];
        const double best = l->copy[all] > l->triad[all] ? l->copy[all] : l->triad[all];
        if (best > l->bytes) l->bytes = best;
    }
    return AN_OK;
}

an_status an_bench_add(an_bench *bench, const an_bench_row *row)
{
    if (bench->count == bench->capacity) {
        const size_t capacity = bench->capacity ? bench->capacity * 2 : 32;
        an_bench_row *grown = an_realloc(bench->rows, capacity * sizeof *grown);
        if (!grown) return an_fail(AN_ENOMEM, "bench: no memory for results");
        bench->rows = grown;
        bench->capacity = capacity;
    }
    bench->rows[bench->count++] = *row;
    return AN_OK;
}

double an_bench_bound(const an_bench_limits *l, const an_bench_row *row, bool *by_bytes)
{
    const double compute = row->flops / l->flops, memory = row->bytes / l->bytes;
    *by_bytes = memory > compute;
    return *by_bytes ? memory : compute;
}
