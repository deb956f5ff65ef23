/* stack.h
 * A bare stack of sub-layers between a Gaussian x0 and nothing: no embedding, no head, no loss. For laws at initialisation,
 * where the stream after every sub-layer is looked at. */
#ifndef AN_TESTS_STACK_H
#define AN_TESTS_STACK_H

#include "prop.h"
#include "net/net.h"

enum { STACK_ATTN = 1, STACK_MLP = 2, STACK_BOTH = 3, STACK_BIDIRECTIONAL = 4, STACK_TRAIN = 8 };   /* TRAIN: a probe behind the last layer, and a backward pass */

typedef struct stack {
    an_options *options;
    an_model_config config;
    an_params params;
    an_plan *plan;
    size_t n, rows;                /* sub-layers; tokens */
    an_value **stream;             /* [n + 1] values [rows, C], the first is x0 */
    an_value **branch;             /* [n] what each sub-layer adds, but for a constant factor: stack_factor */
    an_value **input;              /* [n] what each F reads */
    int32_t *tokens;               /* [rows] of which none is padding; else of no meaning */
} stack;

/* Stands for a loss: the sum of x_i w_i, w_i Gaussian numbers of a seed, so that the gradient at x is w. */
typedef struct stack_probe_attr { uint64_t seed; } stack_probe_attr;
extern const an_op stack_probe;
double stack_probe_weight(uint64_t seed, size_t i);

/* Ends the program when it cannot be built; n_layer, d_model, seq_len and design come from the settings. */
void stack_open(stack *s, int what, size_t batch, const char *format, ...) AN_PRINTF(4, 5);
void stack_draw(stack *s, uint64_t seed);              /* weights and x0 */
void stack_forward(stack *s);                          /* and with STACK_TRAIN backward, observed: stack_telemetry */
void stack_run(stack *s, uint64_t seed);               /* both */
const an_telemetry *stack_telemetry(const stack *s);
void stack_close(stack *s);
double stack_factor(const stack *s, size_t i);         /* constant on the branch of sub-layer i, where it joins the stream */
double stack_square(const an_value *v);                /* mean square */
double stack_token_cosine(const an_value *v, size_t seq);   /* mean over pairs of tokens of the same sequence */

/* Least squares of y on x; *r2 may be NULL. */
double stack_slope(size_t n, const double *x, const double *y, double *r2);

#endif
