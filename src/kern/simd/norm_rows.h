/* kern/simd/norm_rows.h
 * The norm rows at memory speed, for one storage of the branch: f, y and dy are of type `branch`, bfloat16 where BRANCH_LOW is defined; the
 * stream (x, h and gradients of both) is reals. A row needs two sweeps: one for its sums, one that writes. The second sweep of a row and
 * the first of the next run as one loop, so that memory is read and written evenly all the time; the second finds its row
 * in the first-level cache. Forward: the first takes sum and sum of squares of d = x - pivot, the pivot being the mean of
 * the first vectors; where that turns out more than a deviation off the mean, it is repeated with the mean as pivot, so no
 * offset costs accuracy. A row whose variance leaves the safe range of float, or drowns in the rounding of its mean, is
 * handed to the reference. With the hint `stream` whole aligned rows are stored past the caches; h of add + norm is then
 * made twice rather than read back. What is the same for all rows is a mode, compiled for itself.
 * Dropout of f: words are drawn once, for 4 VL elements at a time, and kept as one bit per element until the row is written. */
#ifndef AN_KERN_SIMD_NORM_ROWS_H
#define AN_KERN_SIMD_NORM_ROWS_H

#include "kern/ref/ref.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec_rng.h"

/* A branch's storage: its rows of the table and of the reference; vectors of it; the line around p + i asked for, once per line in a loop over i. */
#ifdef BRANCH_LOW
typedef an_bf16 branch;
#define NORM_ROW(row) AN_SIMD(row##_low)
#define NORM_REF(row) an_ref_##row##_low
V_FN vf get_branch(const branch *p, size_t left) { return v_get_bf16(p, left); }
V_FN void put_branch(branch *p, size_t left, vf a, int stream)
{
    if (stream) v_stream_bf16(p, a);
    else v_put_bf16(p, left, a);
}
V_FN void ask_branch(const branch *p, size_t i)
{
    if (i % 32 == 0) _mm_prefetch((const char *)(p + i), _MM_HINT_T0);
}
static void drop_branch(size_t n, const an_drop *d, const branch *f, float *to)
{
    AN_SIMD(widen)(n, f, to);
    AN_SIMD(dropout)(n, d->key, d->base, d->p, to, to, 0);
}
#else
typedef float branch;
#define NORM_ROW(row) AN_SIMD(row)
#define NORM_REF(row) an_ref_##row
V_FN vf get_branch(const branch *p, size_t left) { return v_get(p, left); }
V_FN void put_branch(branch *p, size_t left, vf a, int stream)
{
    if (stream) v_stream(p, a);
    else v_put(p, left, a);
}
V_FN void ask_branch(const branch *p, size_t i) { v_prefetch(p, i); }
static void drop_branch(size_t n, const an_drop *d, const branch *f, float *to) { AN_SIMD(dropout)(n, d->key, d->base, d->p, f, to, 0); }
#endif

enum { SUMS = 4, AHEAD = 512, AHEAD_BWD = 256, TOGETHER = 2 };   /* accumulators per row sum; how far ahead memory is asked for, in reals; vectors summed, then written, at a time (measured) */
enum { FUSED = 1, AFFINE = 2, STREAM = 4, DROP = 8 };   /* modes, each compiled for itself: f is there; gain and bias (dg and db too) are; store past the caches; f is dropped */
enum { WIDEST = 16384 };                         /* row whose dropped elements fit the stack, as bits; wider ones take two passes */

typedef struct row_stats { float pivot, fix, rstd; int hard; } row_stats;   /* mean = pivot + fix */

/* The coins of one row: its key and first block, which words drop, and VL bits per vector for those that do. */
typedef struct coins { an_rng_key key; uint64_t block; uint32_t limit; float keep; uint16_t *dropped; } coins;

V_FN void toss(const coins *k, size_t at)   /* for the elements [at, at + 4 VL) */
{
    vi words[4];
    v_philox(k->key, k->block + at / 4, words);
    for (size_t j = 0; j < 4; j++) k->dropped[at / VL + j] = (uint16_t)vm_bits(v_word_below(words[j], k->limit));
}

V_FN vf after_toss(const coins *k, size_t at, vf v) { return v_sel(vm_of(k->dropped[at / VL]), v_zero(), v_div(v, v_set(k->keep))); }

