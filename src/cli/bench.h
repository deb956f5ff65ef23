/* cli/bench.h
 * Measuring, shared by cmd_bench.c and bench_*.c. Time is the best of several passes: interference only ever adds. */
#ifndef AN_CLI_BENCH_H
#define AN_CLI_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum { AN_BENCH_ISAS = 5 };   /* baseline, AVX, AVX2, AVX-512, AMX */

/* What this machine can do at most, measured. Bytes are those the program names (read + written, no write-allocate). */
typedef struct an_bench_limits {
    int threads;
    double read[2], copy[2], triad[2];   /* bytes per second, on one thread and on all */
    size_t stream_bytes;             /* of one array */
    double plain[2], past[2];        /* triad with ordinary stores, and with stores past the caches; `triad` is the better */
    struct { const char *isa; double flops[2]; } fma[AN_BENCH_ISAS];
    size_t isas;
    struct { const char *name; size_t bytes; double read[2]; } cache[3];   /* each thread reads an array of its own of half the level */
    size_t caches;
    double flops, low_flops, bytes;  /* the limits that rows are held against: best FMA rate, that of bf16 products, best of copy and triad */
} an_bench_limits;

typedef struct an_bench_row {
    const char *group;               /* "kernel", "product", "step", "op", "decode" */
    char name[48], shape[64];
    double seconds, flops, bytes;    /* of one call; flops, bytes 0: not counted */
    double tokens;                   /* made by one call; 0: none */
    double stream;                   /* seconds of plain streams over the same arrays, measured in turn with the row; 0: take limits.bytes */
    bool low;                        /* products of bf16 operands: held against limits.low_flops */
    double over;                     /* how many times as fast as its f32 contender, of the same rounds; 0: none */
    double share;                    /* of the whole that the group's rows are parts of; 0: none */
    const char *note;                /* "" or what arithmetic it is; static; NULL: none */
} an_bench_row;

typedef struct an_bench {
    an_bench_limits limits;
    an_bench_row *rows;
    size_t count, capacity;
    int threads;
    double seconds;                  /* to spend on each row */
    void (*tick)(void *ctx, const char *name);
    void *ctx;
} an_bench;

/* Runs part(ctx, i, thread) for i < parts on all threads, over and over; returns the least seconds of one round. */
double an_bench_time(const an_bench *bench, size_t parts, void (*part)(void *ctx, size_t i, int thread), void *ctx);

/* The same for several contenders that take turns, so that all meet the same neighbours: runner[i].best is filled in. A
 * contender may have a second phase, after the first. */
typedef struct an_bench_phase { void (*part)(void *ctx, size_t i, int thread); void *ctx; } an_bench_phase;
typedef struct an_bench_runner { an_bench_phase phase[2]; double best; } an_bench_runner;
void an_bench_race(const an_bench *bench, size_t parts, an_bench_runner *runner, size_t runners);

/* A stream over `reads` arrays into `writes` more, or in place into the first of those read. Arrays: count floats each, on
 * cache lines; the last low_reads of those read, and low_writes of those written, half as many bytes. Mixes known: 1:0, 1:1, 2:1, 2:2, 3:1, 3:2, 4:3;
 * with one of each half as wide 1:1 (what is written), 2:1 (what is read), 2:2 (both), 3:1 and 3:2 (what is read). */
enum { AN_STREAM_MOST = 7 };
typedef struct an_bench_stream {
    float *array[AN_STREAM_MOST];
    size_t count, parts;
    int reads, writes, low_reads, low_writes;
    bool in_place, past;             /* past: stores go past the caches */
} an_bench_stream;
void an_bench_stream_part(void *ctx, size_t i, int thread);
an_status an_bench_add(an_bench *bench, const an_bench_row *row) AN_MUST_USE;

/* The least time the limits allow for a row, seconds; *by_bytes tells which limit binds. */
double an_bench_bound(const an_bench_limits *limits, const an_bench_row *row, bool *by_bytes);

an_status an_bench_machine(an_bench *bench) AN_MUST_USE;                               /* bench_machine.c */
an_status an_bench_kernels(an_bench *bench) AN_MUST_USE;                               /* bench_kernels.c */
an_status an_bench_products(an_bench *bench, const size_t *shape) AN_MUST_USE;         /* bench_products.c; shape: m, n, k or NULL */
an_status an_bench_steps(an_bench *bench, bool full) AN_MUST_USE;                      /* bench_steps.c */
an_status an_bench_decode(an_bench *bench) AN_MUST_USE;                                /* bench_decode.c */
an_status an_bench_ops(an_bench *bench, bool full) AN_MUST_USE;                        /* bench_ops.c */

/* A model that trains on made-up tokens (bench_steps.c): the same code that train runs. */
typedef struct an_bench_model {
    struct an_options *options;
    struct an_model *model;
    struct an_optimizer *optimizer;
    int32_t *tokens;
    uint64_t step;
    int threads;
    double flops, bytes, params;     /* of one step; bytes with those of AdamW */
    char shape[64];
} an_bench_model;
struct an_meter;
typedef struct an_bench_preset { const char *name; const char *const *changes; bool large; } an_bench_preset;
extern const an_bench_preset AN_BENCH_PRESETS[];     /* ends with name NULL */
an_status an_bench_model_init(an_bench_model *m, const an_bench_preset *preset, const char *precision, int threads) AN_MUST_USE;
void an_bench_model_fini(an_bench_model *m);
/* One training step; with a meter also the seconds of gradient norm and AdamW. */
void an_bench_model_step(an_bench_model *m, struct an_meter *meter, double optimizer[2]);

#endif
