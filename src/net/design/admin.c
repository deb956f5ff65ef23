/* net/design/admin.c
 * Admin: x <- N(w x + F(x)), w a learned vector per sub-layer that starts where the skip is as large as all branches so far:
 *   w_1 = 1;   w_{i+1}^2 = Var[w_i x] + Var[F_i(x)]        over all elements of one real micro-batch, dropout on
 * so that every branch carries a falling share of its sum, and the dependence of the output on it stays bounded.
 * Package   post norm, learned vector on the skip, set by that pass before the first step (net/profile.c), Xavier
 *           admin_init log, sqrt, one: the same start for every skip, in closed form, without data; R residual sub-layers:
 *           sqrt((R + 1) / ln(R + 1) - 1), sqrt(R), 1
 * Source    Liu et al. 2020, arXiv:2004.08249; LiyuanLucasLiu/Transformer-Clinic; closed forms: microsoft/admin-torch */
#include <math.h>

#include "net/design.h"

static const an_option OPTIONS[] = {
    { "admin_init", AN_CHOICE, "profile", "profile|log|sqrt|one", "what the skips start at: profile: from the first batch; log, sqrt, one: closed forms, for an output whose change grows with depth n as log n, 1, n", .flags = 0 },
    AN_OPTION_END
};

static double next_skip(double skip, double stream, double branch) { return sqrt(skip * skip * stream + branch); }

static double closed_form(char how, double sublayers)
{
    if (how == 'l') return sqrt((sublayers + 1) / log(sublayers + 1) - 1);
    return how == 's' ? sqrt(sublayers) : 1;
}

static an_status package(const an_net *net, an_package *p)
{
    const char how = an_options_text(net->options, "admin_init")[0];
    p->post = true;
    p->skip = (an_scale){ AN_SCALE_VECTOR, closed_form(how, 2 * (double)net->config->n_layer) };
    if (how == 'p') p->profile = next_skip;
    return AN_OK;
}

static const char *const VARIANTS[] = { "admin_init=log", NULL };

const an_design an_design_admin = { .name = "admin", .formula = "x <- N(w x + F(x)), w^2 = sum of Var F so far", .source = "arXiv:2004.08249", .parameters = "d more per sub-layer than post-ln", .init = "xavier",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The authors' code profiles in a run of its own that writes the skips to a file, and reuses that file for every seed; here the first micro-batch of the run is passed once more before "
               "step 0, the skips are parameters in the checkpoint, and a resumed run does not profile again. The second skip contains the variance of the embeddings. Their code draws Xavier "
               "uniform, here Xavier normal: the same variances. The closed forms are admin-torch's O(log n), O(1) and O(n) in this order; with 12 layers log gives 2.60 where DeepNorm has 2.21. "
               "After training w can be merged into the norm before it. Users have seen 12 layers diverge all the same." };
