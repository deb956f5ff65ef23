/* Decoding with weights in bf16 and int8, and in batches.
 *   storage   a decoder that reads copies gives the logits of one that reads, as they are, masters which hold what the copies hold: bf16
 *             bit for bit, since only the place of the rounding moves; int8 within the rounding of sums (the scale comes before or after
 *             the sum). So any error but that of storing is found; and that one is bounded beside (plan/copies.c)
 *   batch     sequences at their own positions, some resting: each has the bits it has alone, on one thread and on two
 *   bad       a weight that is not finite spoils its logits for everyone to see; a row of zeros does not */
#include "prop.h"

#include "kern/kern.h"

enum { STEPS = 14, SEQUENCES = 5 };
static const char *const MODELS[] = {
    "tie_embeddings=false", "tie_embeddings=false position=rotary n_head=3 d_model=30 activation=swiglu bias=false", "tie_embeddings=false n_layer=1 n_head=1 d_model=70 d_ff=131 activation=relu fuse=false",
    "tie_embeddings=false n_layer=1 n_head=2 d_model=132 d_ff=1003",   /* several parts of every storage */
    "tie_embeddings=false design=post-ln norm=rmsnorm d_model=24 n_head=3 n_layer=3",
};

static an_decoder *make(subject *s, size_t batch, an_store weights)
{
    an_decoder *d = NULL;
    const an_decoder_shape shape = { .tokens = STEPS, .batch = batch, .weights = weights };
    if (an_decoder_create_for(&d, s->model, &shape) == AN_OK) return d;
    fprintf(stderr, "no decoder: %s\n", an_error_text());
    exit(1);
}

/* Logits [STEPS, V] of one sequence alone. */
static an_real *follow(subject *s, an_store weights, const int32_t *tokens)
{
    an_decoder *d = make(s, 1, weights);
    an_real *all = malloc(STEPS * s->vocab * sizeof *all);
    if (!all) abort();
    for (size_t t = 0; t < STEPS; t++) {
        const an_real *logits = NULL;
        prop_check(an_decoder_step(d, tokens[t], &logits) == AN_OK, "step: %s", an_error_text());
        memcpy(all + t * s->vocab, logits, s->vocab * sizeof *all);
    }
    an_decoder_destroy(&d);
    return all;
}

static bool is_matrix(const an_param *p)
{
    const size_t n = strlen(p->name);
    return p->rank == 2 && n > 7 && strcmp(p->name + n - 7, ".weight") == 0 && strncmp(p->name, "embed.", 6) != 0;
}

/* The masters become what a copy of them holds. */
static void store_masters(subject *s, an_store weights)
{
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        const size_t width = p->count / p->dim[0];
        if (!is_matrix(p)) continue;
        int8_t *whole = malloc(p->count);
        float *scale = malloc(p->dim[0] * sizeof *scale);
        if (!whole || !scale) abort();
        an_kern_get()->quantise_int8(p->dim[0], width, p->data, whole, scale);
        for (size_t k = 0; k < p->count; k++) p->data[k] = weights == AN_STORE_BF16 ? an_bf16_widen(an_bf16_round(p->data[k])) : (an_real)whole[k] * (an_real)scale[k / width];
        free(whole);
        free(scale);
    }
}

static double distance(size_t n, const an_real *a, const an_real *b)   /* the worst, of the largest */
{
    double most = 0, worst = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, fabs((double)b[i]));
        worst = isnan(a[i]) ? INFINITY : fmax(worst, fabs((double)a[i] - (double)b[i]));
    }
    return worst / most;
}

static void storage(const char *settings, an_store weights)
{
    static const double NEAR[] = { 0, 0.05, 0.05 }, SAME[] = { 0, 0, sizeof(an_real) == 4 ? 1e-5 : 1e-12 };
    subject s;
    int32_t tokens[STEPS];
    prop_open(&s, 1, PROP_LOGITS, "%s", settings);
    prop_tokens(tokens, STEPS, s.vocab, 3);
    an_real *plain = follow(&s, AN_STORE_REAL, tokens), *low = follow(&s, weights, tokens);
    const double far = distance(STEPS * s.vocab, low, plain);
    prop_check(far > 1e-6 && far < NEAR[weights], "%s: storage %d moves logits by %.1e of the largest", settings, weights, far);
    store_masters(&s, weights);
    an_real *same = follow(&s, AN_STORE_REAL, tokens);
    const double off = distance(STEPS * s.vocab, low, same);
    prop_check(off <= SAME[weights], "%s: storage %d is off by %.1e from masters that hold the same", settings, weights, off);
    free(plain);
    free(low);
    free(same);
    prop_close(&s);
}

