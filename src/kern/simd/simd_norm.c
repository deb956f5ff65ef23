/* kern/simd/simd_norm.c
 * The norm rows of reals. */
#include "kern/simd/norm_bwd.h"
#include "kern/simd/norm_fwd.h"
