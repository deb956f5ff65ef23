/* Recomputation: loss, every gradient and what running statistics become are the same bits under every policy, for every design
 * and norm, with and without fusion and dropout, over two micro-batches, on one and on two threads. What `auto` promises is
 * held against all policies of a small model, and activations of `sqrt` against the root of depth, by plans alone. */
#include "prop.h"
#include "stack.h"

#include "net/model_impl.h"

/* Two micro-batches, the second added to the first. */
static an_real *run(subject *s, double loss[2])
{
    prop_rewind(s);
    for (uint64_t i = 0; i < 2; i++) {
        s->pass.micro = i;
        s->pass.accumulate = i > 0;
        loss[i] = an_model_forward_backward(s->model, &s->pass);
    }
    return prop_gradients(s);
}

static int all_finite(size_t n, const an_real *x)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

/* The least memory that this model trains in, as the refusal of too little names it; 0: it was not refused so. */
static size_t least_of(size_t batch, const char *settings)
{
    subject s;
    size_t bytes = 0;
    const an_status status = prop_try(&s, batch, PROP_TRAIN, "%s recompute=auto memory=1", settings);
    const char *open = status == AN_ECONFIG ? strchr(an_error_text(), '(') : NULL;
    while (open && sscanf(open, "(%zu bytes;", &bytes) != 1) open = strchr(open + 1, '(');
    if (status == AN_OK) prop_close(&s);
    return bytes;
}

static size_t total(const an_model *m)
{
    const an_model_memory y = an_model_get_memory(m);
    return y.params + y.grads + y.optimizer + y.activations + y.scratch + y.constants;
}

/* One policy against the plan that keeps everything. The last pass of `keep` gave these gradients and statistics. */
static void same_as_kept(const subject *keep, const an_real *kept, const double loss[2], const char *settings, const char *how, int most_threads)
{
    subject drop;
    char what[500];
    double again[2];
    size_t n;
    snprintf(what, sizeof what, "%s %s", settings, how);
    if (!prop_check(prop_try(&drop, keep->batch, PROP_TRAIN, "%s", what) == AN_OK, "%s: %s", what, an_error_text())) return;
    an_real *moved = prop_buffers(keep, &n);
    for (int threads = 1; threads <= most_threads; threads++) {
        prop_check(an_model_set_threads(drop.model, threads) == AN_OK, "%s: %s", what, an_error_text());
        an_real *dropped = run(&drop, again), *also = prop_buffers(&drop, &n);
        prop_check(again[0] == loss[0] && again[1] == loss[1], "%s, %d threads: losses %.9g %.9g, kept %.9g %.9g", what, threads, again[0], again[1], loss[0], loss[1]);
        prop_same_gradients(keep, dropped, kept, what);
        prop_check(prop_equal(n, also, moved), "%s: the running statistics differ by %.1e relative", what, prop_distance(n, also, moved));   /* a block that runs again does not move them again */
        free(dropped);
        free(also);
    }
    const size_t least = an_model_get_memory(drop.model).activations, most = an_model_get_memory(keep->model).activations;
    prop_check(least < most / 2, "%s: %zu bytes of activations, %zu when kept", what, least, most);
    free(moved);
    prop_close(&drop);
}

static void policies_of(const char *product, const char *more, int threads)
{
    subject keep;
    double loss[2];
    char settings[400], least[80];
    snprintf(settings, sizeof settings, "%s n_layer=8 %s", product, more);
    prop_open(&keep, 2, PROP_TRAIN, "%s", settings);
    an_real *kept = run(&keep, loss);
    snprintf(least, sizeof least, "recompute=auto memory=%zu", least_of(2, settings));
    const char *const how[] = { "recompute=block", "recompute=sqrt", least };
    /* a kind that does not normalise, in a design that counts on it: numbers without an end, nothing to compare */
    if (keep.norm->field && !(isfinite(loss[0]) && all_finite(an_model_param_count(keep.model), kept))) prop_skip("%s: overflows over 8 layers, as it must", settings);
    else for (size_t i = 0; i < sizeof how / sizeof *how; i++) same_as_kept(&keep, kept, loss, settings, how[i], threads);
    free(kept);
    prop_close(&keep);
}

