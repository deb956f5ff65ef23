/* kern/simd/norm_bwd.h
 * The norm rows backward, in the same two sweeps as forward (norm_fwd.h): sums of a row, gains and biases first, its gradient while the next is summed. */
#ifndef AN_KERN_SIMD_NORM_BWD_H
#define AN_KERN_SIMD_NORM_BWD_H

#include "kern/simd/norm_branch.h"

enum { AHEAD_BWD = 256, TOGETHER = 2 };   /* how far ahead memory is asked for, in reals; vectors summed, then written, at a time (measured) */

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
typedef struct sink { float a; float *to; int add, stream; coins *coins; } sink;   /* to (+)= a * dh, dropped where there are coins; to NULL: nowhere */

/* A row's constants, in registers. */
typedef struct bwd_set { vf mean, rstd, shift, slope; } bwd_set;
V_FN bwd_set make_set(const bwd_row *r) { return (bwd_set){ v_set(r->mean), v_set(r->rstd), v_set(r->shift), v_set(r->slope) }; }

/* Row q of a group of rows that are done together: c elements on. */
V_FN bwd_row row_at(const bwd_row *r, size_t q, size_t c) { return (bwd_row){ r->dy + q * c, r->x + q * c, r->dskip ? r->dskip + q * c : NULL, 0, 0, 0, 0 }; }

/* e, e h of one vector of each row into the row sums;  dg += dy h, db += dy, row after row */
V_FN void sum_part(size_t rows, const bwd_row *r, const bwd_set *k, size_t i, size_t left, const float *g, float *dg, float *db, vf (*sum_e)[2], vf (*sum_eh)[2], size_t lane, int mode)
{
    vf a = v_zero(), b = v_zero(), gain = v_zero();
    if (mode & AFFINE || dg) a = v_get(dg + i, left);
    if (mode & AFFINE || db) b = v_get(db + i, left);
    if (mode & AFFINE || g) gain = v_get(g + i, left);
    for (size_t q = 0; q < rows; q++) {
        const vf d = get_branch(r[q].dy + i, left), e = mode & AFFINE || g ? v_mul(gain, d) : d;
        const vf h = only(v_mul(v_sub(v_get(r[q].x + i, left), k[q].mean), k[q].rstd), left);
        sum_e[q][lane] = v_add(sum_e[q][lane], e);
        sum_eh[q][lane] = v_fma(e, h, sum_eh[q][lane]);
        a = v_fma(d, h, a);
        b = v_add(d, b);
    }
    if (mode & AFFINE || dg) v_put(dg + i, left, a);
    if (mode & AFFINE || db) v_put(db + i, left, b);
}

V_FN void deliver(const sink *s, size_t row, size_t at, size_t left, vf dh)   /* row: where it begins */
{
    if (!s->to) return;
    float *to = s->to + row + at;
    vf v = v_mul(v_set(s->a), dh);
    if (s->coins) v = after_toss(s->coins, at % (4 * VL), v);
    put(to, left, s->add ? v_add(v_get(to, left), v) : v, s->stream);
}

V_FN void grad_part(const bwd_row *r, const bwd_set *k, size_t row, size_t i, size_t left, const float *g, const sink *one, const sink *two, int mode)
{
    const vf h = v_mul(v_sub(v_get(r->x + i, left), k->mean), k->rstd), d = get_branch(r->dy + i, left), e = mode & AFFINE || g ? v_mul(v_get(g + i, left), d) : d;
    vf dh = v_mul(k->rstd, v_fnma(h, k->slope, v_sub(e, k->shift)));
    if (mode & FUSED && r->dskip) dh = v_add(dh, v_get(r->dskip + i, left));
    deliver(one, row, i, left, dh);
    if (mode & FUSED) deliver(two, row, i, left, dh);
}

V_FN void toss_block(const coins *k, size_t at)   /* the one block the gradients of this moment fall into */
{
    const coins here = { k->key, k->block + at / 4, k->limit, k->keep, k->dropped };
    toss(&here, 0);
}

