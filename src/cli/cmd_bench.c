/* cli/cmd_bench.c
 * addnorm bench: first what the machine can do, then what the kernels, products and steps make of it. "of limit" is the
 * least time that the measured arithmetic and memory rates allow, over the time taken; a kernel that memory binds is held
 * against plain streams over as many arrays, read and written, that took turns with it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "core/cpu.h"
#include "core/real.h"
#include "core/threads.h"
#include "kern/gemm.h"
#include "kern/kern.h"

typedef struct bench_options { const char *what, *shape; int64_t threads; double seconds; bool full; } bench_options;
static bench_options settings;

#define AT(field) .at = AN_AT(bench_options, field), .group = "bench", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "what", AN_CHOICE, "all", "all|machine|kernels|products|steps|ops|decode", "which part; the machine's limits are always measured, decode only when named", AT(what) },
    { "shape", AN_STRING, "", NULL, "only products [M,K] [K,N], as M,N,K", AT(shape) },
    { "full", AN_BOOL, "false", NULL, "also steps of GPT-2 124M, which take some gigabytes", AT(full) },
    { "threads", AN_INT, "0", "0..4096", "processor threads; 0: all that this process may use", AT(threads) },
    { "seconds", AN_FLOAT, "0.3", "(0,60]", "to spend on each figure; it is the best of its passes", AT(seconds) },
    AN_OPTION_END
};

an_status an_cmd_bench_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

static void tick(void *ctx, const char *name)
{
    an_progress *progress = ctx;
    an_progress_note(progress, "bench", name);
}

static an_status read_shape(const char *text, size_t shape[3])
{
    const char *p = text;
    for (int i = 0; i < 3; i++) {
        char *end;
        const long v = strtol(p, &end, 10);
        if (end == p || v < 1 || v > 1000000 || (i < 2 ? *end != ',' && *end != 'x' : *end != '\0')) return an_fail(AN_EUSAGE, "--shape: '%s' is not M,N,K with three sizes 1..1000000", text);
        shape[i] = (size_t)v;
        p = end + 1;
    }
    return AN_OK;
}

static bool wants(const char *part) { return strcmp(settings.what, "all") == 0 || strcmp(settings.what, part) == 0; }

static an_status measure(an_bench *bench)
{
    size_t shape[3];
    const bool own_shape = settings.shape[0] != '\0';
    if (own_shape) AN_TRY(read_shape(settings.shape, shape));
    if (bench->tick) bench->tick(bench->ctx, "the machine");
    AN_TRY(an_bench_machine(bench));
    if (own_shape) return an_bench_products(bench, shape);
    if (wants("kernels")) AN_TRY(an_bench_kernels(bench));
    if (wants("products")) AN_TRY(an_bench_products(bench, NULL));
    if (strcmp(settings.what, "decode") == 0) AN_TRY(an_bench_decode(bench));
    if (wants("steps")) AN_TRY(an_bench_steps(bench, settings.full));
    if (wants("ops")) AN_TRY(an_bench_ops(bench, settings.full));
    return AN_OK;
}

static void put_rate(an_text *out, const char *what, size_t bytes, const double rate[2])
{
    char size[AN_HUMAN], name[40];
    snprintf(name, sizeof name, "%s, %s", what, an_human_bytes(size, (double)bytes));
    an_text_add(out, "%-28s %8.1f      %8.1f GB/s\n", name, rate[0] / 1e9, rate[1] / 1e9);
}

static void put_machine(const an_bench *bench, an_text *out)
{
    const an_bench_limits *l = &bench->limits;
    an_text_add(out, "%s, %d threads (%s), kernels %s, products by %s, %s\n\n", an_cpu()->name, l->threads, an_threads_backend(), an_kern_get()->level, an_gemm_get()->name, AN_REAL_NAME);
    an_text_add(out, "machine                         1 thread    %d threads\n", l->threads);
    for (size_t i = 0; i < l->isas; i++) an_text_add(out, "multiply-add, %-14s %8.1f      %8.1f GFLOP/s\n", l->fma[i].isa, l->fma[i].flops[0] / 1e9, l->fma[i].flops[1] / 1e9);
    if (!an_gemm_get()->low_unit) an_text_add(out, "multiply-add, bf16: no AMX here, products widen their operands and run in f32\n");
    for (size_t i = 0; i < l->caches; i++) {
        char what[24];
        snprintf(what, sizeof what, "read %s", l->cache[i].name);
        put_rate(out, what, l->cache[i].bytes, l->cache[i].read);
    }
    put_rate(out, "read memory", l->stream_bytes, l->read);
    put_rate(out, "copy", 2 * l->stream_bytes, l->copy);
    put_rate(out, "triad", 3 * l->stream_bytes, l->plain);
    put_rate(out, "triad past caches", 3 * l->stream_bytes, l->past);
}

static void put_row(const an_bench *bench, const an_bench_row *r, an_text *out)
{
    char time[AN_HUMAN], bytes[AN_HUMAN];
    bool by_bytes;
    const double bound = an_bench_bound(&bench->limits, r, &by_bytes);
    an_text_add(out, "%-30s %-28s %10s %9.1f %10s %8.1f %7.0f %% %s", r->name, r->shape, an_human_time(time, r->seconds), r->flops / r->seconds / 1e9, an_human_bytes(bytes, r->bytes),
                r->bytes / r->seconds / 1e9, 100 * bound / r->seconds, by_bytes ? "memory" : "arithmetic");
    if (by_bytes && r->bytes > 0) an_text_add(out, ", %.1f GB/s", r->bytes / bound / 1e9);
    if (r->share > 0) an_text_add(out, ", %.1f %% of the step", 100 * r->share);
    if (r->tokens > 0) an_text_add(out, ", %.1f tokens/s", r->tokens / r->seconds);
    if (r->over > 0) an_text_add(out, ", %.2f x f32", r->over);
    if (r->note) an_text_add(out, ", %s", r->note);
    an_text_add(out, "\n");
}

static void put_text(const an_bench *bench, an_text *out)
{
    const char *group = "";
    put_machine(bench, out);
    for (size_t i = 0; i < bench->count; i++) {
        const an_bench_row *r = &bench->rows[i];
        if (strcmp(group, r->group) != 0) an_text_add(out, "\n%-30s %-28s %10s %9s %10s %8s %9s\n", r->group, "", "time", "GFLOP/s", "bytes", "GB/s", "of limit");
        group = r->group;
        put_row(bench, r, out);
    }
}

static int put_rows(json_t *doc, const an_bench *bench)
{
    json_t *rows = json_array();
    int failed = 0;
    for (size_t i = 0; i < bench->count; i++) {
        const an_bench_row *r = &bench->rows[i];
        bool by_bytes;
        const double bound = an_bench_bound(&bench->limits, r, &by_bytes);
        json_t *row = json_pack("{s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:s}", "group", r->group, "name", r->name, "shape", r->shape, "seconds", r->seconds, "flops_per_s", r->flops / r->seconds,
                                "bytes", r->bytes, "bytes_per_s", r->bytes / r->seconds, "limit_seconds", bound, "of_limit", bound / r->seconds, "limit", by_bytes ? "memory" : "arithmetic");
        if (row && r->tokens > 0) failed |= json_object_set_new(row, "tokens_per_s", json_real(r->tokens / r->seconds)) != 0;
        if (row && r->over > 0) failed |= json_object_set_new(row, "times_f32", json_real(r->over)) != 0;
        if (row && r->share > 0) failed |= json_object_set_new(row, "of_step", json_real(r->share)) != 0;
        if (row && r->note) failed |= json_object_set_new(row, "arithmetic", json_string(r->note)) != 0;
        failed |= json_array_append_new(rows, row) != 0;
    }
    return json_object_set_new(doc, "rows", rows) != 0 || failed;
}

static an_status put_json(const an_bench *bench, an_text *out)
{
    const an_bench_limits *l = &bench->limits;
    json_t *fma = json_object();
    int failed = 0;
    for (size_t i = 0; i < l->isas; i++) failed |= json_object_set_new(fma, l->fma[i].isa, json_pack("[f,f]", l->fma[i].flops[0], l->fma[i].flops[1])) != 0;
    json_t *cache = json_object();
    for (size_t i = 0; i < l->caches; i++) failed |= json_object_set_new(cache, l->cache[i].name, json_pack("{s:I, s:[f,f]}", "bytes", (json_int_t)l->cache[i].bytes, "read_bytes_per_s", l->cache[i].read[0], l->cache[i].read[1])) != 0;
    json_t *doc = json_pack("{s:s, s:i, s:s, s:s, s:{s:o, s:o, s:[f,f], s:[f,f], s:[f,f], s:[f,f], s:I}}", "cpu", an_cpu()->name, "threads", l->threads, "kernels", an_kern_get()->level, "products", an_gemm_get()->name, "machine",
                            "fma_flops_per_s", fma, "cache", cache, "read_bytes_per_s", l->read[0], l->read[1], "copy_bytes_per_s", l->copy[0], l->copy[1], "triad_bytes_per_s", l->plain[0], l->plain[1],
                            "triad_past_bytes_per_s", l->past[0], l->past[1], "stream_bytes", (json_int_t)l->stream_bytes);
    failed |= !doc || put_rows(doc, bench);
    if (!failed) return an_cli_put_json(out, doc, 6);
    json_decref(doc);
    return an_fail(AN_ENOMEM, "bench: no memory for the document");
}

an_status an_cmd_bench(an_cli *cli)
{
    an_progress progress;
    an_text out = { 0 };
    AN_TRY(an_cli_need_arguments(cli, 0, 0));
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    an_bench bench = { .threads = settings.threads ? (int)settings.threads : an_threads_available(), .seconds = settings.seconds, .tick = tick, .ctx = &progress };
    an_status status = measure(&bench);
    an_progress_clear(&progress);
    if (status == AN_OK && cli->json) status = put_json(&bench, &out);
    else if (status == AN_OK) put_text(&bench, &out);
    free(bench.rows);
    if (status == AN_OK) return an_cli_print(stdout, &out);
    an_text_fini(&out);
    return status;
}
