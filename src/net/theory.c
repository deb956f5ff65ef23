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

/* The tokens of one sequence at one place: covariances [T,T] per channel, and what multiplies the mean square of a
 * gradient on its way back through here. */
typedef struct signal { size_t t; double *c, back; } signal;

static double *at(const signal *x, size_t i, size_t k) { return &x->c[i * x->t + k]; }

static double mean_square(const signal *x)
{
    double sum = 0;
    for (size_t i = 0; i < x->t; i++) sum += *at(x, i, i);
    return sum / (double)x->t;
}

static double correlation(const signal *x)
{
    double sum = 0;
    for (size_t i = 0; i < x->t; i++)
        for (size_t k = 0; k < i; k++) sum += *at(x, i, k) / sqrt(*at(x, i, i) * *at(x, k, k));
    return x->t > 1 ? 2 * sum / (double)(x->t * (x->t - 1)) : 0;
}

static void copy(signal *to, const signal *from)
{
    memcpy(to->c, from->c, from->t * from->t * sizeof *to->c);
    to->back = from->back;
}

static void multiply(signal *x, double factor, bool back)
{
    for (size_t i = 0; i < x->t * x->t; i++) x->c[i] *= factor;
    if (back) x->back *= factor;
}

/* Every token to its own size: tokens keep their correlations. `size` holds new mean squares. */
static void resize(signal *x, const double *size)
{
    for (size_t i = 0; i < x->t; i++)
        for (size_t k = 0; k < i; k++) *at(x, i, k) = *at(x, k, i) = *at(x, i, k) * sqrt(size[i] * size[k] / (*at(x, i, i) * *at(x, k, k)));
    for (size_t i = 0; i < x->t; i++) *at(x, i, i) = size[i];
}

static void through_norm(const an_net *net, bool on, signal *x, double *room)
{
    if (!on) return;
    const an_norm_kind *kind = an_norm_find(an_here_text(net, "norm"));
    const double eps = an_here_float(net, "norm_eps");
    const bool outside = an_here_text(net, "norm_eps_place")[0] == 'o';
    double chi = 0;
    for (size_t i = 0; i < x->t; i++) {
        const double before = *at(x, i, i), spread = outside ? (sqrt(before) + eps) * (sqrt(before) + eps) : before + eps;
        double q = before / spread, back = 1 / spread;
        if (kind->field) kind->field(net, before, &q, &back);
        room[i] = q;
        chi += back / (double)x->t;
    }
    resize(x, room);
    x->back *= chi;
}

static double variance(an_init init) { return init.scale * init.scale * (init.law == AN_LAW_UNIFORM ? 1.0 / 3 : 1); }

/* Averages under causal weights, uniform in the mean: between positions i and k the mean of c over [0,i] x [0,k]; within
 * one position the squares of log-normal weights (scores of variance s2) decide how much of its own tokens' variance stays.
 * *self: mean over positions of the sum of squared weights, which is also what a gradient keeps on its way back. */
static void average(signal *x, double s2, double *self)
{
    const size_t n = x->t;
    double diagonal = 0, all = 0;
    *self = 0;
    for (size_t i = 0; i < n; i++)                           /* sums over [0,i] x [0,k], then the averages, in place */
        for (size_t k = 0; k < n; k++)
            *at(x, i, k) += (i ? *at(x, i - 1, k) : 0) + (k ? *at(x, i, k - 1) : 0) - (i && k ? *at(x, i - 1, k - 1) : 0);
    for (size_t i = n; i-- > 0;)
        for (size_t k = n; k-- > 0;)
            if (i != k) *at(x, i, k) /= (double)((i + 1) * (k + 1));
    double below = 0;                                        /* sum over [0,i-1]^2 */
    for (size_t i = 0; i < n; i++) {
        const double m = (double)(i + 1), sum = *at(x, i, i), left = i ? *at(x, i - 1, i) * (double)(i * (i + 1)) - below : 0;
        below = sum;
        diagonal += i ? sum - 2 * left - all : sum;          /* the new corner */
        all = sum;
        const double own = diagonal / m, other = i ? (sum - diagonal) / (m * (m - 1)) : 0, heavy = exp(fmin(s2 * (1 - (own > 0 ? other / own : 0)), 50));
        const double kept = heavy / (heavy + m - 1);
        *at(x, i, i) = kept * own + (1 - kept) * other;
        *self += kept / (double)n;
    }
}

