/* kern/amx/attention_amx.c
 * Attention whose products run on AMX tiles, where q, k and v are stored as bfloat16: the algorithm of kern/simd/attention.c, scores
 * transposed, S^T[key, query], in 64 x 64. Probabilities and their gradients are rounded to bfloat16 on their way into the next product,
 * sums, softmax and gradients are reals. What a product needs with its sum along pairs of rows is written so by whoever makes it: P^T and
 * dS^T as they are made, Q^T, dO^T and the others once a tile. Results with queries as columns (O^T, dQ^T) stay transposed until they are whole.
 * Where they are reals the level below does it. A row's operations depend on its own position alone.
 * Source: as kern/simd/attention.c */
#include "kern/amx/pack.h"
#include "kern/amx/tiles.h"
#include "kern/simd/attn_parts.h"
#include "kern/simd/simd.h"
#include "kern/simd/tables.h"

#ifdef AN_AMX_EMULATED
#define BELOW(row) an_avx512_emulated_##row
#else
#define BELOW(row) an_avx512_##row
#endif
#define KERNEL(ret, name, args) ret BELOW(name) args;
#include "kern/kernels.def"
#undef KERNEL

enum { DEEP = AN_ATTN_DEEP };

static tiled rows_of(const an_bf16 *x, size_t ld) { return (tiled){ x, ld * sizeof *x, SIDE * ld, DEEP }; }             /* A as it lies */
static tiled pairs_of(const an_bf16 *x) { return (tiled){ x, 2 * T * sizeof *x, 2 * SIDE, SIDE * 2 * T }; }              /* B[T / 2][T][2] */
static tiled packed_of(const an_bf16 *x, size_t steps) { return (tiled){ x, 2 * DEEP, steps * TILE, TILE }; }            /* by `pack` */

/* Vectors n and numbers k, multiples of 32, of x (see pack.h), tile by tile. */
static void pack(int of_b, int trans, size_t n, size_t k, const an_bf16 *x, size_t ld, an_bf16 *out)
{
    const an_operand from = { x, ld, AN_STORE_BF16 };
    const size_t tiles = k / DEEP * TILE;                  /* numbers from 16 vectors to the next */
    for (size_t i = 0; i < n; i += PACK)
        for (size_t p = 0; p < k; p += PACK) {
            an_bf16 *to = out + i / SIDE * tiles + p / DEEP * TILE;
            pack_square(of_b, trans, PACK, PACK, an_operand_at(from, trans ? i : p, trans ? p : i), to, to + tiles);
        }
}

/* Which part of a product counts where its 64 x 64 scores lie on the diagonal; what does not is zero, or never read. */
enum { WHOLE, COLUMNS_FROM_ROW, SUM_FROM_ROW, SUM_TO_COLUMN };

/* C[m, n] (+)= A B, m and n multiples of 32, over so many steps of 32. */
static void multiply(size_t m, size_t n, size_t steps, tiled a, tiled b, int add, int part, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += 2 * SIDE)
        for (size_t i = 0; i < m; i += 2 * SIDE) {
            const size_t from = part == SUM_FROM_ROW ? i / DEEP : 0, to = part == SUM_TO_COLUMN ? j / DEEP + 1 : steps;
            const tiled ai = { a.p + i / SIDE * a.at_i, a.row, a.at_i, a.at_k }, bj = { b.p + j / SIDE * b.at_i, b.row, b.at_i, b.at_k };
            if (part == COLUMNS_FROM_ROW && j < i) continue;
            block32(ai, bj, from, to < steps ? to : steps, add, c + i * ldc + j, ldc, (asked){ 0 });
        }
}

/* --- rooms ------------------------------------------------------------------------------------------------------- */

/* The workspace (attn_tile.h): the parts of kern/simd/attention.c, and three tiles of scores in bfloat16. */
typedef struct room {
    matrix m;                     /* d filled up to whole steps: dp; ld: of tiles of reals with a row per key or query */
    size_t steps;                 /* of 32 along d */
    float *tall, *key[4], *p, *ds, *mask;
    an_bf16 *low[3];
} room;

