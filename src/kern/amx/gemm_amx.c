/* kern/amx/gemm_amx.c
 * The inner part of the native product on AMX tiles: bf16 operands, sums in f32. A block of 32 x 32 of C is four tile
 * registers; a step along k loads two tiles of A (16 rows of 32 elements) and two of B (16 pairs of 32 elements, for 16
 * columns each) for four tile products. Panels are written in the order the tiles are loaded, 1 KiB each, so a load walks
 * straight through memory; k is filled up with zeros to whole tiles. Operands that are reals are rounded while they are packed.
 * A panel of B (32 columns of KC) takes 24 KiB of the first cache, a block of A 192 KiB and sums of it with one of B 768 KiB of the second.
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18 */
#include "kern/amx/pack.h"
#include "kern/amx/tiles.h"
#include "kern/gemm_micro.h"

#ifdef AN_AMX_EMULATED
#define AMX_MICRO an_amx_emulated_gemm_micro
extern const an_gemm_micro AMX_MICRO;   /* lives in the tests only */
#else
#define AMX_MICRO an_amx_gemm_micro
#endif

enum { MR = 32, NR = 32, STEP = 32, KC = 384, MC = 256, NC = 768 };

_Static_assert((int)KC <= (int)AN_GEMM_MOST_KC && MR + NR <= (int)AN_GEMM_MOST_MR_NR && (int)MR <= (int)AN_GEMM_MOST_MR && (int)NC >= (int)AN_SINK_WIDTH && (int)AN_SINK_WIDTH % NR == 0, "gemm_native.c relies on these");
_Static_assert((int)NR <= (int)AN_PACK_UNIT && (int)AN_PACK_STEP % NR == 0 && (int)AN_PACK_DEPTH % STEP == 0, "parts of what is packed ahead begin at whole panels and tiles");

static size_t steps_of(size_t k) { return (k + STEP - 1) / STEP; }

enum { AHEAD = 128 };   /* numbers of a row */

/* Asks for so many rows of memory, a line of each (of reals: two). */
static inline void ask(an_operand x, size_t row, size_t count, size_t rows, size_t at)
{
    const size_t wide = x.store == AN_STORE_BF16 ? sizeof(an_bf16) : sizeof(float);
    for (size_t r = row; r < rows && r < row + count; r++) {
        const char *p = (const char *)x.p + (r * x.ld + at) * wide;
        __builtin_prefetch(p, 0, 2);
        if (wide == sizeof(float)) __builtin_prefetch(p + 64, 0, 2);
    }
}

/* Panels of 32 vectors, two tiles a step along k. What does not exist is zero. Memory is walked in its own order, 16 rows at a time (32 where they
 * run along k), which the processor fetches ahead by itself; what is asked for was measured to help, all else to hinder (SPEED.md). */
static inline __attribute__((always_inline)) void pack(int of_b, int trans, size_t n, size_t k, an_operand x, an_bf16 *out, size_t panel)
{
    const size_t wide = (n + MR - 1) / MR * MR, deep = steps_of(k) * STEP;
    for (size_t row = 0; trans && row < wide; row += LINES)
        for (size_t at = 0; at < deep; at += PACK) {
            if (of_b) ask(x, row + LINES, LINES, n, at);
            pack_tile(of_b, row < n ? n - row : 0, k - at, row < n ? an_operand_at(x, row, at) : x, out + row / MR * panel + at / STEP * 2 * TILE + row % MR / LINES * TILE);
        }
    for (size_t row = 0; !trans && row < deep; row += PACK)
        for (size_t at = 0; at < wide; at += PACK) {
            an_bf16 *to = out + at / MR * panel + row / STEP * 2 * TILE;
            if (!of_b && at + AHEAD < n) ask(x, row, PACK, k, at + AHEAD);
            pack_square(of_b, 0, n - at, k - row, an_operand_at(x, row, at), to, to + TILE);
        }
}

_Static_assert((int)MR == PACK && (int)STEP == PACK, "a panel's step is a square");

#define PACK_AS(of_b)                                                                              \
    do {                                                                                           \
        const an_operand low = { x.p, x.ld, AN_STORE_BF16 }, reals = { x.p, x.ld, AN_STORE_REAL }; \
        if (x.store == AN_STORE_BF16 && trans) pack(of_b, 1, n, k, low, out, panel);               \
        else if (x.store == AN_STORE_BF16) pack(of_b, 0, n, k, low, out, panel);                   \
        else if (trans) pack(of_b, 1, n, k, reals, out, panel);                                    \
        else pack(of_b, 0, n, k, reals, out, panel);                                               \
    } while (0)

_Static_assert((int)MR == (int)NR, "one packing serves both");

static void pack_a(int trans, size_t n, size_t k, an_operand x, void *out, size_t panel) { PACK_AS(0); }
static void pack_b(int trans, size_t n, size_t k, an_operand x, void *out, size_t panel) { PACK_AS(1); }

/* 32 vectors as `pack` leaves them: two tiles a step. */
static tiled panel_of(const void *packed, size_t vectors, size_t steps) { return (tiled){ (const an_bf16 *)packed + vectors / MR * steps * 2 * TILE, 2 * STEP, TILE, 2 * TILE }; }

/* While a panel of B is in use the next one is asked for, in equal shares of its tiles. */
static void block(size_t m, size_t n, size_t k, const void *pa, const void *pb, float beta, float *c, size_t ldc)
{
    enum { STEP_BYTES = 2 * TILE * sizeof(an_bf16), STEP_LINES = STEP_BYTES / 64 };
    const size_t steps = steps_of(k), high = (m + MR - 1) / MR, lines = high ? (STEP_LINES + high - 1) / high : 0;
    _Alignas(64) float edge[MR * NR];
    tiles_begin();
    for (size_t j = 0; j < n; j += NR) {
        const size_t nb = n - j < NR ? n - j : NR;
        asked next = { (const char *)pb + (j / NR + 1) * steps * STEP_BYTES, j + NR < n ? lines : 0 };
        for (size_t i = 0; i < m; i += MR, next.p += steps * next.lines * 64) {
            const size_t mb = m - i < MR ? m - i : MR;
            const tiled a = panel_of(pa, i, steps), b = panel_of(pb, j, steps);
            float *to = c + i * ldc + j;
            if (mb == MR && nb == NR && (beta == 0 || beta == 1)) {
                block32(a, b, 0, steps, beta != 0, to, ldc, next);
                continue;
            }
            block32(a, b, 0, steps, 0, edge, NR, next);
            for (size_t r = 0; r < mb; r++)
                for (size_t q = 0; q < nb; q++) to[r * ldc + q] = beta == 0 ? edge[r * NR + q] : beta * to[r * ldc + q] + edge[r * NR + q];
        }
    }
    tiles_end();
}

const an_gemm_micro AMX_MICRO = {
    .name = "native amx", .unit = sizeof(an_bf16), .kr = STEP, .mr = MR, .nr = NR, .mc = MC, .kc = KC, .nc = NC, .apart = 1, .pack_a = pack_a, .pack_b = pack_b, .block = block,
};
