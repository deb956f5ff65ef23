/* fuzz_config.c
 * CONFIG.yaml of any origin against the whole option table of a run: refused in one line, or accepted and then written and
 * read back to the same configuration. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "train/config.h"

static void check_round_trip(an_options *options)
{
    an_train_config config;
    an_options *again;
    an_text first = { 0 }, second = { 0 };
    an_options_yaml(options, &first);
    if (an_run_options_create(&again, &config) != AN_OK) abort();
    if (an_options_read_yaml(again, an_text_get(&first), first.length, "again") != AN_OK || an_options_resolve(again) != AN_OK) abort();
    an_options_yaml(again, &second);
    if (strcmp(an_text_get(&first), an_text_get(&second)) != 0) abort();
    an_text_fini(&first);
    an_text_fini(&second);
    an_options_destroy(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_train_config config;
    an_options *options;
    if (an_run_options_create(&options, &config) != AN_OK) abort();
    an_status status = an_options_read_yaml(options, (const char *)data, size, "input");
    if (status == AN_OK) status = an_options_resolve(options);
    if (status == AN_OK) check_round_trip(options);
    else if (an_error_text()[0] == '\0' || strchr(an_error_text(), '\n')) abort();
    an_options_destroy(&options);
    return status == AN_OK;
}

size_t fuzz_seed(size_t i, uint8_t *out)
{
    static const char *const SEED[] = {
        "model:\n  n_layer: 2\n  d_model: 64\nadd_norm:\n  norm: rmsnorm\n  norm@0-1.mlp: layernorm\ndata:\n  data:\n    - a b.txt\n    - \"c: \\\"d\\\".txt\"\n",
        "{n_layer: 3, lr: 1e-3, data: [x, 'y z'], bias: false, out: \"run # one\"}",
        "steps: 100\nwarmup: auto   # a comment\nschedule: inverse-sqrt\nseed: 7\n",
    };
    if (i >= sizeof SEED / sizeof *SEED) return 0;
    const size_t n = strlen(SEED[i]);
    memcpy(out, SEED[i], n);
    return n;
}
