/* prop.c: see prop.h. Keys of the small model are set as if from a file and the test's own as flags, so that a key which
 * means nothing for one member of the product is left out silently when it is a default, and refused when it is not. */
#include "prop.h"

#include <stdarg.h>

#include "core/arena.h"
#include "core/rng.h"
#include "net/design.h"
#include "net/norm.h"
#include "net/sublayers.h"

static const char SMALL[] = "n_layer=2 n_head=2 d_model=16 d_ff=24 seq_len=24 vocab_size=37";
static int checks, failures, skipped;

int prop_count(int good, const char *format, ...)
{
    checks++;
    if (good) return 1;
    if (++failures > 40) return 0;                   /* the rest would say the same */
    va_list args;
    va_start(args, format);
    printf("FAIL ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
    return 0;
}

void prop_skip(const char *format, ...)
{
    va_list args;
    skipped++;
    va_start(args, format);
    printf("SKIPPED ");
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

int prop_finish(const char *name)
{
    printf("%s, %s: %d checks, %d failed, %d skipped\n", name, AN_REAL_NAME, checks, failures, skipped);
    return failures != 0 || checks == 0;
}

static an_status set_all(an_options *options, const char *settings, an_source source)
{
    char text[512];
    snprintf(text, sizeof text, "%s", settings);
    for (char *rest = text, *pair; (pair = strtok_r(rest, " ", &rest));) {
        char *equal = strchr(pair, '=');
        if (!equal) return an_fail(AN_EUSAGE, "'%s' is not key=value", pair);
        char place[80];
        *equal = '\0';
        snprintf(place, sizeof place, "--%s", pair);
        AN_TRY(an_options_set(options, pair, equal + 1, source, place));
    }
    return AN_OK;
}

static an_status build(subject *s, size_t batch, int use, const char *settings)
{
    AN_TRY(an_options_create(&s->options));
    AN_TRY(an_model_options_add(s->options));
    AN_TRY(set_all(s->options, SMALL, AN_FROM_FILE));
    AN_TRY(set_all(s->options, settings, AN_FROM_FLAG));
    s->norm = an_norm_find(an_options_text(s->options, "norm"));
    if (s->norm->small) AN_TRY(set_all(s->options, s->norm->small, AN_FROM_FILE));
    AN_TRY(an_options_resolve(s->options));
    AN_TRY(an_model_config_read(&s->config, s->options));
    const an_model_shape shape = { .batch = batch, .seq = s->config.seq_len, .train = use & PROP_TRAIN, .logits = use & PROP_LOGITS };
    AN_TRY(an_model_create(&s->model, &s->config, s->options, &shape));
    s->batch = batch;
    s->seq = shape.seq;
    s->rows = batch * shape.seq;
    s->vocab = s->config.vocab_size;
    s->param = an_model_get_params(s->model, &s->n_params);
    s->tokens = calloc(s->rows, sizeof *s->tokens);
    s->targets = calloc(s->rows, sizeof *s->targets);
    if (!s->tokens || !s->targets) return an_fail(AN_ENOMEM, "out of memory for %zu tokens", s->rows);
    prop_tokens(s->tokens, s->rows, s->vocab, 3);
    prop_tokens(s->targets, s->rows, s->vocab, 4);
    if (!(use & PROP_UNDRAWN)) prop_randomise(s, 1);
    s->pass = (an_pass){ .tokens = s->tokens, .targets = s->targets, .seed = 5, .step = 7, .train = true, .loss_scale = 1 };
    return AN_OK;
}

static an_status open_v(subject *s, size_t batch, int use, const char *format, va_list args, char text[512])
{
    vsnprintf(text, 512, format, args);
    *s = (subject){ 0 };
    const an_status status = build(s, batch, use, text);
    if (status != AN_OK) prop_close(s);
    return status;
}

an_status prop_try(subject *s, size_t batch, int use, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    const an_status status = open_v(s, batch, use, format, args, text);
    va_end(args);
    return status;
}

void prop_open(subject *s, size_t batch, int use, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    const an_status status = open_v(s, batch, use, format, args, text);
    va_end(args);
    if (status == AN_OK) return;
    printf("FAIL %s: cannot be built: %s\n", text, an_error_text());
    exit(1);
}

void prop_close(subject *s)
{
    an_model_destroy(&s->model);
    an_options_destroy(&s->options);
    free(s->tokens);
    free(s->targets);
    *s = (subject){ 0 };
}

static void randomise(subject *s, bool buffers, bool others)
{
    const an_rng_key key = an_rng_key_make(s->drawn, AN_RNG_PROBE, 1);
    uint64_t at = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        const double centre = strstr(p->name, "gain") || strstr(p->name, "alpha") ? 1 : 0;   /* a squash of small scale hardly passes anything, one of large scale nothing but signs */
        const double scale = p->rank > 1 ? 1 / sqrt((double)p->dim[1]) : 0.3;
        for (size_t k = 0; k < p->count; k++, at++) {
            if (p->rule.buffer && buffers) p->data[k] = AN_R(0.5 + an_rng_uniform(key, at));
            if (!p->rule.buffer && others) p->data[k] = AN_R(centre + scale * an_rng_normal(key, at));
        }
    }
}

void prop_randomise(subject *s, uint64_t seed)
{
    s->drawn = seed;
    randomise(s, true, true);
}

void prop_rewind(subject *s) { randomise(s, true, false); }

void prop_tokens(int32_t *tokens, size_t n, size_t vocab, uint64_t seed)
{
    const an_rng_key key = an_rng_key_make(seed, AN_RNG_PROBE, 2);
    for (size_t i = 0; i < n; i++) tokens[i] = (int32_t)(an_rng_u32(key, i) % vocab);
}

an_param *prop_param(subject *s, const char *name)
{
    for (size_t i = 0; i < s->n_params; i++)
        if (strcmp(s->param[i].name, name) == 0) return (an_param *)(uintptr_t)&s->param[i];
    return NULL;
}

static size_t n_positions(void)
{
    size_t n = 0;
    while (an_position_name(n)) n++;
    return n;
}

/* One case; 1 where it could be built. */
static int run_case(const char *design, const an_norm_kind *norm, const char *variant, const char *position, void (*test)(const char *settings))
{
    char settings[256];
    subject probe;
    snprintf(settings, sizeof settings, "design=%s norm=%s%s%s position=%s", design, norm->name, variant ? " " : "", variant ? variant : "", position);
    const an_status status = prop_try(&probe, 1, PROP_TRAIN, "%s", settings);
    if (status == AN_ECONFIG) {
        skipped++;
        printf("SKIPPED %s: %s\n", settings, an_error_text());
        return 0;
    }
    if (!prop_check(status == AN_OK, "%s: cannot be built: %s", settings, an_error_text())) return 0;
    prop_close(&probe);
    test(settings);
    return 1;
}

/* Pair (d, k) with the norm's variants: the first norm at every position, the others at one each, taking turns. Returns how many could be built. */
static int run_pair(size_t d, size_t k, int variants, void (*test)(const char *settings))
{
    const an_norm_kind *norm = an_norm_at(k);
    const size_t n = n_positions();
    int ran = 0;
    for (size_t v = 0; v == 0 || (variants && norm->variants && norm->variants[v - 1]); v++)
        for (size_t p = 0; p < n; p++)
            if (k == 0 || p == (d + k + v) % n) ran += run_case(an_design_name(d), norm, v ? norm->variants[v - 1] : NULL, an_position_name(p), test);
    return ran;
}

/* Under sanitizers one pair of PROP_STRIDE, still every design and every norm. */
#ifndef PROP_STRIDE
#define PROP_STRIDE 1
#endif

void prop_product(int variants, void (*test)(const char *settings))
{
    enum { MOST = 64 };
    int of_norm[MOST] = { 0 };
    for (size_t d = 0; an_design_at(d); d++) {
        int of_design = 0;
        for (size_t k = 0; an_norm_at(k) && k < MOST; k++) {
            if ((d + k) % PROP_STRIDE) continue;
            const int ran = run_pair(d, k, variants, test);
            of_design += ran;
            of_norm[k] += ran;
        }
        prop_check(of_design > 0, "design %s was never tested", an_design_name(d));
    }
    for (size_t k = 0; an_norm_at(k) && k < MOST; k++) prop_check(of_norm[k] > 0, "norm %s was never tested", an_norm_name(k));
}

/* Values of the running statistics, or gradients of the rest, in one array. */
static an_real *collect(const subject *s, bool buffers, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < s->n_params; i++) *n += s->param[i].rule.buffer == buffers ? s->param[i].count : 0;
    an_real *all = malloc((*n + 1) * sizeof *all);
    if (!all) exit(1);
    size_t at = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        if (p->rule.buffer != buffers) continue;
        memcpy(all + at, buffers ? p->data : p->grad, p->count * sizeof *all);
        at += p->count;
    }
    return all;
}

