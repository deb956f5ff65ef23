/* What a design's package does before the first step, against the table of law.h: the size of every matrix as drawn and
 * DeepNorm's coefficients in numbers; what learned scales start at; how many parameters each design adds to Pre-LN and which
 * of them decay; and the bound that QK-norm puts on attention scores. Designs without a law are printed. */
#include "prop.h"

#include "law.h"
#include "net/design.h"
#include "net/design/deepnorm.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

/* --- init -------------------------------------------------------------------------------------------------------- */

enum { WIDTH = 128, FF = 512, LAYERS = 6, VOCAB = 300 };

/* Standard deviation of a matrix [out, in] under the base law, without gain. */
static double base_law(const char *init, int writes, double in, double out)
{
    if (is(init, "gpt2")) return writes ? 0.02 / sqrt(2.0 * LAYERS) : 0.02;
    return is(init, "normal") ? 0.02 : sqrt(2 / (in + out));
}

static double base_table(const char *init) { return is(init, "xavier") ? sqrt(0.5) : is(init, "xavier-uniform") ? 1 / sqrt((double)WIDTH) : 0.02; }

/* One role over all layers: rows [first, last) sixths of the matrices of that name. */
static void check_role(subject *s, const char *design, const char *part, size_t first, size_t last, double want, int uniform)
{
    double square = 0, most = 0;
    size_t n = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        if (!strstr(p->name, part)) continue;
        for (size_t k = first * p->count / 3; k < last * p->count / 3; k++, n++) {
            square += (double)p->data[k] * (double)p->data[k];
            most = fmax(most, fabs((double)p->data[k]));
        }
    }
    const double std = sqrt(square / (double)n), room = 5 / sqrt(2 * (double)n);      /* a deviation of n draws is known to 1/sqrt(2n) */
    prop_check(n > 0 && fabs(std / want - 1) <= room, "%s: %s (thirds %zu..%zu) is drawn at %.6f, the law says %.6f", design, part, first, last, std, want);
    prop_check((most <= 1.7321 * want) == uniform && most > 1.7 * want, "%s: %s reaches %.2f deviations, %s expected", design, part, most / want, uniform ? "sqrt(3)" : "a normal tail");
}

static void drawn(const char *design, const char *more, const law *l)
{
    subject s;
    const double d = WIDTH, f = FF;
    prop_open(&s, 1, 0, "n_layer=%d d_model=%d n_head=4 d_ff=%d vocab_size=%d seq_len=96 design=%s%s", LAYERS, WIDTH, FF, VOCAB, design, more);
    an_model_init_params(s.model, 1);
    check_role(&s, design, "attn.qkv.weight", 0, 1, l->qk * base_law(l->init, 0, d, d), l->uniform);
    check_role(&s, design, "attn.qkv.weight", 1, 2, l->qk * base_law(l->init, 0, d, d), l->uniform);
    check_role(&s, design, "attn.qkv.weight", 2, 3, l->v * base_law(l->init, 0, d, d), l->uniform);
    check_role(&s, design, "attn.out.weight", 0, 3, l->o * base_law(l->init, 1, d, d), l->uniform);
    check_role(&s, design, "mlp.up.weight", 0, 3, l->fc1 * base_law(l->init, 0, d, f), l->uniform);
    check_role(&s, design, "mlp.down.weight", 0, 3, l->fc2 * base_law(l->init, 1, f, d), l->uniform);
    check_role(&s, design, "embed.tok.weight", 0, 3, l->emb * base_table(l->init), 0);
    for (size_t i = 0; i < s.n_params; i++) {
        const an_param *p = &s.param[i];
        if (p->rank > 1 || strstr(p->name, "branch.scale")) continue;
        size_t off = 0;
        const an_real want = strstr(p->name, "gain") || strstr(p->name, "scale") ? 1 : 0;
        for (size_t k = 0; k < p->count; k++) off += p->data[k] != want;
        prop_check(off == 0, "%s: %zu elements of %s do not start at %g", design, off, p->name, (double)want);
    }
    prop_close(&s);
}

