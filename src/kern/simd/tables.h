/* kern/simd/tables.h
 * The tables of vectorised kernels, one per instruction set, all from the same sources. Rows a table leaves NULL fall
 * through to the level below. A table may be read on any CPU; its kernels run only where an_cpu() has the bits. */
#ifndef AN_KERN_SIMD_TABLES_H
#define AN_KERN_SIMD_TABLES_H

#include "kern/kern.h"

#define LEVEL(isa) const an_kernels *an_kern_table_##isa(void);
#include "kern/simd/levels.def"
#undef LEVEL
const an_kernels *an_kern_table_amx(void);      /* kern/amx: what runs on tiles, beside products (kern/gemm_native.c) */

#endif
