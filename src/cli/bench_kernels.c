/* cli/bench_kernels.c
 * The kernels in force on arrays beyond the caches, rows dealt to the threads in chunks as a plan deals them. Bytes are
 * the least that must move: each operand once. Rows that memory binds take turns with plain streams of the same mix. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/real.h"
#include "kern/kern.h"
#include "op/op.h"

enum { ROWS = 16384, WIDTH = 768, NARROWEST = 128, WIDER = 8192, CHUNK = 64, VOCAB = 50304, VOCAB_ROWS = 512, PARAMS = ROWS * WIDTH, HEADS = 24, SEQ = 512, HEAD = 64, ARRAYS = 5, PATTERN = 1000003, NORM_PARTS = 32 };

typedef struct field {
    const an_kernels *k;
    an_block block;                  /* of all arrays */
    an_real *a[ARRAYS];              /* PARAMS each; the logits are VOCAB_ROWS * VOCAB more */
    an_bf16 *low[2];                 /* PARAMS each: of a branch in mixed precision, read and written */
    an_real *pattern;                /* PATTERN drawn numbers, and ARRAYS more */
    an_real *logits, *gain, *bias, *mean, *rstd, *loss, *work, *dgain;
    int32_t *target;
    an_norm_spec norm;
    size_t width;                    /* of the norms' rows */
    an_attn_spec attn;
    size_t work_each;
} field;

#define FIELD const field *f = ctx; (void)thread
#define ROW(x) (f->a[x] + i * CHUNK * WIDTH)

