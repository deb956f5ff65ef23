/* tests/kern/check_attention.c
 * attn_fwd, attn_bwd, attn_decode against the direct formulas in long double, with all t*t probabilities at hand; i and j number
 * the rows that are no padding, so that the formulas know nothing of padding. Bounds
 * follow the rounding of each quantity, in units of eps: a score is off by what its dot product loses, its probability by
 * that relatively; sums of t terms lose t/2 more. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef long double real;
static const real SMALLEST = sizeof(an_real) == 4 ? (real)FLT_MIN : (real)DBL_MIN;   /* one underflow costs this times eps */

static const real FLUSHED = 4 * (sizeof(an_real) == 4 ? (real)FLT_MIN : (real)DBL_MIN) / (real)AN_REAL_EPS;   /* a probability this small may be 0 */

/* Where tiles multiply, in units of eps: probabilities and what follows from them are rounded to bf16, reals too; what is below the smallest
 * normal number is zero. */
static const real TILES = 0x1p-8L / (real)AN_REAL_EPS;
static int tiles(an_check *k, const an_attn_spec *s) { return s->qkv == AN_STORE_BF16 && strncmp(an_run_level(k), "amx", 3) == 0; }

/* q, k, v: in reals, and as the kernel gets them. p, loss: [t, t] probability of key j for query i, both numbered, and its relative error. */
typedef struct head {
    an_attn_spec s;
    const an_real *q, *k, *v;
    const void *stored[3];
    size_t n, *row;               /* rows that count */
    real *p, *loss, *lse;
} head;

static real *room(size_t n)
{
    real *p = calloc(n + 1, sizeof *p);
    if (!p) abort();
    return p;
}

static real dot(size_t n, const an_real *a, const an_real *b, real *mag)
{
    real sum = 0;
    *mag = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (real)a[i] * (real)b[i];
        *mag += fabsl((real)a[i] * (real)b[i]);
    }
    return sum;
}

static real mask(const an_attn_spec *s, size_t i, size_t j)
{
    if (s->drop_p <= 0) return 1;
    return (real)an_rng_u32(s->drop_key, s->drop_base + (uint64_t)i * s->t + j) >= (real)s->drop_p * 0x1p32L ? 1 / (1 - (real)s->drop_p) : 0;
}

/* Probabilities of `n` keys for one query, their log-sum-exp, and how far rounding may take each. */
static real probabilities(size_t n, size_t d, real scale, const an_real *q, const an_real *k, size_t ldk, real *p, real *loss)
{
    real most = -(real)INFINITY, sum = 0, worst = 0;
    for (size_t j = 0; j < n; j++) {
        real mag;
        p[j] = scale * dot(d, q, k + j * ldk, &mag);
        loss[j] = (0.5L * (real)d + 2) * fabsl(scale) * mag + fabsl(p[j]);
        if (loss[j] > worst) worst = loss[j];
        if (p[j] > most) most = p[j];
    }
    for (size_t j = 0; j < n; j++) sum += expl(p[j] - most);
    for (size_t j = 0; j < n; j++) {
        p[j] = expl(p[j] - most) / sum;
        loss[j] += worst + fabsl(most) + 0.5L * (real)n + 8;
    }
    return most + logl(sum);
}

static size_t extent(size_t rows, size_t width, size_t ld) { return rows && width ? (rows - 1) * ld + width : 0; }

static void *copy_of(const void *x, size_t bytes)
{
    void *to = malloc(bytes + 1);
    if (!to) abort();
    return bytes ? memcpy(to, x, bytes) : to;
}

/* Rounds x to bf16 where the case stores it so and returns that copy; else x itself. */
static const void *store(an_store how, size_t n, an_real *x)
{
    if (how == AN_STORE_REAL) return x;
    an_bf16 *to = malloc((n + 1) * sizeof *to);
    if (!to) abort();
    for (size_t i = 0; i < n; i++) x[i] = an_bf16_widen(to[i] = an_bf16_round(x[i]));
    return to;
}

