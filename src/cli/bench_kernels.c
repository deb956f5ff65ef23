/* cli/bench_kernels.c
 * The kernels in force on arrays beyond the caches, rows dealt to the threads in chunks as a plan deals them. Bytes are
 * the least that must move: each operand once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/real.h"
#include "kern/kern.h"

enum { ROWS = 16384, WIDTH = 768, CHUNK = 64, VOCAB = 50304, VOCAB_ROWS = 512, PARAMS = ROWS * WIDTH, HEADS = 24, SEQ = 512, HEAD = 64, ARRAYS = 5 };

typedef struct field {
    const an_kernels *k;
    an_real *a[ARRAYS];              /* ROWS * WIDTH each; the logits are VOCAB_ROWS * VOCAB of the first, then as the vocabulary is wider */
    an_real *logits, *gain, *bias, *mean, *rstd, *loss, *work, *dgain;
    int32_t *target;
    an_norm_spec norm;
    an_attn_spec attn;
    size_t work_each;
} field;

#define FIELD const field *f = ctx; (void)thread
#define ROW(x) (f->a[x] + i * CHUNK * WIDTH)

static void norm_fwd(void *ctx, size_t i, int thread) { FIELD; f->k->norm_fwd(CHUNK, WIDTH, &f->norm, ROW(0), f->gain, f->bias, ROW(1), f->mean + i * CHUNK, f->rstd + i * CHUNK); }
static void norm_bwd(void *ctx, size_t i, int thread)
{
    FIELD;
    f->k->norm_bwd(CHUNK, WIDTH, &f->norm, ROW(1), ROW(0), f->gain, f->mean + i * CHUNK, f->rstd + i * CHUNK, ROW(2), 0, f->dgain + (size_t)thread * 2 * WIDTH, f->dgain + (size_t)thread * 2 * WIDTH + WIDTH);
}
static void add_norm_fwd(void *ctx, size_t i, int thread)
{
    FIELD;
    f->k->add_norm_fwd(CHUNK, WIDTH, &f->norm, 1, ROW(0), 1, ROW(1), f->gain, f->bias, ROW(2), ROW(3), f->mean + i * CHUNK, f->rstd + i * CHUNK);
}
static void add_norm_bwd(void *ctx, size_t i, int thread)
{
    FIELD;
    f->k->add_norm_bwd(CHUNK, WIDTH, &f->norm, 1, 1, ROW(0), ROW(1), ROW(2), f->gain, f->mean + i * CHUNK, f->rstd + i * CHUNK, ROW(3), 0, ROW(4), 0, f->dgain + (size_t)thread * 2 * WIDTH,
                       f->dgain + (size_t)thread * 2 * WIDTH + WIDTH);
}
static void gelu_fwd(void *ctx, size_t i, int thread) { FIELD; f->k->gelu_tanh_fwd(CHUNK, WIDTH, NULL, ROW(0), ROW(1)); }
static void gelu_bwd(void *ctx, size_t i, int thread) { FIELD; f->k->gelu_tanh_bwd(CHUNK * WIDTH, ROW(0), ROW(1), ROW(2), 0); }
static void dropout(void *ctx, size_t i, int thread) { FIELD; f->k->dropout(CHUNK * WIDTH, an_rng_key_make(1, 2, 3), i * CHUNK * WIDTH, AN_R(0.1), ROW(0), ROW(1), 0); }
static void adamw(void *ctx, size_t i, int thread)
{
    FIELD;
    const an_adamw_spec spec = { AN_R(1e-3), AN_R(0.9), AN_R(0.99), AN_R(1e-8), AN_R(0.1), 1, 1, 1 };
    f->k->adamw(CHUNK * WIDTH, &spec, ROW(0), ROW(1), ROW(2), ROW(3));
}
static void xent_grad(void *ctx, size_t i, int thread)
{
    FIELD;
    f->k->xent_grad(8, VOCAB, f->logits + i * 8 * VOCAB, VOCAB, f->target + i * 8, AN_R(1.0 / VOCAB_ROWS), f->loss + i * 8);
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
    f->k->attn_bwd(&f->attn, HEAD_AT(0), HEAD_AT(1), HEAD_AT(2), HEAD_AT(3), d, f->rstd + i * SEQ, d + SEQ * HEAD, d + 2 * SEQ * HEAD, d + 3 * SEQ * HEAD, f->work + (size_t)thread * f->work_each);
}