/* Norms in as many chunks of rows as a plan makes of them. */
#define AT(x) (f->a[x] + at)
#define LOW_AT(x) (f->low[x] + at)
#define NORM FIELD; const size_t c = f->width, n = (size_t)PARAMS / NORM_PARTS / c, at = i * n * c; an_real *mean = f->mean + i * n, *rstd = f->rstd + i * n, *dgain = f->dgain + (size_t)thread * 2 * WIDER
static void norm_fwd(void *ctx, size_t i, int thread)
{
    NORM;
    (void)dgain;
    f->k->norm_fwd(n, c, &f->norm, AT(0), f->gain, f->bias, AT(1), mean, rstd);
}
static void norm_bwd(void *ctx, size_t i, int thread)
{
    NORM;
    f->k->norm_bwd(n, c, &f->norm, AT(2), AT(0), f->gain, mean, rstd, AT(3), 0, dgain, dgain + WIDER);
}
static void add_norm_fwd(void *ctx, size_t i, int thread)
{
    NORM;
    (void)dgain;
    f->k->add_norm_fwd(n, c, &f->norm, 1, AT(0), 1, AT(1), NULL, f->gain, f->bias, AT(2), AT(3), mean, rstd);
}
static void add_norm_bwd(void *ctx, size_t i, int thread)
{
    NORM;
    f->k->add_norm_bwd(n, c, &f->norm, 1, 1, NULL, AT(0), AT(1), AT(2), f->gain, mean, rstd, AT(3), 0, AT(4), 0, dgain, dgain + WIDER);
}
static void add_norm_bwd_shared(void *ctx, size_t i, int thread)   /* as a pre-norm block does: x, f and h share one gradient */
{
    NORM;
    f->k->add_norm_bwd(n, c, &f->norm, 1, 1, NULL, AT(0), AT(1), AT(2), f->gain, mean, rstd, AT(1), 0, NULL, 0, dgain, dgain + WIDER);
}
static void norm_fwd_low(void *ctx, size_t i, int thread)
{
    NORM;
    (void)dgain;
    f->k->norm_fwd_low(n, c, &f->norm, AT(0), f->gain, f->bias, LOW_AT(1), mean, rstd);
}
static void norm_bwd_low(void *ctx, size_t i, int thread)
{
    NORM;
    f->k->norm_bwd_low(n, c, &f->norm, LOW_AT(0), AT(0), f->gain, mean, rstd, AT(3), 0, dgain, dgain + WIDER);
}
static void add_norm_fwd_low(void *ctx, size_t i, int thread)
{
    NORM;
    (void)dgain;
    f->k->add_norm_fwd_low(n, c, &f->norm, 1, AT(0), 1, LOW_AT(0), NULL, f->gain, f->bias, AT(2), LOW_AT(1), mean, rstd);
}
static void add_norm_bwd_low(void *ctx, size_t i, int thread)
{
    NORM;
    f->k->add_norm_bwd_low(n, c, &f->norm, 1, 1, NULL, LOW_AT(0), AT(1), AT(2), f->gain, mean, rstd, AT(3), 0, AT(4), 0, dgain, dgain + WIDER);
}
static void add_norm_bwd_low_shared(void *ctx, size_t i, int thread)
{
    NORM;
    f->k->add_norm_bwd_low(n, c, &f->norm, 1, 1, NULL, LOW_AT(0), AT(1), AT(2), f->gain, mean, rstd, AT(1), 0, NULL, 0, dgain, dgain + WIDER);
}
static void gelu_fwd(void *ctx, size_t i, int thread) { FIELD; f->k->gelu_tanh_fwd(CHUNK, WIDTH, NULL, ROW(0), ROW(1)); }
static void gelu_bwd(void *ctx, size_t i, int thread) { FIELD; f->k->gelu_tanh_bwd(CHUNK * WIDTH, ROW(0), ROW(1), ROW(2), 0); }
static void dropout(void *ctx, size_t i, int thread) { FIELD; f->k->dropout(CHUNK * WIDTH, an_rng_key_make(1, 2, 3), i * CHUNK * WIDTH, AN_R(0.1), ROW(0), ROW(1), 0); }
static void swiglu_fwd(void *ctx, size_t i, int thread) { FIELD; f->k->swiglu_fwd(CHUNK / 2, WIDTH, ROW(0), 0, f->a[1] + i * (CHUNK / 2) * WIDTH); }
static void squash_fwd(void *ctx, size_t i, int thread) { FIELD; f->k->squash_fwd(CHUNK * WIDTH, 0, AN_R(0.5), 0, ROW(0), ROW(1)); }
static void squash_bwd(void *ctx, size_t i, int thread)
{
    FIELD;
    double sums[2];
    f->k->squash_bwd(CHUNK * WIDTH, 0, AN_R(0.5), 0, ROW(0), ROW(1), ROW(2), 0, sums);
}
static void gain(void *ctx, size_t i, int thread) { FIELD; f->k->gain(CHUNK, WIDTH, f->gain, ROW(0), ROW(1), 0); }
static void add_norm_drop(void *ctx, size_t i, int thread)
{
    NORM;
    (void)dgain;
    const an_drop drop = { an_rng_key_make(1, 2, 3), at, AN_R(0.1) };
    f->k->add_norm_fwd(n, c, &f->norm, 1, AT(0), 1, AT(1), &drop, f->gain, f->bias, AT(2), AT(3), mean, rstd);
}
static void sumsq(void *ctx, size_t i, int thread)   /* as the norm of all gradients is taken */
{
    FIELD;
    f->loss[i] = AN_R(f->k->sumsq(CHUNK * WIDTH, ROW(1)));
}
static void adamw_measured(void *ctx, size_t i, int thread)
{
    FIELD;
    double moved;
    const an_adamw_spec spec = { AN_R(1e-3), AN_R(0.9), AN_R(0.99), AN_R(1e-8), AN_R(0.1), 1, 1, 1 };
    f->k->adamw(CHUNK * WIDTH, &spec, ROW(0), ROW(1), ROW(2), ROW(3), NULL, &moved);
}
static void adamw(void *ctx, size_t i, int thread)
{
    FIELD;
    const an_adamw_spec spec = { AN_R(1e-3), AN_R(0.9), AN_R(0.99), AN_R(1e-8), AN_R(0.1), 1, 1, 1 };
    f->k->adamw(CHUNK * WIDTH, &spec, ROW(0), ROW(1), ROW(2), ROW(3), NULL, NULL);
}
static void xent_grad(void *ctx, size_t i, int thread)
{
    FIELD;
    f->k->xent_grad(8, VOCAB, f->logits + i * 8 * VOCAB, VOCAB, f->target + i * 8, AN_R(1.0 / VOCAB_ROWS), 0, f->loss + i * 8);
}
#define HEAD_AT(x) (f->a[x] + i * SEQ * HEAD)
static void attn_fwd(void *ctx, size_t i, int thread)
{
    FIELD;
    f->k->attn_fwd(&f->attn, 0, SEQ, HEAD_AT(0), HEAD_AT(1), HEAD_AT(2), HEAD_AT(3), f->rstd + i * SEQ, f->work + (size_t)thread * f->work_each);
}
static void attn_bwd(void *ctx, size_t i, int thread)
{
    FIELD;
    an_real *d = f->a[4] + i * 4 * SEQ * HEAD;
    const an_attn_block all = { 0, SEQ, 0, SEQ, 0, 0 };
    f->k->attn_bwd(&f->attn, &all, HEAD_AT(0), HEAD_AT(1), HEAD_AT(2), HEAD_AT(3), d, f->rstd + i * SEQ, d + SEQ * HEAD, d + 2 * SEQ * HEAD, d + 3 * SEQ * HEAD, f->work + (size_t)thread * f->work_each);
}

