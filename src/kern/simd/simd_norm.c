/* kern/simd/simd_norm.c
 * The norm rows at memory speed: a row is read from memory once and stays in the first-level cache for the pass that
 * writes, which also asks for the next row. Forward: one pass takes sum and sum of squares of d = x - pivot, the pivot being
 * the mean of the first vectors; where that turns out more than a deviation off the mean, the pass is repeated with the mean
 * as pivot, so no offset costs accuracy. A row whose variance leaves the safe range of float, or drowns in the rounding
 * of its mean, is handed to the reference. Backward: one pass for row sums and gain gradients, one for dx. */
#include "kern/ref/ref.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

enum { SUMS = 4 };   /* accumulators per row sum */

typedef struct row_stats { float pivot, fix, rstd; int hard; } row_stats;   /* mean = pivot + fix */

/* What the row is made of: h = a x + b f, or x itself when f is NULL. */
typedef struct row_source { float a, b; const float *x, *f; float *h; } row_source;

V_FN vf fetch(const row_source *s, size_t i, size_t left)
{
    vf u = v_get(s->x + i, left);
    if (s->f) {
        u = v_fma(v_set(s->a), u, v_mul(v_set(s->b), v_get(s->f + i, left)));
        v_put(s->h + i, left, u);
    }
    return u;
}

V_FN vf only(vf a, size_t left) { return left >= VL ? a : v_sel(v_tail(left), a, v_zero()); }

V_FN double fold(const vf *s) { return (double)v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3]))); }

/* Mean of the first vectors of the row. */
V_FN float guess(size_t c, const row_source *s)
{
    const size_t n = c < 2 * VL ? c : 2 * VL;
    vf sum = v_zero();
    for (size_t i = 0; i < n; i += VL) sum = v_add(sum, only(fetch(s, i, n - i), n - i));
    return v_sum(sum) / (float)n;
}

/* Sum and sum of squares of x - pivot. */
V_FN void moments(size_t c, const row_source *s, float pivot, double *sum, double *square)
{
    vf s1[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() }, s2[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() };
    const vf p = v_set(pivot);
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL)
        for (size_t j = 0; j < SUMS; j++) {
            const vf d = v_sub(fetch(s, i + j * VL, VL), p);
            s1[j] = v_add(s1[j], d);
            s2[j] = v_fma(d, d, s2[j]);
        }
    for (; i < c; i += VL) {
        const vf d = only(v_sub(fetch(s, i, c - i), p), c - i);
        s1[0] = v_add(s1[0], d);
        s2[0] = v_fma(d, d, s2[0]);
    }
    *sum = fold(s1);
    *square = fold(s2);
}

V_FN row_stats measure(size_t c, const an_norm_spec *s, const row_source *from)
{
    const double n = (double)c, eps = (double)s->eps;
    row_stats r = { s->center ? guess(c, from) : 0.0f, 0, 0, 0 };
    double sum, square;
    moments(c, from, r.pivot, &sum, &square);
    if (s->center && sum * sum > 0.5 * n * square) {   /* |fix| exceeds the deviation */
        const row_source again = { 0, 0, from->f ? from->h : from->x, NULL, NULL };
        r.pivot = (float)((double)r.pivot + sum / n);
        moments(c, &again, r.pivot, &sum, &square);
    }
    const double fix = s->center ? sum / n : 0, spread = square / n - fix * fix, mean = (double)r.pivot + fix, v = spread * (n / (n - (s->unbiased ? 1 : 0)));
    const int tiny = spread < 0x1p-100 && eps < 0x1p-25, lost = spread < 0x1p-36 * mean * mean;
    r.hard = !(spread < 0x1p+120) || tiny || lost;
    r.fix = (float)fix;
    r.rstd = (float)(s->outside ? 1 / (sqrt(v) + eps) : 1 / sqrt(v + eps));
    return r;
}

V_FN void write_row(size_t c, const row_stats *r, const float *x, const float *g, const float *b, float *y, const float *next, const float *next_f)
{
    const vf pivot = v_set(r->pivot), rstd = v_set(r->rstd), shift = v_set(-r->fix * r->rstd);
    V_EACH(c, i, left, {
        const vf h = v_fma(v_sub(v_get(x + i, left), pivot), rstd, shift);
        const vf bias = b ? v_get(b + i, left) : v_zero();
        v_prefetch(next, i);
        if (next_f) v_prefetch(next_f, i);
        v_put(y + i, left, g ? v_fma(v_get(g + i, left), h, bias) : v_add(h, bias));
    });
}

V_FN void forward(size_t n, size_t c, const an_norm_spec *s, float a, const float *x, float bf, const float *f, const float *g, const float *b, float *h, float *y, float *mean, float *rstd)
{
    for (size_t i = 0; i < n; i++, y += c) {
        const size_t at = i * c, next = i + 1 < n ? at + c : at;
        const row_source from = { a, bf, x + at, f ? f + at : NULL, f ? h + at : NULL };
        const float *row = f ? h + at : x + at;
        const row_stats r = measure(c, s, &from);
        if (r.hard) {
            an_ref_norm_fwd(1, c, s, row, g, b, y, mean ? mean + i : NULL, rstd + i);
            continue;
        }
        write_row(c, &r, row, g, b, y, x + next, f ? f + next : NULL);
        if (mean) mean[i] = r.pivot + r.fix;
        rstd[i] = r.rstd;
    }
}

