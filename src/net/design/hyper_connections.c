/* net/design/hyper_connections.c
 * Hyper-connections: n streams H, of which every sub-layer reads a mixture and to which it writes with learned weights:
 *   u = A_m' H;   H <- A_r' H + B' F(N(u));   output N(sum of the streams)
 *   B = B_0 + s_b tanh(H_ W_b)    A_m = A_m0 + s_m tanh(H_ W_m)    A_r = A_r0 + s_m tanh(H_ W_r)     H_ = N(H), stream by stream
 * Package   pre norm; W 0, s 0.01, B_0 1, A_r0 the identity, A_m0 one-hot at (sub-layer mod n): for any n the start is Pre-LN,
 *           with streams that are copies of each other. The static parts and s are not decayed, W is
 * Source    Zhu et al. 2024, arXiv:2409.19606, sections 2.1 to 2.3 and 4 */
#include <math.h>

#include "net/design/streams.h"
#include "net/norm.h"

static const an_option OPTIONS[] = {
    AN_STREAMS_ROW,
    { "hyper_dynamic", AN_BOOL, "true", NULL, "coefficients depend on the token; false: learned constants", .flags = AN_PER_SITE },
    { "hyper_tanh", AN_BOOL, "true", NULL, "bound the dynamic part by tanh", .flags = AN_PER_SITE },
    { "hyper_sqrt_init", AN_BOOL, "false", NULL, "divide the initial output matrices of sub-layers by sqrt(hyper_streams)", .flags = 0 },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    p->pre = p->final_norm = true;
    if (an_options_bool(net->options, "hyper_sqrt_init")) p->gain[AN_ROLE_O] = p->gain[AN_ROLE_FC2] = 1 / sqrt((double)an_streams_count(net));
    return AN_OK;
}

/* [e_(k mod n) | I]: row a is how much of stream a is read, then how much of it goes to each stream. */
static an_value *static_mix(const an_net *net, size_t n)
{
    double start[AN_STREAMS_MOST * (AN_STREAMS_MOST + 1)] = { 0 };
    for (size_t a = 0; a < n; a++) {
        start[a * (n + 1)] = a == net->site_index % n;
        start[a * (n + 1) + 1 + a] = 1;
    }
    return an_param_start(net, AN_KIND_SCALE, "static_mix", AN_MAT(n, n + 1), start);
}

/* A product with the normed streams, [N n, out]. */
static an_value *dynamic(const an_net *net, const char *name, const char *weight, an_value *h, size_t out)
{
    static const an_init ZERO = { AN_LAW_CONST, 0, 0 };
    return AN_EMIT_BARE(net->b, &an_op_linear, name, h, an_param_emit(net, AN_KIND_MATRIX, weight, AN_MAT(out, net->config->d_model), &ZERO, 1), NULL);
}

static an_value *coefficients(const an_net *net, an_value *h)
{
    const size_t n = an_streams_count(net);
    const an_hyper_attr attr = { net->batch * net->seq, an_here_bool(net, "hyper_tanh") };
    an_value *beta = an_param_const(net, AN_KIND_SCALE, "static_beta", n, 1), *mix = static_mix(net, n);
    if (!an_here_bool(net, "hyper_dynamic")) return AN_EMIT(net->b, &an_op_hyper, "coefficients", &attr, beta, mix, NULL, NULL, NULL, NULL);
    an_value *normed = an_norm_emit(net, "norm", h);
    an_value *zb = dynamic(net, "beta", "beta.weight", normed, 1), *zm = dynamic(net, "mix", "mix.weight", normed, n + 1);
    an_value *sb = an_param_const(net, AN_KIND_SCALE, "scale_beta", 1, 0.01), *sm = an_param_const(net, AN_KIND_SCALE, "scale_mix", 1, 0.01);
    return AN_EMIT(net->b, &an_op_hyper, "coefficients", &attr, beta, mix, zb, zm, sb, sm);
}

static void enter(const an_net *net, const an_package *p, an_value *x0, an_stream *s) { (void)p; an_streams_enter(net, false, x0, s); }
static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f) { an_streams_site(net, p, s, f, "hyper", coefficients); }

static const char *const VARIANTS[] = { "hyper_streams=1", "hyper_streams=3 hyper_dynamic=false", "hyper_streams=2 hyper_tanh=false",
    "hyper_sqrt_init=true", NULL };

const an_design an_design_hyper_connections = { .name = "hyper-connections", .formula = "u = A_m' H;  H <- A_r' H + B' F(N(u))", .source = "arXiv:2409.19606",
    .parameters = "n (n + 2) + (n + 2) d + 2 and a norm per sub-layer; static: n (n + 2)", .options = OPTIONS, .package = package,
    .enter = enter, .site = site, .leave = an_streams_leave, .alone = true,
    .variants = VARIANTS,
    .remarks = "The paper scales the initial output matrices \"by a factor of sqrt(n)\" without saying which way; hyper_sqrt_init divides, and is off "
               "because the start would no longer be Pre-LN. Without tanh its loss is equal or slightly better, and one dynamic stream is worse than "
               "Pre-LN. Public ports take a random stream for A_m where no layer number is given, have RMSNorm where the paper has a norm with gain and "
               "bias, or are the manifold-constrained form under this name, which does not start as Pre-LN. Decay: the paper exempts the static parts; s, "
               "a learned scalar, is exempt here too." };
