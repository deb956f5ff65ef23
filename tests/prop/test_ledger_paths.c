/* The gradient ledger against passes that it does not know of. A plan that can cut (plan/intervene.h) leaves the gradient of the
 * stream before every sub-layer in a buffer; its length is taken there, with none of the ledger's code:
 *   the whole gradient, of every pair of design and norm;
 *   the part down the skip where the branch is cut, the part down the branch where the skip is, and their inner product;
 *   what the skips alone bring from behind the last sub-layer to the first, every branch cut: the product of the attenuations.
 * Where a stack is no single chain of skips there must be no attenuation. */
#include "prop.h"

#include "net/design.h"
#include "net/model_impl.h"
#include "plan/cut.h"
#include "plan/intervene.h"

#ifdef AN_F64
static const double TOLERANCE = 1e-10;
#else
static const double TOLERANCE = 2e-4;   /* as in test_ledger.c */
#endif

enum { MOST = 64 };

/* What a norm on the skip keeps depends on what comes down to it, by token and direction: how far the ledger, which measures all that
 * passes it, may be from the skip's part alone; over random weights, at one sub-layer. */
static const double ONE_NORM = 0.25;

static int chains, parts_seen;
static double worst_norm;

static void open_observed(subject *s, size_t batch, const char *settings)
{
    prop_open(s, batch, PROP_TRAIN, "%s", settings);
    an_model_destroy(&s->model);
    const an_model_shape shape = { .batch = batch, .seq = s->seq, .train = true, .observe = AN_OBSERVE_BASIC };
    if (an_model_create(&s->model, &s->config, s->options, &shape) != AN_OK) exit(1);
    s->param = an_model_get_params(s->model, &s->n_params);
    s->pass.train = false;                               /* running statistics must not move between the passes */
}

static const an_telemetry *observe(subject *s)
{
    s->pass.observe = true;
    an_model_forward_backward(s->model, &s->pass);
    s->pass.observe = false;
    return an_model_get_telemetry(s->model);
}

static an_model *open_cutter(subject *s)
{
    an_model *m = NULL;
    const an_model_shape shape = { .batch = s->batch, .seq = s->seq, .train = true, .probe = true };
    if (an_model_share(&m, s->model, &shape) != AN_OK || m->plan->n_sites > MOST) {
        printf("FAIL a plan that cuts cannot be built: %s\n", an_error_text());
        exit(1);
    }
    return m;
}

static void pass_with(an_model *m, subject *s, const unsigned char *cut)
{
    s->pass.cut = cut;
    an_model_forward_backward(m, &s->pass);
    s->pass.cut = NULL;
}

static bool near(double a, double b, double scale) { return fabs(a - b) <= TOLERANCE * scale; }

static double dot(size_t n, const an_real *a, const an_real *b)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* The gradient of a value as the pass has left it, in fresh memory. */
static an_real *gradient_of(const an_value *v)
{
    an_real *g = malloc(v->count * sizeof *g);
    if (!g) exit(1);
    memcpy(g, v->grad, v->count * sizeof *g);
    return g;
}

/* --- the whole gradient ------------------------------------------------------------------------------------------- */

/* The buffer holds this boundary's gradient and nothing else: the value is no earlier boundary's, and none of what becomes of the
 * embedding before the first sub-layer is made of another. */
static bool is_alone(const an_plan *plan, size_t site)
{
    const an_site_mark *m = &plan->sites[site];
    if (m->history || (site == 0 && m->n_in > 1)) return site == 0 && m->n_in == 1;
    for (size_t k = 0; k < m->n_in; k++)
        for (size_t i = 0; i < site; i++)
            for (size_t j = 0; j < plan->sites[i].n_in; j++)
                if (plan->sites[i].in[j] == m->in[k]) return false;
    return true;
}

