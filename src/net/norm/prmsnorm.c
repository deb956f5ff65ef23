/* net/norm/prmsnorm.c
 * pRMSNorm: RMSNorm whose root mean square is taken from the first k = max(1, floor(p C)) channels only.
 * Shapes    x, y [N,C]   g [C]   rrms [N]
 * Units     norm_eps: of x^2 inside the root, of x outside
 * Saves     x, g, rrms              Cost  3NC flop
 * Backward  with e = g dy and t = sum(e x):  dx_i (+)= rrms e_i - [i < k] kappa rrms^3 t x_i / k,  kappa = (s + eps) / s outside
 *           the root (0 where s = 0), 1 inside;  dg (+)= sum dy x rrms, per chunk, then in order
 * Errors    build: C == 0 -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Zhang & Sennrich 2019, arXiv:1910.07467, section 5 */
#include "net/norm.h"

#include <math.h>

enum { X, G };
enum { Y, RRMS };
typedef struct prms_attr { double p, eps; bool outside; } prms_attr;

static size_t measured(const an_step *s)
{
    const double k = floor(((const prms_attr *)s->attr)->p * (double)an_cols(s->in[X]));
    return k < 1 ? 1 : (size_t)k;
}

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, X, 2));
    const size_t c = an_cols(s->in[X]);
    if (c == 0) return an_fail(AN_ESHAPE, "%s: a norm over 0 channels; d_model must be at least 1", s->name);
    if (s->in[G]) AN_TRY(an_need(s, G, AN_VEC(c)));
    AN_TRY(an_out(b, s, Y, "", s->in[X]->dims, false));
    return an_out(b, s, RRMS, ".rrms", AN_VEC(an_rows(s->in[X])), true);
}

static bool trains(const an_step *s) { return s->in[G] && s->in[G]->wants_grad; }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[X]));
    return dir == AN_BACKWARD && phase == 1 && trains(s) ? 1 : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const prms_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), k = measured(s);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c;
        const double square = r->k->sumsq(k, x) / (double)k;
        const an_real rrms = AN_R(1 / (at->outside ? sqrt(square) + at->eps : sqrt(square + at->eps)));
        s->out[RRMS]->data[i] = rrms;
        for (size_t j = 0; j < c; j++) s->out[Y]->data[i * c + j] = (s->in[G] ? s->in[G]->data[j] : 1) * x[j] * rrms;
    }
}

static void backward_row(const an_step *s, size_t i, bool add, an_real *dg)
{
    const prms_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), k = measured(s);
    const an_real *x = s->in[X]->data + i * c, *dy = s->out[Y]->grad + i * c, rrms = s->out[RRMS]->data[i];
    an_real *dx = an_has_grad(s, X) ? s->in[X]->grad + i * c : NULL;
    double t = 0;
    for (size_t j = 0; j < c; j++) t += (double)(s->in[G] ? s->in[G]->data[j] : 1) * (double)dy[j] * (double)x[j];
    const double root = 1 / (double)rrms - at->eps, kappa = !at->outside ? 1 : root > 4 * (double)AN_REAL_EPS * at->eps ? 1 / ((double)rrms * root) : 0;
    const an_real pull = AN_R(kappa * t * (double)rrms * (double)rrms / (double)k);   /* of x rrms: rrms^3 underflows on huge rows */
    for (size_t j = 0; dx && j < c; j++) {
        const an_real d = rrms * (s->in[G] ? s->in[G]->data[j] : 1) * dy[j] - (j < k ? pull * (rrms * x[j]) : 0);
        dx[j] = add ? dx[j] + d : d;
    }
    for (size_t j = 0; dg && j < c; j++) dg[j] += dy[j] * x[j] * rrms;
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = an_rows(s->in[X]), c = an_cols(s->in[X]);
    if (p->phase == 1) {
        an_reduce_affine(r, s, G, -1, an_chunks(n), c);
        return;
    }
    const an_range w = an_chunk(n, p->index);
    an_real *sums = an_affine_sums(s, trains(s), p->index, c);
    for (size_t i = w.begin; i < w.begin + w.n; i++) backward_row(s, i, an_add(r, s, X), sums);
}

/* The gains, and the share of rows whose measured channels have a mean square below 10 eps (outside the root: 10 eps^2). */
static double measure(const an_run *r, const an_step *s, size_t part, double *m)
{
    (void)r;
    const prms_attr *at = s->attr;
    const an_range w = an_chunk(an_rows(s->in[X]), part);
    m[0] = (double)w.n * an_gauge_rms(s->in[G]);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const double spread = 1 / (double)s->out[RRMS]->data[i], rest = spread - at->eps;
        m[1] += at->outside ? rest * rest < 10 * at->eps * at->eps : spread * spread - at->eps < 10 * at->eps;
    }
    return (double)w.n;
}

static const an_gauges GAUGES = { "norm", 2, { "gain_rms", "small_rows" }, { AN_FOLD_MEAN, AN_FOLD_MEAN }, an_gauge_chunks, measure };

static size_t work(const an_step *s, an_direction dir) { return dir == AN_BACKWARD && trains(s) ? an_chunks(an_rows(s->in[X])) * 2 * an_cols(s->in[X]) : 0; }
static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 3 * n, 2 * n * sizeof(an_real) }; }

static const an_op OP = { .name = "prmsnorm", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost, .backward_flops = 2, .work = work,
    .saves_in = 1u << X | 1u << G, .saves_out = 1u << RRMS, .gauges = &GAUGES };

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROWS,
    AN_NORM_AFFINE_ROW,
    { "prmsnorm_p", AN_FLOAT, "0.0625", "(0,1]", "share of the channels, from the first, that the root mean square is taken from", .flags = AN_PER_SITE },
    AN_OPTION_END
};

static an_value *emit(const an_net *net, an_value *x)
{
    if (!x) return NULL;
    const prms_attr attr = { an_here_float(net, "prmsnorm_p"), an_here_float(net, "norm_eps"), an_norm_eps_outside(net) };
    return AN_EMIT(net->b, &OP, "norm", &attr, x, an_here_bool(net, "norm_affine") ? an_param_const(net, AN_KIND_VECTOR, "gain", an_cols(x), 1) : NULL);
}

static void oracle(const an_net *net, size_t c, const double *x, const double *gain, const double *bias, double *y)
{
    const double p = floor(an_here_float(net, "prmsnorm_p") * (double)c), eps = an_here_float(net, "norm_eps");
    const size_t k = p < 1 ? 1 : (size_t)p;
    double square = 0;
    (void)bias;
    for (size_t i = 0; i < k; i++) square += x[i] * x[i] / (double)k;
    for (size_t i = 0; i < c; i++) y[i] = (gain ? gain[i] : 1) * x[i] / (an_norm_eps_outside(net) ? sqrt(square) + eps : sqrt(square + eps));
}

static const char *const VARIANTS[] = { "prmsnorm_p=0.75", "prmsnorm_p=0.5 norm_eps_place=outside", "norm_affine=false", NULL };

const an_norm_kind an_norm_prmsnorm = { .name = "prmsnorm", .formula = "y = g x / sqrt(mean_{i<k} x_i^2 + eps), k = floor(p C)", .source = "arXiv:1910.07467", .parameters = "d", .options = OPTIONS,
    .emit = emit, .oracle = oracle, .variants = VARIANTS, .small = "prmsnorm_p=0.5",
    .remarks = "The authors' code adds eps 1e-8 outside the root (`norm_eps: 1e-8`, `norm_eps_place: outside`) and has the partial estimate off by default. The estimate is biased where channels are "
               "ordered; the other channels' size is not measured at all." };
