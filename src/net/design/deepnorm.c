/* net/design/deepnorm.c
 * DeepNorm: x <- N(a x + F(x)), no final norm. The skip is made heavier with depth and the branch lighter, so that the norm on
 * the skip takes almost nothing from the identity path: a decoder of 1,000 layers trains.
 * Package   post norm, skip a, gain b on v, o, fc1, fc2 (q and k keep 1), Xavier normal
 *           encoder of N layers         a = (2N)^1/4               b = (8N)^-1/4
 *           decoder of M layers         a = (2M)^1/4               b = (8M)^-1/4
 *           encoder-decoder, encoder    a = 0.81 (N^4 M)^1/16      b = 0.87 (N^4 M)^-1/16
 *           encoder-decoder, decoder    a = (3M)^1/4               b = (12M)^-1/4
 * Source    Wang et al. 2022, arXiv:2203.00555, table 2 and section 4 */
#include "net/design/deepnorm.h"

#include <math.h>

an_deepnorm an_deepnorm_coefficients(an_deepnorm_part part, double n, double m)
{
    switch (part) {
    case AN_DEEPNORM_ENCODER: return (an_deepnorm){ pow(2 * n, 0.25), pow(8 * n, -0.25) };
    case AN_DEEPNORM_DECODER: return (an_deepnorm){ pow(2 * m, 0.25), pow(8 * m, -0.25) };
    case AN_DEEPNORM_BOTH_ENCODER: return (an_deepnorm){ 0.81 * pow(n * n * n * n * m, 1.0 / 16), 0.87 * pow(n * n * n * n * m, -1.0 / 16) };
    case AN_DEEPNORM_BOTH_DECODER: break;
    }
    return (an_deepnorm){ pow(3 * m, 0.25), pow(12 * m, -0.25) };
}

static const an_option OPTIONS[] = {
    { "deepnorm_alpha", AN_FLOAT, "auto", ">0", "factor on the skip; auto: (2 n_layer)^1/4 for a decoder", .words = "auto=0", .flags = AN_PER_SITE },
    { "deepnorm_beta", AN_FLOAT, "auto", ">0", "gain on v, o, fc1 and fc2 at initialisation; auto: (8 n_layer)^-1/4 for a decoder", .words = "auto=0", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    const double layers = (double)net->config->n_layer, alpha = an_here_float(net, "deepnorm_alpha"), beta = an_here_float(net, "deepnorm_beta");
    const an_deepnorm table = an_deepnorm_coefficients(AN_DEEPNORM_DECODER, layers, layers);
    p->post = true;
    p->skip.value = alpha > 0 ? alpha : table.alpha;
    p->gain[AN_ROLE_V] = p->gain[AN_ROLE_O] = p->gain[AN_ROLE_FC1] = p->gain[AN_ROLE_FC2] = beta > 0 ? beta : table.beta;
    return AN_OK;
}

static const char *const VARIANTS[] = { "deepnorm_alpha=1 deepnorm_beta=1", NULL };

const an_design an_design_deepnorm = { .name = "deepnorm", .formula = "x <- N(a x + F(x)), a = (2L)^1/4; init gain (8L)^-1/4", .source = "arXiv:2203.00555",
    .parameters = "as post-ln", .init = "xavier", .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "Public code often gets this package wrong. torchscale's decoder keeps pre-norm and its final norm unless told otherwise, so its \"DeepNorm\" decoder is a Pre-LN whose skip is "
               "multiplied by a at every sub-layer; it also scales PyTorch's default init instead of Xavier, and the biases with it. Its encoder gain in encoder-decoders is 1.15 (N^4 M)^-1/16 "
               "where the paper has 0.87. The repositories of Mix-LN and LayerNorm Scaling use (8L)^+1/4 for the gain and a fixed a = 2.8284 in their DeepNorm columns; KEEL's paper uses L^-1/4." };
