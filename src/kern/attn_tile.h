/* kern/attn_tile.h
 * The tile edge of attention and the size of its workspace: one place for the kernels that lay `work` out and for
 * an_attn_work that sizes it. The largest user is the tiled backward: five padded copies of a head (Q, Q^T, dO, dO^T, dQ),
 * one row of statistics, four key tiles (K, V, dK, dV), three score tiles (P, dS, mask). */
#ifndef AN_KERN_ATTN_TILE_H
#define AN_KERN_ATTN_TILE_H

#include <stddef.h>

enum { AN_ATTN_TILE = 64, AN_ATTN_LANES = 16 /* the widest vector of any level */ };

static inline size_t an_attn_round(size_t n, size_t to) { return (n + to - 1) / to * to; }

static inline size_t an_attn_work_reals(size_t t, size_t d)
{
    const size_t tp = an_attn_round(t, AN_ATTN_TILE), dp = an_attn_round(d, AN_ATTN_LANES), tile = AN_ATTN_TILE;
    return 5 * tp * dp + 4 * tp + 4 * tile * dp + 3 * tile * tile + AN_ATTN_LANES;   /* the last: room to align the start */
}

#endif