static room room_make(const an_attn_spec *s, float *work)
{
    const size_t dp = an_attn_round(s->d, DEEP), key = an_attn_key_reals(s);
    room r = { .m = { s, an_attn_present(s, work), dp, dp % T ? dp : dp + AN_ATTN_LANES }, .steps = dp / DEEP };
    float *at = (float *)(((uintptr_t)(work + s->t) + 63) & ~(uintptr_t)63);
    r.tall = at;
    at += an_attn_tall_reals(s);
    for (int i = 0; i < 4; i++, at += key) r.key[i] = at;
    r.p = at;
    r.ds = at + T * LD;
    r.mask = at + 2 * T * LD;
    for (size_t i = 0; i < 3; i++) r.low[i] = (an_bf16 *)(void *)(at + 3 * T * LD) + i * T * T;
    return r;
}

static size_t tile_numbers(const room *r) { return T * r->m.dp; }

/* Rows i0.. of x, n of them, with zeros behind in both directions: [T][dp]. */
static void take(const room *r, size_t i0, size_t n, const void *x, an_store store, size_t ld, an_bf16 *to)
{
    const size_t d = r->m.s->d, dp = r->m.dp;
    for (size_t i = 0; i < T; i++, to += dp) {
        if (i >= n) {
            memset(to, 0, dp * sizeof *to);
            continue;
        }
        const size_t at = row_at(&r->m, i0 + i, ld);
        if (store == AN_STORE_BF16) memcpy(to, (const an_bf16 *)x + at, d * sizeof *to);
        else V_EACH(d, p, left, v_put_bf16(to + p, left, v_get((const float *)x + at + p, left)););
        memset(to + d, 0, (dp - d) * sizeof *to);
    }
}

/* to[i][p] = x[p][i]: queries become rows again */
static void turn_back(const room *r, const float *x, float *to)
{
    for (size_t p = 0; p < r->m.dp; p += 8)
        for (size_t i = 0; i < T; i += 8) {
            const float *row[8];
            for (size_t k = 0; k < 8; k++) row[k] = x + (p + k) * LD;
            transpose8(row, i, to + i * r->m.ld + p, r->m.ld);
        }
}

/* --- rounding ---------------------------------------------------------------------------------------------------- */

V_FN void put_pair(an_bf16 *pairs, size_t j, size_t g, vi a, vi b)   /* rows j and j + 1, columns from g on, of B[T / 2][T][2] */
{
    vi_store((int32_t *)(void *)(pairs + (j / 2 * T + g) * 2), vi_or(a, vi_shl(b, 16)));
}

/* Rows [j, T) of a column group are zero: in pairs, j even, or as rows. */
static void clear_pairs(size_t j, size_t g, an_bf16 *pairs)
{
    for (; j < T; j += 2) put_pair(pairs, j, g, vi_set(0), vi_set(0));
}

static void clear_rows(size_t j, size_t g, an_bf16 *x)
{
    for (; j < T; j++) vi_store16(x + j * T + g, vi_set(0));
}

/* Dropout factors of a tile; of queries that do not exist 0, since tiles multiply those too. */
static void draw(const room *r, size_t i0, size_t in, size_t j0, size_t jn)
{
    draw_mask(r->m.s, i0, in, j0, jn, r->mask);
    for (size_t j = 0; in < T && j < jn; j++) memset(r->mask + j * LD + in, 0, (T - in) * sizeof *r->mask);
}

/* --- forward ----------------------------------------------------------------------------------------------------- */