static void inits(void)
{
    law l;
    for (size_t i = 0; an_design_at(i); i++) {
        if (law_of(an_design_name(i), 0, 0, LAYERS, &l)) drawn(an_design_name(i), "", &l);
        else printf("not covered here: %s\n", an_design_name(i));
    }
    /* the same numbers as literals, at 6 layers */
    static const struct { const char *design; double qk, v, o, fc1, fc2, emb; } ROW[] = {
        { "deepnorm", 1, 0.379918, 0.379918, 0.379918, 0.379918, 1 }, { "sub-ln", 1, 1.576359, 1.576359, 1.576359, 1.576359, 1 }, { "b2t", 0.408248, 0.408248, 0.408248, 0.408248, 0.408248, 1 },
        { "t-fixup", 0.707107, 0.368894, 0.368894, 0.368894, 0.368894, 0.368894 } };
    for (size_t i = 0; i < COUNT(ROW); i++) {
        law_of(ROW[i].design, 0, 0, LAYERS, &l);
        l.qk = ROW[i].qk, l.v = ROW[i].v, l.o = ROW[i].o, l.fc1 = ROW[i].fc1, l.fc2 = ROW[i].fc2, l.emb = ROW[i].emb;
        drawn(ROW[i].design, "", &l);
    }
    law_of("deepnorm", 0, 0, LAYERS, &l);
    l.v = l.o = l.fc1 = l.fc2 = 0.5;
    drawn("deepnorm", " deepnorm_beta=0.5", &l);
    law_of("b2t", 0, 0, LAYERS, &l);
    l.qk = l.v = l.o = l.fc1 = l.fc2 = 1;
    drawn("b2t", " b2t_rescale=false", &l);
    law_of("pre-ln", 0, 0, LAYERS, &l);
    l.init = "normal";
    drawn("pre-ln", " init=normal", &l);
    l.qk = l.v = l.o = l.fc1 = l.fc2 = 0.5;                /* 1/sqrt(d / base_width), no depth law; the tables keep 0.02 */
    drawn("pre-ln", " parameterization=mup base_width=32", &l);
    drawn("pre-ln", " parameterization=completep base_width=32 base_depth=2", &l);
    law_of("custom", 0, 0, LAYERS, &l);
    l.qk = 0.3, l.v = 0.5, l.o = 0.7, l.fc1 = 1.1, l.fc2 = 1.3, l.init = "xavier";
    drawn("custom", " init=xavier custom_gain_qk=0.3 custom_gain_v=0.5 custom_gain_o=0.7 custom_gain_fc1=1.1 custom_gain_fc2=1.3", &l);
}

/* Table 2 of arXiv:2203.00555 and section 4, in numbers. */
static void deepnorm_table(void)
{
    static const struct { an_deepnorm_part part; double n, m, alpha, beta; } ROW[] = {
        { AN_DEEPNORM_ENCODER, 1, 1, 1.1892071, 0.5946036 },        { AN_DEEPNORM_ENCODER, 12, 1, 2.2133638, 0.3194716 },       { AN_DEEPNORM_ENCODER, 100, 6, 3.7606031, 0.1880302 },
        { AN_DEEPNORM_DECODER, 1, 1, 1.1892071, 0.5946036 },        { AN_DEEPNORM_DECODER, 1, 24, 2.6321480, 0.2686425 },       { AN_DEEPNORM_DECODER, 6, 100, 3.7606031, 0.1880302 },
        { AN_DEEPNORM_BOTH_ENCODER, 6, 6, 1.4179381, 0.4969892 },   { AN_DEEPNORM_BOTH_ENCODER, 12, 6, 1.6862221, 0.4179165 },  { AN_DEEPNORM_BOTH_ENCODER, 18, 18, 1.9987463, 0.3525710 },
        { AN_DEEPNORM_BOTH_DECODER, 6, 6, 2.0597671, 0.3432945 },   { AN_DEEPNORM_BOTH_DECODER, 12, 6, 2.0597671, 0.3432945 },  { AN_DEEPNORM_BOTH_DECODER, 18, 18, 2.7108060, 0.2608474 },
    };
    for (size_t i = 0; i < COUNT(ROW); i++) {
        const an_deepnorm c = an_deepnorm_coefficients(ROW[i].part, ROW[i].n, ROW[i].m);
        prop_check(fabs(c.alpha - ROW[i].alpha) < 1e-6 && fabs(c.beta - ROW[i].beta) < 1e-6, "DeepNorm, part %d, %g and %g layers: %.7f and %.7f, the table has %.7f and %.7f", (int)ROW[i].part, ROW[i].n, ROW[i].m,
                   c.alpha, c.beta, ROW[i].alpha, ROW[i].beta);
    }
}

