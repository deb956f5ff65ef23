/* net/gradcheck.h
 * The derivative test: is the gradient that the engine computes the derivative of the loss it computes? In double, per
 * parameter tensor, along one direction v (half random, half along the gradient, |v| = 1):
 *     sum g v   against   (L(theta + e v) - L(theta - e v)) / 2e,   e = 1e-5
 * on a small model with random parameters, every configuration key as in a run. */
#ifndef AN_NET_GRADCHECK_H
#define AN_NET_GRADCHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "core/text.h"

/* MISTRUSTED: a derivative so near 0 that the comparison proves nothing. SKIPPED: the model cannot be built; message says why. */
#define AN_GRADCHECK_STATUSES(X) X(PASS) X(FAIL) X(SKIPPED) X(MISTRUSTED)
typedef enum an_gradcheck_status {
#define AN_GRADCHECK_ENUM(name) AN_GRADCHECK_##name,
    AN_GRADCHECK_STATUSES(AN_GRADCHECK_ENUM)
#undef AN_GRADCHECK_ENUM
} an_gradcheck_status;

#define AN_GRADCHECK_TOLERANCE 1e-5   /* relative, per tensor */

typedef struct an_gradcheck_result {
    an_gradcheck_status status;
    size_t tensors, mistrusted;        /* tensors compared; of these with a derivative near 0 */
    double worst;                      /* largest relative error */
    double analytic, numeric;          /* of the worst tensor */
    char tensor[128];                  /* name of the worst tensor */
    char message[512];                 /* SKIPPED: the reason */
    bool planted;                      /* the model has the tensor to plant an error in */
    char near[AN_NAME];                /* without it: the tensor whose name is nearest; "": none is near */
} an_gradcheck_result;

/* The i-th case of the product norms (with their variants) x designs x positions x activations x architectures, as
 * "key=value key=value ..."; a filter of NULL takes all. Returns 0 past the last case. */
int an_gradcheck_case(size_t i, const char *norm, const char *design, const char *arch, char *text, size_t size);

/* Runs one case. plant: name of a tensor whose gradient is multiplied by plant_factor before it is compared (to see the
 * test fail), or NULL. Lives in the double engine; the float program reaches it through the sealed object. */
void an_f64_gradcheck(const char *settings, const char *plant, double plant_factor, an_gradcheck_result *result);

/* Name of the i-th parameter tensor of a case, to plant errors in: no buffers, no biases that norms remove; 0 past the last. */
int an_f64_gradcheck_tensor(const char *settings, size_t i, char *name, size_t size);

const char *an_gradcheck_status_name(an_gradcheck_status status);

#endif
