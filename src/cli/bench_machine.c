/* cli/bench_machine.c
 * The limits of the machine: multiply-adds on registers per instruction set, and streams over arrays far beyond
 * the caches (bench_stream.c). The loops hold enough independent chains to hide the latency of a multiply-add (two units of four to five cycles). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/threads.h"

void an_bench_race(const an_bench *bench, size_t parts, an_bench_runner *runner, size_t runners)
{
    double spent = 0;
    for (int round = -1; round < 3 || (spent < bench->seconds * (double)runners && round < 10000); round++)   /* -1: pages touched, caches and clock warm */
        for (size_t i = 0; i < runners; i++) {
            const double began = an_clock();
            for (int p = 0; p < 2; p++)
                if (runner[i].phase[p].part) an_parallel_for(bench->threads, parts, runner[i].phase[p].part, runner[i].phase[p].ctx);
            const double took = an_clock() - began;
            if (round >= 0) spent += took;
            if (round <= 0 || took < runner[i].best) runner[i].best = took;
        }
}

double an_bench_time(const an_bench *bench, size_t parts, void (*part)(void *ctx, size_t i, int thread), void *ctx)
{
    an_bench_runner one = { .phase = { { part, ctx } } };
    an_bench_race(bench, parts, &one, 1);
    return one.best;
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

enum { STREAM_PARTS = 64 };

static double stream_rate(const an_bench *bench, an_bench_stream s, int reads, int writes)
{
    s.reads = reads;
    s.writes = writes;
    an_bench_stream past = s;
    past.past = true;
    an_bench_runner way[2] = { { .phase = { { an_bench_stream_part, &s } } }, { .phase = { { an_bench_stream_part, &past } } } };
    an_bench_race(bench, STREAM_PARTS, way, 2);
    return (double)(reads + writes) * (double)s.count * sizeof(float) / (way[0].best < way[1].best ? way[0].best : way[1].best);
}

static an_status measure_stream(an_bench *bench)
{
    an_bench_limits *l = &bench->limits;
    size_t bytes = an_cpu()->l3 * 2;
    if (bytes < 64u << 20) bytes = 64u << 20;
    if (bytes > 256u << 20) bytes = 256u << 20;
    an_bench_stream s = { .count = bytes / sizeof(float) / (STREAM_PARTS * 16) * (STREAM_PARTS * 16), .parts = STREAM_PARTS };
    an_block block;
    AN_TRY(an_block_init(&block, 3 * bytes / sizeof(an_real), "bench: three arrays to stream"));
    for (size_t i = 0; i < 3; i++) s.array[i] = (float *)(void *)block.data + i * s.count;
    memset(block.data, 0, 3 * bytes);   /* untouched pages would all be one page of zeros */
    for (int all = 0; all < 2; all++) {
        an_bench one = *bench;
        one.threads = all ? l->threads : 1;
        l->read[all] = stream_rate(&one, s, 1, 0);
        l->copy[all] = stream_rate(&one, s, 1, 1);
        l->triad[all] = stream_rate(&one, s, 2, 1);
    }
    l->stream_bytes = bytes;
    an_block_fini(&block);
    return AN_OK;
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
    const double compute = row->flops / l->flops, memory = row->stream > 0 ? row->stream : row->bytes / l->bytes;
    *by_bytes = memory > compute;
    return *by_bytes ? memory : compute;
}
