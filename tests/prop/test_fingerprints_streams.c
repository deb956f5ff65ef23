/* What designs of several streams and of depth history claim about themselves:
 *   at the start each of them is Pre-LN (loss and the gradients of what both have): hyper-connections and the constrained form for any
 *   number of streams, attention residuals because a mean of sources is the running sum but for a factor that a norm removes,
 *   DenseFormer bit for bit;
 *   streams part only where something tells them apart; mixing matrices are doubly stochastic; the gain over depth is what
 *   a hand-made chain of matrices has; sizes, decay groups and refusals are as written.
 * Tolerance of "is Pre-LN": eps of the norms is 1e-30, so that only rounding is left. Every site adds about 10 roundings up and
 * 10 down, which mostly cancel: the worst seen over 6 sites is 6 eps, frozen at ten times that. */
#include "prop.h"

static const double TOLERANCE = 60 * (double)AN_REAL_EPS;

static void open_initial(subject *s, an_observe observe, const char *settings)
{
    prop_open(s, 2, PROP_TRAIN, "%s", settings);
    if (observe != AN_OBSERVE_OFF) {
        const an_model_shape shape = { .batch = s->batch, .seq = s->seq, .train = true, .observe = observe };
        an_model_destroy(&s->model);
        if (an_model_create(&s->model, &s->config, s->options, &shape) != AN_OK) exit(1);
        s->param = an_model_get_params(s->model, &s->n_params);
    }
    an_model_init_params(s->model, 1);
    s->pass.observe = observe != AN_OBSERVE_OFF;
}

/* --- at the start ---------------------------------------------------------------------------------------------------- */

static double worst;

static void is_pre_ln(const char *settings, const char *both, double tolerance)
{
    subject s, pre;
    char mine[400], theirs[400];
    size_t shared = 0;
    snprintf(mine, sizeof mine, "%s %s", settings, both);
    snprintf(theirs, sizeof theirs, "design=pre-ln %s", both);
    open_initial(&s, AN_OBSERVE_OFF, mine);
    open_initial(&pre, AN_OBSERVE_OFF, theirs);
    const double loss = an_model_forward_backward(s.model, &s.pass), want = an_model_forward_backward(pre.model, &pre.pass);
    prop_check(fabs(loss - want) <= tolerance * want, "%s: loss %.17g, Pre-LN %.17g", mine, loss, want);
    for (size_t i = 0; i < pre.n_params; i++) {
        const an_param *p = prop_param(&s, pre.param[i].name);
        if (!prop_check(p != NULL, "%s: has no %s", mine, pre.param[i].name)) continue;
        const double d = prop_distance(p->count, p->grad, pre.param[i].grad);
        prop_check(d <= tolerance, "%s: gradient of %s differs from Pre-LN's by %.1e relative, %.1e allowed", mine, p->name, d, tolerance);
        worst = fmax(worst, d);
        shared++;
    }
    prop_check(shared == pre.n_params && shared > 0, "%s: %zu of %zu tensors compared", mine, shared, pre.n_params);
    prop_close(&s);
    prop_close(&pre);
}

static void starts(void)
{
    static const char *const SAME[] = { "hyper-connections hyper_streams=1", "hyper-connections hyper_streams=2", "hyper-connections", "hyper-connections hyper_streams=7", "hyper-connections hyper_dynamic=false",
        "hyper-connections hyper_streams=3 hyper_tanh=false", "mhc hyper_streams=1", "mhc hyper_streams=2", "mhc", "mhc mhc_bias=0", "mhc hyper_streams=5 mhc_iterations=2", "attention-residuals",
        "attention-residuals attention_residuals_blocks=1", "attention-residuals attention_residuals_blocks=3", "denseformer" };
    static const char *const BOTH[] = { "norm_eps=1e-30 n_layer=3 vocab_size=37", "norm_eps=1e-30 n_layer=3 norm=rmsnorm position=rotary recompute=block" };
    char settings[200];
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        for (size_t k = 0; k < sizeof BOTH / sizeof *BOTH; k++) {
            snprintf(settings, sizeof settings, "design=%s", SAME[i]);
            is_pre_ln(settings, BOTH[k], TOLERANCE);
        }
    is_pre_ln("design=denseformer", "n_layer=5 fuse=false", 0);
    is_pre_ln("design=denseformer", "n_layer=5 norm=rmsnorm activation=swiglu recompute=block fuse=false", 0);
    is_pre_ln("design=denseformer denseformer_dilation=2 denseformer_period=2", "n_layer=5 fuse=false", 0);
    printf("started as Pre-LN: worst gradient off by %.1f eps\n", worst / (double)AN_REAL_EPS);
}

