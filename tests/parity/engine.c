/* tests/parity/engine.c: see engine.h. The keys that decide which others have a meaning are set as flags and the rest as
 * if from a file: a key that means nothing for this configuration (norm_variance of rmsnorm) is then left out silently. */
#include "engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static int is_selector(const char *key)
{
    static const char *const SELECTOR[] = { "arch", "design", "norm", "activation", "position", "optimizer" };
    for (size_t i = 0; i < sizeof SELECTOR / sizeof *SELECTOR; i++) if (strcmp(key, SELECTOR[i]) == 0) return 1;
    return 0;
}

static an_status build(engine *e, const char *const *pairs)
{
    AN_TRY(an_run_options_create(&e->options, &e->train));
    for (size_t i = 0; pairs[i]; i += 2) {
        AN_TRY(an_options_set(e->options, pairs[i], pairs[i + 1], is_selector(pairs[i]) ? AN_FROM_FLAG : AN_FROM_FILE, "parity"));
    }
    AN_TRY(an_options_resolve(e->options));
    an_model_config config;
    AN_TRY(an_model_config_read(&config, e->options));
    const an_model_shape shape = { .batch = (size_t)e->train.batch_size, .seq = config.seq_len, .train = true, .logits = true, .observe = AN_OBSERVE_BASIC };
    AN_TRY(an_model_create(&e->model, &config, e->options, &shape));
    e->param = an_model_get_params(e->model, &e->params);
    e->rows = shape.batch * shape.seq;
    e->vocab = config.vocab_size;
    return AN_OK;
}

int engine_open(engine *e, const char *const *pairs)
{
    *e = (engine){ 0 };
    const an_status status = build(e, pairs);
    if (status != AN_OK) {
        fprintf(stderr, "FAIL the model cannot be built: %s: %s\n", an_status_name(status), an_error_text());
        return 0;
    }
    size_t most = e->rows * e->vocab;
    for (size_t i = 0; i < e->params; i++) if (e->param[i].count > most) most = e->param[i].count;
    e->scratch = malloc(most * sizeof *e->scratch);
    if (!e->scratch) fprintf(stderr, "FAIL out of memory\n");
    return e->scratch != NULL;
}

void engine_close(engine *e)
{
    free(e->scratch);
    an_model_destroy(&e->model);
    an_options_destroy(&e->options);
    *e = (engine){ 0 };
}

const double *engine_doubles(engine *e, size_t n, const an_real *x)
{
    for (size_t i = 0; i < n; i++) e->scratch[i] = (double)x[i];
    return e->scratch;
}

double engine_compare(engine *e, const char *what, size_t n, const an_real *mine, const double *want, double tolerance, int quiet, int *bad)
{
    size_t at;
    const double d = fixture_distance(n, engine_doubles(e, n, mine), want, &at);
    if (d <= tolerance) return d;
    ++*bad;
    if (!quiet) fprintf(stderr, "FAIL %s: %.2e relative, %.0e allowed; worst at %zu of %zu: %.17g, expected %.17g\n", what, d, tolerance, at, n, e->scratch[at], want[at]);
    return d;
}

size_t engine_largest(size_t n, const an_real *x)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++) if (an_fabs(x[i]) > an_fabs(x[top])) top = i;
    return top;
}
