/* net/gradcheck.c
 * The derivative test, see gradcheck.h. Only the double engine has it: in float the difference quotient drowns. */
#include "net/gradcheck.h"

#ifdef AN_F64

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/rng.h"
#include "net/arch.h"
#include "net/design.h"
#include "net/model.h"
#include "net/norm.h"

static const char SMALL[] = "n_layer=2 n_head=2 d_model=8 d_ff=12 seq_len=6 vocab_size=11";
enum { BATCH = 2 };
static const double STEPS[] = { 1e-5, 1e-4, 1e-6, 1e-7 }, NEAR_ZERO = 1e-6;   /* kinks of the activation want a small step, rounding of small gradients a large one */

typedef struct subject {
    an_options *options;
    an_model_config config;
    an_model *model;
    int32_t *tokens, *targets;
    an_pass pass;
} subject;

static an_status set_all(an_options *options, const char *settings, an_source source)
{
    char text[1024];
    snprintf(text, sizeof text, "%s", settings);
    for (char *rest = text, *pair; (pair = strtok_r(rest, " ", &rest));) {
        char *equal = strchr(pair, '=');
        if (!equal) return an_fail(AN_EUSAGE, "gradcheck: '%s' is not key=value", pair);
        *equal = '\0';
        AN_TRY(an_options_set(options, pair, equal + 1, source, "gradcheck"));
    }
    return AN_OK;
}

/* The value of a key among settings; "" without one. */
static void word_of(const char *settings, const char *key, char word[64])
{
    const char *at = strstr(settings, key);
    snprintf(word, 64, "%.*s", at ? (int)strcspn(at + strlen(key), " ") : 0, at ? at + strlen(key) : "");
}

/* What an architecture and a norm kind need to be small, below what the case itself says. */
static an_status set_small(an_options *options, const char *settings)
{
    char word[64];
    AN_TRY(set_all(options, SMALL, AN_FROM_FILE));
    word_of(settings, "arch=", word);
    const an_arch *arch = an_arch_find(word);
    if (arch && arch->small) AN_TRY(set_all(options, arch->small, AN_FROM_FILE));
    word_of(settings, "norm=", word);
    const an_norm_kind *kind = an_norm_find(word);
    return kind && kind->small ? set_all(options, kind->small, AN_FROM_FILE) : AN_OK;
}

/* Random everything: at its init law a model has zeros and ones that hide errors. Running statistics become positive numbers. */
static void randomise(subject *s, an_rng_key key)
{
    size_t n, at = 0;
    const an_param *p = an_model_get_params(s->model, &n);
    for (size_t i = 0; i < n; i++) {
        const double centre = strstr(p[i].name, "gain") ? 1 : strstr(p[i].name, "alpha") ? 1.5 : 0;   /* a squash of small scale hardly passes anything */
        const double scale = p[i].rank > 1 ? 1 / sqrt((double)p[i].dim[1]) : 0.3;
        for (size_t k = 0; k < p[i].count; k++, at++) p[i].data[k] = AN_R(p[i].rule.buffer ? 0.5 + an_rng_uniform(key, at) : centre + scale * an_rng_normal(key, at));
    }
}

static void close_subject(subject *s)
{
    an_model_destroy(&s->model);
    an_options_destroy(&s->options);
    free(s->tokens);
    free(s->targets);
}