/* Sources of each sub-layer, then of the head, as the ledger counts them: every output, or one per finished block and the sum so far. */
static void sources(void)
{
    static const struct { const char *settings; size_t n_in[9]; } ROW[] = {
        { "design=attention-residuals n_layer=4", { 1, 2, 3, 4, 5, 6, 7, 8, 9 } },
        { "design=attention-residuals n_layer=4 attention_residuals_blocks=1", { 1, 2, 2, 2, 2, 2, 2, 2, 2 } },
        { "design=attention-residuals n_layer=4 attention_residuals_blocks=3", { 1, 2, 2, 2, 2, 3, 3, 4, 4 } },
        { "design=attention-residuals n_layer=4 attention_residuals_blocks=4", { 1, 2, 2, 3, 3, 4, 4, 5, 5 } },
        { "design=denseformer n_layer=4", { 1, 2, 3, 3, 4, 4, 5, 5, 5 } },
    };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        open_initial(&s, AN_OBSERVE_BASIC, ROW[k].settings);
        an_model_forward_backward(s.model, &s.pass);
        const an_telemetry *t = an_model_get_telemetry(s.model);
        for (size_t i = 0; i < t->n_sites; i++) prop_check(t->site[i].n_in == ROW[k].n_in[i], "%s: %zu sources at %s, expected %zu", ROW[k].settings, t->site[i].n_in, t->site[i].name, ROW[k].n_in[i]);
        prop_check(t->site[7].n_out == ROW[k].n_in[8], "%s: %zu values at the end, expected %zu", ROW[k].settings, t->site[7].n_out, ROW[k].n_in[8]);
        prop_close(&s);
    }
}

/* The part of sub-layer i (0-based, two per layer) of a tensor called layers.L.SITE.NAME. */
static const an_param *of_site(subject *s, size_t i, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "layers.%zu.%s.%s", i / 2, i % 2 ? "mlp" : "attn", name);
    return prop_param(s, full);
}

/* Sub-layer i reads stream i mod n; the mixing matrix is the identity, or leans to it; the dynamic part is 0 and small. */
static void start_values(void)
{
    enum { N = 3 };
    subject h, m;
    open_initial(&h, AN_OBSERVE_OFF, "design=hyper-connections hyper_streams=3 n_layer=3");
    open_initial(&m, AN_OBSERVE_OFF, "design=mhc hyper_streams=3 n_layer=3");
    for (size_t i = 0; i < 6; i++) {
        const an_param *mix = of_site(&h, i, "hyper.static_mix"), *beta = of_site(&h, i, "hyper.static_beta"), *bias = of_site(&m, i, "mhc.bias"), *phi = of_site(&m, i, "mhc.phi.weight");
        const an_param *c[] = { of_site(&h, i, "hyper.scale_beta"), of_site(&h, i, "hyper.scale_mix"), of_site(&m, i, "mhc.scale") };
        for (size_t a = 0; a < N; a++) {
            const int own = a == i % N;
            prop_check(mix->data[a * (N + 1)] == AN_R(own) && beta->data[a] == 1, "sub-layer %zu: stream %zu is read by %g and written by %g", i, a, (double)mix->data[a * (N + 1)], (double)beta->data[a]);
            prop_check(bias->data[a] == (own ? 4 : -4) && bias->data[N + a] == 0, "sub-layer %zu: stream %zu has logits %g and %g", i, a, (double)bias->data[a], (double)bias->data[N + a]);
            for (size_t t = 0; t < N; t++)
                prop_check(mix->data[a * (N + 1) + 1 + t] == (a == t) && bias->data[2 * N + a * N + t] == (a == t ? 4 : 0), "sub-layer %zu: from stream %zu to %zu %g, logit %g", i, a, t,
                           (double)mix->data[a * (N + 1) + 1 + t], (double)bias->data[2 * N + a * N + t]);
        }
        for (size_t k = 0; k < 3; k++)
            for (size_t j = 0; j < c[k]->count; j++) prop_check(c[k]->data[j] == AN_R(0.01), "%s: %g, expected 0.01", c[k]->name, (double)c[k]->data[j]);
        for (size_t j = 0; j < phi->count; j++) prop_check(phi->data[j] == 0, "%s starts at %g", phi->name, (double)phi->data[j]);
    }
    prop_close(&h);
    prop_close(&m);
}

