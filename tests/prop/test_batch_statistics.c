/* Statistics over the batch: what has a part in them, when they are used, and what moves the running ones.
 *   padding (token -1) behind a sequence changes neither loss nor gradients: a plan without it gives the same, for every norm kind;
 *   with norm_masked false it does, for every batchwise kind;
 *   a pass of padding alone, or of one token, has finite results and moves nothing that would need two;
 *   training and evaluation give the same logits for a kind over one token, to the bit, and others for a batchwise one;
 *   evaluation and the search for a non-finite value move nothing; micro-batches move one after the other.
 * Padding: sums of other lengths in other chunks, so 256 eps of a tensor's length is allowed. */
#include "prop.h"

#include <stdbool.h>

static const double TOLERANCE = 256 * (double)AN_REAL_EPS;
enum { PAD = 5 };

static void pad(subject *s)
{
    for (size_t i = 0; i < s->rows; i++)
        if (i % s->seq + PAD >= s->seq) s->tokens[i] = s->targets[i] = -1;
}

/* PowerNorm's running gradient acts on every row and is moved by every row, by definition (norm/powernorm.c): here it starts at 0. */
static int sees_padding(const char *name) { return strstr(name, "running_grad") != NULL; }

static void begin(subject *s)
{
    prop_rewind(s);
    for (size_t i = 0; i < s->n_params; i++)
        if (sees_padding(s->param[i].name)) memset(s->param[i].data, 0, s->param[i].count * sizeof(an_real));
}

/* One pass with padding and one without, over the same tokens: gradients as arrays, and how far the running statistics end up apart. */
static void both_ways(subject *s, an_real **padded, an_real **bare, double loss[2], double *apart)
{
    an_model *shorter = NULL;
    const size_t seq = s->seq - PAD;
    const an_model_shape shape = { .batch = s->batch, .seq = seq, .train = true };
    int32_t *tokens = calloc(2 * s->rows, sizeof *tokens), *targets = tokens + s->rows;
    if (!tokens || an_model_share(&shorter, s->model, &shape) != AN_OK) exit(1);
    for (size_t i = 0; i < s->batch * seq; i++) {
        tokens[i] = s->tokens[i / seq * s->seq + i % seq];
        targets[i] = s->targets[i / seq * s->seq + i % seq];
    }
    pad(s);
    begin(s);
    loss[0] = an_model_forward_backward(s->model, &s->pass);
    *padded = prop_gradients(s);
    size_t n;
    an_real *after = prop_buffers(s, &n);
    begin(s);
    an_pass pass = s->pass;
    pass.tokens = tokens;
    pass.targets = targets;
    loss[1] = an_model_forward_backward(shorter, &pass);
    *bare = prop_gradients(s);
    *apart = 0;
    size_t at = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        if (!p->rule.buffer) continue;
        if (!sees_padding(p->name)) *apart = fmax(*apart, prop_distance(p->count, after + at, p->data));
        at += p->count;
    }
    free(after);
    free(tokens);
    an_model_destroy(&shorter);
}

static void padding_is_nothing(const char *settings)
{
    subject s;
    an_real *padded, *bare;
    double loss[2], apart;
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    both_ways(&s, &padded, &bare, loss, &apart);
    prop_check(fabs(loss[0] - loss[1]) <= TOLERANCE * loss[1], "%s: loss %.9g with padding, %.9g without", settings, loss[0], loss[1]);
    prop_near_gradients(&s, padded, bare, TOLERANCE, settings);
    prop_check(apart <= TOLERANCE, "%s: the running statistics are %.1e apart with padding", settings, apart);
    free(padded);
    free(bare);
    prop_close(&s);
}

static void unmasked_sees_padding(const an_norm_kind *kind)
{
    subject s;
    an_real *padded, *bare;
    double loss[2], apart;
    char settings[64];
    snprintf(settings, sizeof settings, "norm=%s norm_masked=false", kind->name);
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    both_ways(&s, &padded, &bare, loss, &apart);
    size_t n = an_model_param_count(s.model);
    const double d = prop_distance(n, padded, bare);
    prop_check(d > 1e-3 && apart > 1e-3 && fabs(loss[0] - loss[1]) > 1e-4, "%s: padding moves gradients by %.1e, running statistics by %.1e, the loss by %.1e", settings, d, apart, fabs(loss[0] - loss[1]));
    free(padded);
    free(bare);
    prop_close(&s);
}

static int all_finite(size_t n, const an_real *x)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return 0;
    return 1;
}

/* Padding alone; then one token with a target. */
static void few_tokens(const char *settings)
{
    for (size_t valid = 0; valid < 2; valid++) {
        subject s;
        size_t n, m;
        prop_open(&s, 2, PROP_TRAIN, "%s", settings);
        for (size_t i = valid; i < s.rows; i++) s.tokens[i] = s.targets[i] = -1;
        an_real *before = prop_buffers(&s, &n);
        const double loss = an_model_forward_backward(s.model, &s.pass);
        an_real *after = prop_buffers(&s, &m), *g = prop_gradients(&s);
        const int moves = valid && s.norm->batchwise && !s.norm->removes_shift;   /* a mean square needs one token, a variance two */
        prop_check(isfinite(loss) && (loss > 0) == (valid > 0), "%s, %zu tokens: loss %g", settings, valid, loss);
        prop_check(all_finite(an_model_param_count(s.model), g), "%s, %zu tokens: gradients are not finite", settings, valid);
        prop_check(all_finite(m, after) && (moves || prop_equal(n, before, after)), "%s, %zu tokens: running statistics were moved", settings, valid);
        free(before);
        free(after);
        free(g);
        prop_close(&s);
    }
}