/* From raw scores in s: exp(scale*s - running maximum), dropped, as pairs; most, sum and alpha (what older sums shrink by) follow. */
static void soften(size_t jn, int diagonal, float scale, const float *s, const float *mask, an_bf16 *pairs, float *most, float *sum, float *alpha)
{
    const vf by = v_set(scale), none = v_set(-INFINITY);
    for (size_t g = 0; g < T; g += VL) {
        const size_t end = diagonal ? least(jn, g + VL) : jn;
        const vf before = v_load(most + g);
        vf top = before, add = v_zero();
        for (size_t j = 0; j < end; j++) {
            vf z = v_mul(by, v_load(s + j * LD + g));
            if (diagonal && j > g) z = v_sel(lanes_before(j, g), none, z);
            top = v_max(top, z);
        }
        size_t j = 0;
        for (; j < end; j += 2) {
            vf e[2] = { v_zero(), v_zero() };
            for (size_t x = 0; x < 2 && j + x < end; x++) {
                e[x] = exp_below(v_sub(v_mul(by, v_load(s + (j + x) * LD + g)), top));
                if (diagonal && j + x > g) e[x] = v_sel(lanes_before(j + x, g), v_zero(), e[x]);
                add = v_add(add, e[x]);
                if (mask) e[x] = v_mul(e[x], v_load(mask + (j + x) * LD + g));
            }
            put_pair(pairs, j, g, v_round_bf16(e[0]), v_round_bf16(e[1]));
        }
        clear_pairs(j, g, pairs);
        const vf shrink = exp_below(v_sub(before, top));
        v_store(alpha + g, shrink);
        v_store(most + g, top);
        v_store(sum + g, v_fma(v_load(sum + g), shrink, add));
    }
}

/* O^T: every column by its own factor */
static void shrink(const room *r, const float *alpha, float *o)
{
    for (size_t p = 0; p < r->m.dp; p++)
        for (size_t g = 0; g < T; g += VL) v_store(o + p * LD + g, v_mul(v_load(alpha + g), v_load(o + p * LD + g)));
}

typedef struct forward { room r; an_bf16 *k, *vt, *q, *qt; float *o, *rows, *most, *sum, *alpha; } forward;

/* The tile of queries i0.. against all keys up to `end`; leaves O^T, and in alpha what it is to be multiplied with, in most lse. */
static void attend(const forward *f, size_t i0, size_t in, size_t end)
{
    const room *r = &f->r;
    const an_attn_spec *s = r->m.s;
    const float *mask = s->drop_p > 0 ? r->mask : NULL;
    for (size_t g = 0; g < T; g++) {
        f->most[g] = -INFINITY;
        f->sum[g] = 0;
    }
    for (size_t j0 = 0; j0 < end; j0 += T) {
        const size_t jn = least(T, end - j0);
        const int diagonal = s->causal && j0 + jn > i0;
        multiply(T, T, r->steps, rows_of(f->k + j0 * r->m.dp, r->m.dp), packed_of(f->qt, r->steps), 0, diagonal ? COLUMNS_FROM_ROW : WHOLE, r->p, LD);
        if (mask) draw(r, i0, in, j0, jn);
        soften(jn, diagonal, s->scale, r->p, mask, r->low[0], f->most, f->sum, f->alpha);
        if (j0 > 0) shrink(r, f->alpha, f->o);
        multiply(r->m.dp, T, T / DEEP, packed_of(f->vt + j0 * r->m.dp, T / DEEP), pairs_of(r->low[0]), j0 > 0, diagonal ? SUM_TO_COLUMN : WHOLE, f->o, LD);
    }
    for (size_t g = 0; g < T; g += VL) {
        const vf total = v_load(f->sum + g);
        v_store(f->most + g, v_add(v_load(f->most + g), v_log(total)));
        v_store(f->alpha + g, v_div(v_set(1.0f), total));
    }
}

