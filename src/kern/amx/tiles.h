/* kern/amx/tiles.h
 * A product in tile registers. The shape of all tiles is 16 rows of 64 bytes; it is loaded at each call of a kernel, since a library on this thread may have loaded another. */
#ifndef AN_KERN_AMX_TILES_H
#define AN_KERN_AMX_TILES_H

#ifndef AN_AMX_EMULATED
#include <immintrin.h>
#endif

#include <stddef.h>

#include "core/real.h"

enum { SIDE = 16 };

typedef struct tile_shape { unsigned char palette, start, reserved[14]; unsigned short bytes[16]; unsigned char rows[16]; } tile_shape;

static inline void tiles_begin(void)
{
    tile_shape shape = { .palette = 1 };
    for (int t = 0; t < 8; t++) shape.bytes[t] = 64, shape.rows[t] = SIDE;
    _tile_loadconfig(&shape);
}

static inline void tiles_end(void) { _tile_release(); }

/* An operand in bfloat16: tile i (16 rows of A, 16 columns of B), step k (32 along the sum) begins at p + i*at_i + k*at_k, its rows are
 * `row` bytes apart. */
typedef struct tiled { const an_bf16 *p; size_t row, at_i, at_k; } tiled;

/* Memory to ask for while tiles multiply, for the second cache: so many lines a step from p on. */
typedef struct asked { const char *p; size_t lines; } asked;

/* C (+)= A B for 32 x 32 numbers of C and the steps [from, to) of the sum. Tiles 0..3 are C, 4 and 5 A, 6 and 7 B. */
static inline __attribute__((always_inline)) void block32(tiled a, tiled b, size_t from, size_t to, int add, float *c, size_t ldc, asked ask)
{
    const size_t row = ldc * sizeof *c;
    const an_bf16 *pa = a.p + from * a.at_k, *pb = b.p + from * b.at_k;
    if (add) {
        _tile_stream_loadd(0, c, row);
        _tile_stream_loadd(1, c + SIDE, row);
        _tile_stream_loadd(2, c + SIDE * ldc, row);
        _tile_stream_loadd(3, c + SIDE * ldc + SIDE, row);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    }
    for (size_t k = from; k < to; k++, pa += a.at_k, pb += b.at_k) {
        for (size_t i = 0; i < ask.lines; i++, ask.p += 64) __builtin_prefetch(ask.p, 0, 2);
        _tile_loadd(6, pb, b.row);
        _tile_stream_loadd(4, pa, a.row);
        _tile_loadd(7, pb + b.at_i, b.row);
        _tile_dpbf16ps(0, 4, 6);
        _tile_stream_loadd(5, pa + a.at_i, a.row);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, row);
    _tile_stored(1, c + SIDE, row);
    _tile_stored(2, c + SIDE * ldc, row);
    _tile_stored(3, c + SIDE * ldc + SIDE, row);
}

#endif