static void learned_starts(void)
{
    static const struct { const char *settings, *name; double want; } ROW[] = {
        { "design=layerscale n_layer=18", "layers.17.mlp.branch.scale", 0.1 }, { "design=layerscale n_layer=19", "layers.18.attn.branch.scale", 1e-5 }, { "design=layerscale n_layer=24", "layers.0.attn.branch.scale", 1e-5 },
        { "design=layerscale n_layer=25", "layers.24.mlp.branch.scale", 1e-6 }, { "design=rezero", "layers.1.branch.scale", 0 }, { "design=skipinit", "layers.1.mlp.branch.scale", 0 },
        { "design=skipinit skipinit_start=0.5", "layers.1.mlp.branch.scale", 0.5 }, { "design=normformer", "layers.0.attn.head_scale", 1 }, { "design=normformer normformer_resscale=true", "layers.0.mlp.skip.scale", 1 },
        { "design=value-residual value_residual=learned", "layers.1.attn.value_own", 0.5 }, { "norm=scalenorm", "layers.0.attn.pre.gain", 4 }, { "norm=dyt", "layers.0.attn.pre.alpha", 0.5 },
        { "norm=derf", "final.alpha", 0.5 }, { "norm=derf", "final.shift", 0 }, { "norm=rmsnorm norm_gain_offset=1", "final.gain", 0 },
    };
    for (size_t i = 0; i < COUNT(ROW); i++) {
        subject s;
        prop_open(&s, 1, 0, "%s", ROW[i].settings);
        an_model_init_params(s.model, 1);
        const an_param *p = prop_param(&s, ROW[i].name);
        size_t off = 0;
        for (size_t k = 0; p && k < p->count; k++) off += p->data[k] != AN_R(ROW[i].want);
        prop_check(p && off == 0, "%s: %s %s, not at %g", ROW[i].settings, ROW[i].name, p ? "starts elsewhere" : "is not there", ROW[i].want);
        prop_close(&s);
    }
}

/* --- parameters -------------------------------------------------------------------------------------------------- */

static size_t count(const char *settings)
{
    subject s;
    prop_open(&s, 1, 0, "n_layer=4 n_head=4 d_model=32 d_ff=80 tie_embeddings=false %s", settings);
    const size_t n = an_model_param_count(s.model);
    prop_close(&s);
    return n;
}

/* What each adds to Pre-LN with LayerNorm: d = 32, f = 80, H = 4 heads of w = 8, L = 4. */
static void sizes(void)
{
    enum { d = 32, f = 80, H = 4, w = 8, L = 4 };
    static const struct { const char *settings; int more; } ROW[] = {
        { "design=plain", 0 }, { "design=post-ln", -2 * d }, { "design=deepnorm", -2 * d }, { "design=b2t", -2 * d }, { "design=sandwich-ln", 2 * L * 2 * d }, { "design=peri-ln", 2 * L * 2 * d + 2 * d },
        { "design=reordered", L * 2 * d }, { "design=reordered qk_norm=head", L * 2 * w }, { "design=sub-ln", L * (2 * d + 2 * f) }, { "design=normformer", L * (2 * d + 2 * f + H) },
        { "design=normformer normformer_resscale=true", L * (2 * d + 2 * f + H + d) }, { "design=hybridnorm", L * (3 * w - 2 * d) }, { "design=hybridnorm hybridnorm_first=true", L * (3 * w - 2 * d) + 2 * d },
        { "design=keel", 2 * L * 2 * d - 2 * d - 2 * d }, { "design=mix-ln", 0 }, { "design=layernorm-scaling", 0 }, { "design=rezero", L - 2 * L * 2 * d - 2 * d }, { "design=rezero rezero_share=site", 2 * L - 2 * L * 2 * d - 2 * d },
        { "design=skipinit", 2 * L - 2 * L * 2 * d - 2 * d }, { "design=layerscale", 2 * L * d }, { "design=t-fixup", -2 * L * 2 * d - 2 * d }, { "design=value-residual", 0 },
        { "design=value-residual value_residual=learned", 2 * (L - 1) }, { "design=qk-norm", L * 2 * w }, { "design=custom", 0 }, { "norm=rmsnorm", -(2 * L + 1) * d }, { "norm=scalenorm", (2 * L + 1) * (1 - 2 * d) },
        { "norm=l2norm", -(2 * L + 1) * 2 * d }, { "norm=groupnorm", 0 }, { "norm=dyt", 2 * L + 1 }, { "norm=derf", 2 * (2 * L + 1) }, { "norm=prmsnorm", -(2 * L + 1) * d }, { "norm=none", -(2 * L + 1) * 2 * d },
    };
    const long base = (long)count("design=pre-ln");
    for (size_t i = 0; i < COUNT(ROW); i++) {
        const long more = (long)count(ROW[i].settings) - base;
        prop_check(more == ROW[i].more, "%s has %ld parameters more than pre-ln, the paper's form %d", ROW[i].settings, more, ROW[i].more);
    }
}

