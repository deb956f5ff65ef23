/* plan/gaps.c
 * Pieces and gaps are a list in the order of their addresses, so that a freed piece finds its neighbours at once; the gaps are
 * also a search tree by (size, address), in which the first that is large enough is the tightest. The tree is a treap: each
 * node's priority is a hash of its number, so its shape, and with it the depth of log n, does not depend on the history. */
#include "plan/gaps.h"

#include <stdint.h>
#include <stdlib.h>

#include "core/arena.h"

enum { NONE = 0 };                                       /* node 0 ends lists and trees */

typedef struct node {
    size_t offset, size, before, after;                  /* neighbours by address */
    size_t left, right;                                  /* in the tree, while it is a gap */
    bool gap;
} node;

struct an_gaps { node *node; size_t n, spare; };         /* node[1, n) are in use or in the list of spare ones, chained by `after` */

static uint64_t priority(size_t i)
{
    uint64_t h = (uint64_t)i * 0x9E3779B97F4A7C15u;
    h ^= h >> 32;
    return h * 0xD6E8FEB86659FD93u;
}

static bool comes_before(const node *a, const node *b) { return a->size != b->size ? a->size < b->size : a->offset < b->offset; }

/* Nodes before `at` and the others. */
static void split(an_gaps *g, size_t tree, const node *at, size_t *low, size_t *high)
{
    while (tree) {
        node *t = &g->node[tree];
        if (comes_before(t, at)) {
            *low = tree;
            low = &t->right;
            tree = *low;
        } else {
            *high = tree;
            high = &t->left;
            tree = *high;
        }
    }
    *low = *high = NONE;
}

static size_t merge(an_gaps *g, size_t low, size_t high)
{
    size_t root = NONE, *to = &root;
    while (low && high) {
        if (priority(low) > priority(high)) {
            *to = low;
            to = &g->node[low].right;
            low = *to;
        } else {
            *to = high;
            to = &g->node[high].left;
            high = *to;
        }
    }
    *to = low ? low : high;
    return root;
}

/* The tree hangs at node 0's left. */
static void insert(an_gaps *g, size_t i)
{
    size_t *to = &g->node[NONE].left;
    while (*to && priority(*to) > priority(i)) to = comes_before(&g->node[*to], &g->node[i]) ? &g->node[*to].right : &g->node[*to].left;
    split(g, *to, &g->node[i], &g->node[i].left, &g->node[i].right);
    *to = i;
    g->node[i].gap = true;
}

static void take_out(an_gaps *g, size_t i)
{
    size_t *to = &g->node[NONE].left;
    while (*to != i) to = comes_before(&g->node[*to], &g->node[i]) ? &g->node[*to].right : &g->node[*to].left;
    *to = merge(g, g->node[i].left, g->node[i].right);
    g->node[i].gap = false;
}

an_gaps *an_gaps_create(size_t limit, size_t most)
{
    an_gaps *g = an_alloc(sizeof *g);
    if (!g) return NULL;
    g->node = an_alloc((most + 2) * sizeof *g->node);     /* each placement makes one node at most; one for all of it, and node 0 */
    if (!g->node) {
        free(g);
        return NULL;
    }
    g->node[1] = (node){ .size = limit };
    g->n = 2;
    insert(g, 1);
    return g;
}

void an_gaps_destroy(an_gaps **gaps)
{
    if (!*gaps) return;
    free((*gaps)->node);
    free(*gaps);
    *gaps = NULL;
}

static size_t tightest(const an_gaps *g, size_t size)
{
    size_t best = NONE;
    for (size_t at = g->node[NONE].left; at;) {
        const bool fits = g->node[at].size >= size;
        if (fits) best = at;
        at = fits ? g->node[at].left : g->node[at].right;
    }
    return best;
}

bool an_gaps_take(an_gaps *g, size_t size, size_t *piece)
{
    const size_t i = tightest(g, size);
    if (!i) return false;
    take_out(g, i);
    *piece = i;
    node *p = &g->node[i];
    if (p->size == size) return true;
    const size_t rest = g->spare ? g->spare : g->n++;
    node *r = &g->node[rest];
    if (g->spare) g->spare = r->after;
    *r = (node){ .offset = p->offset + size, .size = p->size - size, .before = i, .after = p->after };
    if (r->after) g->node[r->after].before = rest;
    p->after = rest;
    p->size = size;
    insert(g, rest);
    return true;
}

size_t an_gaps_offset(const an_gaps *g, size_t piece) { return g->node[piece].offset; }

/* The gap `next`, right behind `i`, becomes part of it. */
static void swallow(an_gaps *g, size_t i, size_t next)
{
    node *a = &g->node[i], *b = &g->node[next];
    a->size += b->size;
    a->after = b->after;
    if (a->after) g->node[a->after].before = i;
    b->after = g->spare;
    g->spare = next;
}

void an_gaps_give(an_gaps *g, size_t piece)
{
    const size_t before = g->node[piece].before, after = g->node[piece].after;
    if (after && g->node[after].gap) {
        take_out(g, after);
        swallow(g, piece, after);
    }
    if (before && g->node[before].gap) {
        take_out(g, before);
        swallow(g, before, piece);
        piece = before;
    }
    insert(g, piece);
}
