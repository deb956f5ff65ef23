/* kern/amx/pack.h
 * Operands into the order in which tiles are loaded, in blocks of 16 x 16: sixteen pieces of 16 numbers are fetched along memory, turned in
 * registers and stored as 32 bytes each. Written in the compiler's vector types, so that the same lines run under test on any processor. */
#ifndef AN_KERN_AMX_PACK_H
#define AN_KERN_AMX_PACK_H

#include <stdint.h>
#include <string.h>

#include "kern/gemm.h"
#include "kern/unroll.h"

enum { PACK = 16, TILE = PACK * 32 };   /* TILE: numbers of a tile; of A [16 vectors][32 along k], of B [16 pairs along k][16 vectors][2] */

typedef uint16_t halves __attribute__((vector_size(32)));     /* 16 numbers as bfloat16 */
typedef uint32_t pairs __attribute__((vector_size(32)));      /* 8 pairs of them */

/* Within each 128 bits, the lower or upper numbers of a and b in turn; then the lower or upper 128 bits of both. */
#define WEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 8, 24, 9, 25, 10, 26, 11, 27)
#define WEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 20, 5, 21, 6, 22, 7, 23, 12, 28, 13, 29, 14, 30, 15, 31)
#define WEAVE_PAIRS_LOW(a, b) (halves)__builtin_shufflevector((pairs)(a), (pairs)(b), 0, 8, 1, 9, 4, 12, 5, 13)
#define WEAVE_PAIRS_HIGH(a, b) (halves)__builtin_shufflevector((pairs)(a), (pairs)(b), 2, 10, 3, 11, 6, 14, 7, 15)
#define JOIN_LOW(a, b) (halves)__builtin_shufflevector((pairs)(a), (pairs)(b), 0, 1, 2, 3, 8, 9, 10, 11)
#define JOIN_HIGH(a, b) (halves)__builtin_shufflevector((pairs)(a), (pairs)(b), 4, 5, 6, 7, 12, 13, 14, 15)

/* The bits of 8 reals, rounded to bfloat16 as an_bf16_round does, in the upper halves. */
static inline void round_upper(const float *x, halves *out)
{
    pairs bits;
    memcpy(&bits, x, sizeof bits);
    const pairs nan = (pairs)((bits & 0x7fffffffu) > 0x7f800000u);
    *out = (halves)((nan & (bits | 0x400000u)) | (~nan & (bits + 0x7fffu + (bits >> 16 & 1u))));
}

/* 16 numbers from x[at] on. */
static inline void fetch(an_operand x, size_t at, halves *out)
{
    halves low, high;
    if (x.store == AN_STORE_BF16) {
        memcpy(out, (const an_bf16 *)x.p + at, sizeof *out);
        return;
    }
    round_upper((const float *)x.p + at, &low);
    round_upper((const float *)x.p + at + PACK / 2, &high);
    *out = __builtin_shufflevector(low, high, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/* The same where only `have` exist; the others are zero. */
static inline void fetch_some(an_operand x, size_t at, size_t have, halves *out)
{
    an_bf16 part[PACK] = { 0 };
    for (size_t i = 0; i < have; i++) part[i] = x.store == AN_STORE_BF16 ? ((const an_bf16 *)x.p)[at + i] : an_bf16_round(((const float *)x.p)[at + i]);
    memcpy(out, part, sizeof *out);
}

/* Rows and columns of [16][16] exchanged: three rounds of weaving turn 8 x 8 within 128 bits, joining does the rest. */
static inline void turn(halves *r)
{
    halves t[PACK];
    V_UNROLL for (int round = 0; round < 3; round++) {
        V_UNROLL for (int g = 0; g < PACK; g += 8)
            V_UNROLL for (int i = 0; i < 4; i++) {
                t[g + 2 * i] = WEAVE_LOW(r[g + i], r[g + i + 4]);
                t[g + 2 * i + 1] = WEAVE_HIGH(r[g + i], r[g + i + 4]);
            }
        V_UNROLL for (int i = 0; i < PACK; i++) r[i] = t[i];
    }
    V_UNROLL for (int i = 0; i < 8; i++) {
        t[i] = JOIN_LOW(r[i], r[i + 8]);
        t[i + 8] = JOIN_HIGH(r[i], r[i + 8]);
    }
    V_UNROLL for (int i = 0; i < PACK; i++) r[i] = t[i];
}

/* [16 vectors][8 pairs] to [8 pairs][16 vectors], two registers a pair. */
static inline void turn_pairs(halves *r)
{
    halves t[PACK];
    V_UNROLL for (int round = 0; round < 2; round++) {
        V_UNROLL for (int g = 0; g < PACK; g += 4)
            V_UNROLL for (int i = 0; i < 2; i++) {
                t[g + 2 * i] = WEAVE_PAIRS_LOW(r[g + i], r[g + i + 2]);
                t[g + 2 * i + 1] = WEAVE_PAIRS_HIGH(r[g + i], r[g + i + 2]);
            }
        V_UNROLL for (int i = 0; i < PACK; i++) r[i] = t[i];
    }
    V_UNROLL for (int q = 0; q < 4; q++) {
        t[2 * q] = JOIN_LOW(r[q], r[q + 4]);
        t[2 * q + 1] = JOIN_LOW(r[q + 8], r[q + 12]);
        t[2 * q + 8] = JOIN_HIGH(r[q], r[q + 4]);
        t[2 * q + 9] = JOIN_HIGH(r[q + 8], r[q + 12]);
    }
    V_UNROLL for (int i = 0; i < PACK; i++) r[i] = t[i];
}

/* [16 along k][16 vectors] to [8 pairs][16 vectors][2]. */
static inline void weave(halves *r)
{
    V_UNROLL for (int q = 0; q < PACK; q += 2) {
        const halves low = WEAVE_LOW(r[q], r[q + 1]), high = WEAVE_HIGH(r[q], r[q + 1]);
        r[q] = JOIN_LOW(low, high);
        r[q + 1] = JOIN_HIGH(low, high);
    }
}

/* A block of 16 vectors of 16 numbers, of which n and k exist, to `out`: half of a tile, [16 vectors][16 of 32] of A or [8 pairs][16][2] of B.
 * Number p of vector i is x[p * ld + i] (trans 0) or x[i * ld + p] (trans 1). */
static inline void pack_block(int of_b, int trans, size_t n, size_t k, an_operand x, an_bf16 *out)
{
    halves r[PACK];
    const size_t rows = trans ? n : k, have = trans ? k : n;
    if (n >= PACK && k >= PACK) {
        V_UNROLL for (size_t i = 0; i < PACK; i++) fetch(x, i * x.ld, &r[i]);
    } else {
        for (size_t i = 0; i < PACK; i++) fetch_some(x, i * x.ld, i < rows ? have < PACK ? have : PACK : 0, &r[i]);
    }
    if (of_b && trans) turn_pairs(r);
    else if (of_b) weave(r);
    else if (!trans) turn(r);
    V_UNROLL for (size_t i = 0; i < PACK; i++) memcpy(out + i * (of_b ? PACK : 2 * PACK), &r[i], sizeof r[i]);
}

#endif