/* --- what the gauges tell ---------------------------------------------------------------------------------------------- */

enum { GAIN, GAIN_BACK, GAIN_HERE, GAIN_HERE_BACK, COSINE };

/* Gauge `which` of the i-th sub-layer in the last observed pass. */
static double gauge(const subject *s, size_t i, int which)
{
    const an_telemetry *t = an_model_get_telemetry(s->model);
    for (size_t k = 0; k < t->n_gauges; k++)
        if (strcmp(t->gauge[k].family, "streams") == 0 && i-- == 0) return t->gauge[k].value[which];
    return (double)NAN;
}

/* Stream 0 goes to all three: R = I + N with N^2 = 0, so the product of i + 1 is I + (i + 1) N: rows to i + 2, column 0 to 2 i + 3. */
static void known_gain(void)
{
    subject s;
    open_initial(&s, AN_OBSERVE_BASIC, "design=hyper-connections hyper_streams=3 hyper_dynamic=false n_layer=3");
    for (size_t i = 0; i < s.n_params; i++)
        if (strstr(s.param[i].name, "static_mix")) s.param[i].data[2] = s.param[i].data[3] = 1;
    an_model_forward_backward(s.model, &s.pass);
    for (size_t i = 0; i < 6; i++) {
        const double up = (double)i + 2, down = 2 * (double)i + 3;
        prop_check(gauge(&s, i, GAIN) == up && gauge(&s, i, GAIN_BACK) == down && gauge(&s, i, GAIN_HERE) == 2 && gauge(&s, i, GAIN_HERE_BACK) == 3, "sub-layer %zu: gain %g of %g, back %g of %g, here %g, %g", i,
                   gauge(&s, i, GAIN), up, gauge(&s, i, GAIN_BACK), down, gauge(&s, i, GAIN_HERE), gauge(&s, i, GAIN_HERE_BACK));
    }
    prop_close(&s);
}

/* Stream 0 goes to 1 first, and then 1 to 2: in this order stream 0 reaches all three; in the other it would reach two. */
static void order_of_gain(void)
{
    subject s;
    open_initial(&s, AN_OBSERVE_BASIC, "design=hyper-connections hyper_streams=3 hyper_dynamic=false n_layer=1");
    prop_param(&s, "layers.0.attn.hyper.static_mix")->data[2] = 1;
    prop_param(&s, "layers.0.mlp.hyper.static_mix")->data[4 + 3] = 1;
    an_model_forward_backward(s.model, &s.pass);
    prop_check(gauge(&s, 0, GAIN) == 2 && gauge(&s, 1, GAIN) == 3 && gauge(&s, 1, GAIN_BACK) == 3, "0 to 1 to 2: gain %g, %g, back %g", gauge(&s, 0, GAIN), gauge(&s, 1, GAIN), gauge(&s, 1, GAIN_BACK));
    prop_close(&s);
}

/* Rows are divided last. Columns after 20 turns: 1e-3; after 100, where the matrix is not extreme: 1e-6. In between a bias
 * of +-60 makes matrices whose limit is a permutation, and no number may leave the finite ones. */
