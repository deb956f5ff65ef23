/* tests/kern/check_store.c
 * round_bf16, quantise_int8: what is stored, widened again, against the number itself, and levels against the reference to the bit.
 * Bounds: bf16 keeps 8 bits, so half a unit of the last is at most 2^-8 of the number (2^-134 among the denormals); int8 is off by half a
 * scale, the rounding of the division, and where the scale is denormal by what clamping takes. */
#include "check.h"

#include <stdlib.h>

void an_check_round_bf16(an_check *k)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const an_real *x = an_in(k, "x", n, AN_FILL_CASE);
    an_out *bytes = an_out_new(k, "y", (n * sizeof(an_bf16) + sizeof(an_real) - 1) / sizeof(an_real), AN_FILL_ZERO), *wide = an_out_new(k, "y widened", n, AN_FILL_ZERO);
    an_work(k, an_bytes(n) + 2.0 * (double)n, (double)n);
    while (an_next_run(k)) {
        an_bf16 *y = (an_bf16 *)(void *)an_at(bytes);
        an_table(k)->round_bf16(n, x, y);
        for (size_t i = 0; an_checking(k) && i < n; i++) an_at(wide)[i] = an_bf16_widen(y[i]);
    }
    if (!an_checking(k)) return;
    for (size_t i = 0; i < bytes->n; i++) an_want(bytes, i, (long double)bytes->run[0][i], 0);
    for (size_t i = 0; i < n; i++) {
        const float f = (float)x[i];
        const long double bound = fmaxl(fabsl((long double)f) * 0x1p-8L, 0x1p-134L) / (long double)AN_REAL_EPS;
        an_want(wide, i, fabsf(f) >= 0x1.ffp127f ? (long double)copysignf(INFINITY, f) : (long double)f, bound + (sizeof(an_real) == 4 ? 0 : fabsl((long double)f)));
        if (isnan(f)) an_want(wide, i, (long double)NAN, (long double)NAN);
    }
    an_judge_exact(k, bytes);
    an_judge(k, wide, 1);
}

void an_check_quantise_int8(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const an_real *x = an_in(k, "x", n * c, AN_FILL_CASE);
    an_out *whole = an_out_new(k, "y", n * c, AN_FILL_NORMAL), *scale = an_out_new(k, "scale", n, AN_FILL_NORMAL), *wide = an_out_new(k, "y times scale", n * c, AN_FILL_NORMAL);
    int8_t *y = malloc(n * c + 1);
    float *s = malloc((n + 1) * sizeof *s);
    if (!y || !s) abort();
    an_work(k, an_bytes(n * c) + (double)(n * c), 3.0 * (double)(n * c));
    while (an_next_run(k)) {
        y[n * c] = 77;
        an_table(k)->quantise_int8(n, c, x, y, s);
        if (y[n * c] != 77) an_complain(k, "wrote past the last row");
        for (size_t i = 0; i < n * c; i++) {
            an_at(whole)[i] = y[i];
            an_at(wide)[i] = (an_real)y[i] * (an_real)s[i / c];
        }
        for (size_t i = 0; i < n; i++) an_at(scale)[i] = s[i];
    }
    free(y);
    free(s);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        long double most = 0;
        int finite = 1;
        for (size_t j = 0; j < c; j++) {
            most = fmaxl(most, fabsl((long double)x[i * c + j]));
            finite &= isfinite(x[i * c + j]) != 0;
        }
        const long double each = most / 127, lost = each < 0x1p-120L ? 64 * 0x1p-149L : 0;   /* half a unit of a denormal scale, 127 times */
        an_want(scale, i, finite ? (long double)(float)each : (long double)NAN, finite ? each + 0x1p-125L : (long double)NAN);
        for (size_t j = 0; j < c; j++) {
            an_want(whole, i * c + j, (long double)whole->run[0][i * c + j], 0);
            an_want(wide, i * c + j, finite ? (long double)x[i * c + j] : (long double)NAN, finite ? (0.5L * each * (1 + 0x1p-20L) + lost + 0x1p-149L) / (long double)AN_REAL_EPS + most : (long double)NAN);
        }
    }
    an_judge(k, scale, sizeof(an_real) == 4 ? 1 : 0x1p29);
    an_judge_exact(k, whole);
    an_judge(k, wide, 1);
}