void AN_SIMD(norm_fwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_real *y, an_real *mean, an_real *rstd)
{
    forward(n, c, s, 1, x, 0, NULL, g, b, NULL, y, mean, rstd);
}

void AN_SIMD(add_norm_fwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, const an_real *x, an_real bf, const an_real *f, const an_real *g, const an_real *b, an_real *h, an_real *y, an_real *mean, an_real *rstd)
{
    forward(n, c, s, a, x, bf, f, g, b, h, y, mean, rstd);
}

/* The factor of h * mean(e * h), see ref_norm.c. */
static double kappa(size_t c, const an_norm_spec *s, double rstd)
{
    const double divisor = (double)c / ((double)c - (s->unbiased ? 1 : 0)), eps = (double)s->eps;
    if (!s->outside) return divisor;
    const double sd = 1 / rstd - eps;
    return sd > 4 * (double)AN_REAL_EPS * eps ? divisor * ((sd + eps) / sd) : 0;
}

/* Row sums of e and e h; dg += dy h, db += dy. */
V_FN void reduce(size_t c, const float *dy, const float *x, const float *g, float mean, float rstd, float *dg, float *db, double *sum_e, double *sum_eh)
{
    vf se[2] = { v_zero(), v_zero() }, seh[2] = { v_zero(), v_zero() };
    const vf m = v_set(mean), r = v_set(rstd);
    size_t i = 0;
    for (; i + 2 * VL <= c; i += 2 * VL)
        for (size_t j = 0; j < 2; j++) {
            const size_t at = i + j * VL;
            const vf d = v_load(dy + at), h = v_mul(v_sub(v_load(x + at), m), r), e = g ? v_mul(v_load(g + at), d) : d;
            se[j] = v_add(se[j], e);
            seh[j] = v_fma(e, h, seh[j]);
            if (dg) v_store(dg + at, v_fma(d, h, v_load(dg + at)));
            if (db) v_store(db + at, v_add(d, v_load(db + at)));
        }
    for (; i < c; i += VL) {
        const size_t left = c - i;
        const vf d = v_get(dy + i, left), e = g ? v_mul(v_get(g + i, left), d) : d;
        vf h = v_mul(v_sub(v_get(x + i, left), m), r);
        if (left < VL) h = v_sel(v_tail(left), h, v_zero());
        se[0] = v_add(se[0], e);
        seh[0] = v_fma(e, h, seh[0]);
        if (dg) v_put(dg + i, left, v_fma(d, h, v_get(dg + i, left)));
        if (db) v_put(db + i, left, v_add(d, v_get(db + i, left)));
    }
    *sum_e = (double)v_sum(v_add(se[0], se[1]));
    *sum_eh = (double)v_sum(v_add(seh[0], seh[1]));
}

typedef struct sink { float a; float *to; int add; } sink;   /* to (+)= a * dh; NULL: nowhere */

V_FN void deliver(const sink *s, size_t at, size_t left, vf dh)
{
    if (!s->to) return;
    const vf v = v_mul(v_set(s->a), dh);
    v_put(s->to + at, left, s->add ? v_add(v_get(s->to + at, left), v) : v);
}

V_FN void backward(size_t n, size_t c, const an_norm_spec *s, const float *dy, const float *dskip, const float *x, const float *g, const float *mean, const float *rstd, sink one, sink two, float *dg, float *db)
{
    for (size_t row = 0; row < n; row++) {
        const float m = s->center ? mean[row] : 0.0f;
        const float *d = dy + row * c, *u = x + row * c;
        double sum_e, sum_eh;
        reduce(c, d, u, g, m, rstd[row], dg, db, &sum_e, &sum_eh);
        const vf vm_ = v_set(m), r = v_set(rstd[row]), me = v_set(s->center ? (float)(sum_e / (double)c) : 0.0f), slope = v_set((float)(kappa(c, s, (double)rstd[row]) * (sum_eh / (double)c)));
        const size_t ahead = row + 1 < n ? c : 0;   /* the next row, asked for while this one is written */
        V_EACH(c, i, left, {
            v_prefetch(d + ahead, i);
            v_prefetch(u + ahead, i);
            if (dskip) v_prefetch(dskip + row * c + ahead, i);
            const vf h = v_mul(v_sub(v_get(u + i, left), vm_), r), e = g ? v_mul(v_get(g + i, left), v_get(d + i, left)) : v_get(d + i, left);
            vf dh = v_mul(r, v_fnma(h, slope, v_sub(e, me)));
            if (dskip) dh = v_add(dh, v_get(dskip + row * c + i, left));
            deliver(&one, row * c + i, left, dh);
            deliver(&two, row * c + i, left, dh);
        });
    }
}

void AN_SIMD(norm_bwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db)
{
    backward(n, c, s, dy, NULL, x, g, mean, rstd, (sink){ 1, dx, add }, (sink){ 0, NULL, 0 }, dg, db);
}

void AN_SIMD(add_norm_bwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_real *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    backward(n, c, s, dy, dskip, h, g, mean, rstd, (sink){ a, dx, add_x }, (sink){ bf, df, add_f }, dg, db);
}
