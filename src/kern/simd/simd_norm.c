/* kern/simd/simd_norm.c
 * The norm rows at memory speed. A row needs two sweeps: one for its sums, one that writes. The second sweep of a row and
 * the first of the next run as one loop, so that memory is read and written evenly all the time; the second finds its row
 * in the first-level cache. Forward: the first takes sum and sum of squares of d = x - pivot, the pivot being the mean of
 * the first vectors; where that turns out more than a deviation off the mean, it is repeated with the mean as pivot, so no
 * offset costs accuracy. A row whose variance leaves the safe range of float, or drowns in the rounding of its mean, is
 * handed to the reference. With the hint `stream` whole aligned rows are stored past the caches. */
#include "kern/ref/ref.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

enum { SUMS = 4 };   /* accumulators per row sum */

typedef struct row_stats { float pivot, fix, rstd; int hard; } row_stats;   /* mean = pivot + fix */

/* What the row is made of: h = a x + b f, or x itself when f is NULL. */
typedef struct row_source { float a, b; const float *x, *f; } row_source;
typedef struct row_sums { double sum, square; } row_sums;

/* What becomes of it: y = g (h - mean) rstd + b, and h itself where it is new. */
typedef struct row_sink { const row_source *from; const row_stats *stats; const float *g, *b; float *h, *y; } row_sink;

V_FN vf fetch(const row_source *s, size_t i, size_t left)
{
    const vf u = v_get(s->x + i, left);
    return s->f ? v_fma(v_set(s->a), u, v_mul(v_set(s->b), v_get(s->f + i, left))) : u;
}

V_FN void put(float *p, size_t left, vf a, int stream)   /* stream: p is aligned and left >= VL */
{
    if (stream) v_stream(p, a);
    else v_put(p, left, a);
}

V_FN int streams(const float *p, size_t c) { return c % VL == 0 && v_aligned(p); }

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

V_FN void write_part(const row_sink *w, size_t i, size_t left, int stream)
{
    const vf u = fetch(w->from, i, left), shift = v_set(-w->stats->fix * w->stats->rstd);
    const vf h = v_fma(v_sub(u, v_set(w->stats->pivot)), v_set(w->stats->rstd), shift), bias = w->b ? v_get(w->b + i, left) : v_zero();
    if (w->from->f) put(w->h + i, left, u, stream);
    put(w->y + i, left, w->g ? v_fma(v_get(w->g + i, left), h, bias) : v_add(h, bias), stream);
}

/* Writes one row (w, unless NULL) while summing another (s, unless NULL): sum and sum of squares of its values - pivot. */
V_FN row_sums sweep(size_t c, const row_sink *w, int stream, const row_source *s, float pivot)
{
    vf s1[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() }, s2[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() };
    const vf p = v_set(pivot);
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL)
        for (size_t j = 0; j < SUMS; j++) {
            if (s) {
                const vf d = v_sub(fetch(s, i + j * VL, VL), p);
                s1[j] = v_add(s1[j], d);
                s2[j] = v_fma(d, d, s2[j]);
            }
            if (w) write_part(w, i + j * VL, VL, stream);
        }
    for (; i < c; i += VL) {
        const vf d = s ? only(v_sub(fetch(s, i, c - i), p), c - i) : v_zero();
        s1[0] = v_add(s1[0], d);
        s2[0] = v_fma(d, d, s2[0]);
        if (w) write_part(w, i, c - i, stream);
    }
    return s ? (row_sums){ fold(s1), fold(s2) } : (row_sums){ 0, 0 };
}

/* The row's statistics from its sums about pivot. */
V_FN row_stats settle(size_t c, const an_norm_spec *s, const row_source *from, float pivot, row_sums t)
{
    const double n = (double)c, eps = (double)s->eps;
    row_stats r = { pivot, 0, 0, 0 };
    if (s->center && t.sum * t.sum > 0.5 * n * t.square) {   /* |fix| exceeds the deviation */
        r.pivot = (float)((double)pivot + t.sum / n);
        t = sweep(c, NULL, 0, from, r.pivot);
    }
    const double fix = s->center ? t.sum / n : 0, spread = t.square / n - fix * fix, mean = (double)r.pivot + fix, v = spread * (n / (n - (s->unbiased ? 1 : 0)));
    const int tiny = spread < 0x1p-100 && eps < 0x1p-25, lost = spread < 0x1p-36 * mean * mean;
    r.hard = !(spread < 0x1p+120) || tiny || lost;
    r.fix = (float)fix;
    r.rstd = (float)(s->outside ? 1 / (sqrt(v) + eps) : 1 / sqrt(v + eps));
    return r;
}

