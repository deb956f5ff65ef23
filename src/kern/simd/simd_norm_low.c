/* kern/simd/simd_norm_low.c
 * The norm rows whose branch is bfloat16: f and dy are widened where they are loaded, y is rounded where it is stored. */
#define BRANCH_LOW
#include "kern/simd/norm_bwd.h"
#include "kern/simd/norm_fwd.h"
