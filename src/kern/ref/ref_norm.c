/* kern/ref/ref_norm.c
 * The token-wise norm (LayerNorm, RMSNorm and every mixture of eps place, divisor and centring) alone and fused with the
 * residual sum. Formulas: kern.h. Two passes for mean and variance; the backward uses the stored mean and rstd. What belongs to
 * the branch may be stored either way: y in bfloat16 is the real y, rounded. */
#include "kern/ref/ref.h"

typedef struct row_stats { double mean, rstd; } row_stats;

/* What is of the branch, y or dy, in its storage. */
typedef struct branch { void *p; an_store store; } branch;
static an_real branch_get(branch b, size_t i) { return b.store == AN_STORE_REAL ? ((const an_real *)b.p)[i] : an_bf16_widen(((const an_bf16 *)b.p)[i]); }
static void branch_put(branch b, size_t i, an_real v)
{
    if (b.store == AN_STORE_REAL) ((an_real *)b.p)[i] = v;
    else ((an_bf16 *)b.p)[i] = an_bf16_round(v);
}
#define REALS(p) (branch){ (void *)(uintptr_t)(p), AN_STORE_REAL }
#define LOW(p) (branch){ (void *)(uintptr_t)(p), AN_STORE_BF16 }

static row_stats measure(size_t c, const an_norm_spec *s, const an_real *x)
{
    double mean = 0, sum = 0;
    if (s->center) {
        for (size_t j = 0; j < c; j++) mean += (double)x[j];
        mean /= (double)c;
    }
    for (size_t j = 0; j < c; j++) {
        const double d = (double)x[j] - mean;
        sum += d * d;
    }
    const double v = sum / ((double)c - (s->unbiased ? 1 : 0));
    const double eps = (double)s->eps;
    return (row_stats){ mean, s->outside ? 1 / (sqrt(v) + eps) : 1 / sqrt(v + eps) };
}

static void forward(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, branch y, an_real *mean, an_real *rstd)
{
    for (size_t i = 0; i < n; i++, x += c) {
        const row_stats r = measure(c, s, x);
        for (size_t j = 0; j < c; j++) {
            const double h = ((double)x[j] - r.mean) * r.rstd;
            branch_put(y, i * c + j, (an_real)((g ? (double)g[j] : 1) * h + (b ? (double)b[j] : 0)));
        }
        if (mean) mean[i] = (an_real)r.mean;
        rstd[i] = (an_real)r.rstd;
    }
}

void an_ref_norm_fwd(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_real *y, an_real *mean, an_real *rstd) { forward(n, c, s, x, g, b, REALS(y), mean, rstd); }
void an_ref_norm_fwd_low(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_bf16 *y, an_real *mean, an_real *rstd) { forward(n, c, s, x, g, b, LOW(y), mean, rstd); }

/* The factor of h * mean(e * h). s is recovered from the stored rstd: below a few ulp of eps it is rounding noise, a
 * constant row, and counts as 0. */
static double kappa(size_t c, const an_norm_spec *s, double rstd)
{
    const double divisor = (double)c / ((double)c - (s->unbiased ? 1 : 0));
    if (!s->outside) return divisor;
    const double eps = (double)s->eps, sd = 1 / rstd - eps;
    return sd > 4 * (double)AN_REAL_EPS * eps ? divisor * ((sd + eps) / sd) : 0;
}

/* Means of e and e * h over one row, that of dy from `at` on, and the row's share of dg and db. */
static void reduce_row(size_t c, branch dy, size_t at, const an_real *x, const an_real *g, double mean, double rstd, double *me, double *meh, an_real *dg, an_real *db)
{
    double sum_e = 0, sum_eh = 0;
    for (size_t j = 0; j < c; j++) {
        const an_real d = branch_get(dy, at + j);
        const double h = ((double)x[j] - mean) * rstd, e = (g ? (double)g[j] : 1) * (double)d;
        sum_e += e;
        sum_eh += e * h;
        if (dg) an_ref_put(dg + j, (double)d * h, 1);
        if (db) db[j] += d;
    }
    *me = sum_e / (double)c;
    *meh = sum_eh / (double)c;
}