/* Arrays of `elements` numbers that must move; in_place: what is written was read too; of those read and of those written so many are bfloat16. */
typedef struct mix { int reads, writes; bool in_place; int low_reads, low_writes; } mix;
static double mix_arrays(mix m) { return m.reads + m.writes - 0.5 * (m.low_reads + m.low_writes); }

static const struct { const char *name, *shape; size_t width; void (*part[2])(void *, size_t, int); size_t parts; mix mix[2]; size_t elements; double flops; } CASES[] = {
#define NORM_CASES(width, shape)                                                                                                        \
    { "norm forward", shape, width, { norm_fwd }, NORM_PARTS, { { 1, 1, false, 0, 0 } }, PARAMS, 0 },                                            \
    { "norm backward", shape, width, { norm_bwd }, NORM_PARTS, { { 2, 1, false, 0, 0 } }, PARAMS, 0 },                                           \
    { "norm forward + backward", shape, width, { norm_fwd, norm_bwd }, NORM_PARTS, { { 1, 1, false, 0, 0 }, { 2, 1, false, 0, 0 } }, PARAMS, 0 }, \
    { "norm forward, bf16", shape, width, { norm_fwd_low }, NORM_PARTS, { { 1, 1, false, 0, 1 } }, PARAMS, 0 },                            \
    { "norm backward, bf16", shape, width, { norm_bwd_low }, NORM_PARTS, { { 2, 1, false, 1, 0 } }, PARAMS, 0 }
#define ADD_NORM_CASES(width, shape)                                                                                                    \
    { "add + norm forward", shape, width, { add_norm_fwd }, NORM_PARTS, { { 2, 2, false, 0, 0 } }, PARAMS, 0 },                                  \
    { "add + norm backward", shape, width, { add_norm_bwd }, NORM_PARTS, { { 3, 2, false, 0, 0 } }, PARAMS, 0 },                                 \
    { "add + norm backward, shared", shape, width, { add_norm_bwd_shared }, NORM_PARTS, { { 3, 1, true, 0, 0 } }, PARAMS, 0 },                            \
    { "add + norm forward, bf16", shape, width, { add_norm_fwd_low }, NORM_PARTS, { { 2, 2, false, 1, 1 } }, PARAMS, 0 },                  \
    { "add + norm backward, bf16", shape, width, { add_norm_bwd_low }, NORM_PARTS, { { 3, 2, false, 1, 0 } }, PARAMS, 0 },                 \
    { "add + norm backward, shared, bf16", shape, width, { add_norm_bwd_low_shared }, NORM_PARTS, { { 3, 1, true, 1, 0 } }, PARAMS, 0 }
    NORM_CASES(WIDTH, "16384 x 768"),
    NORM_CASES(3072, "4096 x 3072"),
    ADD_NORM_CASES(NARROWEST, "98304 x 128"),
    ADD_NORM_CASES(256, "49152 x 256"),
    ADD_NORM_CASES(WIDTH, "16384 x 768"),
    ADD_NORM_CASES(1024, "12288 x 1024"),
    ADD_NORM_CASES(3072, "4096 x 3072"),
    ADD_NORM_CASES(WIDER, "1536 x 8192"),
    { "dropout + add + norm forward", "16384 x 768", WIDTH, { add_norm_drop }, NORM_PARTS, { { 2, 2, false, 0, 0 } }, PARAMS, 0 },
    { "gelu forward", "16384 x 768", WIDTH, { gelu_fwd }, ROWS / CHUNK, { { 1, 1, false, 0, 0 } }, PARAMS, 0 },
    { "gelu backward", "16384 x 768", WIDTH, { gelu_bwd }, ROWS / CHUNK, { { 2, 1, false, 0, 0 } }, PARAMS, 0 },
    { "swiglu forward", "16384 x 768", WIDTH, { swiglu_fwd }, ROWS / CHUNK, { { 2, 1, false, 0, 0 } }, PARAMS / 2, 0 },
    { "squash forward", "16384 x 768", WIDTH, { squash_fwd }, ROWS / CHUNK, { { 1, 1, false, 0, 0 } }, PARAMS, 0 },
    { "squash backward", "16384 x 768", WIDTH, { squash_bwd }, ROWS / CHUNK, { { 2, 1, false, 0, 0 } }, PARAMS, 0 },
    { "gain", "16384 x 768", WIDTH, { gain }, ROWS / CHUNK, { { 1, 1, false, 0, 0 } }, PARAMS, 0 },
    { "dropout", "16384 x 768", WIDTH, { dropout }, ROWS / CHUNK, { { 1, 1, false, 0, 0 } }, PARAMS, 0 },
    { "attention forward", "24 heads, T 512, d 64", WIDTH, { attn_fwd }, HEADS, { { 3, 1, false, 0, 0 } }, HEADS * SEQ * HEAD, 2.0 * HEADS * SEQ * SEQ * HEAD },
    { "attention backward", "24 heads, T 512, d 64", WIDTH, { attn_bwd }, HEADS, { { 5, 3, false, 0, 0 } }, HEADS * SEQ * HEAD, 5.0 * HEADS * SEQ * SEQ * HEAD },
    { "sum of squares", "12.6M gradients", WIDTH, { sumsq }, ROWS / CHUNK, { { 1, 0, false, 0, 0 } }, PARAMS, 0 },
    { "adamw, update measured", "12.6M parameters", WIDTH, { adamw_measured }, ROWS / CHUNK, { { 4, 3, true, 0, 0 } }, PARAMS, 0 },
    { "adamw", "12.6M parameters", WIDTH, { adamw }, ROWS / CHUNK, { { 4, 3, true, 0, 0 } }, PARAMS, 0 },
    { "cross-entropy + grad", "512 x 50304", WIDTH, { xent_grad }, VOCAB_ROWS / 8, { { 1, 1, true, 0, 0 } }, VOCAB_ROWS * VOCAB, 0 },
};
enum { NCASES = sizeof CASES / sizeof *CASES };

