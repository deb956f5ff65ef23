/* kern/simd/attn_parts.h
 * What attention.c is made of: products of tiles in registers, and the ways in and out of the caller's matrices, which know
 * of padding, of bf16 and of widths that fill no vector, so that nothing between them does. */
#ifndef AN_KERN_SIMD_ATTN_PARTS_H
#define AN_KERN_SIMD_ATTN_PARTS_H

#include <string.h>

#include "kern/attn_tile.h"
#include "kern/simd/block.h"
#include "kern/simd/vec.h"

/* Rows of a register tile of one, two or three vectors: accumulators for the latency of a multiply-add, what they share in registers. */
enum { T = AN_ATTN_TILE, LD = AN_ATTN_STRIDE, MR1 = VL == 16 ? 16 : 12, MR2 = VL == 16 ? 8 : 6, MR3 = VL == 16 ? 8 : 4, NV = 3 };

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

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* What the caller's matrices share: d columns of every row that counts, as floats or bf16; in copies dp columns, ld apart. */
typedef struct matrix { const an_attn_spec *s; an_attn_rows rows; size_t dp, ld; } matrix;

static matrix matrix_make(const an_attn_spec *s, float *work) { return (matrix){ s, an_attn_present(s, work), an_attn_round(s->d, VL), an_attn_stride(s->d) }; }

V_FN size_t row_at(const matrix *m, size_t i, size_t ld) { return an_attn_row(&m->rows, i) * ld; }

/* to[n] = rows i0.. of x with zeros behind; keeps rows next to each other, however far apart they were */
static void copy_in(const matrix *m, size_t i0, size_t n, const void *x, an_store store, size_t ld, float *to)
{
    const size_t d = m->s->d;
    for (size_t i = i0; i < i0 + n; i++, to += m->ld) {
        const float *from = (const float *)x + row_at(m, i, ld);
        const an_bf16 *low = (const an_bf16 *)x + row_at(m, i, ld);
        if (store == AN_STORE_REAL) V_EACH(d, p, left, v_store(to + p, v_get(from + p, left)););
        else V_EACH(d, p, left, v_store(to + p, v_get_bf16(low + p, left)););
    }
}

/* to[p*LD + i] = row[i][p] for p < d */
V_FN void transpose_rows(const float *const row[8], size_t d, float *to)
{
    size_t p = 0;
    for (; p + 8 <= d; p += 8) transpose8(row, p, to + p * LD, LD);
    for (; p < d; p++)
        for (size_t r = 0; r < 8; r++) to[p * LD + r] = row[r][p];
}

/* A copied tile; columns past n repeat the last one, their results are never used. */
static void transpose(const matrix *m, size_t n, const float *x, float *to)
{
    for (size_t i = 0; i < T && i < an_attn_round(n, VL); i += 8) {
        const float *row[8];
        for (size_t r = 0; r < 8; r++) row[r] = x + least(i + r, n - 1) * m->ld;
        transpose_rows(row, m->s->d, to + i);
    }
}

/* The same from where the caller has it, through `copy` only where it must be widened. */
static void transpose_in(const matrix *m, size_t i0, size_t n, const void *x, an_store store, size_t ld, float *copy, float *to)
{
    if (store != AN_STORE_REAL) {
        copy_in(m, i0, n, x, store, ld, copy);
        transpose(m, n, copy, to);
        return;
    }
    for (size_t i = 0; i < T && i < an_attn_round(n, VL); i += 8) {
        const float *row[8];
        for (size_t r = 0; r < 8; r++) row[r] = (const float *)x + row_at(m, i0 + least(i + r, n - 1), ld);
        transpose_rows(row, m->s->d, to + i);
    }
}

/* rows i0.. of out = by row * x[n] */
static void put_out(const matrix *m, size_t i0, size_t n, const float *x, const float *by, void *out)
{
    const size_t d = m->s->d;
    for (size_t i = 0; i < n; i++, x += m->ld) {
        const size_t at = row_at(m, i0 + i, m->s->ldo);
        const vf f = v_set(by[i]);
        if (m->s->out == AN_STORE_REAL) V_EACH(d, p, left, v_put((float *)out + at + p, left, v_mul(f, v_load(x + p))););
        else V_EACH(d, p, left, v_put_bf16((an_bf16 *)out + at + p, left, v_mul(f, v_load(x + p))););
    }
}

/* rows i0.. of the gradient y (+)= by * x[n] */
static void put_gradient(const matrix *m, size_t i0, size_t n, const float *x, float by, int add, float *y, size_t ld)
{
    const vf f = v_set(by);
    for (size_t i = 0; i < n; i++, x += m->ld) {
        float *to = y + row_at(m, i0 + i, ld);
        if (add) V_EACH(m->s->d, p, left, v_put(to + p, left, v_fma(f, v_load(x + p), v_get(to + p, left))););
        else V_EACH(m->s->d, p, left, v_put(to + p, left, v_mul(f, v_load(x + p))););
    }
}

#endif
