/* tensorboard_probe RUN
 * Writes a run folder as a training would, for check_tensorboard.py to read with the real TensorBoard: a log, event files,
 * and known.json with the raw values behind each histogram. The run is killed in the middle of an event of step 20, and
 * goes on from step 12 with other numbers. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "train/tensorboard.h"

enum { VALUES = 500, KILLED = 20, RESUMED = 12, STEPS = 30 };

static double wave(uint64_t step, unsigned session, double salt) { return sin(salt + 0.37 * (double)step + session) * exp(salt - 2); }

static an_status put(an_tensorboard *tb, an_logger *log, uint64_t step, const char *group, const char *key, double value)
{
    char tag[96];
    snprintf(tag, sizeof tag, "%s/%s", group, key);
    an_log_real(log, key, value);
    return an_tensorboard_scalar(tb, step, tag, value);
}

static an_status put_histogram(an_tensorboard *tb, an_text *known, uint64_t step, unsigned session)
{
    static an_real x[VALUES];
    static an_histogram h;
    an_histogram_init(&h);
    an_text_add(known, "%s{\"step\":%d,\"tag\":\"stream/layers.1.mlp\",\"session\":%u,\"values\":[", known->length ? ",\n" : "", (int)step, session);
    for (size_t i = 0; i < VALUES; i++) {
        x[i] = i % 50 == 0 ? 0 : (an_real)(wave(step, session, (double)i) * pow(10, (double)(i % 13) - 6) * exp(2 - (double)i));
        an_text_add(known, "%s%.17g", i ? "," : "", (double)x[i]);
    }
    an_text_add(known, "]}");
    an_histogram_add(&h, VALUES, x);
    const an_bins bins = an_histogram_bins(&h);
    return an_tensorboard_histogram(tb, step, "stream/layers.1.mlp", &bins);
}

static an_status put_steps(an_tensorboard *tb, an_logger *log, an_text *known, uint64_t from, uint64_t to, unsigned session)
{
    for (uint64_t step = from + 1; step <= to; step++) {
        an_log_begin(log, "step");
        an_log_int(log, "step", (int64_t)step);
        AN_TRY(put(tb, log, step, "train", "loss", wave(step, session, 3)));
        AN_TRY(put(tb, log, step, "train", "lr", 1e-9 * (double)step));
        AN_TRY(put(tb, log, step, "train", "grad_norm", step == 25 ? (double)NAN : step == 26 ? (double)INFINITY : 1e30 * wave(step, session, 5)));
        AN_TRY(an_log_end(log));
        if (step % 5 == 0) {
            AN_TRY(put_histogram(tb, known, step, session));
            an_log_begin(log, "site");
            an_log_int(log, "step", (int64_t)step);
            an_log_text(log, "name", "layers.1.mlp");
            AN_TRY(put(tb, log, step, "layers.1.mlp", "g_cos", wave(step, session, 2)));
            AN_TRY(an_log_end(log));
        }
        AN_TRY(an_tensorboard_flush(tb));
    }
    return AN_OK;
}

/* Cuts the last bytes off the first event file, as a kill or a power cut would. */
static an_status tear(const char *run)
{
    char path[1024], **names;
    size_t count;
    an_map map;
    snprintf(path, sizeof path, "%s/tb", run);
    AN_TRY(an_dir_list(path, &names, &count));
    snprintf(path, sizeof path, "%s/tb/%s", run, names[0]);
    an_dir_list_free(names, count);
    AN_TRY(an_map_open(&map, path));
    const off_t size = (off_t)map.size;
    an_map_close(&map);
    return truncate(path, size - 7) == 0 ? AN_OK : an_fail(AN_EIO, "%s: cannot truncate", path);
}

static an_status session(const char *run, an_text *known, unsigned number, uint64_t from, uint64_t to)
{
    char path[1024];
    an_logger log;
    an_tensorboard *tb;
    snprintf(path, sizeof path, "%s/log.jsonl", run);
    AN_TRY(an_dir_create(run));
    AN_TRY(an_log_open(&log, path, (int64_t)from));
    AN_TRY(an_tensorboard_open(&tb, run, from > 0, from));
    const an_status status = put_steps(tb, &log, known, from, to, number);
    an_tensorboard_close(tb);
    an_log_close(&log);
    return status;
}

static an_status write_run(const char *run)
{
    char path[1024];
    an_text known = { 0 }, all = { 0 };
    snprintf(path, sizeof path, "%s/known.json", run);
    an_status status = session(run, &known, 0, 0, KILLED);
    if (status == AN_OK) status = tear(run);
    if (status == AN_OK) status = session(run, &known, 1, RESUMED, STEPS);
    an_text_add(&all, "[%s]\n", an_text_get(&known));
    if (status == AN_OK) status = an_text_status(&all);
    if (status == AN_OK) status = an_file_write(path, all.s, all.length);
    an_text_fini(&known);
    an_text_fini(&all);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 2) return fprintf(stderr, "usage: tensorboard_probe RUN\n"), 2;
    if (write_run(argv[1]) == AN_OK) return 0;
    fprintf(stderr, "tensorboard_probe: %s\n", an_error_text());
    return 1;
}
