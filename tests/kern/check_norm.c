/* tests/kern/check_norm.c
 * The norm rows against their definition in long double. Bounds, with chain = c/32 + 4, the longest run of roundings in a
 * row sum kept in 32 partial sums: y = g h + b with h and its mean each good to chain * eps of (1 + |h|); dx to chain * eps of
 * the absolute terms of its formula; dg and db to (n + 2)/2 eps of their absolute sums. In f64 the reference takes plain
 * sums: there the mean costs eps * |mean|. In add_norm a level's h may be an ulp of its terms away; that is carried along.
 * Rows whose branch is bfloat16 are held to those of reals, bit by bit. */
#include "check.h"

#include <float.h>
#include <stdlib.h>

typedef struct row_want { long double mean, rstd, size; } row_want;   /* size: mean of |x| */

static an_norm_spec pick_spec(an_check *k, size_t c)
{
    static const double eps[] = { 1e-5, 1e-6, 1e-3, 0 };
    const an_norm_spec s = { AN_R(eps[an_pick(k, 4)]), (int)an_pick(k, 2), c > 1 && an_pick(k, 4) == 0, (int)an_pick(k, 2), (int)an_pick(k, 2) };
    if (!an_checking(k)) return (an_norm_spec){ .eps = AN_R(1e-5), .center = 1 };
    return s;
}

static row_want measure(size_t c, const an_norm_spec *s, const an_real *x)
{
    row_want w = { 0, 0, 0 };
    long double sum = 0;
    for (size_t j = 0; j < c; j++) {
        w.mean += s->center ? (long double)x[j] / (long double)c : 0;
        w.size += fabsl((long double)x[j]) / (long double)c;
    }
    for (size_t j = 0; j < c; j++) sum += ((long double)x[j] - w.mean) * ((long double)x[j] - w.mean);
    const long double v = sum / (long double)(s->unbiased ? c - 1 : c), eps = (long double)s->eps;
    w.rstd = s->outside ? 1 / (sqrtl(v) + eps) : 1 / sqrtl(v + eps);
    return w;
}

static double chain(size_t c) { return (double)c / 32 + 4; }
static long double plain_sum(size_t c, long double size) { return sizeof(an_real) == 4 ? 0 : (long double)c * size; }

/* No claim: a row whose deviations are lost in rounding where no eps shields the division; and where the reference, being
 * as wide as its numbers in f64, cannot hold the squares. */
static int degenerate(const an_norm_spec *s, const row_want *w)
{
    if (s->eps <= AN_R(0) && !(w->size * w->rstd < 1e12L)) return 1;
    return sizeof(an_real) == 8 && isfinite(w->size) && (w->size > 1e140L || (s->eps <= AN_R(0) && !(w->rstd < 1e140L)));
}

/* wobble: how far the row's own values may differ between reference and level, absolute, in eps */
static void want_row(size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, size_t row, long double wobble, an_out *y, an_out *mean, an_out *rstd)
{
    const row_want w = measure(c, s, x);
    const long double shift = w.rstd * (plain_sum(c, w.size) + wobble);
    for (size_t j = 0; j < c; j++) {
        const long double gain = g ? (long double)g[j] : 1, bias = b ? (long double)b[j] : 0, h = ((long double)x[j] - w.mean) * w.rstd;
        const long double mag = degenerate(s, &w) && isfinite(h) ? INFINITY : fabsl(gain) * (1 + fabsl(h)) * (1 + shift) + fabsl(bias);
        an_want(y, row * c + j, degenerate(s, &w) ? (long double)y->run[0][row * c + j] : gain * h + bias, mag);
    }
    if (mean) an_want(mean, row, w.mean, w.size + wobble + plain_sum(c, w.size) / 2);
    an_want(rstd, row, degenerate(s, &w) ? (long double)rstd->run[0][row] : w.rstd, degenerate(s, &w) ? INFINITY : w.rstd * (1 + shift));
}

/* --- a branch of bfloat16: the same checks of the _low rows, which are held to the same level's rows of reals bit by bit as well ---- */

static void *room(size_t bytes)   /* on a cache line: rows may be stored past the caches */
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!p) abort();
    return p;
}