/* A hard row: h plainly, the rest by the reference. */
static void __attribute__((noinline)) by_reference(size_t c, const an_norm_spec *s, const row_sink *w, float *mean, float *rstd)
{
    const float *row = w->from->x;
    if (w->from->f) {
        V_EACH(c, i, left, { v_put(w->h + i, left, fetch(w->from, i, left)); });
        row = w->h;
    }
    an_ref_norm_fwd(1, c, s, row, w->g, w->b, w->y, mean, rstd);
}

V_FN void forward(size_t n, size_t c, const an_norm_spec *s, row_source from, row_sink w, float *mean, float *rstd, int stream)
{
    if (n == 0) return;
    float pivot = s->center ? guess(c, &from) : 0.0f;
    row_stats stats = settle(c, s, &from, pivot, sweep(c, NULL, 0, &from, pivot));
    for (size_t i = 0; i < n; i++) {
        const row_source next = { from.a, from.b, from.x + c, from.f ? from.f + c : NULL };
        const int more = i + 1 < n;
        row_sums sums = { 0, 0 };
        w.from = &from;
        w.stats = &stats;
        if (more && s->center) pivot = guess(c, &next);
        if (stats.hard) {
            by_reference(c, s, &w, mean ? mean + i : NULL, rstd + i);
            if (more) sums = sweep(c, NULL, 0, &next, pivot);
        } else {
            if (more) sums = sweep(c, &w, stream, &next, pivot);
            else sweep(c, &w, stream, NULL, 0);
            if (mean) mean[i] = stats.pivot + stats.fix;
            rstd[i] = stats.rstd;
        }
        if (!more) break;
        stats = settle(c, s, &next, pivot, sums);
        from = next;
        w.y += c;
        if (w.h) w.h += c;
    }
    if (stream) v_stream_end();
}

void AN_SIMD(norm_fwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_real *y, an_real *mean, an_real *rstd)
{
    const row_source from = { 1, 0, x, NULL };
    const row_sink to = { .g = g, .b = b, .y = y };
    if (s->stream && streams(y, c)) forward(n, c, s, from, to, mean, rstd, 1);
    else forward(n, c, s, from, to, mean, rstd, 0);
}

void AN_SIMD(add_norm_fwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, const an_real *x, an_real bf, const an_real *f, const an_real *g, const an_real *b, an_real *h, an_real *y, an_real *mean, an_real *rstd)
{
    const row_source from = { a, bf, x, f };
    const row_sink to = { .g = g, .b = b, .h = h, .y = y };
    if (s->stream && streams(y, c) && streams(h, c)) forward(n, c, s, from, to, mean, rstd, 1);
    else forward(n, c, s, from, to, mean, rstd, 0);
}

/* The factor of h * mean(e * h), see ref_norm.c. */
static double kappa(size_t c, const an_norm_spec *s, double rstd)
{
    const double divisor = (double)c / ((double)c - (s->unbiased ? 1 : 0)), eps = (double)s->eps;
    if (!s->outside) return divisor;
    const double sd = 1 / rstd - eps;
    return sd > 4 * (double)AN_REAL_EPS * eps ? divisor * ((sd + eps) / sd) : 0;
}

/* One row of the backward pass: what it is made of, and the two factors its sums give. */
typedef struct bwd_row { const float *dy, *x, *dskip; float mean, rstd, shift, slope; } bwd_row;
typedef struct bwd_sums { vf e[2], eh[2]; } bwd_sums;
typedef struct sink { float a; float *to; int add, stream; } sink;   /* to (+)= a * dh; to NULL: nowhere */

/* e, e h of one vector into the row sums;  dg += dy h, db += dy */
V_FN void sum_part(const bwd_row *r, size_t i, size_t left, const float *g, float *dg, float *db, vf *sum_e, vf *sum_eh)
{
    const vf d = v_get(r->dy + i, left), e = g ? v_mul(v_get(g + i, left), d) : d;
    const vf h = only(v_mul(v_sub(v_get(r->x + i, left), v_set(r->mean)), v_set(r->rstd)), left);
    *sum_e = v_add(*sum_e, e);
    *sum_eh = v_fma(e, h, *sum_eh);
    if (dg) v_put(dg + i, left, v_fma(d, h, v_get(dg + i, left)));
    if (db) v_put(db + i, left, v_add(d, v_get(db + i, left)));
}

