/* plan/meter.c
 * The time of an instruction is that of the wall, so that all of them make up the pass; it is dealt to what its parts made in the
 * ratio of the threads' own times. */
#include "plan/meter.h"

#include <stdlib.h>

#include "core/arena.h"

an_status an_meter_init(an_meter *meter, int threads)
{
    *meter = (an_meter){ .threads = threads, .spent = an_alloc((size_t)threads * sizeof *meter->spent) };
    return meter->spent ? AN_OK : an_fail(AN_ENOMEM, "out of memory for a meter of %d threads", threads);
}

void an_meter_clear(an_meter *meter) { meter->rows = 0; }

void an_meter_fini(an_meter *meter)
{
    free(meter->spent);
    *meter = (an_meter){ 0 };
}

static const char *name_of(const an_step *s, an_direction dir, const an_part *p)
{
    return s->op->part_name ? s->op->part_name(s, dir, p) : dir == AN_FORWARD ? "forward" : "backward";
}

static void spend(an_meter_spent *spent, const char *name, double seconds)
{
    for (int i = 0; i < AN_METER_NAMES; i++) {
        if (spent->name[i] && strcmp(spent->name[i], name) != 0) continue;
        spent->name[i] = name;
        spent->seconds[i] += seconds;
        return;
    }
}

void an_meter_part(an_meter *meter, const an_step *step, an_direction dir, const an_part *part, double seconds)
{
    spend(&meter->spent[part->thread], name_of(step, dir, part), seconds);
}

/* ---- what must move ---- */

static double size_of(an_store store, size_t count) { return (double)count * (store == AN_STORE_REAL ? sizeof(an_real) : sizeof(an_bf16)); }

/* Inputs and outputs, in reals or as they are held. */
static double touched(const an_step *s, bool held)
{
    double sum = 0;
    for (int i = 0; i < s->n_in; i++)
        if (s->in[i] && s->in[i]->home != AN_HOME_INPUT) sum += size_of(!held ? AN_STORE_REAL : s->in[i]->low ? AN_STORE_BF16 : s->in[i]->store, s->in[i]->count);
    for (int o = 0; o < s->n_out; o++) sum += size_of(held ? s->out[o]->store : AN_STORE_REAL, s->out[o]->count);
    return sum;
}

static double forward_bytes(const an_step *s)
{
    const double reals = touched(s, false);
    return reals > 0 ? s->op->cost(s).bytes * touched(s, true) / reals : 0;
}

/* An op that reads some rows of its inputs only, as embedding does, says so by its cost: it reads and changes as many. */
static double backward_bytes(const an_run *r, const an_step *s)
{
    double sum = 0;
    if (s->op->cost(s).bytes < 0.9 * touched(s, false)) return 2 * forward_bytes(s);
    for (int i = 0; i < s->n_in; i++) {
        const an_value *v = s->in[i];
        if (!v || v->home == AN_HOME_INPUT) continue;
        if (an_bit(s->op->saves_in, i)) sum += size_of(v->low ? AN_STORE_BF16 : v->store, v->count);
        if (an_has_grad(s, i)) sum += (an_add(r, s, i) ? 2 : 1) * size_of(v->grad_store, v->count);
    }
    for (int o = 0; o < s->n_out; o++) {
        if (s->op->saves_out >> o & 1u) sum += size_of(s->out[o]->store, s->out[o]->count);
        if (s->out[o]->grad) sum += size_of(s->out[o]->grad_store, s->out[o]->count);
    }
    return sum;
}

/* ---- rows ---- */

static an_meter_row *row_of(an_meter *meter, const char *op, const char *part)
{
    for (size_t i = 0; i < meter->rows; i++)
        if (strcmp(meter->row[i].op, op) == 0 && strcmp(meter->row[i].part, part) == 0) return &meter->row[i];
    if (meter->rows == AN_METER_ROWS) return NULL;
    an_meter_row *row = &meter->row[meter->rows++];
    *row = (an_meter_row){ .op = op, .part = part };
    return row;
}

/* A product touches its three matrices once, whichever of the three it is. */
void an_meter_instr(an_meter *meter, const an_run *run, const an_step *step, an_direction dir, double seconds)
{
    an_meter_spent sum = { { 0 }, { 0 } };
    double all = 0, named = 0;
    for (int t = 0; t < meter->threads; t++)
        for (int i = 0; i < AN_METER_NAMES && meter->spent[t].name[i]; i++) spend(&sum, meter->spent[t].name[i], meter->spent[t].seconds[i]);
    memset(meter->spent, 0, (size_t)meter->threads * sizeof *meter->spent);
    for (int i = 0; i < AN_METER_NAMES && sum.name[i]; i++) {
        all += sum.seconds[i];
        named += sum.name[i][0] != '\0';
    }
    const double times = dir == AN_FORWARD ? 1 : step->op->backward_flops + (run->late && step->op->late), flops = times * step->op->cost(step).flops;
    for (int i = 0; i < AN_METER_NAMES && sum.name[i]; i++) {
        an_meter_row *row = row_of(meter, step->op->name, sum.name[i]);
        if (!row || all <= 0) continue;
        row->calls++;
        row->seconds += seconds * sum.seconds[i] / all;
        if (sum.name[i][0] == '\0') continue;
        row->flops += flops / named;
        row->bytes += dir == AN_FORWARD || step->op->part_name ? forward_bytes(step) : backward_bytes(run, step);
    }
}
