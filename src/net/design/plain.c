/* net/design/plain.c
 * No skip connection: x <- F(N(x)), with a final norm. The control in every claim about residual connections: gradients
 * reach layer 1 only through all Jacobians in series.
 * Source    the plain networks of He et al. 2015, arXiv:1512.03385, carried over to transformers */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->final_norm = true;
    p->skip.value = 0;
    return AN_OK;
}

const an_design an_design_plain = { .name = "plain", .formula = "x <- F(N(x))", .source = "arXiv:1512.03385", .parameters = "as pre-ln", .package = package,
    .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "Its `init: gpt2` is the default of pre-ln, for a comparison that differs in the skip alone; `init: xavier` keeps the size of signals and gradients and is the fairer start for a network without skips." };
