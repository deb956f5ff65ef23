/* R0: every token-wise norm kind of the registry against its formula, written here a second time in long double: the
 * result, and the gradients of x and of all that is learned against central differences of that formula. Rows of ordinary,
 * huge and tiny numbers and constant rows, in every convention; the two published results on [1,0,0,0]; the share of rows
 * that eps decides. A kind without a formula here fails by name; kinds over the batch are skipped with a reason.
 * Frozen thresholds, relative and row by row: result 1e-5, gradients 1e-4 (the suite's own for f32). Measured when they were set:
 * results 1.1e-7, gradients 7.3e-6. Leaving (s + eps) / s out of the backward pass moves dx by 1e-1 where eps is as large as s. */
#include "stack.h"

#include "core/rng.h"
#include "net/norm.h"

static const double RESULT = 1e-5, GRADIENT = 1e-4;
static double worst_result, worst_gradient;
static int failed;                 /* of this kind; after its first wrong settings no others are tried, so that every kind can be told */

enum { GAIN, BIAS, ALPHA, SHIFT, PARTS, MOST = 160 };
static const char *const PART[PARTS] = { "pre.gain", "pre.bias", "pre.alpha", "pre.shift" };

/* What a formula reads: the settings, and the learned numbers (NULL: absent). */
typedef struct given { double eps, offset, share; int outside, unbiased; size_t groups; const long double *part[PARTS]; } given;
typedef void formula(const given *g, size_t c, const long double *x, long double *y);

static long double root(const given *g, long double square) { return g->outside ? sqrtl(square) + g->eps : sqrtl(square + g->eps); }
static long double gain(const given *g, size_t i) { return g->part[GAIN] ? g->offset + g->part[GAIN][i] : 1; }
static long double bias(const given *g, size_t i) { return g->part[BIAS] ? g->part[BIAS][i] : 0; }

/* (x - mean) / root(variance) of w neighbours, without gain and bias. */
static void centred(const given *g, size_t w, const long double *x, long double *y)
{
    long double mean = 0, square = 0;
    for (size_t i = 0; i < w; i++) mean += x[i] / (long double)w;
    for (size_t i = 0; i < w; i++) square += (x[i] - mean) * (x[i] - mean) / (long double)(g->unbiased ? w - 1 : w);
    for (size_t i = 0; i < w; i++) y[i] = (x[i] - mean) / root(g, square);
}

static void affine(const given *g, size_t c, long double *y)
{
    for (size_t i = 0; i < c; i++) y[i] = gain(g, i) * y[i] + bias(g, i);
}

static void layernorm(const given *g, size_t c, const long double *x, long double *y) { centred(g, c, x, y); affine(g, c, y); }

static void groupnorm(const given *g, size_t c, const long double *x, long double *y)
{
    for (size_t i = 0; i < c; i += c / g->groups) centred(g, c / g->groups, x + i, y + i);
    affine(g, c, y);
}

static void rms_of(const given *g, size_t measured, size_t c, const long double *x, long double *y)
{
    long double square = 0;
    for (size_t i = 0; i < measured; i++) square += x[i] * x[i] / (long double)measured;
    for (size_t i = 0; i < c; i++) y[i] = x[i] / root(g, square);
    affine(g, c, y);
}

static void rmsnorm(const given *g, size_t c, const long double *x, long double *y) { rms_of(g, c, c, x, y); }

static void prmsnorm(const given *g, size_t c, const long double *x, long double *y)
{
    const size_t k = (size_t)floor(g->share * (double)c);
    rms_of(g, k ? k : 1, c, x, y);
}

static void length(const given *g, long double factor, size_t c, const long double *x, long double *y)
{
    long double square = 0;
    for (size_t i = 0; i < c; i++) square += x[i] * x[i];
    for (size_t i = 0; i < c; i++) y[i] = factor * x[i] / fmaxl(sqrtl(square), g->eps);
}

static void scalenorm(const given *g, size_t c, const long double *x, long double *y) { length(g, g->part[GAIN][0], c, x, y); }
static void l2norm(const given *g, size_t c, const long double *x, long double *y) { length(g, sqrtl((long double)c), c, x, y); }

static void dyt(const given *g, size_t c, const long double *x, long double *y)
{
    for (size_t i = 0; i < c; i++) y[i] = tanhl(g->part[ALPHA][0] * x[i]);
    affine(g, c, y);
}

static void derf(const given *g, size_t c, const long double *x, long double *y)
{
    for (size_t i = 0; i < c; i++) y[i] = erfl(g->part[ALPHA][0] * x[i] + g->part[SHIFT][0]);
    affine(g, c, y);
}

