/* net/design/rezero.c
 * ReZero: x <- x + a F(x), a learned scalar that starts at 0, no norm. At step 0 the stack is the identity map, bit for bit.
 * Package   learned scalar on the branch, one per layer shared by its sub-layers (or one per sub-layer), Xavier
 * Source    Bachlechner et al. 2020, arXiv:2003.04887 */
#include <string.h>

#include "net/design.h"

static const an_option OPTIONS[] = { { "rezero_share", AN_CHOICE, "layer", "layer|site", "one learned scale per layer, or per sub-layer", .flags = 0 }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    p->branch = (an_scale){ AN_SCALE_SCALAR, 0 };
    p->branch_per_layer = strcmp(an_options_text(net->options, "rezero_share"), "layer") == 0;
    return AN_OK;
}

static const char *const VARIANTS[] = { "rezero_share=site", NULL };

const an_design an_design_rezero = { .name = "rezero", .formula = "x <- x + a F(x), a = 0 at first", .source = "arXiv:2003.04887", .parameters = "1 per layer, no norms", .init = "xavier",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The paper draws one scale per sub-layer in its figures; the released code shares one between the sub-layers of a layer, which is the default here. Reports of divergence on large "
               "data suggest a smaller learning rate for it: `lr_scale: \"*.branch.scale=0.1\"`." };