static an_status open_subject(subject *s, const char *settings)
{
    *s = (subject){ 0 };
    AN_TRY(an_options_create(&s->options));
    AN_TRY(an_model_options_add(s->options));
    AN_TRY(set_small(s->options, settings));
    AN_TRY(set_all(s->options, settings, AN_FROM_FLAG));
    AN_TRY(an_options_resolve(s->options));
    AN_TRY(an_model_config_read(&s->config, s->options));
    const an_norm_kind *norm = an_norm_find(an_options_text(s->options, "norm"));
    if (norm->surrogate) return an_fail(AN_EUSAGE, "norm %s: %s", norm->name, norm->surrogate);
    const an_model_shape shape = { .batch = BATCH, .seq = s->config.seq_len, .train = true };
    AN_TRY(an_model_create(&s->model, &s->config, s->options, &shape));
    const size_t rows = shape.batch * shape.seq;
    s->tokens = an_alloc(rows * sizeof *s->tokens);
    s->targets = an_alloc(rows * sizeof *s->targets);
    if (!s->tokens || !s->targets) return an_fail(AN_ENOMEM, "out of memory for a batch of %zu tokens", rows);
    const an_rng_key key = an_rng_key_make(7, AN_RNG_PROBE, 0);
    randomise(s, key);
    for (size_t i = 0; i < rows; i++) {
        s->tokens[i] = i == 7 ? -1 : (int32_t)(an_rng_u32(key, 2 * i) % (s->config.image.side ? 256 : s->config.vocab_size));        /* one is padding, another does not count */
        s->targets[i] = i == 7 || i == 3 ? -1 : (int32_t)(an_rng_u32(key, 2 * i + 1) % s->config.vocab_size);
    }
    s->pass = (an_pass){ .tokens = s->tokens, .targets = s->targets, .seed = 5, .train = true, .loss_scale = 1 };
    return AN_OK;
}

static double loss_at(subject *s, const an_param *p, const double *start, const double *v, double e)
{
    for (size_t k = 0; k < p->count; k++) p->data[k] = AN_R(start[k] + e * v[k]);
    return an_model_forward(s->model, &s->pass);
}

/* v = g/|g| + r/|r|, of length 1; the random half alone where the gradient is 0, or where the two cancel (a single number). */
static void direction(const an_param *p, const double *g, an_rng_key key, double *v)
{
    double gg = 0, rr = 0, vv = 0;
    for (size_t k = 0; k < p->count; k++) {
        v[k] = an_rng_normal(key, k);
        gg += g[k] * g[k];
        rr += v[k] * v[k];
    }
    for (size_t k = 0; k < p->count; k++) {
        v[k] = v[k] / sqrt(rr) + (gg > 0 ? g[k] / sqrt(gg) : 0);
        vv += v[k] * v[k];
    }
    for (size_t k = 0; k < p->count; k++) v[k] = vv > 1e-6 ? v[k] / sqrt(vv) : g[k] / sqrt(gg);
}

typedef struct derivative { double analytic, numeric; } derivative;

static derivative compare(subject *s, size_t tensor, const an_param *p, double factor, double *room)
{
    double *start = room, *g = room + p->count, *v = room + 2 * p->count;
    for (size_t k = 0; k < p->count; k++) {
        start[k] = (double)p->data[k];
        g[k] = factor * (double)p->grad[k];
    }
    direction(p, g, an_rng_key_make(11, AN_RNG_PROBE, tensor), v);
    derivative d = { 0, 0 };
    for (size_t k = 0; k < p->count; k++) d.analytic += g[k] * v[k];
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        const double h = STEPS[i], near = loss_at(s, p, start, v, h) - loss_at(s, p, start, v, -h), far = loss_at(s, p, start, v, 2 * h) - loss_at(s, p, start, v, -2 * h);
        const double numeric = (8 * near - far) / (12 * h);    /* fourth order: norms over few channels bend sharply */
        if (i == 0 || fabs(numeric - d.analytic) < fabs(d.numeric - d.analytic)) d.numeric = numeric;   /* a wrong gradient is wrong at every step */
        if (fabs(d.numeric - d.analytic) <= AN_GRADCHECK_TOLERANCE * fmax(fabs(d.analytic), NEAR_ZERO) / 100) break;
    }
    for (size_t k = 0; k < p->count; k++) p->data[k] = AN_R(start[k]);
    return d;
}

/* A tensor that by its design has no influence: that both sides say exactly 0 is the test. */
static bool is_silent(const subject *s, const char *name) { return an_design_is_silent(an_design_find(an_options_text(s->options, "design")), name); }