/* x as bfloat16, or room for so many (x NULL), with one more behind them; x becomes what that holds. NULL unless low. */
static an_bf16 *low_of(int low, size_t n, an_real *x)
{
    an_bf16 *to = low ? room((n + 1) * sizeof *to) : NULL;
    for (size_t i = 0; low && x && i < n; i++) x[i] = an_bf16_widen(to[i] = an_bf16_round(x[i]));
    if (low) to[n] = 0x1234;
    return to;
}

/* y as the level stored it, which must be what its row of reals gives, rounded. */
static void take_low(an_check *k, an_out *y, const an_bf16 *low, const an_real *real)
{
    for (size_t i = 0; i < y->n; i++) {
        const int nan = isnan(an_bf16_widen(low[i])) && isnan(real[i]);
        if (!nan && low[i] != an_bf16_round(real[i])) an_complain(k, "%s[%zu] of %zu: bfloat16 %g, the row of reals gives %g", y->name, i, y->n, (double)an_bf16_widen(low[i]), (double)real[i]);
        an_at(y)[i] = an_bf16_widen(low[i]);
    }
    if (low[y->n] != 0x1234) an_complain(k, "%s: written past its end", y->name);
}

/* Allows a result for having been rounded to bfloat16, reference and level perhaps to neighbours; one rounding has `factor` eps. */
static void allow_low(an_out *y, double factor)
{
    for (size_t i = 0; i < y->n; i++)
        if (isfinite((double)y->want[i])) y->mag[i] += (0x1p-7L * fabsl(y->want[i]) + 0x1p-133L) / ((long double)AN_REAL_EPS * (long double)(sizeof(an_real) == 4 ? 1 : factor));
}

/* What the row of reals makes of an output's first contents; out NULL: there is none. */
typedef struct mirror { an_out *out; an_real *real; } mirror;

static an_real *mirror_new(mirror *m)
{
    if (!m->out) return NULL;
    m->real = room(m->out->n * sizeof *m->real);
    memcpy(m->real, m->out->init, m->out->n * sizeof *m->real);
    return m->real;
}

static void mirror_end(an_check *k, mirror *m)
{
    for (size_t i = 0; m->out && i < m->out->n; i++)
        if (memcmp(m->real + i, an_at(m->out) + i, sizeof *m->real) != 0 && !(isnan(m->real[i]) && isnan(an_at(m->out)[i])))
            an_complain(k, "%s[%zu] of %zu: %a beside bfloat16, %a beside reals", m->out->name, i, m->out->n, (double)an_at(m->out)[i], (double)m->real[i]);
    if (m->out) free(m->real);
}

static an_real *at_or_null(const an_out *y) { return y ? an_at(y) : NULL; }

static void norm_fwd(an_check *k, int low)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const an_norm_spec s = pick_spec(k, c);
    const an_real *x = an_in(k, "x", n * c, AN_FILL_CASE);
    const an_real *g = an_pick(k, 4) || !an_checking(k) ? an_in(k, "g", c, AN_FILL_NORMAL) : NULL, *b = an_pick(k, 4) || !an_checking(k) ? an_in(k, "b", c, AN_FILL_NORMAL) : NULL;
    an_out *y = an_out_new(k, "y", n * c, AN_FILL_NORMAL), *rstd = an_out_new(k, "rstd", n, AN_FILL_NORMAL);
    an_out *mean = s.center || an_pick_bool(k) ? an_out_new(k, "mean", n, AN_FILL_NORMAL) : NULL;
    an_bf16 *stored = low_of(low, n * c, NULL);
    an_work(k, an_bytes(n * c) + (low ? 2.0 * (double)(n * c) : an_bytes(n * c)), 8.0 * (double)(n * c));
    while (an_next_run(k)) {
        if (!low) {
            an_table(k)->norm_fwd(n, c, &s, x, g, b, an_at(y), at_or_null(mean), an_at(rstd));
            continue;
        }
        an_table(k)->norm_fwd_low(n, c, &s, x, g, b, stored, at_or_null(mean), an_at(rstd));
        if (!an_checking(k)) continue;
        mirror one = { y, NULL }, two = { mean, NULL }, three = { rstd, NULL };
        an_real *real = mirror_new(&one);
        an_table(k)->norm_fwd(n, c, &s, x, g, b, real, mirror_new(&two), mirror_new(&three));
        take_low(k, y, stored, real);
        free(real);
        mirror_end(k, &two);
        mirror_end(k, &three);
    }
    free(stored);
    if (!an_checking(k) || c == 0) return;
    for (size_t i = 0; i < n; i++) want_row(c, &s, x + i * c, g, b, i, 0, y, mean, rstd);
    if (low) allow_low(y, chain(c));
    an_judge(k, rstd, chain(c));
    if (mean) an_judge(k, mean, chain(c));
    an_judge(k, y, chain(c));
}

