/* kern/simd/simd_adamw.c
 * AdamW in one pass: four streams read, three written, nothing else. (1 - b2) is multiplied in before squaring so that v
 * overflows no earlier than it must. */
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

void AN_SIMD(adamw)(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v)
{
    const vf b1 = v_set(s->beta1), b2 = v_set(s->beta2), rest1 = v_set(1 - s->beta1), rest2 = v_set(1 - s->beta2);
    const vf factor = v_set(s->grad_scale), eps = v_set(s->eps), c2 = v_set((float)(1 / (double)s->c2));
    const vf step = v_set((float)((double)s->lr / (double)s->c1)), kept = v_set((float)(1 - (double)s->lr * (double)s->decay));
    V_EACH(n, i, left, {
        const vf grad = v_mul(v_get(g + i, left), factor);
        const vf m1 = v_fma(b1, v_get(m + i, left), v_mul(rest1, grad)), v1 = v_fma(b2, v_get(v + i, left), v_mul(v_mul(rest2, grad), grad));
        v_put(m + i, left, m1);
        v_put(v + i, left, v1);
        const vf root = v_add(v_sqrt(v_mul(v1, c2)), eps);
        v_put(p + i, left, v_fnma(step, v_div(m1, root), v_mul(kept, v_get(p + i, left))));
    });
}
