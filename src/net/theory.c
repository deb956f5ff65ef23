/* net/theory.c
 * The recursion of theory.h. Gaussian averages are trapezoid sums over +-8 standard deviations: the integrands are smooth,
 * or have one kink at 0, which is a node. */
#include "net/theory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net/arch.h"
#include "net/design.h"
#include "net/init.h"
#include "net/norm.h"

enum { HALF = 80 };                /* nodes on each side of 0 */
static const double REACH = 8;

typedef double curve(double z);

static double relu(double z) { return z > 0 ? z : 0; }
static double gelu(double z) { return 0.5 * z * (1 + erf(z / sqrt(2))); }
static double gelu_tanh(double z) { return 0.5 * z * (1 + tanh(sqrt(2 / acos(-1)) * (z + 0.044715 * z * z * z))); }
static double silu(double z) { return z / (1 + exp(-z)); }

static const struct { const char *name; curve *f; } CURVES[] = { { "relu", relu }, { "gelu_erf", gelu }, { "gelu_tanh", gelu_tanh } };

static curve *curve_of(const char *activation)
{
    for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++)
        if (strcmp(CURVES[i].name, activation) == 0) return CURVES[i].f;
    return silu;                                             /* the gate of swiglu */
}

static double weight(int i) { const double z = REACH * i / HALF; return exp(-z * z / 2) * REACH / HALF / sqrt(2 * acos(-1)); }

/* E f(a) f(b), a and b Gaussian of variance v and correlation rho. */
static double product(curve *f, double v, double rho)
{
    const double s = sqrt(v), across = sqrt(fmax(0, 1 - rho * rho));
    double sum = 0;
    if (rho > 0.9999) {
        for (int i = -HALF; i <= HALF; i++) sum += weight(i) * f(s * REACH * i / HALF) * f(s * REACH * i / HALF);
        return sum;
    }
    for (int i = -HALF; i <= HALF; i++) {
        const double z = REACH * i / HALF;
        double inner = 0;
        for (int k = -HALF; k <= HALF; k++) inner += weight(k) * f(s * (rho * z + across * REACH * k / HALF));
        sum += weight(i) * f(s * z) * inner;
    }
    return sum;
}

static double slope_square(curve *f, double v)   /* E f'(a)^2 */
{
    const double s = sqrt(v), h = 1e-5;
    double sum = 0;
    for (int i = -HALF; i <= HALF; i++) {
        const double z = s * REACH * i / HALF, d = (f(z + h) - f(z - h)) / (2 * h);
        sum += weight(i) * d * d;
    }
    return sum;
}

/* Mean square, token correlation; and what multiplies the mean square of a gradient on its way back through here. */
typedef struct signal { double q, rho, back; } signal;

static signal through_norm(const an_net *net, const char *kind, bool on, signal x)
{
    if (!on) return x;
    const an_norm_kind *k = an_norm_find(kind ? kind : an_here_text(net, "norm"));
    double q = 1, chi = 1 / x.q;
    if (k->field) k->field(net, x.q, &q, &chi);
    return (signal){ q, x.rho, x.back * chi };
}

static double variance(an_init init) { return init.scale * init.scale * (init.law == AN_LAW_UNIFORM ? 1.0 / 3 : 1); }

/* Causal averages over positions 1..T: of sum_j p_tj^2, and of sum_j p_tj p_sj over pairs, for scores of variance s2. */
static void spread(double seq, double s2, double *self, double *cross)
{
    const size_t n = (size_t)seq;
    const double heavy = exp(fmin(s2, 50));
    double a = 0, b = 0, pairs = 0;
    for (size_t t = 1; t <= n; t++) {
        a += heavy / (heavy + (double)t - 1);
        b += (double)(t - 1) / (double)t;                    /* the t - 1 earlier positions, overlap 1/t with each */
        pairs += (double)(t - 1);
    }
    *self = a / (double)n;
    *cross = pairs > 0 ? b / pairs : 1;
}

