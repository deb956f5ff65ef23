/* kern/gemm.h
 * The one seam through which matrix products go. A back end computes one product on one thread:
 *     C[m,n] = beta*C + op(A)[m,k] op(B)[k,n]      row-major, op = transpose when ta / tb
 * Callers cut a product into tiles whose number depends on shapes alone (op/tiles), so the same bits come out for any
 * thread count whatever the library does; libraries are called inside the parallel region and stay on one thread.
 * Products of mixed precision (run_low) are ours on every level: libraries take no two kinds of operand, and none of
 * those at hand has bf16 below AVX-512.
 * Back ends: oneDNN (API 2.x and 3.x), CBLAS, native (kern/simd), ref. ADDNORM_GEMM=onednn|cblas|native|ref forces one. */
#ifndef AN_KERN_GEMM_H
#define AN_KERN_GEMM_H

#include "core/real.h"
#include "core/status.h"

/* One operand of a product whose operands may be stored as bfloat16: row-major, ld elements from row to row. */
typedef struct an_operand { const void *p; size_t ld; an_store store; } an_operand;

/* The same from its row i, column j on. */
static inline an_operand an_operand_at(an_operand o, size_t i, size_t j)
{
    const size_t at = i * o.ld + j;
    o.p = o.store == AN_STORE_BF16 ? (const void *)((const an_bf16 *)o.p + at) : (const void *)((const an_real *)o.p + at);
    return o;
}

typedef struct an_gemm_backend {
    const char *name;                  /* "onednn 2.6.3", ... */
    size_t thread_bytes;               /* packing room a thread takes at its first products, about; 0: none */
    size_t process_bytes;              /* code made at run time and the like, once, about */
    void (*run)(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc);
    /* The same for operands stored either way, sums in reals. Where the processor multiplies bfloat16 faster (`low_unit` names
     * the unit), operands that are reals are rounded to it on the way in; elsewhere the arithmetic is that of `run`. */
    void (*run_low)(int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, an_real beta, an_real *c, size_t ldc);
    const char *low_unit;              /* "amx"; NULL: run_low multiplies reals */
} an_gemm_backend;

/* The back end of this process (chosen once): the forced one, else the best this build has for this CPU. */
const an_gemm_backend *an_gemm_get(void);
const an_gemm_backend *an_gemm_by_name(const char *name);   /* NULL when absent; "ref" is always there */
const char *an_gemm_note(void);                             /* "" or what is lost because a library is missing */

#endif
