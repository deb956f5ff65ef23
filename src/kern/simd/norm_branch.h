/* kern/simd/norm_branch.h
 * Shared by the norm rows forward and backward (norm_fwd.h, norm_bwd.h): the storage of the branch, which is f, y and dy of type `branch`, bfloat16
 * where BRANCH_LOW is defined, beside a stream of reals (x, h and gradients of both); modes; dropout of f: words are drawn once, for 4 VL
 * elements at a time, and kept as one bit per element until the row is written. */
#ifndef AN_KERN_SIMD_NORM_BRANCH_H
#define AN_KERN_SIMD_NORM_BRANCH_H

#include "kern/ref/ref.h"
#include "kern/simd/simd.h"
#include "kern/simd/vec_rng.h"

/* A branch's storage: its rows of the table and of the reference; vectors of it; the line around p + i asked for, once per line in a loop over i. */
#ifdef BRANCH_LOW
typedef an_bf16 branch;
#define NORM_ROW(row) AN_SIMD(row##_low)
#define NORM_REF(row) an_ref_##row##_low
V_FN vf get_branch(const branch *p, size_t left) { return v_get_bf16(p, left); }
V_FN void put_branch(branch *p, size_t left, vf a, int stream)
{
    if (stream) v_stream_bf16(p, a);
    else v_put_bf16(p, left, a);
}
V_FN void ask_branch(const branch *p, size_t i)
{
    if (i % 32 == 0) _mm_prefetch((const char *)(p + i), _MM_HINT_T0);
}
static void drop_branch(size_t n, const an_drop *d, const branch *f, float *to)
{
    AN_SIMD(widen)(n, f, to);
    AN_SIMD(dropout)(n, d->key, d->base, d->p, to, to, 0);
}
#else
typedef float branch;
#define NORM_ROW(row) AN_SIMD(row)
#define NORM_REF(row) an_ref_##row
V_FN vf get_branch(const branch *p, size_t left) { return v_get(p, left); }
V_FN void put_branch(branch *p, size_t left, vf a, int stream)
{
    if (stream) v_stream(p, a);
    else v_put(p, left, a);
}
V_FN void ask_branch(const branch *p, size_t i) { v_prefetch(p, i); }
static void drop_branch(size_t n, const an_drop *d, const branch *f, float *to) { AN_SIMD(dropout)(n, d->key, d->base, d->p, f, to, 0); }
#endif

enum { FUSED = 1, AFFINE = 2, STREAM = 4, DROP = 8 };   /* modes, each compiled for itself: f is there; gain and bias (dg and db too) are; store past the caches; f is dropped */
enum { WIDEST = 16384 };                         /* row whose dropped elements fit the stack, as bits; wider ones take two passes */
/* Rows so wide that one does not stay in the first cache with gain, bias and their gradients are done in groups, so that those are fetched half as
 * often; in the modes with both only, since every mode is compiled twice for it. */
enum { GROUP = 2, WIDE = 2048 };

/* The coins of one row: its key and first block, which words drop, and VL bits per vector for those that do. */
typedef struct coins { an_rng_key key; uint64_t block; uint32_t limit; float keep; uint16_t *dropped; } coins;

V_FN void toss(const coins *k, size_t at)   /* for the elements [at, at + 4 VL) */
{
    vi words[4];
    v_philox(k->key, k->block + at / 4, words);
    for (size_t j = 0; j < 4; j++) k->dropped[at / VL + j] = (uint16_t)vm_bits(v_word_below(words[j], k->limit));
}

V_FN vf after_toss(const coins *k, size_t at, vf v) { return v_sel(vm_of(k->dropped[at / VL]), v_zero(), v_div(v, v_set(k->keep))); }

/* Whether words can be drawn whole, from a row's start on, and some of them drop. */
static int tossable(const an_drop *d, size_t c, coins *k)
{
    const double limit = ceil((double)d->p * 0x1p32);
    *k = (coins){ d->key, d->base / 4, limit > 0 && limit < 0x1p32 ? (uint32_t)limit : 0, 1.0f - d->p, NULL };
    return k->limit > 0 && c % 4 == 0 && d->base % 4 == 0 && c <= WIDEST;
}

V_FN void put(float *p, size_t left, vf a, int stream)   /* stream: p is aligned and left >= VL */
{
    if (stream) v_stream(p, a);
    else v_put(p, left, a);
}

V_FN int streams(const float *p, size_t c) { return c % VL == 0 && v_aligned(p); }
V_FN int branch_streams(const branch *p, size_t c) { return c % VL == 0 && (uintptr_t)p % (VL * sizeof *p) == 0; }

V_FN vf only(vf a, size_t left) { return left >= VL ? a : v_sel(v_tail(left), a, v_zero()); }

#endif