static void doubly_stochastic(void)
{
    static const struct { const char *settings; double spread, columns; } ROW[] = {
        { "design=mhc", 0.3, 1e-3 }, { "design=mhc mhc_iterations=100", 0.3, 1e-6 }, { "design=mhc hyper_streams=7", 0.5, 1e-3 }, { "design=mhc hyper_streams=1", 0.3, 1e-6 }, { "design=mhc", 60, 1e9 } };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        open_initial(&s, AN_OBSERVE_BASIC, ROW[k].settings);
        prop_randomise(&s, 3);
        for (size_t i = 0; i < s.n_params; i++)
            for (size_t j = 0; strstr(s.param[i].name, "mhc.bias") && j < s.param[i].count; j++) s.param[i].data[j] *= AN_R(ROW[k].spread / 0.3);
        const double loss = an_model_forward_backward(s.model, &s.pass);
        for (size_t i = 0; i < s.n_params; i++)
            for (size_t j = 0; j < s.param[i].count; j++) prop_check(isfinite(s.param[i].grad[j]), "%s spread %g: gradient of %s is not finite", ROW[k].settings, ROW[k].spread, s.param[i].name);
        prop_check(isfinite(loss), "%s spread %g: loss %g", ROW[k].settings, ROW[k].spread, loss);
        for (size_t i = 0; i < 4; i++)
            prop_check(fabs(gauge(&s, i, GAIN_HERE) - 1) < 1e-6 && gauge(&s, i, GAIN_HERE_BACK) < 1 + ROW[k].columns && fabs(gauge(&s, i, GAIN) - 1) < 4e-6 && gauge(&s, i, GAIN_BACK) < 1 + 4 * ROW[k].columns,
                       "%s spread %g: rows of R to %.9g, columns to %.9g; of the product %.9g, %.9g", ROW[k].settings, ROW[k].spread, gauge(&s, i, GAIN_HERE), gauge(&s, i, GAIN_HERE_BACK), gauge(&s, i, GAIN),
                       gauge(&s, i, GAIN_BACK));
        prop_close(&s);
    }
}

/* The lowest cosine of two streams behind a sub-layer after some steps of plain gradient descent. */
static double cosine_after(const char *settings, int steps, double lr)
{
    subject s;
    open_initial(&s, AN_OBSERVE_BASIC, settings);
    for (int t = 0; t < steps; t++) {
        an_model_forward_backward(s.model, &s.pass);
        for (size_t i = 0; i < s.n_params; i++)
            for (size_t j = 0; j < s.param[i].count; j++) s.param[i].data[j] -= AN_R(lr) * s.param[i].grad[j];
    }
    an_model_forward_backward(s.model, &s.pass);
    double lowest = 1;
    for (size_t i = 0; i < 4; i++) lowest = fmin(lowest, gauge(&s, i, COSINE));
    prop_close(&s);
    return lowest;
}

/* Without a bias that tells them apart all streams get the same gradient: they are one stream, for ever. */
static void streams_part(void)
{
    static const char *const PART[] = { "design=hyper-connections", "design=hyper-connections hyper_dynamic=false", "design=mhc", "design=mhc hyper_streams=2" };
    for (size_t i = 0; i < sizeof PART / sizeof *PART; i++) {
        const double start = cosine_after(PART[i], 0, 0), later = cosine_after(PART[i], 100, 1);
        prop_check(fabs(start - 1) < 1e-6 && later < 1 - 1e-5, "%s: cosine of two streams %.9g at the start, %.9g after 100 steps", PART[i], start, later);
    }
    const double alike = cosine_after("design=mhc mhc_bias=0", 100, 1);
    prop_check(fabs(alike - 1) < 1e-6, "design=mhc mhc_bias=0: streams that nothing tells apart have cosine %.9g", alike);
}

