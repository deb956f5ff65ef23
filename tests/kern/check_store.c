/* tests/kern/check_store.c
 * quantise_int8: what is stored, widened again, against the number itself, and levels against the reference to the bit.
 * Bounds: off by half a scale, the rounding of the division, and where the scale is denormal by what clamping takes. */
#include "check.h"

#include <stdlib.h>

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
