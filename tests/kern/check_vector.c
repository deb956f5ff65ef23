/* tests/kern/check_vector.c
 * axpby, scale, widen, narrow, round_rows, put_past, sumsq, products, gain, col_products, bias_add, col_sum. Bounds: an element is at most three roundings of its terms; a sum of n terms
 * in any order is at most n - 1 roundings of the sum of absolute terms, and chunked accumulation far fewer. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

void an_check_axpby(an_check *k)
{
    const size_t n = an_pick_size(k);
    const an_real a = an_pick_scale(k), b = an_pick_scale(k);
    const uint64_t alias = an_checking(k) ? an_pick(k, 3) : 0;   /* y may be x or f */
    const an_real *x = an_in(k, "x", n, AN_FILL_CASE), *f = an_in(k, "f", n, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n, AN_FILL_CASE);
    an_work(k, an_bytes(3 * n), 3.0 * (double)n);
    while (an_next_run(k)) an_table(k)->axpby(n, a, alias == 1 ? an_at(y) : x, b, alias == 2 ? an_at(y) : f, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const long double p = (long double)a * (long double)(alias == 1 ? y->init : x)[i], q = (long double)b * (long double)(alias == 2 ? y->init : f)[i];
        an_want(y, i, p + q, fabsl(p) + fabsl(q));
    }
    an_judge(k, y, 1.5);
}

void an_check_scale(an_check *k)
{
    const size_t n = an_pick_size(k);
    const int add = an_pick_bool(k);
    const an_real a = an_pick_scale(k), *x = an_in(k, "x", n, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n), (double)n);
    while (an_next_run(k)) an_table(k)->scale(n, a, x, an_at(y), add);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const long double p = (long double)a * (long double)x[i], old = add ? (long double)y->init[i] : 0;
        an_want(y, i, p + old, fabsl(p) + fabsl(old));
    }
    an_judge(k, y, 1.5);
}

/* bfloat16 has no output array of its own here: its bits stand at the front of an array of reals, whose rest must stay as it was. */
static an_bf16 *low_in(an_check *k, const char *name, size_t n)
{
    const an_real *x = an_in(k, "numbers", n, AN_FILL_CASE);
    an_bf16 *low = (an_bf16 *)(void *)an_in_edit(k, name, (n + 1) / 2, AN_FILL_ZERO);
    for (size_t i = 0; i < n; i++) low[i] = (an_bf16)(an_bf16_round(x[i]) ^ (an_pick(k, 2) & 1u));   /* every last bit */
    return low;
}

void an_check_widen(an_check *k)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const an_bf16 *x = low_in(k, "x", n);
    an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(n) + 2.0 * (double)n, 0);
    while (an_next_run(k)) an_table(k)->widen(n, x, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)x[i] << 16;
        float f;
        memcpy(&f, &bits, sizeof f);
        an_want(y, i, (long double)f, 0);
    }
    an_judge_exact(k, y);
}

/* The nearest number with 8 bits of mantissa, the even one of two; beyond the largest of them infinity. */
static long double nearest_bf16(float x)
{
    int e;
    if (!isfinite(x) || x == 0) return (long double)x;
    (void)frexpf(x, &e);
    const int unit = (e < -125 ? -125 : e) - 8;
    const double r = ldexp(nearbyint(ldexp((double)x, -unit)), unit);
    return fabs(r) >= 0x1p128 ? (long double)copysign((double)INFINITY, (double)x) : (long double)r;
}

void an_check_narrow(an_check *k)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k)), room = n + 8;
    const an_real *x = an_in(k, "x", n, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
    an_bf16 *low = (an_bf16 *)calloc(room, sizeof *low);
    an_real *place = malloc((n + 1) * sizeof *place);
    if (!low || !place) {
        an_complain(k, "out of memory");
        free(low);
        free(place);
        return;
    }
    an_work(k, an_bytes(n) + 2.0 * (double)n, 0);
    while (an_next_run(k)) {
        memset(low + n, 0x5a, 8 * sizeof *low);
        an_table(k)->narrow(n, x, low);
        if (!an_checking(k)) continue;
        for (size_t i = n; i < room; i++)
            if (low[i] != 0x5a5a) an_complain(k, "element %zu behind the end was written", i - n);
        for (size_t i = 0; i < n; i++) an_at(y)[i] = an_bf16_widen(low[i]);
        memcpy(place, x, n * sizeof *place);
        an_table(k)->narrow(n, place, (an_bf16 *)(void *)place);
        if (memcmp(place, low, n * sizeof *low) != 0) an_complain(k, "in place it gives other numbers");
    }
    free(low);
    free(place);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) an_want(y, i, nearest_bf16((float)x[i]), 0);
    an_judge_exact(k, y);
}

