/* Operands in the order of AMX tiles: every number where the manual's layout wants it, zeros where there is none, reals rounded as elsewhere. */
#include "kern/amx/pack.h"

#include "unit.h"

enum { LD = 41, ROWS = 33 };

static float value(size_t i)
{
    static const uint32_t ODD[] = { 0x7f800000u, 0xff800000u, 0x7f800001u, 0xffc12345u, 0x7f7fffffu, 0x00000001u, 0x80008000u, 0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x3f808001u };
    uint32_t bits = (uint32_t)(i * 2654435761u);
    float x;
    if (i % 5 == 0) bits = ODD[i / 5 % (sizeof ODD / sizeof *ODD)];
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Number p of vector i lies at [i][p] of a tile of A, 32 to a row, and at [p / 2][i][p % 2] of a tile of B; vectors from 16 on in the second. */
static void one(int of_b, int trans, int low, size_t n, size_t k)
{
    float x[ROWS * LD];
    an_bf16 rounded[ROWS * LD], out[2 * TILE];
    for (size_t i = 0; i < ROWS * LD; i++) {
        x[i] = value(i + n + k);
        rounded[i] = an_bf16_round(x[i]);
    }
    memset(out, 0xab, sizeof out);
    pack_square(of_b, trans, n, k, (an_operand){ low ? (const void *)rounded : x, LD, low ? AN_STORE_BF16 : AN_STORE_REAL }, out, out + TILE);
    for (size_t i = 0; i < PACK; i++)
        for (size_t p = 0; p < PACK; p++) {
            const an_bf16 want = i < n && p < k ? rounded[trans ? i * LD + p : p * LD + i] : 0;
            const size_t in = i % LINES;
            assert_int_equal(out[i / LINES * TILE + (of_b ? p / 2 * 32 + 2 * in + p % 2 : in * 32 + p)], want);
        }
}

static void every_number_has_its_place(void **state)
{
    static const size_t SIZES[] = { 0, 1, 2, 15, 16, 17, 31, 32, 33 };
    enum { N_SIZES = sizeof SIZES / sizeof *SIZES };
    (void)state;
    for (int how = 0; how < 8; how++)
        for (size_t s = 0; s < N_SIZES * N_SIZES; s++) one(how & 1, how >> 1 & 1, how >> 2, SIZES[s % N_SIZES], SIZES[s / N_SIZES]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_number_has_its_place) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