static void backward(size_t n, size_t c, const an_norm_spec *s, branch dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db)
{
    for (size_t i = 0; i < n; i++, x += c, dx += c) {
        const double m = s->center ? (double)mean[i] : 0, r = (double)rstd[i], k = kappa(c, s, r);
        double me, meh;
        reduce_row(c, dy, i * c, x, g, m, r, &me, &meh, dg, db);
        if (!s->center) me = 0;
        for (size_t j = 0; j < c; j++) {
            const double h = ((double)x[j] - m) * r, e = (g ? (double)g[j] : 1) * (double)branch_get(dy, i * c + j);
            an_ref_put(dx + j, r * (e - me - k * h * meh), add);
        }
    }
}

void an_ref_norm_bwd(size_t n, size_t c, const an_norm_spec *s, const an_real *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db) { backward(n, c, s, REALS(dy), x, g, mean, rstd, dx, add, dg, db); }
void an_ref_norm_bwd_low(size_t n, size_t c, const an_norm_spec *s, const an_bf16 *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db) { backward(n, c, s, LOW(dy), x, g, mean, rstd, dx, add, dg, db); }

void an_ref_add_norm_fwd(size_t n, size_t c, const an_norm_spec *s, an_real a, const an_real *x, an_real bf, const an_real *f, const an_drop *drop, const an_real *g, const an_real *b, an_real *h, an_real *y, an_real *mean, an_real *rstd)
{
    if (drop) an_ref_dropout(n * c, drop->key, drop->base, drop->p, f, h, 0);
    an_ref_axpby(n * c, a, x, bf, drop ? h : f, h);
    an_ref_norm_fwd(n, c, s, h, g, b, y, mean, rstd);
}

void an_ref_add_norm_fwd_low(size_t n, size_t c, const an_norm_spec *s, an_real a, const an_real *x, an_real bf, const an_bf16 *f, const an_drop *drop, const an_real *g, const an_real *b, an_real *h, an_bf16 *y, an_real *mean, an_real *rstd)
{
    an_ref_widen(n * c, f, h);
    if (drop) an_ref_dropout(n * c, drop->key, drop->base, drop->p, h, h, 0);
    an_ref_axpby(n * c, a, x, bf, h, h);
    an_ref_norm_fwd_low(n, c, s, h, g, b, y, mean, rstd);
}

/* df (+)= of one element, dropped or kept as its number says. */
static void put_dropped(const an_drop *drop, size_t at, double v, an_real *df, int add)
{
    const an_real full = (an_real)v;
    an_real part;
    an_ref_dropout(1, drop->key, drop->base + at, drop->p, &full, &part, 0);
    an_ref_put(df, (double)part, add);
}

static void add_backward(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_drop *drop, branch dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    for (size_t i = 0; i < n; i++) {
        const double m = s->center ? (double)mean[i] : 0, r = (double)rstd[i], k = kappa(c, s, r);
        double me, meh;
        reduce_row(c, dy, i * c, h + i * c, g, m, r, &me, &meh, dg, db);
        if (!s->center) me = 0;
        for (size_t j = 0; j < c; j++) {
            const size_t at = i * c + j;
            const double u = ((double)h[at] - m) * r, e = (g ? (double)g[j] : 1) * (double)branch_get(dy, at);
            const double dh = r * (e - me - k * u * meh) + (dskip ? (double)dskip[at] : 0);
            if (dx) an_ref_put(dx + at, (double)a * dh, add_x);
            if (df && drop) put_dropped(drop, at, (double)bf * dh, df + at, add_f);
            else if (df) an_ref_put(df + at, (double)bf * dh, add_f);
        }
    }
}

void an_ref_add_norm_bwd(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_drop *drop, const an_real *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db) { add_backward(n, c, s, a, bf, drop, REALS(dy), dskip, h, g, mean, rstd, dx, add_x, df, add_f, dg, db); }
void an_ref_add_norm_bwd_low(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_drop *drop, const an_bf16 *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db) { add_backward(n, c, s, a, bf, drop, LOW(dy), dskip, h, g, mean, rstd, dx, add_x, df, add_f, dg, db); }