V_FN void deliver(const sink *s, size_t at, size_t left, vf dh)
{
    if (!s->to) return;
    const vf v = v_mul(v_set(s->a), dh);
    put(s->to + at, left, s->add ? v_add(v_get(s->to + at, left), v) : v, s->stream);
}

V_FN void grad_part(const bwd_row *r, size_t i, size_t left, const float *g, const sink *one, const sink *two)
{
    const vf h = v_mul(v_sub(v_get(r->x + i, left), v_set(r->mean)), v_set(r->rstd)), d = v_get(r->dy + i, left), e = g ? v_mul(v_get(g + i, left), d) : d;
    vf dh = v_mul(v_set(r->rstd), v_fnma(h, v_set(r->slope), v_sub(e, v_set(r->shift))));
    if (r->dskip) dh = v_add(dh, v_get(r->dskip + i, left));
    deliver(one, i, left, dh);
    deliver(two, i, left, dh);
}

/* Writes the gradient of one row (w, unless NULL) while summing another (r, unless NULL), whose factors it completes. */
V_FN void bwd_sweep(size_t c, const an_norm_spec *s, const bwd_row *w, const sink *one, const sink *two, bwd_row *r, const float *g, float *dg, float *db)
{
    vf se[2] = { v_zero(), v_zero() }, seh[2] = { v_zero(), v_zero() };
    size_t i = 0;
    for (; i + 2 * VL <= c; i += 2 * VL)
        for (size_t j = 0; j < 2; j++) {
            if (r) sum_part(r, i + j * VL, VL, g, dg, db, &se[j], &seh[j]);
            if (w) grad_part(w, i + j * VL, VL, g, one, two);
        }
    for (; i < c; i += VL) {
        if (r) sum_part(r, i, c - i, g, dg, db, &se[0], &seh[0]);
        if (w) grad_part(w, i, c - i, g, one, two);
    }
    if (!r) return;
    r->shift = s->center ? (float)((double)v_sum(v_add(se[0], se[1])) / (double)c) : 0.0f;
    r->slope = (float)(kappa(c, s, (double)r->rstd) * ((double)v_sum(v_add(seh[0], seh[1])) / (double)c));
}

V_FN void backward(size_t n, size_t c, const an_norm_spec *s, bwd_row row, const float *g, const float *mean, const float *rstd, sink one, sink two, float *dg, float *db)
{
    if (n == 0) return;
    row.mean = s->center ? mean[0] : 0.0f;
    row.rstd = rstd[0];
    bwd_sweep(c, s, NULL, NULL, NULL, &row, g, dg, db);
    for (size_t i = 0; i + 1 < n; i++) {
        bwd_row next = { row.dy + c, row.x + c, row.dskip ? row.dskip + c : NULL, s->center ? mean[i + 1] : 0.0f, rstd[i + 1], 0, 0 };
        bwd_sweep(c, s, &row, &one, &two, &next, g, dg, db);
        row = next;
        if (one.to) one.to += c;
        if (two.to) two.to += c;
    }
    bwd_sweep(c, s, &row, &one, &two, NULL, g, NULL, NULL);
    if (one.stream || two.stream) v_stream_end();
}

void AN_SIMD(norm_bwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db)
{
    const bwd_row first = { .dy = dy, .x = x };
    const sink none = { 0 };
    if (s->stream && !add && streams(dx, c)) backward(n, c, s, first, g, mean, rstd, (sink){ 1, dx, 0, 1 }, none, dg, db);
    else backward(n, c, s, first, g, mean, rstd, (sink){ 1, dx, add, 0 }, none, dg, db);
}

/* A line that is read anyway is written best where it is: in place of dskip, and where the result is added. */
V_FN int past_cache(const an_norm_spec *s, const float *to, int add, const float *dskip, size_t c) { return s->stream && to && !add && to != dskip && streams(to, c); }

void AN_SIMD(add_norm_bwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_real *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    const bwd_row first = { .dy = dy, .x = h, .dskip = dskip };
    const int sx = past_cache(s, dx, add_x, dskip, c), sf = past_cache(s, df, add_f, dskip, c);
    if (sx && sf) backward(n, c, s, first, g, mean, rstd, (sink){ a, dx, 0, 1 }, (sink){ bf, df, 0, 1 }, dg, db);
    else backward(n, c, s, first, g, mean, rstd, (sink){ a, dx, add_x, sx }, (sink){ bf, df, add_f, sf }, dg, db);
}
