/* cli/bench_machine.c
 * The limits of the machine: multiply-adds on registers per instruction set, reads from each cache, and streams
 * over arrays far beyond them (bench_stream.c). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/clock.h"
#include "core/cpu.h"
#include "core/real.h"
#include "core/threads.h"
#include "kern/gemm.h"
#include "kern/unroll.h"

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

/* Twelve chains: two units times at most five cycles, six where a multiplication and an addition follow each other, and sixteen registers
 * hold them and both constants. */
enum { CHAINS = 12 };
typedef float floats4 __attribute__((vector_size(16)));
#define MULTIPLY_ADDS(name, vector, step)                                               \
    static float name(size_t rounds)                                                    \
    {                                                                                   \
        const vector m = (vector){ 0 } + 0.999f, c = (vector){ 0 } + 0.001f;            \
        vector a[CHAINS], sum = c;                                                      \
        V_UNROLL for (int i = 0; i < CHAINS; i++) a[i] = m * (float)i;                  \
        for (size_t r = 0; r < rounds; r++)                                             \
            V_UNROLL for (int i = 0; i < CHAINS; i++) a[i] = step;                      \
        V_UNROLL for (int i = 0; i < CHAINS; i++) sum += a[i];                          \
        return sum[0];                                                                  \
    }

MULTIPLY_ADDS(multiply_adds, floats4, a[i] * m + c)

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx"))) MULTIPLY_ADDS(multiply_adds_avx, __m256, a[i] * m + c)
__attribute__((target("avx2,fma"))) MULTIPLY_ADDS(fma_avx2, __m256, _mm256_fmadd_ps(a[i], m, c))
__attribute__((target("avx512f"))) MULTIPLY_ADDS(fma_avx512, __m512, _mm512_fmadd_ps(a[i], m, c))

#if defined(__has_include)
#if __has_include(<amxbf16intrin.h>)
#define HAVE_TILES 1
/* Four sums of 16 x 16, operands from the first cache, 16 KiB each, of numbers with all their bits in use: on zeros the unit is faster. */
enum { TILE = 512, TILE_STEPS = 8, TILE_ROUNDS = 64 };   /* numbers of bf16 in a tile; steps along k; of FMA_ROUNDS, one sweep */
__attribute__((target("amx-tile,amx-bf16"))) static float fma_tiles(size_t rounds)
{
    struct { unsigned char palette, start, reserved[14]; unsigned short bytes[16]; unsigned char rows[16]; } shape = { .palette = 1 };
    _Alignas(64) an_bf16 a[2 * TILE * TILE_STEPS], b[2 * TILE * TILE_STEPS];
    _Alignas(64) float c[256];
    for (int t = 0; t < 8; t++) shape.bytes[t] = 64, shape.rows[t] = 16;
    for (size_t i = 0; i < sizeof a / sizeof *a; i++) {
        a[i] = an_bf16_round((float)(i * 37 % 101) / 101 - 0.5f);
        b[i] = an_bf16_round((float)(i * 53 % 103) / 103 - 0.5f);
    }
    _tile_loadconfig(&shape);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t r = 0; r < rounds / TILE_ROUNDS; r++)
        for (int k = 0; k < TILE_STEPS; k++) {
            _tile_loadd(6, b + 2 * k * TILE, 64);
            _tile_loadd(4, a + 2 * k * TILE, 64);
            _tile_loadd(7, b + (2 * k + 1) * TILE, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(5, a + (2 * k + 1) * TILE, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    _tile_stored(0, c, 64);
    _tile_release();
    return c[0];
}
#endif
#endif
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

enum { STREAM_PARTS = 64, CACHE_READ = 1 << 24 };   /* bytes that a thread reads per round */

/* Reads of the widest registers there are: narrower ones do not reach what the first cache gives. */
static float read_plain(const float *x, size_t n)
{
    float sum[16] = { 0 };
    for (size_t i = 0; i < n; i += 16)
        for (size_t j = 0; j < 16; j++) sum[j] += x[i + j];
    return sum[0] + sum[15];
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static float read_avx2(const float *x, size_t n)
{
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < n; i += 64) {
        const __m256i *p = (const __m256i *)(const void *)(x + i);
        a = _mm256_or_si256(_mm256_or_si256(a, p[0]), p[4]);
        b = _mm256_or_si256(_mm256_or_si256(b, p[1]), p[5]);
        c = _mm256_or_si256(_mm256_or_si256(c, p[2]), p[6]);
        d = _mm256_or_si256(_mm256_or_si256(d, p[3]), p[7]);
    }
    return _mm256_cvtss_f32(_mm256_castsi256_ps(_mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d))));
}
#endif

typedef struct cache_work { const float *x; size_t each; volatile float sink[256]; } cache_work;
static void cache_part(void *ctx, size_t i, int thread)
{
    cache_work *w = ctx;
    const float *x = w->x + i * w->each;
    float sum = 0;
    (void)thread;
    for (size_t done = 0; done < CACHE_READ; done += w->each * sizeof *x) {
#if defined(__x86_64__)
        if (an_cpu()->avx2) {
            sum += read_avx2(x, w->each);
            continue;
        }
#endif
        sum += read_plain(x, w->each);
    }
    w->sink[i % 256] = sum;
}

