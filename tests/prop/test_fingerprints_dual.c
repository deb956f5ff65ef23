/* What makes ResiDual, parallel sub-layers, Admin and nGPT these designs: identities with other designs, what stands where at
 * the start, what the first batch sets, and what an update leaves standing. */
#include "prop.h"

#include "kern/kern.h"
#include "net/model_impl.h"
#include "train/optimizer.h"

static const double NEAR = sizeof(an_real) == 4 ? 2e-5 : 1e-12;
static const double LENGTH = sizeof(an_real) == 4 ? 3e-7 : 1e-15;   /* of a line scaled to 1, each element rounded once */

static bool near(double a, double b) { return fabs(a - b) <= NEAR * fmax(fabs(a), fabs(b)); }

/* --- helpers ----------------------------------------------------------------------------------------------------- */

/* Parameters of the same name get the values of `from`; returns how many. */
static size_t copy_shared(subject *to, subject *from)
{
    size_t n = 0;
    for (size_t i = 0; i < to->n_params; i++) {
        const an_param *p = prop_param(from, to->param[i].name);
        if (!p || p->count != to->param[i].count) continue;
        memcpy(to->param[i].data, p->data, p->count * sizeof *p->data);
        n++;
    }
    return n;
}

static size_t fill(subject *s, const char *part, double value)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        if (!strstr(s->param[i].name, part)) continue;
        for (size_t k = 0; k < s->param[i].count; k++) s->param[i].data[k] = AN_R(value);
        n++;
    }
    return n;
}

/* The same logits, and the same gradients of the parameters both have, bit for bit. */
static bool same_model(subject *a, subject *b)
{
    an_model_forward_backward(a->model, &a->pass);
    an_model_forward_backward(b->model, &b->pass);
    bool same = prop_equal(a->rows * a->vocab, an_model_get_logits(a->model), an_model_get_logits(b->model));
    for (size_t i = 0; i < a->n_params; i++) {
        const an_param *p = prop_param(b, a->param[i].name);
        if (p && p->count == a->param[i].count) same &= prop_equal(p->count, p->grad, a->param[i].grad);
    }
    return same;
}

static const char *const NORMS[] = { "layernorm", "rmsnorm", "layernorm fuse=false", "layernorm recompute=block" };
enum { N_NORMS = sizeof NORMS / sizeof *NORMS };

/* --- ResiDual ------------------------------------------------------------------------------------------------------ */

/* Without what the second stream says at the end, the first is Post-LN; with it, it is not. */
static void first_stream(void)
{
    for (size_t k = 0; k < N_NORMS; k++) {
        subject a, b;
        prop_open(&a, 2, PROP_TRAIN | PROP_LOGITS, "design=residual-dual norm=%s n_layer=3", NORMS[k]);
        prop_open(&b, 2, PROP_TRAIN | PROP_LOGITS, "design=post-ln norm=%s n_layer=3", NORMS[k]);
        prop_check(copy_shared(&b, &a) == b.n_params && a.n_params > b.n_params, "residual-dual norm=%s: not post-ln's parameters and a final norm", NORMS[k]);
        prop_check(!same_model(&a, &b), "residual-dual norm=%s: the second stream does nothing", NORMS[k]);
        fill(&a, "final.", 0);
        prop_check(same_model(&a, &b), "residual-dual norm=%s: without its second stream it is not post-ln", NORMS[k]);
        prop_close(&a);
        prop_close(&b);
    }
}

