/* net/design/reordered.c
 * Reordered norm (OLMo 2): x <- x + N(F(x)), with a final norm and norms on queries and keys. F sees the raw stream, so the
 * norm on q and k, over all heads at once, belongs to the package.
 * Package   out norm, qk_norm full
 * Source    OLMo 2, arXiv:2501.00656 */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->out = p->final_norm = true;
    p->inside.qk_norm = "full";
    return AN_OK;
}

const an_design an_design_reordered = { .name = "reordered", .formula = "x <- x + N(F(x)), N on q and k", .source = "arXiv:2501.00656", .parameters = "2d per layer for q and k",
    .init = "normal", .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "OLMo 2 norms the whole vector of queries and of keys before it is split into heads; Qwen 3 and Gemma 3 norm each head (`qk_norm: head`)." };
