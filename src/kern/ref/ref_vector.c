/* kern/ref/ref_vector.c
 * Sums and scalings without structure: axpby, scale, widen, narrow, round_rows, put_past, sumsq, products, gain, col_products, bias_add, col_sum. Column sums are taken column by column in
 * double, which is slow and exact enough to judge the others by. */
#include "kern/ref/ref.h"

void an_ref_axpby(size_t n, an_real a, const an_real *x, an_real b, const an_real *f, an_real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = (an_real)((double)a * (double)x[i] + (double)b * (double)f[i]);
}

void an_ref_scale(size_t n, an_real a, const an_real *x, an_real *y, int add)
{
    for (size_t i = 0; i < n; i++) an_ref_put(y + i, (double)a * (double)x[i], add);
}

void an_ref_widen(size_t n, const an_bf16 *x, an_real *y)
{
    for (size_t i = 0; i < n; i++) y[i] = an_bf16_widen(x[i]);
}

void an_ref_narrow(size_t n, const an_real *x, an_bf16 *y)
{
    for (size_t i = 0; i < n; i++) y[i] = an_bf16_round(x[i]);
}

void an_ref_round_rows(size_t n, size_t c, const an_real *bias, an_real *x, size_t ldx, an_bf16 *y, size_t ldy, int keep, int past)
{
    (void)past;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) {
            y[i * ldy + j] = an_bf16_round(bias ? x[i * ldx + j] + bias[j] : x[i * ldx + j]);
            if (keep) x[i * ldx + j] = an_bf16_widen(y[i * ldy + j]);
        }
}

void an_ref_put_past(size_t n, size_t c, const an_real *x, size_t ldx, an_real *y, size_t ldy)
{
    for (size_t i = 0; i < n; i++) memcpy(y + i * ldy, x + i * ldx, c * sizeof *y);
}

double an_ref_sumsq(size_t n, const an_real *x)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

void an_ref_products(size_t n, const an_real *a, const an_real *b, double *sums)
{
    for (size_t k = 0; k < 5; k++) sums[k] = 0;
    for (size_t i = 0; i < n; i++) {
        const double u = (double)a[i], w = (double)b[i], term[5] = { u, w, u * u, w * w, u * w };
        for (size_t k = 0; k < 5; k++) sums[k] += term[k];
    }
}

void an_ref_gain(size_t n, size_t c, const an_real *g, const an_real *x, an_real *y, int add)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) an_ref_put(y + i * c + j, (double)g[j] * (double)x[i * c + j], add);
}

void an_ref_col_products(size_t n, size_t c, const an_real *a, const an_real *b, double *s)
{
    for (size_t j = 0; j < c; j++) {
        s[j] = 0;
        for (size_t i = 0; i < n; i++) s[j] += (double)a[i * c + j] * (b ? (double)b[i * c + j] : 1);
    }
}

void an_ref_bias_add(size_t n, size_t c, const an_real *b, an_real *y)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) y[i * c + j] += b[j];
}

void an_ref_col_sum(size_t n, size_t c, const an_real *x, size_t ldx, an_real *s, int add)
{
    for (size_t j = 0; j < c; j++) {
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)x[i * ldx + j];
        an_ref_put(s + j, sum, add);
    }
}
