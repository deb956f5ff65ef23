/* kern/simd/simd_adamw.c
 * AdamW in one pass: four streams read, asked for ahead, three written, nothing else; the bf16 copy of p and the length of the update come from
 * registers. (1 - b2) is multiplied in before squaring so that v overflows no earlier than it must. */
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

/* copy, measure: constants once inlined */
V_FN double step(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v, an_bf16 *low, int copy, int measure)
{
    const vf b1 = v_set(s->beta1), b2 = v_set(s->beta2), rest1 = v_set(1 - s->beta1), rest2 = v_set(1 - s->beta2);
    const vf factor = v_set(s->grad_scale), eps = v_set(s->eps), c2 = v_set((float)(1 / (double)s->c2));
    const vf pace = v_set((float)((double)s->lr / (double)s->c1)), kept = v_set((float)(1 - (double)s->lr * (double)s->decay));
    vd sum[2] = { vd_set(0), vd_set(0) };
    V_EACH(n, i, left, {
        v_prefetch(p + V_AHEAD, i);
        v_prefetch(g + V_AHEAD, i);
        v_prefetch(m + V_AHEAD, i);
        v_prefetch(v + V_AHEAD, i);
        const vf grad = v_mul(v_get(g + i, left), factor), old = v_get(p + i, left);
        const vf m1 = v_fma(b1, v_get(m + i, left), v_mul(rest1, grad)), v1 = v_fma(b2, v_get(v + i, left), v_mul(v_mul(rest2, grad), grad));
        v_put(m + i, left, m1);
        v_put(v + i, left, v1);
        const vf root = v_add(v_sqrt(v_mul(v1, c2)), eps), now = v_fnma(pace, v_div(m1, root), v_mul(kept, old));
        v_put(p + i, left, now);
        if (copy) v_put_bf16(low + i, left, now);
        if (measure) {
            const vf move = left < VL ? v_sel(v_tail(left), v_sub(now, old), v_zero()) : v_sub(now, old);   /* eps 0: NaN behind the end */
            sum[0] = vd_fma(vd_lo(move), vd_lo(move), sum[0]);
            sum[1] = vd_fma(vd_hi(move), vd_hi(move), sum[1]);
        }
    });
    return vd_sum(vd_add(sum[0], sum[1]));
}

void AN_SIMD(adamw)(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v, an_bf16 *low, double *moved)
{
    if (low && moved) *moved = step(n, s, p, g, m, v, low, 1, 1);
    else if (low) step(n, s, p, g, m, v, low, 1, 0);
    else if (moved) *moved = step(n, s, p, g, m, v, NULL, 0, 1);
    else step(n, s, p, g, m, v, NULL, 0, 0);
}