static void through_attention(const an_net *net, const an_package *p, signal *x, double *room)
{
    const an_model_config *c = net->config;
    const double d = (double)c->d_model, head = d / (double)c->n_head, scale = c->scaling.on ? 1 / head : 1 / sqrt(head);
    const double qk = d * variance(an_init_matrix(net, AN_ROLE_QK, c->d_model, c->d_model, 0)) * mean_square(x);
    const double v = d * variance(an_init_matrix(net, AN_ROLE_V, c->d_model, c->d_model, 0)), o = d * variance(an_init_matrix(net, AN_ROLE_O, c->d_model, c->d_model, 0));
    const char *key = an_here_text(net, "qk_norm"), *qk_norm = strcmp(key, "auto") == 0 ? p->inside.qk_norm : key;
    const double query = strcmp(qk_norm, "off") == 0 ? qk : 1;
    double self;
    multiply(x, v, true);
    if (p->inside.v_norm) {
        for (size_t i = 0; i < x->t; i++) room[i] = 1;
        x->back /= mean_square(x);
        resize(x, room);
    }
    average(x, query * query * head * scale * scale, &self);
    x->back *= self;
    through_norm(net, p->inside.attn_norm, x, room);
    multiply(x, o, true);
}

enum { TABLE = 64 };               /* correlations -1..1 at which the kernel of the activation is tabulated */

static void through_feed_forward(const an_net *net, const an_package *p, signal *x, double *room)
{
    const an_model_config *c = net->config;
    const double up = variance(an_init_matrix(net, AN_ROLE_FC1, c->d_model, c->d_ff, 0)), down = variance(an_init_matrix(net, AN_ROLE_FC2, c->d_ff, c->d_model, 0));
    const bool gated = strcmp(c->activation, "swiglu") == 0;
    curve *f = curve_of(c->activation);
    double table[TABLE + 1];
    multiply(x, up * (double)c->d_model, false);
    const double v = mean_square(x), slope = slope_square(f, v);
    for (int i = 0; i <= TABLE; i++) {
        const double rho = 2.0 * i / TABLE - 1;
        table[i] = product(f, v, rho) * (gated ? rho * v : 1);
    }
    for (size_t i = 0; i < x->t; i++) room[i] = *at(x, i, i);
    for (size_t i = 0; i < x->t; i++)
        for (size_t k = 0; k <= i; k++) {
            const double size = sqrt(room[i] * room[k]), place = fmin(fmax((*at(x, i, k) / size + 1) * TABLE / 2, 0), TABLE - 1e-9);
            const int low = (int)place;
            const double kernel = table[low] + (place - low) * (table[low + 1] - table[low]);
            *at(x, i, k) = *at(x, k, i) = kernel * pow(size / v, gated ? 2 : 1);
        }
    x->back *= up * (double)c->d_ff * (gated ? slope * v + product(f, v, 1) : slope);
    through_norm(net, p->inside.mlp_norm, x, room);
    multiply(x, down * (double)c->d_ff, false);
    x->back *= down * (double)c->d_model;
}