static void unstore(an_store how, const void *x) { if (how != AN_STORE_REAL) free((void *)(uintptr_t)x); }

static void head_open(an_check *k, head *h, an_fill query, an_fill fill)
{
    const an_attn_spec *s = &h->s;
    const size_t n[3] = { extent(s->t, s->d, s->ldq), extent(s->t, s->d, s->ldk), extent(s->t, s->d, s->ldv) };
    an_real *x[3] = { an_in_edit(k, "q", n[0], query), an_in_edit(k, "k", n[1], fill), an_in_edit(k, "v", n[2], fill) };
    for (int i = 0; i < 3; i++) h->stored[i] = store(s->qkv, n[i], x[i]);
    h->q = x[0], h->k = x[1], h->v = x[2];
}

static const an_real *row_of(const head *h, const an_real *x, size_t i, size_t ld) { return x + h->row[i] * ld; }

static void head_solve(head *h)
{
    const an_attn_spec *s = &h->s;
    an_real *keys = copy_of(h->k, extent(s->t, s->d, s->ldk) * sizeof *keys);
    h->row = calloc(s->t + 1, sizeof *h->row);
    if (!h->row) abort();
    for (size_t i = 0; i < s->t; i++)
        if (!s->tokens || s->tokens[i] >= 0) h->row[h->n++] = i;
    h->p = room(s->t * s->t);
    h->loss = room(s->t * s->t);
    h->lse = room(s->t);
    for (size_t i = 0; i < h->n; i++) memmove(keys + i * s->ldk, keys + h->row[i] * s->ldk, s->d * sizeof *keys);
    for (size_t i = 0; i < h->n; i++)
        h->lse[i] = probabilities(s->causal ? i + 1 : h->n, s->d, (real)s->scale, row_of(h, h->q, i, s->ldq), keys, s->ldk, h->p + i * s->t, h->loss + i * s->t);
    free(keys);
}

static void head_free(head *h)
{
    for (int i = 0; i < 3; i++) unstore(h->s.qkv, h->stored[i]);
    free(h->row);
    free(h->p);
    free(h->loss);
    free(h->lse);
}

/* Padding in front, behind, anywhere, everywhere, or nowhere after all. */
static const int32_t *pick_tokens(an_check *k, size_t t)
{
    int32_t *tokens = an_in_ids(k, "tokens", t, 0, 9);
    const size_t how = an_pick(k, 5), cut = an_pick(k, t + 1);
    for (size_t i = 0; i < t; i++)
        if (how == 0 ? i < cut : how == 1 ? i >= cut : how == 2 ? an_pick(k, 3) == 0 : how == 3) tokens[i] = -1 - (int32_t)(i % 2);
    return tokens;
}

/* Plain numbers come in small heads, so that the bound stays below the faults of the self-test. */
static an_attn_spec pick_spec(an_check *k)
{
    static const size_t small_t[] = { 1, 2, 5, 8, 9, 16, 3, 0 }, small_d[] = { 1, 8, 3, 16, 7 };
    static const size_t t[] = { 17, 63, 64, 65, 71, 100, 128, 129, 140, 6 }, d[] = { 8, 16, 17, 5, 24, 32, 33, 40, 64, 256 };
    const int plain = an_case_fill(k) == AN_FILL_NORMAL;
    an_attn_spec s = { 0 };
    if (!an_checking(k)) {
        s.t = an_pick_rows(k);
        s.d = an_pick_size(k);
        s.ldq = s.ldk = s.ldv = 3 * s.d;
        s.ldo = s.d;
        s.causal = 1;
        s.scale = 1 / an_sqrt((an_real)s.d);
        return s;
    }
    s.t = plain ? small_t[an_pick(k, sizeof small_t / sizeof *t)] : t[an_pick(k, sizeof t / sizeof *t)];
    s.d = plain ? small_d[an_pick(k, sizeof small_d / sizeof *d)] : d[an_pick(k, sizeof d / sizeof *d)];
    if (s.t * s.d > 4500) s.t = 1 + s.t % 18;
    s.ldq = s.d + an_pick(k, 3);
    s.ldk = s.d + an_pick(k, 3);
    s.ldv = s.d + an_pick(k, 3) * 7;
    s.ldo = s.d + an_pick(k, 3);
    s.causal = an_pick(k, 4) != 0;
    s.scale = an_pick(k, 8) == 0 ? AN_R(-0.25) : 1 / an_sqrt((an_real)s.d);
    if (an_pick(k, 3) == 0) {
        s.drop_p = an_pick_bool(k) ? AN_R(0.1) : AN_R(0.5);
        s.drop_key = an_rng_key_make(an_pick(k, 1000), 7, 3);
        s.drop_base = an_pick(k, 3) == 0 ? 0xfffffffcull * 4 + an_pick(k, 9) : an_pick(k, 1000);
    }
    if (an_pick(k, 3) == 0) {
        s.qkv = an_pick_bool(k) ? AN_STORE_BF16 : AN_STORE_REAL;
        s.out = an_pick_bool(k) ? AN_STORE_BF16 : AN_STORE_REAL;
        s.dout = an_pick_bool(k) ? AN_STORE_BF16 : AN_STORE_REAL;
    }
    if (an_pick(k, 3) == 0) s.tokens = pick_tokens(k, s.t);
    return s;
}

