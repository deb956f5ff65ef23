/* kern/simd/gemm.c
 * The inner part of the native product for one instruction set: an MR x NR tile of C stays in registers while k runs, so a
 * step loads NR + MR elements for MR*NR multiply-adds. AVX2: 6 x 16 = 12 accumulators, 2 of B, broadcasts of A; AVX-512:
 * 8 x 48 = 24 accumulators, 3 of B: 11 loads for 24 multiply-adds, and no rows left over at the usual sizes.
 * Source: Van Zee & van de Geijn 2015, "BLIS", for the division of labour with kern/gemm_native.c. */
#include "kern/gemm_micro.h"
#include "kern/simd/simd.h"
#include "kern/simd/block.h"
#include "kern/simd/vec.h"

#ifdef AN_ISA_avx512
enum { MR = 8, NV = 3, MC = 128, KC = 384, NC = 768, TURN = 4 };
#define OPAQUE(x) __asm__("" : "+r"(x))
#else
enum { MR = 6, NV = 2, MC = 6 * 24, KC = 384, NC = 1536, TURN = 1 };
#define OPAQUE(x) ((void)0)   /* six pointers find room */
#endif
enum { NR = NV * VL, WIDE = (MR + VL - 1) / VL * VL, WIDEST = 48, LINE = 16 /* floats of a cache line */, PAGE = 1024 /* floats */, FOURS = (MR + 3) / 4 };

_Static_assert((int)KC <= (int)AN_GEMM_MOST_KC && MR + NR <= (int)AN_GEMM_MOST_MR_NR && WIDE - MR <= (int)AN_GEMM_SLACK, "gemm_native.c relies on these");
_Static_assert((int)NR <= (int)AN_PACK_UNIT && (int)AN_PACK_STEP % NR == 0 && (int)AN_PACK_STEP % MR == 0, "parts of what is packed ahead begin at whole panels, in an_packed_room");

/* VL elements of x from `at` on, of which `left` exist */
V_FN vf take(int low, an_operand x, size_t at, size_t left)
{
    if (low) return v_get_bf16((const an_bf16 *)x.p + at, left);
    return v_get((const float *)x.p + at, left);
}

V_FN float take_one(int low, an_operand x, size_t at) { return low ? an_bf16_widen(((const an_bf16 *)x.p)[at]) : ((const float *)x.p)[at]; }

/* Rows along k: `wide` of them at a time, eight by eight numbers, a line of each row at a time while the line after it is asked for; of rows
 * beyond `have` the last one stands in. */
V_FN void pack_rows(int low, size_t w, size_t have, size_t k, an_operand x, float *out)
{
    const size_t wide = (w + 7) / 8 * 8;
    size_t p = 0;
    const float *row[WIDEST];
    const an_bf16 *low_row[WIDEST];
    for (size_t r = 0; r < wide; r++) {
        const size_t at = (r < have ? r : have - 1) * x.ld;
        if (low) low_row[r] = (const an_bf16 *)x.p + at;
        else row[r] = (const float *)x.p + at;
    }
    for (; p + 8 <= k; p += LINE)
        for (size_t g = wide; g > 0; g -= 8) {
            for (size_t r = g - 8; r < g; r++) __builtin_prefetch(low ? (const void *)(low_row[r] + p + LINE) : (const void *)(row[r] + p + LINE));
            for (size_t q = p; q < p + LINE && q + 8 <= k; q += 8) {
                if (low) transpose8_bf16(low_row + g - 8, q, out + q * w + g - 8, w);
                else transpose8(row + g - 8, q, out + q * w + g - 8, w);
            }
        }
    for (p = k / 8 * 8; p < k; p++)
        for (size_t i = 0; i < w; i++) out[p * w + i] = i < have ? take_one(low, x, i * x.ld + p) : 0;
}

/* A row of a panel: the w elements of x from `at` on, zero where no more than `left` follow. In whole registers, which run over into the
 * panel's next row; `exact`: they do not. */
