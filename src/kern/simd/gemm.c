/* kern/simd/gemm.c
 * The inner part of the native product for one instruction set: an MR x NR tile of C stays in registers while k runs, so a
 * step loads NR + MR elements for MR*NR multiply-adds. AVX2: 6 x 16 = 12 accumulators, 2 of B, broadcasts of A; AVX-512:
 * 14 x 32 = 28 accumulators, 2 of B, broadcasts folded into the instruction.
 * Source: Van Zee & van de Geijn 2015, "BLIS", for the division of labour with kern/gemm_native.c. */
#include "kern/gemm_micro.h"
#include "kern/simd/simd.h"
#include "kern/simd/block.h"
#include "kern/simd/vec.h"

#ifdef AN_ISA_avx512
enum { MR = 14, MC = 14 * 16, KC = 384, NC = 1536 };
#else
enum { MR = 6, MC = 6 * 24, KC = 384, NC = 1536 };
#endif
enum { NR = 2 * VL, WIDE = (MR + VL - 1) / VL * VL, WIDEST = 32, LINE = 16, PAGE = 1024 /* floats of a cache line, of a page */, AHEAD = 4 /* rows of memory asked for while packing */ };

_Static_assert((int)KC <= (int)AN_GEMM_MOST_KC && MR + NR <= (int)AN_GEMM_MOST_MR_NR && WIDE - MR <= (int)AN_GEMM_SLACK, "gemm_native.c relies on these");
_Static_assert((int)MR <= (int)AN_PACK_STEP && (int)AN_PACK_STEP % NR == 0, "parts of what is packed ahead begin at whole panels, in an_packed_room");

/* VL elements of x from `at` on, of which `left` exist */
V_FN vf take(int low, an_operand x, size_t at, size_t left)
{
    if (low) return v_get_bf16((const an_bf16 *)x.p + at, left);
    return v_get((const float *)x.p + at, left);
}

V_FN float take_one(int low, an_operand x, size_t at) { return low ? an_bf16_widen(((const an_bf16 *)x.p)[at]) : ((const float *)x.p)[at]; }

/* Rows along k: `wide` of them at a time, eight by eight; of rows beyond `have` the last one stands in. */
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
    for (; p + 8 <= k; p += 8)
        for (size_t g = wide; g > 0; g -= 8) {
            if (low) transpose8_bf16(low_row + g - 8, p, out + p * w + g - 8, w);
            else transpose8(row + g - 8, p, out + p * w + g - 8, w);
        }
    for (; p < k; p++)
        for (size_t i = 0; i < w; i++) out[p * w + i] = i < have ? take_one(low, x, i * x.ld + p) : 0;
}

/* Row p of every panel, in whole registers, which run over into the panel's next row; `exact`: they do not. */
V_FN void pack_row(int low, int exact, size_t w, size_t n, an_operand x, size_t at, float *to, size_t panel)
{
    const size_t span = (w + VL - 1) / VL * VL;
    size_t i = 0;
    for (; !exact && i + span <= n; i += w, to += panel)
        for (size_t g = 0; g < span; g += VL) v_store(to + g, take(low, x, at + i + g, VL));
    for (; i < n; i += w, to += panel)
        for (size_t g = 0; g < span; g += VL) {
            const vf v = n - i <= g ? v_zero() : take(low, x, at + i + g, n - i - g);
            if (exact && g + VL > w) v_store_n(to + g, v_tail(w - g), v);
            else v_store(to + g, v);
        }
}

/* Columns along k, row by row of x, so that a line of memory is read once and in order. The last row ends where it ends: what follows it may
 * be another's. */
