/* train/optimizer.h
 * AdamW over a model's parameters. Measuring the gradient and applying it are two calls, so the loop can look at the
 * norm and stop before a non-finite gradient touches a parameter. Work is cut into fixed chunks and the norm is summed
 * in chunk order in double: the same bits for any number of threads.
 * Source: Loshchilov & Hutter, arXiv:1711.05101; clipping by global norm, Pascanu et al., arXiv:1211.5063 */
#ifndef AN_TRAIN_OPTIMIZER_H
#define AN_TRAIN_OPTIMIZER_H

#include <stdint.h>

#include "net/model.h"

typedef struct an_optimizer an_optimizer;

typedef struct an_optimizer_config {
    double beta1, beta2, eps;      /* eps is added outside the square root */
    double weight_decay;           /* decoupled, per unit of learning rate; times each tensor's rule.decay */
    double grad_clip;              /* largest global gradient norm; 0: no clipping */
    const char *lr_scale;          /* groups (train/groups.h), multiplying each tensor's rule.lr; NULL: none. Read by create only */
} an_optimizer_config;

/* Borrows `params`, which must outlive the optimizer. Errors: AN_ENOMEM; AN_ECONFIG for lr_scale. */
an_status an_optimizer_create(an_optimizer **out, const an_param *params, size_t count, const an_optimizer_config *config) AN_MUST_USE;
void an_optimizer_destroy(an_optimizer **optimizer);

size_t an_optimizer_bytes(size_t trained_scalars);   /* what the two moments will take */

/* Norm of all gradients together; NaN or infinite when any element is. */
double an_optimizer_grad_norm(an_optimizer *optimizer, int threads);

/* One update number `t` (counted from 1, it sets the bias correction) with the gradients as they stand; `grad_norm` is
 * what an_optimizer_grad_norm just returned. Tensors whose rule says so (rule.unit) then have their rows or columns scaled back
 * to length 1. Returns the norm after clipping. */
double an_optimizer_apply(an_optimizer *optimizer, double lr, uint64_t t, double grad_norm, int threads);

/* What the following calls of apply measure beside their work: the length of the update (weight decay included), and with
 * `tensors` those of each tensor. Neither changes a bit of the result. */
typedef struct an_tensor_norms { double grad, update, weight; } an_tensor_norms;   /* grad before clipping; update before lengths are held; weight at the end */
void an_optimizer_measure(an_optimizer *optimizer, bool update, bool tensors);
double an_optimizer_update_norm(const an_optimizer *optimizer);                     /* of the last apply; 0 if not measured */
const an_tensor_norms *an_optimizer_tensor_norms(const an_optimizer *optimizer);    /* one per parameter, of the last apply that measured them */

/* First and second moment of parameter `i`, as many elements as the parameter has; for checkpoints. */
an_real *an_optimizer_get_m(an_optimizer *optimizer, size_t i);
an_real *an_optimizer_get_v(an_optimizer *optimizer, size_t i);

#endif
