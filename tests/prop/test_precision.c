/* Mixed precision: the same bits for any number of threads, with blocks run again and with steps joined or not; close to the same
 * model in f32, and less memory. Rounding to 8 bits puts a value off by at most 2^-9 of itself; some dozens of independent roundings in a
 * row make that 2^-6 of a gradient's length, and mixing of random strength along several streams magnifies it up to eightfold. Where a unit
 * multiplies bfloat16, operands that are stored as reals are rounded on the way in too: up to twice as much. */
#include "prop.h"

#include "kern/gemm.h"

static const double NEAR = 0x1p-5;
static double near_gradient(void) { return an_gemm_get()->low_unit ? 0x1p-2 : 0x1p-3; }

static an_real *run(subject *s, double *loss)
{
    prop_rewind(s);
    *loss = an_model_forward_backward(s->model, &s->pass);
    return prop_gradients(s);
}

typedef enum likeness { SAME, JOINED, NEARBY } likeness;   /* the same bits; loss and gradients nearly: where steps are joined a gradient may skip a rounding, and the joined head adds exponentials up by parts and rounds them, as far from f32 as without it */

static void compare(const char *settings, const char *how, const char *other, likeness want)
{
    subject a, b;
    double one, two;
    char what[400];
    snprintf(what, sizeof what, "%s %s against %s", settings, how, other);
    prop_open(&a, 3, PROP_TRAIN, "%s %s", settings, how);
    prop_open(&b, 3, PROP_TRAIN, "%s %s", settings, other);
    an_real *g = run(&a, &one), *h = run(&b, &two);
    if (want != NEARBY) {
        const double sums = want == JOINED ? 4 * (double)AN_REAL_EPS * (1 + fabs(two)) : 0;      /* a row's sum rounded, its logarithm, their mean */
        prop_check(one == two || fabs(one - two) <= sums, "%s: loss %.9g and %.9g", what, one, two);
        if (want == SAME) prop_same_gradients(&a, g, h, what);
        const double off = prop_distance(an_model_param_count(a.model), g, h);
        if (want == JOINED) prop_check(off <= NEAR / 2, "%s: gradients differ by %.2e of their length", what, off);
    } else if (isfinite(two)) {
        const double off = prop_distance(an_model_param_count(a.model), g, h);
        prop_check(fabs(one - two) <= NEAR * fabs(two), "%s: loss %.9g and %.9g", what, one, two);
        prop_check(off <= near_gradient(), "%s: gradients differ by %.2e of their length", what, off);
        prop_check(off > 0 || one != two, "%s: nothing was rounded", what);
    } else {
        prop_skip("%s: overflows in f32", what);
    }
    free(g);
    free(h);
    prop_close(&a);
    prop_close(&b);
}

static void threads(const char *settings)
{
    subject s;
    double one, many;
    prop_open(&s, 3, PROP_TRAIN, "%s dropout=0.1 n_layer=1 seq_len=37 d_model=64 d_ff=320 vocab_size=131 precision=bf16", settings);
    an_real *g = run(&s, &one);
    for (int t = 2; t <= 3; t++) {
        if (!prop_check(an_model_set_threads(s.model, t) == AN_OK, "%s: %s", settings, an_error_text())) continue;
        an_real *h = run(&s, &many);
        prop_check(one == many, "%s in bf16 on %d threads: loss %.9g, on one %.9g", settings, t, many, one);
        prop_same_gradients(&s, h, g, settings);
        free(h);
    }
    free(g);
    prop_close(&s);
}

static void again(const char *settings)
{
    compare(settings, "precision=bf16 dropout=0.2 recompute=block", "precision=bf16 dropout=0.2", SAME);
    compare(settings, "precision=bf16 stream_precision=bf16 recompute=block", "precision=bf16 stream_precision=bf16", SAME);
    compare(settings, "precision=bf16 stream_precision=bf16 fuse=false", "precision=bf16 stream_precision=bf16", JOINED);
    compare(settings, "precision=bf16 fuse=false activation=gelu_erf", "precision=bf16 activation=gelu_erf", JOINED);
}

/* One block, so that what is compared is rounding and not the growth of a disturbance through many layers. */
static void near(const char *settings)
{
    compare(settings, "n_layer=1 d_model=32 precision=bf16", "n_layer=1 d_model=32", NEARBY);
    compare(settings, "n_layer=1 d_model=32 precision=bf16 stream_precision=bf16", "n_layer=1 d_model=32", NEARBY);
}

static size_t bytes(const char *precision, const char *stream)
{
    subject s;
    prop_open(&s, 8, PROP_TRAIN, "n_layer=6 d_model=64 seq_len=64 precision=%s %s%s", precision, *stream ? "stream_precision=" : "", stream);
    const size_t n = an_model_get_memory(s.model).activations;
    prop_close(&s);
    return n;
}

static void memory(void)
{
    const size_t f32 = bytes("f32", ""), mixed = bytes("bf16", ""), all = bytes("bf16", "bf16");
    prop_check((double)mixed < 0.7 * (double)f32, "activations take %zu bytes in bf16, %zu in f32", mixed, f32);
    prop_check((double)all < 0.6 * (double)f32, "activations take %zu bytes with the stream in bf16, %zu in f32", all, f32);
}

/* Weights written from outside are seen by the next pass once it is told so. */
static void written(void)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "precision=bf16");
    const double before = an_model_forward(s.model, &s.pass);
    an_param *w = prop_param(&s, "layers.0.mlp.up.weight");
    for (size_t i = 0; w && i < w->count; i++) w->data[i] *= 2;
    an_model_params_written(s.model);
    prop_check(w && w->low && an_model_forward(s.model, &s.pass) != before, "weights were written, but the loss is the same");
    prop_close(&s);
}

int main(void)
{
    prop_product(0, threads);
    prop_product(0, again);
    prop_product(0, near);
    memory();
    written();
    return prop_finish("precision");
}