/* One of three surroundings for each pair, drawn so that every design and every norm meets all of them. */
static void policies(const char *settings)
{
    static const struct { const char *more; int threads; } AMONG[] = { { "dropout=0 fuse=true", 1 }, { "dropout=0.25 fuse=true", 2 }, { "dropout=0.25 fuse=false", 1 } };
    static uint64_t pair;
    const size_t drawn = an_rng_u32(an_rng_key_make(3, 0, 0), pair++) % (sizeof AMONG / sizeof *AMONG);
    policies_of(settings, AMONG[drawn].more, AMONG[drawn].threads);
}

/* One sequence, one token, and a batch in which no position counts. */
static void edges(void)
{
    static const struct { size_t batch; const char *settings; int targets; } EDGE[] = { { 1, "seq_len=1 n_layer=5", 1 }, { 1, "seq_len=13 n_layer=6 design=post-ln", 1 }, { 3, "seq_len=1 n_layer=6 norm=rmsnorm", 1 },
        { 2, "n_layer=6", 0 }, { 1, "seq_len=1 n_layer=1", 1 } };
    static const char *const HOW[] = { "recompute=block", "recompute=sqrt", "recompute=auto memory=1T" };
    for (size_t i = 0; i < sizeof EDGE / sizeof *EDGE; i++)
        for (size_t k = 0; k < sizeof HOW / sizeof *HOW; k++) {
            subject keep, drop;
            double a[2], b[2];
            prop_open(&keep, EDGE[i].batch, PROP_TRAIN, "%s", EDGE[i].settings);
            prop_open(&drop, EDGE[i].batch, PROP_TRAIN, "%s %s", EDGE[i].settings, HOW[k]);
            for (size_t n = 0; !EDGE[i].targets && n < keep.rows; n++) keep.targets[n] = drop.targets[n] = -1;
            an_real *g = run(&keep, a), *h = run(&drop, b);
            prop_check(a[0] == b[0] && a[1] == b[1] && (EDGE[i].targets ? a[0] > 0 : a[0] <= 0), "%s %s: losses %g %g, kept %g %g", EDGE[i].settings, HOW[k], b[0], b[1], a[0], a[1]);
            prop_same_gradients(&keep, h, g, EDGE[i].settings);
            free(g);
            free(h);
            prop_close(&keep);
            prop_close(&drop);
        }
}

/* --- what auto chooses --------------------------------------------------------------------------------------------- */

typedef struct figures { double flops; size_t bytes; } figures;

/* The plan of s under a policy, beside its own. */
static figures plan_under(const subject *s, an_recompute policy)
{
    an_model m = { .config = s->config, .options = s->options, .shape = { .batch = s->batch, .seq = s->seq, .train = true }, .threads = 1 };
    size_t params = 0;
    m.params = &m.own;
    an_status status = an_plan_create(&m.plan, m.params, true);
    if (status == AN_OK) status = an_model_emit(&m, 0);
    if (status == AN_OK) {
        m.plan->recompute = policy;
        status = an_plan_freeze(m.plan, m.config.fuse);
    }
    if (status == AN_OK) status = an_params_size(&m.own, &params);
    prop_check(status == AN_OK, "segment %zu, group %zu, kept %zu: %s", policy.segment, policy.group, policy.kept, an_error_text());
    const size_t reals = 4 * params + m.plan->activations.count + m.plan->scratch.count + m.plan->thread_reals + m.plan->constants.count + m.plan->state.count;
    const figures f = { an_plan_again(m.plan), reals * sizeof(an_real) };
    an_plan_destroy(&m.plan);
    an_params_fini(&m.own);
    return f;
}

/* All policies of a model of `layers`, and the least memory of all of them. */
static size_t all_policies(const subject *s, figures *all, size_t *least)
{
    const size_t L = s->config.n_layer;
    size_t n = 0;
    *least = SIZE_MAX;
    for (size_t kept = 0; kept <= L; kept++)
        for (size_t segment = 1; segment <= L - kept; segment++)
            for (size_t group = 1; group <= segment; group++) {
                all[n] = plan_under(s, (an_recompute){ segment, group, kept });
                if (all[n].bytes < *least) *least = all[n].bytes;
                n++;
            }
    all[n++] = plan_under(s, (an_recompute){ 0 });
    return n;
}

