/* kern/amx/pack.h
 * Operands into the order in which tiles are loaded, in squares of 32 vectors by 32 numbers, two tiles: rows of 64 bytes are fetched along
 * memory, turned in registers and stored in whole lines. Written in the compiler's vector types, so that the same lines run under test on
 * any processor. */
#ifndef AN_KERN_AMX_PACK_H
#define AN_KERN_AMX_PACK_H

#include <stdint.h>
#include <string.h>

#include "kern/gemm.h"
#include "kern/unroll.h"

enum { PACK = 32, LINES = 16, TILE = LINES * 32 };   /* TILE: numbers of a tile; of A [16 vectors][32 along k], of B [16 pairs along k][16 vectors][2] */

typedef uint16_t line __attribute__((vector_size(64)));       /* 32 numbers as bfloat16 */
typedef uint32_t line32 __attribute__((vector_size(64)));     /* 16 pairs of them */
typedef uint64_t line64 __attribute__((vector_size(64)));

/* Within each 128 bits, the lower or upper elements of a and b in turn. */
#define WEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 32, 1, 33, 2, 34, 3, 35, 8, 40, 9, 41, 10, 42, 11, 43, 16, 48, 17, 49, 18, 50, 19, 51, 24, 56, 25, 57, 26, 58, 27, 59)
#define WEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 36, 5, 37, 6, 38, 7, 39, 12, 44, 13, 45, 14, 46, 15, 47, 20, 52, 21, 53, 22, 54, 23, 55, 28, 60, 29, 61, 30, 62, 31, 63)
#define WEAVE32_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define WEAVE32_HIGH(a, b) __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define WEAVE64_LOW(a, b) (line32)__builtin_shufflevector((line64)(a), (line64)(b), 0, 8, 2, 10, 4, 12, 6, 14)
#define WEAVE64_HIGH(a, b) (line32)__builtin_shufflevector((line64)(a), (line64)(b), 1, 9, 3, 11, 5, 13, 7, 15)
#define UPPER_HALVES(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 49, 51, 53, 55, 57, 59, 61, 63)
/* 128 bits of each: the first and third quarter, or the second and fourth, of a and then of b. */
#define QUARTERS_EVEN(a, b) (line32)__builtin_shufflevector((line64)(a), (line64)(b), 0, 1, 4, 5, 8, 9, 12, 13)
#define QUARTERS_ODD(a, b) (line32)__builtin_shufflevector((line64)(a), (line64)(b), 2, 3, 6, 7, 10, 11, 14, 15)
/* After WEAVE_LOW and WEAVE_HIGH: the quarters of both in turn, of the lower or the upper half. */
#define JOIN_LOW(a, b) (line32)__builtin_shufflevector((line64)(a), (line64)(b), 0, 1, 8, 9, 2, 3, 10, 11)
#define JOIN_HIGH(a, b) (line32)__builtin_shufflevector((line64)(a), (line64)(b), 4, 5, 12, 13, 6, 7, 14, 15)

/* The bits of 16 reals, rounded to bfloat16 as an_bf16_round does, in the upper halves. */
static inline void round_upper(const float *x, line32 *out)
{
    line32 bits;
    memcpy(&bits, x, sizeof bits);
    const line32 nan = (line32)((bits & 0x7fffffffu) > 0x7f800000u);
    *out = (nan & (bits | 0x400000u)) | (~nan & (bits + 0x7fffu + (bits >> 16 & 1u)));
}

/* 32 numbers from x[at] on. */
static inline void fetch(an_operand x, size_t at, line32 *out)
{
    line32 low, high;
    if (x.store == AN_STORE_BF16) {
        memcpy(out, (const an_bf16 *)x.p + at, sizeof *out);
        return;
    }
    round_upper((const float *)x.p + at, &low);
    round_upper((const float *)x.p + at + PACK / 2, &high);
    *out = (line32)UPPER_HALVES((line)low, (line)high);
}

/* The same where only `have` exist; the others are zero. */
static inline void fetch_some(an_operand x, size_t at, size_t have, line32 *out)
{
    an_bf16 part[PACK] = { 0 };
    for (size_t i = 0; i < have; i++) part[i] = x.store == AN_STORE_BF16 ? ((const an_bf16 *)x.p)[at + i] : an_bf16_round(((const float *)x.p)[at + i]);
    memcpy(out, part, sizeof *out);
}

