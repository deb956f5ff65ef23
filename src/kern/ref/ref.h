/* kern/ref/ref.h
 * Prototypes of the reference kernels, one per row of kernels.def: an_ref_<row>.
 * They are the definition of correct: one readable loop each, arithmetic in double, one rounding into an_real where a
 * result is stored. Speed is the business of the tables laid over them. */
#ifndef AN_KERN_REF_REF_H
#define AN_KERN_REF_REF_H

#include "kern/kern.h"

#define KERNEL(ret, name, args) ret an_ref_##name args;
#include "kern/kernels.def"
#undef KERNEL

/* y = v, or y += v when add: one rounding. */
static inline void an_ref_put(an_real *y, double v, int add) { *y = (an_real)(add ? (double)*y + v : v); }

#endif
