/* op/linear.h
 * The three products of a linear layer and its bias, as tiles; shared by linear, linear_act and head_xent.
 * y [N,O] = x [N,I] w' + bias, w [O,I]. Operands may be stored as bfloat16, and so may results: a tile that is stored so is made in
 * a room of the thread's (an_linear_room) and rounded once. */
#ifndef AN_OP_LINEAR_H
#define AN_OP_LINEAR_H

#include "op/tiles.h"

/* A value, or a parameter, as products read it: the copy in bfloat16 where there is one. */
static inline an_operand an_linear_data(const an_value *v, size_t row)
{
    const size_t c = an_cols(v);
    if (v->low) return (an_operand){ (const an_bf16 *)v->low + row * c, c, AN_STORE_BF16 };
    if (v->home == AN_HOME_PARAM) return (an_operand){ v->data + row * c, c, AN_STORE_REAL };
    return an_operand_at((an_operand){ v->data, c, v->store }, row, 0);
}

/* The shapes of such a layer: inputs x, w, bias or absent; makes y. */
an_status an_linear_infer(struct an_build *b, an_step *s) AN_MUST_USE;

/* One tile of y = x w' + bias in reals, the tile's first element at out; bias NULL: none. */
void an_linear_forward_tile(const an_run *r, an_tile t, size_t inner, an_operand x, an_operand w, const an_real *bias, an_real *out, size_t ldy);

/* Reals of a room for one tile of y (or dx), where either is stored as bfloat16. */
size_t an_linear_room(const an_step *s, size_t n, size_t in, size_t out);
/* Rounds the tile at `room` into its place in x, [.., c]. */
void an_linear_round(const an_run *r, an_tile t, const an_real *room, an_cells x, size_t c);

/* Backward is one phase of independent parts: tiles of dx, tiles of dw, then column chunks of the bias gradient. */
size_t an_linear_backward_parts(size_t n, size_t in, size_t out, bool dx, bool dw, bool db);

/* "input grad", "weight grad" or, for the bias, "": what that part makes. */
const char *an_linear_backward_name(size_t n, size_t in, size_t out, bool dx, bool dw, size_t index);

typedef struct an_linear_grad {
    size_t n, in, out;
    an_operand x, w, dy;
    an_cells dx;                   /* p NULL: not wanted */
    an_real *dw, *db;              /* NULL: not wanted */
    bool add_x, add_w, add_b;
} an_linear_grad;
void an_linear_backward_part(const an_run *r, const an_linear_grad *g, const an_part *p);
/* The same for a step whose inputs are x, w and bias, with this gradient of its product. */
void an_linear_step_backward(const an_run *r, const an_step *s, an_operand dy, const an_part *p);

#endif
