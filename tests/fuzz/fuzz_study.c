/* fuzz_study.c
 * A study's text of any origin: refused in one line, or cells whose names differ and whose configurations are read back. Nothing is run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "study/study.h"

static an_options *flags;
static char text[64];

static void clean_up(void)
{
    an_options_destroy(&flags);
    unlink(text);
}

/* A text, which no cell can do without. */
static void set_up(void)
{
    static an_train_config config;
    strcpy(text, "/tmp/addnorm-fuzz-study-XXXXXX");
    const int made = mkstemp(text);
    FILE *f = made < 0 ? NULL : fdopen(made, "w");
    for (int i = 0; f && i < 500; i++) fprintf(f, "%d words of text ", i * 7919 % 1000);
    if (!f || fclose(f) != 0 || an_run_options_create(&flags, &config) != AN_OK || an_options_set(flags, "data", text, AN_FROM_FLAG, "--data") != AN_OK || atexit(clean_up) != 0) abort();
}

static void check(const an_study *s)
{
    if (s->n_cells == 0) abort();
    for (size_t i = 0; i < s->n_cells && i < 8; i++) {
        const an_study_cell *cell = &s->cell[i];
        if (!cell->name || !*cell->name || strchr(cell->name, '/') || strchr(cell->name, '\n')) abort();
        if (i && strcmp(cell->name, s->cell[i - 1].name) == 0) abort();
        if (cell->state == AN_CELL_SKIPPED) {
            if (!cell->reason || !*cell->reason || strchr(cell->reason, '\n')) abort();
            continue;
        }
        an_options *o = NULL;
        an_train_config config;
        if (an_study_configure(s, cell, NULL, &o, &config) != AN_OK) abort();
        an_options_destroy(&o);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_study *s = NULL;
    if (!flags) set_up();
    const an_study_source source = { (const char *)data, size, "input", "input", 0, false };
    const an_status status = an_study_open(&s, &source, flags, "/nonexistent/studies");
    if (status == AN_OK) check(s);
    else if (an_error_text()[0] == '\0' || strchr(an_error_text(), '\n')) abort();
    an_study_close(&s);
    return status == AN_OK;
}

size_t fuzz_seed(size_t i, uint8_t *out)
{
    static const char *const SEED[] = {
        "base: { n_layer: 2, d_model: 32, n_head: 2, seq_len: 16, steps: 9 }\ngrid:\n  design: [pre-ln, post-ln]\n  warmup: [0, 4]\n",
        "name: a-b\nbase: { steps: 9 }\ngrid:\n  design|init: [pre-ln|, plain|xavier]\ngrid_two:\n  lr: [1e-3, 2e-3]\nseeds: 2\n",
        "grid:\n  n_layer: [1, 2]\n  norm@0.mlp: [rmsnorm, none]\nseeds: [3, 5]\n",
    };
    if (i >= sizeof SEED / sizeof *SEED) return 0;
    const size_t n = strlen(SEED[i]);
    memcpy(out, SEED[i], n);
    return n;
}
