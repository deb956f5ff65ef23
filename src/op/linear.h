/* op/linear.h
 * The three products of a linear layer and its bias, as tiles; shared by linear, linear_act and head_xent.
 * y [N,O] = x [N,I] w' + bias, w [O,I]. */
#ifndef AN_OP_LINEAR_H
#define AN_OP_LINEAR_H

#include "op/tiles.h"

/* One tile of y = x w' + bias; bias NULL: none. y has leading dimension ldy. */
void an_linear_forward_tile(const an_run *r, an_tile t, size_t inner, const an_real *x, const an_real *w, const an_real *bias, an_real *y, size_t ldy);

/* Backward is one phase of independent parts: tiles of dx, tiles of dw, then column chunks of the bias gradient. */
size_t an_linear_backward_parts(size_t n, size_t in, size_t out, bool dx, bool dw, bool db);

typedef struct an_linear_grad {
    size_t n, in, out;
    const an_real *x, *w, *dy;
    an_real *dx, *dw, *db;         /* NULL: not wanted */
    bool add_x, add_w, add_b;
} an_linear_grad;
void an_linear_backward_part(const an_run *r, const an_linear_grad *g, size_t index);

#endif
