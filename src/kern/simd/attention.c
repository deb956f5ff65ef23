/* kern/simd/attention.c
 * Attention in 64 x 64 tiles of scores that never leave L1. Scores are kept transposed, S^T[key, query]: the queries of a
 * tile are transposed once and all their keys stream past unchanged, the softmax runs down the columns without a single
 * horizontal sum, and the result has the layout that both following products want. Forward: online softmax, the old sum
 * rescaled inside the product with V. Backward: probabilities are made again from lse, key tile by key tile. Causal tiles
 * above the diagonal are never visited, the diagonal ones in register tiles. A row's operations depend only on its own
 * position, so any split of the rows at multiples of 64 gives the same bits.
 * Source: Dao et al. 2022, arXiv:2205.14135 (tiling, recomputation); the formulas are in kern/ref/attention.c. */
#include <math.h>
#include <string.h>

#include "kern/attn_tile.h"
#include "kern/simd/block.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec.h"
#include "kern/simd/vec_math.h"
#include "kern/simd/vec_rng.h"

enum { T = AN_ATTN_TILE, MR = VL == 16 ? 8 : 6 };

/* One product of a tile, C[m,n] = (alpha row by row *) C * add + A[m,k] B[k,n]. n is a multiple of VL.
 * `part` says which part of a diagonal tile counts; the rest of its operands is zero, or its result is never read. */
enum { WHOLE, COLUMNS_FROM_ROW, SUM_FROM_ROW, SUM_TO_ROW };
typedef struct product {
    size_t m, n, k;
    const float *a; size_t lda;
    const float *b; size_t ldb;
    float *c; size_t ldc;
    int add, part;
    const float *alpha;      /* NULL: 1 */
} product;

/* A register tile of mr rows and nv vectors; A(i, p) at a[i*lda + p], or a[p*lda + i] when at. */
V_FN void tile(int mr, int nv, int at, const product *x, size_t i0, size_t j0, size_t k0, size_t k1)
{
    vf acc[MR][2];
    const float *a = x->a + (at ? k0 * x->lda + i0 : i0 * x->lda + k0), *b = x->b + k0 * x->ldb + j0;
    float *c = x->c + i0 * x->ldc + j0;
    const size_t lda = x->lda, ldb = x->ldb, ldc = x->ldc;
    V_UNROLL for (int i = 0; i < mr; i++) {
        const vf by = v_set(x->alpha && x->add ? x->alpha[i0 + (size_t)i] : 1.0f);
        V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = x->add ? v_mul(by, v_load(c + (size_t)i * ldc + v * VL)) : v_zero();
    }
    for (size_t p = k0; p < k1; p++, b += ldb, a += at ? lda : 1) {
        vf bv[2];
        V_UNROLL for (int v = 0; v < nv; v++) bv[v] = v_load(b + v * VL);
        V_UNROLL for (int i = 0; i < mr; i++) {
            const vf ai = v_set(at ? a[i] : a[(size_t)i * lda]);
            V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_fma(ai, bv[v], acc[i][v]);
        }
    }
    V_UNROLL for (int i = 0; i < mr; i++)
        V_UNROLL for (int v = 0; v < nv; v++) v_store(c + (size_t)i * ldc + v * VL, acc[i][v]);
}

V_FN void strip(int nv, int at, const product *x, size_t j)
{
    size_t i = 0;
    while (i < x->m) {
        const size_t left = x->m - i, mr = left >= MR ? MR : left >= 4 ? 4 : left >= 2 ? 2 : 1;
        const size_t k0 = x->part == SUM_FROM_ROW && i < x->k ? i : 0, k1 = x->part == SUM_TO_ROW && i + mr < x->k ? i + mr : x->k;
        if (x->part == COLUMNS_FROM_ROW && j + (size_t)nv * VL <= i) break;
        switch (mr) {
        case MR: tile(MR, nv, at, x, i, j, k0, k1); break;
        case 4: tile(4, nv, at, x, i, j, k0, k1); break;
        case 2: tile(2, nv, at, x, i, j, k0, k1); break;
        default: tile(1, nv, at, x, i, j, k0, k1);
        }
        i += mr;
    }
}

