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
#include "net/sublayers.h"

enum { MOST = 256 };               /* positions followed; later ones behave like the last */
enum { HALF = 40 };                /* nodes on each side of 0 */
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

typedef double evaluate(curve *f, double z);
static double value(curve *f, double z) { return f(z); }
static double slope(curve *f, double z) { return (f(z + 1e-5) - f(z - 1e-5)) / 2e-5; }

/* E g(a) g(b), g the curve or its slope, a and b Gaussian of variance v and correlation rho. */
static double product(curve *f, evaluate *g, double v, double rho)
{
    const double s = sqrt(v), across = sqrt(fmax(0, 1 - rho * rho));
    double sum = 0;
    if (rho > 0.9999) {
        for (int i = -HALF; i <= HALF; i++) sum += weight(i) * g(f, s * REACH * i / HALF) * g(f, s * REACH * i / HALF);
        return sum;
    }
    for (int i = -HALF; i <= HALF; i++) {
        const double z = REACH * i / HALF;
        double inner = 0;
        for (int k = -HALF; k <= HALF; k++) inner += weight(k) * g(f, s * (rho * z + across * REACH * k / HALF));
        sum += weight(i) * g(f, s * z) * inner;
    }
    return sum;
}

/* Covariances of the tokens of one sequence, per channel: of a signal on the way up, of its gradient on the way down. */
typedef struct field { size_t t; double *c; } field;

static double *at(const field *x, size_t i, size_t k) { return &x->c[i * x->t + k]; }

static double mean_square(const field *x)
{
    double sum = 0;
    for (size_t i = 0; i < x->t; i++) sum += *at(x, i, i);
    return sum / (double)x->t;
}

static double correlation(const field *x)
{
    double sum = 0;
    for (size_t i = 0; i < x->t; i++)
        for (size_t k = 0; k < i; k++) sum += *at(x, i, k) / sqrt(*at(x, i, i) * *at(x, k, k));
    return x->t > 1 ? 2 * sum / (double)(x->t * (x->t - 1)) : 0;
}

static void copy(field *to, const field *from) { memcpy(to->c, from->c, from->t * from->t * sizeof *to->c); }

static void multiply(field *x, double factor)
{
    for (size_t i = 0; i < x->t * x->t; i++) x->c[i] *= factor;
}

/* Every token times a factor of its own; `r` holds the square roots that a covariance is multiplied by twice. */
static void stretch(field *x, const double *r)
{
    for (size_t i = 0; i < x->t; i++)
        for (size_t k = 0; k < x->t; k++) *at(x, i, k) *= r[i] * r[k];
}

enum { TABLE = 32 };               /* correlations -1..1 at which the kernels of the activation are tabulated */

/* A kernel at some variance; sub-layers behind a norm share theirs. */
typedef struct kernel_table { double v, at[TABLE + 1]; } kernel_table;

static const double *tabulate(kernel_table *k, curve *f, evaluate *g, double v)
{
    if (fabs(k->v - v) <= 1e-4 * v) return k->at;
    k->v = v;
    for (int i = 0; i <= TABLE; i++) k->at[i] = product(f, g, v, 2.0 * i / TABLE - 1);
    return k->at;
}

/* What the way up through one sub-layer leaves for the way down. Square roots per token, of what norms do to a gradient. */
typedef struct trace {
    field z;                       /* before the activation */
    double *pre, *out, *post, *inner, *values, *self;   /* [T]; self: sum of squared attention weights */
    kernel_table *value, *slope;
    field first, owed;             /* values of the first layer, where later ones take them up, and the gradient that these send back */
    int64_t first_layer;           /* -1: not met yet */
} trace;

