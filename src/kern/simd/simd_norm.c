/* kern/simd/simd_norm.c
 * The norm rows of reals. */
#include "kern/simd/norm_rows.h"