/* The identity path at the start: R is the identity (DenseFormer: all weight on the newest), so the skip keeps all of the gradient. */
static void attenuations(void)
{
    static const struct { const char *settings; size_t n_in; } ROW[] = { { "design=hyper-connections", 4 }, { "design=hyper-connections hyper_streams=2 fuse=false", 2 }, { "design=denseformer", 1 },
        { "design=denseformer recompute=block", 1 } };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        open_initial(&s, AN_OBSERVE_FULL, ROW[k].settings);
        an_model_forward_backward(s.model, &s.pass);
        const an_telemetry *t = an_model_get_telemetry(s.model);
        prop_check(t->site[0].n_in == ROW[k].n_in && t->site[0].cols == s.config.d_model && t->site[0].rows == s.rows, "%s: %zu streams of [%zu,%zu]", ROW[k].settings, t->site[0].n_in, t->site[0].rows, t->site[0].cols);
        for (size_t i = 0; i < t->n_sites; i++)
            prop_check(fabs(t->site[i].g_id / t->site[i].g_out - 1) < 1e-5 && t->site[i].g_br > 0 && isnan(t->site[i].attenuation), "%s: %s keeps %.9g, branch %g, attenuation %g", ROW[k].settings, t->site[i].name,
                       t->site[i].g_id / t->site[i].g_out, t->site[i].g_br, t->site[i].attenuation);
        prop_close(&s);
    }
}

/* Reading and writing depend on the stream, mixing does not and is the identity: what comes back through those coefficients is
 * the branch's, and the skip still keeps all. */
static void coefficients_are_branch(void)
{
    subject s;
    open_initial(&s, AN_OBSERVE_BASIC, "design=hyper-connections");
    for (size_t i = 0; i < s.n_params; i++) {
        const an_param *p = &s.param[i];
        if (strstr(p->name, "hyper.scale_")) p->data[0] = 1;
        if (strstr(p->name, "hyper.beta.weight") || strstr(p->name, "hyper.mix.weight"))
            for (size_t j = 0; j < s.config.d_model; j++) p->data[j] = AN_R(0.2 * sin((double)(i + 3 * j)));   /* of mix the row that reads */
    }
    an_model_forward_backward(s.model, &s.pass);
    const an_telemetry *t = an_model_get_telemetry(s.model);
    for (size_t i = 0; i < t->n_sites; i++) prop_check(fabs(t->site[i].g_id / t->site[i].g_out - 1) < 1e-5, "coefficients of the stream: %s keeps %.9g", t->site[i].name, t->site[i].g_id / t->site[i].g_out);
    prop_close(&s);
}

/* --- packages ------------------------------------------------------------------------------------------------------------ */

static size_t count_of(const char *settings)
{
    subject s;
    prop_open(&s, 1, 0, "%s", settings);
    const size_t n = an_model_param_count(s.model);
    prop_close(&s);
    return n;
}

/* With d = 16, 3 layers, 6 sub-layers; a norm is rmsnorm's d. */
static void sizes(void)
{
    static const struct { const char *settings; size_t more; } ROW[] = {
        { "design=hyper-connections", 6 * (6 * 16 + 26 + 16) }, { "design=hyper-connections hyper_dynamic=false", 6 * 24 }, { "design=hyper-connections hyper_streams=1", 6 * (3 * 16 + 5 + 16) },
        { "design=mhc", 6 * (96 * 16 + 27) }, { "design=mhc hyper_streams=2", 6 * (2 * 16 * 8 + 11) }, { "design=attention-residuals", 7 * 2 * 16 }, { "design=attention-residuals attention_residuals_blocks=2", 7 * 2 * 16 },
        { "design=denseformer", 2 + 3 + 4 }, { "design=denseformer denseformer_dilation=2", 1 + 2 + 2 }, { "design=denseformer denseformer_period=2", 3 } };
    const size_t base = count_of("design=pre-ln norm=rmsnorm n_layer=3");
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        char settings[200];
        snprintf(settings, sizeof settings, "%s norm=rmsnorm n_layer=3", ROW[k].settings);
        const size_t n = count_of(settings);
        prop_check(n == base + ROW[k].more, "%s: %zu parameters more than Pre-LN, expected %zu", settings, n - base, ROW[k].more);
    }
}

static void decay_of(const char *settings, const char *part, double want)
{
    subject s;
    int found = 0;
    prop_open(&s, 1, 0, "%s", settings);
    for (size_t i = 0; i < s.n_params; i++) {
        if (!strstr(s.param[i].name, part)) continue;
        found++;
        prop_check(s.param[i].rule.decay == want, "%s: decay of %s is %g, expected %g", settings, s.param[i].name, s.param[i].rule.decay, want);
    }
    prop_check(found > 0, "%s: no tensor is called %s", settings, part);
    prop_close(&s);
}

