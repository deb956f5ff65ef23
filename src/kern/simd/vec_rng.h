/* kern/simd/vec_rng.h
 * Philox4x32-10 on VL blocks at once, bit-identical to an_philox (core/rng.h). Each word sits in the low half of a lane of 64
 * bits, where the products of a round leave it, and the high halves hold what nobody reads: a round is two products, two shifts
 * and four exclusive ors. Even lanes work on blocks 0, 1, ... of a run, odd lanes on the run behind it, so that interleaving inside each 128
 * bits leaves the words in stream order, without a permutation across lanes. */
#ifndef AN_KERN_SIMD_VEC_RNG_H
#define AN_KERN_SIMD_VEC_RNG_H

#include "core/rng.h"
#include "kern/simd/vec.h"

#if defined(AN_ISA_avx512)
static const uint64_t V_BLOCK[VL / 2] = { 0, 4, 1, 5, 2, 6, 3, 7 };
#else
static const uint64_t V_BLOCK[VL / 2] = { 0, 2, 1, 3 };
#endif

/* Words 4*block .. 4*block + 4*VL - 1 of the key's stream, in order: out[0] holds the first VL of them. */
V_FN void v_philox(an_rng_key key, uint64_t block, vi out[4])
{
    const vi m0 = vi_set(0xD2511F53u), m1 = vi_set(0xCD9E8D57u);
    vi c0[2], c1[2], c2[2], c3[2];
    uint32_t k0 = key.k[0], k1 = key.k[1];
    for (size_t h = 0; h < 2; h++) {   /* the first round, where the counter's other two words are 0 */
        const vi at = vi_add64(vi_load((const uint32_t *)(const void *)V_BLOCK), vi_set64(block + h * (VL / 2)));
        c3[h] = vi_mul_even(at, m0);
        c0[h] = vi_xor(vi_shr64(at, 32), vi_set(k0));
        c2[h] = vi_xor(vi_shr64(c3[h], 32), vi_set(k1));
        c1[h] = vi_set(0);
    }
    for (int round = 1; round < 10; round++) {
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
        for (size_t h = 0; h < 2; h++) {
            const vi low = vi_mul_even(c0[h], m0), high = vi_mul_even(c2[h], m1);
            c0[h] = vi_xor(vi_shr64(high, 32), vi_xor(c1[h], vi_set(k0)));
            c2[h] = vi_xor(vi_shr64(low, 32), vi_xor(c3[h], vi_set(k1)));
            c1[h] = high;
            c3[h] = low;
        }
    }
    for (size_t h = 0; h < 2; h++) {
        const vi front = vi_even_odd(c0[h], vi_shl64(c1[h], 32)), back = vi_even_odd(c2[h], vi_shl64(c3[h], 32));
        out[2 * h] = vi_lo64(front, back);
        out[2 * h + 1] = vi_hi64(front, back);
    }
}

/* Lanes whose word is below the threshold, 0 < threshold <= 2^32 - 1: the dropped ones. */
V_FN vm v_word_below(vi word, uint32_t threshold)
{
    const vi flip = vi_set(0x80000000u);
    return vi_less(vi_xor(word, flip), vi_set(threshold ^ 0x80000000u));
}

#endif