/* Levels that share a cache share its size too: L3 is taken to be one for all threads. */
static an_status measure_caches(an_bench *bench)
{
    static const char *const NAMES[] = { "L1", "L2", "L3" };
    an_bench_limits *l = &bench->limits;
    const size_t size[] = { an_cpu()->l1d, an_cpu()->l2, an_cpu()->l3 / (size_t)l->threads };
    for (int level = 0; level < 3; level++) {
        cache_work work = { .each = size[level] / 2 / (64 * sizeof(float)) * 64 };
        an_block block;
        if (work.each == 0 || (level > 0 && size[level] <= size[level - 1])) continue;
        AN_TRY(an_block_init(&block, work.each * (size_t)l->threads, "bench: arrays that fit a cache"));
        for (size_t i = 0; i < block.count; i++) block.data[i] = 1;
        work.x = (const float *)(void *)block.data;
        for (int all = 0; all < 2; all++) {
            an_bench one = *bench;
            one.threads = all ? l->threads : 1;
            const size_t passes = (CACHE_READ + work.each * sizeof(float) - 1) / (work.each * sizeof(float));
            l->cache[l->caches].read[all] = (double)(passes * work.each * sizeof(float)) * one.threads / an_bench_time(&one, (size_t)one.threads, cache_part, &work);
        }
        l->cache[l->caches].bytes = work.each * sizeof(float);
        l->cache[l->caches++].name = NAMES[level];
        an_block_fini(&block);
    }
    return AN_OK;
}

/* The better of the two kinds of stores; each: both, ordinary first; NULL: not wanted. */
static double stream_rate(const an_bench *bench, an_bench_stream s, int reads, int writes, double each[2])
{
    s.reads = reads;
    s.writes = writes;
    an_bench_stream past = s;
    past.past = true;
    an_bench_runner way[2] = { { .phase = { { an_bench_stream_part, &s } } }, { .phase = { { an_bench_stream_part, &past } } } };
    an_bench_race(bench, STREAM_PARTS, way, 2);
    const double bytes = (double)(reads + writes) * (double)s.count * sizeof(float);
    for (int i = 0; i < 2 && each; i++) each[i] = bytes / way[i].best;
    return bytes / (way[0].best < way[1].best ? way[0].best : way[1].best);
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
        double each[2];
        l->read[all] = stream_rate(&one, s, 1, 0, NULL);
        l->copy[all] = stream_rate(&one, s, 1, 1, NULL);
        l->triad[all] = stream_rate(&one, s, 2, 1, each);
        l->plain[all] = each[0];
        l->past[all] = each[1];
    }
    l->stream_bytes = bytes;
    an_block_fini(&block);
    return AN_OK;
}

an_status an_bench_machine(an_bench *bench)
{
    an_bench_limits *l = &bench->limits;
    l->threads = bench->threads;
    measure_fma(bench, &(fma_case){ "baseline", multiply_adds, CHAINS * 4 * 2 });
#if defined(__x86_64__)
    if (an_cpu()->avx) measure_fma(bench, &(fma_case){ "avx", multiply_adds_avx, CHAINS * 8 * 2 });
    if (an_cpu()->avx2) measure_fma(bench, &(fma_case){ "avx2", fma_avx2, CHAINS * 8 * 2 });
    if (an_cpu()->avx512) measure_fma(bench, &(fma_case){ "avx512", fma_avx512, CHAINS * 16 * 2 });
#endif
    AN_TRY(measure_caches(bench));
    AN_TRY(measure_stream(bench));
    for (int all = 0; all < 2; all++) {   /* on a busy machine more threads can be slower */
        for (size_t i = 0; i < l->isas; i++)
            if (l->fma[i].flops[all] > l->flops) l->flops = l->fma[i].flops[all];
        const double best = l->copy[all] > l->triad[all] ? l->copy[all] : l->triad[all];
        if (best > l->bytes) l->bytes = best;
    }
    l->low_flops = l->flops;
#ifdef HAVE_TILES
    if (an_cpu()->amx && an_gemm_get()->low_unit) {   /* last, so that f32 rows are not held against it */
        measure_fma(bench, &(fma_case){ "amx, bf16", fma_tiles, 4.0 * 16 * 16 * 32 * 2 * TILE_STEPS / TILE_ROUNDS });
        for (int all = 0; all < 2; all++)
            if (l->fma[l->isas - 1].flops[all] > l->low_flops) l->low_flops = l->fma[l->isas - 1].flops[all];
    }
#endif
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
    const double compute = row->flops / (row->low ? l->low_flops : l->flops), memory = row->stream > 0 ? row->stream : row->bytes / l->bytes;
    *by_bytes = memory > compute;
    return *by_bytes ? memory : compute;
}