/* The norm in force here on the way up; `back` gets its factors for the way down. Off: factors of 1. */
static void through_norm(const an_net *net, bool on, field *x, double *back)
{
    const an_norm_kind *kind = an_norm_find(an_here_text(net, "norm"));
    const double eps = an_here_float(net, "norm_eps");
    const bool outside = an_norm_eps_outside(net);
    for (size_t i = 0; i < x->t; i++) back[i] = 1;
    if (!on) return;
    double grow[MOST];
    for (size_t i = 0; i < x->t; i++) {
        const double before = *at(x, i, i), spread = outside ? (sqrt(before) + eps) * (sqrt(before) + eps) : before + eps;
        double q = before / spread, chi = 1 / spread;
        if (kind->field) kind->field(net, before, &q, &chi);
        grow[i] = sqrt(q / before);
        back[i] = sqrt(chi);
    }
    stretch(x, grow);
}

static double variance(an_init init) { return init.scale * init.scale * (init.law == AN_LAW_UNIFORM ? 1.0 / 3 : 1); }

/* The way up through attention's averages. Weights are uniform in the mean: between positions i and k the mean of c over
 * [0,i] x [0,k]; within one position the squares of log-normal weights (scores of variance s2) decide how much of its own
 * tokens' variance stays. */
static void average(field *x, double s2, double *self)
{
    const size_t n = x->t;
    double diagonal = 0, below = 0;
    double own[MOST];
    for (size_t i = 0; i < n; i++) own[i] = *at(x, i, i);
    for (size_t i = 0; i < n; i++)                           /* sums over [0,i] x [0,k] */
        for (size_t k = 0; k < n; k++)
            *at(x, i, k) += (i ? *at(x, i - 1, k) : 0) + (k ? *at(x, i, k - 1) : 0) - (i && k ? *at(x, i - 1, k - 1) : 0);
    for (size_t i = 0; i < n; i++) {
        const double m = (double)(i + 1);
        diagonal += own[i];
        below = *at(x, i, i) - diagonal;
        const double same = diagonal / m, other = i ? below / (m * (m - 1)) : 0, heavy = exp(fmin(s2 * fmax(0, 1 - other / same), 50));
        self[i] = heavy / (heavy + m - 1);
        own[i] = self[i] * same + (1 - self[i]) * other;
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) *at(x, i, k) /= (double)((i + 1) * (k + 1));
    for (size_t i = 0; i < n; i++) *at(x, i, i) = own[i];
}

/* The way down: position j gets from every later position t its weight p_tj of the gradient there. */
static void average_back(field *g, const double *self)
{
    const size_t n = g->t;
    double weight[MOST], extra[MOST], share[MOST];
    for (size_t i = 0; i < n; i++) {
        const double m = (double)(i + 1), mean = 1 / (m * m), own = *at(g, i, i);
        weight[i] = 1 / m;
        extra[i] = (self[i] / m - mean) * own;               /* one position's squared weights are larger than uniform ones, */
        share[i] = i ? ((1 - self[i]) / (m * (m - 1)) - mean) * own : 0;   /* and their products smaller */
    }
    stretch(g, weight);
    for (size_t i = n; i-- > 0;)                             /* sums over [i,n) x [k,n) */
        for (size_t k = n; k-- > 0;)
            *at(g, i, k) += (i + 1 < n ? *at(g, i + 1, k) : 0) + (k + 1 < n ? *at(g, i, k + 1) : 0) - (i + 1 < n && k + 1 < n ? *at(g, i + 1, k + 1) : 0);
    for (size_t i = n - 1; i-- > 0;) {
        extra[i] += extra[i + 1];
        share[i] += share[i + 1];
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) *at(g, i, k) += i == k ? extra[i] : share[i > k ? i : k];
}

static double matrix(const an_net *net, an_role role, size_t in, size_t out) { return variance(an_init_matrix(net, role, in, out, 0)); }

/* Of queries (out: d_model) or keys. */
static double query_variance(const an_net *net, const an_package *p, const field *x, size_t out)
{
    const size_t d = net->config->d_model;
    return strcmp(an_attention_choice(net, "qk_norm", p->inside.qk_norm), "off") == 0 ? (double)d * matrix(net, AN_ROLE_QK, d, out) * mean_square(x) : 1;
}