static void none(const given *g, size_t c, const long double *x, long double *y)
{
    (void)g;
    for (size_t i = 0; i < c; i++) y[i] = x[i];
}

/* slope: nothing is divided by, so that large rows saturate and 1 - y^2 is known to the rounding of y only. */
static const struct law { const char *name; formula *f; int slope; } LAW[] = {
    { "layernorm", layernorm, 0 }, { "rmsnorm", rmsnorm, 0 }, { "prmsnorm", prmsnorm, 0 }, { "scalenorm", scalenorm, 0 }, { "l2norm", l2norm, 0 }, { "groupnorm", groupnorm, 0 },
    { "dyt", dyt, 1 }, { "derf", derf, 1 }, { "none", none, 0 } };

static const struct law *law_of(const char *name)
{
    for (size_t i = 0; i < sizeof LAW / sizeof *LAW; i++)
        if (strcmp(LAW[i].name, name) == 0) return &LAW[i];
    return NULL;
}

/* One norm over x [n, c] under the probe of stack.h, x being a parameter. */
typedef struct fixture {
    an_options *options;
    an_model_config config;
    an_params params;
    an_plan *plan;
    an_value *y;
    size_t n, c;
    char what[200];
} fixture;

static void need(an_status status, const char *what)
{
    if (status == AN_OK) return;
    printf("FAIL %s: %s\n", what, an_error_text());
    exit(1);
}

static void open_norm(fixture *f, size_t n, size_t c, const char *settings)
{
    const an_init unit = { AN_LAW_NORMAL, 1, 0 };
    char text[200];
    *f = (fixture){ .n = n, .c = c };
    snprintf(f->what, sizeof f->what, "%s [%zu,%zu]", settings, n, c);
    snprintf(text, sizeof text, "%s", settings);
    need(an_options_create(&f->options), f->what);
    need(an_model_options_add(f->options), f->what);
    for (char *rest = text, *pair; (pair = strtok_r(rest, " ", &rest));) {
        char *equal = strchr(pair, '=');
        *equal = '\0';
        need(an_options_set(f->options, pair, equal + 1, AN_FROM_FLAG, "the test"), f->what);
    }
    need(an_options_resolve(f->options), f->what);
    need(an_model_config_read(&f->config, f->options), f->what);
    need(an_plan_create(&f->plan, &f->params, true), f->what);
    an_build b = { .plan = f->plan, .block = -1, .branch = -1, .train = true };
    const an_net net = { .b = &b, .config = &f->config, .options = f->options, .batch = 1, .seq = n, .layer = -1 };
    an_value *x = an_param_make(&b, "x", AN_MAT(n, c), &unit, 1, AN_RULE_BARE);
    f->y = an_norm_emit(&net, "pre", x);
    f->plan->loss = AN_EMIT(&b, &stack_probe, "probe", (&(const stack_probe_attr){ 1 }), f->y);
    need(b.status, f->what);
    f->y->keep = true;
    need(an_plan_freeze(f->plan, false), f->what);
    need(an_params_freeze(&f->params, true), f->what);
    need(an_plan_bind(f->plan, 1), f->what);
    an_params_draw(&f->params, 1, 1);
}

static void close_norm(fixture *f)
{
    an_plan_destroy(&f->plan);
    an_params_fini(&f->params);
    an_options_destroy(&f->options);
}

static void run(fixture *f)
{
    an_run r = { .k = an_kern_get(), .gemm = an_gemm_get(), .loss_scale = 1 };
    an_plan_forward(f->plan, &r);
    an_plan_backward(f->plan, &r);
}

static void draw(const an_param_def *p, double scale, double shift, uint64_t seed)
{
    for (size_t i = 0; i < p->count; i++) p->data[i] = AN_R(shift + scale * an_rng_normal(an_rng_key_make(seed, AN_RNG_PROBE, 0), i));
}

/* The long double copy of what the fixture holds now. */
typedef struct copy { given g; long double part[PARTS][MOST]; const an_param_def *def[PARTS]; const an_param_def *x; double w[17 * MOST]; } copy;   /* w: of the probe */