static void multiply(const product *x)      /* A row by row */
{
    size_t j = 0;
    for (; j + 2 * VL <= x->n; j += 2 * VL) strip(2, 0, x, j);
    if (j < x->n) strip(1, 0, x, j);
}

static void multiply_at(const product *x)   /* A column by column */
{
    size_t j = 0;
    for (; j + 2 * VL <= x->n; j += 2 * VL) strip(2, 1, x, j);
    if (j < x->n) strip(1, 1, x, j);
}

/* e^x for x <= 0 or little above; exactly 0 below -88, where a masked score goes: a denormal product would cost 100 cycles. */
V_FN vf exp_below(vf x)
{
    x = v_max(v_set(-88.1f), x);
    const vf shifted = v_fma(x, v_set(0x1.715476p+0f), v_set(V_ROUNDER)), n = v_sub(shifted, v_set(V_ROUNDER));
    const vf r = v_fnma(n, v_set(0x1.7f7d1cp-20f), v_fnma(n, v_set(0x1.62e4p-1f), x));
    vf q = v_fma(v_set(0x1.6d1176p-10f), r, v_set(0x1.120bdap-7f));
    q = v_fma(q, r, v_set(0x1.555518p-5f));
    q = v_fma(q, r, v_set(0x1.5554dcp-3f));
    q = v_fma(q, r, v_set(0.5f));
    const vf e = v_add(v_fma(v_mul(r, r), q, r), v_set(1.0f));
    return v_mul(e, v_power2(vi_sub(v_bits(shifted), v_bits(v_set(V_ROUNDER)))));
}