void AN_SIMD(attn_fwd)(const an_attn_spec *s, size_t q0, size_t q1, const void *q, const void *k, const void *v, void *out, float *lse, float *work)
{
    if (s->qkv != AN_STORE_BF16) {
        BELOW(attn_fwd)(s, q0, q1, q, k, v, out, lse, work);
        return;
    }
    const room r = room_make(s, work);
    const matrix *m = &r.m;
    const size_t all = an_attn_round(s->t, T) * m->dp, unit = s->out == AN_STORE_REAL ? sizeof(float) : sizeof(an_bf16);
    an_bf16 *tall = (an_bf16 *)(void *)r.tall, *copy = (an_bf16 *)(void *)r.key[0];
    float *stats = r.tall + all;
    const forward f = { r, tall, tall + all, copy, copy + tile_numbers(&r), r.key[1], r.key[2], stats, stats + T, stats + 2 * T };
    an_attn_clear(s, &m->rows, q0, q1, s->d * unit, s->ldo * unit, out);
    an_attn_clear(s, &m->rows, q0, q1, sizeof *lse, sizeof *lse, lse);
    q1 = least(q1, m->rows.n);
    if (q0 >= q1) return;
    const size_t keys = s->causal ? q1 : m->rows.n;
    for (size_t j0 = 0; j0 < keys; j0 += T) {
        const size_t jn = least(T, keys - j0);
        take(&r, j0, jn, k, s->qkv, s->ldk, f.k + j0 * m->dp);
        take(&r, j0, jn, v, s->qkv, s->ldv, f.q);
        pack(0, 0, m->dp, T, f.q, m->dp, f.vt + j0 * m->dp);
    }
    tiles_begin();
    for (size_t i0 = q0 / T * T; i0 < q1; i0 += T) {   /* whole tiles, also where q0 is inside one */
        const size_t in = least(T, q1 - i0), skip = i0 < q0 ? q0 - i0 : 0;
        take(&r, i0, in, q, s->qkv, s->ldq, f.q);
        pack(1, 1, T, m->dp, f.q, m->dp, f.qt);
        attend(&f, i0, in, s->causal ? i0 + in : m->rows.n);
        for (size_t i = skip; i < in; i++) lse[an_attn_row(&m->rows, i0 + i)] = f.most[i];
        turn_back(&r, f.o, f.rows);
        put_out(m, i0 + skip, in - skip, f.rows + skip * m->ld, f.alpha + skip, out);
    }
    tiles_end();
}

/* --- backward ---------------------------------------------------------------------------------------------------- */

/* From raw scores in s and dout.v in dp: the (dropped) probabilities, and their gradient before `scale`; both by rows, the gradient in
 * pairs of rows, too. */
static void differentiate(size_t jn, int diagonal, float scale, const float *lse, const float *delta, const float *mask, const float *s, const float *dp, an_bf16 *p, an_bf16 *ds, an_bf16 *pairs)
{
    const vf by = v_set(scale);
    for (size_t g = 0; g < T; g += VL) {
        const size_t end = diagonal ? least(jn, g + VL) : jn;
        const vf less = v_load(lse + g), mean = v_load(delta + g);
        size_t j = 0;
        for (; j < end; j += 2) {
            vi ds_bits[2] = { vi_set(0), vi_set(0) };
            for (size_t x = 0; x < 2 && j + x < end; x++) {
                const size_t at = (j + x) * LD + g;
                vf e = exp_below(v_sub(v_mul(by, v_load(s + at)), less)), d = v_load(dp + at);
                if (diagonal && j + x > g) e = v_sel(lanes_before(j + x, g), v_zero(), e);
                if (mask) d = v_mul(d, v_load(mask + at));
                ds_bits[x] = v_round_bf16(v_mul(e, v_sub(d, mean)));
                vi_store16(ds + (j + x) * T + g, ds_bits[x]);
                vi_store16(p + (j + x) * T + g, v_round_bf16(mask ? v_mul(e, v_load(mask + at)) : e));
            }
            put_pair(pairs, j, g, ds_bits[0], ds_bits[1]);
        }
        clear_pairs(j, g, pairs);
        clear_rows(end, g, ds);
        clear_rows(end, g, p);
    }
}

/* Queries are numbered from q0 in the tall copies, so are their statistics. Of a tile of queries: Q^T and dO^T for scores, Q and dO as
 * pairs of rows, dQ^T. */
typedef struct backward {
    room r;
    size_t q0, q1, tile;                        /* tile: reals of a tile of queries */
    float *lse, *delta, *dk, *dv;
    an_bf16 *k, *kt, *v;
} backward;