static void take(const fixture *f, copy *k)
{
    *k = (copy){ .g = { .eps = an_options_float(f->options, "norm_eps"), .offset = an_options_float(f->options, "norm_gain_offset"), .share = an_options_float(f->options, "prmsnorm_p"),
        .outside = an_options_text(f->options, "norm_eps_place")[0] == 'o', .unbiased = an_options_text(f->options, "norm_variance")[0] == 'u', .groups = (size_t)an_options_int(f->options, "norm_groups") } };
    for (size_t i = 0; i < f->n * f->c; i++) k->w[i] = stack_probe_weight(1, i);
    for (size_t i = 0; i < f->params.n; i++) {
        const an_param_def *p = &f->params.list[i];
        int known = strcmp(p->name, "x") == 0;
        if (known) k->x = p;
        for (int part = 0; part < PARTS; part++)
            if (strcmp(p->name, PART[part]) == 0 && ++known) {
                for (size_t j = 0; j < p->count; j++) k->part[part][j] = (long double)p->data[j];
                k->g.part[part] = k->part[part];
                k->def[part] = p;
            }
        prop_check(known, "%s: the formula knows no %s", f->what, p->name);
    }
}

/* sum_i w_i y_i of row r, its bias left out (it would only add rounding). */
static long double row_sum(const copy *k, formula *y_of, size_t r, size_t c, const long double *x)
{
    given g = k->g;
    long double y[MOST], sum = 0;
    g.part[BIAS] = NULL;
    y_of(&g, c, x, y);
    for (size_t i = 0; i < c; i++) sum += (long double)k->w[r * c + i] * y[i];
    return sum;
}

static void row_of(const copy *k, size_t r, size_t c, long double *x)
{
    for (size_t i = 0; i < c; i++) x[i] = (long double)k->x->data[r * c + i];
}

/* |a - b| over |b| or over `least`, whichever is longer. */
static double off(size_t n, const an_real *a, const long double *b, double least)
{
    long double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((long double)a[i] - b[i]) * ((long double)a[i] - b[i]);
        size += b[i] * b[i];
    }
    return difference == 0 ? 0 : (double)(sqrtl(difference) / fmaxl(sqrtl(size), least));
}

static double worse(double a, double b) { return a >= b ? a : isnan(b) ? HUGE_VAL : b; }

static void check_rows(const fixture *f, copy *k, const struct law *law, double h, double least, const char *rows)
{
    const size_t c = f->c;
    long double x[MOST], want[MOST];
    double result = 0, gradient = 0;
    for (size_t r = 0; r < f->n; r++) {
        double steep = 0;                            /* what a saturated unit's gradient is uncertain by */
        row_of(k, r, c, x);
        law->f(&k->g, c, x, want);
        result = worse(result, off(c, f->y->data + r * c, want, least));
        if (f->n > 8 && r % 8) continue;             /* differences cost c formulas a row */
        for (size_t i = 0; i < c; i++) {
            const long double here = x[i];
            x[i] = here + h;
            want[i] = row_sum(k, law->f, r, c, x);
            x[i] = here - h;
            want[i] = (want[i] - row_sum(k, law->f, r, c, x)) / (2 * (long double)h);
            x[i] = here;
            if (law->slope) steep += fabs(k->w[r * c + i] * (double)(gain(&k->g, i) * k->part[ALPHA][0]));
        }
        gradient = worse(gradient, off(c, k->x->grad + r * c, want, 1e-2 * steep));
    }
    worst_result = worse(worst_result, result);
    worst_gradient = worse(worst_gradient, gradient);
    failed |= !prop_check(result <= RESULT, "%s, %s: y is off by %.1e", f->what, rows, result);
    failed |= !prop_check(gradient <= GRADIENT, "%s, %s: dx is off by %.1e", f->what, rows, gradient);
}

/* Gradients of gain, bias, alpha, shift: the whole sum, one number moved. */
static void check_learned(const fixture *f, copy *k, const struct law *law, const char *rows)
{
    const size_t c = f->c;
    for (int part = 0; part < PARTS; part++) {
        if (!k->def[part]) continue;
        given g = k->g;
        if (part != BIAS) g.part[BIAS] = NULL;           /* it would only add rounding */
        long double want[MOST], x[MOST], y[MOST];
        an_real got[MOST];
        double size = 0;
        size_t n = 0;
        for (size_t i = 0; i < k->def[part]->count; i += f->n > 8 ? 7 : 1, n++) {
            const long double here = k->part[part][i], h = 1e-6L;
            got[n] = k->def[part]->grad[i];
            want[n] = 0;
            for (size_t r = 0; r < f->n; r++) {
                row_of(k, r, c, x);
                for (int side = -1; side <= 1; side += 2) {
                    k->part[part][i] = here + side * h;
                    law->f(&g, c, x, y);
                    for (size_t j = 0; j < c; j++) want[n] += side * (long double)k->w[r * c + j] * y[j] / (2 * h);
                }
            }
            k->part[part][i] = here;
        }
        for (size_t i = 0; law->slope && i < f->n * c; i++) size += fabs(k->w[i] * (part == ALPHA ? (double)k->x->data[i] : 1));   /* as above, of a sum */
        const double e = off(n, got, want, 1e-2 * size);
        worst_gradient = worse(worst_gradient, e);
        failed |= !prop_check(e <= GRADIENT, "%s, %s: the gradient of %s is off by %.1e", f->what, rows, PART[part], e);
    }
}