static void free_field(field *f)
{
    an_block_fini(&f->block);
    free(f->pattern);
    free(f->gain);
    free(f->bias);
    free(f->mean);
    free(f->rstd);
    free(f->loss);
    free(f->work);
    free(f->dgain);
    free(f->target);
}

/* Numbers in [-1/2, 1/2): PATTERN drawn, over and over. */
static void fill(an_real *x, size_t n, const an_real *pattern)
{
    for (size_t i = 0; i < n; i += PATTERN) memcpy(x + i, pattern, (n - i < PATTERN ? n - i : PATTERN) * sizeof *x);
}

/* Every case begins with the same numbers: what is added to in place grows, and rows that overflow take another way. */
static void refill(field *f)
{
    for (int i = 0; i < ARRAYS; i++) fill(f->a[i], PARAMS, f->pattern + i);
    for (int i = 0; i < 2; i++) f->k->narrow(PARAMS, f->a[i], f->low[i]);
    fill(f->logits, (size_t)VOCAB_ROWS * VOCAB, f->pattern + ARRAYS);
}

static an_status make_field(field *f, int threads)
{
    const size_t real = sizeof(an_real), vocab = (size_t)VOCAB_ROWS * VOCAB;
    f->k = an_kern_get();
    f->attn = (an_attn_spec){ .t = SEQ, .d = HEAD, .ldq = HEAD, .ldk = HEAD, .ldv = HEAD, .ldo = HEAD, .scale = AN_R(0.125), .causal = 1 };
    f->norm = (an_norm_spec){ .eps = AN_R(1e-5), .center = 1, .stream = an_past_cache(PARAMS) };
    f->work_each = an_attn_work(&f->attn);
    AN_TRY(an_block_init(&f->block, (size_t)(ARRAYS + 1) * (PARAMS + AN_PAGE) + AN_PAGE + vocab, "bench: the kernels' operands"));
    for (int i = 0; i < ARRAYS; i++) f->a[i] = f->block.data + (size_t)i * (PARAMS + AN_PAGE) + an_stagger((size_t)i);   /* as a plan lays them out */
    for (size_t i = 0; i < 2; i++) f->low[i] = (an_bf16 *)(void *)(f->block.data + (size_t)ARRAYS * (PARAMS + AN_PAGE) + i * (PARAMS / 2 + AN_PAGE) + an_stagger(ARRAYS + i));
    f->logits = f->block.data + (size_t)(ARRAYS + 1) * (PARAMS + AN_PAGE) + AN_PAGE;
    f->pattern = an_alloc((PATTERN + ARRAYS) * real);
    f->gain = an_alloc(WIDER * real);
    f->bias = an_alloc(WIDER * real);
    f->mean = an_alloc(PARAMS / NARROWEST * real);
    f->rstd = an_alloc(PARAMS / NARROWEST * real);
    f->loss = an_alloc(VOCAB_ROWS * real);
    f->work = an_alloc(f->work_each * (size_t)threads * real);
    f->dgain = an_alloc((size_t)threads * 2 * WIDER * real);
    f->target = an_alloc(VOCAB_ROWS * sizeof *f->target);
    if (!(f->pattern && f->gain && f->bias && f->mean && f->rstd && f->loss && f->work && f->dgain && f->target)) return an_fail(AN_ENOMEM, "bench: no memory for the kernels' operands");
    for (size_t i = 0; i < PATTERN + ARRAYS; i++) f->pattern[i] = AN_R((double)an_rng_u32(an_rng_key_make(1, 0, 0), i) / 4294967296.0 - 0.5);
    for (size_t i = 0; i < WIDER; i++) f->gain[i] = 1;
    for (size_t i = 0; i < VOCAB_ROWS; i++) f->target[i] = (int32_t)(i * 97 % VOCAB);
    return AN_OK;
}

