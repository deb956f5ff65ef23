/* kern/kern.h
 * The kernel table: pure single-thread functions on pointers. `ref` (plain C) is the definition of correct; faster tables
 * are laid over it in ascending order of instruction set, row by row. kernels.def is the only list of rows.
 *
 * Letters: n rows, c channels (contiguous), x in, y out, d* gradient of *. Matrices are row-major [n, c], dense unless an
 * ld* (leading dimension, in elements) is given. `add` = 0 stores the result, 1 adds it to what is there.
 * Pointers may be misaligned; inputs and outputs may not overlap unless a row says so. n or c may be 0. */
#ifndef AN_KERN_KERN_H
#define AN_KERN_KERN_H

#include <stdint.h>

#include "core/real.h"
#include "core/rng.h"

/* How a token-wise norm measures its row. With m = center ? mean(x) : 0 and v = sum((x-m)^2) / (unbiased ? c-1 : c):
 *   inside   rstd = 1 / sqrt(v + eps)          outside   rstd = 1 / (sqrt(v) + eps)
 *   y = g * (x - m) * rstd + b                 (g absent = 1, b absent = 0)
 * Backward, with h = (x - m) * rstd and e = g * dy:
 *   dx = rstd * (e - [center] mean(e) - kappa * h * mean(e * h)),   dg += sum_n dy * h,   db += sum_n dy
 *   kappa = (c / (unbiased ? c-1 : c)) * (outside ? (s + eps) / s : 1),   s = 1/rstd - eps;  kappa = 0 where s <= 0:
 *   a constant row under `outside` has an undefined derivative of s; its contribution is defined as 0 (finite). s is got
 *   back from the rounded rstd, so anything up to 4 AN_REAL_EPS eps is noise and counts as 0.
 * stream: a hint, without effect on any bit: what is stored (not added) will have left the caches before it is read, so
 * store past them where that can be done. */
typedef struct an_norm_spec { an_real eps; int outside, unbiased, center, stream; } an_norm_spec;

/* Dropout of an operand: as the row dropout says, element 0 being number `base` of the stream. */
typedef struct an_drop { an_rng_key key; uint64_t base; an_real p; } an_drop;

/* AdamW on one tensor. Source: Loshchilov & Hutter, arXiv:1711.05101, decoupled decay, bias-corrected:
 *   g' = g * grad_scale;  m = b1 m + (1-b1) g';  v = b2 v + (1-b2) g'^2
 *   p -= lr * decay * p;  p -= lr * (m / c1) / (sqrt(v / c2) + eps)        c1 = 1 - b1^t, c2 = 1 - b2^t */
typedef struct an_adamw_spec { an_real lr, beta1, beta2, eps, decay, c1, c2, grad_scale; } an_adamw_spec;

/* Causal (or full) multi-head attention of one (batch, head): q,k,v,out are [t, d] with leading dimensions; softmax row
 * statistics lse [t] (log-sum-exp of scaled scores). Dropout on probabilities: element (i, j) is kept when
 * an_rng_u32-like Philox word (see dropout row) of key `drop_key` at index drop_base + i*t + j is >= drop_p * 2^32, then scaled 1/(1-p).
 * tokens: rows of a token < 0 are padding, and attention goes on as if they were not there: the others are numbered from 0 in
 * order, and i, j and every range of rows speak of those numbers (as long as nothing is padding: of rows). Padding inside a
 * range of rows gets zeros where that range is stored. So padding changes no bit of the other rows, and costs no arithmetic.
 * qkv, out, dout: how those are stored; an_bf16 is widened where it is loaded and rounded where it is stored. All arithmetic, lse
 * and the gradients are reals: sums over blocks, and over query heads that share keys, go on in them. */
typedef struct an_attn_spec {
    size_t t, d, ldq, ldk, ldv, ldo;   /* ldo: also of dout; gradients dq,dk,dv use ldq, ldk, ldv */
    an_real scale;                     /* usually 1/sqrt(d) */
    int causal;
    an_store qkv, out, dout;
    const int32_t *tokens;             /* [t]; NULL: no padding */
    size_t rows;                       /* most rows of a block of attn_bwd; 0: t */
    an_real drop_p;
    an_rng_key drop_key;
    uint64_t drop_base;
} an_attn_spec;

/* One call of attn_bwd: what the queries [q0, q1) and the keys [k0, k1) give each other. Starts are multiples of AN_ATTN_BLOCK, ends
 * too where they are not t. add_q: dq of those queries is added to, else stored; add_k: dk and dv of those keys. A head is
 * done when its blocks cover all (query, key); query heads that share keys add to one dk, dv. */
enum { AN_ATTN_BLOCK = 64 };
typedef struct an_attn_block { size_t q0, q1, k0, k1; int add_q, add_k; } an_attn_block;

/* Reals of workspace that attn_fwd and attn_bwd need for this spec, at any level. */
size_t an_attn_work(const an_attn_spec *s);

typedef struct an_kernels {
    const char *level;                 /* highest overlay present, an_kern_level_name */
#define KERNEL(ret, name, args) ret (*name) args;
#include "kern/kernels.def"
#undef KERNEL
} an_kernels;

/* The table for this process: ref, overlaid by what the CPU has, limited by ADDNORM_CPU=ref|avx|avx2|avx512|amx (read once).
 * An unknown ADDNORM_CPU, or one the CPU lacks, leaves the highest level at or below it that exists; an_kern_note() says so. */
const an_kernels *an_kern_get(void);
const char *an_kern_note(void);        /* "" or one sentence about a level that was asked for and not given */

/* A given level's table laid over the lower ones, or NULL when this build or CPU has none. For tests and bench. */
const an_kernels *an_kern_level(const char *level);
const char *an_kern_level_name(size_t i);   /* the names there are, ascending, in any build; NULL behind the last */

#endif
