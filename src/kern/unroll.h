/* kern/unroll.h
 * Before a loop whose rounds are known: all of them written out, so that arrays of vectors stay in registers. */
#ifndef AN_KERN_UNROLL_H
#define AN_KERN_UNROLL_H

#if defined(__clang__)
#define V_UNROLL _Pragma("clang loop unroll(full)")
#define V_UNROLL_SOME _Pragma("clang loop unroll_count(4)")
#else
#define V_UNROLL _Pragma("GCC unroll 32")
#define V_UNROLL_SOME _Pragma("GCC unroll 4")
#endif

#endif
