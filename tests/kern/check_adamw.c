/* tests/kern/check_adamw.c
 * AdamW: the moments and the parameter, each against the formula on what the reference stored. Bounds: two roundings per
 * moment; the step is about six roundings of itself plus what the rounded moments bring. The bf16 copy and the length of the
 * update must be those of the parameters that the same run stored: the copy to the bit, each move within one rounding. */
#include "check.h"

/* bf16 words in an array of reals: where they begin, from an even or an odd place. */
static an_bf16 *words_of(an_real *array, size_t odd) { return (an_bf16 *)(void *)array + odd; }

static void judge_copy(an_check *k, const an_out *p, const an_out *low, size_t odd)
{
    for (int r = 0; r < 3; r++) {
        const an_bf16 *got = words_of(low->run[r], odd), *init = (const an_bf16 *)(const void *)low->init;
        for (size_t i = 0; i < p->n; i++) {
            const an_bf16 want = an_bf16_round(p->run[r][i]);
            if (got[i] != want) an_complain(k, "low[%zu] of %zu: got %04x, %.9g rounds to %04x", i, p->n, got[i], (double)p->run[r][i], want);
        }
        for (size_t i = 0; i < low->n * sizeof(an_real) / sizeof *got; i++)
            if ((i < odd || i >= odd + p->n) && words_of(low->run[r], 0)[i] != init[i]) an_complain(k, "low: word %zu was changed and should not be", i);
    }
}

static void judge_moved(an_check *k, const an_out *p, const double *moved)
{
    for (int r = 0; r < 3; r++) {
        long double want = 0;
        for (size_t i = 0; i < p->n; i++) want += ((long double)p->run[r][i] - (long double)p->init[i]) * ((long double)p->run[r][i] - (long double)p->init[i]);
        const long double bound = (sizeof(an_real) == 4 ? 1.5L : (long double)(p->n + 4)) * (long double)AN_REAL_EPS * want;
        const int fits = isfinite((double)want) ? fabsl((long double)moved[r] - want) <= bound : !isfinite(moved[r]);
        if (!fits) an_complain(k, "moved: got %.17g, the parameters moved by %.17Lg; bound %.3Lg", moved[r], want, bound);
    }
}

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
    const int copy = an_pick_bool(k), measure = an_pick_bool(k);
    const size_t odd = an_checking(k) ? an_pick(k, 2) : 0;
    an_out *low = copy ? an_out_new(k, "low", (n + odd) * sizeof(an_bf16) / sizeof(an_real) + 1, AN_FILL_NORMAL) : NULL;
    double moved[3] = { 0 };
    an_work(k, an_bytes(7 * n), 16.0 * (double)n);
    for (int r = 0; an_next_run(k); r++)
        an_table(k)->adamw(n, &s, an_at(p), g, an_at(m), an_at(v), low ? words_of(an_at(low), odd) : NULL, measure && r < 3 ? &moved[r] : NULL);
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
    if (low) judge_copy(k, p, low, odd);
    if (measure) judge_moved(k, p, moved);
}