enum { QT, DOT, Q, DO, COPIES };
static an_bf16 *copy_of(const backward *b, int which, size_t i0) { return (an_bf16 *)(void *)(b->r.tall + (i0 - b->q0) / T * b->tile) + (size_t)which * tile_numbers(&b->r); }
static float *dq_of(const backward *b, size_t i0) { return b->r.tall + (i0 - b->q0) / T * b->tile + COPIES * tile_numbers(&b->r) / 2; }

static backward backward_make(const an_attn_spec *s, const an_attn_block *block, float *work)
{
    backward b = { .r = room_make(s, work), .q0 = block->q0 };
    b.q1 = least(block->q1, b.r.m.rows.n);
    b.tile = COPIES * tile_numbers(&b.r) / 2 + b.r.m.dp * LD;
    const size_t rows = b.q1 > b.q0 ? an_attn_round(b.q1 - b.q0, T) : 0;
    b.lse = b.r.tall + rows / T * b.tile;
    b.delta = b.lse + rows;
    b.k = (an_bf16 *)(void *)b.r.key[0], b.kt = b.k + tile_numbers(&b.r);
    b.v = (an_bf16 *)(void *)b.r.key[1];
    b.dk = b.r.key[2], b.dv = b.r.key[3];
    return b;
}

V_FN vf bf16_or_real(an_store store, const void *x, size_t at, size_t left)
{
    return store == AN_STORE_BF16 ? v_get_bf16((const an_bf16 *)x + at, left) : v_get((const float *)x + at, left);
}

static void prepare(const backward *b, const void *q, const void *out, const void *dout, const float *lse)
{
    const room *r = &b->r;
    const an_attn_spec *s = r->m.s;
    for (size_t i0 = b->q0; i0 < b->q1; i0 += T) {
        const size_t in = least(T, b->q1 - i0), at = i0 - b->q0, dp = r->m.dp;
        take(r, i0, in, q, s->qkv, s->ldq, b->k);
        pack(1, 1, T, dp, b->k, dp, copy_of(b, QT, i0));
        pack(1, 0, dp, T, b->k, dp, copy_of(b, Q, i0));
        take(r, i0, in, dout, s->dout, s->ldo, b->k);
        pack(1, 1, T, dp, b->k, dp, copy_of(b, DOT, i0));
        pack(1, 0, dp, T, b->k, dp, copy_of(b, DO, i0));
        for (size_t i = 0; i < T; i++) {
            const size_t row = i < in ? row_at(&r->m, i0 + i, s->ldo) : 0;
            vf acc = v_zero();
            if (i < in) V_EACH(s->d, p, left, acc = v_fma(bf16_or_real(s->out, out, row + p, left), bf16_or_real(s->dout, dout, row + p, left), acc););
            b->delta[at + i] = v_sum(acc);
            b->lse[at + i] = i < in ? lse[an_attn_row(&r->m.rows, i0 + i)] : 0;
        }
    }
}

/* What the queries of tile i0 give to the keys of tile j0, and the other way round. */
static void pair(const backward *b, size_t i0, size_t j0, size_t jn, int first_query, int first_key)
{
    const room *r = &b->r;
    const an_attn_spec *s = r->m.s;
    const size_t dp = r->m.dp, ld = r->m.ld, in = least(T, b->q1 - i0), at = i0 - b->q0;
    const int diagonal = s->causal && i0 == j0;
    const float *mask = s->drop_p > 0 ? r->mask : NULL;
    an_bf16 *p = r->low[0], *ds = r->low[1], *pairs = r->low[2];
    multiply(T, T, r->steps, rows_of(b->k, dp), packed_of(copy_of(b, QT, i0), r->steps), 0, diagonal ? COLUMNS_FROM_ROW : WHOLE, r->p, LD);
    multiply(T, T, r->steps, rows_of(b->v, dp), packed_of(copy_of(b, DOT, i0), r->steps), 0, diagonal ? COLUMNS_FROM_ROW : WHOLE, r->ds, LD);
    if (mask) draw(r, i0, in, j0, jn);
    differentiate(jn, diagonal, s->scale, b->lse + at, b->delta + at, mask, r->p, r->ds, p, ds, pairs);
    multiply(T, dp, T / DEEP, rows_of(p, T), packed_of(copy_of(b, DO, i0), T / DEEP), !first_query, diagonal ? SUM_FROM_ROW : WHOLE, b->dv, ld);
    multiply(T, dp, T / DEEP, rows_of(ds, T), packed_of(copy_of(b, Q, i0), T / DEEP), !first_query, diagonal ? SUM_FROM_ROW : WHOLE, b->dk, ld);
    multiply(dp, T, T / DEEP, packed_of(b->kt, T / DEEP), pairs_of(pairs), !first_key, diagonal ? SUM_TO_COLUMN : WHOLE, dq_of(b, i0), LD);
}

