/* net/design/b2t.c
 * Bottom-to-top connection: Post-LN in which the last sub-layer of a block also adds the block's input, past all its norms:
 *   m = N(x + A(x));   x <- N(x + m + F(m))        no final norm
 * Package   post norm; every matrix times L^-1/2 (q and k too)
 * Source    Takase et al. 2022, arXiv:2206.00330; takase/b2t_connection */
#include <math.h>
#include <string.h>

#include "net/design.h"
#include "net/norm.h"

static const an_option OPTIONS[] = { { "b2t_rescale", AN_BOOL, "true", NULL, "multiply the initial matrices by 1/sqrt(n_layer), as the authors' code does", .flags = 0 }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    p->post = true;
    if (an_options_bool(net->options, "b2t_rescale"))
        for (int r = AN_ROLE_QK; r <= AN_ROLE_FC2; r++) p->gain[r] = 1 / sqrt((double)net->config->n_layer);
    return AN_OK;
}

/* x[0]: the stream; x[1]: the block's input, from its first sub-layer to its last. */
static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    an_value *x = s->x[0];
    an_branch_begin(net);
    an_value *branch = an_branch_emit(net, f, x);
    an_branch_end(net, branch);
    an_value *y = an_sum_emit(net, 1, x, 1, branch);
    if (s->n == 1) {
        an_stream_put(net, s, x);
    } else {
        y = an_sum_emit(net, 1, y, 1, s->x[1]);
        s->n = 1;
    }
    s->x[0] = an_slot(net, p->post, "post", y);
}

static const char *const VARIANTS[] = { "b2t_rescale=false", NULL };

const an_design an_design_b2t = { .name = "b2t", .formula = "m = N(x + A(x));  x <- N(x + m + F(m))", .source = "arXiv:2206.00330", .parameters = "as post-ln", .init = "xavier", .options = OPTIONS,
    .package = package, .enter = an_enter_one, .site = site, .leave = an_leave_one, .alone = true, .variants = VARIANTS,
    .remarks = "The paper does not mention the rescaling that its code applies to every matrix, queries and keys included. The authors advise clipping at 0.1 beyond 18 + 18 layers." };
