/* net/design/pre_ln.c
 * Norms inside the branch: x <- x + F(N(x)), with a final norm. The skip is the identity from the first layer to the last.
 * Source    Xiong et al. 2020, arXiv:2002.04745; GPT-2 (Radford et al. 2019) */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->final_norm = true;
    return AN_OK;
}

const an_design an_design_pre_ln = { .name = "pre-ln", .formula = "x <- x + F(N(x))", .source = "arXiv:2002.04745", .parameters = "2d per sub-layer and 2d (with layernorm)", .package = package,
    .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one };