/* Lanes that stand for queries before key j: query lane l of a group starting g sees key j when j <= g + l. */
V_FN vm lanes_before(size_t j, size_t g)
{
    static const float lane[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    return v_lt(v_load(lane), v_set((float)j - (float)g));
}

/* to[p*T + i] = x[i*ld + p] for p < d; columns past n repeat the last one, their results are never used. */
static void transpose(size_t n, size_t d, const float *x, size_t ld, float *to)
{
    for (size_t i = 0; i < T && i < an_attn_round(n, VL); i += 8) {
        const float *row[8];
        size_t p = 0;
        for (size_t r = 0; r < 8; r++) row[r] = x + (i + r < n ? i + r : n - 1) * ld;
        for (; p + 8 <= d; p += 8) transpose8(row, p, to + p * T + i, T);
        for (; p < d; p++)
            for (size_t r = 0; r < 8; r++) to[p * T + i + r] = row[r][p];
    }
}

/* One of the caller's matrices: d columns of every row that counts, in memory ld apart, as floats or bf16. */
typedef struct matrix { const an_attn_spec *s; an_attn_rows rows; size_t dp; } matrix;

V_FN size_t row_at(const matrix *m, size_t i, size_t ld) { return an_attn_row(&m->rows, i) * ld; }

static void widen(size_t d, const uint16_t *x, float *to)
{
    uint16_t last[VL] = { 0 };
    size_t p = 0;
    for (; p + VL <= d; p += VL) v_store(to + p, v_widen(x + p));
    if (p == d) return;
    memcpy(last, x + p, (d - p) * sizeof *x);
    v_store(to + p, v_widen(last));
}

static void narrow(size_t d, const float *x, float by, uint16_t *to)
{
    uint16_t last[VL];
    const vf f = v_set(by);
    size_t p = 0;
    for (; p + VL <= d; p += VL) v_narrow(to + p, v_mul(f, v_load(x + p)));
    if (p == d) return;
    v_narrow(last, v_mul(f, v_load(x + p)));
    memcpy(to + p, last, (d - p) * sizeof *to);
}

/* to[n, dp] = rows i0.. of x with zeros behind; keeps rows next to each other, however far apart they were */
static void copy_in(const matrix *m, size_t i0, size_t n, const void *x, size_t ld, float *to)
{
    const size_t d = m->s->d;
    const vm tail = v_tail(d % VL);
    for (size_t i = i0; i < i0 + n; i++, to += m->dp) {
        const float *from = (const float *)x + row_at(m, i, ld);
        size_t p = 0;
        if (m->s->half) {
            widen(d, (const uint16_t *)x + row_at(m, i, ld), to);
            continue;
        }
        for (; p + VL <= d; p += VL) v_store(to + p, v_load(from + p));
        if (p < d) v_store(to + p, v_load_n(from + p, tail));
    }
}

/* rows i0.. of out = by row * x[n, dp] */
static void put_out(const matrix *m, size_t i0, size_t n, const float *x, const float *by, void *out)
{
    const size_t d = m->s->d, ld = m->s->ldo;
    for (size_t i = 0; i < n; i++, x += m->dp) {
        float *y = (float *)out + row_at(m, i0 + i, ld);
        if (m->s->half) narrow(d, x, by[i], (uint16_t *)out + row_at(m, i0 + i, ld));
        else V_EACH(d, p, left, v_put(y + p, left, v_mul(v_set(by[i]), v_load(x + p))););
    }
}

/* rows i0.. of the gradient y (+)= by * x[n, dp] */
static void put_gradient(const matrix *m, size_t i0, size_t n, const float *x, float by, int add, float *y, size_t ld)
{
    const vf f = v_set(by);
    for (size_t i = 0; i < n; i++, x += m->dp) {
        float *to = y + row_at(m, i0 + i, ld);
        if (add) V_EACH(m->s->d, p, left, v_put(to + p, left, v_fma(f, v_load(x + p), v_get(to + p, left))););
        else V_EACH(m->s->d, p, left, v_put(to + p, left, v_mul(f, v_load(x + p))););
    }
}

/* Dropout factors of a tile, transposed like the scores: word (i, j) is word drop_base + i*t + j of the key's stream. */
static void draw_mask(const an_attn_spec *s, size_t i0, size_t in, size_t j0, size_t jn, float *mask)
{
    enum { WORDS = 4 * VL, ROOM = T + 4 + WORDS };
    const double limit = ceil((double)s->drop_p * 0x1p32);
    const uint32_t below = limit < 0x1p32 ? (uint32_t)limit : UINT32_MAX;
    const vf keep = v_set(1.0f / (1.0f - s->drop_p));
    float drawn[8][ROOM] = { { 0 } };
    for (size_t i = 0; i < in; i += 8) {
        const float *row[8];
        for (size_t r = 0; r < 8; r++) {
            const uint64_t first = s->drop_base + (uint64_t)(i0 + i + r) * s->t + j0;
            row[r] = drawn[r] + first % 4;
            for (size_t w = 0; i + r < in && w < first % 4 + jn; w += WORDS) {
                vi word[4];
                v_philox(s->drop_key, first / 4 + w / 4, word);
                for (size_t x = 0; x < 4; x++) v_store(drawn[r] + w + x * VL, v_sel(v_word_below(word[x], below), v_zero(), keep));
            }
        }
        for (size_t j = 0; j < jn; j += 8) transpose8(row, j, mask + j * T + i, T);
    }
}

/* The workspace behind the list of rows, cut in the same way for both directions; sized by an_attn_work_reals. */
typedef struct room {
    size_t dp;
    float *tall;            /* forward: K, V; backward: copies of the block's queries and their statistics */
    float *key[4];          /* [T, dp] */
    float *p, *ds, *mask;   /* [T, T] */
} room;

static room room_make(const an_attn_spec *s, float *work)
{
    room r = { .dp = an_attn_round(s->d, VL) };
    const size_t key = T * an_attn_round(s->d, AN_ATTN_LANES);
    float *at = (float *)(((uintptr_t)(work + s->t) + 63) & ~(uintptr_t)63);
    r.tall = at;
    at += an_attn_tall_reals(s);
    for (int i = 0; i < 4; i++, at += key) r.key[i] = at;
    r.p = at;
    r.ds = at + T * T;
    r.mask = at + 2 * T * T;
    return r;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* P holds raw scores and becomes exp(scale*s - running maximum); most, sum and alpha (what older sums shrink by) follow. */
static void soften(size_t jn, size_t in, int diagonal, float scale, float *p, float *most, float *sum, float *alpha)
{
    const vf by = v_set(scale), none = v_set(-INFINITY);
    for (size_t g = 0; g < in; g += VL) {
        const size_t end = diagonal ? least(jn, g + VL) : jn;
        const vf before = v_load(most + g);
        vf top = before, add = v_zero();
        for (size_t j = 0; j < end; j++) {
            vf s = v_mul(by, v_load(p + j * T + g));
            if (diagonal && j > g) s = v_sel(lanes_before(j, g), none, s);
            v_store(p + j * T + g, s);
            top = v_max(top, s);
        }
        for (size_t j = 0; j < end; j++) {
            const vf e = exp_below(v_sub(v_load(p + j * T + g), top));
            v_store(p + j * T + g, e);
            add = v_add(add, e);
        }
        for (size_t j = end; j < jn; j++) v_store(p + j * T + g, v_zero());
        const vf shrink = exp_below(v_sub(before, top));
        v_store(alpha + g, shrink);
        v_store(most + g, top);
        v_store(sum + g, v_fma(v_load(sum + g), shrink, add));
    }
}

static void apply_mask(size_t jn, size_t in, const float *mask, float *p)
{
    for (size_t j = 0; j < jn; j++)
        for (size_t g = 0; g < in; g += VL) v_store(p + j * T + g, v_mul(v_load(p + j * T + g), v_load(mask + j * T + g)));
}

typedef struct forward { matrix m; room r; float *k, *v, *q, *qt, *o, *most, *sum, *alpha; } forward;

/* The tile of queries i0.. against all keys up to `end`; leaves o, and in alpha what it is to be multiplied with, in most lse. */
static void attend(const forward *f, size_t i0, size_t in, size_t end)
{
    const an_attn_spec *s = f->m.s;
    const size_t wide = an_attn_round(in, VL), dp = f->m.dp;
    for (size_t g = 0; g < wide; g++) {
        f->most[g] = -INFINITY;
        f->sum[g] = 0;
    }
    for (size_t j0 = 0; j0 < end; j0 += T) {
        const size_t jn = least(T, end - j0);
        const int diagonal = s->causal && j0 + jn > i0;
        multiply(&(product){ .m = jn, .n = wide, .k = s->d, .a = f->k + j0 * dp, .lda = dp, .b = f->qt, .ldb = T, .c = f->r.p, .ldc = T, .part = diagonal ? COLUMNS_FROM_ROW : WHOLE });
        soften(jn, wide, diagonal, s->scale, f->r.p, f->most, f->sum, f->alpha);
        if (s->drop_p > 0) {
            draw_mask(s, i0, in, j0, jn, f->r.mask);
            apply_mask(jn, wide, f->r.mask, f->r.p);
        }
        multiply_at(&(product){ .m = in, .n = dp, .k = jn, .a = f->r.p, .lda = T, .b = f->v + j0 * dp, .ldb = dp, .c = f->o, .ldc = dp, .add = j0 > 0, .alpha = f->alpha, .part = diagonal ? SUM_TO_ROW : WHOLE });
    }
    for (size_t g = 0; g < wide; g += VL) {
        const vf total = v_load(f->sum + g);
        v_store(f->most + g, v_add(v_load(f->most + g), v_log(total)));
        v_store(f->alpha + g, v_div(v_set(1.0f), total));
    }
}

void AN_SIMD(attn_fwd)(const an_attn_spec *s, size_t q0, size_t q1, const void *q, const void *k, const void *v, void *out, float *lse, float *work)
{
    const matrix m = { s, an_attn_present(s, work), an_attn_round(s->d, VL) };
    const room r = room_make(s, work);
    const size_t all = an_attn_round(s->t, T) * m.dp, unit = s->half ? sizeof(an_bf16) : sizeof(float);
    float *rows = r.tall + 2 * all;
    const forward f = { m, r, r.tall, r.tall + all, r.key[0], r.key[1], r.key[2], rows, rows + T, rows + 2 * T };
    an_attn_clear(s, &m.rows, q0, q1, s->d * unit, s->ldo * unit, out);
    an_attn_clear(s, &m.rows, q0, q1, sizeof *lse, sizeof *lse, lse);
    q1 = least(q1, m.rows.n);
    if (q0 >= q1) return;
    copy_in(&m, 0, s->causal ? q1 : m.rows.n, k, s->ldk, f.k);
    copy_in(&m, 0, s->causal ? q1 : m.rows.n, v, s->ldv, f.v);
    for (size_t i0 = q0 / T * T; i0 < q1; i0 += T) {   /* whole tiles, also where q0 is inside one */
        const size_t in = least(T, q1 - i0), skip = i0 < q0 ? q0 - i0 : 0;
        copy_in(&m, i0, in, q, s->ldq, f.q);
        transpose(in, s->d, f.q, m.dp, f.qt);
        attend(&f, i0, in, s->causal ? i0 + in : m.rows.n);
        for (size_t i = skip; i < in; i++) lse[an_attn_row(&m.rows, i0 + i)] = f.most[i];
        put_out(&m, i0 + skip, in - skip, f.o + skip * m.dp, f.alpha + skip, out);
    }
}

/* From raw scores in P and dout.v in dS: P becomes the (dropped) probabilities, dS their gradient before `scale`. */
static void differentiate(size_t jn, size_t in, int diagonal, float scale, const float *lse, const float *delta, const float *mask, float *p, float *ds)
{
    const vf by = v_set(scale);
    for (size_t g = 0; g < in; g += VL) {
        const size_t end = diagonal ? least(jn, g + VL) : jn;
        const vf less = v_load(lse + g), mean = v_load(delta + g);
        for (size_t j = 0; j < end; j++) {
            float *pj = p + j * T + g, *dj = ds + j * T + g;
            vf e = exp_below(v_sub(v_mul(by, v_load(pj)), less)), dp = v_load(dj);
            if (diagonal && j > g) e = v_sel(lanes_before(j, g), v_zero(), e);
            if (mask) dp = v_mul(dp, v_load(mask + j * T + g));
            v_store(dj, v_mul(e, v_sub(dp, mean)));
            v_store(pj, mask ? v_mul(e, v_load(mask + j * T + g)) : e);
        }
        for (size_t j = end; j < jn; j++) {
            v_store(p + j * T + g, v_zero());
            v_store(ds + j * T + g, v_zero());
        }
    }
}

/* Queries are numbered from q0 in the tall copies, so are their statistics. */
typedef struct backward {
    matrix m;
    room r;
    size_t q0, q1;
    float *q, *qt, *dout, *doutt, *dq;          /* tall; *t: [tile][d, T] */
    float *k, *v, *dk, *dv, *lse, *delta;
} backward;

static backward backward_make(const an_attn_spec *s, const an_attn_block *b, float *work)
{
    backward w = { .m = { s, an_attn_present(s, work), an_attn_round(s->d, VL) }, .r = room_make(s, work), .q0 = b->q0 };
    w.q1 = least(b->q1, w.m.rows.n);
    const size_t rows = w.q1 > w.q0 ? an_attn_round(w.q1 - w.q0, T) : 0, tall = rows * w.m.dp;
    w.q = w.r.tall, w.qt = w.q + tall, w.dout = w.qt + tall, w.doutt = w.dout + tall, w.dq = w.doutt + tall;
    w.lse = w.dq + tall, w.delta = w.lse + rows;
    w.k = w.r.key[0], w.v = w.r.key[1], w.dk = w.r.key[2], w.dv = w.r.key[3];
    return w;
}

/* `out` is needed for delta alone: it passes through the room of the key tile. */
static void prepare(const backward *b, const void *q, const void *out, const void *dout, const float *lse)
{
    const an_attn_spec *s = b->m.s;
    const size_t dp = b->m.dp;
    for (size_t i0 = b->q0; i0 < b->q1; i0 += T) {
        const size_t in = least(T, b->q1 - i0), at = i0 - b->q0;
        copy_in(&b->m, i0, in, q, s->ldq, b->q + at * dp);
        copy_in(&b->m, i0, in, dout, s->ldo, b->dout + at * dp);
        copy_in(&b->m, i0, in, out, s->ldo, b->k);
        transpose(in, s->d, b->q + at * dp, dp, b->qt + at * dp);
        transpose(in, s->d, b->dout + at * dp, dp, b->doutt + at * dp);
        for (size_t i = 0; i < T; i++) {
            const float *oi = b->k + i * dp, *di = b->dout + (at + i) * dp;
            vf acc = v_zero();
            for (size_t p = 0; i < in && p < dp; p += VL) acc = v_fma(v_load(oi + p), v_load(di + p), acc);
            b->delta[at + i] = i < in ? v_sum(acc) : 0;
            b->lse[at + i] = i < in ? lse[an_attn_row(&b->m.rows, i0 + i)] : 0;
        }
    }
}

/* What the queries of tile i0 give to the keys of tile j0, and the other way round. */
static void pair(const backward *b, size_t i0, size_t j0, size_t jn, int first_query, int first_key)
{
    const an_attn_spec *s = b->m.s;
    const size_t dp = b->m.dp, in = least(T, b->q1 - i0), wide = an_attn_round(in, VL), at = i0 - b->q0;
    const int diagonal = s->causal && i0 == j0;
    float *p = b->r.p, *ds = b->r.ds, *mask = s->drop_p > 0 ? b->r.mask : NULL;
    product x = { .m = jn, .n = wide, .k = s->d, .a = b->k, .lda = dp, .b = b->qt + at * dp, .ldb = T, .c = p, .ldc = T, .part = diagonal ? COLUMNS_FROM_ROW : WHOLE };
    multiply(&x);
    x.a = b->v, x.b = b->doutt + at * dp, x.c = ds;
    multiply(&x);
    if (mask) draw_mask(s, i0, in, j0, jn, mask);
    differentiate(jn, wide, diagonal, s->scale, b->lse + at, b->delta + at, mask, p, ds);
    x = (product){ .m = jn, .n = dp, .k = in, .a = p, .lda = T, .b = b->dout + at * dp, .ldb = dp, .c = b->dv, .ldc = dp, .add = !first_query, .part = diagonal ? SUM_FROM_ROW : WHOLE };
    multiply(&x);
    x.a = ds, x.b = b->q + at * dp, x.c = b->dk;
    multiply(&x);
    multiply_at(&(product){ .m = in, .n = dp, .k = jn, .a = ds, .lda = T, .b = b->k, .ldb = dp, .c = b->dq + at * dp, .ldc = dp, .add = !first_key, .part = diagonal ? SUM_TO_ROW : WHOLE });
}

void AN_SIMD(attn_bwd)(const an_attn_spec *s, const an_attn_block *block, const void *q, const void *k, const void *v, const void *out, const void *dout, const float *lse, float *dq, float *dk, float *dv, float *work)
{
    const backward b = backward_make(s, block, work);
    const matrix *m = &b.m;
    const size_t k0 = block->k0, k1 = least(block->k1, m->rows.n), dp = m->dp, unit = sizeof(float);
    an_attn_clear(s, &m->rows, block->q0, block->add_q ? block->q0 : block->q1, s->d * unit, s->ldq * unit, dq);
    an_attn_clear(s, &m->rows, k0, block->add_k ? k0 : block->k1, s->d * unit, s->ldk * unit, dk);
    an_attn_clear(s, &m->rows, k0, block->add_k ? k0 : block->k1, s->d * unit, s->ldv * unit, dv);
    prepare(&b, q, out, dout, lse);
    const size_t alone = k0 >= k1 ? b.q1 : s->causal ? least(k0, b.q1) : b.q0;   /* queries before it see none of these keys */
    if (alone > b.q0) memset(b.dq, 0, (alone - b.q0) * dp * unit);
    for (size_t j0 = k0; j0 < k1; j0 += T) {
        const size_t jn = least(T, k1 - j0), from = s->causal && j0 > b.q0 ? j0 : b.q0;
        copy_in(m, j0, jn, k, s->ldk, b.k);
        copy_in(m, j0, jn, v, s->ldv, b.v);
        if (from >= b.q1) memset(b.dk, 0, jn * dp * unit), memset(b.dv, 0, jn * dp * unit);
        for (size_t i0 = from; i0 < b.q1; i0 += T) pair(&b, i0, j0, jn, i0 == from, j0 == k0);
        put_gradient(m, j0, jn, b.dk, s->scale, block->add_k, dk, s->ldk);
        put_gradient(m, j0, jn, b.dv, 1, block->add_k, dv, s->ldv);
    }
    if (b.q1 > b.q0) put_gradient(m, b.q0, b.q1 - b.q0, b.dq, s->scale, block->add_q, dq, s->ldq);
}
