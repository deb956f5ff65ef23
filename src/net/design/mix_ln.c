/* net/design/mix_ln.c
 * Mix-LN: the first quarter of the layers are Post-LN, the rest Pre-LN, with a final norm.
 * Package   post norm in layers below floor(fraction L), pre norm in the others
 * Source    Li et al. 2024, arXiv:2412.13795 */
#include "net/design.h"

static const an_option OPTIONS[] = { { "mix_ln_post", AN_FLOAT, "0.25", "0..1", "share of the layers, from the first, that are Post-LN", .flags = 0 }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    const double first = an_options_float(net->options, "mix_ln_post") * (double)net->config->n_layer;
    p->post = (double)net->layer + 1 <= first + 1e-9;
    p->pre = !p->post;
    p->final_norm = true;
    return AN_OK;
}

static const char *const VARIANTS[] = { "mix_ln_post=0.5", NULL };

const an_design an_design_mix_ln = { .name = "mix-ln", .formula = "l <= L/4: x <- N(x + F(x)); else x <- x + F(N(x))", .source = "arXiv:2412.13795", .parameters = "as pre-ln",
    .init = "normal", .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "Its Post-LN layers bring back the need for warm-up. The repositories of Mix-LN and LayerNorm Scaling draw embeddings at 0.632 and 0.02: not the same baseline. In the released "
               "code of LayerNorm Scaling the switch is lower-cased and compared with capitals, so that branch is never taken." };