/* Row `row` of a square: all of it, or what exists. */
static inline void fetch_row(int whole, an_operand x, size_t row, size_t rows, size_t have, line32 *out)
{
    if (whole) fetch(x, row * x.ld, out);
    else fetch_some(x, row * x.ld, row < rows ? have < PACK ? have : PACK : 0, out);
}

static inline void put_tile(const line32 *r, an_bf16 *out)
{
    V_UNROLL for (size_t i = 0; i < LINES; i++) memcpy(out + i * PACK, &r[i], sizeof r[i]);
}

/* Rows and columns of 16 x 16 pairs exchanged: two rounds of weaving turn 4 x 4 within 128 bits, two more move those. */
static inline void turn(line32 *r)
{
    line32 t[LINES];
    V_UNROLL for (int i = 0; i < LINES; i += 4) {
        t[i] = WEAVE32_LOW(r[i], r[i + 1]);
        t[i + 1] = WEAVE32_HIGH(r[i], r[i + 1]);
        t[i + 2] = WEAVE32_LOW(r[i + 2], r[i + 3]);
        t[i + 3] = WEAVE32_HIGH(r[i + 2], r[i + 3]);
    }
    V_UNROLL for (int i = 0; i < LINES; i += 4) {              /* r[i + q]: column q of each 4 x 4, of rows i to i + 3 */
        r[i] = WEAVE64_LOW(t[i], t[i + 2]);
        r[i + 1] = WEAVE64_HIGH(t[i], t[i + 2]);
        r[i + 2] = WEAVE64_LOW(t[i + 1], t[i + 3]);
        r[i + 3] = WEAVE64_HIGH(t[i + 1], t[i + 3]);
    }
    V_UNROLL for (int q = 0; q < 4; q++) {
        const line32 even = QUARTERS_EVEN(r[q], r[q + 4]), odd = QUARTERS_ODD(r[q], r[q + 4]), even2 = QUARTERS_EVEN(r[q + 8], r[q + 12]), odd2 = QUARTERS_ODD(r[q + 8], r[q + 12]);
        t[q] = QUARTERS_EVEN(even, even2);
        t[q + 4] = QUARTERS_EVEN(odd, odd2);
        t[q + 8] = QUARTERS_ODD(even, even2);
        t[q + 12] = QUARTERS_ODD(odd, odd2);
    }
    V_UNROLL for (int i = 0; i < LINES; i++) r[i] = t[i];
}

/* A tile of 16 vectors that lie along memory, of which n and k numbers exist (the rest is zero). */
static inline __attribute__((always_inline)) void pack_tile(int of_b, size_t n, size_t k, an_operand x, an_bf16 *out)
{
    const int whole = n >= LINES && k >= PACK;
    line32 r[LINES];
    V_UNROLL for (size_t i = 0; i < LINES; i++) fetch_row(whole, x, i, n, k, &r[i]);
    if (of_b) turn(r);
    put_tile(r, out);
}

/* A square of which n vectors and k numbers exist (the rest is zero), its first 16 vectors to `low`, the others to `high`.
 * Number p of vector i is x[p * ld + i] (trans 0) or x[i * ld + p] (trans 1). */
static inline __attribute__((always_inline)) void pack_square(int of_b, int trans, size_t n, size_t k, an_operand x, an_bf16 *low, an_bf16 *high)
{
    if (trans) {                                               /* rows are vectors */
        pack_tile(of_b, n, k, x, low);
        pack_tile(of_b, n > LINES ? n - LINES : 0, k, an_operand_at(x, n > LINES ? LINES : 0, 0), high);
        return;
    }
    const int whole = n >= PACK && k >= PACK;
    line32 r[LINES], other[LINES];
    V_UNROLL for (size_t i = 0; i < LINES; i++) {              /* rows run along k: two of them are pairs of 32 vectors */
        line32 pair[2];
        fetch_row(whole, x, 2 * i, k, n, &pair[0]);
        fetch_row(whole, x, 2 * i + 1, k, n, &pair[1]);
        const line a = WEAVE_LOW((line)pair[0], (line)pair[1]), b = WEAVE_HIGH((line)pair[0], (line)pair[1]);
        r[i] = JOIN_LOW(a, b);
        other[i] = JOIN_HIGH(a, b);
        if (of_b) {
            memcpy(low + i * PACK, &r[i], sizeof r[i]);
            memcpy(high + i * PACK, &other[i], sizeof other[i]);
        }
    }
    if (of_b) return;
    turn(r);
    put_tile(r, low);
    turn(other);
    put_tile(other, high);
}

#endif