static signal through_attention(const an_net *net, const an_package *p, signal u)
{
    const an_model_config *c = net->config;
    const double d = (double)c->d_model, head = d / (double)c->n_head, scale = c->scaling.on ? 1 / head : 1 / sqrt(head);
    const double qk = d * variance(an_init_matrix(net, AN_ROLE_QK, c->d_model, c->d_model, 0)) * u.q;
    const double v = d * variance(an_init_matrix(net, AN_ROLE_V, c->d_model, c->d_model, 0)), o = d * variance(an_init_matrix(net, AN_ROLE_O, c->d_model, c->d_model, 0));
    const bool unit = strcmp(p->inside.qk_norm, "off") != 0 && strcmp(an_here_text(net, "qk_norm"), "off") != 0;
    const double query = unit ? 1 : qk, value = p->inside.v_norm ? 1 : v * u.q;
    double self, cross;
    spread((double)net->seq, query * query * head * scale * scale * (1 - u.rho), &self, &cross);
    signal y = { value * (u.rho + (1 - u.rho) * self), 0, u.back * v * self * (p->inside.v_norm ? 1 / (v * u.q) : 1) };
    y.rho = (u.rho + (1 - u.rho) * cross) * value / y.q;
    y = through_norm(net, NULL, p->inside.attn_norm, y);
    return (signal){ o * y.q, y.rho, y.back * o };
}

static signal through_feed_forward(const an_net *net, const an_package *p, signal u)
{
    const an_model_config *c = net->config;
    const double up = variance(an_init_matrix(net, AN_ROLE_FC1, c->d_model, c->d_ff, 0)), down = variance(an_init_matrix(net, AN_ROLE_FC2, c->d_ff, c->d_model, 0));
    const double v = up * (double)c->d_model * u.q, d_ff = (double)c->d_ff;
    const bool gated = strcmp(c->activation, "swiglu") == 0;
    curve *f = curve_of(c->activation);
    double q = product(f, v, 1), both = product(f, v, u.rho), slope = slope_square(f, v);
    if (gated) {                                             /* gate and up are independent: moments multiply */
        slope = slope * v + q;
        q *= v;
        both *= v * u.rho;
    }
    signal h = through_norm(net, NULL, p->inside.mlp_norm, (signal){ q, both / q, u.back * up * d_ff * slope });
    return (signal){ down * d_ff * h.q, h.rho, h.back * down * (double)c->d_model };
}

static signal add(double a, signal x, double b, signal f)
{
    const double q = a * a * x.q + b * b * f.q;
    return (signal){ q, (a * a * x.q * x.rho + b * b * f.q * f.rho) / q, 1 };
}

/* One sub-layer; `s` is the stream before it and after. gradient: |g_in| / |g_out|. */
static void through_site(const an_net *net, const an_package *p, signal *s, an_theory_site *out)
{
    const double a = p->skip.value, b = p->branch.value;
    const signal x = { s->q, s->rho, 1 };
    signal u = through_norm(net, NULL, p->pre, x);
    const signal carried = p->skip_normed ? u : x;
    u.q *= p->pre_scale * p->pre_scale;
    u.back *= p->pre_scale * p->pre_scale;
    signal f = strcmp(net->site, "attn") == 0 ? through_attention(net, p, u) : through_feed_forward(net, p, u);
    f = through_norm(net, NULL, p->out, f);
    signal y = add(a, carried, b, f);
    y = through_norm(net, NULL, p->post, y);
    const double identity = a * a * carried.back * y.back, branch = b * b * f.back * y.back;
    *out = (an_theory_site){ .layer = (int)net->layer, .site = net->site, .stream = y.q, .branch = b * b * f.q, .correlation = y.rho,
        .attenuation = sqrt(identity), .branch_gradient = sqrt(branch), .gradient = sqrt(identity + branch) };
    *s = y;
}

