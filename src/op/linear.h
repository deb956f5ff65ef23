/* op/linear.h
 * The three products of a linear layer and its bias, as tiles; shared by linear, linear_act and head_xent, whose inputs are x, w and bias.
 * y [N,O] = x [N,I] w' + bias, w [O,I]. Operands may be stored as bfloat16, and so may results: a tile that is stored so is made in
 * reals, in blocks that the back end hands over or in a room of the thread's (an_linear_room), and rounded once.
 *
 * Where several tiles read the same operand, and the back end can (an_gemm_packing), a phase of its own packs it once, into the step's
 * scratch; sums are the same as when each tile packs for itself. */
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

/* Reals of a room for one tile of y or dx, where either is stored as bfloat16. */
size_t an_linear_room(const an_step *s);

/* Forward: phase 0 packs w into the step's scratch, phase 1 makes the tiles. */
enum { AN_LINEAR_PACK, AN_LINEAR_TILES };
size_t an_linear_forward_parts(const an_step *s, int phase);
size_t an_linear_forward_work(const an_step *s);                                    /* reals of scratch */
void an_linear_forward_pack(const an_step *s, const an_part *p);
an_tile an_linear_forward_at(const an_step *s, const an_part *p);                   /* which tile a part of phase 1 makes */
/* That tile of y = x w' + bias in reals, its first element at `to`; bias NULL: none. */
void an_linear_forward_tile(const an_run *r, const an_step *s, an_tile t, const an_real *bias, an_real *to, size_t ldy);
/* That tile of x w', block by block into a sink; room: an_linear_room reals, used where the back end has no blocks to hand over. */
void an_linear_forward_into(const an_run *r, const an_step *s, an_tile t, const an_sink *sink, an_real *room);
/* That tile of y = x w' + bias, rounded into its place in y. */
void an_linear_forward_rounded(const an_run *r, const an_step *s, an_tile t, const an_real *bias, an_cells y, an_real *room);
/* A tile of x w' of the rows of x from `row` on, where nothing is packed ahead. */
void an_linear_product_tile(const an_run *r, const an_step *s, size_t row, an_tile t, an_real *to, size_t ldy);
/* The same into a sink; room: t.m * t.n reals. */
void an_linear_product_into(const an_run *r, const an_step *s, size_t row, an_tile t, const an_sink *sink, an_real *room);

/* Backward: phase 0 packs w and the first stretch of rows; phase 1 makes dx and the bias gradient; each phase from 1 on adds one stretch
 * to dw and packs the next. */
enum { AN_LINEAR_LARGE = 4096 };        /* outputs from which on w is read from memory rather than from caches */
typedef struct an_linear_back {
    size_t n, in, out;
    bool dx, dw, db;
    bool mixed;                         /* an_step.mixed */
    bool wide;                          /* out is a vocabulary: neither w nor dy is held packed as a whole, all n rows are one stretch */
    const an_gemm_packing *ahead;       /* NULL: operands cannot be packed ahead */
} an_linear_back;
/* Of a step, with what it has gradients for. `planned`: all of them, before it is known. */
an_linear_back an_linear_back_of(const an_step *s, bool planned);
size_t an_linear_backward_parts(const an_linear_back *b, int phase);                /* may be AN_SKIP_PHASE; 0 behind the last */
size_t an_linear_backward_work(const an_linear_back *b);                            /* reals of scratch */
/* "input grad", "weight grad" or, for the bias, "": what that part makes. */
const char *an_linear_backward_name(const an_linear_back *b, int phase, size_t index);

size_t an_linear_room_back(const an_linear_back *b);                                /* reals of a room for a tile of dx */

typedef struct an_linear_grad {
    an_linear_back of;
    an_operand x, w, dy;
    an_cells dx;                        /* what `of` wants */
    an_real *dw, *db;
    bool add_x, add_w, add_b;
    an_real *room;                      /* an_linear_backward_work reals */
} an_linear_grad;
void an_linear_backward_part(const an_run *r, const an_linear_grad *g, int phase, const an_part *p);
/* The same for a step, with this gradient of its product. */
void an_linear_step_backward(const an_run *r, const an_step *s, an_operand dy, int phase, const an_part *p);

#endif