static void whole(const char *settings, an_model *m, const an_telemetry *t)
{
    for (size_t i = 0; i < t->n_sites; i++) {
        const an_site_mark *mark = &m->plan->sites[i];
        double sum = 0;
        if (!is_alone(m->plan, i)) continue;
        for (size_t k = 0; k < mark->n_in; k++) sum += dot(mark->in[k]->count, mark->in[k]->grad, mark->in[k]->grad);
        prop_check(sum > 0 && near(t->site[i].g_in, sqrt(sum), sqrt(sum)), "%s: the gradient before %s is %.12g, the ledger says %.12g", settings, t->site[i].name, sqrt(sum), t->site[i].g_in);
    }
}

/* --- its parts ---------------------------------------------------------------------------------------------------- */

/* Whether the branch of this sub-layer also acts past its own sum: value residuals hand the first layer's values on. */
static bool hands_on(const char *settings, size_t site) { return site == 0 && (strstr(settings, "value-residual") || strstr(settings, "value_residual")); }

/* The gradient at v with this cut; where that would leave something of the other part too, what the other cut leaves off the whole. */
static an_real *part_of(subject *s, an_model *m, const an_value *v, const unsigned char *cut, bool rest)
{
    an_real *whole = NULL;
    if (rest) {
        pass_with(m, s, NULL);
        whole = gradient_of(v);
    }
    pass_with(m, s, cut);
    an_real *g = gradient_of(v);
    for (size_t k = 0; whole && k < v->count; k++) g[k] = whole[k] - g[k];
    free(whole);
    return g;
}

/* With the branch of sub-layer i cut, and with its skip. The feed-forward of `parallel` reads the stream before attention too; b2t
 * has a second skip past two sub-layers. */
static void parts(const char *settings, subject *s, an_model *m, const an_telemetry *t, size_t i)
{
    const an_site_mark *mark = &m->plan->sites[i];
    const an_site_record *r = &t->site[i];
    const an_value *v = mark->fork ? mark->fork : mark->in[0];
    if (!m->plan->joints[i].sum || mark->n_in != 1 || mark->n_side || mark->history || !v->grad) return;
    unsigned char no_branch[MOST] = { 0 }, no_skip[MOST] = { 0 };
    no_branch[i] = AN_CUT_BRANCH_GRADIENT;
    no_skip[i] = AN_CUT_SKIP_GRADIENT;
    if (i + 1 < t->n_sites && mark[1].n_side) no_branch[i + 1] = AN_CUT_BRANCH_GRADIENT;
    const bool past_sum = hands_on(settings, i), two_skips = mark->n_out > 1;
    an_real *id = part_of(s, m, v, past_sum ? no_skip : no_branch, past_sum);
    const double kept = sqrt(dot(mark->in[0]->count, mark->in[0]->grad, mark->in[0]->grad)) / r->g_out;
    an_real *br = part_of(s, m, v, two_skips ? no_branch : no_skip, two_skips);
    const double ii = sqrt(dot(v->count, id, id)), bb = sqrt(dot(v->count, br, br)), ib = dot(v->count, id, br), g = r->g_fork;
    prop_check(near(r->g_id, ii, g), "%s: with the branch of %s cut %.12g is left, the ledger says %.12g of %.12g", settings, r->name, ii, r->g_id, g);
    prop_check(near(r->g_br, bb, g), "%s: with the skip of %s cut %.12g is left, the ledger says %.12g of %.12g", settings, r->name, bb, r->g_br, g);
    prop_check(near(r->g_dot, ib, g * g), "%s: inner product at %s %.12g, the ledger says %.12g", settings, r->name, ib, r->g_dot);
    if (isfinite(r->attenuation) && !past_sum)           /* a norm on the skip is measured at all that passes it, not at the skip's part alone */
        prop_check(fabs(r->attenuation / kept - 1) <= (mark->fork ? ONE_NORM : TOLERANCE), "%s: the skip of %s keeps %.9g, the ledger says %.9g", settings, r->name, kept, r->attenuation);
    if (isfinite(r->attenuation) && mark->fork) worst_norm = fmax(worst_norm, fabs(r->attenuation / kept - 1));
    parts_seen++;
    free(id);
    free(br);
}