/* Fills whose result does not hang on the order of overflowing terms. */
static an_fill tame(an_fill fill)
{
    switch (fill) {
    case AN_FILL_HUGE: case AN_FILL_INF: case AN_FILL_NAN: case AN_FILL_WIDE: return AN_FILL_POSITIVE;
    default: return fill;
    }
}

static double pairs(const an_attn_spec *s) { return s->causal ? 0.5 * (double)s->t * (double)(s->t + 1) : (double)s->t * (double)s->t; }

static const real HALF = 0x1p-7L / (real)AN_REAL_EPS;   /* two numbers that are equal but for rounding become neighbours in bf16 */

static void want_fwd(an_check *k, const head *h, size_t q0, size_t q1, an_out *out, an_out *lse)
{
    const an_attn_spec *s = &h->s;
    const real rounds = tiles(k, s) ? TILES : 0, zero = tiles(k, s) ? SMALLEST / (real)AN_REAL_EPS : 0;
    for (size_t i = q0; i < q1; i++) {
        if (!s->tokens || s->tokens[i] >= 0) continue;
        an_want(lse, i, 0, 0);
        for (size_t c = 0; c < s->d; c++) an_want(out, i * s->ldo + c, 0, 0);
    }
    for (size_t i = q0; i < q1 && i < h->n; i++) {
        const size_t n = s->causal ? i + 1 : h->n, row = h->row[i];
        real worst = 0;
        for (size_t j = 0; j < n; j++) worst = fmaxl(worst, h->loss[i * s->t + j]);
        an_want(lse, row, h->lse[i], isnan(h->lse[i]) ? (real)NAN : worst + fabsl(h->lse[i]));
        for (size_t c = 0; c < s->d; c++) {
            real sum = 0, mag = 0;
            for (size_t j = 0; j < n; j++) {
                const real term = mask(s, i, j) * h->p[i * s->t + j] * (real)row_of(h, h->v, j, s->ldv)[c];
                sum += term;
                mag += fabsl(term) * (h->loss[i * s->t + j] + 0.5L * (real)n + 4 + rounds) + zero * (1 + fabsl((real)row_of(h, h->v, j, s->ldv)[c]));
            }
            an_want(out, row * s->ldo + c, sum, mag + (real)(n + 1) * SMALLEST + (s->out != AN_STORE_REAL ? HALF * (fabsl(sum) + mag * (real)AN_REAL_EPS + (real)FLT_MIN) : 0));
        }
    }
    an_judge(k, out, 1);
    an_judge(k, lse, 1);
}

