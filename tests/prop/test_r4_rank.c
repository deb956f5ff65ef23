/* R4(a): rank collapse, without training. Attention only, bidirectional, 64 Gaussian tokens, Xavier: without a skip all
 * tokens become one; a skip delays it, a norm on the skip less than a free one, and a branch scaled by 1/sqrt(L) prevents it.
 * Source    Dong et al. 2021, arXiv:2103.03404; Noci et al. 2022, arXiv:2206.03126
 *
 * Thresholds, frozen, with the means over seeds 1..4 that were measured when they were set:
 *   no skip, layer 8      >= 0.99     1.0000   the published claim: all tokens are one
 *   order at layer 8      no skip > post > pre > pre / sqrt(L)     1.0000 > 0.6799 > 0.4946 > 0.0026
 *   order at layer 24     post > pre > pre / sqrt(L)               1.0000 > 0.9207 > 0.0193   (no skip and post tie there)
 *   pre, layer 24         < 0.98      mean-field estimate 0.94
 *   pre / sqrt(L), 24     <= 0.3      mean-field estimate 0.07 */
#include "stack.h"

enum { L = 24, T = 64, SEEDS = 4 };

typedef struct profile { double at8, at24; } profile;

static profile measure(const char *settings)
{
    profile p = { 0, 0 };
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        stack s;
        stack_open(&s, STACK_ATTN | STACK_BIDIRECTIONAL, 1, "n_layer=%d seq_len=%d d_model=128 n_head=4 position=rotary init=xavier %s", L, T, settings);
        stack_run(&s, seed);
        p.at8 += stack_token_cosine(s.stream[8], T) / SEEDS;
        p.at24 += stack_token_cosine(s.stream[L], T) / SEEDS;
        stack_close(&s);
    }
    printf("%-50s token cosine at layer 8 %.4f, at 24 %.4f\n", settings, p.at8, p.at24);
    return p;
}

int main(void)
{
    const profile plain = measure("design=plain"), post = measure("design=post-ln"), pre = measure("design=pre-ln");
    const profile small = measure("design=custom custom_pre=true custom_branch=0.2041241452319315");   /* 1/sqrt(24) */
    prop_check(plain.at8 >= 0.99, "no skip: token cosine %.4f at layer 8", plain.at8);
    prop_check(plain.at8 > post.at8 && post.at8 > pre.at8 && pre.at8 > small.at8, "order at layer 8: no skip %.4f, post %.4f, pre %.4f, 1/sqrt(L) %.4f", plain.at8, post.at8, pre.at8, small.at8);
    prop_check(post.at24 > pre.at24 && pre.at24 > small.at24, "order at layer 24: post %.4f, pre %.4f, 1/sqrt(L) %.4f", post.at24, pre.at24, small.at24);
    prop_check(pre.at24 < 0.98, "pre-ln: token cosine %.4f at layer 24", pre.at24);
    prop_check(small.at24 <= 0.3, "branch / sqrt(L): token cosine %.4f at layer 24", small.at24);
    return prop_finish("R4(a), rank collapse");
}