/* The final norm removes s, where it is not so small that its eps shows: 1e-7 and not that of the other norms. */
static void second_stream(void)
{
    static const struct { const char *eps; bool same; } ROW[] = { { "", true }, { "residual_dual_eps=1e-3", false } };
    for (size_t k = 0; k < 2; k++) {
        subject a, b;
        prop_open(&a, 2, PROP_TRAIN, "design=residual-dual norm_eps=1e-3 %s", ROW[k].eps);
        prop_open(&b, 2, PROP_TRAIN, "design=residual-dual norm_eps=1e-3 residual_dual_scale=0.125 %s", ROW[k].eps);
        const double x = an_model_forward(a.model, &a.pass), y = an_model_forward(b.model, &b.pass);
        prop_check((fabs(x - y) < 1e-5) == ROW[k].same, "residual-dual %s: loss %.9g with s 1, %.9g with s 1/8", ROW[k].eps, x, y);
        prop_close(&a);
        prop_close(&b);
    }
}

/* --- parallel sub-layers ----------------------------------------------------------------------------------------- */

static void one_branch_silent(void)
{
    static const char *const SILENT[] = { "attn.out.", "mlp.down." };
    for (size_t k = 0; k < 2 * N_NORMS; k++) {
        subject a, b;
        prop_open(&a, 2, PROP_TRAIN | PROP_LOGITS, "design=parallel parallel_norms=separate norm=%s", NORMS[k / 2]);
        prop_open(&b, 2, PROP_TRAIN | PROP_LOGITS, "design=pre-ln norm=%s", NORMS[k / 2]);
        prop_check(copy_shared(&b, &a) == b.n_params && a.n_params == b.n_params, "parallel, separate norms: not pre-ln's parameters");
        prop_check(!same_model(&a, &b), "parallel norm=%s: the same as pre-ln with both branches", NORMS[k / 2]);
        fill(&a, SILENT[k % 2], 0);
        copy_shared(&b, &a);
        an_model_forward(a.model, &a.pass);
        an_model_forward(b.model, &b.pass);
        prop_check(prop_equal(a.rows * a.vocab, an_model_get_logits(a.model), an_model_get_logits(b.model)), "parallel norm=%s: not pre-ln where %s is silent", NORMS[k / 2], SILENT[k % 2]);
        prop_close(&a);
        prop_close(&b);
    }
}

/* One norm is two with equal gains, and its gradient is the sum of theirs. */
static void shared_norm(void)
{
    subject one, two;
    prop_open(&one, 2, PROP_TRAIN | PROP_LOGITS, "design=parallel");
    prop_open(&two, 2, PROP_TRAIN | PROP_LOGITS, "design=parallel parallel_norms=separate");
    copy_shared(&two, &one);
    for (int layer = 0; layer < 2; layer++)
        for (int k = 0; k < 4; k++) {
            char from[64], to[64];
            snprintf(from, sizeof from, "layers.%d.pre.%s", layer, k % 2 ? "bias" : "gain");
            snprintf(to, sizeof to, "layers.%d.%s.pre.%s", layer, k / 2 ? "mlp" : "attn", k % 2 ? "bias" : "gain");
            const an_param *p = prop_param(&one, from), *q = prop_param(&two, to);
            if (!prop_check(p && q, "parallel: no %s or %s", from, to)) continue;
            memcpy(q->data, p->data, p->count * sizeof *p->data);
        }
    an_model_forward_backward(one.model, &one.pass);
    an_model_forward_backward(two.model, &two.pass);
    prop_check(prop_equal(one.rows * one.vocab, an_model_get_logits(one.model), an_model_get_logits(two.model)), "parallel: one norm is not two with equal gains");
    const an_param *p = prop_param(&one, "layers.1.pre.gain"), *q = prop_param(&two, "layers.1.attn.pre.gain"), *r = prop_param(&two, "layers.1.mlp.pre.gain");
    for (size_t i = 0; p && q && r && i < p->count; i++)
        prop_check(fabs((double)p->grad[i] - (double)q->grad[i] - (double)r->grad[i]) <= NEAR * fabs((double)p->grad[i]) + NEAR * 1e-2, "parallel: gradient %zu of the shared gain is %g, of the two %g and %g", i,
                   (double)p->grad[i], (double)q->grad[i], (double)r->grad[i]);
    prop_close(&one);
    prop_close(&two);
}

