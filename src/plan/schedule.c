/* plan/schedule.c
 * From steps to code. Forward is the steps in order, backward the same steps in reverse. With recomputation the values that
 * are made and read inside one segment of blocks are dropped after the forward pass: backward works on copies of the segment's
 * steps, and those copies whose results it needs are run forward again first. Replays see the same counters, so the same bits.
 *
 * A segment that is cut into groups is run again in two passes. The first one makes only what passes from group to group;
 * then each group, from the last one, is run again for its own backward. So there are three copies of a step at most: the one
 * of the forward pass, that of the first pass (which nothing but the second reads), and the one that backward works on. `now`
 * holds, for each value, the copy that whoever is scheduled next must read.
 *
 * With L blocks that cost b to keep at their borders and i inside, segments of s blocks and groups of g take about
 *     (L / s) b + (s / g) b + g i      and run (1 - g / s) + 1 forward passes again.
 * One run (g = s): least at s = root of L b / i, 2 root of L b i. Two runs (g = 1): least at s = root of L, 2 (root of L) b + i. */
#include "plan/plan.h"

#include <stdlib.h>

typedef struct region { size_t begin, end; } region;    /* steps [begin, end) */

enum { SEGMENT, GROUP, LEVELS };

typedef struct schedule {
    an_plan *plan;
    size_t *made;                  /* value id -> step that makes it */
    int *part[LEVELS];             /* step -> number of its segment, group; -1: it is not run again */
    char *inside[LEVELS];          /* value id -> made and read in one segment, one group */
    char *needed;                  /* step -> must be run again */
    an_value **now;                /* value id -> its latest copy */
    an_step **copy;                /* step -> its latest copy */
} schedule;

/* The first of those that share a part with `i`, when n things are cut into so many even parts. */
static size_t first_of_part(size_t i, size_t n, size_t parts) { return (i * parts / n * n + parts - 1) / parts; }
static size_t parts_of(size_t n, size_t size) { return (n + size - 1) / size; }

an_region an_plan_region(const an_plan *plan, int block)
{
    const an_recompute *r = &plan->recompute;
    const size_t n = plan->n_blocks > r->kept ? plan->n_blocks - r->kept : 0, i = (size_t)block;
    if (r->segment == 0 || block < 0 || i >= n) return (an_region){ -1, -1 };
    const size_t parts = parts_of(n, r->segment), begin = first_of_part(i, n, parts), size = ((i * parts / n + 1) * n + parts - 1) / parts - begin;
    return (an_region){ (int)begin, (int)(begin + first_of_part(i - begin, size, parts_of(size, r->group))) };
}

static region region_ending_at(const int *part, size_t end)
{
    size_t begin = end - 1;
    while (begin > 0 && part[begin - 1] == part[end - 1]) begin--;
    return (region){ begin, end };
}

/* Which step makes a value, which values nobody reads outside of the segment or group that makes them, and who is run again. */
static void find_inside(schedule *s)
{
    const an_plan *plan = s->plan;
    for (size_t i = 0; i < plan->n_steps; i++) {
        const an_step *step = plan->steps[i];
        const an_region r = an_plan_region(plan, step->block);
        s->part[SEGMENT][i] = r.segment;
        s->part[GROUP][i] = r.group;
        for (int k = 0; k < step->n_out; k++) {
            s->made[step->out[k]->id] = i;
            for (int level = 0; level < LEVELS; level++) s->inside[level][step->out[k]->id] = s->part[level][i] >= 0 && !step->out[k]->keep;
        }
        for (int k = 0; k < step->n_in; k++)
            for (int level = 0; level < LEVELS && step->in[k]; level++)
                if (s->inside[level][step->in[k]->id] && s->part[level][s->made[step->in[k]->id]] != s->part[level][i]) s->inside[level][step->in[k]->id] = 0;
    }
}

/* And the makers of what those that are needed read, where it was dropped. */
static void close_needed(schedule *s, region r, const char *inside)
{
    for (size_t i = r.end; i-- > r.begin;)
        for (int k = 0; s->needed[i] && k < s->plan->steps[i]->n_in; k++) {
            const an_value *v = s->plan->steps[i]->in[k];
            if (v && inside[v->id]) s->needed[s->made[v->id]] = 1;
        }
}

/* Steps whose results inside the group backward reads, directly or through other replays. */
static void need_for_backward(schedule *s, region r)
{
    const char *inside = s->inside[GROUP];
    memset(s->needed + r.begin, 0, r.end - r.begin);
    for (size_t i = r.begin; i < r.end; i++) {
        const an_step *step = s->plan->steps[i];
        for (int k = 0; k < step->n_in; k++)
            if (step->in[k] && an_bit(step->op->saves_in, k) && inside[step->in[k]->id]) s->needed[s->made[step->in[k]->id]] = 1;
        for (int k = 0; k < step->n_out; k++) s->needed[i] |= (step->op->saves_out >> k & 1u) && inside[step->out[k]->id];
    }
    close_needed(s, r, inside);
}

