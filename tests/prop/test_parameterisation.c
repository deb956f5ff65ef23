/* The table of net/parameterisation.h, cell by cell: the rules of every tensor and the sizes they are drawn at, written
 * here a second time from the papers; and what may not be combined. */
#include "prop.h"

#include <string.h>

static const double WIDTH = 4, DEPTH = 3;   /* d_model 64 over 16, n_layer 6 over 2 */
static const char SHAPE[] = "d_model=64 n_head=4 d_ff=256 n_layer=6 seq_len=8 base_width=16 tie_embeddings=false";

typedef struct law { const char *name; double alpha; bool deep; } law;
static const law LAWS[] = { { "mup", 1, false }, { "depth-mup", 0.5, true }, { "completep", 1, true } };

static bool is_near(double a, double b) { return fabs(a - b) <= 1e-12 * fabs(b); }

static double rms(const an_param *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->count; i++) sum += (double)p->data[i] * (double)p->data[i];
    return sqrt(sum / (double)p->count);
}

static void check_tensor(const law *l, const an_param *p)
{
    const double depth = l->deep ? DEPTH : 1;
    const bool inside = strncmp(p->name, "layers.", 7) == 0, matrix = inside && p->rank == 2;
    const double lr_depth = inside ? pow(depth, l->alpha - 1) : 1, lr = matrix ? lr_depth / WIDTH : lr_depth;
    const double eps = (inside ? pow(depth, -l->alpha) : 1) / WIDTH, decay = matrix ? WIDTH : p->rank == 2 ? 1 : 0;
    prop_check(is_near(p->rule.lr, lr), "%s %s: lr factor %g, the table has %g", l->name, p->name, p->rule.lr, lr);
    prop_check(is_near(p->rule.eps, eps), "%s %s: eps factor %g, the table has %g", l->name, p->name, p->rule.eps, eps);
    prop_check(p->rule.decay == decay, "%s %s: decay factor %g, the table has %g", l->name, p->name, p->rule.decay, decay);
    if (p->rank < 2) return;
    /* a standard deviation of n draws is known to 1/sqrt(2n); five times that */
    const double std = matrix ? 0.02 / sqrt(WIDTH) : 0.02, room = 5 / sqrt(2 * (double)p->count);
    prop_check(fabs(rms(p) / std - 1) <= room, "%s %s: drawn at %g, the table has %g", l->name, p->name, rms(p), std);
}

static void table(const law *l)
{
    subject s;
    prop_open(&s, 1, PROP_TRAIN, "%s parameterization=%s%s", SHAPE, l->name, l->deep ? " base_depth=2" : "");
    an_model_init_params(s.model, 3);
    for (size_t i = 0; i < s.n_params; i++) check_tensor(l, &s.param[i]);
    prop_close(&s);
}

/* At the base shape every factor is 1: the same weights and gradients as standard with init normal, but for the attention scale. */
static void base_shape(const law *l)
{
    subject s;
    prop_open(&s, 1, PROP_TRAIN, "d_model=64 n_head=64 d_ff=256 n_layer=6 seq_len=8 base_width=64 parameterization=%s%s", l->name, l->deep ? " base_depth=6" : "");
    subject t;
    prop_open(&t, 1, PROP_TRAIN, "d_model=64 n_head=64 d_ff=256 n_layer=6 seq_len=8 init=normal");   /* heads of width 1: 1/D = 1/sqrt(D) */
    prop_check(an_model_forward(s.model, &s.pass) == an_model_forward(t.model, &t.pass), "%s at its base shape is not the standard model", l->name);
    prop_close(&s);
    prop_close(&t);
}

/* output_multiplier reaches the logits; m_L^-a on the branch is the same as on the projections that end it. */
static void multipliers(void)
{
    subject s, t;
    prop_open(&s, 1, PROP_LOGITS, "%s parameterization=mup", SHAPE);
    prop_open(&t, 1, PROP_LOGITS, "%s parameterization=mup output_multiplier=2", SHAPE);
    an_model_forward(s.model, &s.pass);
    an_model_forward(t.model, &t.pass);
    const an_real *a = an_model_get_logits(s.model), *b = an_model_get_logits(t.model);
    size_t off = 0;
    for (size_t i = 0; i < s.rows * s.vocab; i++) off += fabs((double)b[i] - 2 * (double)a[i]) > 8 * (double)AN_REAL_EPS * fabs((double)b[i]);
    prop_check(off == 0, "output_multiplier 2 does not double %zu of %zu logits", off, s.rows * s.vocab);
    prop_close(&s);
    prop_close(&t);
    prop_open(&s, 1, PROP_TRAIN, "d_model=64 n_head=64 d_ff=256 n_layer=6 seq_len=8 base_width=64 base_depth=2 parameterization=completep");
    prop_open(&t, 1, PROP_TRAIN, "d_model=64 n_head=64 d_ff=256 n_layer=6 seq_len=8 init=normal");
    for (size_t i = 0; i < t.n_params; i++)
        for (size_t k = 0; k < t.param[i].count && (strstr(t.param[i].name, ".out.") || strstr(t.param[i].name, ".down.")); k++) t.param[i].data[k] /= AN_R(DEPTH);
    const double with = an_model_forward(s.model, &s.pass), scaled = an_model_forward(t.model, &t.pass);
    prop_check(fabs(with - scaled) <= 1e-5 * scaled, "completep at three times the base depth: loss %.9g, with projections divided by 3 %.9g", with, scaled);
    prop_close(&s);
    prop_close(&t);
}

static void refusals(void)
{
    static const char *const BAD[][2] = { { "parameterization=mup init=gpt2", "init" }, { "parameterization=depth-mup init=gpt2", "init" }, { "parameterization=mup init=xavier", "init" },
                                          { "parameterization=completep design=post-ln", "post-ln" }, { "parameterization=mup design=plain", "plain" } };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        subject s;
        const an_status status = prop_try(&s, 1, PROP_TRAIN, "%s", BAD[i][0]);
        prop_check(status == AN_ECONFIG && strstr(an_error_text(), BAD[i][1]), "%s: not refused by name: %s", BAD[i][0], an_error_text());
        if (status == AN_OK) prop_close(&s);
    }
}

int main(void)
{
    for (size_t i = 0; i < sizeof LAWS / sizeof *LAWS; i++) {
        table(&LAWS[i]);
        base_shape(&LAWS[i]);
    }
    multipliers();
    refusals();
    return prop_finish("parameterisations");
}