/* Whether words can be drawn whole, from a row's start on, and some of them drop. */
static int tossable(const an_drop *d, size_t c, coins *k)
{
    const double limit = ceil((double)d->p * 0x1p32);
    *k = (coins){ d->key, d->base / 4, limit > 0 && limit < 0x1p32 ? (uint32_t)limit : 0, 1.0f - d->p, NULL };
    return k->limit > 0 && c % 4 == 0 && d->base % 4 == 0 && c <= WIDEST;
}

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

V_FN void put(float *p, size_t left, vf a, int stream)   /* stream: p is aligned and left >= VL */
{
    if (stream) v_stream(p, a);
    else v_put(p, left, a);
}

V_FN int streams(const float *p, size_t c) { return c % VL == 0 && v_aligned(p); }
V_FN int branch_streams(const branch *p, size_t c) { return c % VL == 0 && (uintptr_t)p % (VL * sizeof *p) == 0; }

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

/* So many vectors from i on: all of h, then all of y, so that whole lines of one array go past the caches together. */
V_FN void write_part(const row_sink *w, const writer *k, size_t i, size_t left, size_t vectors, int mode)
{
    vf u[SUMS];
    for (size_t j = 0; j < vectors; j++) {
        u[j] = v_get(w->from->x + i + j * VL, left);
        if (!(mode & FUSED)) continue;
        const vf f = get_branch(w->from->f + i + j * VL, left);
        u[j] = v_fma(k->a, u[j], v_mul(k->b, mode & DROP ? after_toss(&w->from->coins, i + j * VL, f) : f));
    }
    for (size_t j = 0; j < vectors && mode & FUSED; j++) put(w->h + i + j * VL, left, u[j], mode & STREAM);
    for (size_t j = 0; j < vectors; j++) {
        const size_t at = i + j * VL;
        const vf h = v_fma(v_sub(u[j], k->pivot), k->rstd, k->shift), bias = mode & AFFINE || w->b ? v_get(w->b + at, left) : v_zero();
        put_branch(w->y + at, left, mode & AFFINE || w->g ? v_fma(v_get(w->g + at, left), h, bias) : v_add(h, bias), mode & STREAM);
    }
}

/* Writes one row (w, unless NULL) while summing another (s, unless NULL): sum and sum of squares of its values - pivot. */
V_FN row_sums sweep(size_t c, const row_sink *w, const row_source *s, float pivot, int mode)
{
    vf s1[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() }, s2[SUMS] = { v_zero(), v_zero(), v_zero(), v_zero() };
    const vf p = v_set(pivot);
    writer k = { 0 };
    if (w) k = make_writer(w);
    size_t i = 0;
    for (; i + SUMS * VL <= c; i += SUMS * VL) {
        if (mode & DROP && s && i + SUMS * VL < c) toss(&s->coins, i + SUMS * VL);   /* the first are there */
        for (size_t j = 0; j < SUMS && s; j++) {
            const size_t at = i + j * VL;
            v_prefetch(s->x + AHEAD, at);
            if (mode & FUSED) ask_branch(s->f + AHEAD, at);
            const vf d = v_sub(fetch(s, at, VL, mode), p);
            s1[j] = v_add(s1[j], d);
            s2[j] = v_fma(d, d, s2[j]);
        }
        if (w) write_part(w, &k, i, VL, SUMS, mode);
    }
    for (; i < c; i += VL) {
        const vf d = s ? only(v_sub(fetch(s, i, c - i, mode), p), c - i) : v_zero();
        s1[0] = v_add(s1[0], d);
        s2[0] = v_fma(d, d, s2[0]);
        if (w) write_part(w, &k, i, c - i, 1, mode & ~STREAM);
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
        const int mode = w->from->coins.dropped ? FUSED | DROP : FUSED;
        V_EACH(c, i, left, { v_put(w->h + i, left, fetch(w->from, i, left, mode)); });
        row = w->h;
    }
    NORM_REF(norm_fwd)(1, c, s, row, w->g, w->b, w->y, mean, rstd);
}

