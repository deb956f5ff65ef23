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

#include "kern/simd/attn_products.h"
#include "kern/simd/simd.h"

/* The workspace behind the list of rows, cut in the same way for both directions; sized by an_attn_work_reals. */
typedef struct room {
    float *tall;            /* forward: K, V; backward: copies of the block's queries and their statistics */
    float *key[4];          /* [T] rows, or a transposed tile */
    float *p, *ds, *mask;   /* [T, T], rows LD apart */
} room;

static room room_make(const an_attn_spec *s, float *work)
{
    room r;
    const size_t key = an_attn_key_reals(s);
    float *at = (float *)(((uintptr_t)(work + s->t) + 63) & ~(uintptr_t)63);
    r.tall = at;
    at += an_attn_tall_reals(s);
    for (int i = 0; i < 4; i++, at += key) r.key[i] = at;
    r.p = at;
    r.ds = at + T * LD;
    r.mask = at + 2 * T * LD;
    return r;
}

/* P holds raw scores and becomes exp(scale*s - running maximum); most, sum and alpha (what older sums shrink by) follow. */
static void soften(size_t jn, size_t in, int diagonal, float scale, float *p, float *most, float *sum, float *alpha)
{
    const vf by = v_set(scale), none = v_set(-INFINITY);
    for (size_t g = 0; g < in; g += VL) {
        const size_t end = diagonal ? least(jn, g + VL) : jn;
        const vf before = v_load(most + g);
        vf top = before, add = v_zero();
        for (size_t j = 0; j < end; j++) {
            vf s = v_mul(by, v_load(p + j * LD + g));
            if (diagonal && j > g) s = v_sel(lanes_before(j, g), none, s);
            v_store(p + j * LD + g, s);
            top = v_max(top, s);
        }
        for (size_t j = 0; j < end; j++) {
            const vf e = exp_below(v_sub(v_load(p + j * LD + g), top));
            v_store(p + j * LD + g, e);
            add = v_add(add, e);
        }
        for (size_t j = end; j < jn; j++) v_store(p + j * LD + g, v_zero());
        const vf shrink = exp_below(v_sub(before, top));
        v_store(alpha + g, shrink);
        v_store(most + g, top);
        v_store(sum + g, v_fma(v_load(sum + g), shrink, add));
    }
}

static void apply_mask(size_t jn, size_t in, int diagonal, const float *mask, float *p)
{
    for (size_t j = 0; j < jn; j++)
        for (size_t g = diagonal ? j / VL * VL : 0; g < in; g += VL) v_store(p + j * LD + g, v_mul(v_load(p + j * LD + g), v_load(mask + j * LD + g)));
}

typedef struct forward { matrix m; room r; float *k, *v, *q, *qt, *o, *most, *sum, *alpha; } forward;

/* The tile of queries i0.. against all keys up to `end`; leaves o, and in alpha what it is to be multiplied with, in most lse. */
static void attend(const forward *f, size_t i0, size_t in, size_t end)
{
    const an_attn_spec *s = f->m.s;
    const size_t wide = an_attn_round(in, VL), dp = f->m.dp, ld = f->m.ld;
    for (size_t g = 0; g < wide; g++) {
        f->most[g] = -INFINITY;
        f->sum[g] = 0;
    }
    for (size_t j0 = 0; j0 < end; j0 += T) {
        const size_t jn = least(T, end - j0);
        const int diagonal = s->causal && j0 + jn > i0;
        multiply(&(product){ .m = jn, .n = wide, .k = s->d, .a = f->k + j0 * ld, .lda = ld, .b = f->qt, .ldb = LD, .c = f->r.p, .ldc = LD, .part = diagonal ? COLUMNS_FROM_ROW : WHOLE });
        soften(jn, wide, diagonal, s->scale, f->r.p, f->most, f->sum, f->alpha);
        if (s->drop_p > 0) {
            draw_mask(s, i0, in, j0, jn, f->r.mask);
            apply_mask(jn, wide, diagonal, f->r.mask, f->r.p);
        }
        multiply_at(&(product){ .m = in, .n = dp, .k = jn, .a = f->r.p, .lda = LD, .b = f->v + j0 * ld, .ldb = ld, .c = f->o, .ldc = ld, .add = j0 > 0, .alpha = f->alpha, .part = diagonal ? SUM_TO_ROW : WHOLE });
    }
    for (size_t g = 0; g < wide; g += VL) {
        const vf total = v_load(f->sum + g);
        v_store(f->most + g, v_add(v_load(f->most + g), v_log(total)));
        v_store(f->alpha + g, v_div(v_set(1.0f), total));
    }
}

