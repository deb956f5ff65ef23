/* net/design/t_fixup.c
 * T-Fixup: x <- x + F(x), no norm at all, made trainable by its initialisation alone.
 * Package   Xavier uniform; v, o, fc1, fc2 times (9M)^-1/4, q and k times 1/sqrt(2) as the base code draws them; token embedding
 *           N(0, 1/d) times (9M)^-1/4 and multiplied by sqrt(d) in the forward pass (a decoder of M layers)
 * Source    Huang et al. 2020 (ICML); layer6ai-labs/T-Fixup */
#include <math.h>

#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    const double shrink = pow(9 * (double)net->config->n_layer, -0.25);
    p->gain[AN_ROLE_V] = p->gain[AN_ROLE_O] = p->gain[AN_ROLE_FC1] = p->gain[AN_ROLE_FC2] = p->gain[AN_ROLE_EMB] = shrink;
    p->gain[AN_ROLE_QK] = sqrt(0.5);
    p->embed_scale = sqrt((double)net->config->d_model);
    return AN_OK;
}

const an_design an_design_t_fixup = { .name = "t-fixup", .formula = "x <- x + F(x), init v, o, fc1, fc2, embedding x (9L)^-1/4", .source = "Huang et al. 2020", .parameters = "no norms", .init = "xavier-uniform",
    .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one,
    .remarks = "In an encoder of N layers the factor is 0.67 N^-1/4. fairseq, which the authors' code extends, draws q, k, v with gain 1/sqrt(2), and the code multiplies v by another sqrt(2): here v has (9L)^-1/4 and q, k keep 1/sqrt(2). "
               "A public summary gives the embedding's variance where its standard deviation, d^-1/2, is meant. Its code adds sinusoids, unscaled, beside tokens times sqrt(d): `position: sinusoidal`; learned positions, the default, "
               "start sqrt(d) times smaller than tokens here." };
