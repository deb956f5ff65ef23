/* tiny_run.c: see tiny_run.h */
#include "tiny_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "train/checksum.h"

static char folder[256];

static void die(const char *what)
{
    fprintf(stderr, "FAIL: %s: %s\n", what, an_error_text());
    exit(1);
}

int tiny_scratch(void)
{
    const char *tmp = getenv("TMPDIR");
    if (!tmp) tmp = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";   /* hundreds of runs, each syncing its files */
    snprintf(folder, sizeof folder, "%s/addnorm-fault-XXXXXX", tmp);
    if (!mkdtemp(folder) || chdir(folder) != 0) return 0;
    FILE *f = fopen("text", "w");
    if (!f) return 0;
    for (unsigned i = 0, x = 1; i < 400; i++, x = x * 1103515245u + 12345u) fprintf(f, "%u words of text ", x >> 20);
    return fclose(f) == 0;
}

void tiny_scratch_remove(void)
{
    if (chdir("/") == 0) tiny_remove(folder);
}

void tiny_remove(const char *path)
{
    if (an_dir_remove(path) != AN_OK) die(path);
}

void tiny_options(tiny_run *run, const char *out, const char *resume, int steps)
{
    char count[16];
    snprintf(count, sizeof count, "%d", steps);
    const char *pairs[] = { "data", "text", "out", out, "resume", resume, "steps", count, "decay_steps", "20", "warmup", "2", "n_layer", "1", "n_head", "2", "d_model", "8", "seq_len", "8",
                            "batch_size", "2", "eval_batches", "1", "save_every", "2", "threads", "1" };
    *run = (tiny_run){ 0 };
    if (an_run_options_create(&run->options, &run->config) != AN_OK) die("options");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i += 2)
        if (*pairs[i + 1] && an_options_set(run->options, pairs[i], pairs[i + 1], AN_FROM_FLAG, pairs[i]) != AN_OK) die(pairs[i]);
    if (an_options_resolve(run->options) != AN_OK) die("resolve");
}

an_status tiny_create(tiny_run *run) { return an_trainer_create(&run->trainer, run->options, &run->config, NULL); }

void tiny_close(tiny_run *run)
{
    an_trainer_destroy(&run->trainer);
    an_options_destroy(&run->options);
}

uint64_t tiny_checksum(const char *path)
{
    an_map map;
    if (an_map_open(&map, path) != AN_OK) return 0;
    const uint64_t sum = an_checksum_of(map.data, map.size);
    an_map_close(&map);
    return sum;
}
