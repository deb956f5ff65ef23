/* tests/kern/check_adamw.c
 * AdamW: the moments and the parameter, each against the formula on what the reference stored. Bounds: two roundings per
 * moment; the step is about six roundings of itself plus what the rounded moments bring. */
#include "check.h"

void an_check_adamw(an_check *k)
{
    static const double eps[] = { 1e-8, 1e-6, 0 }, decay[] = { 0.1, 0, 0.01 };
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const double t = (double)(1 + an_pick(k, 100));
    const an_adamw_spec s = { AN_R(1e-3), AN_R(0.9), AN_R(0.999), AN_R(eps[an_pick(k, 3)]), AN_R(decay[an_pick(k, 3)]), (an_real)(1 - pow(0.9, t)), (an_real)(1 - pow(0.999, t)), an_pick_scale(k) };
    const an_real *g = an_in(k, "g", n, AN_FILL_CASE);
    an_out *p = an_out_new(k, "p", n, AN_FILL_NORMAL), *m = an_out_new(k, "m", n, AN_FILL_NORMAL), *v = an_out_new(k, "v", n, AN_FILL_POSITIVE);
    if (an_checking(k) && an_pick(k, 4) == 0)   /* the first step: moments of zero */
        for (size_t i = 0; i < n; i++) {
            an_out_set(m, i, AN_R(0));
            an_out_set(v, i, AN_R(0));
        }
    an_work(k, an_bytes(7 * n), 16.0 * (double)n);
    while (an_next_run(k)) an_table(k)->adamw(n, &s, an_at(p), g, an_at(m), an_at(v));
    if (!an_checking(k)) return;
    const long double b1 = (long double)s.beta1, b2 = (long double)s.beta2, lr = (long double)s.lr;
    for (size_t i = 0; i < n; i++) {
        const long double grad = (long double)g[i] * (long double)s.grad_scale, m0 = (long double)m->init[i], v0 = (long double)v->init[i], p0 = (long double)p->init[i];
        an_want(m, i, b1 * m0 + (1 - b1) * grad, fabsl(b1 * m0) + fabsl((1 - b1) * grad));
        an_want(v, i, b2 * v0 + (1 - b2) * grad * grad, b2 * v0 + (1 - b2) * grad * grad);
        const long double m1 = (long double)m->run[0][i], v1 = (long double)v->run[0][i], root = sqrtl(v1 / (long double)s.c2) + (long double)s.eps;
        const long double step = lr * (m1 / (long double)s.c1) / root, kept = p0 * (1 - lr * (long double)s.decay);
        const long double rounded = lr * (fabsl(b1 * m0) + fabsl((1 - b1) * grad)) / (long double)s.c1 / root;   /* how far the level's own moments carry */
        const long double coarse = v1 > 0 && v1 < 0x1p-110L ? 0x1p-148L / v1 / (long double)AN_REAL_EPS : 0;       /* v of few bits */
        an_want(p, i, kept - step, fabsl(kept) + 2 * fabsl(step) + 2 * rounded + fabsl(step) * (sizeof(an_real) == 4 ? coarse : 0));
    }
    an_judge(k, m, 2);
    an_judge(k, v, 2.5);
    an_judge(k, p, 3);
}
