/* kern/gemm.h
 * The one seam through which matrix products go. A back end computes one product on one thread:
 *     C[m,n] = beta*C + op(A)[m,k] op(B)[k,n]      row-major, op = transpose when ta / tb
 * Callers cut a product into tiles whose number depends on shapes alone (op/tiles), so the same bits come out for any
 * thread count whatever the library does; libraries are called inside the parallel region and stay on one thread.
 * Products of mixed precision (run_low) are ours on every level, also under a library's name: libraries take no two kinds of operand.
 * Where tiles multiply, oneDNN takes those of two bfloat16 operands, as a yardstick.
 * Back ends: native (kern/simd), oneDNN (API 2.x and 3.x), CBLAS, ref. ADDNORM_GEMM=native|onednn|cblas|ref forces one. */
#ifndef AN_KERN_GEMM_H
#define AN_KERN_GEMM_H

#include <stdbool.h>

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

/* An operand packed ahead of the products that share it; a product begins with its vector `at`. p NULL: read as it lies. */
typedef struct an_packed { const void *p; size_t n, at; } an_packed;

/* Takes a product block by block, each as soon as its sums are complete and while they are in cache: m x n of them, those of C from row i,
 * column j on, in rows ld apart, which it may overwrite. Where C has at most AN_SINK_WIDTH columns every block has them all. The first member
 * of whatever it needs. */
enum { AN_SINK_WIDTH = 384 };
typedef struct an_sink { void (*take)(const struct an_sink *self, size_t i, size_t j, size_t m, size_t n, an_real *sums, size_t ld); } an_sink;

typedef struct an_product {
    int ta, tb;
    size_t m, n, k;
    an_operand a, b;
    an_packed ahead_a, ahead_b;
    an_real beta, *c;
    size_t ldc;
    const an_sink *sink;               /* where the product goes instead of to C (beta is 0 then, k at least 1; only an_gemm_packing.run with `sinks`); NULL: to C */
} an_product;

/* Products that read the same operand can share one packing of it. An operand is n vectors (rows of C for A, columns for B) of k
 * numbers, number p of vector i at x[p*ld + i] (trans 0) or x[i*ld + p] (trans 1). `pack` packs those that lie in rows [from, from + count)
 * of memory: parts that begin at multiples of AN_PACK_STEP vectors (trans 1) or AN_PACK_DEPTH numbers (trans 0) and end there, or where x
 * ends, may be packed by several threads at once.
 * A of trans 1 is never packed ahead: it can be read as it lies. `run` gives the bits of the unpacked product. */
typedef enum an_side { AN_SIDE_A, AN_SIDE_B } an_side;
typedef struct an_gemm_packing {
    size_t unit_a, unit_b;             /* `at` must be a multiple of this many vectors */
    void (*pack)(an_side side, int trans, size_t n, size_t k, an_operand x, size_t from, size_t count, void *out);
    void (*run)(const an_product *x);
    bool sinks;                        /* `run` takes products with a sink */
} an_gemm_packing;

enum { AN_PACK_UNIT = 48, AN_PACK_STEP = 96, AN_PACK_DEPTH = 32 };   /* no unit is larger; a multiple of every unit; of every step along k that panels are filled up to */

/* Reals that n vectors of k numbers take at most, packed ahead by whatever back end. */
static inline size_t an_packed_room(size_t n, size_t k) { return (n + AN_PACK_UNIT) * ((k + AN_PACK_DEPTH - 1) / AN_PACK_DEPTH * AN_PACK_DEPTH); }

typedef struct an_gemm_backend {
    const char *name;                  /* "native avx512", "onednn 2.6.3", ... */
    size_t thread_bytes;               /* packing room a thread takes at its first products, about; 0: none */
    size_t low_thread_bytes;           /* and at its first product of mixed precision */
    size_t process_bytes;              /* code made at run time and the like, once, about */
    void (*run)(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc);
    /* The same for operands stored either way, sums in reals. Where the processor multiplies bfloat16 faster (`low_unit` names
     * the unit), operands that are reals are rounded to it on the way in; elsewhere the arithmetic is that of `run`. */
    void (*run_low)(int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, an_real beta, an_real *c, size_t ldc);
    const char *low_unit;              /* "amx"; NULL: run_low multiplies reals */
    const an_gemm_packing *ahead, *ahead_low;   /* of `run` and of `run_low`; NULL: operands cannot be packed ahead */
} an_gemm_backend;

/* The back end of this process (chosen once): the forced one, else the best this build has for this CPU. */
const an_gemm_backend *an_gemm_get(void);
const an_gemm_backend *an_gemm_by_name(const char *name);   /* NULL when absent; "ref" is always there */
enum { AN_GEMM_BACKENDS = 4 };
const char *an_gemm_name(size_t i);                         /* the i-th of them, best first, by that name; NULL behind the last */
const char *an_gemm_get_unit(void);                         /* what multiplies operands of mixed precision, in words */
const char *an_gemm_note(void);                             /* "" or what is lost because a library is missing */

#endif
