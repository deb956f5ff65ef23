/* net/design/peri_ln.c
 * Peri-LN: x <- x + N(F(N(x))) behind a norm on the embedding, with a final norm. The stream's mean square grows by the square
 * of the output norm's gain per sub-layer: linearly with depth, whatever F does.
 * Package   pre, out and embedding norm
 * Source    Kim et al. 2025, arXiv:2502.02732 */
#include "net/design.h"

static const an_option OPTIONS[] = { { "peri_embed_norm", AN_BOOL, "true", NULL, "norm on the embedding", .flags = 0 }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    p->pre = p->out = p->final_norm = true;
    p->embed_norm = an_options_bool(net->options, "peri_embed_norm") != 0;
    return AN_OK;
}

static const char *const VARIANTS[] = { "peri_embed_norm=false", NULL };

const an_design an_design_peri_ln = { .name = "peri-ln", .formula = "x0 <- N(x0);  x <- x + N(F(N(x)))", .source = "arXiv:2502.02732", .parameters = "2d more per sub-layer, 2d for the embedding norm",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The paper's norm on the embedding is optional in its recipe. The gain of the output norm sets the effective step of a sub-layer: it must stay learnable, and where it goes to zero "
               "the sub-layer dies. One public review describes Peri-LN as a norm after the addition; that is another design." };