static void decays(void)
{
    static const char *const HC = "design=hyper-connections", *const MHC = "design=mhc";
    decay_of(HC, "static_beta", 0);
    decay_of(HC, "static_mix", 0);
    decay_of(HC, "hyper.scale_", 0);
    decay_of(HC, "hyper.beta.weight", 1);
    decay_of(HC, "hyper.mix.weight", 1);
    decay_of(MHC, "mhc.phi.weight", 1);
    decay_of(MHC, "mhc.bias", 0);
    decay_of(MHC, "mhc.scale", 0);
    decay_of("design=denseformer", "dense.weight", 0);
    decay_of("design=attention-residuals", "depth.", 0);
}

static void sqrt_init(void)
{
    subject a, b;
    open_initial(&a, AN_OBSERVE_OFF, "design=hyper-connections");
    open_initial(&b, AN_OBSERVE_OFF, "design=hyper-connections hyper_sqrt_init=true");
    for (size_t i = 0; i < a.n_params; i++) {
        const char *name = a.param[i].name;
        const int output = strstr(name, "attn.out.weight") || strstr(name, "mlp.down.weight");
        const double ratio = (double)b.param[i].data[0] / (double)a.param[i].data[0];
        if (a.param[i].data[0] != 0) prop_check(fabs(ratio - (output ? 0.5 : 1)) < 1e-6, "hyper_sqrt_init: %s times %.9g", name, ratio);
    }
    prop_close(&a);
    prop_close(&b);
}

static void refused(void)
{
    static const struct { const char *settings, *words[3]; } ROW[] = {
        { "design=hyper-connections hyper_streams=0", { "--hyper_streams", "0", "16" } }, { "design=mhc hyper_streams=17", { "--hyper_streams", "17", "16" } }, { "design=mhc mhc_iterations=0", { "--mhc_iterations", "0", "100" } },
        { "design=mhc mhc_bias=-1", { "--mhc_bias", "-1", "20" } }, { "design=denseformer denseformer_dilation=0", { "--denseformer_dilation", "0", "1" } },
        { "design=denseformer n_layer=2 denseformer_dilation=3", { "denseformer_dilation", "3", "at most 2" } }, { "design=denseformer n_layer=2 denseformer_period=3", { "denseformer_period", "3", "at most 2" } },
        { "design=attention-residuals n_layer=2 attention_residuals_blocks=3", { "attention_residuals_blocks", "3", "at most 2" } },
        { "design=attention-residuals attention_residuals_blocks=-1", { "--attention_residuals_blocks", "-1", "full" } }, { "design=hyper-connections design@1=pre-ln", { "hyper-connections", "pre-ln", "whole model" } },
        { "design=pre-ln design@0=denseformer", { "denseformer", "pre-ln", "whole model" } }, { "design=pre-ln hyper_streams=2", { "hyper_streams", "hyper-connections", "mhc" } },
    };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        const an_status status = prop_try(&s, 1, PROP_TRAIN, "%s", ROW[k].settings);
        const char *text = status == AN_OK ? "" : an_error_text();
        const int told = strstr(text, ROW[k].words[0]) && strstr(text, ROW[k].words[1]) && strstr(text, ROW[k].words[2]);
        prop_check((status == AN_ECONFIG || status == AN_EUSAGE) && told, "%s: %s '%s', expected a refusal with %s, %s and %s", ROW[k].settings, an_status_name(status), text, ROW[k].words[0], ROW[k].words[1],
                   ROW[k].words[2]);
        if (status == AN_OK) prop_close(&s);
    }
}

int main(void)
{
    starts();
    sources();
    start_values();
    known_gain();
    order_of_gain();
    doubly_stochastic();
    streams_part();
    attenuations();
    coefficients_are_branch();
    sizes();
    decays();
    sqrt_init();
    refused();
    return prop_finish("fingerprints of streams and histories");
}
