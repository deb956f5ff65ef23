/* gaps: every placement is the one that a walk over all pieces finds: the smallest gap that fits, the first of several; what is
 * given back joins with the gaps beside it; and nothing is handed out twice. */
#include "unit.h"

#include "core/rng.h"
#include "plan/gaps.h"

enum { LIMIT = 4096, MOST = 400 };

typedef struct place { size_t offset, size, piece; } place;

/* Pieces in use, by address. */
typedef struct held { place at[MOST]; size_t n; } held;

/* Where a piece of this size belongs, and before which of those held; false: nowhere. */
static bool walk(const held *h, size_t size, size_t *offset, size_t *before)
{
    size_t end = 0, best = SIZE_MAX;
    for (size_t k = 0; k <= h->n; k++) {
        const size_t gap = (k < h->n ? h->at[k].offset : LIMIT) - end;
        if (gap >= size && gap < best) {
            best = gap;
            *offset = end;
            *before = k;
        }
        if (k < h->n) end = h->at[k].offset + h->at[k].size;
    }
    return best != SIZE_MAX;
}

static void equals_a_walk(void **state)
{
    (void)state;
    size_t refused = 0, filled = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        const an_rng_key key = an_rng_key_make(seed, AN_RNG_PROBE, 3);
        held h = { .n = 0 };
        an_gaps *gaps = an_gaps_create(LIMIT, 2 * MOST);   /* gives make room for as many takes again */
        assert_non_null(gaps);
        for (uint64_t i = 0, taken = 0; taken < 2 * MOST; i++) {
            const uint32_t draw = an_rng_u32(key, 2 * i), size = 1 + an_rng_u32(key, 2 * i + 1) % (seed % 2 ? 9 : 97);
            if (h.n == MOST || (h.n && draw % 16 < (i / 256 % 2 ? 11 : 5))) {
                const size_t k = (size_t)draw / 16 % h.n;
                an_gaps_give(gaps, h.at[k].piece);
                memmove(h.at + k, h.at + k + 1, (--h.n - k) * sizeof *h.at);
                continue;
            }
            taken++;
            size_t offset = 0, before = 0, piece;
            const bool fits = walk(&h, size, &offset, &before);
            assert_true(an_gaps_take(gaps, size, &piece) == fits);
            refused += !fits;
            if (!fits) continue;
            assert_true(an_gaps_offset(gaps, piece) == offset);
            memmove(h.at + before + 1, h.at + before, (h.n++ - before) * sizeof *h.at);
            h.at[before] = (place){ offset, size, piece };
            if (h.n > filled) filled = h.n;
        }
        while (h.n) an_gaps_give(gaps, h.at[--h.n].piece);
        size_t all;
        assert_true(an_gaps_take(gaps, LIMIT, &all) && an_gaps_offset(gaps, all) == 0 && !an_gaps_take(gaps, 1, &all));
        an_gaps_destroy(&gaps);
        assert_null(gaps);
    }
    assert_true(refused > 0 && filled > 100);            /* both sides were seen */
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(equals_a_walk) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