void AN_SIMD(attn_fwd)(const an_attn_spec *s, size_t q0, size_t q1, const void *q, const void *k, const void *v, void *out, float *lse, float *work)
{
    const matrix m = matrix_make(s, work);
    const room r = room_make(s, work);
    const size_t all = an_attn_round(s->t, T) * m.ld, unit = s->out == AN_STORE_REAL ? sizeof(float) : sizeof(an_bf16);
    float *rows = r.tall + 2 * all;
    const forward f = { m, r, r.tall, r.tall + all, r.key[0], r.key[1], r.key[2], rows, rows + T, rows + 2 * T };
    an_attn_clear(s, &m.rows, q0, q1, s->d * unit, s->ldo * unit, out);
    an_attn_clear(s, &m.rows, q0, q1, sizeof *lse, sizeof *lse, lse);
    q1 = least(q1, m.rows.n);
    if (q0 >= q1) return;
    copy_in(&m, 0, s->causal ? q1 : m.rows.n, k, s->qkv, s->ldk, f.k);
    copy_in(&m, 0, s->causal ? q1 : m.rows.n, v, s->qkv, s->ldv, f.v);
    for (size_t i0 = q0 / T * T; i0 < q1; i0 += T) {   /* whole tiles, also where q0 is inside one */
        const size_t in = least(T, q1 - i0), skip = i0 < q0 ? q0 - i0 : 0;
        transpose_in(&m, i0, in, q, s->qkv, s->ldq, f.q, f.qt);
        attend(&f, i0, in, s->causal ? i0 + in : m.rows.n);
        for (size_t i = skip; i < in; i++) lse[an_attn_row(&m.rows, i0 + i)] = f.most[i];
        put_out(&m, i0 + skip, in - skip, f.o + skip * m.ld, f.alpha + skip, out);
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
            float *pj = p + j * LD + g, *dj = ds + j * LD + g;
            vf e = exp_below(v_sub(v_mul(by, v_load(pj)), less)), dp = v_load(dj);
            if (diagonal && j > g) e = v_sel(lanes_before(j, g), v_zero(), e);
            if (mask) dp = v_mul(dp, v_load(mask + j * LD + g));
            v_store(dj, v_mul(e, v_sub(dp, mean)));
            v_store(pj, mask ? v_mul(e, v_load(mask + j * LD + g)) : e);
        }
        for (size_t j = end; j < jn; j++) {
            v_store(p + j * LD + g, v_zero());
            v_store(ds + j * LD + g, v_zero());
        }
    }
}

/* Queries are numbered from q0 in the tall copies, so are their statistics. */
typedef struct backward {
    matrix m;
    room r;
    size_t q0, q1, tile;                        /* tile: reals of one tile of a tall copy */
    float *q, *qt, *dout, *doutt, *dq;          /* tall; *t: each tile transposed */
    float *k, *v, *dk, *dv, *lse, *delta;
} backward;

static backward backward_make(const an_attn_spec *s, const an_attn_block *b, float *work)
{
    backward w = { .m = matrix_make(s, work), .r = room_make(s, work), .q0 = b->q0, .tile = an_attn_key_reals(s) };
    w.q1 = least(b->q1, w.m.rows.n);
    const size_t rows = w.q1 > w.q0 ? an_attn_round(w.q1 - w.q0, T) : 0, tall = rows / T * w.tile;
    w.q = w.r.tall, w.qt = w.q + tall, w.dout = w.qt + tall, w.doutt = w.dout + tall, w.dq = w.doutt + tall;
    w.lse = w.dq + tall, w.delta = w.lse + rows;
    w.k = w.r.key[0], w.v = w.r.key[1], w.dk = w.r.key[2], w.dv = w.r.key[3];
    return w;
}

