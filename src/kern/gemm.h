/* kern/gemm.h
 * The one seam through which matrix products go. A back end computes one product on one thread:
 *     C[m,n] = beta*C + op(A)[m,k] op(B)[k,n]      row-major, op = transpose when ta / tb
 * Callers cut a product into tiles whose number depends on shapes alone (op/tiles), so the same bits come out for any
 * thread count whatever the library does; libraries are called inside the parallel region and stay on one thread.
 * Back ends: oneDNN (API 2.x and 3.x), CBLAS, native (kern/simd), ref. ADDNORM_GEMM=onednn|cblas|native|ref forces one. */
#ifndef AN_KERN_GEMM_H
#define AN_KERN_GEMM_H

#include "core/real.h"
#include "core/status.h"

typedef struct an_gemm_backend {
    const char *name;                  /* "onednn 2.6.3", ... */
    size_t thread_bytes;               /* packing room a thread takes at its first products, about; 0: none */
    size_t process_bytes;              /* code made at run time and the like, once, about */
    void (*run)(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc);
} an_gemm_backend;

/* The back end of this process (chosen once): the forced one, else the best this build has for this CPU. */
const an_gemm_backend *an_gemm_get(void);
const an_gemm_backend *an_gemm_by_name(const char *name);   /* NULL when absent; "ref" is always there */
const char *an_gemm_note(void);                             /* "" or what is lost because a library is missing */

#endif