/* --- Admin -------------------------------------------------------------------------------------------------------- */

static void skips_of_one(void)
{
    for (size_t k = 0; k < N_NORMS; k++) {
        subject a, b;
        prop_open(&a, 2, PROP_TRAIN | PROP_LOGITS, "design=admin norm=%s n_layer=3", NORMS[k]);
        prop_open(&b, 2, PROP_TRAIN | PROP_LOGITS, "design=post-ln norm=%s n_layer=3 tie_embeddings=false", NORMS[k]);
        prop_check(copy_shared(&b, &a) == b.n_params && a.n_params == b.n_params + 6, "admin norm=%s: not post-ln's parameters and a vector per sub-layer", NORMS[k]);
        prop_check(!same_model(&a, &b), "admin norm=%s: its skips do nothing", NORMS[k]);
        prop_check(fill(&a, "skip.scale", 1) == 6 && same_model(&a, &b), "admin norm=%s: with skips of 1 it is not post-ln", NORMS[k]);
        prop_close(&a);
        prop_close(&b);
    }
}

/* What every skip starts at, in closed form: 24 residual sub-layers. */
static void closed_forms(void)
{
    const struct { const char *how; double want; } ROW[] = { { "log", sqrt(25 / log(25) - 1) }, { "sqrt", sqrt(24) }, { "one", 1 }, { "profile", 1 } };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        prop_open(&s, 1, PROP_TRAIN, "design=admin n_layer=12 admin_init=%s", ROW[k].how);
        an_model_init_params(s.model, 1);
        if (k < 3) an_model_profile(s.model, &s.pass);   /* asks for nothing */
        size_t seen = 0;
        for (size_t i = 0; i < s.n_params; i++)
            for (size_t j = 0; strstr(s.param[i].name, "skip.scale") && j < s.param[i].count; j++) seen += s.param[i].data[j] == AN_R(ROW[k].want);
        prop_check(seen == 24 * 16, "admin_init=%s: %zu of %d elements start at %g", ROW[k].how, seen, 24 * 16, ROW[k].want);
        prop_close(&s);
    }
    prop_check(fabs(ROW[0].want - 2.60) < 0.005, "admin_init=log at 12 layers is %.4f", ROW[0].want);
}

/* A model whose streams and branches stay readable after a pass. */
typedef struct recorded { subject s; an_model model; } recorded;

static void need(an_status status)
{
    if (status == AN_OK) return;
    printf("FAIL %s\n", an_error_text());
    exit(1);
}

static void record(recorded *r, const char *settings)
{
    prop_open(&r->s, 3, PROP_TRAIN, "%s", settings);
    an_model *m = &r->model;
    *m = (an_model){ .config = r->s.config, .options = r->s.options, .shape = { .batch = 3, .seq = r->s.seq, .train = true }, .threads = 1 };
    m->params = &m->own;
    need(an_plan_create(&m->plan, m->params, true));
    need(an_model_emit(m, 0));
    for (size_t i = 0; i < m->plan->n_sites; i++)
        m->plan->sites[i].in[0]->keep = m->plan->sites[i].out[0]->keep = m->plan->sites[i].branch_out->keep = true;
    if (strcmp(m->config.recompute, "block") == 0) m->plan->recompute = (an_recompute){ 1, 1, 0 };
    need(an_plan_freeze(m->plan, m->config.fuse));
    need(an_params_freeze(m->params, true));
    need(an_plan_bind(m->plan, 1));
    an_params_draw(m->params, 4, 1);
}

static void close_record(recorded *r)
{
    an_plan_destroy(&r->model.plan);
    an_params_fini(&r->model.own);
    prop_close(&r->s);
}

static const an_real *skip_of(recorded *r, size_t site)
{
    char name[96];
    snprintf(name, sizeof name, "%s.skip.scale", r->model.plan->sites[site].name);
    const an_param_def *p = an_params_find(r->model.params, name);
    return p ? p->data : NULL;
}

