/* kern/simd/simd_norm.c
 * The norm rows at memory speed: a row is read from memory once and stays in the first-level cache for the passes over
 * it. Forward: sum; sum and sum of squares of d = x - m, where the sum corrects the rounded mean (so a large offset costs
 * no accuracy); y. A row whose variance leaves the safe range of float, or drowns in the rounding of its mean, is handed to
 * the reference. Backward: one pass for both row sums and the gain gradients, one for dx. */
#include "kern/ref/ref.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

enum { SUMS = 4 };   /* accumulators per row sum */

typedef struct row_stats { float mean, fix, rstd; int hard; } row_stats;   /* the exact mean is close to mean + fix */

V_FN float fold4(const vf *s) { return v_sum(v_add(v_add(s[0], s[1]), v_add(s[2], s[3]))); }

/* h = a x + b f when f is given; returns the row's mean rounded to float. */
V_FN float first_pass(size_t c, float a, const float *x, float b, const float *f, float *h)
{
    vf s[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() };
    const vf va = v_set(a), vb = v_set(b);
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL)
        for (size_t j = 0; j < SUMS; j++) {
            const size_t at = i + j * VL;
            vf u = v_load(x + at);
            if (f) {
                u = v_fma(va, u, v_mul(vb, v_load(f + at)));
                v_store(h + at, u);
            }
            s[j] = v_add(s[j], u);
        }
    for (; i < c; i += VL) {
        vf u = v_get(x + i, c - i);
        if (f) {
            u = v_fma(va, u, v_mul(vb, v_get(f + i, c - i)));
            v_put(h + i, c - i, u);
        }
        s[0] = v_add(s[0], c - i >= VL ? u : v_sel(v_tail(c - i), u, v_zero()));
    }
    return (float)((double)fold4(s) / (double)c);
}

V_FN row_stats second_pass(size_t c, const an_norm_spec *s, const float *x, float mean)
{
    vf sum[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() }, square[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() };
    const vf m = v_set(mean);
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL)
        for (size_t j = 0; j < SUMS; j++) {
            const vf d = v_sub(v_load(x + i + j * VL), m);
            sum[j] = v_add(sum[j], d);
            square[j] = v_fma(d, d, square[j]);
        }
    for (; i < c; i += VL) {
        vf d = v_sub(v_get(x + i, c - i), m);
        if (c - i < VL) d = v_sel(v_tail(c - i), d, v_zero());
        sum[0] = v_add(sum[0], d);
        square[0] = v_fma(d, d, square[0]);
    }
    const double n = (double)c, fix = s->center ? (double)fold4(sum) / n : 0, eps = (double)s->eps;
    const double spread = (double)fold4(square) / n - fix * fix, v = spread * (n / (n - (s->unbiased ? 1 : 0)));
    row_stats r = { .mean = mean, .fix = (float)fix };
    const int tiny = spread < 0x1p-100 && eps < 0x1p-25, lost = spread < 0x1p-36 * (double)mean * (double)mean;
    r.hard = !(spread < 0x1p+120) || tiny || lost;
    r.rstd = (float)(s->outside ? 1 / (sqrt(v) + eps) : 1 / sqrt(v + eps));
    return r;
}

V_FN void third_pass(size_t c, const row_stats *r, const float *x, const float *g, const float *b, float *y)
{
    const vf m = v_set(r->mean), rstd = v_set(r->rstd), fix = v_set(r->fix);
    V_EACH(c, i, left, {
        const vf h = v_mul(v_sub(v_sub(v_get(x + i, left), m), fix), rstd);
        const vf bias = b ? v_get(b + i, left) : v_zero();
        v_put(y + i, left, g ? v_fma(v_get(g + i, left), h, bias) : v_add(h, bias));
    });
}

V_FN void forward(size_t n, size_t c, const an_norm_spec *s, float a, const float *x, float bf, const float *f, const float *g, const float *b, float *h, float *y, float *mean, float *rstd)
{
    for (size_t i = 0; i < n; i++) {
        const float *row = f ? h + i * c : x + i * c;
        const float m = f || s->center ? first_pass(c, a, x + i * c, bf, f ? f + i * c : NULL, f ? h + i * c : NULL) : 0.0f;
        const row_stats r = second_pass(c, s, row, s->center ? m : 0.0f);
        if (r.hard) {
            an_ref_norm_fwd(1, c, s, row, g, b, y + i * c, mean ? mean + i : NULL, rstd + i);
            continue;
        }
        third_pass(c, &r, row, g, b, y + i * c);
        if (mean) mean[i] = r.mean + r.fix;
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
        V_EACH(c, i, left, {
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