static void budgets_of(const char *settings)
{
    enum { MOST = 400, STEPS = 9 };
    figures all[MOST];
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    size_t least, n = all_policies(&s, all, &least), most = all[n - 1].bytes;
    const size_t named = least_of(2, settings);
    prop_check(named >= least && (double)named <= 1.02 * (double)least, "%s: the least is said to be %zu bytes, all policies have %zu", settings, named, least);
    for (size_t i = 0; i <= STEPS; i++) {
        const size_t memory = named + (most - named) * i / STEPS;
        double best = INFINITY;
        for (size_t k = 0; k < n; k++)
            if (all[k].bytes <= memory && all[k].flops < best) best = all[k].flops;
        subject fit;
        if (!prop_check(prop_try(&fit, 2, PROP_TRAIN, "%s recompute=auto memory=%zu", settings, memory) == AN_OK, "%s, %zu bytes: %s", settings, memory, an_error_text())) continue;
        const double flops = an_plan_again(fit.model->plan), whole = an_model_get_cost(fit.model).flops_forward;
        prop_check(total(fit.model) <= memory, "%s, %zu bytes: takes %zu", settings, memory, total(fit.model));
        prop_check(flops <= best + whole / (double)s.config.n_layer, "%s, %zu bytes: %g flops again, %g would do", settings, memory, flops, best);
        prop_close(&fit);
    }
    prop_close(&s);
    prop_check(prop_try(&s, 2, PROP_TRAIN, "%s recompute=auto memory=%zu", settings, named - 1) == AN_ECONFIG, "%s: a byte less than the least is not refused", settings);
}

/* --- the law of depth ---------------------------------------------------------------------------------------------- */

static double slope_of(const char *settings, double *r2)
{
    static const size_t DEPTH[] = { 8, 16, 32, 64, 128, 256 };
    enum { N = sizeof DEPTH / sizeof *DEPTH };
    double x[N], y[N];
    for (size_t i = 0; i < N; i++) {
        subject s;
        prop_open(&s, 1, PROP_TRAIN | PROP_UNDRAWN, "seq_len=64 %s n_layer=%zu", settings, DEPTH[i]);
        x[i] = log((double)DEPTH[i]);
        y[i] = log((double)an_model_get_memory(s.model).activations);
        prop_close(&s);
    }
    return stack_slope(N, x, y, r2);
}

static void memory_grows_as_the_root_of_depth(const char *settings)
{
    char with[200];
    double r2;
    snprintf(with, sizeof with, "%s recompute=sqrt", settings);
    const double whole = slope_of(settings, &r2), root = slope_of(with, &r2);
    printf("%s: activations grow as depth to the %.2f, under sqrt to the %.2f (R^2 %.4f)\n", settings, whole, root, r2);
    prop_check(whole > 0.9 && whole < 1.02, "%s: activations grow as depth to the %.2f", settings, whole);
    prop_check(root > 0.4 && root < 0.56 && r2 > 0.99, "%s: activations under sqrt grow as depth to the %.2f, R^2 %.4f", settings, root, r2);
}

int main(void)
{
    static const char *const SMALL[] = { "n_layer=6", "n_layer=7 design=post-ln norm=rmsnorm dropout=0.1", "n_layer=6 design=hyper-connections", "n_layer=6 design=denseformer fuse=false",
                                         "n_layer=1", "n_layer=2 seq_len=1", "n_layer=3 design=residual-dual activation=swiglu position=rotary" };
    edges();
    prop_product(0, policies);
    for (size_t i = 0; i < sizeof SMALL / sizeof *SMALL; i++) budgets_of(SMALL[i]);
    memory_grows_as_the_root_of_depth("design=pre-ln");
    memory_grows_as_the_root_of_depth("design=post-ln norm=rmsnorm dropout=0.1");
    memory_grows_as_the_root_of_depth("design=hyper-connections");
    return prop_finish("recomputation");
}