void an_check_norm_fwd(an_check *k) { norm_fwd(k, 0); }
void an_check_norm_fwd_low(an_check *k) { norm_fwd(k, 1); }

/* Sometimes dropout of f, from an even or an odd place of the stream. */
static const an_drop *pick_drop(an_check *k, an_drop *d)
{
    static const double ps[] = { 0.1, 0.5, 0, 0.9 };
    *d = (an_drop){ { { (uint32_t)an_pick(k, 1ull << 32), (uint32_t)an_pick(k, 1ull << 32) } }, an_pick(k, 3) ? 4 * an_pick(k, 1000) : an_pick(k, 1000), AN_R(ps[an_pick(k, 4)]) };
    return an_checking(k) && an_pick(k, 2) ? d : NULL;
}

/* x [n] as it is after dropout: by the reference, which its own row checks. */
static void drop_ref(const an_drop *d, size_t n, const an_real *x, an_real *y) { an_kern_level("ref")->dropout(n, d->key, d->base, d->p, x, y, 0); }

static void add_norm_fwd(an_check *k, int low)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const an_norm_spec s = pick_spec(k, c);
    const an_real a = an_pick_scale(k), bf = an_pick_scale(k);
    const an_real *x = an_in(k, "x", n * c, AN_FILL_CASE);
    an_real *f = an_in_edit(k, "f", n * c, AN_FILL_CASE);
    const an_real *g = an_pick(k, 4) || !an_checking(k) ? an_in(k, "g", c, AN_FILL_NORMAL) : NULL, *b = an_pick(k, 4) || !an_checking(k) ? an_in(k, "b", c, AN_FILL_NORMAL) : NULL;
    an_out *h = an_out_new(k, "h", n * c, AN_FILL_NORMAL), *y = an_out_new(k, "y", n * c, AN_FILL_NORMAL), *rstd = an_out_new(k, "rstd", n, AN_FILL_NORMAL);
    an_out *mean = s.center || an_pick_bool(k) ? an_out_new(k, "mean", n, AN_FILL_NORMAL) : NULL;
    an_drop d;
    const an_drop *drop = pick_drop(k, &d);
    an_real *added = drop ? an_in_edit(k, "f after dropout", n * c, AN_FILL_NORMAL) : NULL;
    an_bf16 *low_f = low_of(low, n * c, f), *stored = low_of(low, n * c, NULL);
    if (drop) drop_ref(drop, n * c, f, added);
    an_work(k, an_bytes(2 * n * c) + (low ? 4.0 * (double)(n * c) : an_bytes(2 * n * c)), 11.0 * (double)(n * c));
    while (an_next_run(k)) {
        if (!low) {
            an_table(k)->add_norm_fwd(n, c, &s, a, x, bf, f, drop, g, b, an_at(h), an_at(y), at_or_null(mean), an_at(rstd));
            continue;
        }
        an_table(k)->add_norm_fwd_low(n, c, &s, a, x, bf, low_f, drop, g, b, an_at(h), stored, at_or_null(mean), an_at(rstd));
        if (!an_checking(k)) continue;
        mirror one = { y, NULL }, two = { mean, NULL }, three = { rstd, NULL }, four = { h, NULL };
        an_real *real = mirror_new(&one);
        an_table(k)->add_norm_fwd(n, c, &s, a, x, bf, f, drop, g, b, mirror_new(&four), real, mirror_new(&two), mirror_new(&three));
        take_low(k, y, stored, real);
        free(real);
        mirror_end(k, &two);
        mirror_end(k, &three);
        mirror_end(k, &four);
    }
    free(low_f);
    free(stored);
    if (!an_checking(k) || c == 0) return;
    for (size_t i = 0; i < n; i++) {
        long double wobble = sizeof(an_real) == 4 ? (long double)FLT_MIN : (long double)DBL_MIN;   /* below it an ulp shrinks no more */
        for (size_t j = i * c; j < (i + 1) * c; j++) {
            const long double p = (long double)a * (long double)x[j], q = (long double)bf * (long double)(drop ? added : f)[j];
            an_want(h, j, p + q, fabsl(p) + fabsl(q));
            wobble = fmaxl(wobble, fabsl(p) + fabsl(q));
        }
        want_row(c, &s, h->run[0] + i * c, g, b, i, wobble, y, mean, rstd);
    }
    if (low) allow_low(y, chain(c));
    an_judge(k, h, 1.5);
    an_judge(k, rstd, chain(c));
    if (mean) an_judge(k, mean, chain(c));
    an_judge(k, y, chain(c));
}