V_FN void forward(size_t n, size_t c, const an_norm_spec *s, row_source from, row_sink w, float *mean, float *rstd, int mode)
{
    if (n == 0) return;
    uint16_t dropped[2][WIDEST / VL + 4];
    from.coins.dropped = mode & DROP ? dropped[0] : NULL;
    if (mode & DROP) toss(&from.coins, 0);
    float pivot = s->center ? guess(c, &from, mode) : 0.0f;
    row_stats stats = settle(c, s, &from, pivot, sweep(c, NULL, &from, pivot, mode), mode);
    for (size_t i = 0; i < n; i++) {
        row_source next = { from.a, from.b, from.x + c, mode & FUSED ? from.f + c : NULL, from.coins };
        const int more = i + 1 < n;
        row_sums sums = { 0, 0 };
        w.from = &from;
        w.stats = &stats;
        if (mode & DROP) {
            next.coins.block += c / 4;
            next.coins.dropped = dropped[(i + 1) % 2];
            if (more) toss(&next.coins, 0);
        }
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

/* The factor of h * mean(e * h), see ref_norm.c. */
static double kappa(size_t c, const an_norm_spec *s, double rstd)
{
    const double divisor = (double)c / ((double)c - (s->unbiased ? 1 : 0)), eps = (double)s->eps;
    if (!s->outside) return divisor;
    const double sd = 1 / rstd - eps;
    return sd > 4 * (double)AN_REAL_EPS * eps ? divisor * ((sd + eps) / sd) : 0;
}

/* One row of the backward pass: what it is made of, and the two factors its sums give. */
typedef struct bwd_row { const branch *dy; const float *x, *dskip; float mean, rstd, shift, slope; } bwd_row;
typedef struct bwd_sums { vf e[2], eh[2]; } bwd_sums;
typedef struct sink { float a; float *to; int add, stream; coins *coins; } sink;   /* to (+)= a * dh, dropped where there are coins; to NULL: nowhere */

/* A row's constants, in registers. */
typedef struct bwd_set { vf mean, rstd, shift, slope; } bwd_set;
V_FN bwd_set make_set(const bwd_row *r) { return (bwd_set){ v_set(r->mean), v_set(r->rstd), v_set(r->shift), v_set(r->slope) }; }

/* e, e h of one vector into the row sums;  dg += dy h, db += dy */
V_FN void sum_part(const bwd_row *r, const bwd_set *k, size_t i, size_t left, const float *g, float *dg, float *db, vf *sum_e, vf *sum_eh, int mode)
{
    const vf d = get_branch(r->dy + i, left), e = mode & AFFINE || g ? v_mul(v_get(g + i, left), d) : d;
    const vf h = only(v_mul(v_sub(v_get(r->x + i, left), k->mean), k->rstd), left);
    *sum_e = v_add(*sum_e, e);
    *sum_eh = v_fma(e, h, *sum_eh);
    if (mode & AFFINE || dg) v_put(dg + i, left, v_fma(d, h, v_get(dg + i, left)));
    if (mode & AFFINE || db) v_put(db + i, left, v_add(d, v_get(db + i, left)));
}

V_FN void deliver(const sink *s, size_t at, size_t left, vf dh)
{
    if (!s->to) return;
    vf v = v_mul(v_set(s->a), dh);
    if (s->coins) v = after_toss(s->coins, at % (4 * VL), v);
    put(s->to + at, left, s->add ? v_add(v_get(s->to + at, left), v) : v, s->stream);
}

V_FN void grad_part(const bwd_row *r, const bwd_set *k, size_t i, size_t left, const float *g, const sink *one, const sink *two, int mode)
{
    const vf h = v_mul(v_sub(v_get(r->x + i, left), k->mean), k->rstd), d = get_branch(r->dy + i, left), e = mode & AFFINE || g ? v_mul(v_get(g + i, left), d) : d;
    vf dh = v_mul(k->rstd, v_fnma(h, k->slope, v_sub(e, k->shift)));
    if (mode & FUSED && r->dskip) dh = v_add(dh, v_get(r->dskip + i, left));
    deliver(one, i, left, dh);
    if (mode & FUSED) deliver(two, i, left, dh);
}

V_FN void toss_block(const coins *k, size_t at)   /* the one block the gradients of this moment fall into */
{
    const coins here = { k->key, k->block + at / 4, k->limit, k->keep, k->dropped };
    toss(&here, 0);
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
            ask_branch(r->dy + AHEAD_BWD, at);
            v_prefetch(r->x + AHEAD_BWD, at);
            if (mode & FUSED && r->dskip) v_prefetch(r->dskip, at);
            sum_part(r, &kr, at, VL, g, dg, db, &se[j % 2], &seh[j % 2], mode);
        }
        if (mode & DROP && w && i % (4 * VL) == 0) toss_block(two->coins, i);
        for (size_t at = i, j = 0; j < TOGETHER && w; j++, at += VL) grad_part(w, &kw, at, VL, g, one, two, mode);
    }
    for (; i < c; i += VL) {
        if (mode & DROP && w && i % (4 * VL) == 0) toss_block(two->coins, i);
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
        if (mode & DROP) two.coins->block += c / 4;
    }
    bwd_sweep(c, s, &row, &one, &two, NULL, g, dg, db, mode);
    if (one.stream || two.stream) v_stream_end();
}

