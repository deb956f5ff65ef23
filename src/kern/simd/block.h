/* kern/simd/block.h
 * What the register-blocked kernels share. V_UNROLL: the loops over a register tile must vanish, or its accumulators live
 * in memory. V_UNROLL_SOME: the loop around them, where it is short enough for its end to matter. transpose8: 8 x 8 in registers, for packing: 24 shuffles for 64 elements, 256-bit at every level, because
 * packing is bound by its loads and stores. */
#ifndef AN_KERN_SIMD_BLOCK_H
#define AN_KERN_SIMD_BLOCK_H

#include <stddef.h>

#include "core/real.h"
#include "kern/simd/vec.h"
#include "kern/unroll.h"

/* to[p*ldt + i] = r[i][p] for i, p < 8; `to` is written in ascending order of p */
V_FN void put8x8(const __m256 r[8], float *to, size_t ldt)
{
    const __m256 a0 = _mm256_unpacklo_ps(r[0], r[1]), a1 = _mm256_unpackhi_ps(r[0], r[1]), a2 = _mm256_unpacklo_ps(r[2], r[3]), a3 = _mm256_unpackhi_ps(r[2], r[3]);
    const __m256 a4 = _mm256_unpacklo_ps(r[4], r[5]), a5 = _mm256_unpackhi_ps(r[4], r[5]), a6 = _mm256_unpacklo_ps(r[6], r[7]), a7 = _mm256_unpackhi_ps(r[6], r[7]);
    const __m256 b0 = _mm256_shuffle_ps(a0, a2, 0x44), b1 = _mm256_shuffle_ps(a0, a2, 0xee), b2 = _mm256_shuffle_ps(a1, a3, 0x44), b3 = _mm256_shuffle_ps(a1, a3, 0xee);
    const __m256 b4 = _mm256_shuffle_ps(a4, a6, 0x44), b5 = _mm256_shuffle_ps(a4, a6, 0xee), b6 = _mm256_shuffle_ps(a5, a7, 0x44), b7 = _mm256_shuffle_ps(a5, a7, 0xee);
    _mm256_storeu_ps(to, _mm256_permute2f128_ps(b0, b4, 0x20));
    _mm256_storeu_ps(to + ldt, _mm256_permute2f128_ps(b1, b5, 0x20));
    _mm256_storeu_ps(to + 2 * ldt, _mm256_permute2f128_ps(b2, b6, 0x20));
    _mm256_storeu_ps(to + 3 * ldt, _mm256_permute2f128_ps(b3, b7, 0x20));
    _mm256_storeu_ps(to + 4 * ldt, _mm256_permute2f128_ps(b0, b4, 0x31));
    _mm256_storeu_ps(to + 5 * ldt, _mm256_permute2f128_ps(b1, b5, 0x31));
    _mm256_storeu_ps(to + 6 * ldt, _mm256_permute2f128_ps(b2, b6, 0x31));
    _mm256_storeu_ps(to + 7 * ldt, _mm256_permute2f128_ps(b3, b7, 0x31));
}

/* to[p*ldt + i] = row[i][at + p] for i, p < 8 */
V_FN void transpose8(const float *const row[8], size_t at, float *to, size_t ldt)
{
    __m256 r[8];
    V_UNROLL for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_ps(row[i] + at);
    put8x8(r, to, ldt);
}

V_FN void transpose8_bf16(const an_bf16 *const row[8], size_t at, float *to, size_t ldt)
{
    __m256 r[8];
    V_UNROLL for (int i = 0; i < 8; i++)
        r[i] = _mm256_castsi256_ps(V_OP(slli_epi32)(V_OP(cvtepu16_epi32)(_mm_loadu_si128((const __m128i *)(const void *)(row[i] + at))), 16));
    put8x8(r, to, ldt);
}

#endif
