/* tests/kern/check_few.c
 * few_real, few_bf16, few_int8 against the sum in long double. Bound: a sum of k terms in any order loses at most k/2 roundings of the
 * sum of absolute terms on average, k at worst; scaling and bias add two. Each row of x is also run alone and must give the same bits. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct shape { size_t m, n, k, ldx, ldy; } shape;
typedef struct matrix { an_store store; const an_real *real; an_bf16 *half; int8_t *whole; float *scale; } matrix;

static shape pick(an_check *k)
{
    const size_t size = an_pick_size(k), rows = an_pick_rows(k);
    if (!an_checking(k)) return (shape){ 1, rows, size, size, rows };
    static const size_t OUT[] = { 1, 8, 7, 9, 16, 3, 0, 21 };
    shape s = { .m = rows > 17 ? 17 : rows, .n = OUT[an_pick(k, 8)], .k = size > 800 ? size % 800 : size };
    s.ldx = s.k + an_pick(k, 3);
    s.ldy = s.n + an_pick(k, 3);
    return s;
}

static void call(const an_kernels *t, const matrix *w, size_t m, const shape *s, const an_real *x, const an_real *bias, an_real *y)
{
    if (w->store == AN_STORE_REAL) t->few_real(m, s->n, s->k, x, s->ldx, w->real, NULL, bias, y, s->ldy);
    else if (w->store == AN_STORE_BF16) t->few_bf16(m, s->n, s->k, x, s->ldx, w->half, NULL, bias, y, s->ldy);
    else t->few_int8(m, s->n, s->k, x, s->ldx, w->whole, w->scale, bias, y, s->ldy);
}

static long double at(const matrix *w, const shape *s, size_t j, size_t p)
{
    const size_t i = j * s->k + p;
    return w->store == AN_STORE_REAL ? (long double)w->real[i] : w->store == AN_STORE_BF16 ? (long double)an_bf16_widen(w->half[i]) : (long double)w->whole[i] * (long double)w->scale[j];
}

static void want(an_out *y, const matrix *w, const shape *s, const an_real *x, const an_real *bias)
{
    for (size_t i = 0; i < s->m; i++)
        for (size_t j = 0; j < s->n; j++) {
            long double sum = bias ? (long double)bias[j] : 0, mag = fabsl(sum);
            for (size_t p = 0; p < s->k; p++) {
                const long double term = (long double)x[i * s->ldx + p] * at(w, s, j, p);
                sum += term;
                mag += fabsl(term);
            }
            an_want(y, i * s->ldy + j, sum, mag + (long double)(s->k + 2) * (sizeof(an_real) == 4 ? (long double)FLT_MIN : (long double)DBL_MIN));
        }
}

/* Every row by itself: the same bits as among the others. */
static void alone(an_check *k, const matrix *w, const shape *s, const an_real *x, const an_real *bias, const an_real *y)
{
    an_real *one = malloc((s->n + 1) * sizeof *one);
    if (!one) abort();
    for (size_t i = 0; i < s->m; i++) {
        call(an_table(k), w, 1, s, x + i * s->ldx, bias, one);
        for (size_t j = 0; j < s->n; j++)
            if (memcmp(one + j, y + i * s->ldy + j, sizeof *one) != 0 && !(isnan(one[j]) && isnan(y[i * s->ldy + j]))) an_complain(k, "row %zu of %zu has other bits alone", i, s->m);
    }
    free(one);
}

static void check(an_check *k, an_store store)
{
    const shape s = pick(k);
    const an_fill own = an_case_fill(k), fill = own == AN_FILL_HUGE || own == AN_FILL_WIDE ? AN_FILL_NORMAL : own;   /* sums that overflow hang on their order */
    const an_real *x = an_in(k, "x", s.m ? (s.m - 1) * s.ldx + s.k : 0, fill), *real = an_in(k, "w", s.n * s.k, fill == AN_FILL_INF || fill == AN_FILL_TINY || fill == AN_FILL_DENORMAL ? AN_FILL_NORMAL : fill);
    const an_real *bias = an_pick_bool(k) ? an_in(k, "bias", s.n, AN_FILL_NORMAL) : NULL;
    an_out *y = an_out_new(k, "y", s.m && s.n ? (s.m - 1) * s.ldy + s.n : 0, AN_FILL_NORMAL);
    matrix w = { store, real, malloc((s.n * s.k + 1) * sizeof(an_bf16)), malloc(s.n * s.k + 1), malloc((s.n + 1) * sizeof(float)) };
    if (!w.half || !w.whole || !w.scale) abort();
    an_kern_level("ref")->narrow(s.n * s.k, real, w.half);
    an_kern_level("ref")->quantise_int8(s.n, s.k, real, w.whole, w.scale);
    an_work(k, (double)(s.n * s.k) * (store == AN_STORE_REAL ? sizeof(an_real) : store == AN_STORE_BF16 ? 2.0 : 1.0), 2.0 * (double)(s.m * s.n * s.k));
    while (an_next_run(k)) {
        call(an_table(k), &w, s.m, &s, x, bias, an_at(y));
        if (an_checking(k)) alone(k, &w, &s, x, bias, an_at(y));
    }
    if (an_checking(k)) {
        want(y, &w, &s, x, bias);
        an_judge(k, y, (double)s.k / 2 + 3);
    }
    free(w.half);
    free(w.whole);
    free(w.scale);
}

void an_check_few_real(an_check *k) { check(k, AN_STORE_REAL); }
void an_check_few_bf16(an_check *k) { check(k, AN_STORE_BF16); }
void an_check_few_int8(an_check *k) { check(k, AN_STORE_INT8); }