void an_check_add_norm_fwd(an_check *k) { add_norm_fwd(k, 0); }
void an_check_add_norm_fwd_low(an_check *k) { add_norm_fwd(k, 1); }

typedef struct bwd_case {
    size_t n, c;
    an_norm_spec s;
    const an_real *dy, *x, *g, *mean, *rstd;
    an_bf16 *low_dy;                 /* the same; NULL: as reals only */
    an_out *dg, *db;
} bwd_case;

static bwd_case pick_bwd(an_check *k, int low)
{
    bwd_case b = { .c = an_pick_size(k), .n = an_pick_rows(k) };
    b.s = pick_spec(k, b.c);
    an_real *dy = an_in_edit(k, "dy", b.n * b.c, AN_FILL_NORMAL);
    b.low_dy = low_of(low, b.n * b.c, dy);
    b.dy = dy;
    b.x = an_in(k, "x", b.n * b.c, AN_FILL_CASE);
    b.g = an_pick(k, 4) || !an_checking(k) ? an_in(k, "g", b.c, AN_FILL_NORMAL) : NULL;
    an_real *mean = an_in_edit(k, "mean", b.n, AN_FILL_NORMAL), *rstd = an_in_edit(k, "rstd", b.n, AN_FILL_NORMAL);
    for (size_t i = 0; i < b.n && b.c && an_checking(k); i++) {
        const row_want w = measure(b.c, &b.s, b.x + i * b.c);
        mean[i] = (an_real)w.mean;
        rstd[i] = (an_real)w.rstd;
    }
    b.mean = b.s.center || an_pick_bool(k) ? mean : NULL;
    b.rstd = rstd;
    b.dg = an_pick(k, 4) || !an_checking(k) ? an_out_new(k, "dg", b.c, AN_FILL_NORMAL) : NULL;
    b.db = an_pick(k, 4) || !an_checking(k) ? an_out_new(k, "db", b.c, AN_FILL_NORMAL) : NULL;
    return b;
}

static double kappa(const an_norm_spec *s, size_t c, double rstd)
{
    const double eps = (double)s->eps, sd = 1 / rstd - eps, divisor = (double)c / (double)(s->unbiased ? c - 1 : c);
    if (!s->outside) return divisor;
    return sd > 4 * (double)AN_REAL_EPS * eps ? divisor * (sd + eps) / sd : 0;
}

/* The gradient of row i by the formula of kern.h: dx[j] and the sum of its absolute terms. */
static void formula_row(const bwd_case *b, size_t i, long double *dx, long double *mag)
{
    const size_t c = b->c;
    const an_real *x = b->x + i * c, *dy = b->dy + i * c;
    const long double m = b->s.center ? (long double)b->mean[i] : 0, r = (long double)b->rstd[i], kap = (long double)kappa(&b->s, c, (double)b->rstd[i]);
    long double me = 0, meh = 0, abs_e = 0, abs_eh = 0;
    for (size_t j = 0; j < c; j++) {
        const long double e = (b->g ? (long double)b->g[j] : 1) * (long double)dy[j], h = ((long double)x[j] - m) * r;
        me += e / (long double)c;
        meh += e * h / (long double)c;
        abs_e += fabsl(e) / (long double)c;
        abs_eh += fabsl(e * h) / (long double)c;
    }
    for (size_t j = 0; j < c; j++) {
        const long double e = (b->g ? (long double)b->g[j] : 1) * (long double)dy[j], h = ((long double)x[j] - m) * r;
        dx[j] = r * (e - (b->s.center ? me : 0) - kap * h * meh);
        mag[j] = fabsl(r) * (fabsl(e) + (b->s.center ? abs_e : 0) + kap * fabsl(h) * abs_eh);
    }
}