static void random_rows(fixture *f, const struct law *law)
{
    static const struct { double scale, shift; } ROW[] = { { 1, 0 }, { 1, 3 }, { 1e-2, 0 }, { 200, -50 }, { 1e-6, 0 }, { 1e-12, 0 }, { 1e-30, 0 }, { 1e8, 0 }, { 1e15, 0 }, { 1e25, 0 } };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        static copy k;
        char rows[48];
        if (law->slope && (ROW[i].scale > 1e3 || ROW[i].scale < 1e-6)) continue;   /* saturated, or lost beside the shift */
        snprintf(rows, sizeof rows, "rows of %g +- %g", ROW[i].shift, ROW[i].scale);
        for (size_t p = 0; p < f->params.n; p++) {
            const an_param_def *d = &f->params.list[p];
            if (strcmp(d->name, "x") == 0) draw(d, ROW[i].scale, ROW[i].shift, 11 + i);
            else if (strstr(d->name, "gain")) draw(d, 0.3, 1, 12);
            else if (strstr(d->name, "alpha")) draw(d, 0, 0.7, 13);
            else draw(d, 0.3, 0.1, 14);
        }
        run(f);
        take(f, &k);
        check_rows(f, &k, law, law->slope ? 1e-6 : 1e-6 * ROW[i].scale, 0, rows);
        check_learned(f, &k, law, rows);
    }
}

static int all_finite(const fixture *f)
{
    int finite = 1;
    for (size_t i = 0; i < f->n * f->c; i++) finite &= !!isfinite(f->y->data[i]);
    for (size_t p = 0; p < f->params.n; p++)
        for (size_t i = 0; i < f->params.list[p].count; i++) finite &= !!isfinite(f->params.list[p].grad[i]);
    return finite;
}

/* Constant rows: finite whatever their value. Where the spread is 0 the derivative under "outside" is not defined; what it is
 * defined as, sqrt standing still, is what central differences give, since s is even around 0. */
static void constant_rows(fixture *f, const struct law *law)
{
    static const double VALUE[] = { 0, 3.25, -1, 1e-30, 0.1, 1e4, -1e15, 1e30 };
    static copy k;
    an_params_draw(&f->params, 1, 1);
    for (size_t v = 0; v < sizeof VALUE / sizeof *VALUE; v++) {
        char rows[48];
        snprintf(rows, sizeof rows, "constant rows of %g", VALUE[v]);
        for (size_t p = 0; p < f->params.n; p++)
            if (strcmp(f->params.list[p].name, "x") == 0) draw(&f->params.list[p], 0, VALUE[v], 1);
        run(f);
        failed |= !prop_check(all_finite(f), "%s, %s: nan or inf", f->what, rows);
        take(f, &k);
        if (v < 3) check_rows(f, &k, law, 1e-12, 1, rows);   /* a spread of 0 is one of 1e-19 there: compared with 1 */
    }
}

static void compare(const char *settings, size_t n, size_t c, const struct law *law)
{
    fixture f;
    open_norm(&f, n, c, settings);
    random_rows(&f, law);
    constant_rows(&f, law);
    close_norm(&f);
}

static void kind(const an_norm_kind *kind, const struct law *law)
{
    static const size_t SHAPE[][2] = { { 3, 16 }, { 5, 28 }, { 17, 132 } };           /* the last: two chunks of rows, whole vectors and a rest */
    static const char *const MORE[] = { "layernorm norm_variance=unbiased norm_eps=0.5", "layernorm norm_eps_place=outside norm_eps=0.5", "rmsnorm norm_eps_place=outside norm_eps=0.5", "rmsnorm norm_gain_offset=1",
        "groupnorm norm_groups=1", "groupnorm norm_groups=2", "scalenorm norm_eps=0.5", "l2norm norm_eps=0.5", "prmsnorm norm_eps=0.5 prmsnorm_p=0.3" };
    char settings[160];
    failed = 0;
    for (size_t s = 0; s < sizeof SHAPE / sizeof *SHAPE; s++) {
        for (size_t v = 0; !failed && (v == 0 || (kind->variants && kind->variants[v - 1])); v++) {
            snprintf(settings, sizeof settings, "norm=%s%s%s", kind->name, v ? " " : "", v ? kind->variants[v - 1] : "");
            compare(settings, SHAPE[s][0], SHAPE[s][1], law);
        }
        for (size_t m = 0; !failed && m < sizeof MORE / sizeof *MORE; m++) {
            if (strncmp(MORE[m], kind->name, strlen(kind->name)) != 0) continue;
            snprintf(settings, sizeof settings, "norm=%s", MORE[m]);
            compare(settings, SHAPE[s][0], SHAPE[s][1], law);
        }
    }
}

