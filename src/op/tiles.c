/* op/tiles.c
 * Choice of tile: at most 256 rows and 768 columns, halved along the longer grid side until there are eight tiles or
 * tiles fall below 64 x 64 or 2 Mflop. Measured in SPEED.md. */
#include "op/tiles.h"

static size_t ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static size_t even_split(size_t n, size_t parts) { return (ceil_div(n, parts) + 15) / 16 * 16; }   /* near-equal tiles, whole registers */

an_tiles an_tiles_make(size_t m, size_t n, size_t k)
{
    size_t gm = ceil_div(m, 256), gn = ceil_div(n, 768);
    if (gm == 0) gm = 1;
    if (gn == 0) gn = 1;
    while (gm * gn < 8) {
        const size_t tm = ceil_div(m, gm), tn = ceil_div(n, gn);
        if (2.0 * (double)tm * (double)tn * (double)k < 1.6e7) break;
        if (tm >= tn && tm > 64) gm *= 2;
        else if (tn > 64) gn *= 2;
        else break;
    }
    an_tiles t = { m, n, even_split(m, gm), even_split(n, gn), 0, 0 };
    t.grid_m = t.tile_m ? ceil_div(m, t.tile_m) : 0;
    t.grid_n = t.tile_n ? ceil_div(n, t.tile_n) : 0;
    return t;
}

an_tile an_tiles_at(const an_tiles *t, size_t index)
{
    const size_t i = index / t->grid_n * t->tile_m, j = index % t->grid_n * t->tile_n;
    return (an_tile){ i, j, t->m - i < t->tile_m ? t->m - i : t->tile_m, t->n - j < t->tile_n ? t->n - j : t->tile_n };
}