static void judge_gains(an_check *k, const bwd_case *b)
{
    for (size_t j = 0; j < b->c; j++) {
        long double dg = b->dg ? (long double)b->dg->init[j] : 0, db = b->db ? (long double)b->db->init[j] : 0, dg_mag = fabsl(dg), db_mag = fabsl(db);
        for (size_t i = 0; i < b->n; i++) {
            const long double dy = (long double)b->dy[i * b->c + j], h = ((long double)b->x[i * b->c + j] - (b->s.center ? (long double)b->mean[i] : 0)) * (long double)b->rstd[i];
            dg += dy * h;
            db += dy;
            dg_mag += fabsl(dy * h);
            db_mag += fabsl(dy);
        }
        if (b->dg) an_want(b->dg, j, dg, dg_mag * (long double)(b->n + 4) / 2);
        if (b->db) an_want(b->db, j, db, db_mag * (long double)(b->n + 4) / 2);
    }
    if (b->dg) an_judge(k, b->dg, 1);
    if (b->db) an_judge(k, b->db, 1);
}

enum { WIDEST = 4099 };

static void norm_bwd(an_check *k, int low)
{
    static long double dh[WIDEST], mag[WIDEST];
    const bwd_case b = pick_bwd(k, low);
    const size_t n = b.n, c = b.c;
    const int add = an_pick_bool(k);
    an_out *dx = an_out_new(k, "dx", n * c, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n * c) + (low ? 2.0 * (double)(n * c) : an_bytes(n * c)), 14.0 * (double)(n * c));
    while (an_next_run(k)) {
        if (!low) {
            an_table(k)->norm_bwd(n, c, &b.s, b.dy, b.x, b.g, b.mean, b.rstd, an_at(dx), add, at_or_null(b.dg), at_or_null(b.db));
            continue;
        }
        an_table(k)->norm_bwd_low(n, c, &b.s, b.low_dy, b.x, b.g, b.mean, b.rstd, an_at(dx), add, at_or_null(b.dg), at_or_null(b.db));
        if (!an_checking(k)) continue;
        mirror one = { dx, NULL }, two = { b.dg, NULL }, three = { b.db, NULL };
        an_table(k)->norm_bwd(n, c, &b.s, b.dy, b.x, b.g, b.mean, b.rstd, mirror_new(&one), add, mirror_new(&two), mirror_new(&three));
        mirror_end(k, &one);
        mirror_end(k, &two);
        mirror_end(k, &three);
    }
    free(b.low_dy);
    if (!an_checking(k) || c == 0) return;
    for (size_t i = 0; i < n; i++) {
        formula_row(&b, i, dh, mag);
        for (size_t j = 0; j < c; j++) {
            const long double old = add ? (long double)dx->init[i * c + j] : 0;
            an_want(dx, i * c + j, old + dh[j], fabsl(old) + mag[j]);
        }
    }
    an_judge(k, dx, chain(c));
    judge_gains(k, &b);
}

void an_check_norm_bwd(an_check *k) { norm_bwd(k, 0); }
void an_check_norm_bwd_low(an_check *k) { norm_bwd(k, 1); }