/* Any split of the rows at multiples of 64 must give the same bits as the whole; rows outside [q0, q1) stay. */
static void run_split(an_check *k, const head *h, size_t q0, size_t q1, int split, void *out, an_real *lse, an_real *work)
{
    const size_t middle = split ? (q0 + (q1 - q0) / 2) / 64 * 64 : 0;
    const int cut = middle > q0 && middle < q1;
    if (cut) an_table(k)->attn_fwd(&h->s, middle, q1, h->stored[0], h->stored[1], h->stored[2], out, lse, work);
    an_table(k)->attn_fwd(&h->s, q0, cut ? middle : q1, h->stored[0], h->stored[1], h->stored[2], out, lse, work);
}

/* A result stored as bf16 is read back element by element; what the kernel must leave alone is left alone here too. */
static void run_fwd(an_check *k, const head *h, size_t q0, size_t q1, int split, an_out *out, an_real *lse, an_real *work)
{
    const an_attn_spec *s = &h->s;
    if (s->out == AN_STORE_REAL) {
        run_split(k, h, q0, q1, split, an_at(out), lse, work);
        return;
    }
    an_bf16 *stored = malloc((out->n + 1) * sizeof *stored);
    if (!stored) abort();
    for (size_t i = 0; i < out->n; i++) stored[i] = an_bf16_round(an_at(out)[i]);
    run_split(k, h, q0, q1, split, stored, lse, work);
    for (size_t i = 0; i < out->n; i++)
        if (stored[i] != an_bf16_round(an_at(out)[i])) an_at(out)[i] = an_bf16_widen(stored[i]);
    for (size_t n = 0, i = 0; i < s->t; i++) {       /* numbers of rows, and rows of padding */
        const int counts = !s->tokens || s->tokens[i] >= 0;
        const size_t at = counts ? n : i;
        n += (size_t)counts;
        for (size_t c = 0; at >= q0 && at < q1 && c < s->d; c++) an_at(out)[i * s->ldo + c] = an_bf16_widen(stored[i * s->ldo + c]);
    }
    free(stored);
}

void an_check_attn_fwd(an_check *k)
{
    head h = { .s = pick_spec(k) };
    const an_attn_spec *s = &h.s;
    const int bench = !an_checking(k);
    const an_fill fill = tame(an_case_fill(k)), wild = an_case_fill(k) == AN_FILL_NAN ? AN_FILL_NAN : fill;   /* a NaN query spoils its row alone */
    const size_t q0 = bench ? 0 : an_pick(k, 4) == 0 ? an_pick(k, s->t + 1) : an_pick(k, 2) * 64 % (s->t + 1), q1 = bench ? s->t : q0 + (an_pick(k, 3) == 0 ? an_pick(k, s->t - q0 + 1) : s->t - q0);
    head_open(k, &h, wild, fill);
    an_out *out = an_out_new(k, "out", extent(s->t, s->d, s->ldo), AN_FILL_NORMAL), *lse = an_out_new(k, "lse", s->t, AN_FILL_NORMAL);
    an_real *work = malloc((an_attn_work(s) + 1) * sizeof *work);
    if (!work) abort();
    an_work(k, an_bytes(4 * s->t * s->d), 4 * pairs(s) * (double)s->d);
    for (int turn = 0; an_next_run(k); turn++) {
        if (!bench) memset(work, 0xff, an_attn_work(s) * sizeof *work);   /* NaN */
        run_fwd(k, &h, q0, q1, turn == 2 && !bench, out, an_at(lse), work);
    }
    free(work);
    if (!bench) {
        head_solve(&h);
        want_fwd(k, &h, q0, q1, out, lse);
    }
    head_free(&h);
}

typedef struct gradient { real *ds, *loss, *pm; } gradient;   /* [t, t] */

