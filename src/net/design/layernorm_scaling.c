/* net/design/layernorm_scaling.c
 * LayerNorm Scaling: x <- x + F(N(x) / sqrt(l)), l the layer counted from 1, with a final norm: the stream's variance grows more
 * slowly with depth, so deep layers keep mattering.
 * Package   pre norm times 1/sqrt(l), the same for both sub-layers; no 1/sqrt(2L) at initialisation
 * Errors    build: init gpt2, whose depth scaling undoes it -> AN_ECONFIG
 * Source    Sun et al. 2025, arXiv:2502.05795 */
#include <math.h>
#include <string.h>

#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    if (strcmp(an_here_text(net, "init"), "gpt2") == 0)
        return an_fail(AN_ECONFIG, "init gpt2 (%s) contradicts design layernorm-scaling: its 1/sqrt(2 n_layer) takes the effect of 1/sqrt(l) away; set init normal or leave it out",
                       an_here_place(net, "init"));
    p->pre = p->final_norm = true;
    p->pre_scale = net->layer >= 0 ? 1 / sqrt((double)net->layer + 1) : 1;
    return AN_OK;
}

const an_design an_design_layernorm_scaling = { .name = "layernorm-scaling", .formula = "x <- x + F(N(x) / sqrt(l))", .source = "arXiv:2502.05795", .parameters = "as pre-ln", .init = "normal",
    .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "Loses its effect together with GPT-2's 1/sqrt(2L) at initialisation; the authors say to drop the latter, and this program refuses the pair. The factor stands behind the gain, and the "
               "final norm has none." };
