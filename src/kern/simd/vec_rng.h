/* kern/simd/vec_rng.h
 * Philox4x32-10 on VL blocks at once, bit-identical to an_philox (core/rng.h). Lane 4g + k works on block G k + g with
 * G = VL/4: then interleaving the four output words inside each 128 bits leaves them in stream order, without a
 * permutation across lanes. */
#ifndef AN_KERN_SIMD_VEC_RNG_H
#define AN_KERN_SIMD_VEC_RNG_H

#include "core/rng.h"
#include "kern/simd/vec.h"

V_FN void v_mul_wide(vi a, uint32_t by, vi *high, vi *low)
{
    const vi b = vi_set(by), even = vi_mul_even(a, b), odd = vi_mul_even(vi_shr64(a, 32), b);
    *high = vi_even_odd(vi_shr64(even, 32), odd);
    *low = vi_even_odd(even, vi_shl64(odd, 32));
}

/* Words 4*block .. 4*block + 4*VL - 1 of the key's stream, in order: out[0] holds the first VL of them. */
V_FN void v_philox(an_rng_key key, uint64_t block, vi out[4])
{
    uint32_t first[VL], second[VL];
    for (uint32_t l = 0; l < VL; l++) {
        const uint64_t at = block + VL / 4 * (l % 4) + l / 4;
        first[l] = (uint32_t)at;
        second[l] = (uint32_t)(at >> 32);
    }
    vi c0 = vi_load(first), c1 = vi_load(second), c2 = vi_set(0), c3 = vi_set(0);
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++) {
        vi h0, l0, h1, l1;
        v_mul_wide(c0, 0xD2511F53u, &h0, &l0);
        v_mul_wide(c2, 0xCD9E8D57u, &h1, &l1);
        c0 = vi_xor(vi_xor(h1, c1), vi_set(k0));
        c2 = vi_xor(vi_xor(h0, c3), vi_set(k1));
        c1 = l1;
        c3 = l0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    const vi a = vi_lo32(c0, c1), b = vi_hi32(c0, c1), c = vi_lo32(c2, c3), d = vi_hi32(c2, c3);
    out[0] = vi_lo64(a, c);
    out[1] = vi_hi64(a, c);
    out[2] = vi_lo64(b, d);
    out[3] = vi_hi64(b, d);
}

/* Lanes whose word is below the threshold, 0 < threshold <= 2^32 - 1: the dropped ones. */
V_FN vm v_word_below(vi word, uint32_t threshold)
{
    const vi flip = vi_set(0x80000000u);
    return vi_less(vi_xor(word, flip), vi_set(threshold ^ 0x80000000u));
}

#endif