static an_status check_law(const an_design *d)
{
    if (!d->alone && d->site == an_site_operator) return AN_OK;
    return an_fail(AN_ECONFIG, "design %s has no closed law here: %s; its report shows measurements only", d->name,
                   d->alone ? "its stream is more than one value per token" : "its sub-layers depend on more than the stream before them");
}

static signal embedding(const an_net *net, const an_package *p, double stream_in, double correlation_in)
{
    const an_model_config *c = net->config;
    double q = stream_in, rho = correlation_in;
    if (q < 0) {
        const double table = variance(an_init_embedding(net, false)) * p->embed_scale * p->embed_scale, position = variance(an_init_embedding(net, true));
        q = table + (strcmp(c->position, "learned") == 0 ? position : strcmp(c->position, "sinusoidal") == 0 ? 0.5 : 0);
        q *= c->scaling.input * c->scaling.input;
        rho = 0;
        if (p->embed_norm) return through_norm(net, NULL, true, (signal){ q, rho, 1 });
    }
    return (signal){ q, rho, 1 };
}

/* `sites` is "attn|mlp": the name of the k-th into text. */
static bool site_name(const char *sites, size_t k, char text[16])
{
    for (; k > 0 && sites; k--) sites = strchr(sites, '|') ? strchr(sites, '|') + 1 : NULL;
    if (!sites) return false;
    const size_t n = strcspn(sites, "|");
    memcpy(text, sites, n < 15 ? n : 15);
    text[n < 15 ? n : 15] = '\0';
    return true;
}

static an_status walk(an_theory *t, an_net *net, const char *sites, double stream_in, double correlation_in)
{
    static const char *const NAMES[] = { "attn", "mlp" };    /* what this page has laws for */
    an_package p;
    AN_TRY(check_law(an_design_here(net)));
    AN_TRY(an_design_package(net, an_design_here(net), &p));
    net->package = &p;
    signal s = embedding(net, &p, stream_in, correlation_in);
    t->stream_in = s.q;
    t->correlation_in = s.rho;
    t->product = 1;
    for (size_t l = 0; l < net->config->n_layer; l++)
        for (size_t k = 0;; k++, net->site_index++) {
            char name[16];
            if (!site_name(sites, k, name)) break;
            net->layer = (int64_t)l;
            net->site = NULL;
            for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
                if (strcmp(NAMES[i], name) == 0) net->site = NAMES[i];
            if (!net->site) return an_fail(AN_ECONFIG, "sub-layer %s of arch %s has no law here; its report shows measurements only", name, net->config->arch);
            AN_TRY(check_law(an_design_here(net)));
            AN_TRY(an_design_package(net, an_design_here(net), &p));
            through_site(net, &p, &s, &t->site[t->n]);
            t->product *= t->site[t->n++].attenuation;
        }
    for (size_t i = t->n; i-- > 0;) t->site[i].gradient *= i + 1 < t->n ? t->site[i + 1].gradient : 1;
    return AN_OK;
}

an_status an_theory_predict(an_theory *out, const an_model_config *config, const an_options *options, double stream_in, double correlation_in)
{
    const char *sites = an_arch_find(config->arch)->sites;
    size_t per_layer = 1;
    for (const char *bar = strchr(sites, '|'); bar; bar = strchr(bar + 1, '|')) per_layer++;
    an_theory t = { .site = an_alloc(config->n_layer * per_layer * sizeof *t.site) };
    an_net net = { .config = config, .options = options, .batch = 1, .seq = config->seq_len, .layer = -1 };
    if (!t.site) return an_fail(AN_ENOMEM, "out of memory for the prediction of %zu layers", config->n_layer);
    const an_status status = walk(&t, &net, sites, stream_in, correlation_in);
    if (status != AN_OK) an_theory_fini(&t);
    else *out = t;
    return status;
}

void an_theory_fini(an_theory *theory)
{
    free(theory->site);
    *theory = (an_theory){ 0 };
}