V_FN void pack_row(int low, int exact, size_t w, size_t left, an_operand x, size_t at, float *to)
{
    for (size_t g = 0; g < w; g += VL) {
        const vf v = left <= g ? v_zero() : take(low, x, at + g, left - g);
        if (exact && g + VL > w) v_store_n(to + g, v_tail(w - g), v);
        else v_store(to + g, v);
    }
}

/* Columns along k: so many rows of x at a time, each panel's part of them together, so that its lines are written whole; the next rows are
 * asked for meanwhile. The last row ends where it ends: what follows it may be another's. */
V_FN void pack_columns(int low, size_t w, size_t n, size_t k, an_operand x, float *out, size_t panel)
{
    enum { ROWS = 8 };
    for (size_t p = 0; p < k; p += ROWS) {
        const size_t rows = k - p < ROWS ? k - p : ROWS;
        float *to = out + p * w;
        for (size_t i = 0; i < n; i += w, to += panel) {
            for (size_t at = (i + LINE - 1) / LINE * LINE; at < i + w; at += LINE)
                for (size_t r = 0; r < ROWS; r++) __builtin_prefetch((const char *)x.p + ((p + ROWS + r) * x.ld + at) * (low ? sizeof(an_bf16) : sizeof(float)));
            for (size_t r = 0; r < rows; r++) {
                const size_t at = (p + r) * x.ld + i;
                if (VL > 8 || p + r + 1 == k) pack_row(low, 1, w, n - i, x, at, to + r * w);   /* masked stores are slow at AVX2 */
                else pack_row(low, 0, w, n - i, x, at, to + r * w);
            }
        }
    }
}

V_FN void pack(int low, size_t w, int trans, size_t n, size_t k, an_operand x, float *out, size_t panel)
{
    if (!trans) pack_columns(low, w, n, k, x, out, panel);
    else
        for (size_t i = 0; i < n; i += w, out += panel) pack_rows(low, w, n - i < w ? n - i : w, k, an_operand_at(x, i, 0), out);
}

#define PACK(w)                                                                    \
    do {                                                                           \
        if (x.store == AN_STORE_BF16 && trans) pack(1, w, 1, n, k, x, out, panel); \
        else if (x.store == AN_STORE_BF16) pack(1, w, 0, n, k, x, out, panel);     \
        else if (trans) pack(0, w, 1, n, k, x, out, panel);                        \
        else pack(0, w, 0, n, k, x, out, panel);                                   \
    } while (0)

static void pack_a(int trans, size_t n, size_t k, an_operand x, void *out, size_t panel) { PACK(MR); }
static void pack_b(int trans, size_t n, size_t k, an_operand x, void *out, size_t panel) { PACK(NR); }

/* Rows of A as they lie, in fours: a pointer to the first of each and the distances of the others fit into the general registers. The
 * compiler may not know that these are sums: it would keep a pointer to every row, most of them in memory. */
typedef struct row_set { const char *four[FOURS]; size_t one, three; } row_set;

V_FN row_set rows_at(const float *a, size_t lda)
{
    row_set r = { .one = lda * sizeof *a, .three = 3 * lda * sizeof *a };
    OPAQUE(r.one);
    OPAQUE(r.three);
    V_UNROLL for (int q = 0; q < FOURS; q++) {
        r.four[q] = (const char *)(a + (size_t)q * 4 * lda);
        OPAQUE(r.four[q]);
    }
    return r;
}

V_FN const float *row_of(const row_set *r, int i)
{
    const char *four = r->four[i / 4];
    return (const float *)(const void *)(i % 4 == 0 ? four : i % 4 == 1 ? four + r->one : i % 4 == 2 ? four + 2 * r->one : four + r->three);
}

/* acc += A B for step p: A is a panel or, `direct`, the matrix itself */
V_FN void step(int nv, int direct, int p, const float *a, const row_set *r, const float *b, vf (*acc)[NV])
{
    vf bv[NV];
    V_UNROLL for (int v = 0; v < nv; v++) bv[v] = v_load(b + (p * NV + v) * VL);
    V_UNROLL for (int i = 0; i < MR; i++) {
        const vf ai = v_set(direct ? row_of(r, i)[p] : a[p * MR + i]);
        V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_fma(ai, bv[v], acc[i][v]);
    }
}