/* A bias, or a single gain, whose only way goes through norms that remove it has no gradient by symmetry: that both sides say so is the test. */
static bool is_removed(const subject *s, const char *name)
{
    const an_norm_kind *norm = an_norm_find(an_options_text(s->options, "norm"));
    const size_t n = strlen(name);
    return n >= 5 && ((norm->removes_shift && strcmp(name + n - 5, ".bias") == 0) || (norm->removes_scale && strcmp(name + n - 5, ".gain") == 0));
}

/* Is this derivative 0 because it has to be? */
static bool is_nought(const subject *s, const char *name, double size) { return (size == 0 && is_silent(s, name)) || (size < NEAR_ZERO && is_removed(s, name)); }

static const char *tensor_at(void *ctx, size_t i)
{
    size_t n;
    const an_param *p = an_model_get_params(((const subject *)ctx)->model, &n);
    return i < n ? p[i].name : NULL;
}

static void judge(subject *s, const char *plant, double plant_factor, double *room, an_gradcheck_result *r)
{
    size_t n;
    const an_param *p = an_model_get_params(s->model, &n);
    an_model_forward_backward(s->model, &s->pass);
    for (size_t i = 0; i < n; i++) {
        if (p[i].rule.buffer) continue;
        const bool here = plant && strcmp(plant, p[i].name) == 0;
        const derivative d = compare(s, i, &p[i], here ? plant_factor : 1, room);
        const double size = fmax(fabs(d.analytic), fabs(d.numeric)), error = fabs(d.analytic - d.numeric) / fmax(size, NEAR_ZERO);
        r->planted |= here;
        r->tensors++;
        if (is_nought(s, p[i].name, size)) continue;
        if (size < NEAR_ZERO) r->mistrusted++;
        if (!(error <= r->worst)) {
            r->worst = error;
            r->analytic = d.analytic;
            r->numeric = d.numeric;
            snprintf(r->tensor, sizeof r->tensor, "%s", p[i].name);
        }
    }
    if (plant && !r->planted) an_text_nearest(plant, tensor_at, s, r->near);
    if (!(r->worst <= AN_GRADCHECK_TOLERANCE)) r->status = AN_GRADCHECK_FAIL;
    else if (r->mistrusted) r->status = AN_GRADCHECK_MISTRUSTED;
}

void an_f64_gradcheck(const char *settings, const char *plant, double plant_factor, an_gradcheck_result *result)
{
    subject s;
    *result = (an_gradcheck_result){ .status = AN_GRADCHECK_PASS };
    an_status status = open_subject(&s, settings);
    size_t n = 0, most = 0;
    const an_param *p = status == AN_OK ? an_model_get_params(s.model, &n) : NULL;
    for (size_t i = 0; i < n; i++) most = p[i].count > most ? p[i].count : most;
    double *room = an_alloc(3 * most * sizeof *room);
    if (status == AN_OK && !room) status = an_fail(AN_ENOMEM, "out of memory for the derivative test");
    if (status == AN_OK) {
        judge(&s, plant, plant_factor, room, result);
    } else {
        result->status = AN_GRADCHECK_SKIPPED;
        snprintf(result->message, sizeof result->message, "%s", an_error_text());
    }
    free(room);
    close_subject(&s);
}

int an_f64_gradcheck_tensor(const char *settings, size_t i, char *name, size_t size)
{
    subject s;
    size_t n = 0;
    const an_status status = open_subject(&s, settings);
    const an_param *p = status == AN_OK ? an_model_get_params(s.model, &n) : NULL;
    size_t at = 0;
    for (; at < n; at++)                             /* the i-th of those that have a gradient */
        if (!p[at].rule.buffer && !is_nought(&s, p[at].name, 0) && i-- == 0) break;
    if (at < n) snprintf(name, size, "%s", p[at].name);
    close_subject(&s);
    return at < n;
}

#else
typedef int an_gradcheck_is_in_the_double_engine;   /* a translation unit may not be empty */
#endif
