/* kern/ref/ref_store.c
 * Matrices as whole numbers with a scale per row: quantise_int8. */
#include "kern/ref/ref.h"

/* The divisor is the rounded scale that readers multiply by, so no error of its own comes in; one division in reals, which every
 * level has to the same bit. A scale that rounds to 0 stores zeros; so small that it has few bits, it may leave numbers beyond 127, which stay there. */
void an_ref_quantise_int8(size_t n, size_t k, const an_real *x, int8_t *y, float *scale)
{
    for (size_t i = 0; i < n; i++, x += k, y += k) {
        an_real most = 0;
        for (size_t j = 0; j < k; j++) {
            const an_real size = isfinite(x[j]) ? an_fabs(x[j]) : AN_R(INFINITY);
            most = size > most ? size : most;
        }
        scale[i] = isfinite(most) ? (float)(most / 127) : NAN;
        for (size_t j = 0; j < k; j++) {
            const double q = scale[i] > 0 ? nearbyint((double)(x[j] / (an_real)scale[i])) : 0;
            y[j] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
        }
    }
}