void an_check_round_rows(an_check *k)
{
    const size_t n = an_pick_rows(k), c = an_pick_size(k), ldx = c + (an_checking(k) ? an_pick(k, 3) : 0), ldy = c + (an_checking(k) ? an_pick(k, 3) : 0);
    const int keep = an_pick_bool(k), biased = an_pick_bool(k), past = (int)an_pick(k, 2);
    const an_real *bias = biased ? an_in(k, "bias", c, AN_FILL_CASE) : NULL;
    an_out *x = an_out_new(k, "x", n * ldx, AN_FILL_CASE), *y = an_out_new(k, "y", n * ldy, AN_FILL_NORMAL);
    an_bf16 *low = an_low_new(k, n, ldy);
    if (!low) return;
    an_work(k, an_bytes(n * c) + 2.0 * (double)(n * c), 0);
    while (an_next_run(k)) {
        an_low_empty(low, n, ldy);
        an_table(k)->round_rows(n, c, bias, an_at(x), ldx, low, ldy, keep, past);
        if (an_checking(k)) an_low_take(k, low, 1, n, c, ldy, y);
    }
    free(low);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) {
            const an_real sum = x->init[i * ldx + j] + (bias ? bias[j] : AN_R(0));   /* one rounding, that of an addition */
            an_want(y, i * ldy + j, nearest_bf16((float)sum), 0);
            if (keep) an_want(x, i * ldx + j, nearest_bf16((float)sum), 0);
        }
    an_judge_exact(k, x);
    an_judge_exact(k, y);
}

void an_check_put_past(an_check *k)
{
    const size_t n = an_pick_rows(k), c = an_pick_size(k), ldx = c + (an_checking(k) ? an_pick(k, 3) : 0), ldy = c + (an_checking(k) ? an_pick(k, 3) : 0);
    const an_real *x = an_in(k, "x", n * ldx, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n * ldy, AN_FILL_NORMAL);
    an_work(k, 2 * an_bytes(n * c), 0);
    while (an_next_run(k)) an_table(k)->put_past(n, c, x, ldx, an_at(y), ldy);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < c; j++) an_want(y, i * ldy + j, (long double)x[i * ldx + j], 0);
    an_judge_exact(k, y);
}

void an_check_sumsq(an_check *k)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const an_real *x = an_in(k, "x", n, AN_FILL_CASE);
    an_out *s = an_out_new(k, "sum, its rounding error", 2, AN_FILL_ZERO);
    an_work(k, an_bytes(n), 2.0 * (double)n);
    while (an_next_run(k)) {
        const double sum = an_table(k)->sumsq(n, x);
        an_at(s)[0] = (an_real)sum;
        an_at(s)[1] = isfinite((an_real)sum) ? (an_real)(sum - (double)(an_real)sum) : AN_R(0);   /* so that float outputs judge a double */
    }
    if (!an_checking(k)) return;
    long double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (long double)x[i] * (long double)x[i];
    const double rounded = (double)sum;
    an_want(s, 0, (long double)(an_real)rounded, sizeof(an_real) == 4 ? sum : sum * (long double)(n + 2) / 2);
    an_want(s, 1, isfinite((an_real)rounded) ? (long double)rounded - (long double)(an_real)rounded : 0, sum * (long double)n * 0x1p-30L);
    an_judge(k, s, 2);
}

void an_check_products(an_check *k)
{
    const size_t n = an_pick_size(k);
    const uint64_t same = an_checking(k) ? an_pick(k, 2) : 0;   /* b may be a */
    const an_real *a = an_in(k, "a", n, AN_FILL_CASE), *other = an_in(k, "b", n, AN_FILL_CASE), *b = same ? a : other;
    an_out *s = an_out_new(k, "5 sums, their rounding errors", 10, AN_FILL_ZERO);
    an_work(k, an_bytes(2 * n), 8.0 * (double)n);
    while (an_next_run(k)) {
        double sums[5];
        an_table(k)->products(n, a, b, sums);
        for (size_t j = 0; j < 5; j++) {
            an_at(s)[j] = (an_real)sums[j];
            an_at(s)[5 + j] = isfinite((an_real)sums[j]) ? (an_real)(sums[j] - (double)(an_real)sums[j]) : AN_R(0);
        }
    }
    if (!an_checking(k)) return;
    long double want[5] = { 0 }, size[5] = { 0 };
    for (size_t i = 0; i < n; i++) {
        const long double u = (long double)a[i], w = (long double)b[i], term[5] = { u, w, u * u, w * w, u * w };
        for (size_t j = 0; j < 5; j++) want[j] += term[j], size[j] += fabsl(term[j]);
    }
    for (size_t j = 0; j < 5; j++) {
        const double rounded = (double)want[j];
        an_want(s, j, (long double)(an_real)rounded, sizeof(an_real) == 4 ? size[j] : size[j] * (long double)(n + 2) / 2);
        an_want(s, 5 + j, isfinite((an_real)rounded) ? (long double)rounded - (long double)(an_real)rounded : 0, size[j] * (long double)(n + 8) * 0x1p-30L);
    }
    an_judge(k, s, 2);
}

