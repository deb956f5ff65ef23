/* kern/amx/tiles.h
 * The shape of all tiles: 16 rows of 64 bytes. It is loaded at each call of a kernel, since a library on this thread may have loaded another. */
#ifndef AN_KERN_AMX_TILES_H
#define AN_KERN_AMX_TILES_H

#ifndef AN_AMX_EMULATED
#include <immintrin.h>
#endif

enum { SIDE = 16 };

typedef struct tile_shape { unsigned char palette, start, reserved[14]; unsigned short bytes[16]; unsigned char rows[16]; } tile_shape;

static inline void tiles_begin(void)
{
    tile_shape shape = { .palette = 1 };
    for (int t = 0; t < 8; t++) shape.bytes[t] = 64, shape.rows[t] = SIDE;
    _tile_loadconfig(&shape);
}

static inline void tiles_end(void) { _tile_release(); }

#endif
