/* kern/simd/norm_fwd.h
 * The norm rows forward, at memory speed. A row needs two sweeps: one for its sums, one that writes. The second sweep of a row (or of a group of
 * wide ones) and the first of the next run as one loop, so that memory is read and written evenly all the time; the second finds its row
 * in a near cache. The first takes sum and sum of squares of d = x - pivot, the pivot being the mean of
 * the first vectors; where that turns out more than a deviation off the mean, it is repeated with the mean as pivot, so no
 * offset costs accuracy. A row whose variance leaves the safe range of float, or drowns in the rounding of its mean, is
 * handed to the reference. With the hint `stream` whole aligned rows are stored past the caches; h of add + norm is then
 * made twice rather than read back. What is the same for all rows is a mode, compiled for itself. */
#ifndef AN_KERN_SIMD_NORM_FWD_H
#define AN_KERN_SIMD_NORM_FWD_H

#include "kern/simd/norm_branch.h"

enum { SUMS = 4, AHEAD = 512 };   /* accumulators per row sum; how far ahead memory is asked for, in reals (measured) */

typedef struct row_stats { float pivot, fix, rstd; int hard; } row_stats;   /* mean = pivot + fix */

/* What the row is made of: h = a x + b f, or x itself when f is NULL. */
typedef struct row_source { float a, b; const float *x; const branch *f; coins coins; } row_source;
typedef struct row_sums { double sum, square; } row_sums;

/* What becomes of it: y = g (h - mean) rstd + b, and h itself where it is new. */
typedef struct row_sink { const row_source *from; const row_stats *stats; const float *g, *b; float *h; branch *y; } row_sink;

V_FN vf fetch(const row_source *s, size_t i, size_t left, int mode)
{
    const vf u = v_get(s->x + i, left);
    if (!(mode & FUSED)) return u;
    const vf f = get_branch(s->f + i, left);
    return v_fma(v_set(s->a), u, v_mul(v_set(s->b), mode & DROP ? after_toss(&s->coins, i, f) : f));
}

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

V_FN writer make_writer(const row_sink *w, size_t row)
{
    const row_stats *s = w->stats + row;
    return (writer){ v_set(w->from[row].a), v_set(w->from[row].b), v_set(s->pivot), v_set(s->rstd), v_set(-s->fix * s->rstd) };
}

/* So many vectors of each row from i on: all of h, then all of y, so that whole lines of one array go past the caches together. */
V_FN void write_part(size_t rows, size_t c, const row_sink *w, const writer *k, size_t i, size_t left, size_t vectors, int mode)
{
    vf u[GROUP][SUMS];
    for (size_t q = 0; q < rows; q++) {
        const row_source *from = w->from + q;
        for (size_t j = 0; j < vectors; j++) {
            u[q][j] = v_get(from->x + i + j * VL, left);
            if (!(mode & FUSED)) continue;
            const vf f = get_branch(from->f + i + j * VL, left);
            u[q][j] = v_fma(k[q].a, u[q][j], v_mul(k[q].b, mode & DROP ? after_toss(&from->coins, i + j * VL, f) : f));
        }
        for (size_t j = 0; j < vectors && mode & FUSED; j++) put(w->h + q * c + i + j * VL, left, u[q][j], mode & STREAM);
    }
    for (size_t q = 0; q < rows; q++)
        for (size_t j = 0; j < vectors; j++) {
            const size_t at = i + j * VL;
            const vf h = v_fma(v_sub(u[q][j], k[q].pivot), k[q].rstd, k[q].shift), bias = mode & AFFINE || w->b ? v_get(w->b + at, left) : v_zero();
            put_branch(w->y + q * c + at, left, mode & AFFINE || w->g ? v_fma(v_get(w->g + at, left), h, bias) : v_add(h, bias), mode & STREAM);
        }
}

