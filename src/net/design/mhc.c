/* net/design/mhc.c
 * Manifold-constrained hyper-connections: n streams H whose mixing matrix is doubly stochastic, so that no product of them over
 * depth can make a signal or a gradient larger:
 *   u = H_pre H;   H <- H_res H + H_post' F(N(u));   output N(sum of the streams)
 *   [p | q | R] = [c_pre, c_post, c_res] (vec H phi) / rms(vec H) + b;   H_pre = sigma(p), H_post = 2 sigma(q), H_res = Sinkhorn(R)
 * Package   pre norm; c 0.01, phi 0; b: post 0 (H_post = 1), res `mhc_bias` on the diagonal, pre +-mhc_bias so that each
 *           sub-layer mostly reads stream (sub-layer mod n). The start is Pre-LN for any n, but for eps. b and c are not decayed
 * Source    Xie et al. 2025, arXiv:2512.24880, equations 7 to 9 and 14 to 19, table 5 */
#include "net/design/streams.h"

static const an_option OPTIONS[] = {
    AN_STREAMS_ROW,
    { "mhc_iterations", AN_INT, "20", "1..100", "Sinkhorn iterations, columns then rows each", .flags = AN_PER_SITE },
    { "mhc_bias", AN_FLOAT, "4", "0..20", "logit by which a sub-layer's own stream and the diagonal stand out at the start; 0: all streams alike, for ever",
      .flags = 0 },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->final_norm = true;
    return AN_OK;
}

/* pre [n] | post [n] | res [n,n] */
static an_value *bias(const an_net *net, size_t n)
{
    double start[AN_STREAMS_MOST * (AN_STREAMS_MOST + 2)] = { 0 };
    const double b = an_options_float(net->options, "mhc_bias");
    for (size_t a = 0; a < n; a++) {
        start[a] = a == net->site_index % n ? b : -b;
        start[2 * n + a * n + a] = b;
    }
    return an_param_start(net, AN_KIND_SCALE, "bias", AN_VEC(n * (n + 2)), start);
}

static an_value *coefficients(const an_net *net, an_value *h)
{
    static const an_init ZERO = { AN_LAW_CONST, 0, 0 };
    const size_t n = an_streams_count(net);
    const an_sinkhorn_attr attr = { n, (size_t)an_here_int(net, "mhc_iterations"), an_here_float(net, "norm_eps") };
    an_value *phi = an_param_emit(net, AN_KIND_MATRIX, "phi.weight", AN_MAT(n * (n + 2), n * net->config->d_model), &ZERO, 1);
    an_value *z = AN_EMIT_BARE(net->b, &an_op_linear, "phi", h, phi, NULL);
    return AN_EMIT(net->b, &an_op_sinkhorn, "coefficients", &attr, h, z, bias(net, n), an_param_const(net, AN_KIND_SCALE, "scale", 3, 0.01));
}

static void enter(const an_net *net, const an_package *p, an_value *x0, an_stream *s) { (void)p; an_streams_enter(net, true, x0, s); }
static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f) { an_streams_site(net, p, s, f, "mhc", coefficients); }

static const char *const VARIANTS[] = { "hyper_streams=1", "hyper_streams=2 mhc_iterations=3", NULL };

const an_design an_design_mhc = { .name = "mhc", .formula = "u = H_pre H;  H <- H_res H + H_post' F(N(u)), H_res doubly stochastic",
    .source = "arXiv:2512.24880",
    .parameters = "n d (n^2 + 2n) + n^2 + 2n + 3 per sub-layer", .options = OPTIONS, .package = package, .enter = enter, .site = site, .leave = an_streams_leave,
    .alone = true, .variants = VARIANTS,
    .remarks = "Neither the paper nor its code says how b and phi start. If b is the same for all streams and phi is 0, the streams are exchangeable: "
               "they get equal gradients and stay copies of each other for ever. So b starts asymmetric here: every sub-layer reads mostly one stream, "
               "taking turns. A large diagonal in b holds H_res near the identity, and its gradient small. Many more parameters than hyper-connections: "
               "phi reads all n streams at once. Public code disagrees: a softmax and eps 1e-6 in every division, the matrix transposed, a sigmoid for "
               "exp, no factor 2 on H_post, rows before columns, 5 iterations, or the streams collapsed by a learned weighted sum; here exp, columns "
               "first, rows last, no eps, and the plain sum." };