/* The same for k steps; the rows move on. */
V_FN void multiply(int nv, int direct, size_t k, const float *a, row_set *r, const float *b, vf (*acc)[NV])
{
    for (; k >= TURN; k -= TURN, a += TURN * MR, b += TURN * NR) {
        V_UNROLL for (int p = 0; p < TURN; p++) step(nv, direct, p, a, r, b, acc);
        V_UNROLL for (int q = 0; q < FOURS; q++) r->four[q] += TURN * sizeof *a;
    }
    for (; k > 0; k--, a += MR, b += NR) {
        step(nv, direct, 0, a, r, b, acc);
        V_UNROLL for (int q = 0; q < FOURS; q++) r->four[q] += sizeof *a;
    }
}

/* What a tile asks the caches for while it multiplies: the rows of A of the next tile, its own rows of C, `lines` of the panel of B after this
 * one every LINE steps. Memory that is asked for in between costs nothing; waited for, a fifth of the time. */
typedef struct asked { int rows; const char *b; size_t lines; } asked;

/* C[mb, nb] = beta*C + A B over k for a tile of MR rows and nv vectors, of which mb rows and nb columns exist. */
V_FN void tile(int nv, int whole, int direct, asked ask, size_t mb, size_t nb, size_t k, const float *a, size_t lda, const float *b, float beta, float *c, size_t ldc)
{
    vf acc[MR][NV];
    row_set r = rows_at(a, direct ? lda : 0);
    const size_t turns = (k + LINE - 1) / LINE, each = turns ? (MR + turns - 1) / turns : 0;
    V_UNROLL for (int i = 0; i < MR; i++)
        V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_zero();
    for (size_t p = 0, row = 0; p < k; p += LINE) {
        if (direct && ask.rows)
            for (size_t i = 0; i < MR; i++) __builtin_prefetch(a + (MR + i) * lda + p, 0, 2);
        for (const size_t end = row + each; row < end && row < mb; row++)
            for (int v = 0; v < nv; v++) __builtin_prefetch(c + row * ldc + v * VL, 1);
        for (size_t i = 0; i < ask.lines; i++, ask.b += LINE * sizeof *b) __builtin_prefetch(ask.b, 0, 2);
        multiply(nv, direct, k - p < LINE ? k - p : LINE, a + p * MR, &r, b + p * NR, acc);
    }
    const vf by = v_set(beta);
    V_UNROLL for (int i = 0; i < MR; i++)
        V_UNROLL for (int v = 0; v < nv; v++) {
            float *to = c + (size_t)i * ldc + v * VL;
            if (whole) v_store(to, beta == 0 ? acc[i][v] : v_fma(by, v_load(to), acc[i][v]));
            else if ((size_t)i < mb && (size_t)v * VL < nb) {
                const size_t left = nb - (size_t)v * VL;
                const vm some = v_tail(left < VL ? left : VL);
                v_store_n(to, some, beta == 0 ? acc[i][v] : v_fma(by, v_load_n(to, some), acc[i][v]));
            }
        }
}

V_FN void tiles(int direct, int asks, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float beta, float *c, size_t ldc)
{
    const size_t turns = (m + MR - 1) / MR * ((k + LINE - 1) / LINE), lines = turns ? (k * NR / LINE + turns - 1) / turns : 0;
    for (size_t j = 0; j < n; j += NR, b += NR * k) {
        const size_t nb = n - j < NR ? n - j : NR;
        const char *next = (const char *)(b + NR * k);
        for (size_t i = 0; i < m; i += MR, next += lines * ((k + LINE - 1) / LINE) * LINE * sizeof *b) {
            const size_t mb = m - i < MR ? m - i : MR;
            const float *pa = a + i * (direct ? lda : k);
            const asked ask = { asks, next, j + NR < n ? lines : 0 };
            float *to = c + i * ldc + j;
            if (mb == MR && nb == NR) tile(NV, 1, direct, ask, MR, NR, k, pa, lda, b, beta, to, ldc);
            else if (nb <= VL) tile(1, 0, direct, ask, mb, nb, k, pa, lda, b, beta, to, ldc);
            else if (nb <= 2 * VL) tile(2, 0, direct, ask, mb, nb, k, pa, lda, b, beta, to, ldc);
            else tile(NV, 0, direct, ask, mb, nb, k, pa, lda, b, beta, to, ldc);
        }
    }
}

