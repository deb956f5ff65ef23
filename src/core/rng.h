/* core/rng.h
 * Counter-based randomness: a pure function of (key, counter), so any element of any random tensor can be made
 * again at any time, by any thread, in any order. Dropout masks are never stored; resume needs only the step.
 * Philox4x32-10.  Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" */
#ifndef AN_CORE_RNG_H
#define AN_CORE_RNG_H

#include <stdint.h>

typedef struct an_rng_key { uint32_t k[2]; } an_rng_key;

/* A key for one purpose: seed, what (a value number, AN_RNG_SHUFFLE...) and when (the step). */
an_rng_key an_rng_key_make(uint64_t seed, uint64_t what, uint64_t when);

enum { AN_RNG_SHUFFLE = 1u << 30, AN_RNG_SAMPLE, AN_RNG_PROBE, AN_RNG_IMAGE };

static inline void an_philox(an_rng_key key, const uint32_t ctr[4], uint32_t out[4])
{
    uint32_t c0 = ctr[0], c1 = ctr[1], c2 = ctr[2], c3 = ctr[3], k0 = key.k[0], k1 = key.k[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0; out[1] = c1; out[2] = c2; out[3] = c3;
}

uint32_t an_rng_u32(an_rng_key key, uint64_t index);      /* element `index` of the key's stream of 32-bit words */
double an_rng_uniform(an_rng_key key, uint64_t index);    /* in (0, 1), 53 bits */
double an_rng_normal(an_rng_key key, uint64_t index);     /* N(0, 1), Box-Muller on two 32-bit words */

/* A permutation of [0, n): position i -> element, by cycle-walking a Feistel network. n >= 1, i < n. */
uint64_t an_rng_permute(an_rng_key key, uint64_t n, uint64_t i);

#endif