static double variance(const an_value *v)
{
    long double sum = 0, squares = 0;
    for (size_t i = 0; i < v->count; i++) sum += (long double)v->data[i], squares += (long double)v->data[i] * (long double)v->data[i];
    const long double n = (long double)v->count;
    return (double)(squares / n - (sum / n) * (sum / n));
}

/* After profiling, the stream of the same pass, recorded, obeys w_1 = 1 and w_{i+1}^2 = w_i^2 Var x_i + Var f_i at every profiled
 * sub-layer; a draw that was not profiled does not. */
static void profiled(const char *settings, size_t want)
{
    recorded r;
    record(&r, settings);
    for (int done = 0; done < 2; done++) {
        if (done) an_model_profile(&r.model, &r.s.pass);
        an_model_forward(&r.model, &r.s.pass);
        size_t chain = 0, holds = 0;
        double next = 1;
        for (size_t i = 0; i < r.model.plan->n_sites; i++) {
            const an_site_mark *m = &r.model.plan->sites[i];
            const an_real *w = skip_of(&r, i);
            if (!w) continue;
            bool flat = true;
            for (size_t k = 0; k < 16; k++) flat &= w[k] == w[0];
            holds += flat && near((double)w[0], next);
            next = sqrt((double)w[0] * (double)w[0] * variance(m->in[0]) + variance(m->branch_out));
            chain++;
        }
        prop_check(chain == want && (holds == want) == (done == 1), "%s: %zu of %zu skips as the stream says, %s profiling", settings, holds, want, done ? "after" : "before");
    }
    close_record(&r);
}

/* The same bits from any number of threads, any way to run the plan, and again; nothing but the skips is touched; designs that
 * ask for nothing get nothing. */
static void profiling_is_exact(void)
{
    static const char *const WAY[] = { "", "fuse=false", "recompute=block" };
    subject base;
    prop_open(&base, 3, PROP_TRAIN, "design=admin dropout=0.2 n_layer=3");
    an_model_init_params(base.model, 3);
    an_real *drawn = malloc((an_model_param_count(base.model) + 1) * sizeof *drawn);
    size_t at = 0, moved = 0;
    for (size_t i = 0; drawn && i < base.n_params; at += base.param[i++].count) memcpy(drawn + at, base.param[i].data, base.param[i].count * sizeof *drawn);
    an_model_profile(base.model, &base.pass);
    at = 0;
    for (size_t i = 0; drawn && i < base.n_params; at += base.param[i++].count) {
        const bool same = prop_equal(base.param[i].count, base.param[i].data, drawn + at);
        moved += !same;
        prop_check(same || strstr(base.param[i].name, "skip.scale"), "profiling changed %s", base.param[i].name);
    }
    prop_check(moved == 5, "profiling moved %zu of 6 skips, all but the first were to move", moved);
    for (int k = 0; k < 6; k++) {
        subject s;
        prop_open(&s, 3, PROP_TRAIN, "design=admin dropout=0.2 n_layer=3 %s", WAY[k % 3]);
        if (an_model_set_threads(s.model, 1 + 2 * (k / 3)) != AN_OK) exit(1);
        an_model_init_params(s.model, 3);
        an_model_profile(s.model, &s.pass);
        for (size_t i = 0; i < s.n_params; i++)
            prop_check(prop_equal(s.param[i].count, s.param[i].data, base.param[i].data), "profiling, %d threads %s: %s differs", 1 + 2 * (k / 3), WAY[k % 3], s.param[i].name);
        prop_close(&s);
    }
    free(drawn);
    prop_close(&base);
}

/* --- nGPT --------------------------------------------------------------------------------------------------------- */

static const char SPHERE[] = "design=ngpt position=rotary activation=swiglu bias=false n_layer=3";

static bool along_columns(const char *name) { return strstr(name, "attn.out.weight") || strstr(name, "mlp.down.weight"); }