static gradient differentiate(const head *h, const an_real *out, const an_real *dout, real rounds)
{
    const an_attn_spec *s = &h->s;
    const gradient g = { room(s->t * s->t), room(s->t * s->t), room(s->t * s->t) };
    for (size_t i = 0; i < h->n; i++) {
        real delta_mag;
        const an_real *doi = row_of(h, dout, i, s->ldo);
        const real delta = dot(s->d, row_of(h, out, i, s->ldo), doi, &delta_mag);
        for (size_t j = 0; j < (s->causal ? i + 1 : h->n); j++) {
            const size_t x = i * s->t + j;
            real mag;
            const real m = mask(s, i, j), dp = m * dot(s->d, doi, row_of(h, h->v, j, s->ldv), &mag), rest = dp - delta;
            g.ds[x] = h->p[x] * rest;
            g.loss[x] = (h->p[x] * (h->loss[x] + fabsl(h->lse[i])) + FLUSHED) * fabsl(rest) + h->p[x] * (0.5L * (real)s->d + 3) * (m * mag + delta_mag) + rounds * (h->p[x] * m * mag + fabsl(g.ds[x]));   /* dout where it is real; ds */
            g.pm[x] = m * h->p[x];
        }
    }
    return g;
}

static void want_row(const head *h, const gradient *g, const an_real *dout, real rounds, size_t r, size_t c, an_out *const y[3])
{
    const an_attn_spec *s = &h->s;
    const size_t t = s->t, ld[3] = { s->ldq, s->ldk, s->ldv };
    const real scale = (real)s->scale, size = fabsl(scale), more = 0.5L * (real)t + 8, under = (real)(t + s->d + 4) * SMALLEST * 64;
    real sum[3] = { 0 }, mag[3] = { 0 };
    for (size_t x = 0; x < h->n; x++) {
        const size_t row = r * t + x, col = x * t + r;   /* as query, as key */
        const real kx = (real)row_of(h, h->k, x, s->ldk)[c], qx = (real)row_of(h, h->q, x, s->ldq)[c], ox = (real)row_of(h, dout, x, s->ldo)[c];
        sum[0] += scale * g->ds[row] * kx;
        mag[0] += size * (g->loss[row] + more * fabsl(g->ds[row])) * fabsl(kx);
        sum[1] += scale * g->ds[col] * qx;
        mag[1] += size * (g->loss[col] + more * fabsl(g->ds[col])) * fabsl(qx);
        sum[2] += g->pm[col] * ox;
        mag[2] += (g->pm[col] * (h->loss[col] + fabsl(h->lse[x]) + more + 2 * rounds) + 10 * FLUSHED) * fabsl(ox) + (rounds > 0 ? SMALLEST / (real)AN_REAL_EPS : 0);
    }
    for (int i = 0; i < 3; i++) an_want(y[i], h->row[r] * ld[i] + c, sum[i], mag[i] + under);
}

static void want_bwd(an_check *k, const head *h, const gradient *g, const an_real *dout, real rounds, an_out *const y[3])
{
    const an_attn_spec *s = &h->s;
    const size_t ld[3] = { s->ldq, s->ldk, s->ldv };
    for (size_t i = 0; i < s->t; i++)
        for (size_t c = 0; s->tokens && s->tokens[i] < 0 && c < s->d; c++)
            for (int x = 0; x < 3; x++) an_want(y[x], i * ld[x] + c, 0, 0);
    for (size_t r = 0; r < h->n; r++)
        for (size_t c = 0; c < s->d; c++) want_row(h, g, dout, rounds, r, c, y);
    for (int x = 0; x < 3; x++) an_judge(k, y[x], 1);
}

/* The whole head in one block, or in blocks of `rows`: keys forwards or backwards, also such as causality leaves empty. */
static void run_bwd(an_check *k, const head *h, size_t rows, int backwards, const void *out, const void *dout, const an_real *lse, an_out *const y[3], an_real *work)
{
    const size_t t = h->s.t, blocks = (t + rows - 1) / rows;
    for (size_t j = 0; j < blocks; j++)
        for (size_t i = 0; i < blocks; i++) {
            const size_t key = backwards ? blocks - 1 - j : j, q0 = i * rows, k0 = key * rows;
            const an_attn_block b = { q0, t - q0 < rows ? t : q0 + rows, k0, t - k0 < rows ? t : k0 + rows, j > 0, i > 0 };
            an_table(k)->attn_bwd(&h->s, &b, h->stored[0], h->stored[1], h->stored[2], out, dout, lse, an_at(y[0]), an_at(y[1]), an_at(y[2]), work);
        }
}

