/* net/design/skipinit.c
 * SkipInit: x <- x + a F(x), a learned scalar at the end of every branch, 0 at first, no norm.
 * Package   learned scalar per sub-layer
 * Source    De & Smith 2020, arXiv:2002.10444, for residual networks without normalisation */
#include "net/design.h"

static const an_option OPTIONS[] = { { "skipinit_start", AN_FLOAT, "0", "0..1", "what the learned scale starts at", .flags = AN_PER_SITE }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    p->branch = (an_scale){ AN_SCALE_SCALAR, an_here_float(net, "skipinit_start") };
    return AN_OK;
}

const an_design an_design_skipinit = { .name = "skipinit", .formula = "x <- x + a_i F_i(x), a_i = 0 at first", .source = "arXiv:2002.10444", .parameters = "1 per sub-layer, no norms", .init = "xavier",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "Designed for convolutional networks; ReZero is the same idea for transformers. A start of 1/sqrt(L) is mentioned in reviews; it was not found in the paper's text." };