/* Value residuals, as they start: v <- (v_1 + v) / 2, v_1 those of the first layer that has them; the two are independent. */
static bool has_value_residual(const an_net *net, const an_package *p)
{
    return strcmp(an_attention_choice(net, "value_residual", p->inside.value_residual), "off") != 0;
}

static void mix_values(const an_net *net, field *v, trace *tape)
{
    if (tape->first_layer < 0) tape->first_layer = net->layer;
    if (tape->first_layer == net->layer) copy(&tape->first, v);
    else for (size_t i = 0; i < v->t * v->t; i++) v->c[i] = (v->c[i] + tape->first.c[i]) / 4;
}

static void mix_values_back(const an_net *net, field *g, trace *tape)
{
    const bool first = tape->first_layer == net->layer;
    if (!first) multiply(g, 0.25);
    for (size_t i = 0; i < g->t * g->t; i++) *(first ? &g->c[i] : &tape->owed.c[i]) += first ? tape->owed.c[i] : g->c[i];
}

static void up_attention(const an_net *net, const an_package *p, field *x, trace *tape)
{
    const an_model_config *c = net->config;
    const double d = (double)c->d_model, head = d / (double)c->n_head, scale = an_attention_scale(net);
    const double scores = query_variance(net, p, x, c->d_model) * query_variance(net, p, x, an_kv_width(net)) * head * scale * scale;
    multiply(x, d * matrix(net, AN_ROLE_V, c->d_model, an_kv_width(net)));
    for (size_t i = 0; i < x->t; i++) tape->values[i] = p->inside.v_norm ? 1 / sqrt(*at(x, i, i)) : 1;
    stretch(x, tape->values);
    if (has_value_residual(net, p)) mix_values(net, x, tape);
    average(x, scores, tape->self);
    through_norm(net, p->inside.attn_norm, x, tape->inner);
    multiply(x, d * matrix(net, AN_ROLE_O, c->d_model, c->d_model));
}

static void down_attention(const an_net *net, const an_package *p, field *g, trace *tape)
{
    const size_t d = net->config->d_model;
    multiply(g, (double)d * matrix(net, AN_ROLE_O, d, d));
    stretch(g, tape->inner);
    average_back(g, tape->self);
    if (has_value_residual(net, p)) mix_values_back(net, g, tape);
    stretch(g, tape->values);
    multiply(g, (double)d * matrix(net, AN_ROLE_V, d, an_kv_width(net)));   /* fewer heads of values, each with the gradients of more queries */
}

/* to_ik (times, or set) the kernel at the correlation of z_i and z_k. Gated: the gate's kernel times that of the other factor. */
static void kernel(const field *z, const double *table, double v, bool gated, bool down, field *to)
{
    for (size_t i = 0; i < z->t; i++)
        for (size_t k = 0; k <= i; k++) {
            const double size = sqrt(*at(z, i, i) * *at(z, k, k)), rho = *at(z, i, k) / size, place = fmin(fmax((rho + 1) * TABLE / 2, 0), TABLE - 1e-9);
            const int low = (int)place;
            const double here = table[low] + (place - low) * (table[low + 1] - table[low]);
            if (down) *at(to, k, i) = *at(to, i, k) *= here;
            else *at(to, i, k) = *at(to, k, i) = here * pow(size / v, gated ? 2 : 1);
        }
}