static bool at_border(const schedule *s, const an_value *v) { return s->inside[SEGMENT][v->id] && !s->inside[GROUP][v->id]; }

/* Steps that make what passes from one group of the segment to another. */
static void need_for_borders(schedule *s, region r)
{
    memset(s->needed + r.begin, 0, r.end - r.begin);
    for (size_t i = r.begin; i < r.end; i++)
        for (int k = 0; k < s->plan->steps[i]->n_out; k++) s->needed[i] |= at_border(s, s->plan->steps[i]->out[k]);
    close_needed(s, r, s->inside[SEGMENT]);
}

static void append(an_plan *plan, an_step *step, an_direction dir) { plan->code[plan->n_code++] = (an_instr){ step, dir }; }

/* A copy of step i over the latest copies of its inputs, with new outputs where the old ones were dropped. */
static an_status copy_step(schedule *s, size_t i, int level)
{
    an_plan *plan = s->plan;
    const an_step *step = plan->steps[i];
    an_step *copy = s->copy[i] = an_step_copy(plan, step);
    if (!copy) return an_fail(AN_ENOMEM, "out of memory while planning recomputation");
    copy->replay = true;
    for (int k = 0; k < step->n_in; k++)
        if (step->in[k]) copy->in[k] = s->now[step->in[k]->id];
    for (int k = 0; k < step->n_out; k++) {
        an_value *v = step->out[k];
        if (s->inside[level][v->id]) {
            an_value *c = s->now[v->id] = an_value_new(plan, v->name, v->dims, v->home);
            if (!c) return an_fail(AN_ENOMEM, "out of memory while planning recomputation");
            c->origin = v->id;
            c->aux = v->aux;
            c->store = v->store;
            c->stream = v->stream;
            c->n_use = v->n_use;
            plan->dropped += s->needed[i] && (level == GROUP || at_border(s, v)) ? an_store_reals(v->store, v->count) : 0;
        }
        copy->out[k] = s->now[v->id];
        copy->out[k]->producer = copy;                   /* its gradient is consumed by the copy */
    }
    return AN_OK;
}

/* Runs the needed steps of the region again; the others get a copy too where backward is to work on it. */
static an_status replay(schedule *s, region r, int level)
{
    for (size_t i = r.begin; i < r.end; i++) {
        if (level == GROUP || s->needed[i]) AN_TRY(copy_step(s, i, level));
        if (s->needed[i]) append(s->plan, s->copy[i], AN_FORWARD);
    }
    return AN_OK;
}

static an_status backward_segment(schedule *s, region r)
{
    if (region_ending_at(s->part[GROUP], r.end).begin > r.begin) {
        need_for_borders(s, r);
        AN_TRY(replay(s, r, SEGMENT));
    }
    for (size_t end = r.end; end > r.begin;) {
        const region g = region_ending_at(s->part[GROUP], end);
        need_for_backward(s, g);
        AN_TRY(replay(s, g, GROUP));
        while (end > g.begin) append(s->plan, s->copy[--end], AN_BACKWARD);
    }
    return AN_OK;
}

static an_status backward(schedule *s)
{
    const an_plan *plan = s->plan;
    find_inside(s);
    for (size_t i = 0; i < plan->n_values; i++) s->now[i] = plan->values[i];
    for (size_t end = plan->n_steps; end > 0;) {
        if (s->part[SEGMENT][end - 1] < 0) {
            append(s->plan, plan->steps[--end], AN_BACKWARD);
            continue;
        }
        const region r = region_ending_at(s->part[SEGMENT], end);
        AN_TRY(backward_segment(s, r));
        end = r.begin;
    }
    return AN_OK;
}

an_status an_plan_schedule(an_plan *plan)
{
    const size_t n = plan->n_steps, v = plan->n_values;
    plan->code = an_alloc((plan->recompute.segment ? 4 : 2) * n * sizeof *plan->code);
    if (!plan->code && n) return an_fail(AN_ENOMEM, "out of memory while planning");
    for (size_t i = 0; i < n; i++) append(plan, plan->steps[i], AN_FORWARD);
    plan->n_forward = plan->n_code;
    if (!plan->train) return AN_OK;
    schedule s = { plan, an_alloc(v * sizeof *s.made), { an_alloc(n * sizeof **s.part), an_alloc(n * sizeof **s.part) }, { an_alloc(v), an_alloc(v) },
                   an_alloc(n), an_alloc(v * sizeof *s.now), an_alloc(n * sizeof *s.copy) };
    void *all[] = { s.made, s.part[SEGMENT], s.part[GROUP], s.inside[SEGMENT], s.inside[GROUP], s.needed, s.now, s.copy };
    bool whole = true;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) whole &= all[i] != NULL;
    const an_status status = whole ? backward(&s) : an_fail(AN_ENOMEM, "out of memory while planning");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
    return status;
}