an_real *prop_gradients(const subject *s)
{
    size_t n;
    return collect(s, false, &n);
}

an_real *prop_buffers(const subject *s, size_t *n) { return collect(s, true, n); }

void *prop_room(size_t n, size_t unit)
{
    void *p = calloc(n + 1, unit);
    if (!p) exit(1);
    return p;
}

an_real *prop_random(size_t n, uint64_t seed, uint64_t what)
{
    const an_rng_key key = an_rng_key_make(seed, AN_RNG_PROBE, what);
    an_real *x = prop_room(n, sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = AN_R(an_rng_normal(key, i));
    return x;
}

int prop_equal(size_t n, const an_real *a, const an_real *b)
{
    for (size_t i = 0; i < n; i++)
        if (!(a[i] == b[i])) return 0;
    return 1;
}

double prop_distance(size_t n, const an_real *a, const an_real *b)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return difference == 0 ? 0 : sqrt(difference / size);
}

void prop_same_gradients(const subject *s, const an_real *a, const an_real *b, const char *what)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        if (p->rule.buffer) continue;
        prop_check(prop_equal(p->count, a + at, b + at), "%s: gradient of %s differs by %.1e relative", what, p->name, prop_distance(p->count, a + at, b + at));
        at += p->count;
    }
}

static double length(size_t n, const an_real *x)
{
    double square = 0;
    for (size_t i = 0; i < n; i++) square += (double)x[i] * (double)x[i];
    return sqrt(square);
}

static int is_bias(const char *name) { return strlen(name) >= 5 && strcmp(name + strlen(name) - 5, ".bias") == 0; }

double prop_near_gradients(const subject *s, const an_real *a, const an_real *b, double tolerance, const char *what)
{
    double worst = 0, longest = 0;
    size_t at = 0;
    for (size_t i = 0; i < s->n_params; at += s->param[i].rule.buffer ? 0 : s->param[i].count, i++)
        if (!s->param[i].rule.buffer) longest = fmax(longest, length(s->param[i].count, b + at));
    at = 0;
    for (size_t i = 0; i < s->n_params; i++) {
        const an_param *p = &s->param[i];
        if (p->rule.buffer) continue;
        double d = prop_distance(p->count, a + at, b + at);
        const double mine = length(p->count, b + at);
        if (s->norm->removes_shift && is_bias(p->name) && mine < 64 * (double)AN_REAL_EPS * longest) d *= mine / longest;
        if (p->count == 1 && mine < 0.01 * longest) d *= 100 * mine / longest;
        prop_check(d <= tolerance, "%s: gradient of %s differs by %.1e relative, %.1e allowed", what, p->name, d, tolerance);
        if (d > worst) worst = d;
        at += p->count;
    }
    return worst;
}
