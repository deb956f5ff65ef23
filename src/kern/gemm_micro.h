/* kern/gemm_micro.h
 * What an instruction set brings to the native product: packing, a register-blocked inner kernel and the block sizes that
 * suit its registers and the usual caches, as data beside the pointers. kern/simd/gemm.c makes one per level; the blocking
 * around it (kern/gemm_native.c) is written once. */
#ifndef AN_KERN_GEMM_MICRO_H
#define AN_KERN_GEMM_MICRO_H

#include "kern/gemm.h"

typedef struct an_gemm_micro {
    const char *name;
    size_t unit, kr;      /* bytes of a packed element; packed panels are filled up with zeros to a multiple of kr along k */
    size_t mr, nr;        /* register tile */
    size_t mc, kc, nc;    /* mc x kc of A stays in L2, kc x nr of B in L1, kc x nc of B in L3; mc, nc multiples of mr, nr, kc of kr */
    int apart;            /* sums of mc x nc are kept in a block of their own in L2 and go to C row by row, once: for register tiles so high
                             that each of their rows would touch another page of C */
    /* n vectors of k elements, element (p, i) at x[p*ld + i] (trans 0) or x[i*ld + p] (trans 1), into padded panels of mr (pack_a) or
     * nr (pack_b), `panel` elements from one to the next: more than these k take where others pack the rest. A of trans 1 may be written
     * up to AN_GEMM_SLACK elements past the last panel, nothing else is. */
    void (*pack_a)(int trans, size_t n, size_t k, an_operand x, void *out, size_t panel);
    void (*pack_b)(int trans, size_t n, size_t k, an_operand x, void *out, size_t panel);
    /* C[m,n] = beta*C + A B from packed panels; beta 0 does not read C */
    void (*block)(size_t m, size_t n, size_t k, const void *a, const void *b, float beta, float *c, size_t ldc);
    /* The same with A as it lies, row-major reals: for a C so narrow that packing A would not pay; NULL: there is none */
    void (*block_rows)(size_t m, size_t n, size_t k, const float *a, size_t lda, const void *b, float beta, float *c, size_t ldc);
    /* C[m,n] = beta*C + A B' straight from row-major reals A[m,k], B[n,k]: for so few rows that packing B would cost more than it saves; or NULL */
    void (*few)(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);
} an_gemm_micro;

enum { AN_GEMM_SLACK = 16, AN_GEMM_MOST_KC = 512, AN_GEMM_MOST_MR_NR = 64, AN_GEMM_MOST_MR = 32 /* of kernels with sums apart, whose nc is AN_SINK_WIDTH at least: limits that gemm_native.c relies on */, AN_GEMM_FEW = 8, AN_GEMM_NARROW = 512 };

/* The whole product by a given level's kernel, and packing for it (an_gemm_packing), for tests and bench. Its instructions must be there. */
void an_gemm_native_with(const an_gemm_micro *micro, const an_product *x);
void an_gemm_native_pack(const an_gemm_micro *micro, an_side side, int trans, size_t n, size_t k, an_operand x, size_t from, size_t count, void *out);

#define LEVEL(isa) extern const an_gemm_micro an_##isa##_gemm_micro;
#include "kern/simd/levels.def"
#undef LEVEL
extern const an_gemm_micro an_amx_gemm_micro;

#endif