static void up_feed_forward(const an_net *net, const an_package *p, field *x, trace *tape)
{
    const an_model_config *c = net->config;
    const bool gated = strcmp(c->activation, "swiglu") == 0;
    curve *f = curve_of(c->activation);
    double table[TABLE + 1];
    multiply(x, matrix(net, AN_ROLE_FC1, c->d_model, c->d_ff) * (double)c->d_model);
    copy(&tape->z, x);
    const double v = mean_square(x);
    const double *both = tabulate(tape->value, f, value, v);
    for (int i = 0; i <= TABLE; i++) table[i] = both[i] * (gated ? (2.0 * i / TABLE - 1) * v : 1);
    kernel(&tape->z, table, v, gated, false, x);
    through_norm(net, p->inside.mlp_norm, x, tape->inner);
    multiply(x, matrix(net, AN_ROLE_FC2, c->d_ff, c->d_model) * (double)c->d_ff);
}

static void down_feed_forward(const an_net *net, field *g, const trace *tape)
{
    const an_model_config *c = net->config;
    const bool gated = strcmp(c->activation, "swiglu") == 0;
    curve *f = curve_of(c->activation);
    const double v = mean_square(&tape->z);
    double table[TABLE + 1];
    const double *both = tabulate(tape->value, f, value, v), *slopes = tabulate(tape->slope, f, slope, v);
    for (int i = 0; i <= TABLE; i++) table[i] = slopes[i] * (gated ? (2.0 * i / TABLE - 1) * v : 1) + (gated ? both[i] : 0);   /* through the gate, and past it */
    multiply(g, matrix(net, AN_ROLE_FC2, c->d_ff, c->d_model) * (double)c->d_model);
    stretch(g, tape->inner);
    kernel(&tape->z, table, v, gated, true, g);
    multiply(g, matrix(net, AN_ROLE_FC1, c->d_model, c->d_ff) * (double)c->d_ff);
}

typedef struct walker {
    an_net net;
    field x, f, side;              /* the stream and, inside a sub-layer, its branch and its skip */
    trace tape;
    float *kept;                   /* [sites, T, T]: the stream before every sub-layer, for the way down */
} walker;

/* One sub-layer, up. w->x: the stream before it and after. */
static void up(walker *w, const an_package *p, an_theory_site *out)
{
    const double a = p->skip.value, b = p->branch.value;
    an_net *net = &w->net;
    copy(&w->f, &w->x);
    through_norm(net, p->pre, &w->f, w->tape.pre);
    copy(&w->side, p->skip_normed ? &w->f : &w->x);
    multiply(&w->f, p->pre_scale * p->pre_scale);
    if (strcmp(net->site, "attn") == 0) up_attention(net, p, &w->f, &w->tape);
    else up_feed_forward(net, p, &w->f, &w->tape);
    through_norm(net, p->out, &w->f, w->tape.out);
    for (size_t i = 0; i < w->x.t * w->x.t; i++) w->x.c[i] = a * a * w->side.c[i] + b * b * w->f.c[i];
    through_norm(net, p->post, &w->x, w->tape.post);
    *out = (an_theory_site){ .layer = (int)net->layer, .site = net->site, .skip = a, .stream = mean_square(&w->x), .branch = b * b * mean_square(&w->f), .correlation = correlation(&w->x) };
}

/* The same sub-layer, down, after `up` has filled the tape again. g: the gradient behind it and before. */
static void down(walker *w, const an_package *p, field *g, an_theory_site *out)
{
    const double a = p->skip.value, b = p->branch.value, before = mean_square(g);
    stretch(g, w->tape.post);
    copy(&w->side, g);
    copy(&w->f, g);
    multiply(&w->side, a * a);
    multiply(&w->f, b * b);
    stretch(&w->f, w->tape.out);
    if (strcmp(w->net.site, "attn") == 0) down_attention(&w->net, p, &w->f, &w->tape);
    else down_feed_forward(&w->net, &w->f, &w->tape);
    multiply(&w->f, p->pre_scale * p->pre_scale);
    if (!p->skip_normed) stretch(&w->f, w->tape.pre);        /* else skip and branch part behind that norm, which both have in common */
    out->attenuation = sqrt(mean_square(&w->side) / before);
    out->branch_gradient = sqrt(mean_square(&w->f) / before);
    for (size_t i = 0; i < g->t * g->t; i++) g->c[i] = w->side.c[i] + w->f.c[i];
    const double behind = mean_square(g);
    if (p->skip_normed) stretch(g, w->tape.pre);
    out->gradient = sqrt(mean_square(g));
    out->attenuation *= out->gradient / sqrt(behind);        /* as the ledger has it: what a norm on the skip keeps of all */
}

