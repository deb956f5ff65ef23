/* cli/bench_products.c
 * Matrix products by each back end, in reals and with operands held as bf16, taking turns, cut into tiles as a plan cuts them: forward
 * y = x w', the two backward products of the same layer, at the widths of the presets. Transposition is the same as in op/linear. Every
 * tile packs for itself and stores to C; what layers add, shared packing and blocks rounded in cache, is in steps and ops. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "kern/gemm.h"
#include "op/tiles.h"

enum { CONTENDERS = 2 * AN_GEMM_BACKENDS };   /* the back ends in f32; bf16 operands by the one in force and by others that have tiles of their own */

typedef struct shape { const char *kind; int ta, tb; size_t m, n, k; } shape;
typedef struct product { const an_gemm_backend *backend; const char *name; bool low; const shape *of; an_operand a, b; an_real *c; an_tiles tiles; } product;   /* name: as rows give it; "" for the bf16 product in force */

/* Contenders may be cut into fewer tiles than there are parts: mixed ones are. */
static void part(void *ctx, size_t i, int thread)
{
    const product *p = ctx;
    const shape *s = p->of;
    if (i >= an_tiles_count(&p->tiles)) return;
    const an_tile t = an_tiles_at(&p->tiles, i);
    const an_operand a = s->ta ? an_operand_at(p->a, 0, t.i) : an_operand_at(p->a, t.i, 0), b = s->tb ? an_operand_at(p->b, t.j, 0) : an_operand_at(p->b, 0, t.j);
    an_real *c = p->c + t.i * s->n + t.j;
    (void)thread;
    if (p->low) p->backend->run_low(s->ta, s->tb, t.m, t.n, s->k, a, b, 0, c, s->n);
    else p->backend->run(s->ta, s->tb, t.m, t.n, s->k, a.p, a.ld, b.p, b.ld, 0, c, s->n);
}

static size_t contenders(product *p, bool all)
{
    const an_gemm_backend *chosen = an_gemm_get(), *backend;
    const char *name;
    size_t n = 0;
    for (size_t i = 0; (name = an_gemm_name(i)); i++)
        if ((backend = an_gemm_by_name(name)) && (all || strcmp(name, "ref") != 0 || n == 0)) p[n++] = (product){ .backend = backend, .name = backend->name };   /* the reference is the definition, not a contender */
    p[n++] = (product){ .backend = chosen, .name = "", .low = true };
    for (size_t i = 0; (name = an_gemm_name(i)); i++)
        if ((backend = an_gemm_by_name(name)) && backend->low_unit && backend->run_low != chosen->run_low) p[n++] = (product){ .backend = backend, .name = name, .low = true };
    return n;
}

/* f32 rows first; rows of bf16 operands are held against the product in force. */
static an_status add_rows(an_bench *bench, const product *p, const an_bench_runner *race, size_t n)
{
    const shape *s = p->of;
    const double numbers[2] = { (double)s->m * (double)s->k + (double)s->k * (double)s->n, (double)s->m * (double)s->n };
    double plain = 0;
    for (size_t i = 0; i < n; i++) {
        an_bench_row row = { .group = "product", .seconds = race[i].best, .flops = 2.0 * (double)s->m * (double)s->n * (double)s->k, .low = p[i].low,
            .bytes = numbers[0] * (p[i].low ? sizeof(an_bf16) : sizeof(an_real)) + numbers[1] * sizeof(an_real) };
        if (strcmp(p[i].backend->name, an_gemm_get()->name) == 0 && !p[i].low) plain = race[i].best;
        if (p[i].low) row.over = plain > 0 ? plain / race[i].best : 0, row.note = an_gemm_get_unit();
        snprintf(row.name, sizeof row.name, "%s, %s%s%s", s->kind, p[i].low ? "bf16" : "", p[i].low && *p[i].name ? " " : "", p[i].name);
        snprintf(row.shape, sizeof row.shape, "%zu x %zu, inner %zu", s->m, s->n, s->k);
        AN_TRY(an_bench_add(bench, &row));
    }
    return AN_OK;
}

