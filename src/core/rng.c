/* core/rng.c
 * Streams are cut from Philox blocks of four words; the permutation is a 4-round balanced Feistel network on the
 * smallest even number of bits that holds n, walked until the image falls inside [0, n) (at most 4x work on average). */
#include "core/rng.h"

#include <math.h>

an_rng_key an_rng_key_make(uint64_t seed, uint64_t what, uint64_t when)
{
    const uint32_t ctr[4] = { (uint32_t)what, (uint32_t)(what >> 32), (uint32_t)when, (uint32_t)(when >> 32) };
    const an_rng_key root = { { (uint32_t)seed, (uint32_t)(seed >> 32) } };
    uint32_t out[4];
    an_philox(root, ctr, out);
    return (an_rng_key){ { out[0], out[1] } };
}

static void block(an_rng_key key, uint64_t index, uint32_t domain, uint32_t out[4])
{
    const uint32_t ctr[4] = { (uint32_t)index, (uint32_t)(index >> 32), domain, 0 };
    an_philox(key, ctr, out);
}

uint32_t an_rng_u32(an_rng_key key, uint64_t index)
{
    uint32_t out[4];
    block(key, index / 4, 0, out);
    return out[index % 4];
}

double an_rng_uniform(an_rng_key key, uint64_t index)
{
    uint32_t out[4];
    block(key, index, 1, out);
    const uint64_t bits = ((uint64_t)out[0] << 21) ^ ((uint64_t)out[1] >> 11);
    const double u = ((double)(bits & ((1ull << 53) - 1)) + 0.5) * 0x1p-53;
    return u < 1 ? u : 1 - 0x1p-53;                      /* the last word rounds up to 1 */
}

double an_rng_normal(an_rng_key key, uint64_t index)
{
    uint32_t out[4];
    block(key, index, 2, out);
    const double u = ((double)out[0] + 0.5) * 0x1p-32, v = ((double)out[1] + 0.5) * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925 * v);
}

uint64_t an_rng_permute(an_rng_key key, uint64_t n, uint64_t i)
{
    unsigned half = 1;
    while (half < 32 && (1ull << (2 * half)) < n) half++;
    const uint32_t mask = half == 32 ? 0xffffffffu : (1u << half) - 1u;
    do {
        uint32_t left = (uint32_t)(i >> half) & mask, right = (uint32_t)i & mask;
        for (uint32_t round = 0; round < 4; round++) {
            const uint32_t ctr[4] = { right, round, 3, 0 };
            uint32_t out[4];
            an_philox(key, ctr, out);
            const uint32_t next = (left ^ out[0]) & mask;
            left = right;
            right = next;
        }
        i = ((uint64_t)left << half) | right;
    } while (i >= n);
    return i;
}