/* Sequence b is fed in passes where (pass + b) mod 3 != 0, so positions part. */
static void batch(const char *settings, an_store weights, int threads)
{
    subject s;
    int32_t tokens[SEQUENCES][STEPS], feed[SEQUENCES];
    an_real *alone[SEQUENCES];
    size_t at[SEQUENCES] = { 0 };
    prop_open(&s, 1, PROP_LOGITS, "%s", settings);
    for (size_t b = 0; b < SEQUENCES; b++) {
        prop_tokens(tokens[b], STEPS, s.vocab, 50 + b);
        alone[b] = follow(&s, weights, tokens[b]);
    }
    prop_check(an_model_set_threads(s.model, threads) == AN_OK, "threads");
    an_decoder *d = make(&s, SEQUENCES, weights);
    for (size_t pass = 0; pass < STEPS; pass++) {
        const an_real *logits = NULL;
        for (size_t b = 0; b < SEQUENCES; b++) feed[b] = (pass + b) % 3 ? tokens[b][at[b]] : -1;
        prop_check(an_decoder_step_all(d, feed, &logits) == AN_OK, "batch: %s", an_error_text());
        for (size_t b = 0; b < SEQUENCES; b++) {
            if (feed[b] < 0) continue;
            prop_check(memcmp(logits + b * s.vocab, alone[b] + at[b]++ * s.vocab, s.vocab * sizeof *logits) == 0, "%s: storage %d, %d threads: sequence %zu has other bits in a batch", settings, weights, threads, b);
        }
    }
    const an_real *logits;
    for (size_t b = 0; b < SEQUENCES; b++) feed[b] = b == 3 ? (int32_t)s.vocab : 1;
    prop_check(an_decoder_step_all(d, feed, &logits) == AN_EUSAGE && an_decoder_position(d) == at[0], "%s: a token outside the vocabulary was fed", settings);
    prop_check(an_decoder_step(d, 1, &logits) == AN_EUSAGE, "%s: one token for %d sequences was taken", settings, SEQUENCES);
    an_decoder_destroy(&d);
    for (size_t b = 0; b < SEQUENCES; b++) free(alone[b]);
    prop_close(&s);
}

/* One row of the head at a value; which logits are finite then. */
static void one_row(an_store weights, an_real value, int all)
{
    subject s;
    int32_t tokens[STEPS];
    prop_open(&s, 1, PROP_LOGITS, "tie_embeddings=false");
    prop_tokens(tokens, STEPS, s.vocab, 8);
    an_param *head = prop_param(&s, "head.weight");
    for (size_t i = 0; i < (all ? head->dim[1] : 1); i++) head->data[2 * head->dim[1] + i] = value;
    an_real *logits = follow(&s, weights, tokens);
    for (size_t v = 0; v < s.vocab; v++)
        prop_check(!!isfinite(logits[v]) == (v != 2 || isfinite(value)), "storage %d: a weight of %g leaves logit %zu at %g", weights, (double)value, v, (double)logits[v]);
    if (value == 0) prop_check(logits[2] == 0, "storage %d: a row of zeros gives %g", weights, (double)logits[2]);
    free(logits);
    prop_close(&s);
}

int main(void)
{
    for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; i++)
        for (int w = AN_STORE_REAL; w < AN_STORES; w++) {
            if (w != AN_STORE_REAL) storage(MODELS[i], (an_store)w);
            batch(MODELS[i], (an_store)w, 1);
            batch(MODELS[i], (an_store)w, 2);
        }
    for (int w = AN_STORE_REAL; w < AN_STORES; w++) {
        one_row((an_store)w, (an_real)NAN, 0);
        one_row((an_store)w, (an_real)INFINITY, 0);
        one_row((an_store)w, 0, 1);
    }
    return prop_finish("storage of weights, batches");
}