static void fill(an_operand *reals, an_operand *low, size_t n, size_t step)
{
    an_real *x = (an_real *)(uintptr_t)reals->p;
    an_bf16 *y = (an_bf16 *)(uintptr_t)low->p;
    for (size_t i = 0; i < n; i++) {
        x[i] = AN_R((double)(i * step % 101) / 101 - 0.5);
        y[i] = an_bf16_round((float)x[i]);
    }
}

static an_status measure(an_bench *bench, const shape *s, bool all)
{
    enum { A, B, C, LOW_A, LOW_B, BLOCKS };
    size_t count[BLOCKS];
    an_block block[BLOCKS] = { { 0 } };
    product p[CONTENDERS] = { { 0 } };
    an_bench_runner race[CONTENDERS] = { { .best = 0 } };
    if (!an_size_mul(s->m, s->k, &count[A]) || !an_size_mul(s->k, s->n, &count[B]) || !an_size_mul(s->m, s->n, &count[C])) return an_fail(AN_EUSAGE, "shape %zu,%zu,%zu: too large", s->m, s->n, s->k);
    count[LOW_A] = an_store_reals(AN_STORE_BF16, count[A]);
    count[LOW_B] = an_store_reals(AN_STORE_BF16, count[B]);
    an_status status = AN_OK;
    for (int i = 0; i < BLOCKS && status == AN_OK; i++) status = an_block_init(&block[i], count[i], "bench: a matrix of a product");
    if (status == AN_OK) {
        const size_t lda = s->ta ? s->m : s->k, ldb = s->tb ? s->k : s->n, n = contenders(p, all);
        size_t parts = 0;
        an_operand a[2] = { { block[A].data, lda, AN_STORE_REAL }, { block[LOW_A].data, lda, AN_STORE_BF16 } }, b[2] = { { block[B].data, ldb, AN_STORE_REAL }, { block[LOW_B].data, ldb, AN_STORE_BF16 } };
        fill(&a[0], &a[1], count[A], 37);
        fill(&b[0], &b[1], count[B], 53);
        for (size_t i = 0; i < n; i++) {
            p[i] = (product){ p[i].backend, p[i].name, p[i].low, s, a[p[i].low], b[p[i].low], block[C].data, an_tiles_make(s->m, s->n, s->k, p[i].low) };
            race[i].phase[0] = (an_bench_phase){ part, &p[i] };
            if (an_tiles_count(&p[i].tiles) > parts) parts = an_tiles_count(&p[i].tiles);
        }
        if (bench->tick) bench->tick(bench->ctx, s->kind);
        an_bench_race(bench, parts, race, n);
        status = add_rows(bench, p, race, n);
    }
    for (int i = 0; i < BLOCKS; i++) an_block_fini(&block[i]);
    return status;
}

/* A layer from `in` to `out` channels over `rows` tokens. */
static an_status layer(an_bench *bench, size_t rows, size_t in, size_t out, bool all)
{
    AN_TRY(measure(bench, &(shape){ "forward", 0, 1, rows, out, in }, all));
    AN_TRY(measure(bench, &(shape){ "input grad", 0, 0, rows, in, out }, all));
    return measure(bench, &(shape){ "weight grad", 1, 0, out, in, rows }, all);
}

/* The layers of the presets: query, key and value; projection; up; down; of GPT-2 also a chunk of the head. */
an_status an_bench_products(an_bench *bench, const size_t *own)
{
    static const size_t LAYERS[][3] = { { 768, 128, 512 }, { 768, 128, 384 }, { 2048, 384, 1152 }, { 2048, 384, 384 }, { 2048, 384, 1536 }, { 2048, 1536, 384 },
        { 1024, 768, 2304 }, { 1024, 768, 768 }, { 1024, 768, 3072 }, { 1024, 3072, 768 }, { 256, 768, 50257 } };
    if (own) return measure(bench, &(shape){ "a b", 0, 0, own[0], own[1], own[2] }, true);
    for (size_t i = 0; i < sizeof LAYERS / sizeof *LAYERS; i++) AN_TRY(layer(bench, LAYERS[i][0], LAYERS[i][1], LAYERS[i][2], i == 0));
    return AN_OK;
}
