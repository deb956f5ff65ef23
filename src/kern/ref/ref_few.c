/* kern/ref/ref_few.c
 * Products of few rows with a matrix in its storage: few_real, few_bf16, few_int8. */
#include "kern/ref/ref.h"

#define FEW(name, type, widen, by)                                                                                                              \
    void an_ref_##name(size_t m, size_t n, size_t k, const an_real *x, size_t ldx, const type *w, const float *scale, const an_real *bias, an_real *y, size_t ldy) \
    {                                                                                                                                           \
        (void)scale;                                                                                                                            \
        for (size_t i = 0; i < m; i++)                                                                                                          \
            for (size_t j = 0; j < n; j++) {                                                                                                    \
                double sum = 0;                                                                                                                 \
                for (size_t p = 0; p < k; p++) sum += (double)x[i * ldx + p] * (double)widen(w[j * k + p]);                                     \
                y[i * ldy + j] = (an_real)(sum * (by) + (bias ? (double)bias[j] : 0));                                                          \
            }                                                                                                                                   \
    }
FEW(few_real, an_real, , 1)
FEW(few_bf16, an_bf16, an_bf16_widen, 1)
FEW(few_int8, int8_t, , (double)scale[j])
