/* cli/bench_products.c
 * Matrix products by each back end, cut into tiles as a plan cuts them: forward y = x w', the two backward products of
 * the same layer, at the widths of the presets. Transposition is the same as in op/linear. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "kern/gemm.h"
#include "op/tiles.h"

typedef struct product { const an_gemm_backend *backend; int ta, tb; size_t m, n, k; an_real *a, *b, *c; an_tiles tiles; } product;

static void part(void *ctx, size_t i, int thread)
{
    const product *p = ctx;
    const an_tile t = an_tiles_at(&p->tiles, i);
    const size_t lda = p->ta ? p->m : p->k, ldb = p->tb ? p->k : p->n;
    (void)thread;
    p->backend->run(p->ta, p->tb, t.m, t.n, p->k, p->a + (p->ta ? t.i : t.i * lda), lda, p->b + (p->tb ? t.j * ldb : t.j), ldb, 0, p->c + t.i * p->n + t.j, p->n);
}

static an_status measure(an_bench *bench, const char *kind, const an_gemm_backend *backend, int ta, int tb, size_t m, size_t n, size_t k)
{
    size_t a, b, c;
    product p = { .backend = backend, .ta = ta, .tb = tb, .m = m, .n = n, .k = k, .tiles = an_tiles_make(m, n, k) };
    if (!an_size_mul(m, k, &a) || !an_size_mul(k, n, &b) || !an_size_mul(m, n, &c)) return an_fail(AN_EUSAGE, "shape %zu,%zu,%zu: too large", m, n, k);
    an_block blocks[3] = { { 0 } };
    an_status status = an_block_init(&blocks[0], a, "bench: first factor");
    if (status == AN_OK) status = an_block_init(&blocks[1], b, "bench: second factor");
    if (status == AN_OK) status = an_block_init(&blocks[2], c, "bench: product");
    if (status == AN_OK) {
        p.a = blocks[0].data;
        p.b = blocks[1].data;
        p.c = blocks[2].data;
        for (size_t i = 0; i < a; i++) p.a[i] = AN_R((double)(i * 37 % 101) / 101 - 0.5);
        for (size_t i = 0; i < b; i++) p.b[i] = AN_R((double)(i * 53 % 103) / 103 - 0.5);
        an_bench_row row = { .group = "product", .flops = 2.0 * (double)m * (double)n * (double)k, .bytes = (double)(a + b + c) * sizeof(an_real) };
        snprintf(row.name, sizeof row.name, "%s, %s", kind, backend->name);
        snprintf(row.shape, sizeof row.shape, "%zu x %zu, inner %zu", m, n, k);
        if (bench->tick) bench->tick(bench->ctx, row.name);
        row.seconds = an_bench_time(bench, an_tiles_count(&p.tiles), part, &p);
        status = an_bench_add(bench, &row);
    }
    for (int i = 0; i < 3; i++) an_block_fini(&blocks[i]);
    return status;
}

/* A layer from `in` to `out` channels over `rows` tokens. */
static an_status layer(an_bench *bench, const an_gemm_backend *backend, size_t rows, size_t in, size_t out)
{
    AN_TRY(measure(bench, "forward", backend, 0, 1, rows, out, in));
    AN_TRY(measure(bench, "input grad", backend, 0, 0, rows, in, out));
    return measure(bench, "weight grad", backend, 1, 0, out, in, rows);
}

an_status an_bench_products(an_bench *bench, const size_t *shape)
{
    static const char *const NAMES[] = { "onednn", "cblas", "native", "ref" };
    static const size_t LAYERS[][3] = { { 768, 128, 512 }, { 2048, 384, 1536 }, { 1024, 768, 3072 } };
    for (size_t n = 0; n < sizeof NAMES / sizeof *NAMES; n++) {
        const an_gemm_backend *backend = an_gemm_by_name(NAMES[n]);
        if (!backend) continue;
        if (shape) {
            AN_TRY(measure(bench, "a b", backend, 0, 0, shape[0], shape[1], shape[2]));
            continue;
        }
        const size_t layers = strcmp(NAMES[n], "ref") == 0 ? 1 : sizeof LAYERS / sizeof *LAYERS;   /* the reference is the definition, not a contender */
        for (size_t i = 0; i < layers; i++) AN_TRY(layer(bench, backend, LAYERS[i][0], LAYERS[i][1], LAYERS[i][2]));
    }
    return AN_OK;
}