static void block(size_t m, size_t n, size_t k, const void *a, const void *b, float beta, float *c, size_t ldc)
{
    tiles(0, 0, m, n, k, a, 0, b, beta, c, ldc);
}

/* Rows that fill no tile are packed. */
static void block_rows(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b, float beta, float *c, size_t ldc)
{
    const size_t whole = m / MR * MR;
    _Alignas(LINE * sizeof(float)) float rest[MR * KC + AN_GEMM_SLACK];
    if (lda < PAGE) tiles(1, 1, whole, n, k, a, lda, b, beta, c, ldc);
    else tiles(1, 0, whole, n, k, a, lda, b, beta, c, ldc);       /* each row on a page of its own: asking only costs */
    if (whole == m) return;
    pack_rows(0, MR, m - whole, k, (an_operand){ a + whole * lda, lda, AN_STORE_REAL }, rest);
    block(m - whole, n, k, rest, b, beta, c + whole * ldc, ldc);
}

/* C[rows, 4] for a pair of rows of A, or one, and four rows of B: dot products along k, of which nb exist */
V_FN void dots(int rows, size_t nb, size_t k, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    const float *row[4];
    vf acc[2][4];
    size_t p = 0;
    for (size_t j = 0; j < 4; j++) row[j] = b + (j < nb ? j : nb - 1) * ldb;
    V_UNROLL for (int i = 0; i < rows; i++)
        V_UNROLL for (int j = 0; j < 4; j++) acc[i][j] = v_zero();
    for (; p + VL <= k; p += VL)
        V_UNROLL for (int j = 0; j < 4; j++) {
            const vf bj = v_load(row[j] + p);
            V_UNROLL for (int i = 0; i < rows; i++) acc[i][j] = v_fma(v_load(a + (size_t)i * lda + p), bj, acc[i][j]);
        }
    if (p < k) {
        const vm some = v_tail(k - p);
        V_UNROLL for (int j = 0; j < 4; j++)
            V_UNROLL for (int i = 0; i < rows; i++) acc[i][j] = v_fma(v_load_n(a + (size_t)i * lda + p, some), v_load_n(row[j] + p, some), acc[i][j]);
    }
    V_UNROLL for (int i = 0; i < rows; i++)
        for (size_t j = 0; j < nb; j++) {
            float *to = c + (size_t)i * ldc + j;
            const float sum = v_sum(acc[i][j]);
            *to = beta == 0 ? sum : beta * *to + sum;
        }
}

static void few(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += 4) {
        const size_t nb = n - j < 4 ? n - j : 4;
        for (size_t i = 0; i < m; i += 2) {
            if (i + 2 <= m) dots(2, nb, k, a + i * lda, lda, b + j * ldb, ldb, beta, c + i * ldc + j, ldc);
            else dots(1, nb, k, a + i * lda, lda, b + j * ldb, ldb, beta, c + i * ldc + j, ldc);
        }
    }
}

const an_gemm_micro AN_SIMD(gemm_micro) = {
    .name = "native " AN_SIMD_TEXT(AN_ISA), .unit = sizeof(float), .kr = 1, .mr = MR, .nr = NR, .mc = MC, .kc = KC, .nc = NC,
    .pack_a = pack_a, .pack_b = pack_b, .block = block, .block_rows = block_rows, .few = few,
};
