/* kern/simd/table.c
 * The rows this instruction set overrides; a row that is not named here falls through to the level below. */
#include "kern/simd/simd.h"
#include "kern/simd/tables.h"

#define TABLE2(isa) an_kern_table_##isa
#define TABLE(isa) TABLE2(isa)

#ifdef AN_SIMDE
const an_kernels *TABLE(AN_ISA)(void);   /* an emulated instruction set lives in the tests only */
#endif

const an_kernels *TABLE(AN_ISA)(void)
{
    static const an_kernels table = {
        .level = AN_SIMD_TEXT(AN_ISA),
        .attn_fwd = AN_SIMD(attn_fwd), .attn_bwd = AN_SIMD(attn_bwd), .attn_decode = AN_SIMD(attn_decode),
    };
    return &table;
}
