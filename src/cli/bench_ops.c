/* cli/bench_ops.c
 * Where a training step goes: each kind of op of its plan, the products of a layer apart, the gradient norm and AdamW, each beside
 * the least time for its arithmetic and its bytes. All rows are of one step, the fastest, so that they add up to it. */
#include <stdio.h>

#include "cli/bench.h"
#include "core/arena.h"
#include "core/clock.h"
#include "plan/meter.h"

enum { OPTIMIZER = 2 };
typedef struct profile { an_meter_row row[AN_METER_ROWS]; size_t rows; double seconds, optimizer[OPTIMIZER]; } profile;

/* The fastest step in the time given, at least three. */
static void take(const an_bench *bench, an_bench_model *m, an_meter *meter, profile *best)
{
    const double start = an_clock();
    an_bench_model_step(m, NULL, NULL);
    for (int round = 0; round < 3 || an_clock() - start < bench->seconds; round++) {
        double optimizer[OPTIMIZER] = { 0 };
        an_meter_clear(meter);
        const double began = an_clock();
        an_bench_model_step(m, meter, optimizer);
        const double took = an_clock() - began;
        if (round > 0 && took >= best->seconds) continue;
        *best = (profile){ .rows = meter->rows, .seconds = took, .optimizer = { optimizer[0], optimizer[1] } };
        memcpy(best->row, meter->row, sizeof best->row);
    }
}

static an_status add(an_bench *bench, const an_bench_preset *preset, const char *precision, const char *what, an_bench_row row, double whole)
{
    row.group = "op";
    row.share = row.seconds / whole;
    snprintf(row.name, sizeof row.name, "%s", what);
    snprintf(row.shape, sizeof row.shape, "%s, %s", preset->name, precision);
    return an_bench_add(bench, &row);
}

static an_status add_all(an_bench *bench, const an_bench_preset *preset, const char *precision, const an_bench_model *m, const profile *p)
{
    const bool low = strcmp(precision, "f32") != 0;
    const double moved[OPTIMIZER] = { sizeof(an_real) * m->params, (7.0 * sizeof(an_real) + (low ? sizeof(an_bf16) : 0)) * m->params };   /* p g m v read, p m v and a copy of p written */
    double sum = p->optimizer[0] + p->optimizer[1];
    for (size_t i = 0; i < p->rows; i++) {
        const an_meter_row *r = &p->row[i];
        char what[48];
        const bool rest = r->part[0] == '\0';
        snprintf(what, sizeof what, "%s, %s", r->op, rest ? "the rest" : r->part);
        AN_TRY(add(bench, preset, precision, what, (an_bench_row){ .seconds = r->seconds, .flops = r->flops, .bytes = r->bytes, .low = low }, p->seconds));
        sum += r->seconds;
    }
    AN_TRY(add(bench, preset, precision, "gradient norm", (an_bench_row){ .seconds = p->optimizer[0], .bytes = moved[0] }, p->seconds));
    AN_TRY(add(bench, preset, precision, "adamw", (an_bench_row){ .seconds = p->optimizer[1], .bytes = moved[1] }, p->seconds));
    return add(bench, preset, precision, "all of these", (an_bench_row){ .seconds = sum, .flops = m->flops, .low = low }, p->seconds);
}

static an_status measure(an_bench *bench, const an_bench_preset *preset, const char *precision)
{
    an_bench_model m;
    an_meter meter;
    profile best = { .rows = 0 };
    if (bench->tick) bench->tick(bench->ctx, preset->name);
    AN_TRY(an_bench_model_init(&m, preset, precision, bench->threads));
    an_status status = an_meter_init(&meter, bench->threads);
    if (status == AN_OK) {
        take(bench, &m, &meter, &best);
        status = add_all(bench, preset, precision, &m, &best);
    }
    an_meter_fini(&meter);
    an_bench_model_fini(&m);
    return status;
}

an_status an_bench_ops(an_bench *bench, bool full)
{
    for (const an_bench_preset *p = AN_BENCH_PRESETS; p->name; p++) {
        if (p->large && !full) continue;
        AN_TRY(measure(bench, p, "f32"));
        AN_TRY(measure(bench, p, "bf16"));
    }
    return AN_OK;
}
