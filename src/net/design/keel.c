/* net/design/keel.c
 * KEEL: x <- N(a x + F(N(x))), a = the number of sub-layers, no final norm: Post-LN whose identity path is kept by a skip that
 * grows with depth, faster than DeepNorm's.
 * Package   pre and post norm, skip a; the first attention is plain Pre-LN, the first feed-forward has a = 1
 * Source    arXiv:2601.19895, sections 3 to 5 */
#include "net/design.h"

static const an_option OPTIONS[] = {
    { "keel_alpha", AN_FLOAT, "auto", ">0", "factor on the skip; auto: the number of sub-layers, 2 n_layer", .words = "auto=0", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    const bool first = net->layer == 0, attention = an_here_is(net, "attn");
    const double alpha = an_here_float(net, "keel_alpha");
    p->pre = true;
    p->post = !(first && attention);
    p->skip.value = first ? 1 : alpha > 0 ? alpha : 2 * (double)net->config->n_layer;
    return AN_OK;
}

const an_design an_design_keel = { .name = "keel", .formula = "x <- N(a x + F(N(x))), a = 2L", .source = "arXiv:2601.19895", .parameters = "2d more per sub-layer, no final norm",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "The first block is special: its attention has neither a nor a post norm. Some digests print gated forms, (1 - a) or a sigmoid; those are not this design. For small models a "
               "may be tuned, above 1." };
