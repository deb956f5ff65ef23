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
enum { NR = 2 * VL, WIDE = (MR + 7) / 8 * 8 };

_Static_assert((int)KC <= (int)AN_GEMM_MOST_KC && MR + NR <= (int)AN_GEMM_MOST_MR_NR && WIDE - MR <= (int)AN_GEMM_SLACK, "gemm_native.c relies on these");

/* Panels of w, copied in groups of 8 that may run over into the next row of the panel, which is written later. */
V_FN void pack(size_t w, int trans, size_t n, size_t k, const float *x, size_t ld, float *out)
{
    const size_t wide = (w + 7) / 8 * 8;
    for (size_t i0 = 0; i0 < n; i0 += w, out += w * k, x += trans ? w * ld : w) {
        const size_t have = n - i0 < w ? n - i0 : w;
        size_t p = 0;
        if (trans) {
            for (; p + 8 <= k; p += 8)
                for (size_t g = wide; g > 0; g -= 8) {
                    const float *row[8];
                    for (size_t r = 0; r < 8; r++) row[r] = x + (g - 8 + r < have ? g - 8 + r : have - 1) * ld + p;
                    transpose8(row, out + p * w + g - 8, w);
                }
            for (; p < k; p++)
                for (size_t i = 0; i < w; i++) out[p * w + i] = i < have ? x[i * ld + p] : 0;
        } else if (i0 + wide <= n) {
            for (; p < k; p++)
                for (size_t g = 0; g < wide; g += 8) _mm256_storeu_ps(out + p * w + g, _mm256_loadu_ps(x + p * ld + g));
        } else {
            for (; p < k; p++)
                for (size_t i = 0; i < w; i++) out[p * w + i] = i < have ? x[p * ld + i] : 0;
        }
    }
}

static void pack_a(int trans, size_t n, size_t k, const float *x, size_t ld, float *out)
{
    if (trans) pack(MR, 1, n, k, x, ld, out);
    else pack(MR, 0, n, k, x, ld, out);
}

static void pack_b(int trans, size_t n, size_t k, const float *x, size_t ld, float *out)
{
    if (trans) pack(NR, 1, n, k, x, ld, out);
    else pack(NR, 0, n, k, x, ld, out);
}

/* C[MR, nv vectors] = beta*C + A B over k, whole registers */
V_FN void tile(int nv, size_t k, const float *a, const float *b, float beta, float *c, size_t ldc)
{
    vf acc[MR][2];
    V_UNROLL for (int i = 0; i < MR; i++) {
        __builtin_prefetch(c + (size_t)i * ldc, 1);
        V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_zero();
    }
    for (size_t p = 0; p < k; p++, a += MR, b += NR) {
        vf bv[2];
        V_UNROLL for (int v = 0; v < nv; v++) bv[v] = v_load(b + v * VL);
        V_UNROLL for (int i = 0; i < MR; i++) {
            const vf ai = v_set(a[i]);
            V_UNROLL for (int v = 0; v < nv; v++) acc[i][v] = v_fma(ai, bv[v], acc[i][v]);
        }
    }
    const vf by = v_set(beta);
    V_UNROLL for (int i = 0; i < MR; i++)
        V_UNROLL for (int v = 0; v < nv; v++) {
            float *to = c + (size_t)i * ldc + v * VL;
            v_store(to, beta == 0 ? acc[i][v] : v_fma(by, v_load(to), acc[i][v]));
        }
}

/* A tile that hangs over the edge of C: computed aside, then the part that exists is taken. */
static void edge(size_t m, size_t n, size_t k, const float *a, const float *b, float beta, float *c, size_t ldc)
{
    _Alignas(64) float whole[MR * NR];
    if (n <= VL) tile(1, k, a, b, 0, whole, NR);
    else tile(2, k, a, b, 0, whole, NR);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            float *to = &c[i * ldc + j];
            *to = beta == 0 ? whole[i * NR + j] : beta * *to + whole[i * NR + j];
        }
}

static void block(size_t m, size_t n, size_t k, const float *a, const float *b, float beta, float *c, size_t ldc)
{
    for (size_t j = 0; j < n; j += NR) {
        const size_t nb = n - j < NR ? n - j : NR;
        for (size_t i = 0; i < m; i += MR) {
            const size_t mb = m - i < MR ? m - i : MR;
            if (mb == MR && nb == NR) tile(2, k, a + i * k, b + j * k, beta, c + i * ldc + j, ldc);
            else edge(mb, nb, k, a + i * k, b + j * k, beta, c + i * ldc + j, ldc);
        }
    }
}

const an_gemm_micro AN_SIMD(gemm_micro) = {
    .name = "native " AN_SIMD_TEXT(AN_ISA), .mr = MR, .nr = NR, .mc = MC, .kc = KC, .nc = NC,
    .pack_a = pack_a, .pack_b = pack_b, .block = block,
};
