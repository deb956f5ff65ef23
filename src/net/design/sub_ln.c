/* net/design/sub_ln.c
 * Sub-LN (Magneto): Pre-LN with a second norm inside each sub-layer, on the concatenated heads before W_O and behind the
 * activation before W_2, and initial gains that grow with depth.
 * Package   pre norm, inner norms, gain sqrt(ln 2L) on v, o, fc1, fc2, Xavier normal
 * Source    Wang et al. 2022, arXiv:2210.06423 */
#include <math.h>

#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    p->pre = p->final_norm = true;
    p->inside.attn_norm = p->inside.mlp_norm = true;
    p->gain[AN_ROLE_V] = p->gain[AN_ROLE_O] = p->gain[AN_ROLE_FC1] = p->gain[AN_ROLE_FC2] = sqrt(log(2 * (double)net->config->n_layer));
    return AN_OK;
}

const an_design an_design_sub_ln = { .name = "sub-ln", .formula = "x <- x + W_O N(A(N(x)));  x <- x + W_2 N(act(W_1 N(x)))", .source = "arXiv:2210.06423",
    .parameters = "2d + 2d_ff more per layer", .init = "xavier", .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "torchscale, the authors' code, multiplies biases too, and skips cross-attention in a decoder. For encoder-decoders the gains are sqrt(ln 3M ln 2N / 3) in the encoder and "
               "sqrt(ln 3M) in the decoder." };
