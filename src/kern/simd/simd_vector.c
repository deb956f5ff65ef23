/* kern/simd/simd_vector.c
 * axpby, scale, widen, narrow, round_rows, put_past, sumsq, products, gain, col_products, bias_add, col_sum. Memory-bound: one pass, plain stores. Sums run in several accumulators whose
 * number is fixed, so the order of additions depends on the shape alone. */
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"
#include "kern/unroll.h"

void AN_SIMD(axpby)(size_t n, an_real a, const an_real *x, an_real b, const an_real *f, an_real *y)
{
    const vf va = v_set(a), vb = v_set(b);
    V_EACH(n, i, left, { v_put(y + i, left, v_fma(va, v_get(x + i, left), v_mul(vb, v_get(f + i, left)))); });
}

void AN_SIMD(scale)(size_t n, an_real a, const an_real *x, an_real *y, int add)
{
    const vf va = v_set(a);
    if (add) V_EACH(n, i, left, { v_put(y + i, left, v_fma(va, v_get(x + i, left), v_get(y + i, left))); });
    else V_EACH(n, i, left, { v_put(y + i, left, v_mul(va, v_get(x + i, left))); });
}

void AN_SIMD(widen)(size_t n, const an_bf16 *x, an_real *y) { V_EACH(n, i, left, { v_put(y + i, left, v_get_bf16(x + i, left)); }); }
void AN_SIMD(narrow)(size_t n, const an_real *x, an_bf16 *y) { V_EACH(n, i, left, { v_put_bf16(y + i, left, v_get(x + i, left)); }); }

V_FN void round_row(size_t c, const float *bias, float *x, an_bf16 *y, int keep, int past)
{
    V_EACH(c, j, left, {
        const vf u = v_get(x + j, left);
        const vi low = v_round_bf16(bias ? v_add(u, v_get(bias + j, left)) : u);
        uint16_t few[VL];
        if (past && left >= VL) vi_stream16(y + j, low);
        else vi_store16(left >= VL ? y + j : few, low);
        if (left < VL) memcpy(y + j, few, left * sizeof *few);
        if (keep) v_put(x + j, left, vi_float(vi_shl(low, 16)));
    });
}

void AN_SIMD(round_rows)(size_t n, size_t c, const an_real *bias, an_real *x, size_t ldx, an_bf16 *y, size_t ldy, int keep, int past)
{
    for (size_t i = 0; i < n; i++, x += ldx, y += ldy) {
        const int stream = past && (uintptr_t)y % (VL * sizeof *y) == 0;
        if (bias && keep && stream) round_row(c, bias, x, y, 1, 1);
        else if (bias && keep) round_row(c, bias, x, y, 1, 0);
        else if (bias) round_row(c, bias, x, y, 0, stream);
        else round_row(c, NULL, x, y, keep, stream);
    }
    if (past) v_stream_end();
}

/* One row: vectors of y that are whole and aligned go past the caches, what is left at both ends does not. */
V_FN void put_row(size_t c, const float *x, float *y)
{
    const size_t over = (uintptr_t)y / sizeof *y % VL, before = over && VL - over < c ? VL - over : over ? c : 0;
    size_t i = before;
    if (before) v_put(y, before, v_get(x, before));
    for (; i + VL <= c; i += VL) v_stream(y + i, v_load(x + i));
    if (i < c) v_put(y + i, c - i, v_get(x + i, c - i));
}

void AN_SIMD(put_past)(size_t n, size_t c, const an_real *x, size_t ldx, an_real *y, size_t ldy)
{
    if (n > 1 && ldx == c && ldy == c) {
        c *= n;
        n = 1;
    }
    for (size_t i = 0; i < n; i++) put_row(c, x + i * ldx, y + i * ldy);
    v_stream_end();
}

