/* core/rng: Philox against the published vectors, streams that are pure functions of (key, index), a permutation that is
 * one, and the moments of uniform and normal draws. */
#include "unit.h"

#include <math.h>

#include "core/rng.h"

/* Random123 (Salmon et al. 2011), tests/kat_vectors, philox4x32 with 10 rounds. */
static void philox_known_answers(void **state)
{
    (void)state;
    static const struct { uint32_t ctr[4], key[2], want[4]; } KAT[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { ~0u, ~0u, ~0u, ~0u }, { ~0u, ~0u }, { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 }, { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < COUNT(KAT); i++) {
        uint32_t out[4];
        an_philox((an_rng_key){ { KAT[i].key[0], KAT[i].key[1] } }, KAT[i].ctr, out);
        assert_memory_equal(out, KAT[i].want, sizeof out);
    }
}

static int same_key(an_rng_key a, an_rng_key b) { return a.k[0] == b.k[0] && a.k[1] == b.k[1]; }

/* Every bit of seed, purpose and time makes another key. */
static void keys_differ(void **state)
{
    (void)state;
    const an_rng_key base = an_rng_key_make(1, 2, 3);
    assert_true(same_key(base, an_rng_key_make(1, 2, 3)));
    for (unsigned bit = 0; bit < 64; bit++) {
        assert_false(same_key(base, an_rng_key_make(1 ^ 1ull << bit, 2, 3)));
        assert_false(same_key(base, an_rng_key_make(1, 2 ^ 1ull << bit, 3)));
        assert_false(same_key(base, an_rng_key_make(1, 2, 3 ^ 1ull << bit)));
    }
}

/* Words of a stream are words of consecutive blocks, in any order of asking, also beyond 2^32. */
static void words_are_addressed(void **state)
{
    (void)state;
    const an_rng_key key = an_rng_key_make(9, 8, 7);
    const uint64_t at[] = { 0, 4, 1u << 20, (1ull << 34) - 4, 1ull << 34, (1ull << 40) + 8 };
    for (size_t i = COUNT(at); i-- > 0;) {
        uint32_t out[4];
        const uint32_t ctr[4] = { (uint32_t)(at[i] / 4), (uint32_t)(at[i] / 4 >> 32), 0, 0 };
        an_philox(key, ctr, out);
        for (uint64_t w = 0; w < 4; w++) assert_int_equal(an_rng_u32(key, at[i] + w), out[w]);
    }
    assert_true(an_rng_uniform(key, 5) == an_rng_uniform(key, 5) && an_rng_uniform(key, 5) != an_rng_uniform(key, 6));
    assert_true(an_rng_normal(key, 5) == an_rng_normal(key, 5) && an_rng_normal(key, 5) != an_rng_normal(key, 5 + (1ull << 32)));
}

static void permutation_is_one(void **state)
{
    (void)state;
    static const uint64_t N[] = { 1, 2, 3, 4, 5, 7, 15, 16, 17, 63, 64, 65, 100, 255, 256, 257, 1000, 4095, 4096, 4097, 65537, 100003 };
    for (size_t i = 0; i < COUNT(N); i++)
        for (uint64_t epoch = 0; epoch < 2; epoch++) {
            char *seen = calloc(1, N[i]);
            const an_rng_key key = an_rng_key_make(3, AN_RNG_SHUFFLE, epoch);
            assert_non_null(seen);
            for (uint64_t k = 0; k < N[i]; k++) {
                const uint64_t to = an_rng_permute(key, N[i], k);
                assert_true(to < N[i]);
                assert_int_equal(seen[to], 0);
                seen[to] = 1;
            }
            free(seen);
        }
    for (uint64_t k = 0; k < 50; k++) assert_true(an_rng_permute(an_rng_key_make(1, 1, 1), 1ull << 40, k << 33) < 1ull << 40);
}

/* Epochs order the same windows differently, and the order is no near-identity: few fixed points, no kept neighbours. */
static void permutation_shuffles(void **state)
{
    (void)state;
    enum { M = 10000 };
    const an_rng_key a = an_rng_key_make(3, AN_RNG_SHUFFLE, 0), b = an_rng_key_make(3, AN_RNG_SHUFFLE, 1);
    int fixed = 0, agree = 0, neighbours = 0;
    double correlation = 0;
    for (uint64_t k = 0; k < M; k++) {
        const uint64_t x = an_rng_permute(a, M, k);
        fixed += x == k;
        agree += x == an_rng_permute(b, M, k);
        neighbours += k + 1 < M && an_rng_permute(a, M, k + 1) == x + 1;
        correlation += ((double)x - M / 2.0) * ((double)k - M / 2.0) / (M * (M * (double)M) / 12);
    }
    assert_true(fixed < 10 && agree < 10 && neighbours < 10);     /* 1 is expected of each */
    assert_true(fabs(correlation) < 0.05);                        /* 5 / sqrt(M) */
    for (uint64_t lag = 1; lag <= 1024; lag *= 2) {               /* positions near each other land a third of M apart, on average */
        double apart = 0;
        for (uint64_t k = 0; k + lag < M; k++) apart += fabs((double)an_rng_permute(a, M, k) - (double)an_rng_permute(a, M, k + lag)) / (double)(M - lag);
        assert_true(fabs(apart / M - 1.0 / 3) < 0.02);
    }
}

static void moments(double (*draw)(an_rng_key, uint64_t), const double want[4], const double allowed[4], double *least, double *most)
{
    enum { M = 200000 };
    const an_rng_key key = an_rng_key_make(11, 12, 13);
    double m[4] = { 0 }, product = 0, last = 0;
    *least = INFINITY;
    *most = -INFINITY;
    for (uint64_t i = 0; i < M; i++) {
        const double x = draw(key, i), d = x - want[0];
        m[0] += x / M;
        m[1] += d * d / M;
        m[2] += d * d * d / M;
        m[3] += d * d * d * d / M;
        product += i ? d * last / M : 0;
        last = d;
        *least = fmin(*least, x);
        *most = fmax(*most, x);
    }
    for (int k = 0; k < 4; k++) {
        if (fabs(m[k] - want[k]) > allowed[k]) print_error("moment %d is %g, expected %g +- %g\n", k + 1, m[k], want[k], allowed[k]);
        assert_true(fabs(m[k] - want[k]) <= allowed[k]);
    }
    assert_true(fabs(product) <= 5 * want[1] / sqrt(M));          /* neighbours are independent */
}

/* Allowed: 5 standard errors of each moment for 200000 draws. */
static void uniform_moments(void **state)
{
    (void)state;
    static const double WANT[] = { 0.5, 1.0 / 12, 0, 1.0 / 80 }, ALLOWED[] = { 3.3e-3, 8.4e-4, 5.3e-4, 1.9e-4 };
    double least, most;
    moments(an_rng_uniform, WANT, ALLOWED, &least, &most);
    assert_true(least > 0 && least < 1e-4 && most < 1 && most > 1 - 1e-4);
}

static void normal_moments(void **state)
{
    (void)state;
    static const double WANT[] = { 0, 1, 0, 3 }, ALLOWED[] = { 0.0112, 0.0159, 0.0434, 0.11 };
    double least, most;
    moments(an_rng_normal, WANT, ALLOWED, &least, &most);
    assert_true(least < -3.8 && least > -7 && most > 3.8 && most < 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(philox_known_answers), cmocka_unit_test(keys_differ), cmocka_unit_test(words_are_addressed), cmocka_unit_test(permutation_is_one),
                                        cmocka_unit_test(permutation_shuffles), cmocka_unit_test(uniform_moments), cmocka_unit_test(normal_moments) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
