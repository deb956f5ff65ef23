/* net/design/sandwich_ln.c
 * Sandwich-LN: x <- x + N(F(N(x))), with a final norm. The norm behind F bounds what a sub-layer can add to the stream.
 * Package   pre and out norm
 * Source    Ding et al. 2021 (CogView), arXiv:2105.13290; Gemma 2 and 3 use the same placement */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->out = p->final_norm = true;
    return AN_OK;
}

const an_design an_design_sandwich_ln = { .name = "sandwich-ln", .formula = "x <- x + N(F(N(x)))", .source = "arXiv:2105.13290", .parameters = "2d more per sub-layer",
    .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "CogView's package also has a precision relaxation inside the softmax (scores divided by 32 before the maximum is taken off); that guards fp16 and is not needed in f32. "
               "Gemma 2 and 3 have this placement with `norm: rmsnorm`, `norm_gain_offset: 1` and embeddings times sqrt(d)." };