static an_status check_law(const an_design *d)
{
    if (!d->alone && d->site == an_site_operator) return AN_OK;
    return an_fail(AN_ECONFIG, "design %s has no closed law here: %s; its report shows measurements only", d->name,
                   d->alone ? "its stream is its own" : "its sub-layers depend on more than the stream before them");
}

/* Statistics over the batch tie tokens together that this page follows one sequence at a time. */
static an_status check_norm(const an_net *net)
{
    const an_norm_kind *kind = an_norm_find(an_here_text(net, "norm"));
    if (!kind->batchwise) return AN_OK;
    return an_fail(AN_ECONFIG, "norm %s has no closed law here: its statistics run over the batch; its report shows measurements only", kind->name);
}

static void embedding(walker *w, const an_package *p, const an_theory_input *in)
{
    const an_model_config *c = w->net.config;
    double q = in->stream;
    if (q < 0) {
        const double table = variance(an_init_embedding(&w->net, false)) * p->embed_scale * p->embed_scale, position = variance(an_init_embedding(&w->net, true));
        q = table + (strcmp(c->position, "learned") == 0 ? position : strcmp(c->position, "sinusoidal") == 0 ? 0.5 : 0);
        q *= c->scaling.input * c->scaling.input;
    }
    for (size_t i = 0; i < w->x.t; i++)
        for (size_t k = 0; k < w->x.t; k++) *at(&w->x, i, k) = i == k ? q : q * in->correlation;
    if (in->stream < 0) through_norm(&w->net, p->embed_norm, &w->x, w->tape.pre);
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

/* Puts the walker at sub-layer k of its layer and reads the package there; false past the last. */
static an_status stand(walker *w, const char *sites, size_t layer, size_t k, an_package *p, bool *there)
{
    static const char *const NAMES[] = { "attn", "mlp" };    /* what this page has laws for */
    char name[16];
    *there = site_name(sites, k, name);
    if (!*there) return AN_OK;
    w->net.layer = (int64_t)layer;
    w->net.site = NULL;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(NAMES[i], name) == 0) w->net.site = NAMES[i];
    if (!w->net.site) return an_fail(AN_ECONFIG, "sub-layer %s of arch %s has no law here; its report shows measurements only", name, w->net.config->arch);
    AN_TRY(check_law(an_design_here(&w->net)));
    AN_TRY(check_norm(&w->net));
    return an_design_package(&w->net, an_design_here(&w->net), p);
}

static void keep(walker *w, size_t site)
{
    const size_t n = w->x.t * w->x.t;
    for (size_t i = 0; i < n; i++) w->kept[site * n + i] = (float)w->x.c[i];
}

static void restore(walker *w, size_t site)
{
    const size_t n = w->x.t * w->x.t;
    for (size_t i = 0; i < n; i++) w->x.c[i] = (double)w->kept[site * n + i];
}

static an_status walk_up(an_theory *t, walker *w, const char *sites, const an_theory_input *in)
{
    an_package p;
    AN_TRY(check_law(an_design_here(&w->net)));
    AN_TRY(check_norm(&w->net));
    AN_TRY(an_design_package(&w->net, an_design_here(&w->net), &p));
    double next = 0;               /* skip of the next profiled sub-layer; 0: this is the first */
    w->net.package = &p;
    embedding(w, &p, in);
    for (size_t l = 0; l < w->net.config->n_layer; l++)
        for (size_t k = 0;; k++, w->net.site_index++) {
            bool there;
            AN_TRY(stand(w, sites, l, k, &p, &there));
            if (!there) break;
            keep(w, t->n);
            if (p.profile && next > 0) p.skip.value = next;
            const double before = mean_square(&w->x);
            up(w, &p, &t->site[t->n]);
            if (p.profile) next = p.profile(p.skip.value, before, t->site[t->n].branch);
            t->n++;
        }
    return AN_OK;
}

