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
        .axpby = AN_SIMD(axpby), .scale = AN_SIMD(scale), .widen = AN_SIMD(widen), .narrow = AN_SIMD(narrow), .round_rows = AN_SIMD(round_rows), .put_past = AN_SIMD(put_past), .sumsq = AN_SIMD(sumsq), .products = AN_SIMD(products), .gain = AN_SIMD(gain), .col_products = AN_SIMD(col_products), .bias_add = AN_SIMD(bias_add), .col_sum = AN_SIMD(col_sum),
        .norm_fwd = AN_SIMD(norm_fwd), .norm_bwd = AN_SIMD(norm_bwd), .add_norm_fwd = AN_SIMD(add_norm_fwd), .add_norm_bwd = AN_SIMD(add_norm_bwd),
        .norm_fwd_low = AN_SIMD(norm_fwd_low), .norm_bwd_low = AN_SIMD(norm_bwd_low), .add_norm_fwd_low = AN_SIMD(add_norm_fwd_low), .add_norm_bwd_low = AN_SIMD(add_norm_bwd_low),
        .gelu_tanh_fwd = AN_SIMD(gelu_tanh_fwd), .gelu_erf_fwd = AN_SIMD(gelu_erf_fwd), .relu_fwd = AN_SIMD(relu_fwd),
        .gelu_tanh_bwd = AN_SIMD(gelu_tanh_bwd), .gelu_erf_bwd = AN_SIMD(gelu_erf_bwd), .relu_bwd = AN_SIMD(relu_bwd),
        .swiglu_fwd = AN_SIMD(swiglu_fwd), .swiglu_bwd = AN_SIMD(swiglu_bwd), .squash_fwd = AN_SIMD(squash_fwd), .squash_bwd = AN_SIMD(squash_bwd), .dropout = AN_SIMD(dropout),
        .embed_fwd = AN_SIMD(embed_fwd), .embed_bwd = AN_SIMD(embed_bwd), .rope = AN_SIMD(rope),
        .xent_fwd = AN_SIMD(xent_fwd), .xent_grad = AN_SIMD(xent_grad), .xent_part = AN_SIMD(xent_part), .xent_join = AN_SIMD(xent_join), .adamw = AN_SIMD(adamw),
        .quantise_int8 = AN_SIMD(quantise_int8),
        .few_real = AN_SIMD(few_real), .few_bf16 = AN_SIMD(few_bf16), .few_int8 = AN_SIMD(few_int8),
        .attn_fwd = AN_SIMD(attn_fwd), .attn_bwd = AN_SIMD(attn_bwd), .attn_decode = AN_SIMD(attn_decode),
    };
    return &table;
}
