/* bench/telemetry_cost.c
 * What telemetry costs: whole training steps with nothing measured, with the update's length only (every step of a run with
 * telemetry), and observed (one step of telemetry_every). The kinds take turns within one process, so that a busy machine
 * is the same for all; medians are compared. Usage: telemetry_cost ROUNDS PRESET [key value]...
 * Build    cc -O2 -D_GNU_SOURCE -Isrc bench/telemetry_cost.c build/libaddnorm.a -ldnnl -lopenblas -lyaml -ljansson -lgomp -lpthread -lm -o telemetry_cost */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "net/model.h"
#include "train/config.h"
#include "train/optimizer.h"
#include "train/presets.h"

enum { OFF, UPDATE, OBSERVED, KINDS, MOST = 2000 };
static const char *const NAME[] = { "nothing", "update norm", "observed" };

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void need(an_status status)
{
    if (status == AN_OK) return;
    fprintf(stderr, "%s\n", an_error_text());
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    const int rounds = atoi(argv[1]) < MOST ? atoi(argv[1]) : MOST;
    an_options *options;
    an_train_config config;
    an_model_config mc;
    an_model *model;
    an_optimizer *optimizer;
    need(an_run_options_create(&options, &config));
    need(an_preset_apply(options, argv[2]));
    for (int i = 3; i + 1 < argc; i += 2) need(an_options_set(options, argv[i], argv[i + 1], AN_FROM_FLAG, "the command line"));
    need(an_options_resolve(options));
    need(an_train_config_finish(&config, options));
    need(an_model_config_read(&mc, options));
    const size_t batch = (size_t)config.batch_size, n = batch * mc.seq_len;
    const int threads = an_train_config_threads(&config);
    const an_observe observe = an_train_config_observe(&config);
    need(an_model_create(&model, &mc, options, &(an_model_shape){ .batch = batch, .seq = mc.seq_len, .train = true, .observe = observe }));
    need(an_model_set_threads(model, threads));
    an_model_init_params(model, 1);
    size_t count;
    const an_param *params = an_model_get_params(model, &count);
    const an_optimizer_config oc = an_train_config_optimizer(&config);
    need(an_optimizer_create(&optimizer, params, count, &oc));
    int32_t *tokens = malloc((n + 1) * sizeof *tokens);
    for (size_t i = 0; i <= n; i++) tokens[i] = (int32_t)(an_rng_u32(an_rng_key_make(1, 1, 1), i) % mc.vocab_size);
    an_pass pass = { .tokens = tokens, .targets = tokens + 1, .seed = 1, .train = true, .loss_scale = 1 };
    static double seconds[KINDS][MOST];
    for (int i = -3; i < rounds; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            const double began = an_clock();
            pass.observe = kind == OBSERVED;
            an_optimizer_measure(optimizer, kind != OFF, kind == OBSERVED);
            an_model_forward_backward(model, &pass);
            an_optimizer_apply(optimizer, 1e-4, ++pass.step, an_optimizer_grad_norm(optimizer, threads), threads);
            if (i >= 0) seconds[kind][i] = an_clock() - began;
        }
    for (int kind = 0; kind < KINDS; kind++) qsort(seconds[kind], (size_t)rounds, sizeof(double), by_size);
    const double base = seconds[OFF][rounds / 2];
    for (int kind = 0; kind < KINDS; kind++) {
        const double median = seconds[kind][rounds / 2];
        printf("%-12s %9.3f ms (%9.3f .. %9.3f)  %+6.2f %%\n", NAME[kind], median * 1e3, seconds[kind][rounds / 10] * 1e3, seconds[kind][rounds * 9 / 10] * 1e3, 100 * (median / base - 1));
    }
    const double every = (double)config.telemetry_every, mix = (seconds[UPDATE][rounds / 2] * (every - 1) + seconds[OBSERVED][rounds / 2]) / every;
    printf("one of %.0f steps observed: %+.2f %%\n", every, 100 * (mix / base - 1));
    return 0;
}
