/* net/design/normformer.c
 * NormFormer: Pre-LN with a learned scale per head, a norm behind attention and a norm behind the activation: evens out
 * gradients, which Pre-LN makes larger in early layers.
 * Package   pre norm; attention: out norm and head scales; feed-forward: inner norm, and as an option a learned skip vector
 * Source    Shleifer et al. 2021, arXiv:2110.09456 */
#include "net/design.h"

static const an_option OPTIONS[] = {
    { "normformer_resscale", AN_BOOL, "false", NULL, "learned vector on the skip around the feed-forward; the paper's ablation: helps small models only", .flags = 0 },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    const bool attention = an_here_is(net, "attn");
    p->pre = p->final_norm = true;
    p->out = p->inside.head_scale = attention;
    p->inside.mlp_norm = !attention;
    if (net->site && !attention && an_options_bool(net->options, "normformer_resscale")) p->skip.kind = AN_SCALE_VECTOR;
    return AN_OK;
}

static const char *const VARIANTS[] = { "normformer_resscale=true", NULL };

const an_design an_design_normformer = { .name = "normformer", .formula = "x <- x + N(sum_h g_h head_h W_O);  x <- x + W_2 N(act(W_1 N(x)))", .source = "arXiv:2110.09456",
    .parameters = "2d + 2d_ff + H per layer", .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The released fairseq code applies the head scales behind the output projection, where they scale groups of channels and not heads; this is the paper's form. The residual scale "
               "helps small models and hurts large ones." };