/* The loss has the same gradient at every position, correlated as far as two targets are the same token. */
static an_status walk_down(an_theory *t, walker *w, const char *sites, size_t per_layer, const an_theory_input *in, field *g)
{
    an_package p;
    w->net.layer = -1;
    w->net.site = NULL;
    AN_TRY(an_design_package(&w->net, an_design_here(&w->net), &p));
    for (size_t i = 0; i < g->t; i++)
        for (size_t k = 0; k < g->t; k++) *at(g, i, k) = i == k ? 1 : in->gradient_correlation;
    through_norm(&w->net, p.final_norm, &w->x, w->tape.post);
    stretch(g, w->tape.post);
    const double end = sqrt(mean_square(g));
    t->product = 1;
    for (size_t i = t->n; i-- > 0;) {
        bool there;
        an_theory_site scratch;
        AN_TRY(stand(w, sites, i / per_layer, i % per_layer, &p, &there));
        w->net.package = &p;
        restore(w, i);
        p.skip.value = t->site[i].skip;
        up(w, &p, &scratch);
        down(w, &p, g, &t->site[i]);
        t->site[i].gradient /= end;
        t->product *= t->site[i].attenuation;
    }
    return AN_OK;
}

static const double MOST_KEPT = 1 << 24;                     /* covariances kept for the way down */
enum { FIELDS = 7 };

an_status an_theory_predict(an_theory *out, const an_model_config *config, const an_options *options, const an_theory_input *in)
{
    const char *sites = an_arch_find(config->arch)->sites;
    size_t per_layer = 1, n = config->seq_len < MOST ? config->seq_len : MOST;
    for (const char *bar = strchr(sites, '|'); bar; bar = strchr(bar + 1, '|')) per_layer++;
    const size_t count = config->n_layer * per_layer;
    while (n > 8 && (double)count * (double)(n * n) > MOST_KEPT) n /= 2;
    an_theory t = { .site = an_alloc(count * sizeof *t.site) };
    double *room = an_alloc((FIELDS * n * n + 6 * n) * sizeof *room);
    float *kept = an_alloc(count * n * n * sizeof *kept);
    an_status status = t.site && room && kept ? AN_OK : an_fail(AN_ENOMEM, "out of memory for the prediction of %zu layers", config->n_layer);
    if (status == AN_OK) {
        double *m[FIELDS], *v[6];
        for (size_t i = 0; i < FIELDS; i++) m[i] = room + i * n * n;
        for (size_t i = 0; i < 6; i++) v[i] = room + FIELDS * n * n + i * n;
        kernel_table tables[2] = { { .v = -1 }, { .v = -1 } };
        walker w = { .net = { .config = config, .options = options, .batch = 1, .seq = n, .layer = -1 }, .x = { n, m[0] }, .f = { n, m[1] }, .side = { n, m[2] },
            .tape = { { n, m[3] }, v[0], v[1], v[2], v[3], v[4], v[5], &tables[0], &tables[1], { n, m[5] }, { n, m[6] }, -1 }, .kept = kept };
        field g = { n, m[4] };
        status = walk_up(&t, &w, sites, in);
        if (status == AN_OK) status = walk_down(&t, &w, sites, per_layer, in, &g);
    }
    free(room);
    free(kept);
    if (status != AN_OK) an_theory_fini(&t);
    else *out = t;
    return status;
}

void an_theory_fini(an_theory *theory)
{
    free(theory->site);
    *theory = (an_theory){ 0 };
}
