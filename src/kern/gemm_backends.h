/* kern/gemm_backends.h
 * What the back ends share behind the seam: one file per back end, each answering "here I am" or NULL, and the cases that
 * libraries disagree about (empty products, beta 0 over garbage) settled once. Only gemm*.c includes this. */
#ifndef AN_KERN_GEMM_BACKENDS_H
#define AN_KERN_GEMM_BACKENDS_H

#include "kern/gemm.h"

const an_gemm_backend *an_gemm_onednn(void);
const an_gemm_backend *an_gemm_cblas(void);
const an_gemm_backend *an_gemm_native(void);    /* NULL where the kernel level in force has no micro-kernel */
const an_gemm_backend *an_gemm_ref(void);       /* never NULL */

/* C = beta*C; beta 0 stores zeros without reading C. */
static inline void an_gemm_scale_c(size_t m, size_t n, an_real beta, an_real *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
}

/* 1 when the product is empty and C already holds the result. */
static inline int an_gemm_empty(size_t m, size_t n, size_t k, an_real beta, an_real *c, size_t ldc)
{
    if (m == 0 || n == 0) return 1;
    if (k != 0) return 0;
    an_gemm_scale_c(m, n, beta, c, ldc);
    return 1;
}

/* 1 when every size fits the signed 32-bit integers of the BLAS interfaces. */
static inline int an_gemm_fits_int(size_t m, size_t n, size_t k, size_t lda, size_t ldb, size_t ldc)
{
    const size_t most = 0x7fffffff;
    return m <= most && n <= most && k <= most && lda <= most && ldb <= most && ldc <= most;
}

#endif
