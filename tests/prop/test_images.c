/* Laws of arch resnet: evaluation does not depend on what else is in the batch; training does with BatchNorm; the same bits for any number of
 * threads and recomputed; a design's skips are where they should be, and plain has the same parameters without them. */
#include "prop.h"

#define NET "arch=resnet n_layer=8 width=8 image_size=9 norm=batchnorm"
enum { BATCH = 5, CLASSES = 10 };

static void open_net(subject *s, size_t batch, int use, const char *more)
{
    prop_open(s, batch, use, NET " %s", more);
    prop_tokens(s->tokens, s->rows, 256, 9);         /* pixels */
}

/* Logits of image 2 among others and alone, in evaluation and while training. */
static void batch_independence(bool train)
{
    subject all, one;
    open_net(&all, BATCH, PROP_LOGITS, "");
    open_net(&one, 1, PROP_LOGITS, "");
    all.pass.train = one.pass.train = train;
    memcpy(one.tokens, all.tokens + 2 * all.seq, one.seq * sizeof *one.tokens);
    an_model_forward(all.model, &all.pass);
    an_model_forward(one.model, &one.pass);
    const double d = prop_distance(CLASSES, an_model_get_logits(all.model) + 2 * CLASSES, an_model_get_logits(one.model));
    if (train) prop_check(d > 1e-2, "training: logits alone and in a batch differ by %.1e only", d);
    else prop_check(d < 64 * (double)AN_REAL_EPS, "evaluation: logits alone and in a batch differ by %.1e", d);
    prop_close(&all);
    prop_close(&one);
}

static void same_bits(const char *design)
{
    subject s, t;
    char more[128];
    open_net(&s, BATCH, PROP_TRAIN, design);
    const double loss = an_model_forward_backward(s.model, &s.pass);
    an_real *g = prop_gradients(&s);
    for (int threads = 2; threads <= 7; threads += 5) {
        prop_rewind(&s);
        if (an_model_set_threads(s.model, threads) != AN_OK) exit(1);
        prop_check(an_model_forward_backward(s.model, &s.pass) == loss, "%s: another loss on %d threads", design, threads);
        an_real *h = prop_gradients(&s);
        prop_same_gradients(&s, h, g, design);
        free(h);
    }
    snprintf(more, sizeof more, "%s recompute=block", design);
    open_net(&t, BATCH, PROP_TRAIN, more);
    prop_check(an_model_forward_backward(t.model, &t.pass) == loss, "%s: another loss recomputed", design);
    an_real *h = prop_gradients(&t);
    prop_same_gradients(&t, h, g, more);
    free(g);
    free(h);
    prop_close(&s);
    prop_close(&t);
}

/* What the ledger says of each unit: share of the gradient that came down the skip. It is 1 where the skip is the identity, below 1 where
 * it drops pixels, 0 without. */
static void ledger(const char *design, bool skips)
{
    subject s;
    open_net(&s, BATCH, PROP_TRAIN, design);
    an_model_destroy(&s.model);
    const an_model_shape shape = { .batch = BATCH, .seq = s.seq, .train = true, .observe = AN_OBSERVE_BASIC };
    if (an_model_create(&s.model, &s.config, s.options, &shape) != AN_OK) exit(1);
    s.param = an_model_get_params(s.model, &s.n_params);
    prop_randomise(&s, 1);
    s.pass.observe = true;
    an_model_forward_backward(s.model, &s.pass);
    const an_telemetry *t = an_model_get_telemetry(s.model);
    prop_check(t->n_sites == 3, "%s: %zu units in the ledger", design, t->n_sites);
    for (size_t i = 0; i < t->n_sites; i++) {
        const double a = t->site[i].attenuation;
        prop_check(!skips ? !(a > 0) : i == 0 ? fabs(a - 1) < 1e-4 : a > 0, "%s: the skip of unit %zu hands on %g of the gradient", design, i, a);
    }
    prop_close(&s);
}

static void same_parameters(void)
{
    subject a, b;
    open_net(&a, 1, 0, "design=plain");
    open_net(&b, 1, 0, "design=pre-ln");
    prop_check(an_model_param_count(a.model) == an_model_param_count(b.model), "plain has %zu parameters, residual %zu", an_model_param_count(a.model), an_model_param_count(b.model));
    prop_close(&a);
    prop_close(&b);
}

static void refusals(void)
{
    static const struct { const char *settings, *says; } BAD[] = {
        { "arch=resnet n_layer=9", "try 8" }, { "arch=resnet n_layer=2", "try 8" }, { "arch=resnet n_layer=54", "try 56" }, { "arch=resnet n_layer=8 design=denseformer", "stream of its own" },
        { "arch=resnet n_layer=8 design=qk-norm", "inside attention" }, { "arch=resnet n_layer=8 n_head=2", "has no meaning with arch" }, { "width=4", "needs arch=resnet" } };
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        subject s;
        const an_status status = prop_try(&s, 2, PROP_TRAIN, "%s", BAD[i].settings);
        prop_check(status == AN_ECONFIG && strstr(an_error_text(), BAD[i].says), "%s: %s", BAD[i].settings, status == AN_OK ? "built" : an_error_text());
        if (status == AN_OK) prop_close(&s);
    }
}

int main(void)
{
    batch_independence(false);
    batch_independence(true);
    same_bits("design=pre-ln");
    same_bits("design=plain");
    same_bits("design=post-ln");
    ledger("design=pre-ln", true);
    ledger("design=plain", false);
    same_parameters();
    refusals();
    return prop_finish("images");
}