V_FN void pack_columns(int low, size_t w, size_t n, size_t k, an_operand x, float *out, size_t panel)
{
    for (size_t p = 0; p < k; p++) {
        for (size_t i = 0; i < n; i += LINE) __builtin_prefetch((const char *)x.p + ((p + AHEAD) * x.ld + i) * (low ? sizeof(an_bf16) : sizeof(float)));
        if (w % VL == 0 || p + 1 < k) pack_row(low, 0, w, n, x, p * x.ld, out + p * w, panel);
        else pack_row(low, 1, w, n, x, p * x.ld, out + p * w, panel);
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

/* acc += A B for k steps: A is a panel or, `direct`, the matrix itself, its rows at row[] */
V_FN void multiply(int nv, int direct, size_t k, const float *a, const size_t *row, const float *b, vf (*acc)[2])
{
    for (size_t p = 0; p < k; p++, a += direct ? 1 : MR, b += NR) {
        vf bv[2];
        V_UNROLL for (int v = 0; v < nv; v++) bv[v] = v_load(b + v * VL);
        V_UNROLL for (int i = 0; i < MR; i++) {
            const vf ai = v_set(a[row[i]]);
            V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_fma(ai, bv[v], acc[i][v]);
        }
    }
}

/* C[mb, nb] = beta*C + A B over k for a tile of MR rows and nv vectors, of which mb rows and nb columns exist. `asks`: a line of each row
 * of A at a time, while that of the next tile is asked for. */
V_FN void tile(int nv, int whole, int direct, int asks, size_t mb, size_t nb, size_t k, const float *a, size_t lda, const float *b, float beta, float *c, size_t ldc)
{
    vf acc[MR][2];
    size_t row[MR];
    V_UNROLL for (int i = 0; i < MR; i++) row[i] = direct ? (whole || (size_t)i < mb ? (size_t)i : mb - 1) * lda : (size_t)i;
    V_UNROLL for (int i = 0; i < MR; i++)
        V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_zero();
    for (size_t i = 0; i < mb; i++) __builtin_prefetch(c + i * ldc, 1);
    if (!asks) multiply(nv, direct, k, a, row, b, acc);
    for (size_t p = 0; asks && p < k; p += LINE) {
        for (int i = 0; i < MR; i++) __builtin_prefetch(a + p + row[i] + MR * lda, 0, 2);
        multiply(nv, direct, k - p < LINE ? k - p : LINE, a + p, row, b + p * NR, acc);
    }
    const vf by = v_set(beta);
    V_UNROLL for (int i = 0; i < MR; i++)
        V_UNROLL for (int v = 0; v < nv; v++) {
            float *to = c + (size_t)i * ldc + v * VL;
            if (whole) v_store(to, beta == 0 ? acc[i][v] : v_fma(by, v_load(to), acc[i][v]));
            else if ((size_t)i < mb) {
                const size_t left = nb - (size_t)v * VL;
                const vm some = v_tail(left < VL ? left : VL);
                v_store_n(to, some, beta == 0 ? acc[i][v] : v_fma(by, v_load_n(to, some), acc[i][v]));
            }
        }
}

V_FN void tiles(int direct, int asks, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, float beta, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += NR) {
        const size_t nb = n - j < NR ? n - j : NR;
        for (size_t i = 0; i < m; i += MR) {
            const size_t mb = m - i < MR ? m - i : MR;
            const float *pa = a + i * (direct ? lda : k), *pb = b + j * k;
            float *to = c + i * ldc + j;
            if (mb == MR && nb == NR) tile(2, 1, direct, asks, MR, NR, k, pa, lda, pb, beta, to, ldc);
            else if (nb <= VL) tile(1, 0, direct, 0, mb, nb, k, pa, lda, pb, beta, to, ldc);
            else tile(2, 0, direct, 0, mb, nb, k, pa, lda, pb, beta, to, ldc);
        }
    }
}

static void block(size_t m, size_t n, size_t k, const void *a, const void *b, float beta, float *c, size_t ldc)
{
    tiles(0, 0, m, n, k, a, 0, b, beta, c, ldc);
}

static void block_rows(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b, float beta, float *c, size_t ldc)
{
    if (lda < PAGE) tiles(1, 1, m, n, k, a, lda, b, beta, c, ldc);
    else tiles(1, 0, m, n, k, a, lda, b, beta, c, ldc);           /* each row on a page of its own: asking only costs */
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