/* Writes some rows (w, unless NULL) while summing as many others (s, unless NULL): sum and sum of squares of their values - pivot. */
V_FN void sweep(size_t rows, size_t c, const row_sink *w, const row_source *s, const float *pivot, row_sums *sums, int mode)
{
    vf s1[GROUP][SUMS], s2[GROUP][SUMS];
    writer k[GROUP];
    for (size_t q = 0; q < rows; q++) {
        for (size_t j = 0; j < SUMS; j++) s1[q][j] = s2[q][j] = v_zero();
        if (w) k[q] = make_writer(w, q);
    }
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL) {
        if (mode & DROP && s && i + SUMS * VL < c) toss(&s->coins, i + SUMS * VL);   /* the first are there */
        const size_t ahead = AHEAD + (i + AHEAD < c ? 0 : (rows - 1) * c);   /* past the end: the row that comes after this group's */
        for (size_t q = 0; q < rows && s; q++)
            for (size_t j = 0; j < SUMS; j++) {
                const size_t at = i + j * VL;
                v_prefetch(s[q].x + ahead, at);
                if (mode & FUSED) ask_branch(s[q].f + ahead, at);
                const vf d = v_sub(fetch(s + q, at, VL, mode), v_set(pivot[q]));
                s1[q][j] = v_add(s1[q][j], d);
                s2[q][j] = v_fma(d, d, s2[q][j]);
            }
        if (w) write_part(rows, c, w, k, i, VL, SUMS, mode);
    }
    for (; i < c; i += VL) {
        for (size_t q = 0; q < rows && s; q++) {
            const vf d = only(v_sub(fetch(s + q, i, c - i, mode), v_set(pivot[q])), c - i);
            s1[q][0] = v_add(s1[q][0], d);
            s2[q][0] = v_fma(d, d, s2[q][0]);
        }
        if (w) write_part(rows, c, w, k, i, c - i, 1, mode & ~STREAM);
    }
    for (size_t q = 0; q < rows && s; q++) sums[q] = (row_sums){ fold(s1[q]), fold(s2[q]) };
}

/* One row summed, or written: where rows are not all alike. */
static row_sums __attribute__((noinline)) sum_one(size_t c, const row_source *s, float pivot, int mode)
{
    row_sums t;
    sweep(1, c, NULL, s, &pivot, &t, mode);
    return t;
}
static void __attribute__((noinline)) write_one(size_t c, const row_sink *w, int mode) { sweep(1, c, w, NULL, NULL, NULL, mode); }

/* The row's statistics from its sums about pivot. */
V_FN row_stats settle(size_t c, const an_norm_spec *s, const row_source *from, float pivot, row_sums t, int mode)
{
    const double n = (double)c, eps = (double)s->eps;
    row_stats r = { pivot, 0, 0, 0 };
    if (s->center && t.sum * t.sum > 0.5 * n * t.square) {   /* |fix| exceeds the deviation */
        r.pivot = (float)((double)pivot + t.sum / n);
        t = sum_one(c, from, r.pivot, mode);
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
        const int mode = w->from->coins.dropped ? FUSED | DROP : FUSED;
        V_EACH(c, i, left, { v_put(w->h + i, left, fetch(w->from, i, left, mode)); });
        row = w->h;
    }
    NORM_REF(norm_fwd)(1, c, s, row, w->g, w->b, w->y, mean, rstd);
}

/* Rows of which at least one is hard. */
static void __attribute__((noinline)) write_hard(size_t rows, size_t c, const an_norm_spec *s, row_sink w, float *mean, float *rstd, int mode)
{
    for (size_t q = 0; q < rows; q++) {
        if (w.stats->hard) by_reference(c, s, &w, mean ? mean + q : NULL, rstd + q);
        else write_one(c, &w, mode);
        w.from++;
        w.stats++;
        w.y += c;
        if (mode & FUSED) w.h += c;
    }
}

