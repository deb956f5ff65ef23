/* net/design/layerscale.c
 * LayerScale: x <- x + s * F(N(x)), s a learned vector per sub-layer that starts small, with a final norm: every channel decides
 * how much of the branch it takes.
 * Package   pre norm, learned vector on the branch; it starts at 0.1 to depth 18, 1e-5 to depth 24, 1e-6 beyond
 * Source    Touvron et al. 2021 (CaiT), arXiv:2103.17239 */
#include "net/design.h"

static const an_option OPTIONS[] = {
    { "layerscale_start", AN_FLOAT, "auto", ">0", "what the learned vector starts at; auto: 0.1 to 18 layers, 1e-5 to 24, 1e-6 beyond", .words = "auto=0", .flags = AN_PER_SITE, .aliases = "layerscale_init" },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    const size_t depth = net->config->n_layer;
    const double start = an_here_float(net, "layerscale_start");
    p->pre = p->final_norm = true;
    p->branch = (an_scale){ AN_SCALE_VECTOR, start > 0 ? start : depth <= 18 ? 0.1 : depth <= 24 ? 1e-5 : 1e-6 };
    return AN_OK;
}

const an_design an_design_layerscale = { .name = "layerscale", .formula = "x <- x + s * F(N(x)), s in R^d", .source = "arXiv:2103.17239", .parameters = "d more per sub-layer",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "Exempt from weight decay, as in the authors' code. The start of 0.1 up to depth 18 is the paper's; the shipped models begin at depth 24. Too small a start starves deep layers early on." };