/* `out` is needed for delta alone: it passes through the room of the key tile. */
static void prepare(const backward *b, const void *q, const void *out, const void *dout, const float *lse)
{
    const an_attn_spec *s = b->m.s;
    const size_t dp = b->m.dp, ld = b->m.ld;
    for (size_t i0 = b->q0; i0 < b->q1; i0 += T) {
        const size_t in = least(T, b->q1 - i0), at = i0 - b->q0, tile_at = at / T * b->tile;
        copy_in(&b->m, i0, in, q, s->qkv, s->ldq, b->q + tile_at);
        copy_in(&b->m, i0, in, dout, s->dout, s->ldo, b->dout + tile_at);
        copy_in(&b->m, i0, in, out, s->out, s->ldo, b->k);
        transpose(&b->m, in, b->q + tile_at, b->qt + tile_at);
        transpose(&b->m, in, b->dout + tile_at, b->doutt + tile_at);
        for (size_t i = 0; i < T; i++) {
            const float *oi = b->k + i * ld, *di = b->dout + tile_at + i * ld;
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
    const size_t dp = b->m.dp, ld = b->m.ld, in = least(T, b->q1 - i0), wide = an_attn_round(in, VL), at = i0 - b->q0, tile_at = at / T * b->tile;
    const int diagonal = s->causal && i0 == j0;
    float *p = b->r.p, *ds = b->r.ds, *mask = s->drop_p > 0 ? b->r.mask : NULL;
    product x = { .m = jn, .n = wide, .k = s->d, .a = b->k, .lda = ld, .b = b->qt + tile_at, .ldb = LD, .c = p, .ldc = LD, .part = diagonal ? COLUMNS_FROM_ROW : WHOLE };
    multiply(&x);
    x.a = b->v, x.b = b->doutt + tile_at, x.c = ds;
    multiply(&x);
    if (mask) draw_mask(s, i0, in, j0, jn, mask);
    differentiate(jn, wide, diagonal, s->scale, b->lse + at, b->delta + at, mask, p, ds);
    x = (product){ .m = jn, .n = dp, .k = in, .a = p, .lda = LD, .b = b->dout + tile_at, .ldb = ld, .c = b->dv, .ldc = ld, .add = !first_query, .part = diagonal ? SUM_FROM_ROW : WHOLE };
    multiply(&x);
    x.a = ds, x.b = b->q + tile_at, x.c = b->dk;
    multiply(&x);
    multiply_at(&(product){ .m = in, .n = dp, .k = jn, .a = ds, .lda = LD, .b = b->k, .ldb = ld, .c = b->dq + tile_at, .ldc = ld, .add = !first_key, .part = diagonal ? SUM_TO_ROW : WHOLE });
}

void AN_SIMD(attn_bwd)(const an_attn_spec *s, const an_attn_block *block, const void *q, const void *k, const void *v, const void *out, const void *dout, const float *lse, float *dq, float *dk, float *dv, float *work)
{
    const backward b = backward_make(s, block, work);
    const matrix *m = &b.m;
    const size_t k0 = block->k0, k1 = least(block->k1, m->rows.n), unit = sizeof(float);
    an_attn_clear(s, &m->rows, block->q0, block->add_q ? block->q0 : block->q1, s->d * unit, s->ldq * unit, dq);
    an_attn_clear(s, &m->rows, k0, block->add_k ? k0 : block->k1, s->d * unit, s->ldk * unit, dk);
    an_attn_clear(s, &m->rows, k0, block->add_k ? k0 : block->k1, s->d * unit, s->ldv * unit, dv);
    prepare(&b, q, out, dout, lse);
    const size_t alone = k0 >= k1 ? b.q1 : s->causal ? least(k0, b.q1) : b.q0;   /* queries before it see none of these keys */
    for (size_t i0 = b.q0; i0 < alone; i0 += T) memset(b.dq + (i0 - b.q0) / T * b.tile, 0, b.tile * unit);
    for (size_t j0 = k0; j0 < k1; j0 += T) {
        const size_t jn = least(T, k1 - j0), from = s->causal && j0 > b.q0 ? j0 : b.q0;
        copy_in(m, j0, jn, k, s->qkv, s->ldk, b.k);
        copy_in(m, j0, jn, v, s->qkv, s->ldv, b.v);
        if (from >= b.q1) memset(b.dk, 0, b.tile * unit), memset(b.dv, 0, b.tile * unit);
        for (size_t i0 = from; i0 < b.q1; i0 += T) pair(&b, i0, j0, jn, i0 == from, j0 == k0);
        put_gradient(m, j0, jn, b.dk, s->scale, block->add_k, dk, s->ldk);
        put_gradient(m, j0, jn, b.dv, 1, block->add_k, dv, s->ldv);
    }
    for (size_t i0 = b.q0; i0 < b.q1; i0 += T) put_gradient(m, i0, least(T, b.q1 - i0), b.dq + (i0 - b.q0) / T * b.tile, s->scale, block->add_q, dq, s->ldq);
}