/* All whole groups of rows, from their first on; returns how many rows that were. */
V_FN size_t forward_groups(size_t rows, size_t n, size_t c, const an_norm_spec *s, row_source first, row_sink w, float *mean, float *rstd, int mode)
{
    const size_t groups = n / rows;
    uint16_t dropped[2][WIDEST / VL + 4];
    row_source from[GROUP], next[GROUP];
    row_stats stats[GROUP] = { { 0 } };
    row_sums sums[GROUP] = { { 0 } };
    float pivot[GROUP] = { 0 };
    int hard = 0;
    w.from = from;
    w.stats = stats;
    for (size_t k = 0; k <= groups && groups; k++) {
        const int more = k < groups;
        for (size_t q = 0; q < rows && more; q++) {
            const size_t at = (k * rows + q) * c;
            next[q] = (row_source){ first.a, first.b, first.x + at, mode & FUSED ? first.f + at : NULL, first.coins };
            if (mode & DROP) {
                next[q].coins.block += at / 4;
                next[q].coins.dropped = dropped[k % 2];
                toss(&next[q].coins, 0);
            }
            pivot[q] = s->center ? guess(c, next + q, mode) : 0.0f;
        }
        if (hard) write_hard(rows, c, s, w, mean, rstd, mode);
        if (hard || k == 0) {
            for (size_t q = 0; q < rows && more; q++) sums[q] = sum_one(c, next + q, pivot[q], mode);
        } else if (more) sweep(rows, c, &w, next, pivot, sums, mode);
        else sweep(rows, c, &w, NULL, NULL, NULL, mode);
        if (k > 0) {
            for (size_t q = 0; q < rows; q++) {
                if (mean && !stats[q].hard) mean[q] = stats[q].pivot + stats[q].fix;
                if (!stats[q].hard) rstd[q] = stats[q].rstd;
            }
            w.y += rows * c;
            if (mode & FUSED) w.h += rows * c;
            if (mean) mean += rows;
            rstd += rows;
        }
        hard = 0;
        for (size_t q = 0; q < rows && more; q++) {
            stats[q] = settle(c, s, next + q, pivot[q], sums[q], mode);
            from[q] = next[q];
            hard |= stats[q].hard;
        }
    }
    return groups * rows;
}

V_FN void forward(size_t n, size_t c, const an_norm_spec *s, row_source from, row_sink w, float *mean, float *rstd, int mode)
{
    size_t done = 0;
    if (c >= WIDE && mode & AFFINE && !(mode & DROP)) {
        done = forward_groups(GROUP, n, c, s, from, w, mean, rstd, mode);
        from.x += done * c;
        w.y += done * c;
        if (mode & FUSED) from.f += done * c, w.h += done * c;
        if (mean) mean += done;
        rstd += done;
    }
    forward_groups(1, n - done, c, s, from, w, mean, rstd, mode);
    if (mode & STREAM) v_stream_end();
}

#define FORWARD(mode) forward(n, c, s, from, to, mean, rstd, mode)

void NORM_ROW(norm_fwd)(size_t n, size_t c, const an_norm_spec *s, const an_real *x, const an_real *g, const an_real *b, branch *y, an_real *mean, an_real *rstd)
{
    const row_source from = { .a = 1, .x = x };
    const row_sink to = { .g = g, .b = b, .y = y };
    const int past = s->stream && branch_streams(y, c);
    if (g && b && past) FORWARD(AFFINE | STREAM);
    else if (g && b) FORWARD(AFFINE);
    else if (past) FORWARD(STREAM);
    else FORWARD(0);
}

void NORM_ROW(add_norm_fwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, const an_real *x, an_real bf, const branch *f, const an_drop *drop, const an_real *g, const an_real *b, an_real *h, branch *y, an_real *mean, an_real *rstd)
{
    row_source from = { .a = a, .b = bf, .x = x, .f = f };
    const row_sink to = { .g = g, .b = b, .h = h, .y = y };
    const int drops = drop && tossable(drop, c, &from.coins), past = s->stream && branch_streams(y, c) && streams(h, c);
    if (drop && !drops) {   /* one pass after the other, in h */
        drop_branch(n * c, drop, f, h);
        AN_SIMD(axpby)(n * c, a, x, bf, h, h);
        NORM_ROW(norm_fwd)(n, c, s, h, g, b, y, mean, rstd);
    } else if (drops && g && b && past) FORWARD(FUSED | AFFINE | STREAM | DROP);
    else if (drops) FORWARD(FUSED | DROP);
    else if (g && b && past) FORWARD(FUSED | AFFINE | STREAM);
    else if (g && b) FORWARD(FUSED | AFFINE);
    else if (past) FORWARD(FUSED | STREAM);
    else FORWARD(FUSED);
}

#endif
