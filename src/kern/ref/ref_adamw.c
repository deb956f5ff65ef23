/* kern/ref/ref_adamw.c
 * AdamW on one tensor. The new moments are rounded to an_real first and the step uses the rounded ones, so that a resumed
 * run sees what this one saw.   Source: Loshchilov & Hutter, arXiv:1711.05101 */
#include "kern/ref/ref.h"

void an_ref_adamw(size_t n, const an_adamw_spec *s, an_real *p, const an_real *g, an_real *m, an_real *v, an_bf16 *low, double *moved)
{
    const double lr = (double)s->lr, b1 = (double)s->beta1, b2 = (double)s->beta2, eps = (double)s->eps;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double grad = (double)g[i] * (double)s->grad_scale, old = (double)p[i];
        m[i] = (an_real)(b1 * (double)m[i] + (1 - b1) * grad);
        v[i] = (an_real)(b2 * (double)v[i] + (1 - b2) * grad * grad);
        p[i] = (an_real)(old * (1 - lr * (double)s->decay) - lr * ((double)m[i] / (double)s->c1) / (sqrt((double)v[i] / (double)s->c2) + eps));
        if (low) low[i] = an_bf16_round(p[i]);
        sum += ((double)p[i] - old) * ((double)p[i] - old);
    }
    if (moved) *moved = sum;
}