static void training_and_evaluation(const char *settings)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN | PROP_LOGITS, "%s fuse=false", settings);
    const size_t n = s.rows * s.vocab;
    an_real *trained = malloc(n * sizeof *trained);
    if (!trained) exit(1);
    an_model_forward(s.model, &s.pass);
    memcpy(trained, an_model_get_logits(s.model), n * sizeof *trained);
    s.pass.train = false;
    an_model_forward(s.model, &s.pass);
    const double d = prop_distance(n, trained, an_model_get_logits(s.model));
    if (s.norm->batchwise && strstr(settings, "design=pre-ln")) prop_check(d > 1e-3, "%s: training and evaluation differ by %.1e only", settings, d);
    if (!s.norm->batchwise) prop_check(d == 0, "%s: training and evaluation differ by %.1e", settings, d);
    free(trained);
    prop_close(&s);
}

/* Passes that only look leave everything as it is; a training pass does not. */
static void what_moves(const char *settings)
{
    subject s;
    size_t n;
    prop_open(&s, 2, PROP_TRAIN, "%s", settings);
    an_real *before = prop_buffers(&s, &n);
    an_model_find_nonfinite(s.model, &s.pass);
    an_model_forward(s.model, &s.pass);
    an_pass evaluation = s.pass;
    evaluation.train = false;
    an_model_forward_backward(s.model, &evaluation);
    an_real *after = prop_buffers(&s, &n);
    prop_check(prop_equal(n, before, after), "%s: a pass that only looks moved the running statistics by %.1e", settings, prop_distance(n, after, before));
    free(after);
    an_model_forward_backward(s.model, &s.pass);
    after = prop_buffers(&s, &n);
    prop_check(n == 0 || !prop_equal(n, before, after), "%s: a training pass does not move the running statistics", settings);
    free(before);
    free(after);
    prop_close(&s);
}

/* old, then once and twice moved towards the same batch: keep^2 old + (1 - keep^2) mu, the share keep = 1 - momentum. */
static void micro_batches_move_in_turn(void)
{
    static const struct { const char *norm; double keep; } ROW[] = { { "batchnorm", 0.9 }, { "rbn", 0.95 }, { "batchnorm batchnorm_momentum=0.4", 0.6 } };
    for (size_t k = 0; k < sizeof ROW / sizeof *ROW; k++) {
        subject s;
        prop_open(&s, 2, PROP_TRAIN, "norm=%s", ROW[k].norm);
        const an_param *mean = prop_param(&s, "final.running_mean");
        const double old = (double)mean->data[0];
        an_model_forward_backward(s.model, &s.pass);
        const double once = (double)mean->data[0], mu = (once - ROW[k].keep * old) / (1 - ROW[k].keep);
        s.pass.accumulate = true;
        s.pass.micro = 1;
        an_model_forward_backward(s.model, &s.pass);
        const double want = ROW[k].keep * ROW[k].keep * old + (1 - ROW[k].keep * ROW[k].keep) * mu;
        prop_check(fabs((double)mean->data[0] - want) < 1e-5 && fabs(once - old) > 1e-3, "%s: running mean %.7g after two micro-batches, %.7g expected", ROW[k].norm, (double)mean->data[0], want);
        prop_close(&s);
    }
}

/* With momentum 1 the running statistics are those of the last batch: seen again, its discrepancy is 0 but for n / (n - 1). */
static void discrepancy(void)
{
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "norm=batchnorm batchnorm_momentum=1 norm_eps=1e-12");
    an_model_destroy(&s.model);
    const an_model_shape shape = { .batch = 2, .seq = s.seq, .train = true, .observe = AN_OBSERVE_BASIC };
    if (an_model_create(&s.model, &s.config, s.options, &shape) != AN_OK) exit(1);
    s.param = an_model_get_params(s.model, &s.n_params);
    prop_randomise(&s, 1);
    s.pass.observe = true;
    const double n = (double)s.rows, unbiased = sqrt(n / (n - 1)) - 1;
    for (int again = 0; again < 2; again++) {
        an_model_forward_backward(s.model, &s.pass);
        const an_telemetry *t = an_model_get_telemetry(s.model);
        for (size_t i = 0; i < t->n_gauges; i++) {
            const an_gauge_record *g = &t->gauge[i];
            if (strcmp(g->family, "norm") != 0) continue;
            prop_check(strcmp(g->metric[2], "tid_mean") == 0 && strcmp(g->metric[3], "tid_dev") == 0 && strcmp(g->metric[4], "mean_distance") == 0, "%s: other gauges than expected", g->name);
            if (again) prop_check(g->value[2] < 1e-5 && fabs(g->value[3] - unbiased) < 1e-5 && g->value[4] < 1e-5, "%s: the batch seen again: tid_mean %g, tid_dev %g of %g", g->name, g->value[2], g->value[3], unbiased);
            else prop_check(g->value[2] > 0.01 && g->value[3] > 0.01 && g->value[4] > 0.01 && g->value[5] > 0.01, "%s: a first batch: tid_mean %g, tid_dev %g", g->name, g->value[2], g->value[3]);
        }
    }
    prop_close(&s);
}

int main(void)
{
    for (size_t k = 0; an_norm_at(k); k++)
        if (an_norm_at(k)->batchwise) unmasked_sees_padding(an_norm_at(k));
    micro_batches_move_in_turn();
    discrepancy();
    prop_product(0, padding_is_nothing);
    padding_is_nothing("norm=batchnorm recompute=block dropout=0");
    prop_product(0, few_tokens);
    prop_product(0, training_and_evaluation);
    prop_product(0, what_moves);
    return prop_finish("batch statistics");
}
