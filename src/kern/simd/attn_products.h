/* kern/simd/attn_products.h
 * Products of tiles of attention in registers. */
#ifndef AN_KERN_SIMD_ATTN_PRODUCTS_H
#define AN_KERN_SIMD_ATTN_PRODUCTS_H

#include "kern/simd/attn_parts.h"

/* Rows of a register tile of one, two or three vectors: accumulators for the latency of a multiply-add, what they share in registers. */
enum { MR1 = VL == 16 ? 16 : 12, MR2 = VL == 16 ? 8 : 6, MR3 = VL == 16 ? 8 : 4, NV = 3 };

/* One product of a tile, C[m,n] = (alpha row by row *) C * add + A[m,k] B[k,n]. n is a multiple of VL.
 * `part` says which part of a diagonal tile counts; the rest of its operands is zero, or its result is never read. */
enum { WHOLE, COLUMNS_FROM_ROW, SUM_FROM_ROW, SUM_TO_ROW };
typedef struct product {
    size_t m, n, k;
    const float *a; size_t lda;
    const float *b; size_t ldb;
    float *c; size_t ldc;
    int add, part;
    const float *alpha;      /* NULL: 1 */
} product;

/* A register tile of mr rows and nv vectors; A(i, p) at a[i*lda + p], or a[p*lda + i] when at. */
V_FN void tile(int mr, int nv, int at, const product *x, size_t i0, size_t j0, size_t k0, size_t k1)
{
    vf acc[MR1][NV];
    const float *a = x->a + (at ? k0 * x->lda + i0 : i0 * x->lda + k0), *b = x->b + k0 * x->ldb + j0;
    float *c = x->c + i0 * x->ldc + j0;
    const size_t lda = x->lda, ldb = x->ldb, ldc = x->ldc;
    V_UNROLL for (int i = 0; i < mr; i++) {
        const vf by = v_set(x->alpha && x->add ? x->alpha[i0 + (size_t)i] : 1.0f);
        V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = x->add ? v_mul(by, v_load(c + (size_t)i * ldc + v * VL)) : v_zero();
    }
    V_UNROLL_SOME for (size_t p = k0; p < k1; p++, b += ldb, a += at ? lda : 1) {
        vf bv[NV];
        V_UNROLL for (int v = 0; v < nv; v++) bv[v] = v_load(b + v * VL);
        V_UNROLL for (int i = 0; i < mr; i++) {
            const vf ai = v_set(at ? a[i] : a[(size_t)i * lda]);
            V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_fma(ai, bv[v], acc[i][v]);
        }
    }
    V_UNROLL for (int i = 0; i < mr; i++)
        V_UNROLL for (int v = 0; v < nv; v++) v_store(c + (size_t)i * ldc + v * VL, acc[i][v]);
}

V_FN void strip(int nv, int at, const product *x, size_t j)
{
    const size_t most = nv == 1 ? MR1 : nv == 2 ? MR2 : MR3;
    size_t i = 0;
    while (i < x->m) {
        const size_t left = x->m - i, mr = left >= most ? most : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        const size_t k0 = x->part == SUM_FROM_ROW && i < x->k ? i : 0, k1 = x->part == SUM_TO_ROW && i + mr < x->k ? i + mr : x->k;
        if (x->part == COLUMNS_FROM_ROW && j + (size_t)nv * VL <= i) break;
        if (mr == most) tile((int)most, nv, at, x, i, j, k0, k1);
        else if (mr == 4) tile(4, nv, at, x, i, j, k0, k1);
        else if (mr == 2) tile(2, nv, at, x, i, j, k0, k1);
        else tile(1, nv, at, x, i, j, k0, k1);
        i += mr;
    }
}

/* Columns two vectors at a time, three where one would be left over. */
V_FN void strips(int at, const product *x)
{
    size_t j = 0;
    for (size_t left = x->n / VL; left; left = (x->n - j) / VL) {
        const size_t nv = left == 1 || left == 3 ? left : 2;
        if (nv == 2) strip(2, at, x, j);
        else if (nv == 3) strip(3, at, x, j);
        else strip(1, at, x, j);
        j += nv * VL;
    }
}

static void multiply(const product *x) { strips(0, x); }      /* A row by row */
static void multiply_at(const product *x) { strips(1, x); }   /* A column by column */

#endif