/* The streams of a case, with plain stores and past the caches. What they write stays of the order of what they read. */
static void make_streams(const field *f, size_t at, an_bench_stream s[2][2], an_bench_runner way[2])
{
    for (int past = 0; past < 2; past++) {
        way[past] = (an_bench_runner){ 0 };
        for (int p = 0; p < 2 && CASES[at].part[p]; p++) {
            const mix m = CASES[at].mix[p];
            an_bench_stream *one = &s[past][p];
            *one = (an_bench_stream){ .count = CASES[at].elements * (sizeof(an_real) / sizeof(float)), .parts = CASES[at].parts, .reads = m.reads, .writes = m.writes, .low_reads = m.low_reads, .low_writes = m.low_writes, .in_place = m.in_place, .past = past };
            const bool logits = CASES[at].elements > PARAMS;
            for (int i = 0; i < ARRAYS; i++) one->array[i] = (float *)(void *)(logits ? f->logits : f->a[i]);
            if (m.low_reads) one->array[m.reads - 1] = (float *)(void *)f->low[0];
            if (m.low_writes) one->array[m.reads + m.writes - 1] = (float *)(void *)f->low[1];
            way[past].phase[p] = (an_bench_phase){ an_bench_stream_part, one };
        }
    }
}

static an_bench_row time_case(const an_bench *bench, field *f, size_t at)
{
    an_bench_row row = { .group = "kernel", .flops = CASES[at].flops };
    an_bench_stream streams[2][2];
    an_bench_runner race[3];
    for (int p = 0; p < 2; p++) row.bytes += mix_arrays(CASES[at].mix[p]) * (double)CASES[at].elements * sizeof(an_real);
    f->width = CASES[at].width;
    refill(f);
    make_streams(f, at, streams, race + 1);
    race[0] = (an_bench_runner){ .phase = { { CASES[at].part[0], f }, { CASES[at].part[1], f } } };
    an_bench_race(bench, CASES[at].parts, race, row.flops > 0 ? 1 : 3);
    row.seconds = race[0].best;
    if (row.flops <= 0) row.stream = race[1].best < race[2].best ? race[1].best : race[2].best;
    snprintf(row.name, sizeof row.name, "%s", CASES[at].name);
    snprintf(row.shape, sizeof row.shape, "%s", CASES[at].shape);
    return row;
}

an_status an_bench_kernels(an_bench *bench)
{
    field f = { 0 };
    an_status status = make_field(&f, bench->threads);
    for (size_t i = 0; status == AN_OK && i < NCASES; i++) {
        if (bench->tick) bench->tick(bench->ctx, CASES[i].name);
        const an_bench_row row = time_case(bench, &f, i);
        status = an_bench_add(bench, &row);
    }
    free_field(&f);
    return status;
}
