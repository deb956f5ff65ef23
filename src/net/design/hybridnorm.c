/* net/design/hybridnorm.c
 * HybridNorm: attention without a norm on its input but with norms on queries, keys and values; feed-forward whose skip starts
 * behind its norm:  h = x + W_O Attn(N(q), N(k), N(v));  z = N(h);  x <- z + FFN(z). With a final norm.
 * Package   attention: q, k, v norms per head; feed-forward: pre norm, skip behind it. HybridNorm*: layer 0 is Pre-LN with q, k, v norms
 * Source    Zhuo et al. 2025, arXiv:2503.04598 */
#include "net/design.h"

static const an_option OPTIONS[] = { { "hybridnorm_first", AN_BOOL, "false", NULL, "HybridNorm*: the first layer keeps the norms of Pre-LN", .flags = 0 }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    const bool first = net->layer == 0 && an_options_bool(net->options, "hybridnorm_first"), attention = an_here_is(net, "attn");
    p->final_norm = true;
    p->pre = !attention || first;
    p->skip_normed = !attention && !first;
    p->inside.qk_norm = "head";
    p->inside.v_norm = true;
    return AN_OK;
}

static const char *const VARIANTS[] = { "hybridnorm_first=true", NULL };

const an_design an_design_hybridnorm = { .name = "hybridnorm", .formula = "h = x + A(N(q), N(k), N(v));  z = N(h);  x <- z + F(z)", .source = "arXiv:2503.04598",
    .parameters = "3 d/H more per layer, 2d fewer", .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The released recipe decays norm weights too and draws from a truncated normal of standard deviation sqrt(2/(5d)); users who could not make it converge were pointed to init and "
               "warm-up by the authors." };
