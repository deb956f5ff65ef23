/* No position sees a later one, and no sequence sees its neighbours.
 * Causality is bitwise: a masked score contributes an exact zero. It is tested forward (a changed token leaves all earlier
 * logits alone) and backward (the loss at one position leaves the gradients of later tokens at zero).
 * Batch independence: see tolerance(). */
#include "prop.h"

#include "kern/gemm.h"

/* A row's sums do not depend on where in a tile it stands: every micro-kernel of the native product, and the plain C one,
 * adds the same inner blocks in the same order, and norms, attention and activations work row by row or head by head. So
 * the bits are the same. A library may choose another kernel for another number of rows: there 1e-6 is allowed. */
static double tolerance(void)
{
    const char *product = an_gemm_get()->name;
    return strncmp(product, "native", 6) == 0 || strncmp(product, "ref", 3) == 0 ? 0 : 1e-6;
}

static an_real *logits_of(subject *s)
{
    an_pass pass = s->pass;
    pass.train = false;
    an_model_forward(s->model, &pass);
    an_real *copy = malloc(s->rows * s->vocab * sizeof *copy);
    if (!copy) exit(1);
    return memcpy(copy, an_model_get_logits(s->model), s->rows * s->vocab * sizeof *copy);
}

static void change_token(subject *s, size_t t, const an_real *before, const char *settings)
{
    const int32_t old = s->tokens[t];
    s->tokens[t] = (int32_t)(((size_t)old + 1) % s->vocab);
    an_real *after = logits_of(s);
    const size_t sequence = t / s->seq * s->seq, end = sequence + s->seq, v = s->vocab;
    prop_check(prop_equal((t - sequence) * v, before + sequence * v, after + sequence * v), "%s: token %zu changed an earlier position", settings, t);
    prop_check(!prop_equal(v, before + t * v, after + t * v) && !prop_equal((end - t) * v, before + t * v, after + t * v), "%s: token %zu changed nothing", settings, t);
    prop_check(prop_equal(sequence * v, before, after) && prop_equal((s->rows - end) * v, before + end * v, after + end * v), "%s: token %zu changed another sequence", settings, t);
    s->tokens[t] = old;
    free(after);
}

/* Gradients of the loss at position p alone, for tokens that are all different: row of a later token in the table. */
static void backward_causality(const char *settings, size_t seq)
{
    subject s;
    prop_open(&s, 1, PROP_TRAIN, "%s tie_embeddings=false vocab_size=%zu seq_len=%zu", settings, seq < 211 ? (size_t)211 : seq + 1, seq);
    for (size_t i = 0; i < s.rows; i++) {
        s.tokens[i] = (int32_t)((i * 5) % s.vocab);
        s.targets[i] = -1;
    }
    const size_t p = s.seq / 2, c = s.config.d_model;
    s.targets[p] = 1;
    s.pass.train = false;
    an_model_forward_backward(s.model, &s.pass);
    const an_real *table = prop_param(&s, "embed.tok.weight")->grad;
    for (size_t t = 0; t < s.rows; t++) {
        const an_real *row = table + (size_t)s.tokens[t] * c;
        int zero = 1;
        for (size_t i = 0; i < c; i++) zero &= row[i] == 0;
        /* without a skip position 0 still reaches p through attention, so every token up to p must matter */
        prop_check(zero == (t > p), "%s: the loss at %zu has %s gradient at token %zu", settings, p, zero ? "no" : "a", t);
    }
    prop_close(&s);
}

static void causality(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_LOGITS, "%s", settings);
    an_real *before = logits_of(&s);
    for (size_t t = 0; t < s.rows; t += 7) change_token(&s, t, before, settings);
    free(before);
    prop_close(&s);
    backward_causality(settings, 24);
}

static void long_causality(void)
{
    static const char *const LONG[] = { "position=rotary n_head=3 d_model=30 seq_len=203", "position=learned n_head=1 d_model=72 seq_len=150 design=post-ln",
                                       "position=rotary n_head=4 n_kv_head=1 d_model=40 seq_len=139" };
    for (size_t i = 0; i < 2; i++) {
        subject s;
        prop_open(&s, 2, PROP_LOGITS, "%s", LONG[i]);
        an_real *before = logits_of(&s);
        for (size_t t = 0; t < s.rows; t += 13) change_token(&s, t, before, LONG[i]);
        change_token(&s, s.rows - 1, before, LONG[i]);
        free(before);
        prop_close(&s);
    }
    backward_causality("position=rotary n_head=2 d_model=24", 150);
    backward_causality("position=rotary n_head=2 n_kv_head=1 d_model=24", 607);   /* blocks of the backward pass */
}

/* Each sequence alone, and all of them in other slots, against the batch. */
static void neighbours(const char *settings, size_t batch)
{
    subject s;
    prop_open(&s, batch, PROP_LOGITS, "%s", settings);
    an_real *all = logits_of(&s);
    an_model *one = NULL;
    const size_t span = s.seq * s.vocab;
    const an_model_shape shape = { .batch = 1, .seq = s.seq, .logits = true };
    if (prop_check(an_model_share(&one, s.model, &shape) == AN_OK, "%s: %s", settings, an_error_text()))
        for (size_t b = 0; b < batch; b++) {
            const an_pass pass = { .tokens = s.tokens + b * s.seq };
            an_model_forward(one, &pass);
            const double d = prop_distance(span, an_model_get_logits(one), all + b * span);
            prop_check(d <= tolerance(), "%s: sequence %zu of %zu alone differs by %.1e", settings, b, batch, d);
        }
    an_model_destroy(&one);
    int32_t *turned = malloc(s.rows * sizeof *turned);   /* sequence b moves to slot b - 1 */
    if (!turned) exit(1);
    for (size_t i = 0; i < s.rows; i++) turned[i] = s.tokens[(i + s.seq) % s.rows];
    memcpy(s.tokens, turned, s.rows * sizeof *turned);
    an_real *other = logits_of(&s);
    for (size_t b = 0; b < batch; b++) {
        const double d = prop_distance(span, other + (b + batch - 1) % batch * span, all + b * span);
        prop_check(d <= tolerance(), "%s: sequence %zu in slot %zu differs by %.1e", settings, b, (b + batch - 1) % batch, d);
    }
    free(turned);
    free(all);
    free(other);
    prop_close(&s);
}

static void batch_independence(const char *settings) { neighbours(settings, 3); }

int main(void)
{
    static const char *const ODD[] = { "seq_len=37 d_model=72 n_head=3 d_ff=100 vocab_size=131", "seq_len=131 d_model=64 d_ff=256 position=rotary vocab_size=257", "seq_len=1 d_model=20 n_head=1" };
    prop_product(1, causality);
    long_causality();
    prop_product(1, batch_independence);
    for (size_t i = 0; i < sizeof ODD / sizeof *ODD; i++) neighbours(ODD[i], 5);
    return prop_finish("causality and batch independence");
}