/* The row on which the two published LayerNorms differ by sight: 1/sqrt(3/16) against 1/sqrt(1/4). */
static void published_row(void)
{
    static const struct { const char *settings; double one, zero; } ROW[] = {
        { "norm=layernorm norm_eps=1e-12", 1.7320508, -0.5773503 }, { "norm=layernorm norm_eps=1e-12 norm_eps_place=outside norm_variance=unbiased", 1.5, -0.5 },
        { "norm=groupnorm norm_groups=1 norm_eps=1e-12", 1.7320508, -0.5773503 }, { "norm=rmsnorm norm_eps=1e-12", 2, 0 }, { "norm=l2norm", 2, 0 }, { "norm=scalenorm", 2, 0 } };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        fixture f;
        open_norm(&f, 1, 4, ROW[i].settings);
        memcpy(f.params.list[0].data, ((an_real[]){ 1, 0, 0, 0 }), 4 * sizeof(an_real));
        run(&f);
        for (size_t j = 0; j < 4; j++) {
            const double want = j ? ROW[i].zero : ROW[i].one;
            prop_check(fabs((double)f.y->data[j] - want) <= 1e-6, "%s: [1,0,0,0] gives %.7f at %zu, published %.7f", ROW[i].settings, (double)f.y->data[j], j, want);
        }
        close_norm(&f);
    }
}

/* The gauge of eps: the share of rows whose variance is below 10 eps; rows 0..small-1 are made so. */
static void eps_share(const char *settings, double edge, int centre)
{
    enum { N = 40, C = 16, SMALL = 13 };
    fixture f;
    double sum[AN_GAUGES] = { 0 }, weight = 0;
    open_norm(&f, N, C, settings);
    for (size_t r = 0; r < N; r++)
        for (size_t j = 0; j < C; j++) f.params.list[0].data[r * C + j] = AN_R((centre ? 5 : 0) + (j % 2 ? 1 : -1) * sqrt(edge) * (r < SMALL ? 0.9 : 1.1));
    run(&f);
    const an_run run = { .k = an_kern_get(), .gemm = an_gemm_get() };
    for (size_t i = 0; i < f.plan->n_steps; i++) {
        const an_step *s = f.plan->steps[i];
        for (size_t p = 0; s->op->gauges && p < s->op->gauges->parts(s); p++) weight += s->op->gauges->measure(&run, s, p, sum);
    }
    prop_check(weight > 0 && fabs(sum[1] / weight - (double)SMALL / N) < 1e-12, "%s: %g of the rows are said to be below 10 eps, %d of %d are", settings, sum[1] / weight, SMALL, N);
    close_norm(&f);
}

int main(void)
{
    size_t covered = 0;
    published_row();
    eps_share("norm=layernorm norm_eps=1e-3", 1e-2, 1);
    eps_share("norm=rmsnorm norm_eps=1e-3", 1e-2, 0);
    eps_share("norm=layernorm norm_eps=1e-2 norm_eps_place=outside", 1e-3, 1);
    for (size_t i = 0; an_norm_at(i); i++) {
        const an_norm_kind *k = an_norm_at(i);
        const struct law *law = law_of(k->name);
        if (k->batchwise) {
            printf("SKIPPED %s: its statistics run over the batch, so that no row has a formula of its own\n", k->name);
            continue;
        }
        if (!prop_check(law != NULL, "norm %s: no formula is written here; add one", k->name)) continue;
        kind(k, law);
        covered++;
    }
    prop_check(covered == sizeof LAW / sizeof *LAW, "%zu kinds of the registry were compared, formulas are written for %zu", covered, sizeof LAW / sizeof *LAW);
    printf("worst result %.1e, worst gradient %.1e\n", worst_result, worst_gradient);
    return prop_finish("R0, norms against long double");
}