static void add_norm_bwd(an_check *k, int low)
{
    static long double dh[WIDEST], mag[WIDEST];
    const bwd_case b = pick_bwd(k, low);
    const size_t n = b.n, c = b.c;
    const int add_x = an_pick_bool(k), add_f = an_pick_bool(k);
    const uint64_t absent = an_pick(k, 6);   /* 0: no dx, 1: no df */
    const an_real a = an_pick_scale(k), bf = an_pick_scale(k);
    an_out *dx = absent != 0 || !an_checking(k) ? an_out_new(k, "dx", n * c, AN_FILL_NORMAL) : NULL, *df = absent != 1 || !an_checking(k) ? an_out_new(k, "df", n * c, AN_FILL_NORMAL) : NULL;
    const uint64_t skip = an_checking(k) ? an_pick(k, 4) : 1;   /* 0: none, 1: its own array, 2: dx's, 3: df's */
    const an_out *alias = skip == 2 && dx && !add_x ? dx : skip == 3 && df && !add_f ? df : NULL;
    const an_real *own = skip && !alias ? an_in(k, "dskip", n * c, AN_FILL_NORMAL) : NULL;
    an_drop drawn;
    const an_drop *drop = pick_drop(k, &drawn);
    an_real *ones = an_in_edit(k, "ones", drop ? n * c : 0, AN_FILL_NORMAL), *factor = an_in_edit(k, "factor", drop ? n * c : 0, AN_FILL_NORMAL);
    for (size_t i = 0; drop && i < n * c; i++) ones[i] = 1;
    if (drop) drop_ref(drop, n * c, ones, factor);
    an_work(k, an_bytes(4 * n * c) + (low ? 2.0 * (double)(n * c) : an_bytes(n * c)), 18.0 * (double)(n * c));
    while (an_next_run(k)) {
        const an_real *dskip = alias ? an_at(alias) : own;
        if (!low) {
            an_table(k)->add_norm_bwd(n, c, &b.s, a, bf, drop, b.dy, dskip, b.x, b.g, b.mean, b.rstd, at_or_null(dx), add_x, at_or_null(df), add_f, at_or_null(b.dg), at_or_null(b.db));
            continue;
        }
        an_table(k)->add_norm_bwd_low(n, c, &b.s, a, bf, drop, b.low_dy, dskip, b.x, b.g, b.mean, b.rstd, at_or_null(dx), add_x, at_or_null(df), add_f, at_or_null(b.dg), at_or_null(b.db));
        if (!an_checking(k)) continue;
        mirror one = { dx, NULL }, two = { df, NULL }, three = { b.dg, NULL }, four = { b.db, NULL };
        an_real *real_dx = mirror_new(&one), *real_df = mirror_new(&two);
        an_table(k)->add_norm_bwd(n, c, &b.s, a, bf, drop, b.dy, !alias ? own : alias == dx ? real_dx : real_df, b.x, b.g, b.mean, b.rstd, real_dx, add_x, real_df, add_f, mirror_new(&three), mirror_new(&four));
        mirror_end(k, &one);
        mirror_end(k, &two);
        mirror_end(k, &three);
        mirror_end(k, &four);
    }
    free(b.low_dy);
    if (!an_checking(k) || c == 0) return;
    const an_real *from = alias ? alias->init : own;
    for (size_t i = 0; i < n; i++) {
        formula_row(&b, i, dh, mag);
        for (size_t j = 0; j < c; j++) {
            const size_t at = i * c + j;
            const long double ds = from ? (long double)from[at] : 0, v = dh[j] + ds, size = mag[j] + fabsl(ds);
            const long double kept = drop ? (long double)factor[at] : 1;   /* 0 or 1/(1-p) */
            const long double ox = dx && add_x ? (long double)dx->init[at] : 0, of = df && add_f ? (long double)df->init[at] : 0;
            if (dx) an_want(dx, at, ox + (long double)a * v, fabsl(ox) + fabsl((long double)a) * size);
            if (df) an_want(df, at, of + (kept != 0 ? kept * (long double)bf * v : 0), fabsl(of) + (kept != 0 ? (drop ? 2 : 1) * kept * fabsl((long double)bf) * size : 0));   /* dropout rounds twice more */
        }
    }
    if (dx) an_judge(k, dx, chain(c));
    if (df) an_judge(k, df, chain(c));
    judge_gains(k, &b);
}

void an_check_add_norm_bwd(an_check *k) { add_norm_bwd(k, 0); }
void an_check_add_norm_bwd_low(an_check *k) { add_norm_bwd(k, 1); }
