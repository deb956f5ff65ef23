/* kern/simd/simd_norm.c
 * The norm rows at memory speed. A row needs two sweeps: one for its sums, one that writes. The second sweep of a row and
 * the first of the next run as one loop, so that memory is read and written evenly all the time; the second finds its row
 * in the first-level cache. Forward: the first takes sum and sum of squares of d = x - pivot, the pivot being the mean of
 * the first vectors; where that turns out more than a deviation off the mean, it is repeated with the mean as pivot, so no
 * offset costs accuracy. A row whose variance leaves the safe range of float, or drowns in the rounding of its mean, is
 * handed to the reference. With the hint `stream` whole aligned rows are stored past the caches; h of add + norm is then
 * made twice rather than read back. What is the same for all rows is a mode, compiled for itself. */
#include "kern/ref/ref.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"

enum { SUMS = 4, AHEAD = 512, AHEAD_BWD = 256, TOGETHER = 2 };   /* accumulators per row sum; how far ahead memory is asked for, in reals; vectors summed, then written, at a time (measured) */
enum { FUSED = 1, AFFINE = 2, STREAM = 4 };      /* modes, each compiled for itself: f is there; gain and bias (dg and db too) are; store past the caches */

typedef struct row_stats { float pivot, fix, rstd; int hard; } row_stats;   /* mean = pivot + fix */

/* What the row is made of: h = a x + b f, or x itself when f is NULL. */
typedef struct row_source { float a, b; const float *x, *f; } row_source;
typedef struct row_sums { double sum, square; } row_sums;

/* What becomes of it: y = g (h - mean) rstd + b, and h itself where it is new. */
typedef struct row_sink { const row_source *from; const row_stats *stats; const float *g, *b; float *h, *y; } row_sink;

V_FN vf fetch(const row_source *s, size_t i, size_t left, int mode)
{
    const vf u = v_get(s->x + i, left);
    return mode & FUSED ? v_fma(v_set(s->a), u, v_mul(v_set(s->b), v_get(s->f + i, left))) : u;
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
V_FN float guess(size_t c, const row_source *s, int mode)
{
    const size_t n = c < 2 * VL ? c : 2 * VL;
    vf sum = v_zero();
    for (size_t i = 0; i < n; i += VL) sum = v_add(sum, only(fetch(s, i, n - i, mode), n - i));
    return v_sum(sum) / (float)n;
}

/* The constants of one writing sweep, in registers. */
typedef struct writer { vf a, b, pivot, rstd, shift; } writer;

V_FN writer make_writer(const row_sink *w)
{
    return (writer){ v_set(w->from->a), v_set(w->from->b), v_set(w->stats->pivot), v_set(w->stats->rstd), v_set(-w->stats->fix * w->stats->rstd) };
}

V_FN void write_part(const row_sink *w, const writer *k, size_t i, size_t left, int mode)
{
    vf u = v_get(w->from->x + i, left);
    if (mode & FUSED) {
        u = v_fma(k->a, u, v_mul(k->b, v_get(w->from->f + i, left)));
        put(w->h + i, left, u, mode & STREAM);
    }
    const vf h = v_fma(v_sub(u, k->pivot), k->rstd, k->shift), bias = mode & AFFINE || w->b ? v_get(w->b + i, left) : v_zero();
    put(w->y + i, left, mode & AFFINE || w->g ? v_fma(v_get(w->g + i, left), h, bias) : v_add(h, bias), mode & STREAM);
}

/* Writes one row (w, unless NULL) while summing another (s, unless NULL): sum and sum of squares of its values - pivot. */
V_FN row_sums sweep(size_t c, const row_sink *w, const row_source *s, float pivot, int mode)
{
    vf s1[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() }, s2[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() };
    const vf p = v_set(pivot);
    writer k = { 0 };
    if (w) k = make_writer(w);
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL)
        for (size_t j = 0; j < SUMS; j++) {
            if (s) {
                const size_t at = i + j * VL;
                v_prefetch(s->x + AHEAD, at);
                if (mode & FUSED) v_prefetch(s->f + AHEAD, at);
                const vf d = v_sub(fetch(s, at, VL, mode), p);
                s1[j] = v_add(s1[j], d);
                s2[j] = v_fma(d, d, s2[j]);
            }
            if (w) write_part(w, &k, i + j * VL, VL, mode);
        }
    for (; i < c; i += VL) {
        const vf d = s ? only(v_sub(fetch(s, i, c - i, mode), p), c - i) : v_zero();
        s1[0] = v_add(s1[0], d);
        s2[0] = v_fma(d, d, s2[0]);
        if (w) write_part(w, &k, i, c - i, mode & ~STREAM);
    }
    return s ? (row_sums){ fold(s1), fold(s2) } : (row_sums){ 0, 0 };
}

