/* op/tiles.c
 * Choice of tile. A product of less than 4 Mflop stays whole. Else the grid is a power of two each way, so that few
 * processors are loaded evenly: tiles of about 256 rows and 768 columns, cut further along their longer side until they are
 * at most 40 Mflop or there are eight. Smaller tiles pack the same operands more often: measured in SPEED.md. Tiles of the same columns are
 * neighbours, so that what one thread makes after the other reads the same part of the second operand. */
#include "op/tiles.h"

enum { ROWS = 256, COLUMNS = 768, ENOUGH = 8 };
static const double WHOLE = 4e6, TILE = 4e7, MIXED_TILE = 4e8;   /* flop; a unit for bf16 is done with so many in a tenth of the time, and packing is paid for all the same */

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t even_split(size_t n, size_t parts) { return (ceil_div(n, parts) + 15) / 16 * 16; }   /* near-equal tiles, whole registers */

/* The largest power of two that leaves at least `size` in each part. */
static size_t parts_of(size_t n, size_t size)
{
    size_t parts = 1;
    while (n / (2 * parts) >= size) parts *= 2;
    return parts;
}

an_tiles an_tiles_make(size_t m, size_t n, size_t k, bool mixed)
{
    const double flops = 2.0 * (double)m * (double)n * (double)k, tile = mixed ? MIXED_TILE : TILE;
    size_t gm = parts_of(m, ROWS), gn = parts_of(n, COLUMNS);
    while (flops >= WHOLE && (gm * gn == 1 || (gm * gn < ENOUGH && flops / (double)(gm * gn) > tile))) {
        if (m / gm >= n / gn) gm *= 2;
        else gn *= 2;
    }
    return an_tiles_of(m, n, even_split(m, gm), even_split(n, gn));
}

an_tiles an_tiles_of(size_t m, size_t n, size_t tile_m, size_t tile_n)
{
    return (an_tiles){ m, n, tile_m, tile_n, tile_m ? ceil_div(m, tile_m) : 0, tile_n ? ceil_div(n, tile_n) : 0 };
}

an_tile an_tiles_at(const an_tiles *t, size_t index)
{
    const size_t i = index % t->grid_m * t->tile_m, j = index / t->grid_m * t->tile_n;
    return (an_tile){ i, j, t->m - i < t->tile_m ? t->m - i : t->tile_m, t->n - j < t->tile_n ? t->n - j : t->tile_n };
}

static size_t boundary(size_t at, size_t n, size_t unit) { return at >= n ? n : at / unit * unit; }

an_tile an_tiles_at_units(const an_tiles *t, size_t index, size_t rows, size_t columns)
{
    const an_tile all = an_tiles_at(t, index);
    const size_t i = boundary(all.i, t->m, rows), j = boundary(all.j, t->n, columns);
    return (an_tile){ i, j, boundary(all.i + all.m, t->m, rows) - i, boundary(all.j + all.n, t->n, columns) - j };
}