void an_check_attn_bwd(an_check *k)
{
    head h = { .s = pick_spec(k) };
    an_attn_spec *s = &h.s;
    const int bench = !an_checking(k), backwards = an_pick_bool(k);
    const size_t rows = bench || an_pick_bool(k) || s->t == 0 ? s->t + !s->t : 64 + 64 * an_pick(k, 2), n = extent(s->t, s->d, s->ldo);
    const an_fill fill = tame(an_case_fill(k));
    s->rows = rows;
    head_open(k, &h, fill, fill);
    an_real *dout = an_in_edit(k, "dout", n, fill == AN_FILL_TINY ? AN_FILL_NORMAL : fill), *out = an_in_edit(k, "out", n, AN_FILL_ZERO), *lse = an_in_edit(k, "lse", s->t, AN_FILL_ZERO);
    an_out *const y[3] = { an_out_new(k, "dq", extent(s->t, s->d, s->ldq), AN_FILL_NORMAL), an_out_new(k, "dk", extent(s->t, s->d, s->ldk), AN_FILL_NORMAL), an_out_new(k, "dv", extent(s->t, s->d, s->ldv), AN_FILL_NORMAL) };
    an_real *work = malloc((an_attn_work(s) + 1) * sizeof *work);
    if (!work) abort();
    an_attn_spec plain = *s;
    plain.qkv = plain.out = AN_STORE_REAL;
    an_kern_level("ref")->attn_fwd(&plain, 0, s->t, h.q, h.k, h.v, out, lse, work);
    const void *dout_stored = store(s->dout, n, dout), *out_stored = store(s->out, n, out);
    an_work(k, an_bytes(8 * s->t * s->d), 10 * pairs(s) * (double)s->d);
    while (an_next_run(k)) {
        if (!bench) memset(work, 0xff, an_attn_work(s) * sizeof *work);
        run_bwd(k, &h, rows, backwards, out_stored, dout_stored, lse, y, work);
    }
    free(work);
    if (!bench) {
        head_solve(&h);
        const real rounds = tiles(k, s) ? TILES : 0;
        gradient g = differentiate(&h, out, dout, rounds);
        want_bwd(k, &h, &g, dout, rounds, y);
        free(g.ds);
        free(g.loss);
        free(g.pm);
    }
    unstore(s->dout, dout_stored);
    unstore(s->out, out_stored);
    head_free(&h);
}

void an_check_attn_decode(an_check *k)
{
    const int bench = !an_checking(k);
    const an_attn_spec s = pick_spec(k);
    const an_fill fill = tame(an_case_fill(k));
    const an_real *q = an_in(k, "q", s.d, an_case_fill(k) == AN_FILL_NAN ? AN_FILL_NAN : fill), *key = an_in(k, "k", extent(s.t, s.d, s.ldk), fill), *v = an_in(k, "v", extent(s.t, s.d, s.ldv), fill);
    an_out *out = an_out_new(k, "out", s.d, AN_FILL_NORMAL);
    an_real *work = malloc((s.t + 1) * sizeof *work);
    if (!work) abort();
    an_work(k, an_bytes(2 * s.t * s.d), 4 * (double)s.t * (double)s.d);
    while (an_next_run(k)) an_table(k)->attn_decode(s.t, s.d, s.scale, q, key, s.ldk, v, s.ldv, an_at(out), work);
    free(work);
    if (bench) return;
    real *p = room(s.t), *loss = room(s.t);
    probabilities(s.t, s.d, (real)s.scale, q, key, s.ldk, p, loss);
    for (size_t c = 0; c < s.d; c++) {
        real sum = 0, mag = 0;
        for (size_t j = 0; j < s.t; j++) {
            const real term = p[j] * (real)v[j * s.ldv + c];
            sum += term;
            mag += fabsl(term) * (loss[j] + 0.5L * (real)s.t + 4);
        }
        an_want(out, c, sum, mag + (real)(s.t + 1) * SMALLEST);
    }
    an_judge(k, out, 1);
    free(p);
    free(loss);
}
