/* op/tiles.h
 * How a matrix product is cut into parts: a grid of output tiles whose size depends on the shape alone. Each tile is one
 * single-thread product over the full inner dimension, so no sum crosses a part and any number of threads gives the
 * same bits. Tiles are large (packing is paid once per tile) but there are at least about eight of them when the
 * product is worth sharing. */
#ifndef AN_OP_TILES_H
#define AN_OP_TILES_H

#include "op/op.h"

typedef struct an_tiles { size_t m, n, tile_m, tile_n, grid_m, grid_n; } an_tiles;
typedef struct an_tile { size_t i, j, m, n; } an_tile;

an_tiles an_tiles_make(size_t m, size_t n, size_t k, bool mixed);   /* mixed: of mixed precision, whose tiles are larger */
an_tiles an_tiles_of(size_t m, size_t n, size_t tile_m, size_t tile_n);
static inline size_t an_tiles_count(const an_tiles *t) { return t->grid_m * t->grid_n; }
an_tile an_tiles_at(const an_tiles *t, size_t index);
/* The same grid with every boundary inside moved down to a multiple of so many rows and columns; a tile may become empty. */
an_tile an_tiles_at_units(const an_tiles *t, size_t index, size_t rows, size_t columns);

#endif
