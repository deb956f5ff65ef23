/* kern/simd/few.c
 * few_real, few_bf16, few_int8: a matrix that is read once from memory meets a few rows. Eight of its rows at a time stay in the near
 * caches while the rows of x pass, in tiles of up to eight sums, fewer for a row of x where there are more of those; numbers are widened
 * in registers, a cache line of each row per turn, and as much of rows to come is asked for on the way: in the order of memory where
 * rows are shorter than half a page. How many rows meet one of x, and how far ahead, is measured (SPEED.md).
 * One sum has one accumulator along k whatever the tile, so a row's bits do not depend on the rows beside it. */
#include "kern/simd/simd.h"
#include "kern/simd/block.h"
#include "kern/simd/vec.h"

enum { BLOCK = 8, LINE = 64, NARROW = 2048 };
typedef enum kind { REAL, BF16, INT8 } kind;

V_FN size_t size_of(kind t) { return t == REAL ? sizeof(float) : t == BF16 ? sizeof(an_bf16) : sizeof(int8_t); }
V_FN vf widen(kind t, const void *w) { return t == REAL ? v_load(w) : t == BF16 ? v_get_bf16(w, VL) : v_load_int8(w); }

typedef struct few { size_t n, k; const float *x; size_t ldx; const char *w; const float *scale, *bias; float *y; size_t ldy; } few;

/* y[mr, nr] at (i, j), of whose columns `have` exist */
V_FN void tile(kind t, int mr, int nr, const few *f, size_t i, size_t j, size_t have)
{
    const size_t size = size_of(t), step = LINE / size;
    const char *row[BLOCK];
    const float *x[BLOCK];
    vf acc[BLOCK];
    size_t p = 0;
    V_UNROLL for (int c = 0; c < nr; c++) row[c] = f->w + (j + ((size_t)c < have ? (size_t)c : have - 1)) * f->k * size;
    V_UNROLL for (int r = 0; r < mr; r++) x[r] = f->x + (i + (size_t)r) * f->ldx;
    V_UNROLL for (int a = 0; a < mr * nr; a++) acc[a] = v_zero();
    const size_t width = f->k * size, ahead = (t == REAL ? BLOCK / 2 : BLOCK) * width;
    const size_t along = width < NARROW ? (size_t)nr * size : size, apart = width < NARROW ? LINE : width;   /* what is asked for: line after line, or the same place of each row */
    for (; p + step <= f->k; p += step) {
        V_UNROLL for (int c = 0; c < nr; c++) _mm_prefetch(row[0] + ahead + p * along + (size_t)c * apart, _MM_HINT_T0);
        V_UNROLL for (size_t v = 0; v < step; v += VL)
            V_UNROLL for (int c = 0; c < nr; c++) {
                const vf u = widen(t, row[c] + (p + v) * size);
                V_UNROLL for (int r = 0; r < mr; r++) acc[r * nr + c] = v_fma(v_load(x[r] + p + v), u, acc[r * nr + c]);
            }
    }
    for (; p < f->k; p += VL) {
        const size_t left = f->k - p < VL ? f->k - p : VL;
        V_UNROLL for (int c = 0; c < nr; c++) {
            char some[VL * sizeof(float)] = { 0 };
            memcpy(some, row[c] + p * size, left * size);
            V_UNROLL for (int r = 0; r < mr; r++) acc[r * nr + c] = v_fma(v_get(x[r] + p, left), widen(t, some), acc[r * nr + c]);
        }
    }
    V_UNROLL for (int r = 0; r < mr; r++)
        for (size_t c = 0; c < have; c++) {
            const float sum = v_sum(acc[(size_t)r * (size_t)nr + c]);
            f->y[(i + (size_t)r) * f->ldy + j + c] = (t == INT8 ? sum * f->scale[j + c] : sum) + (f->bias ? f->bias[j + c] : 0);
        }
}

V_FN void tiles(kind t, int mr, int nr, const few *f, size_t i, size_t j, size_t have)
{
    for (size_t c = 0; c < have; c += (size_t)nr) tile(t, mr, nr, f, i, j + c, have - c < (size_t)nr ? have - c : (size_t)nr);
}

V_FN void product(kind t, size_t m, const few *f)
{
    for (size_t j = 0; j < f->n; j += BLOCK) {
        const size_t have = f->n - j < BLOCK ? f->n - j : BLOCK;
        size_t i = 0;
        for (; i + 4 <= m; i += 4) tiles(t, 4, 2, f, i, j, have);
        for (; i + 2 <= m; i += 2) tiles(t, 2, 4, f, i, j, have);
        if (i < m) tiles(t, 1, t == BF16 ? 4 : 8, f, i, j, have);
    }
}

void AN_SIMD(few_real)(size_t m, size_t n, size_t k, const float *x, size_t ldx, const float *w, const float *scale, const float *bias, float *y, size_t ldy)
{
    product(REAL, m, &(few){ n, k, x, ldx, (const char *)w, scale, bias, y, ldy });
}

void AN_SIMD(few_bf16)(size_t m, size_t n, size_t k, const float *x, size_t ldx, const an_bf16 *w, const float *scale, const float *bias, float *y, size_t ldy)
{
    product(BF16, m, &(few){ n, k, x, ldx, (const char *)w, scale, bias, y, ldy });
}

void AN_SIMD(few_int8)(size_t m, size_t n, size_t k, const float *x, size_t ldx, const int8_t *w, const float *scale, const float *bias, float *y, size_t ldy)
{
    product(INT8, m, &(few){ n, k, x, ldx, (const char *)w, scale, bias, y, ldy });
}