/* Writes the gradients of some rows (w, unless NULL) while summing as many others (r, unless NULL), whose factors it completes. */
V_FN void bwd_sweep(size_t rows, size_t c, const an_norm_spec *s, const bwd_row *w, const sink *one, const sink *two, bwd_row *r, const float *g, float *dg, float *db, int mode)
{
    vf se[GROUP][2], seh[GROUP][2];
    bwd_set kw[GROUP], kr[GROUP];
    for (size_t q = 0; q < rows; q++) {
        se[q][0] = se[q][1] = seh[q][0] = seh[q][1] = v_zero();
        if (w) kw[q] = make_set(w + q);
        if (r) kr[q] = make_set(r + q);
    }
    size_t i = 0;
    for (; i + TOGETHER * VL <= c; i += TOGETHER * VL) {   /* all sums, then all gradients: whole lines go past the caches undisturbed */
        for (size_t at = i, j = 0; j < TOGETHER && r; j++, at += VL) {
            const size_t ahead = AHEAD_BWD + (at + AHEAD_BWD < c ? 0 : (rows - 1) * c);   /* past the end: the row that comes after this group's */
            for (size_t q = 0; q < rows; q++) {
                ask_branch(r[q].dy + ahead, at);
                v_prefetch(r[q].x + ahead, at);
                if (mode & FUSED && r[q].dskip) v_prefetch(r[q].dskip, at);
            }
            sum_part(rows, r, kr, at, VL, g, dg, db, se, seh, j % 2, mode);
        }
        if (mode & DROP && w && i % (4 * VL) == 0) toss_block(two->coins, i);
        for (size_t q = 0; q < rows && w; q++)
            for (size_t at = i, j = 0; j < TOGETHER; j++, at += VL) grad_part(w + q, kw + q, q * c, at, VL, g, one, two, mode);
    }
    for (; i < c; i += VL) {
        if (mode & DROP && w && i % (4 * VL) == 0) toss_block(two->coins, i);
        if (r) sum_part(rows, r, kr, i, c - i, g, dg, db, se, seh, 0, mode);
        for (size_t q = 0; q < rows && w; q++) grad_part(w + q, kw + q, q * c, i, c - i, g, one, two, mode);
    }
    for (size_t q = 0; q < rows && r; q++) {
        r[q].shift = s->center ? (float)((double)v_sum(v_add(se[q][0], se[q][1])) / (double)c) : 0.0f;
        r[q].slope = (float)(kappa(c, s, (double)r[q].rstd) * ((double)v_sum(v_add(seh[q][0], seh[q][1])) / (double)c));
    }
}

/* All whole groups of rows; returns how many rows that were. */
V_FN size_t backward_groups(size_t rows, size_t n, size_t c, const an_norm_spec *s, bwd_row first, const float *g, const float *mean, const float *rstd, sink one, sink two, float *dg, float *db, int mode)
{
    const size_t groups = n / rows;
    bwd_row row[GROUP] = { { 0 } }, next[GROUP] = { { 0 } };
    for (size_t k = 0; k <= groups && groups; k++) {
        for (size_t q = 0; q < rows && k < groups; q++) {
            next[q] = row_at(&first, k * rows + q, c);
            next[q].mean = s->center ? mean[k * rows + q] : 0.0f;
            next[q].rstd = rstd[k * rows + q];
        }
        if (k == 0) bwd_sweep(rows, c, s, NULL, NULL, NULL, next, g, dg, db, mode);
        else if (k < groups) bwd_sweep(rows, c, s, row, &one, &two, next, g, dg, db, mode);
        else bwd_sweep(rows, c, s, row, &one, &two, NULL, g, dg, db, mode);
        for (size_t q = 0; q < rows; q++) row[q] = next[q];
        if (k == 0) continue;
        if (one.to) one.to += rows * c;
        if (two.to) two.to += rows * c;
        if (mode & DROP) two.coins->block += rows * c / 4;
    }
    return groups * rows;
}

V_FN void backward(size_t n, size_t c, const an_norm_spec *s, bwd_row row, const float *g, const float *mean, const float *rstd, sink one, sink two, float *dg, float *db, int mode)
{
    size_t done = 0;
    if (c >= WIDE && mode & AFFINE && !(mode & DROP)) {
        done = backward_groups(GROUP, n, c, s, row, g, mean, rstd, one, two, dg, db, mode);
        row = row_at(&row, done, c);
        if (one.to) one.to += done * c;
        if (two.to) two.to += done * c;
        if (mean) mean += done;
        rstd += done;
    }
    backward_groups(1, n - done, c, s, row, g, mean, rstd, one, two, dg, db, mode);
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