/* The row's statistics from its sums about pivot. */
V_FN row_stats settle(size_t c, const an_norm_spec *s, const row_source *from, float pivot, row_sums t, int mode)
{
    const double n = (double)c, eps = (double)s->eps;
    row_stats r = { pivot, 0, 0, 0 };
    if (s->center && t.sum * t.sum > 0.5 * n * t.square) {   /* |fix| exceeds the deviation */
        r.pivot = (float)((double)pivot + t.sum / n);
        t = sweep(c, NULL, from, r.pivot, mode);
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
        V_EACH(c, i, left, { v_put(w->h + i, left, fetch(w->from, i, left, FUSED)); });
        row = w->h;
    }
    an_ref_norm_fwd(1, c, s, row, w->g, w->b, w->y, mean, rstd);
}

V_FN void forward(size_t n, size_t c, const an_norm_spec *s, row_source from, row_sink w, float *mean, float *rstd, int mode)
{
    if (n == 0) return;
    float pivot = s->center ? guess(c, &from, mode) : 0.0f;
    row_stats stats = settle(c, s, &from, pivot, sweep(c, NULL, &from, pivot, mode), mode);
    for (size_t i = 0; i < n; i++) {
        const row_source next = { from.a, from.b, from.x + c, mode & FUSED ? from.f + c : NULL };
        const int more = i + 1 < n;
        row_sums sums = { 0, 0 };
        w.from = &from;
        w.stats = &stats;
        if (more && s->center) pivot = guess(c, &next, mode);
        if (stats.hard) {
            by_reference(c, s, &w, mean ? mean + i : NULL, rstd + i);
            if (more) sums = sweep(c, NULL, &next, pivot, mode);
        } else {
            if (more) sums = sweep(c, &w, &next, pivot, mode);
            else sweep(c, &w, NULL, 0, mode);
            if (mean) mean[i] = stats.pivot + stats.fix;
            rstd[i] = stats.rstd;
        }
        if (!more) break;
        stats = settle(c, s, &next, pivot, sums, mode);
        from = next;
        w.y += c;
        if (mode & FUSED) w.h += c;
    }
    if (mode & STREAM) v_stream_end();
}

#define FORWARD(mode) forward(n, c, s, from, to, mean, rstd, mode)

void AN_SIMD(norm_fwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, an_real *y, an_real *mean, an_real *rstd)
{
    const row_source from = { 1, 0, x, NULL };
    const row_sink to = { .g = g, .b = b, .y = y };
    const int past = s->stream && streams(y, c);
    if (g && b && past) FORWARD(AFFINE | STREAM);
    else if (g && b) FORWARD(AFFINE);
    else if (past) FORWARD(STREAM);
    else FORWARD(0);
}

