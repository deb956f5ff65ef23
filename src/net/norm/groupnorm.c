/* net/norm/groupnorm.c
 * GroupNorm of one token: the channels fall into groups, each centred and scaled by its own variance; gain and bias per channel.
 * It never mixes positions, unlike a GroupNorm over a [C, T] layout.
 * Shapes    x, y [N,C]   g, b [C]
 * Units     norm_eps: of x^2 inside the root, of x outside
 * Errors    build: norm_groups does not divide the width -> AN_ECONFIG
 * Source    Wu & He 2018, arXiv:1803.08494 */
#include "net/norm.h"

#include <math.h>

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROWS,
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    { "norm_groups", AN_INT, "4", "1..65536", "groups of channels; must divide the width", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const size_t c = an_cols(x), groups = (size_t)an_here_int(net, "norm_groups");
    if (c % groups) {
        size_t near = groups < c ? groups : c;
        while (c % near) near--;
        an_build_fail(net->b, an_fail(AN_ECONFIG, "norm_groups %zu (%s) does not divide the %zu channels of %s; try %zu", groups, an_here_place(net, "norm_groups"), c, x->name, near));
        return NULL;
    }
    an_norm_note_width(net, c / groups);
    const an_norm_attr attr = { { .eps = AN_R(an_here_float(net, "norm_eps")), .outside = an_here_text(net, "norm_eps_place")[0] == 'o', .center = 1 } };
    const an_split_attr cut = { 1, { c }, { c / groups } };
    an_value *y = AN_EMIT(net->b, &an_op_split, "groups", &cut, x);
    y = AN_EMIT(net->b, &an_op_norm, "norm", &attr, y);
    return an_norm_affine(net, AN_EMIT(net->b, &an_op_pack, "joined", &cut, y), 0);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    const size_t width = c / (size_t)an_here_int(net, "norm_groups");
    const double eps = an_here_float(net, "norm_eps");
    for (size_t g = 0; g < c; g += width) {
        double mean = 0, variance = 0;
        for (size_t i = g; i < g + width; i++) mean += x[i] / (double)width;
        for (size_t i = g; i < g + width; i++) variance += (x[i] - mean) * (x[i] - mean) / (double)width;
        const double spread = an_here_text(net, "norm_eps_place")[0] == 'o' ? sqrt(variance) + eps : sqrt(variance + eps);
        for (size_t i = g; i < g + width; i++) y[i] = (gain ? gain[i] : 1) * (x[i] - mean) / spread + (bias ? bias[i] : 0);
    }
}

static const char *const VARIANTS[] = { "norm_groups=2 norm_eps_place=outside", "norm_groups=1 norm_bias=false", NULL };

const an_norm_kind an_norm_groupnorm = { .name = "groupnorm", .formula = "y = g (x - mu_G) / sqrt(var_G + eps) + b, per group of channels", .source = "arXiv:1803.08494", .parameters = "2d",
    .remarks = "Per token over C/G channels. PyTorch's GroupNorm on a (C, T) layout also averages over positions, which mixes time and is not this. With one group it is LayerNorm.",
    .options = OPTIONS, .emit = emit, .oracle = oracle, .variants = VARIANTS, .small = "norm_groups=2" };
