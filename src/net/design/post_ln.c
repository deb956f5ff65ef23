/* net/design/post_ln.c
 * The original transformer: x <- N(x + F(x)), no final norm. Every skip passes through a norm, so the identity path is
 * scaled at each sub-layer; needs learning-rate warm-up.
 * Source    Vaswani et al. 2017, arXiv:1706.03762; on warm-up: Xiong et al. 2020, arXiv:2002.04745 */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->post = true;
    return AN_OK;
}

const an_design an_design_post_ln = { .name = "post-ln", .formula = "x <- N(x + F(x))", .source = "arXiv:1706.03762", .parameters = "no final norm", .package = package,
    .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "The paper's own initialisation is Xavier's: `init: xavier`. From GPT-2's small one, the default here as for pre-ln, branches are weak at first and its skip chain hardly shrinks: the initialisation decides how much "
               "warm-up it needs. The designs made to mend it (deepnorm, admin, b2t) start from Xavier's, so compare them at that." };
