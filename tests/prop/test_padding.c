/* Padding is as if it were not there: sequences with padding in front, behind and in between, and one of nothing else, give the
 * logits and gradients of the same sequences without.
 * Logits are the same bits: a row's sums do not see other rows' places (see test_causality.c), attention and positions number
 * the tokens alone. Where a library multiplies, and where norms take statistics over the batch, whose sums fall into other
 * chunks, they are the same up to rounding; so are gradients of parameters, sums over rows in chunks. */
#include "prop.h"

#include "kern/gemm.h"

enum { TOKENS = 24, PAD = 7, WIDE = TOKENS + PAD, BATCH = 4 };
static const double NEAR = sizeof(an_real) == 4 ? 3e-4 : 1e-11;

/* Whether column t of sequence b is padding: PAD of WIDE are; of the last sequence, all. */
static int is_padding(size_t b, size_t t)
{
    switch (b) {
    case 0: return t < PAD;
    case 1: return t >= TOKENS;
    case 2: return t % 4 == 1 && t < 4 * PAD;
    default: return 1;
    }
}

/* The tokens of the plain pass [BATCH - 1, TOKENS] spread over the padded one [BATCH, WIDE]; where each row went. */
static void spread(const subject *s, const int32_t *tokens, const int32_t *targets, size_t *place)
{
    for (size_t b = 0, n = 0; b < BATCH; b++)
        for (size_t t = 0; t < WIDE; t++) {
            const size_t at = b * WIDE + t;
            s->tokens[at] = s->targets[at] = -1;
            if (is_padding(b, t)) continue;
            s->tokens[at] = tokens[n];
            s->targets[at] = targets[n];
            place[n++] = at;
        }
}

static double compare_logits(const subject *s, const an_real *padded, const an_real *plain, const size_t *place, int *same)
{
    double worst = 0, most = 0;
    *same = 1;
    for (size_t n = 0; n < (BATCH - 1) * TOKENS; n++)
        for (size_t v = 0; v < s->vocab; v++) {
            const double a = (double)padded[place[n] * s->vocab + v], b = (double)plain[n * s->vocab + v];
            *same &= a == b;
            if (!(fabs(a - b) <= worst)) worst = fabs(a - b);
            most = fmax(most, fabs(b));
        }
    return worst == 0 ? 0 : worst / most;
}

static void of(const char *settings, const char *more)
{
    subject s, t;                                    /* logits, gradients */
    an_model *narrow = NULL, *trained = NULL;
    int32_t tokens[(BATCH - 1) * TOKENS], targets[(BATCH - 1) * TOKENS];
    size_t place[(BATCH - 1) * TOKENS];
    char what[400];
    snprintf(what, sizeof what, "%s %s", settings, more);
    prop_open(&s, BATCH, PROP_LOGITS, "%s %s seq_len=%d", settings, more, WIDE);
    prop_open(&t, BATCH, PROP_TRAIN, "%s %s seq_len=%d", settings, more, WIDE);
    prop_tokens(tokens, (BATCH - 1) * TOKENS, s.vocab, 21);
    prop_tokens(targets, (BATCH - 1) * TOKENS, s.vocab, 22);
    spread(&s, tokens, targets, place);
    spread(&t, tokens, targets, place);
    an_model_shape shape = { .batch = BATCH - 1, .seq = TOKENS, .logits = true };
    int made = an_model_share(&narrow, s.model, &shape) == AN_OK;
    shape = (an_model_shape){ .batch = BATCH - 1, .seq = TOKENS, .train = true };
    made = made && an_model_share(&trained, t.model, &shape) == AN_OK;
    if (prop_check(made, "%s: %s", what, an_error_text())) {
        an_pass plain = s.pass;
        plain.tokens = tokens, plain.targets = targets;
        an_model_forward(s.model, &s.pass);
        prop_rewind(&s);
        an_model_forward(narrow, &plain);
        int same;
        const double e = compare_logits(&s, an_model_get_logits(s.model), an_model_get_logits(narrow), place, &same);
        const char *product = an_gemm_get()->name;
        const int exact = !s.norm->batchwise && (strncmp(product, "native", 6) == 0 || strncmp(product, "ref", 3) == 0);
        prop_check(exact ? same : e <= NEAR, "%s: padding changes logits by %.1e of the largest", what, e);
        if (t.norm->surrogate) prop_skip("%s: gradients: %s", what, t.norm->surrogate);
        const double a = an_model_forward_backward(t.model, &t.pass);
        an_real *padded = prop_gradients(&t);
        prop_rewind(&t);
        const double b = an_model_forward_backward(trained, &plain);
        an_real *bare = prop_gradients(&t);
        prop_check(fabs(a - b) <= NEAR * b, "%s: loss %.9g with padding, %.9g without", what, a, b);
        if (!t.norm->surrogate) prop_near_gradients(&t, padded, bare, NEAR, what);
        free(padded);
        free(bare);
    }
    an_model_destroy(&narrow);
    an_model_destroy(&trained);
    prop_close(&s);
    prop_close(&t);
}

static void padding(const char *settings)
{
    of(settings, "");
    of(settings, "n_kv_head=1");
}

/* A pass of nothing but padding has no loss and no gradient, and not a single NaN. */
static void nothing_but_padding(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    for (size_t i = 0; i < s.rows; i++) s.tokens[i] = s.targets[i] = -1;
    const double loss = an_model_forward_backward(s.model, &s.pass);
    an_real *g = prop_gradients(&s);
    size_t off = 0;
    for (size_t i = 0; i < an_model_param_count(s.model); i++) if (s.norm->surrogate ? !isfinite(g[i]) : g[i] != 0) off++;   /* NaN is not 0 */
    prop_check(loss == 0 && off == 0, "%s: nothing but padding: loss %g, %zu gradients are not 0", settings, loss, off);
    free(g);
    prop_close(&s);
}

int main(void)
{
    prop_product(0, padding);
    of("position=rotary", "dropout=0 design=pre-ln recompute=block fuse=false activation=swiglu");
    prop_product(0, nothing_but_padding);
    return prop_finish("padding");
}
