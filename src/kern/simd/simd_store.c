/* kern/simd/simd_store.c
 * quantise_int8: the same bits as the reference, because each is one division or one rounding of integers. */
#include <math.h>

#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

/* The largest size in a row; infinity where something in it is not finite. */
static float largest(size_t k, const float *x)
{
    vf most = v_zero(), spoilt = v_zero();
    V_EACH(k, j, left, {
        const vf u = v_get(x + j, left);
        most = v_max(most, v_abs(u));
        spoilt = v_add(spoilt, v_sub(u, u));   /* 0, or NaN for good */
    });
    return isfinite(v_sum(spoilt)) ? v_top(most) : INFINITY;
}

void AN_SIMD(quantise_int8)(size_t n, size_t k, const float *x, int8_t *y, float *scale)
{
    const vf top = v_set(127), bottom = v_set(-127);
    for (size_t i = 0; i < n; i++, x += k, y += k) {
        const float most = largest(k, x);
        scale[i] = isfinite(most) ? most / 127 : NAN;
        if (!(scale[i] > 0)) {
            memset(y, 0, k);
            continue;
        }
        const vf by = v_set(scale[i]);
        V_EACH(k, j, left, {
            int32_t whole[VL];
            vi_store(whole, vi_nearest(v_max(bottom, v_min(top, v_div(v_get(x + j, left), by)))));
            for (size_t l = 0; l < left; l++) y[j + l] = (int8_t)whole[l];
        });
    }
}