static void told_apart(const char *settings)
{
    subject s;
    open_observed(&s, 1, settings);
    prop_randomise(&s, 1);
    const an_telemetry *t = observe(&s);
    an_model *m = open_cutter(&s);
    pass_with(m, &s, NULL);
    whole(settings, m, t);
    for (size_t i = 0; i < t->n_sites; i++) parts(settings, &s, m, t, i);
    an_model_destroy(&m);
    prop_close(&s);
}

/* --- the skips alone ---------------------------------------------------------------------------------------------- */

/* A sub-layer's attenuation is measured at the whole gradient, and a norm on the skip keeps more of some directions and tokens
 * than of others: so the product is exact without such norms, and with them off by at most 4 % per sub-layer (Post-LN 3.7 %). */
static const double PER_SUBLAYER = 0.04;

static void chain(const char *design)
{
    subject s;
    char settings[300];
    snprintf(settings, sizeof settings, "%s init=xavier n_layer=8 n_head=4 d_model=64 seq_len=32", design);
    open_observed(&s, 4, settings);
    an_model_init_params(s.model, 1);
    const an_telemetry *t = observe(&s);
    an_model *m = open_cutter(&s);
    unsigned char cut[MOST];
    memset(cut, AN_CUT_BRANCH_GRADIENT, sizeof cut);
    pass_with(m, &s, cut);
    const an_value *first = m->plan->sites[0].in[0];
    const double alone = sqrt(dot(first->count, first->grad, first->grad)) / t->site[t->n_sites - 1].g_out;
    double product = 1;
    bool norms = false, skips = true;
    for (size_t i = 0; i < t->n_sites; i++) {
        product *= t->site[i].attenuation;
        norms |= fabs(t->site[i].attenuation - 1) > 1e-3;
        skips &= m->plan->joints[i].sum != NULL;
    }
    const bool single = m->plan->sites[0].n_in == 1 && !m->plan->sites[0].history && t->site[0].n_in == 1 && t->site[t->n_sites - 1].n_out == 1;
    if (!single) prop_check(isnan(product), "%s: no single chain of skips, and attenuations of product %g", design, product);
    else if (!skips) prop_check(product == 0, "%s: no skips, and attenuations of product %g", design, product);
    else prop_check(fabs(log(product / alone)) <= (double)t->n_sites * (norms ? PER_SUBLAYER : TOLERANCE), "%s: the skips alone keep %.9g, the ledger's product is %.9g", design, alone, product);
    printf("%-44s skips alone %.4g, product %.4g\n", design, single && skips ? alone : (double)NAN, product);
    chains += single && skips;
    an_model_destroy(&m);
    prop_close(&s);
}

static void every_design(void)
{
    static const char *const MORE[] = { "design=parallel parallel_norms=separate", "design=hybridnorm hybridnorm_first=true", "design=hybridnorm norm=rmsnorm",
        "design=custom custom_skip_normed=true", "design=custom custom_skip_normed=true custom_pre_scale=0.5", "design=custom custom_skip_normed=true custom_skip=2", "design=custom custom_skip_normed=true custom_skip=0",
        "design=custom custom_skip_kind=scalar custom_skip=0.9" };
    char settings[64];
    for (size_t d = 0; an_design_at(d); d++) {
        snprintf(settings, sizeof settings, "design=%s", an_design_name(d));
        chain(settings);
    }
    for (size_t k = 0; k < sizeof MORE / sizeof *MORE; k++) {
        chain(MORE[k]);
        told_apart(MORE[k]);
    }
    prop_check(chains >= 20, "%d designs with a chain of skips", chains);
}

int main(void)
{
    every_design();
    prop_product(1, told_apart);
    prop_check(parts_seen > 200, "%d sub-layers were told apart", parts_seen);
    printf("a norm on the skip: at most %.3f beside the skip's part alone\n", worst_norm);
    return prop_finish("ledger paths");
}