static int ends_with(const char *text, const char *tail)
{
    const size_t n = strlen(text), m = strlen(tail);
    return n >= m && is(text + n - m, tail);
}

/* Matrices and tables decay, nothing else does; no design has a rate or an eps of its own. */
static void groups_of(const char *settings)
{
    static const char *const BARE_PARTS[] = { ".gain", ".bias", ".scale", ".alpha", ".shift", ".head_scale", ".value_first", ".value_own" };
    subject s;
    size_t unknown = 0, wrong = 0;
    char which[96] = "";
    prop_open(&s, 1, PROP_TRAIN, "%s", settings);
    for (size_t i = 0; i < s.n_params; i++) {
        const an_param *p = &s.param[i];
        int bare = 0;
        for (size_t k = 0; k < COUNT(BARE_PARTS); k++) bare |= ends_with(p->name, BARE_PARTS[k]);
        const int matrix = ends_with(p->name, ".weight") && p->rank == 2;
        const int bad = !(p->rule.decay == matrix && p->rule.lr == 1 && p->rule.eps == 1 && !p->rule.buffer);
        if ((bad || bare == matrix) && !unknown && !wrong) snprintf(which, sizeof which, "%s, decay %g, rate %g, eps %g", p->name, p->rule.decay, p->rule.lr, p->rule.eps);
        unknown += bare == matrix;
        wrong += (size_t)bad;
    }
    prop_check(unknown == 0, "%s: %zu tensors are neither matrices nor learned vectors known here: %s", settings, unknown, which);
    prop_check(wrong == 0, "%s: %zu of %zu tensors are in the wrong group: %s", settings, wrong, s.n_params, which);
    prop_close(&s);
}

static void groups(void)
{
    static const char *const NORM[] = { "layernorm", "rmsnorm", "prmsnorm", "scalenorm", "groupnorm", "dyt", "derf" };
    char settings[160];
    for (size_t i = 0; an_design_at(i); i++) {
        const an_design *d = an_design_at(i);
        law l;
        if (!law_of(d->name, 0, 0, LAYERS, &l)) continue;
        for (size_t v = 0; v == 0 || (d->variants && d->variants[v - 1]); v++) {
            snprintf(settings, sizeof settings, "design=%s%s%s", d->name, v ? " " : "", v ? d->variants[v - 1] : "");
            groups_of(settings);
        }
    }
    for (size_t i = 0; i < COUNT(NORM); i++) {
        snprintf(settings, sizeof settings, "norm=%s position=rotary", NORM[i]);
        groups_of(settings);
    }
}

/* --- attention scores under QK-norm ------------------------------------------------------------------------------ */

static double largest_score(const char *settings)
{
    subject s;
    double most = 0;
    prop_open(&s, 2, PROP_TRAIN, "n_layer=2 %s", settings);
    an_model_destroy(&s.model);
    const an_model_shape shape = { .batch = 2, .seq = s.seq, .train = true, .observe = AN_OBSERVE_FULL };
    if (an_model_create(&s.model, &s.config, s.options, &shape) != AN_OK) exit(1);
    s.param = an_model_get_params(s.model, &s.n_params);
    an_model_init_params(s.model, 1);
    for (size_t i = 0; i < s.n_params; i++)
        for (size_t k = 0; strstr(s.param[i].name, "qkv.weight") && k < s.param[i].count; k++) s.param[i].data[k] *= AN_R(1e4);
    s.pass.observe = true;
    an_model_forward_backward(s.model, &s.pass);
    const an_telemetry *t = an_model_get_telemetry(s.model);
    for (size_t i = 0; i < t->n_gauges; i++)
        if (is(t->gauge[i].family, "attention")) most = fmax(most, t->gauge[i].value[0]);
    prop_close(&s);
    return most;
}

/* Rows of q and k of length sqrt(w) give scores of at most sqrt(w) behind 1/sqrt(w), whatever the matrices: w = 8 here. */
static void bounded_scores(void)
{
    const double bound = sqrt(8) * (1 + 1e-5), with = largest_score("design=qk-norm"), full = largest_score("design=hybridnorm"), without = largest_score("design=pre-ln");
    prop_check(with > 0 && with <= bound, "qk-norm: a score of %g, at most %g is possible", with, bound);
    prop_check(full > 0 && full <= bound, "hybridnorm: a score of %g, at most %g is possible", full, bound);
    prop_check(without > 100 * bound, "pre-ln with large matrices: the largest score is %g only", without);
}

int main(void)
{
    inits();
    deepnorm_table();
    learned_starts();
    sizes();
    groups();
    bounded_scores();
    return prop_finish("init and parameters of designs");
}
