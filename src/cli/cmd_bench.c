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
    { "what", AN_CHOICE, "all", "all|machine|kernels|products|steps|decode", "which part; the machine's limits are always measured, decode only when named", AT(what) },
    { "shape", AN_STRING, "", NULL, "only products [M,K] [K,N], as M,N,K", AT(shape) },
    { "full", AN_BOOL, "false", NULL, "also a step of GPT-2 124M, which takes some gigabytes", AT(full) },
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
    return AN_OK;
}

static void put_text(const an_bench *bench, an_text *out)
{
    const an_bench_limits *l = &bench->limits;
    char a[AN_HUMAN], b[AN_HUMAN], c[AN_HUMAN];
    an_text_add(out, "%s, %d threads (%s), kernels %s, products by %s, %s\n\n", an_cpu()->name, l->threads, an_threads_backend(), an_kern_get()->level, an_gemm_get()->name, AN_REAL_NAME);
    an_text_add(out, "machine                         1 thread    %d threads\n", l->threads);
    for (size_t i = 0; i < l->isas; i++) an_text_add(out, "multiply-add, %-12s %8.1f      %8.1f GFLOP/s\n", l->fma[i].isa, l->fma[i].flops[0] / 1e9, l->fma[i].flops[1] / 1e9);
    an_text_add(out, "read, %-20s %8.1f      %8.1f GB/s\n", an_human_bytes(c, (double)l->stream_bytes), l->read[0] / 1e9, l->read[1] / 1e9);
    an_text_add(out, "copy, %-20s %8.1f      %8.1f GB/s\n", an_human_bytes(a, 2.0 * (double)l->stream_bytes), l->copy[0] / 1e9, l->copy[1] / 1e9);
    an_text_add(out, "triad, %-19s %8.1f      %8.1f GB/s\n", an_human_bytes(b, 3.0 * (double)l->stream_bytes), l->triad[0] / 1e9, l->triad[1] / 1e9);
    const char *group = "";
    for (size_t i = 0; i < bench->count; i++) {
        const an_bench_row *r = &bench->rows[i];
        char time[AN_HUMAN], bytes[AN_HUMAN];
        bool by_bytes;
        const double bound = an_bench_bound(l, r, &by_bytes);
        if (strcmp(group, r->group) != 0) an_text_add(out, "\n%-30s %-28s %10s %9s %10s %8s %9s\n", r->group, "", "time", "GFLOP/s", "bytes", "GB/s", "of limit");
        group = r->group;
        an_text_add(out, "%-30s %-28s %10s %9.1f %10s %8.1f %7.0f %% %s", r->name, r->shape, an_human_time(time, r->seconds), r->flops / r->seconds / 1e9, an_human_bytes(bytes, r->bytes),
                    r->bytes / r->seconds / 1e9, 100 * bound / r->seconds, by_bytes ? "memory" : "arithmetic");
        if (by_bytes) an_text_add(out, ", %.1f GB/s", r->bytes / bound / 1e9);
        if (r->tokens > 0) an_text_add(out, ", %.1f tokens/s", r->tokens / r->seconds);
        an_text_add(out, "\n");
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
        if (r->tokens > 0) failed |= json_object_set_new(row, "tokens_per_s", json_real(r->tokens / r->seconds)) != 0;
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
    json_t *doc = json_pack("{s:s, s:i, s:s, s:s, s:{s:o, s:[f,f], s:[f,f], s:[f,f], s:I}}", "cpu", an_cpu()->name, "threads", l->threads, "kernels", an_kern_get()->level, "products", an_gemm_get()->name, "machine",
                            "fma_flops_per_s", fma, "read_bytes_per_s", l->read[0], l->read[1], "copy_bytes_per_s", l->copy[0], l->copy[1], "triad_bytes_per_s", l->triad[0], l->triad[1], "stream_bytes", (json_int_t)l->stream_bytes);
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