void AN_SIMD(attn_bwd)(const an_attn_spec *s, const an_attn_block *block, const void *q, const void *k, const void *v, const void *out, const void *dout, const float *lse, float *dq, float *dk, float *dv, float *work)
{
    if (s->qkv != AN_STORE_BF16) {
        BELOW(attn_bwd)(s, block, q, k, v, out, dout, lse, dq, dk, dv, work);
        return;
    }
    const backward b = backward_make(s, block, work);
    const matrix *m = &b.r.m;
    const size_t k0 = block->k0, k1 = least(block->k1, m->rows.n), unit = sizeof(float);
    an_attn_clear(s, &m->rows, block->q0, block->add_q ? block->q0 : block->q1, s->d * unit, s->ldq * unit, dq);
    an_attn_clear(s, &m->rows, k0, block->add_k ? k0 : block->k1, s->d * unit, s->ldk * unit, dk);
    an_attn_clear(s, &m->rows, k0, block->add_k ? k0 : block->k1, s->d * unit, s->ldv * unit, dv);
    prepare(&b, q, out, dout, lse);
    const size_t alone = k0 >= k1 ? b.q1 : s->causal ? least(k0, b.q1) : b.q0;   /* queries before it see none of these keys */
    for (size_t i0 = b.q0; i0 < alone; i0 += T) memset(dq_of(&b, i0), 0, m->dp * LD * unit);
    tiles_begin();
    for (size_t j0 = k0; j0 < k1; j0 += T) {
        const size_t jn = least(T, k1 - j0), from = s->causal && j0 > b.q0 ? j0 : b.q0;
        take(&b.r, j0, jn, k, s->qkv, s->ldk, b.k);
        take(&b.r, j0, jn, v, s->qkv, s->ldv, b.v);
        pack(0, 0, m->dp, T, b.k, m->dp, b.kt);
        if (from >= b.q1) memset(b.dk, 0, T * m->ld * unit), memset(b.dv, 0, T * m->ld * unit);
        for (size_t i0 = from; i0 < b.q1; i0 += T) pair(&b, i0, j0, jn, i0 == from, j0 == k0);
        put_gradient(m, j0, jn, b.dk, s->scale, block->add_k, dk, s->ldk);
        put_gradient(m, j0, jn, b.dv, 1, block->add_k, dv, s->ldv);
    }
    tiles_end();
    for (size_t i0 = b.q0; i0 < b.q1; i0 += T) {
        turn_back(&b.r, dq_of(&b, i0), b.dk);
        put_gradient(m, i0, least(T, b.q1 - i0), b.dk, s->scale, block->add_q, dq, s->ldq);
    }
}

#define TABLE2(isa) an_kern_table_##isa
#define TABLE(isa) TABLE2(isa)

#ifdef AN_AMX_EMULATED
const an_kernels *TABLE(AN_ISA)(void);   /* lives in the tests only */
#endif

const an_kernels *TABLE(AN_ISA)(void)
{
    static const an_kernels table = { .level = AN_SIMD_TEXT(AN_ISA), .attn_fwd = AN_SIMD(attn_fwd), .attn_bwd = AN_SIMD(attn_bwd) };
    return &table;
}