/* How far the lengths of a matrix's lines along d_model are from 1, at most. */
static double off_sphere(const an_param *p)
{
    const bool columns = along_columns(p->name);
    const size_t rows = p->dim[0], cols = p->dim[1], lines = columns ? cols : rows, length = columns ? rows : cols;
    double worst = 0;
    for (size_t i = 0; i < lines; i++) {
        double square = 0;
        for (size_t j = 0; j < length; j++) {
            const double w = (double)p->data[columns ? j * cols + i : i * cols + j];
            square += w * w;
        }
        if (!(fabs(sqrt(square) - 1) <= worst)) worst = fabs(sqrt(square) - 1);
    }
    return worst;
}

static void check_sphere(const subject *s, const char *when)
{
    size_t matrices = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        if (s->param[i].rank != 2) continue;
        const double off = off_sphere(&s->param[i]);
        matrices++;
        prop_check(off <= LENGTH, "ngpt, %s: a line of %s has length 1 +- %.1e", when, s->param[i].name, off);
    }
    prop_check(matrices == 2 + 4 * 3, "ngpt: %zu matrices", matrices);
}

static an_optimizer *optimizer_of(const an_param *param, size_t n)
{
    const an_optimizer_config c = { .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1, .grad_clip = 1 };
    an_optimizer *o = NULL;
    need(an_optimizer_create(&o, param, n, &c));
    return o;
}

static void update(subject *s, an_optimizer *o, uint64_t t, int threads)
{
    s->pass.step = t;
    an_model_forward_backward(s->model, &s->pass);
    an_optimizer_apply(o, 0.05, t, an_optimizer_grad_norm(o, threads), threads);
}

/* From the first draw on and after every update every line is on the sphere, by the same bits for any number of threads. */
static void lengths_are_held(void)
{
    subject a, b;
    prop_open(&a, 2, PROP_TRAIN, "%s dropout=0.1", SPHERE);
    prop_open(&b, 2, PROP_TRAIN, "%s dropout=0.1", SPHERE);
    prop_check(off_sphere(prop_param(&a, "head.weight")) > 0.01, "ngpt: the test's own numbers are on the sphere");
    an_model_init_params(a.model, 2);
    an_model_init_params(b.model, 2);
    check_sphere(&a, "drawn");
    an_optimizer *o = optimizer_of(a.param, a.n_params), *u = optimizer_of(b.param, b.n_params);
    for (uint64_t t = 1; t <= 4; t++) {
        update(&a, o, t, 1);
        update(&b, u, t, 3);
        check_sphere(&a, "after an update");
    }
    for (size_t i = 0; i < a.n_params; i++) prop_check(prop_equal(a.param[i].count, a.param[i].data, b.param[i].data), "ngpt: %s depends on the number of threads", a.param[i].name);
    an_optimizer_destroy(&o);
    an_optimizer_destroy(&u);
    prop_close(&a);
    prop_close(&b);
}

