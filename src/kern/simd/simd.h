/* kern/simd/simd.h
 * Shared by the vectorised sources, which are compiled once per instruction set with AN_ISA=<isa>: every kernel is
 * AN_SIMD(row) = an_<isa>_<row>, so the copies never meet. A new kernel is a definition here and a line in table.c. */
#ifndef AN_KERN_SIMD_SIMD_H
#define AN_KERN_SIMD_SIMD_H

#include "kern/kern.h"

#define AN_SIMD_JOIN2(a, b, c) a##b##_##c
#define AN_SIMD_JOIN(a, b, c) AN_SIMD_JOIN2(a, b, c)
#define AN_SIMD(row) AN_SIMD_JOIN(an_, AN_ISA, row)
#define AN_SIMD_TEXT2(x) #x
#define AN_SIMD_TEXT(x) AN_SIMD_TEXT2(x)

#define KERNEL(ret, name, args) ret AN_SIMD(name) args;
#include "kern/kernels.def"
#undef KERNEL

#endif