static const struct { const char *name, *shape; void (*part)(void *, size_t, int); size_t parts; double arrays, flops; } CASES[] = {
    /* arrays: operands of ROWS * WIDTH reals that must move */
    { "norm forward", "16384 x 768", norm_fwd, ROWS / CHUNK, 2, 0 },
    { "norm backward", "16384 x 768", norm_bwd, ROWS / CHUNK, 3, 0 },
    { "add + norm forward", "16384 x 768", add_norm_fwd, ROWS / CHUNK, 4, 0 },
    { "add + norm backward", "16384 x 768", add_norm_bwd, ROWS / CHUNK, 5, 0 },
    { "gelu forward", "16384 x 768", gelu_fwd, ROWS / CHUNK, 2, 0 },
    { "gelu backward", "16384 x 768", gelu_bwd, ROWS / CHUNK, 3, 0 },
    { "dropout", "16384 x 768", dropout, ROWS / CHUNK, 2, 0 },
    { "adamw", "12.6M parameters", adamw, ROWS / CHUNK, 7, 0 },
    { "cross-entropy + grad", "512 x 50304", xent_grad, VOCAB_ROWS / 8, 2.0 * VOCAB_ROWS * VOCAB / PARAMS, 0 },
    { "attention forward", "24 heads, T 512, d 64", attn_fwd, HEADS, 4.0 * HEADS * SEQ * HEAD / PARAMS, 2.0 * HEADS * SEQ * SEQ * HEAD },
    { "attention backward", "24 heads, T 512, d 64", attn_bwd, HEADS, 8.0 * HEADS * SEQ * HEAD / PARAMS, 5.0 * HEADS * SEQ * SEQ * HEAD },
};

static void free_field(field *f)
{
    for (int i = 0; i < ARRAYS; i++) free(f->a[i]);
    free(f->logits);
    free(f->gain);
    free(f->bias);
    free(f->mean);
    free(f->rstd);
    free(f->loss);
    free(f->work);
    free(f->dgain);
    free(f->target);
}

static void fill(an_real *x, size_t n, uint64_t what)
{
    const an_rng_key key = an_rng_key_make(1, what, 0);
    for (size_t i = 0; i < n; i++) x[i] = AN_R((double)an_rng_u32(key, i) / 4294967296.0 - 0.5);
}

static bool make_field(field *f, int threads)
{
    const size_t real = sizeof(an_real);
    f->k = an_kern_get();
    f->norm = (an_norm_spec){ .eps = AN_R(1e-5), .center = 1 };
    f->attn = (an_attn_spec){ .t = SEQ, .d = HEAD, .ldq = HEAD, .ldk = HEAD, .ldv = HEAD, .ldo = HEAD, .scale = AN_R(0.125), .causal = 1 };
    f->work_each = an_attn_work(&f->attn);
    bool ok = true;
    for (int i = 0; i < ARRAYS; i++) ok = (f->a[i] = an_alloc((size_t)PARAMS * real)) != NULL && ok;
    f->logits = an_alloc((size_t)VOCAB_ROWS * VOCAB * real);
    f->gain = an_alloc(WIDTH * real);
    f->bias = an_alloc(WIDTH * real);
    f->mean = an_alloc(ROWS * real);
    f->rstd = an_alloc(ROWS * real);
    f->loss = an_alloc(VOCAB_ROWS * real);
    f->work = an_alloc(f->work_each * (size_t)threads * real);
    f->dgain = an_alloc((size_t)threads * 2 * WIDTH * real);
    f->target = an_alloc(VOCAB_ROWS * sizeof *f->target);
    ok = ok && f->logits && f->gain && f->bias && f->mean && f->rstd && f->loss && f->work && f->dgain && f->target;
    for (int i = 0; ok && i < ARRAYS; i++) fill(f->a[i], PARAMS, (uint64_t)i);
    if (ok) fill(f->logits, (size_t)VOCAB_ROWS * VOCAB, ARRAYS);
    for (size_t i = 0; ok && i < WIDTH; i++) f->gain[i] = 1;
    for (size_t i = 0; ok && i < VOCAB_ROWS; i++) f->target[i] = (int32_t)(i * 97 % VOCAB);
    return ok;
}

an_status an_bench_kernels(an_bench *bench)
{
    field f = { 0 };
    an_status status = make_field(&f, bench->threads) ? AN_OK : an_fail(AN_ENOMEM, "bench: no memory for the kernels' operands");
    for (size_t i = 0; status == AN_OK && i < sizeof CASES / sizeof *CASES; i++) {
        an_bench_row row = { .group = "kernel", .flops = CASES[i].flops, .bytes = CASES[i].arrays * PARAMS * sizeof(an_real) };
        snprintf(row.name, sizeof row.name, "%s", CASES[i].name);
        snprintf(row.shape, sizeof row.shape, "%s", CASES[i].shape);
        if (bench->tick) bench->tick(bench->ctx, row.name);
        row.seconds = an_bench_time(bench, CASES[i].parts, CASES[i].part, &f);
        status = an_bench_add(bench, &row);
    }
    free_field(&f);
    return status;
}