/* Two streams, a half each, and lines asked for ahead: one alone leaves memory waiting (SPEED.md). */
double AN_SIMD(sumsq)(size_t n, const an_real *x)
{
    enum { LINE = 16 };   /* reals */
    const size_t half = n / (2 * LINE) * LINE;
    vd sum[4] = { vd_set(0), vd_set(0), vd_set(0), vd_set(0) };
    for (size_t i = 0; i < half; i += LINE)
        V_UNROLL for (size_t h = 0; h < 2; h++) {
            const an_real *p = x + h * half + i;
            v_prefetch(p + V_AHEAD, 0);
            V_UNROLL for (size_t j = 0; j < LINE; j += VL) {
                const vf u = v_load(p + j);
                sum[2 * h] = vd_fma(vd_lo(u), vd_lo(u), sum[2 * h]);
                sum[2 * h + 1] = vd_fma(vd_hi(u), vd_hi(u), sum[2 * h + 1]);
            }
        }
    for (size_t i = 2 * half; i < n; i += VL) {
        const vf u = v_get(x + i, n - i);
        sum[0] = vd_fma(vd_lo(u), vd_lo(u), sum[0]);
        sum[1] = vd_fma(vd_hi(u), vd_hi(u), sum[1]);
    }
    return vd_sum(vd_add(vd_add(sum[0], sum[1]), vd_add(sum[2], sum[3])));
}

void AN_SIMD(products)(size_t n, const an_real *a, const an_real *b, double *sums)
{
    vd low[5], high[5];
    for (size_t k = 0; k < 5; k++) low[k] = high[k] = vd_set(0);
    V_EACH(n, i, left, {
        const vf u = v_get(a + i, left), w = v_get(b + i, left);
        const vd ul = vd_lo(u), uh = vd_hi(u), wl = vd_lo(w), wh = vd_hi(w);
        low[0] = vd_add(low[0], ul), high[0] = vd_add(high[0], uh);
        low[1] = vd_add(low[1], wl), high[1] = vd_add(high[1], wh);
        low[2] = vd_fma(ul, ul, low[2]), high[2] = vd_fma(uh, uh, high[2]);
        low[3] = vd_fma(wl, wl, low[3]), high[3] = vd_fma(wh, wh, high[3]);
        low[4] = vd_fma(ul, wl, low[4]), high[4] = vd_fma(uh, wh, high[4]);
    });
    for (size_t k = 0; k < 5; k++) sums[k] = vd_sum(vd_add(low[k], high[k]));
}

void AN_SIMD(gain)(size_t n, size_t c, const an_real *g, const an_real *x, an_real *y, int add)
{
    for (size_t r = 0; r < n; r++, x += c, y += c)
        V_EACH(c, i, left, {
            const vf v = v_get(x + i, left), by = v_get(g + i, left);
            v_put(y + i, left, add ? v_fma(by, v, v_get(y + i, left)) : v_mul(by, v));
        });
}

V_FN void vd_add_to(double *p, vd a) { vd_store(p, vd_add(vd_load(p), a)); }

/* Row by row, so that memory is read in order and each sum in row order; the products are exact in double. */
void AN_SIMD(col_products)(size_t n, size_t c, const an_real *a, const an_real *b, double *s)
{
    for (size_t j = 0; j < c; j++) s[j] = 0;
    for (size_t r = 0; r < n; r++, a += c) {
        const an_real *w = b ? b + r * c : NULL;
        size_t i = 0;
        for (; i + VL <= c; i += VL) {
            const vf u = v_load(a + i), v = w ? v_load(w + i) : v_set(1.0f);
            vd_add_to(s + i, vd_mul(vd_lo(u), vd_lo(v)));
            vd_add_to(s + i + VL / 2, vd_mul(vd_hi(u), vd_hi(v)));
        }
        for (; i < c; i++) s[i] += (double)a[i] * (w ? (double)w[i] : 1);
    }
}

void AN_SIMD(bias_add)(size_t n, size_t c, const an_real *b, an_real *y)
{
    for (size_t r = 0; r < n; r++, y += c) V_EACH(c, i, left, { v_put(y + i, left, v_add(v_get(y + i, left), v_get(b + i, left))); });
}

/* Four rows at a time, so that s is read and written once for four rows of x. */
void AN_SIMD(col_sum)(size_t n, size_t c, const an_real *x, size_t ldx, an_real *s, int add)
{
    if (!add) V_EACH(c, i, left, { v_put(s + i, left, v_zero()); });
    size_t r = 0;
    for (; r + 4 <= n; r += 4, x += 4 * ldx)
        V_EACH(c, i, left, {
            const vf low = v_add(v_get(x + i, left), v_get(x + ldx + i, left)), high = v_add(v_get(x + 2 * ldx + i, left), v_get(x + 3 * ldx + i, left));
            v_put(s + i, left, v_add(v_get(s + i, left), v_add(low, high)));
        });
    for (; r < n; r++, x += ldx) V_EACH(c, i, left, { v_put(s + i, left, v_add(v_get(s + i, left), v_get(x + i, left))); });
}
