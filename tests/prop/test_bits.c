/* The same bits: for any number of threads, and when a pass is simply run again. Loss and every
 * gradient are compared bit for bit. */
#include "prop.h"

static an_real *run(subject *s, double *loss)
{
    prop_rewind(s);
    *loss = an_model_forward_backward(s->model, &s->pass);
    return prop_gradients(s);
}

/* Shapes where products fall into several tiles, the head into several chunks of rows, attention into several tiles. */
static const struct shape { size_t batch; const char *settings; } SHAPES[] = {
    { 3, "n_layer=1 seq_len=101 d_model=64 n_head=2 d_ff=256 vocab_size=131" },
    { 1, "n_layer=2 seq_len=307 d_model=48 n_head=3 d_ff=100 vocab_size=515" },
    { 5, "n_layer=1 seq_len=67 d_model=72 n_head=1 d_ff=200 vocab_size=97 activation=swiglu tie_embeddings=false" },
    { 7, "n_layer=1 seq_len=1 d_model=18 n_head=1 d_ff=33 vocab_size=3 activation=relu" },
    { 1, "n_layer=1 seq_len=603 d_model=40 n_head=4 n_kv_head=1 d_ff=100 vocab_size=97 position=rotary" },   /* one head of keys for five threads */
    { 2, "n_layer=1 seq_len=260 d_model=36 n_head=6 n_kv_head=2 d_ff=100 vocab_size=97 recompute=block" },
    { 2, "n_layer=2 seq_len=130 d_model=96 n_head=4 d_ff=384 vocab_size=257 fuse=false recompute=block activation=gelu_erf" },
};

/* What the last pass has made of the running statistics: where there are any, the same bits again. */
static void same_buffers(const subject *a, const an_real *want, const char *what)
{
    size_t n;
    an_real *have = prop_buffers(a, &n);
    prop_check(prop_equal(n, have, want), "%s: the running statistics differ by %.1e relative", what, prop_distance(n, have, want));
    free(have);
}

static void threads_of(size_t batch, const char *settings, const char *more)
{
    static const int THREADS[] = { 2, 3, 5 };
    subject s;
    double loss, again;
    char what[400];
    prop_open(&s, batch, PROP_TRAIN, "%s dropout=0.2 %s", settings, more);
    an_real *one = run(&s, &loss);
    size_t n;
    an_real *moved = prop_buffers(&s, &n);
    prop_check(isfinite(loss) && loss > 0, "%s: loss %g", settings, loss);
    for (size_t i = 0; i < sizeof THREADS / sizeof *THREADS; i++) {
        snprintf(what, sizeof what, "%s %s on %d threads", settings, more, THREADS[i]);
        if (!prop_check(an_model_set_threads(s.model, THREADS[i]) == AN_OK, "%s: %s", what, an_error_text())) continue;
        an_real *many = run(&s, &again);
        prop_check(loss == again, "%s: loss %.9g, on one thread %.9g", what, again, loss);
        prop_same_gradients(&s, many, one, what);
        same_buffers(&s, moved, what);
        free(many);
    }
    free(one);
    free(moved);
    prop_close(&s);
}

static void threads(const char *settings) { threads_of(3, "n_layer=1 seq_len=37 d_model=64 d_ff=320 vocab_size=131", settings); }   /* small, but up still splits */

/* Again: the same bits. Another step, micro-batch or seed: other masks. Not training: no masks at all. */
static void repeat(const char *settings)
{
    subject s;
    double first, again;
    prop_open(&s, 2, PROP_TRAIN, "%s dropout=0.3", settings);
    const an_pass pass = s.pass;
    an_real *g = run(&s, &first), *h = run(&s, &again);
    prop_check(first == again, "%s: loss %.9g, again %.9g", settings, first, again);
    prop_same_gradients(&s, h, g, settings);
    prop_rewind(&s);
    prop_check(an_model_forward(s.model, &pass) == first, "%s: forward alone has another loss", settings);
    free(h);
    for (int i = 0; i < 3; i++) {
        static const char *const KEY[] = { "step", "micro-batch", "seed" };
        s.pass = pass;
        if (i == 0) s.pass.step++;
        if (i == 1) s.pass.micro++;
        if (i == 2) s.pass.seed++;
        h = run(&s, &again);
        prop_check(first != again, "%s: another %s has the same masks", settings, KEY[i]);
        free(h);
    }
    s.pass = pass;
    h = run(&s, &again);                             /* nothing of the passes between is left */
    prop_same_gradients(&s, h, g, settings);
    s.pass.train = false;
    const double off = an_model_forward(s.model, &s.pass);
    s.pass.step++;
    s.pass.seed++;
    prop_check(off == an_model_forward(s.model, &s.pass) && off != first, "%s: dropout is not off", settings);
    free(g);
    free(h);
    prop_close(&s);
}

int main(void)
{
    prop_product(0, threads);
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) threads_of(SHAPES[i].batch, SHAPES[i].settings, "");
    prop_product(0, repeat);
    return prop_finish("same bits");
}