/* One sub-layer; `x` is the stream before it and after; f and side have room for as much. */
static void through_site(const an_net *net, const an_package *p, signal *x, signal *f, signal *side, double *room, an_theory_site *out)
{
    const double a = p->skip.value, b = p->branch.value;
    x->back = 1;
    copy(f, x);
    through_norm(net, p->pre, f, room);
    copy(side, p->skip_normed ? f : x);
    multiply(f, p->pre_scale * p->pre_scale, true);
    if (strcmp(net->site, "attn") == 0) through_attention(net, p, f, room);
    else through_feed_forward(net, p, f, room);
    through_norm(net, p->out, f, room);
    for (size_t i = 0; i < x->t * x->t; i++) x->c[i] = a * a * side->c[i] + b * b * f->c[i];
    through_norm(net, p->post, x, room);
    const double identity = a * a * side->back * x->back, branch = b * b * f->back * x->back;
    *out = (an_theory_site){ .layer = (int)net->layer, .site = net->site, .stream = mean_square(x), .branch = b * b * mean_square(f), .correlation = correlation(x),
        .attenuation = sqrt(identity), .branch_gradient = sqrt(branch), .gradient = sqrt(identity + branch) };
}

static an_status check_law(const an_design *d)
{
    if (!d->alone && d->site == an_site_operator) return AN_OK;
    return an_fail(AN_ECONFIG, "design %s has no closed law here: %s; its report shows measurements only", d->name,
                   d->alone ? "its stream is more than one value per token" : "its sub-layers depend on more than the stream before them");
}

static void embedding(const an_net *net, const an_package *p, double stream_in, double correlation_in, signal *x, double *room)
{
    const an_model_config *c = net->config;
    double q = stream_in, rho = correlation_in;
    if (q < 0) {
        const double table = variance(an_init_embedding(net, false)) * p->embed_scale * p->embed_scale, position = variance(an_init_embedding(net, true));
        q = table + (strcmp(c->position, "learned") == 0 ? position : strcmp(c->position, "sinusoidal") == 0 ? 0.5 : 0);
        q *= c->scaling.input * c->scaling.input;
        rho = 0;
    }
    for (size_t i = 0; i < x->t; i++)
        for (size_t k = 0; k < x->t; k++) *at(x, i, k) = i == k ? q : q * rho;
    if (stream_in < 0) through_norm(net, p->embed_norm, x, room);
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

enum { MOST = 256 };               /* positions followed; later ones behave like the last */

typedef struct walker { an_net net; signal x, f, side; double *room; } walker;

static an_status walk(an_theory *t, walker *w, const char *sites, double stream_in, double correlation_in)
{
    static const char *const NAMES[] = { "attn", "mlp" };    /* what this page has laws for */
    an_net *net = &w->net;
    an_package p;
    AN_TRY(check_law(an_design_here(net)));
    AN_TRY(an_design_package(net, an_design_here(net), &p));
    net->package = &p;
    embedding(net, &p, stream_in, correlation_in, &w->x, w->room);
    t->stream_in = mean_square(&w->x);
    t->correlation_in = correlation(&w->x);
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
            through_site(net, &p, &w->x, &w->f, &w->side, w->room, &t->site[t->n]);
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
    const size_t n = config->seq_len < MOST ? config->seq_len : MOST;
    an_theory t = { .site = an_alloc(config->n_layer * per_layer * sizeof *t.site) };
    double *room = an_alloc((3 * n * n + n) * sizeof *room);
    walker w = { .net = { .config = config, .options = options, .batch = 1, .seq = n, .layer = -1 }, .x = { n, room, 1 }, .f = { n, room ? room + n * n : NULL, 1 },
        .side = { n, room ? room + 2 * n * n : NULL, 1 }, .room = room ? room + 3 * n * n : NULL };
    an_status status = t.site && room ? walk(&t, &w, sites, stream_in, correlation_in) : an_fail(AN_ENOMEM, "out of memory for the prediction of %zu layers", config->n_layer);
    free(room);
    if (status != AN_OK) an_theory_fini(&t);
    else *out = t;
    return status;
}

void an_theory_fini(an_theory *theory)
{
    free(theory->site);
    *theory = (an_theory){ 0 };
}
