/* kern/gemm_ref.c
 * The product in plain C: the definition of correct, and fast enough to live with where no library is (the double build,
 * other machines). Both operands are copied block by block into panels on the stack, padded with zeros, so that one
 * branch-free loop with fixed bounds, which any compiler vectorises, does all the arithmetic for every shape and transpose.
 * Source: the blocking of Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication". */
#include "kern/gemm_backends.h"

enum { MR = 4, NR = sizeof(an_real) == 4 ? 8 : 4, MC = 64, NC = 64, KC = 128 };

/* x: `n` long vectors of `k` elements, element (p, i) at x[p*sp + i*si], into panels of w: out[panel][p][i in w]. */
static void pack(size_t n, size_t k, an_operand x, size_t si, size_t sp, size_t w, an_real *out)
{
    const an_real *wide = x.p;
    const an_bf16 *low = x.p;
    for (size_t i0 = 0; i0 < n; i0 += w)
        for (size_t p = 0; p < k; p++)
            for (size_t i = 0; i < w; i++) {
                const size_t at = p * sp + (i0 + i) * si;
                *out++ = i0 + i >= n ? 0 : x.store == AN_STORE_BF16 ? an_bf16_widen(low[at]) : wide[at];
            }
}

/* acc = sum over p of a[p, MR] x b[p, NR] */
static void tile(size_t k, const an_real *restrict a, const an_real *restrict b, an_real acc[restrict MR][NR])
{
    an_real t[MR][NR] = { { 0 } };
    for (size_t p = 0; p < k; p++, a += MR, b += NR)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++) t[i][j] += a[i] * b[j];
    for (int i = 0; i < MR; i++)
        for (int j = 0; j < NR; j++) acc[i][j] = t[i][j];
}

static void block(size_t m, size_t n, size_t k, const an_real *a, const an_real *b, an_real beta, an_real *c, size_t ldc)
{
    for (size_t j0 = 0; j0 < n; j0 += NR)
        for (size_t i0 = 0; i0 < m; i0 += MR) {
            an_real acc[MR][NR];
            tile(k, a + i0 * k, b + j0 * k, acc);
            for (size_t i = 0; i < MR && i0 + i < m; i++)
                for (size_t j = 0; j < NR && j0 + j < n; j++) {
                    an_real *to = &c[(i0 + i) * ldc + j0 + j];
                    *to = beta == 0 ? acc[i][j] : beta * *to + acc[i][j];
                }
        }
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void run_low(int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, an_real beta, an_real *c, size_t ldc)
{
    _Alignas(64) an_real pa[MC * KC], pb[NC * KC];
    const size_t ai = ta ? 1 : a.ld, ap = ta ? a.ld : 1, bj = tb ? b.ld : 1, bp = tb ? 1 : b.ld;
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    for (size_t p0 = 0; p0 < k; p0 += KC) {
        const size_t kb = least(KC, k - p0);
        const an_real over = p0 == 0 ? beta : 1;
        for (size_t j0 = 0; j0 < n; j0 += NC) {
            const size_t nb = least(NC, n - j0);
            pack(nb, kb, an_operand_at(b, 0, j0 * bj + p0 * bp), bj, bp, NR, pb);
            for (size_t i0 = 0; i0 < m; i0 += MC) {
                const size_t mb = least(MC, m - i0);
                pack(mb, kb, an_operand_at(a, 0, i0 * ai + p0 * ap), ai, ap, MR, pa);
                block(mb, nb, kb, pa, pb, over, c + i0 * ldc + j0, ldc);
            }
        }
    }
}

static void run(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc)
{
    run_low(ta, tb, m, n, k, (an_operand){ a, lda, AN_STORE_REAL }, (an_operand){ b, ldb, AN_STORE_REAL }, beta, c, ldc);
}

const an_gemm_backend *an_gemm_ref(void)
{
    static const an_gemm_backend back = { .name = "ref", .run = run, .run_low = run_low };
    return &back;
}
