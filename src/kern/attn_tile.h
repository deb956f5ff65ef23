/* kern/attn_tile.h
 * The tile edge of attention, the rows that count, and the size of the workspace: one place for the kernels that lay
 * `work` out and for an_attn_work that sizes it. At its front: the numbers of the rows that count. Then forward: padded copies of
 * all keys and values; backward: five padded copies of a block of queries (Q, Q^T, dO, dO^T, dQ) and their statistics. Both:
 * four key tiles (K, V, dK, dV; forward: Q, Q^T, O), three score tiles (P, dS, mask) and three more in bfloat16, for tiles of AMX. Linear in t,
 * and beyond the front the backward part in the rows of a block. */
#ifndef AN_KERN_ATTN_TILE_H
#define AN_KERN_ATTN_TILE_H

#include <string.h>

#include "kern/kern.h"

enum { AN_ATTN_TILE = AN_ATTN_BLOCK, AN_ATTN_LANES = 16 /* the widest vector of any level */, AN_ATTN_DEEP = 32 /* numbers of a row of a matrix tile */ };

static inline size_t an_attn_round(size_t n, size_t to) { return (n + to - 1) / to * to; }

/* Rows of padded copies are not a multiple of four cache lines apart, or one column of a tile would fall into a few sets of the first cache. */
enum { AN_ATTN_STRIDE = AN_ATTN_TILE + AN_ATTN_LANES };   /* of tiles of scores and of transposed copies */
enum { AN_ATTN_LOW_REALS = 3 * AN_ATTN_TILE * AN_ATTN_TILE / 2 };
static inline size_t an_attn_stride(size_t d)
{
    const size_t wide = an_attn_round(d, AN_ATTN_LANES);
    return wide % (4 * AN_ATTN_LANES) ? wide : wide + AN_ATTN_LANES;
}
static inline size_t an_attn_key_reals(const an_attn_spec *s)   /* of one tile, as it is or transposed */
{
    const size_t plain = AN_ATTN_TILE * an_attn_stride(s->d), transposed = AN_ATTN_STRIDE * an_attn_round(s->d, AN_ATTN_DEEP);
    return plain > transposed ? plain : transposed;
}

/* The larger user of what lies behind the list of rows. */
static inline size_t an_attn_tall_reals(const an_attn_spec *s)
{
    const size_t tile = AN_ATTN_TILE, rows = s->rows && s->rows < s->t ? s->rows : s->t;
    const size_t keys = an_attn_round(s->t, tile), queries = an_attn_round(rows, tile);
    const size_t fwd = (2 * an_attn_stride(s->d) + 1) * keys + 4 * tile, bwd = 5 * queries / tile * an_attn_key_reals(s) + 4 * queries;
    return fwd > bwd ? fwd : bwd;
}

static inline size_t an_attn_work_reals(const an_attn_spec *s)
{
    const size_t scores = (size_t)AN_ATTN_TILE * AN_ATTN_STRIDE;
    return an_attn_round(s->t, AN_ATTN_LANES) + an_attn_tall_reals(s) + 4 * an_attn_key_reals(s) + 3 * scores + AN_ATTN_LOW_REALS + AN_ATTN_LANES;   /* the last: room to align the start */
}

/* The rows that count: n of them, row number i in memory at[i]; at NULL: all of them. */
typedef struct an_attn_rows { const uint32_t *at; size_t n; } an_attn_rows;

static inline size_t an_attn_row(const an_attn_rows *r, size_t i) { return r->at ? r->at[i] : i; }

/* list: t words, the front of `work` (a row number is below 2^32: a sequence is an array of 32-bit tokens in memory). */
static inline an_attn_rows an_attn_present(const an_attn_spec *s, void *list)
{
    size_t first = 0;
    while (s->tokens && first < s->t && s->tokens[first] >= 0) first++;
    if (!s->tokens || first == s->t) return (an_attn_rows){ NULL, s->t };
    uint32_t *at = list;
    size_t n = 0;
    for (size_t i = 0; i < s->t; i++)
        if (s->tokens[i] >= 0) at[n++] = (uint32_t)i;
    return (an_attn_rows){ at, n };
}

/* Zeros in the padding among the rows [from, to) of x, `width` bytes of every `ld`. */
static inline void an_attn_clear(const an_attn_spec *s, const an_attn_rows *r, size_t from, size_t to, size_t width, size_t ld, void *x)
{
    for (size_t i = from; r->at && i < to; i++)
        if (s->tokens[i] < 0) memset((char *)x + i * ld, 0, width);
}

#endif
