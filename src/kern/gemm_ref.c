/* kern/gemm_ref.c
 * The product in plain C: the definition of correct, and fast enough to live with where no library is (the double build,
 * other machines). Both operands are copied block by block into panels on the stack, padded with zeros, so that one
 * branch-free loop with fixed bounds does all the arithmetic for every shape and transpose, on vectors of 16 bytes, which every
 * processor has or its compiler makes up. Numbers of A are packed as whole vectors: without AVX copying one into all lanes
 * is an instruction of its own each time.
 * Source: the blocking of Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication". */
#include "kern/gemm_backends.h"

#include <string.h>

#include "kern/unroll.h"

typedef an_real lanes __attribute__((vector_size(16)));
enum { VL = sizeof(lanes) / sizeof(an_real), NV = 2, MR = 4, NR = NV * VL, MC = 16, NC = 128, KC = 128 };

static inline an_real take(int low, an_operand x, size_t at) { return low ? (an_real)an_bf16_widen(((const an_bf16 *)x.p)[at]) : ((const an_real *)x.p)[at]; }

/* x: `n` long vectors of `k` elements, element (p, i) at x[p*sp + i*si], into panels of w: out[panel][p][i in w][copy in copies]. */
static inline __attribute__((always_inline)) void pack_into(int low, size_t n, size_t k, an_operand x, size_t si, size_t sp, size_t w, size_t copies, an_real *out)
{
    for (size_t i0 = 0; i0 < n; i0 += w)
        for (size_t p = 0; p < k; p++)
            V_UNROLL for (size_t i = 0; i < w; i++, out += copies) {
                const an_real v = i0 + w <= n || i0 + i < n ? take(low, x, p * sp + (i0 + i) * si) : 0;
                V_UNROLL for (size_t copy = 0; copy < copies; copy++) out[copy] = v;
            }
}

static void pack_a(size_t n, size_t k, an_operand x, size_t si, size_t sp, an_real *out)
{
    if (x.store == AN_STORE_BF16) pack_into(1, n, k, x, si, sp, MR, VL, out);
    else pack_into(0, n, k, x, si, sp, MR, VL, out);
}

static void pack_b(size_t n, size_t k, an_operand x, size_t si, size_t sp, an_real *out)
{
    if (x.store == AN_STORE_BF16) pack_into(1, n, k, x, si, sp, NR, 1, out);
    else pack_into(0, n, k, x, si, sp, NR, 1, out);
}

/* sums = sum over p of a[p, MR] x b[p, NR] */
static inline __attribute__((always_inline)) void tile(size_t k, const lanes *a, const lanes *b, lanes sums[MR][NV])
{
    V_UNROLL for (int i = 0; i < MR; i++)
        V_UNROLL for (int v = 0; v < NV; v++) sums[i][v] = (lanes){ 0 };
    for (size_t p = 0; p < k; p++, a += MR, b += NV)
        V_UNROLL for (int i = 0; i < MR; i++)
            V_UNROLL for (int v = 0; v < NV; v++) sums[i][v] += a[i] * b[v];
}

/* c (+)= sums for the first n numbers of a row of the tile */
static inline void put(const lanes sums[NV], size_t n, an_real beta, an_real *c)
{
    an_real row[NR];
    if (n >= NR) {
        for (int v = 0; v < NV; v++, c += VL) {
            lanes now = sums[v], old;
            if (beta != 0) {
                memcpy(&old, c, sizeof old);
                now = beta * old + now;
            }
            memcpy(c, &now, sizeof now);
        }
        return;
    }
    memcpy(row, sums, sizeof row);
    for (size_t j = 0; j < n; j++) c[j] = beta == 0 ? row[j] : beta * c[j] + row[j];
}

static void block(size_t m, size_t n, size_t k, const lanes *a, const lanes *b, an_real beta, an_real *c, size_t ldc)
{
    for (size_t i0 = 0; i0 < m; i0 += MR)
        for (size_t j0 = 0; j0 < n; j0 += NR) {
            lanes sums[MR][NV];
            tile(k, a + i0 * k, b + j0 / NR * NV * k, sums);
            V_UNROLL for (int i = 0; i < MR; i++)
                if (i0 + (size_t)i < m) put(sums[i], n - j0, beta, c + (i0 + (size_t)i) * ldc + j0);
        }
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void run_low(int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, an_real beta, an_real *c, size_t ldc)
{
    lanes pa[MC * KC], pb[NC * KC / VL];
    const size_t ai = ta ? 1 : a.ld, ap = ta ? a.ld : 1, bj = tb ? b.ld : 1, bp = tb ? 1 : b.ld;
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    for (size_t p0 = 0; p0 < k; p0 += KC) {
        const size_t kb = least(KC, k - p0);
        const an_real over = p0 == 0 ? beta : 1;
        for (size_t j0 = 0; j0 < n; j0 += NC) {
            const size_t nb = least(NC, n - j0);
            pack_b(nb, kb, an_operand_at(b, 0, j0 * bj + p0 * bp), bj, bp, (an_real *)pb);
            for (size_t i0 = 0; i0 < m; i0 += MC) {
                const size_t mb = least(MC, m - i0);
                pack_a(mb, kb, an_operand_at(a, 0, i0 * ai + p0 * ap), ai, ap, (an_real *)pa);
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