/* The projection is outside of the optimizer: the same step without it has the same moments, and its result, scaled, is the same. */
static void moments_are_left(void)
{
    subject a, b;
    prop_open(&a, 2, PROP_TRAIN, "%s", SPHERE);
    prop_open(&b, 2, PROP_TRAIN, "%s", SPHERE);
    an_model_init_params(a.model, 2);
    an_model_init_params(b.model, 2);
    an_param *bare = malloc(b.n_params * sizeof *bare);
    if (!bare) exit(1);
    memcpy(bare, b.param, b.n_params * sizeof *bare);
    for (size_t i = 0; i < b.n_params; i++) bare[i].rule.unit = AN_UNIT_FREE;
    an_optimizer *o = optimizer_of(a.param, a.n_params), *u = optimizer_of(bare, b.n_params);
    an_optimizer_measure(o, true, true);
    update(&a, o, 1, 2);
    update(&b, u, 1, 2);
    size_t left = 0;
    for (size_t i = 0; i < a.n_params; i++) {
        const an_param *p = &a.param[i], *q = &bare[i];
        prop_check(prop_equal(p->count, an_optimizer_get_m(o, i), an_optimizer_get_m(u, i)) && prop_equal(p->count, an_optimizer_get_v(o, i), an_optimizer_get_v(u, i)), "ngpt: moments of %s", p->name);
        left += p->rank == 2 && off_sphere(q) > 1e-3;
        if (p->rank == 2) prop_check(near(an_optimizer_tensor_norms(o)[i].weight, sqrt((double)(along_columns(p->name) ? p->dim[1] : p->dim[0]))), "ngpt: %s is reported %g long", p->name, an_optimizer_tensor_norms(o)[i].weight);
        for (size_t part = 0; part < an_unit_parts(p->rule.unit, q->dim[0], q->count / q->dim[0]); part++) an_unit_scale(p->rule.unit, q->dim[0], q->count / q->dim[0], q->data, part);
        prop_check(prop_equal(p->count, p->data, q->data), "ngpt: %s is not the update, scaled", p->name);
    }
    prop_check(left == 2 + 4 * 3, "ngpt: %zu matrices leave the sphere without the projection", left);
    an_optimizer_destroy(&o);
    an_optimizer_destroy(&u);
    free(bare);
    prop_close(&a);
    prop_close(&b);
}

/* The stream keeps length 1 from the table to the head, also where added positions would take it away. */
static void stream_on_the_sphere(void)
{
    static const char *const POSITION[] = { "rotary", "learned", "sinusoidal" };
    for (size_t k = 0; k < 3; k++) {
        char settings[128];
        recorded r;
        snprintf(settings, sizeof settings, "design=ngpt position=%s activation=swiglu", POSITION[k]);
        record(&r, settings);
        an_model_forward(&r.model, &r.s.pass);
        const an_plan *plan = r.model.plan;
        for (size_t i = 0; i < plan->n_sites; i++)
            for (int end = 0; end < 2; end++) {
                const an_value *x = end ? plan->sites[i].out[0] : plan->sites[i].in[0];
                double worst = 0;
                for (size_t row = 0; row < an_rows(x); row++) worst = fmax(worst, fabs(sqrt(an_kern_get()->sumsq(an_cols(x), x->data + row * an_cols(x))) - 1));
                prop_check(worst <= 4 * LENGTH, "%s: %s %s: a token of length 1 +- %.1e", settings, plan->sites[i].name, end ? "leaves" : "meets", worst);
            }
        close_record(&r);
    }
}

/* Steps of 0.05 at first, scales of 1; stored at sqrt(1/d), s_uv at 1. */
static void starts(void)
{
    subject s;
    prop_open(&s, 1, PROP_TRAIN, "%s", SPHERE);
    an_model_init_params(s.model, 1);
    size_t seen = 0;
    for (size_t i = 0; i < s.n_params; i++) {
        const an_param *p = &s.param[i];
        const bool uv = strstr(p->name, "s_uv") != NULL;
        if (p->rank != 1) continue;
        seen++;
        for (size_t k = 0; k < p->count; k++) prop_check(p->data[k] == AN_R(uv ? 1 : 0.25), "ngpt: %s starts at %g", p->name, (double)p->data[k]);
    }
    prop_check(seen == 3 * 4 + 1, "ngpt: %zu learned scales", seen);
    prop_close(&s);
}

/* --- all four ------------------------------------------------------------------------------------------------------ */

