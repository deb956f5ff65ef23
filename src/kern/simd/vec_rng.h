/* kern/simd/vec_rng.h
 * Philox4x32-10 on VL blocks at once, bit-identical to an_philox (core/rng.h). Lane 4g + k works on block G k + g with
 * G = VL/4: then interleaving the four output words inside each 128 bits leaves them in stream order, without a
 * permutation across lanes. */
#ifndef AN_KERN_SIMD_VEC_RNG_H
#define AN_KERN_SIMD_VEC_RNG_H

#include "core/rng.h"
#include "kern/simd/block.h"
#include "kern/simd/vec.h"

V_FN void v_mul_wide(vi a, uint32_t by, vi *high, vi *low)
{
    const vi b = vi_set(by), even = vi_mul_even(a, b), odd = vi_mul_even(vi_shr64(a, 32), b);
    *high = vi_even_odd(vi_shr64(even, 32), odd);
    *low = vi_even_odd(even, vi_shl64(odd, 32));
}

/* The counters of VL blocks from `block` on, in the order of the lanes: low and high words. */
V_FN void v_counters(uint64_t block, vi *low, vi *high)
{
    static const uint32_t lane[2][16] = { { 0, 2, 4, 6, 1, 3, 5, 7 }, { 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15 } };
    const vi start = vi_set((uint32_t)block), flip = vi_set(0x80000000u), over = vi_set((uint32_t)(block >> 32));
    *low = vi_add(start, vi_load(lane[VL == 16]));
    *high = vi_sel(vi_less(vi_xor(*low, flip), vi_xor(start, flip)), vi_add(over, vi_set(1)), over);
}

/* n streams at once, n a constant: a round waits for its multiplications, so two take little longer than one. */
V_FN void v_philox_n(int n, an_rng_key key, const uint64_t *block, vi (*out)[4])
{
    vi c[2][4];
    V_UNROLL for (int i = 0; i < n; i++) {
        v_counters(block[i], &c[i][0], &c[i][1]);
        c[i][2] = c[i][3] = vi_set(0);
    }
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++) {
        V_UNROLL for (int i = 0; i < n; i++) {
            vi h0, l0, h1, l1;
            v_mul_wide(c[i][0], 0xD2511F53u, &h0, &l0);
            v_mul_wide(c[i][2], 0xCD9E8D57u, &h1, &l1);
            c[i][0] = vi_xor(vi_xor(h1, c[i][1]), vi_set(k0));
            c[i][2] = vi_xor(vi_xor(h0, c[i][3]), vi_set(k1));
            c[i][1] = l1;
            c[i][3] = l0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    V_UNROLL for (int i = 0; i < n; i++) {
        const vi a = vi_lo32(c[i][0], c[i][1]), b = vi_hi32(c[i][0], c[i][1]), d = vi_lo32(c[i][2], c[i][3]), e = vi_hi32(c[i][2], c[i][3]);
        out[i][0] = vi_lo64(a, d);
        out[i][1] = vi_hi64(a, d);
        out[i][2] = vi_lo64(b, e);
        out[i][3] = vi_hi64(b, e);
    }
}

/* Words 4*block .. 4*block + 4*VL - 1 of the key's stream, in order: out[0] holds the first VL of them. */
V_FN void v_philox(an_rng_key key, uint64_t block, vi out[4])
{
    vi words[1][4];
    v_philox_n(1, key, &block, words);
    memcpy(out, words[0], sizeof words[0]);
}

/* Lanes whose word is below the threshold, 0 < threshold <= 2^32 - 1: the dropped ones. */
V_FN vm v_word_below(vi word, uint32_t threshold)
{
    const vi flip = vi_set(0x80000000u);
    return vi_less(vi_xor(word, flip), vi_set(threshold ^ 0x80000000u));
}

#endif
