/* The fusion table against the same plan built with fusion off: loss and every gradient.
 * A fused step computes the same sums; what may differ is the rounding of one product (bias added by the product or by
 * the activation), of a row whose sum stays in registers, and the order in which chunks of the head are added. Each is a
 * few units in the last place per step, growing with the root of the number of steps passed: 16 eps of the tensor's
 * length is allowed. Each row of the table must be seen at work. */
#include "prop.h"

static const double TOLERANCE = 16 * (double)AN_REAL_EPS;
static double worst;

static int count_ops(const subject *s, const char *op)
{
    json_t *plan = an_model_describe(s->model), *step;
    size_t i;
    int n = 0;
    json_array_foreach(json_object_get(plan, "steps"), i, step) n += strcmp(json_string_value(json_object_get(step, "op")), op) == 0;
    json_decref(plan);
    return n;
}

static void compare(size_t batch, const char *settings)
{
    subject fused, plain;
    prop_open(&fused, batch, PROP_TRAIN, "%s fuse=true", settings);
    prop_open(&plain, batch, PROP_TRAIN, "%s fuse=false", settings);
    const double a = an_model_forward_backward(fused.model, &fused.pass), b = an_model_forward_backward(plain.model, &plain.pass);
    an_real *g = prop_gradients(&fused), *h = prop_gradients(&plain);
    prop_check(fabs(a - b) <= TOLERANCE * fabs(b), "%s: loss %.17g fused, %.17g not", settings, a, b);
    const double d = prop_near_gradients(&fused, g, h, TOLERANCE, settings);
    if (d > worst) worst = d;
    prop_rewind(&fused);
    prop_check(fabs(an_model_forward(fused.model, &fused.pass) - b) <= TOLERANCE * fabs(b), "%s: forward alone differs", settings);
    free(g);
    free(h);
    prop_close(&fused);
    prop_close(&plain);
}

static void fused_equals_plain(const char *settings)
{
    char more[400];
    compare(2, settings);
    snprintf(more, sizeof more, "%s dropout=0.2 recompute=block", settings);
    compare(2, more);
}

/* What fusion makes of each design: counts per plan of 2 layers, 0 of each when it is off. */
static void table_is_exercised(void)
{
    static const struct { const char *settings, *op; int want; } ROW[] = {
        { "design=pre-ln", "add_norm", 4 },                                          /* the last one with the final norm */
        { "design=pre-ln recompute=block", "add_norm", 2 },                          /* not across the end of a block */
        { "design=pre-ln norm=rmsnorm", "add_norm", 4 },
        { "design=post-ln", "add_norm", 4 },
        { "design=plain", "add_norm", 0 },
        { "design=plain", "linear_act", 2 },
        { "activation=relu bias=false", "linear_act", 2 },
        { "activation=gelu_erf", "linear_act", 2 },
        { "activation=swiglu", "linear_act", 0 },                                    /* not pointwise */
        { "design=post-ln", "head_xent", 1 },
        { "tie_embeddings=false", "head_xent", 1 },
        { "design=pre-ln dropout=0.2", "dropout", 1 },                               /* that of the embedding, which no sum reads */
        { "design=pre-ln dropout=0.2", "add_norm", 4 },
        { "design=post-ln dropout=0.2", "dropout", 1 },
        { "design=rezero dropout=0.2", "dropout", 5 },                               /* a learned scale stands between */
        { "design=plain dropout=0.2", "dropout", 5 },                                /* no sum */
    };
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        subject s;
        prop_open(&s, 2, PROP_TRAIN, "%s", ROW[i].settings);
        prop_check(count_ops(&s, ROW[i].op) == ROW[i].want, "%s: %d steps %s, expected %d", ROW[i].settings, count_ops(&s, ROW[i].op), ROW[i].op, ROW[i].want);
        prop_close(&s);
        prop_open(&s, 2, PROP_TRAIN, "%s fuse=false", ROW[i].settings);
        prop_check(strcmp(ROW[i].op, "dropout") == 0 || count_ops(&s, ROW[i].op) == 0, "%s: %s although fusion is off", ROW[i].settings, ROW[i].op);
        prop_close(&s);
    }
}

int main(void)
{
    static const struct { size_t batch; const char *settings; } SHAPES[] = {
        { 3, "seq_len=101 d_model=64 d_ff=256 vocab_size=131" },                     /* two chunks in the head, several tiles */
        { 3, "seq_len=101 d_model=64 d_ff=256 vocab_size=131 tie_embeddings=false design=post-ln activation=relu" },
        { 2, "seq_len=33 d_model=30 n_head=3 d_ff=77 vocab_size=19 bias=false activation=gelu_erf" },
        { 2, "seq_len=5 activation=swiglu position=rotary n_layer=6" },
        { 1, "seq_len=1 n_layer=1 d_model=6 d_ff=1 vocab_size=2" },
        { 3, "seq_len=101 vocab_size=131 z_loss=0.2" },
        { 2, "n_layer=4 design@1=post-ln design@2.mlp=plain norm@3=rmsnorm" },
    };
    prop_product(1, fused_equals_plain);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) compare(SHAPES[i].batch, SHAPES[i].settings);
    table_is_exercised();
    printf("worst relative distance of a gradient tensor %.1e, %.1e allowed\n", worst, TOLERANCE);
    return prop_finish("fused = not fused");
}