static void decay(void)
{
    static const struct { const char *settings, *decays, *free; } ROW[] = {
        { "design=residual-dual", ".weight", "gain bias" }, { "design=parallel", ".weight", "gain bias" }, { "design=admin", ".weight", "gain bias skip.scale" }, { "design=ngpt", "", ".weight alpha s_qk s_uv s_z bias" },
    };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        prop_open(&s, 1, PROP_TRAIN, "%s", ROW[k].settings);
        for (size_t i = 0; i < s.n_params; i++) {
            const bool wanted = *ROW[k].decays && strstr(s.param[i].name, ROW[k].decays);
            prop_check((s.param[i].rule.decay == 1) == wanted && (wanted || s.param[i].rule.decay == 0) && s.param[i].rule.lr == 1, "%s: %s has decay %g and rate %g", ROW[k].settings, s.param[i].name, s.param[i].rule.decay,
                       s.param[i].rule.lr);
            char words[64];
            int listed = wanted;
            snprintf(words, sizeof words, "%s", ROW[k].free);
            for (char *rest = words, *w; (w = strtok_r(rest, " ", &rest));) listed |= strstr(s.param[i].name, w) != NULL;
            prop_check(listed, "%s: %s is in neither list", ROW[k].settings, s.param[i].name);
        }
        prop_close(&s);
    }
}

static double deviation(subject *s, const char *name)
{
    const an_param *p = prop_param(s, name);
    double square = 0;
    for (size_t i = 0; p && i < p->count; i++) square += (double)p->data[i] * (double)p->data[i] / (double)p->count;
    return sqrt(square);
}

/* The initial size of W_O: GPT-2's law for the first two, Xavier's for Admin. */
static void initial_gains(void)
{
    const struct { const char *design; double out, query; } ROW[] = { { "residual-dual", 0.02 / sqrt(8), 0.02 }, { "parallel", 0.02 / sqrt(8), 0.02 }, { "admin", 1 / sqrt(96), 1 / sqrt(96) } };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        prop_open(&s, 1, PROP_TRAIN, "design=%s n_layer=4 d_model=96 n_head=4", ROW[k].design);
        an_model_init_params(s.model, 1);
        const double out = deviation(&s, "layers.3.attn.out.weight"), query = deviation(&s, "layers.0.attn.qkv.weight");
        prop_check(fabs(out / ROW[k].out - 1) < 0.05 && fabs(query / ROW[k].query - 1) < 0.05, "%s: W_O drawn at %g and q, k, v at %g, the package says %g and %g", ROW[k].design, out, query, ROW[k].out, ROW[k].query);
        prop_close(&s);
    }
}

static void refused(void)
{
    static const struct { const char *settings, *words; } ROW[] = {
        { "design=ngpt tie_embeddings=true", "set tie_embeddings false" }, { "design=ngpt init=zero-out", "set init normal" }, { "design=pre-ln design@1=ngpt", "whole model" },
        { "design=residual-dual design@0=pre-ln", "whole model" }, { "design=ngpt parameterization=mup", "parameterization standard" }, { "design=admin tie_embeddings=true", "set tie_embeddings false" },
        { "design=residual-dual residual_dual_scale=2", "0..1" }, { "design=admin admin_init=two", "profile" }, { "design=pre-ln admin_init=log", "admin_init" },
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        subject s;
        const an_status status = prop_try(&s, 1, PROP_TRAIN, "%s", ROW[i].settings);
        prop_check((status == AN_ECONFIG || status == AN_EUSAGE) && strstr(an_error_text(), ROW[i].words), "%s: %s '%s', expected a refusal with '%s'", ROW[i].settings, an_status_name(status),
                   status == AN_OK ? "" : an_error_text(), ROW[i].words);
        if (status == AN_OK) prop_close(&s);
    }
}

int main(void)
{
    first_stream();
    second_stream();
    one_branch_silent();
    shared_norm();
    skips_of_one();
    closed_forms();
    profiled("design=admin n_layer=4 dropout=0.1", 8);
    profiled("design=admin n_layer=3 norm=rmsnorm fuse=false", 6);
    profiled("design=pre-ln n_layer=4 design@1-2=admin", 4);
    profiling_is_exact();
    lengths_are_held();
    moments_are_left();
    stream_on_the_sphere();
    starts();
    decay();
    initial_gains();
    refused();
    return prop_finish("fingerprints: residual-dual, parallel, admin, ngpt");
}