void an_check_gain(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const int add = an_pick_bool(k);
    const an_real *g = an_in(k, "g", c, AN_FILL_NORMAL), *x = an_in(k, "x", n * c, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n * c, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n * c), (double)(n * c));
    while (an_next_run(k)) an_table(k)->gain(n, c, g, x, an_at(y), add);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n * c; i++) {
        const long double v = (long double)g[i % c] * (long double)x[i], old = add ? (long double)y->init[i] : 0;
        an_want(y, i, old + v, fabsl(old) + fabsl(v));
    }
    an_judge(k, y, 1);
}

/* Sums in double, told as in the rows of sums above: the number an_real holds, and what it leaves. */
void an_check_col_products(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const an_real *a = an_in(k, "a", n * c, AN_FILL_CASE), *b = an_checking(k) && an_pick(k, 3) == 0 ? NULL : an_in(k, "b", n * c, AN_FILL_NORMAL);
    an_out *s = an_out_new(k, "sums, their rounding errors", 2 * c, AN_FILL_ZERO);
    double *sums = malloc((c + 1) * sizeof *sums);
    if (!sums) exit(1);
    an_work(k, an_bytes(2 * n * c), 2.0 * (double)(n * c));
    while (an_next_run(k)) {
        an_table(k)->col_products(n, c, a, b, sums);
        for (size_t j = 0; j < c && an_checking(k); j++) {
            an_at(s)[j] = (an_real)sums[j];
            an_at(s)[c + j] = isfinite((an_real)sums[j]) ? (an_real)(sums[j] - (double)(an_real)sums[j]) : AN_R(0);
        }
    }
    free(sums);
    if (!an_checking(k)) return;
    for (size_t j = 0; j < c; j++) {
        long double want = 0, size = 0;
        for (size_t i = 0; i < n; i++) {
            const long double v = (long double)a[i * c + j] * (b ? (long double)b[i * c + j] : 1);
            want += v;
            size += fabsl(v);
        }
        const double rounded = (double)want;
        an_want(s, j, (long double)(an_real)rounded, sizeof(an_real) == 4 ? size : size * (long double)(n + 2) / 2);
        an_want(s, c + j, isfinite((an_real)rounded) ? (long double)rounded - (long double)(an_real)rounded : 0, size * (long double)(n + 64) * 0x1p-30L);
    }
    an_judge(k, s, 2);
}

void an_check_bias_add(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const an_real *b = an_in(k, "b", c, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n * c, AN_FILL_CASE);
    an_work(k, an_bytes(2 * n * c), (double)(n * c));
    while (an_next_run(k)) an_table(k)->bias_add(n, c, b, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n * c; i++) an_want(y, i, (long double)y->init[i] + (long double)b[i % c], fabsl((long double)y->init[i]) + fabsl((long double)b[i % c]));
    an_judge_exact(k, y);
}

void an_check_col_sum(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k), gap = an_checking(k) ? an_pick(k, 4) : 0, ldx = c + gap, all = n ? (n - 1) * ldx + c : 0;
    const int add = an_pick_bool(k);
    an_real *x = an_in_edit(k, "x", all, AN_FILL_CASE);
    for (size_t i = 0; i < all; i++)
        if (i % (ldx ? ldx : 1) >= c) x[i] = (an_real)NAN;   /* must not be looked at */
    an_out *s = an_out_new(k, "s", c, AN_FILL_NORMAL);
    an_work(k, an_bytes(n * c), (double)(n * c));
    while (an_next_run(k)) an_table(k)->col_sum(n, c, x, ldx, an_at(s), add);
    if (!an_checking(k)) return;
    for (size_t j = 0; j < c; j++) {
        long double sum = add ? (long double)s->init[j] : 0, mag = fabsl(sum);
        for (size_t i = 0; i < n; i++) {
            sum += (long double)x[i * ldx + j];
            mag += fabsl((long double)x[i * ldx + j]);
        }
        an_want(s, j, sum, mag);
    }
    an_judge(k, s, 0.5 * (double)(n + 2));
}
