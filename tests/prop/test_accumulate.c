/* Micro-batches and targets that do not count.
 * Passes are those of evaluation (no dropout, running statistics) where the law is one of sums. Two passes over halves of a batch, accumulated at loss scale 1/2, give the gradients of the whole batch: sums in another
 * order, so 16 eps of each tensor's length is allowed. Target -1 is exact: what stands there cannot change a bit. */
#include "prop.h"

static const double TOLERANCE = 16 * (double)AN_REAL_EPS;
static double worst;

static void micro_batches(const char *settings)
{
    subject s;
    an_model *half = NULL;
    prop_open(&s, 4, PROP_TRAIN, "%s", settings);
    s.pass.train = false;
    const double loss = an_model_forward_backward(s.model, &s.pass);
    an_real *whole = prop_gradients(&s);
    const an_model_shape shape = { .batch = 2, .seq = s.seq, .train = true };
    if (prop_check(an_model_share(&half, s.model, &shape) == AN_OK, "%s: %s", settings, an_error_text())) {
        double sum = 0;
        for (size_t i = 0; i < 2; i++) {
            an_pass pass = s.pass;
            pass.tokens += i * s.rows / 2;
            pass.targets += i * s.rows / 2;
            pass.loss_scale = 0.5;
            pass.micro = i;
            pass.accumulate = i > 0;
            sum += 0.5 * an_model_forward_backward(half, &pass);
        }
        an_real *parts = prop_gradients(&s);
        prop_check(fabs(sum - loss) <= TOLERANCE * loss, "%s: loss %.9g in two halves, %.9g whole", settings, sum, loss);
        const double d = prop_near_gradients(&s, parts, whole, TOLERANCE, settings);
        if (d > worst) worst = d;
        free(parts);
    }
    /* loss_scale 2: exactly twice, but for what underflows */
    an_pass again = s.pass;
    again.loss_scale = 2;
    an_model_forward_backward(s.model, &again);
    an_real *scaled = prop_gradients(&s);
    for (size_t i = 0; i < an_model_param_count(s.model); i++) whole[i] *= 2;
    prop_near_gradients(&s, scaled, whole, 1e-30, settings);
    free(scaled);
    free(whole);
    an_model_destroy(&half);
    prop_close(&s);
}

/* The last three positions of each sequence do not count; being last, they touch nothing else either. */
static void ignored_targets(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    if (s.norm->batchwise) {
        prop_skip("%s: a token without a target is still part of the batch's statistics; padding is not, see padding independence", settings);
        prop_close(&s);
        return;
    }
    for (size_t i = 0; i < s.rows; i++)
        if (i % s.seq + 3 >= s.seq) s.targets[i] = -1;
    const double a = an_model_forward_backward(s.model, &s.pass);
    an_real *g = prop_gradients(&s);
    for (size_t i = 0; i < s.rows; i++)
        if (s.targets[i] < 0) s.tokens[i] = (int32_t)(((size_t)s.tokens[i] + 1 + i) % s.vocab);
    const double b = an_model_forward_backward(s.model, &s.pass);
    an_real *h = prop_gradients(&s);
    prop_check(a == b, "%s: loss %.9g, with other tokens where no target counts %.9g", settings, a, b);
    prop_same_gradients(&s, h, g, settings);
    free(g);
    free(h);
    prop_close(&s);
}

/* The loss is the mean over what counts; nothing counts: loss 0, gradients 0; no targets at all: 0. */
static void mean_over_counted(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    s.pass.train = false;
    int32_t *all = malloc(s.rows * sizeof *all);
    if (!all) exit(1);
    memcpy(all, s.targets, s.rows * sizeof *all);
    double sum = 0;
    const size_t counted[] = { 0, s.seq - 1, s.seq, s.rows - 1 };
    for (size_t k = 0; k < 4; k++) {
        for (size_t i = 0; i < s.rows; i++) s.targets[i] = i == counted[k] ? all[i] : -1;
        sum += an_model_forward(s.model, &s.pass) / 4;
    }
    for (size_t k = 0; k < 4; k++) s.targets[counted[k]] = all[counted[k]];
    const double mean = an_model_forward(s.model, &s.pass);
    prop_check(fabs(mean - sum) <= 8 * (double)AN_REAL_EPS * mean, "%s: mean loss %.9g, of the four alone %.9g", settings, mean, sum);
    for (size_t i = 0; i < s.rows; i++) s.targets[i] = -1;
    prop_check(an_model_forward_backward(s.model, &s.pass) == 0, "%s: a loss without targets", settings);
    an_real *g = prop_gradients(&s);
    size_t off = 0;
    for (size_t i = 0; i < an_model_param_count(s.model); i++) off += g[i] != 0;
    prop_check(off == 0, "%s: %zu gradients are not 0 although no target counts", settings, off);
    free(g);
    memcpy(s.targets, all, s.rows * sizeof *all);
    prop_check(an_model_forward(s.model, &s.pass) > 0, "%s: no loss", settings);
    s.pass.targets = NULL;
    const double none = an_model_forward(s.model, &s.pass);
    prop_check(none == 0, "%s: loss %.9g of a pass without targets", settings, none);
    free(all);
    prop_close(&s);
}

int main(void)
{
    prop_product(0, micro_batches);
    micro_batches("seq_len=101 d_model=64 d_ff=256 vocab_size=131 n_layer=1");
    micro_batches("tie_embeddings=false fuse=false recompute=block activation=swiglu position=rotary");
    prop_product(0, ignored_targets);
    ignored_targets("seq_len=101 d_model=64 d_ff=256 vocab_size=131 n_layer=1 tie_embeddings=false");
    ignored_targets("fuse=false activation=relu recompute=block dropout=0.2");
    prop_product(0, mean_over_counted);
    mean_over_counted("fuse=false");
    printf("worst relative distance of a gradient tensor %.1e, %.1e allowed\n", worst, TOLERANCE);
    return prop_finish("micro-batches and ignored targets");
}