#define BACKWARD(one, two, mode) backward(n, c, s, first, g, mean, rstd, one, two, dg, db, mode)

void NORM_ROW(norm_bwd)(size_t n, size_t c, const an_norm_spec *s, const branch *dy, const an_real *x, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add, an_real *dg, an_real *db)
{
    const bwd_row first = { .dy = dy, .x = x };
    const sink none = { 0 }, past = { 1, dx, 0, 1, NULL }, plain = { 1, dx, 0, 0, NULL }, any = { 1, dx, add, s->stream && !add && streams(dx, c), NULL };
    if (!(g && dg && db && dx) || add) BACKWARD(any, none, 0);
    else if (any.stream) BACKWARD(past, none, AFFINE);
    else BACKWARD(plain, none, AFFINE);
}

/* A line that is read anyway is written best where it is: in place of dskip, and where the result is added. */
V_FN int past_cache(const an_norm_spec *s, const float *to, int add, const float *dskip, size_t c) { return s->stream && to && !add && to != dskip && streams(to, c); }

static void add_norm_back(size_t n, size_t c, const an_norm_spec *s, bwd_row first, const float *g, const float *mean, const float *rstd, sink one, sink two, float *dg, float *db)
{
    const sink none = { 0 };
    const int all = g && dg && db && one.to && !one.add;
    if (two.coins) {
        const sink df = { two.a, two.to, 0, 1, two.coins };
        if (all && two.stream && !one.stream) BACKWARD(((sink){ one.a, one.to, 0, 0, NULL }), df, FUSED | AFFINE | DROP);
        else BACKWARD(one, two, FUSED | DROP);
    } else if (all && one.stream && two.stream) BACKWARD(((sink){ one.a, one.to, 0, 1, NULL }), ((sink){ two.a, two.to, 0, 1, NULL }), FUSED | AFFINE);
    else if (all && !two.to && first.dskip && !one.stream) BACKWARD(((sink){ one.a, one.to, 0, 0, NULL }), none, FUSED | AFFINE);   /* one gradient for all three */
    else if (all && !two.to && first.dskip) BACKWARD(((sink){ one.a, one.to, 0, 1, NULL }), none, FUSED | AFFINE);
    else BACKWARD(one, two, FUSED);
}

void NORM_ROW(add_norm_bwd)(size_t n, size_t c, const an_norm_spec *s, an_real a, an_real bf, const an_drop *drop, const branch *dy, const an_real *dskip, const an_real *h, const an_real *g, const an_real *mean, const an_real *rstd, an_real *dx, int add_x, an_real *df, int add_f, an_real *dg, an_real *db)
{
    const bwd_row first = { .dy = dy, .x = h, .dskip = dskip };
    uint16_t dropped[4];
    coins k = { .dropped = dropped };
    const int drops = drop && df && tossable(drop, c, &k);
    if (drop && df && !drops && add_f) {
        NORM_REF(add_norm_bwd)(n, c, s, a, bf, drop, dy, dskip, h, g, mean, rstd, dx, add_x, df, add_f, dg, db);
        return;
    }
    k.dropped = dropped;
    const sink one = { a, dx, add_x, past_cache(s, dx, add_x, dskip, c), NULL }, two = { bf, df, add_f, past_cache(s, df, add_f, dskip, c), drops ? &k : NULL };
    add_norm_back(n, c, s, first, g, mean, rstd, one, two, dg, db);
    if (drop && df && !drops) AN_SIMD(dropout)(n * c, drop->key, drop->base, drop->p, df, df, 0);
}

#endif