void AN_SIMD(add_norm_fwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, const an_real *x, an_real bf, const an_real *f, const an_real *g, const an_real *b, an_real *h, an_real *y, an_real *mean, an_real *rstd)
{
    const row_source from = { a, bf, x, f };
    const row_sink to = { .g = g, .b = b, .h = h, .y = y };
    const int past = s->stream && streams(y, c) && streams(h, c);
    if (g && b && past) FORWARD(FUSED | AFFINE | STREAM);
    else if (g && b) FORWARD(FUSED | AFFINE);
    else if (past) FORWARD(FUSED | STREAM);
    else FORWARD(FUSED);
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

/* A row's constants, in registers. */
typedef struct bwd_set { vf mean, rstd, shift, slope; } bwd_set;
V_FN bwd_set make_set(const bwd_row *r) { return (bwd_set){ v_set(r->mean), v_set(r->rstd), v_set(r->shift), v_set(r->slope) }; }

/* e, e h of one vector into the row sums;  dg += dy h, db += dy */
V_FN void sum_part(const bwd_row *r, const bwd_set *k, size_t i, size_t left, const float *g, float *dg, float *db, vf *sum_e, vf *sum_eh, int mode)
{
    const vf d = v_get(r->dy + i, left), e = mode & AFFINE || g ? v_mul(v_get(g + i, left), d) : d;
    const vf h = only(v_mul(v_sub(v_get(r->x + i, left), k->mean), k->rstd), left);
    *sum_e = v_add(*sum_e, e);
    *sum_eh = v_fma(e, h, *sum_eh);
    if (mode & AFFINE || dg) v_put(dg + i, left, v_fma(d, h, v_get(dg + i, left)));
    if (mode & AFFINE || db) v_put(db + i, left, v_add(d, v_get(db + i, left)));
}

V_FN void deliver(const sink *s, size_t at, size_t left, vf dh)
{
    if (!s->to) return;
    const vf v = v_mul(v_set(s->a), dh);
    put(s->to + at, left, s->add ? v_add(v_get(s->to + at, left), v) : v, s->stream);
}

V_FN void grad_part(const bwd_row *r, const bwd_set *k, size_t i, size_t left, const float *g, const sink *one, const sink *two, int mode)
{
    const vf h = v_mul(v_sub(v_get(r->x + i, left), k->mean), k->rstd), d = v_get(r->dy + i, left), e = mode & AFFINE || g ? v_mul(v_get(g + i, left), d) : d;
    vf dh = v_mul(k->rstd, v_fnma(h, k->slope, v_sub(e, k->shift)));
    if (mode & FUSED && r->dskip) dh = v_add(dh, v_get(r->dskip + i, left));
    deliver(one, i, left, dh);
    if (mode & FUSED) deliver(two, i, left, dh);
}

/* Writes the gradient of one row (w, unless NULL) while summing another (r, unless NULL), whose factors it completes. */
V_FN void bwd_sweep(size_t c, const an_norm_spec *s, const bwd_row *w, const sink *one, const sink *two, bwd_row *r, const float *g, float *dg, float *db, int mode)
{
    vf se[2] = { v_zero(), v_zero() }, seh[2] = { v_zero(), v_zero() };
    bwd_set kw = { 0 }, kr = { 0 };
    if (w) kw = make_set(w);
    if (r) kr = make_set(r);
    size_t i = 0;
    for (; i + TOGETHER * VL <= c; i += TOGETHER * VL) {   /* all sums, then all gradients: whole lines go past the caches undisturbed */
        for (size_t at = i, j = 0; j < TOGETHER && r; j++, at += VL) {
            v_prefetch(r->dy + AHEAD_BWD, at);
            v_prefetch(r->x + AHEAD_BWD, at);
            if (mode & FUSED && r->dskip) v_prefetch(r->dskip, at);
            sum_part(r, &kr, at, VL, g, dg, db, &se[j % 2], &seh[j % 2], mode);
        }
        for (size_t at = i, j = 0; j < TOGETHER && w; j++, at += VL) grad_part(w, &kw, at, VL, g, one, two, mode);
    }
    for (; i < c; i += VL) {
        if (r) sum_part(r, &kr, i, c - i, g, dg, db, &se[0], &seh[0], mode);
        if (w) grad_part(w, &kw, i, c - i, g, one, two, mode);
    }
    if (!r) return;
    r->shift = s->center ? (float)((double)v_sum(v_add(se[0], se[1])) / (double)c) : 0.0f;
    r->slope = (float)(kappa(c, s, (double)r->rstd) * ((double)v_sum(v_add(seh[0], seh[1])) / (double)c));
}

V_FN void backward(size_t n, size_t c, const an_norm_spec *s, bwd_row row, const float *g, const float *mean, const float *rstd, sink one, sink two, float *dg, float *db, int mode)
{
    if (n == 0) return;
    row.mean = s->center ? mean[0] : 0.0f;
    row.rstd = rstd[0];
    bwd_sweep(c, s, NULL, NULL, NULL, &row, g, dg, db, mode);
    for (size_t i = 0; i + 1 < n; i++) {
        bwd_row next = { row.dy + c, row.x + c, row.dskip ? row.dskip + c : NULL, s->center ? mean[i + 1] : 0.0f, rstd[i + 1], 0, 0 };
        bwd_sweep(c, s, &row, &one, &two, &next, g, dg, db, mode);
        row = next;
        if (one.to) one.to += c;
        if (two.to) two.to += c;
    }
    bwd_sweep(c, s, &row, &one, &two, NULL, g, dg, db, mode);
    if (one.stream || two.stream) v_stream_end();
}

#define BACKWARD(one, two, mode) backward(n, c, s, first, g, mean, rstd, one, two, dg, db, mode)

void AN_SIMD(norm_bwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db)
{
    const bwd_row first = { .dy = dy, .x = x };
    const sink none = { 0 }, past = { 1, dx, 0, 1 }, plain = { 1, dx, 0, 0 }, any = { 1, dx, add, s->stream && !add && streams(dx, c) };
    if (!(g && dg && db && dx) || add) BACKWARD(any, none, 0);
    else if (any.stream) BACKWARD(past, none, AFFINE);
    else BACKWARD(plain, none, AFFINE);
}

/* A line that is read anyway is written best where it is: in place of dskip, and where the result is added. */
V_FN int past_cache(const an_norm_spec *s, const float *to, int add, const float *dskip, size_t c) { return s->stream && to && !add && to != dskip && streams(to, c); }

void AN_SIMD(add_norm_bwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_real *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    const bwd_row first = { .dy = dy, .x = h, .dskip = dskip };
    const int sx = past_cache(s, dx, add_x, dskip, c), sf = past_cache(s, df, add_f, dskip, c);
    const sink none = { 0 }, one = { a, dx, add_x, sx }, two = { bf, df, add_f, sf };
    const int all = g && dg && db && dx && !add_x;
    if (all && sx && sf) BACKWARD(((sink){ a, dx, 0, 1 }), ((sink){ bf, df, 0, 1 }), FUSED | AFFINE);
    else if (all && !df && dskip && !sx) BACKWARD(((sink){ a, dx, 0, 0 }), none, FUSED | AFFINE);   /* one gradient for all three */
    else if (all && !df && dskip) BACKWARD(((sink){ a, dx, 0, 1 }), none, FUSED | AFFINE);
    else BACKWARD(one, two, FUSED);
}
