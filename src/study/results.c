/* study/results.c
 * From run folders to numbers, and from cells to groups over seeds. Only what the log says of updates and evaluations counts, never when
 * they were made: a run that was stopped and resumed leaves the same log. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/study_impl.h"

const char *an_cell_state_name(an_cell_state state)
{
    static const char *const NAMES[AN_CELL_STATES] = { "waiting", "running", "finished", "diverged", "skipped", "failed" };
    return NAMES[state];
}

/* ---- one cell ---- */

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_rate(const an_record *r)
{
    double *rate = an_alloc((r->n_steps + 1) * sizeof *rate), median = NAN;
    size_t n = 0;
    for (size_t i = 0; rate && i < r->n_steps; i++)
        if (isfinite(r->step[i].flops_per_s)) rate[n++] = r->step[i].flops_per_s;
    if (n) {
        qsort(rate, n, sizeof *rate, by_size);
        median = rate[n / 2];
    }
    free(rate);
    return median;
}

/* How many logged updates a log lacks beside those whose lines are damaged: before its first, at its end, or in a gap that is a multiple of the usual one, as where a
 * machine lost power between log and checkpoint. */
static size_t steps_missing(const an_record *r)
{
    const size_t n = r->n_steps;
    double *gap = an_alloc((n + 1) * sizeof *gap), missing = 0;
    if (n == 0 || !gap) {
        free(gap);
        return n ? 0 : r->end.step > 0;
    }
    for (size_t i = 1; i < n; i++) gap[i - 1] = (double)(r->step[i].step - r->step[i - 1].step);
    qsort(gap, n - 1, sizeof *gap, by_size);
    const double usual = n > 1 ? gap[(n - 1) / 2] : 1;
    for (size_t i = 1; i < n; i++) missing += fmax(0, floor(gap[i - 1] / usual) - 1);
    missing += (double)(r->step[0].step - 1) / usual + (r->end.step > r->step[n - 1].step ? ceil((double)(r->end.step - r->step[n - 1].step) / usual) : 0);
    free(gap);
    return missing > (double)r->damaged ? (size_t)missing : 0;
}

static void take_record(an_study_cell *cell, const an_record *r)
{
    const an_event_eval *eval = an_record_last_eval(r);
    an_cell_result *x = &cell->result;
    const bool over = r->state == AN_RECORD_FINISHED || r->state == AN_RECORD_DIVERGED;
    x->steps = r->n_steps ? r->step[r->n_steps - 1].step : 0;
    x->tokens = r->n_steps ? r->step[r->n_steps - 1].tokens : 0;
    x->params = r->start.params;
    x->damaged = r->damaged;
    x->entropy = r->start.unigram_entropy;
    x->loss = r->state == AN_RECORD_FINISHED ? an_record_tail(r).loss : NAN;
    x->val_loss = r->state == AN_RECORD_FINISHED && eval ? eval->val.loss : NAN;
    x->bits_per_byte = r->state == AN_RECORD_FINISHED && eval ? eval->val.bits_per_byte : NAN;
    x->first_loss = r->n_evals && r->eval[0].step == 0 ? r->eval[0].val.loss : r->n_steps && r->step[0].step == 1 ? r->step[0].loss : NAN;
    x->best_val_loss = INFINITY;
    for (size_t i = 0; i < r->n_evals; i++)
        if (r->eval[i].val.loss < x->best_val_loss) x->best_val_loss = r->eval[i].val.loss;
    if (!over || !isfinite(x->best_val_loss)) x->best_val_loss = NAN;
    x->flops_per_s = median_rate(r);
    snprintf(x->version, sizeof x->version, "%s", r->version);
    if (!over) return;
    cell->state = r->state == AN_RECORD_FINISHED ? AN_CELL_FINISHED : AN_CELL_DIVERGED;
    cell->flops = r->start.flops_per_step * (double)r->start.steps;
    cell->flops_step = r->start.flops_per_step;
    cell->reason = NULL;
}

an_status an_study_look(an_study *s, an_study_cell *cell)
{
    an_record *r = NULL;
    if (cell->state == AN_CELL_SKIPPED || an_cell_is_over(cell)) return AN_OK;
    char *run = an_study_path(s, "cells", cell->name, "");
    if (!run) return an_fail(AN_ENOMEM, "%s: no memory", s->place);
    const an_status status = an_is_run_folder(run) ? an_record_read(&r, run, false) : AN_OK;
    free(run);
    if (status == AN_ENOMEM) return status;
    if (status != AN_OK) {
        cell->state = AN_CELL_FAILED;
        cell->reason = an_arena_printf(&s->arena, "%s", an_error_text());
        return cell->reason ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", s->place);
    }
    const size_t missing = r && r->state == AN_RECORD_FINISHED ? steps_missing(r) : 0;
    if (r && !missing) take_record(cell, r);
    an_record_destroy(&r);
    if (!missing) return AN_OK;
    cell->state = AN_CELL_FAILED;
    cell->reason = an_arena_printf(&s->arena, "its log lacks %zu steps or more; remove %s/cells/%s to train it again", missing, s->out, cell->name);
    return cell->reason ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", s->place);
}

void an_study_judge(an_study *s)
{
    for (size_t i = 0; i < s->n_cells; i++) {
        an_study_cell *cell = &s->cell[i];
        const an_study_cell *pre_ln = cell->reference == AN_NO_CELL ? NULL : &s->cell[cell->reference];
        cell->result.outcome = an_cell_is_over(cell) ? an_outcome_judge(cell->result.loss, cell->result.entropy, cell->result.steps, pre_ln ? an_cell_quantity(pre_ln, AN_Q_LOSS) : NAN) : AN_OUTCOME_NONE;
    }
}

/* ---- asking ---- */

const char *an_cell_value(const an_study_cell *cell, const char *key)
{
    for (size_t i = 0; i < cell->n_settings; i++)
        if (strcmp(cell->setting[i].key, key) == 0) return cell->setting[i].value;
    return "";
}

double an_cell_number(const an_study_cell *cell, const char *key)
{
    const char *text = an_cell_value(cell, key);
    char *end;
    const double x = strtod(text, &end);
    return *text && !*end ? x : NAN;
}

double an_cell_quantity(const an_study_cell *cell, an_quantity quantity)
{
    if (cell->state != AN_CELL_FINISHED) return NAN;
    return quantity == AN_Q_LOSS ? cell->result.loss : quantity == AN_Q_VAL_LOSS ? cell->result.val_loss : cell->result.bits_per_byte;
}

static bool has_settings(const an_study_cell *cell, const char *settings)
{
    char key[AN_NAME];
    for (const char *p = settings; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
        const size_t n = strcspn(p, "= ");
        if (p[n] != '=' || n >= sizeof key) return false;
        snprintf(key, sizeof key, "%.*s", (int)n, p);
        const char *value = an_cell_value(cell, key), *wanted = p + n + 1;
        if (strlen(value) != strcspn(wanted, " ") || strncmp(value, wanted, strlen(value)) != 0) return false;
    }
    return true;
}

const an_study_group *an_study_find(const an_study *s, const char *settings)
{
    for (size_t i = 0; i < s->n_groups; i++)
        if (has_settings(&s->cell[s->group[i].first], settings)) return &s->group[i];
    return NULL;
}

bool an_cell_is_over(const an_study_cell *cell) { return cell->state == AN_CELL_FINISHED || cell->state == AN_CELL_DIVERGED; }

size_t an_group_over(const an_study *s, const an_study_group *group)
{
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) n += an_cell_is_over(&s->cell[group->first + i]);
    return n;
}

size_t an_group_count(const an_study *s, const an_study_group *group, an_outcome outcome)
{
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) n += s->cell[group->first + i].result.outcome == outcome;
    return n;
}

size_t an_study_count(const an_study *s, an_cell_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n_cells; i++) n += s->cell[i].state == state;
    return n;
}

const an_study_cell *an_cell_beside(const an_study *s, const an_study_cell *cell, const an_study_group *other)
{
    if (!other) return cell->reference == AN_NO_CELL ? NULL : &s->cell[cell->reference];
    for (size_t i = 0; i < other->n; i++) {
        const an_study_cell *c = &s->cell[other->first + i];
        if (!c->seed || !cell->seed ? c->seed == cell->seed : strcmp(c->seed, cell->seed) == 0) return c;
    }
    return NULL;
}

enum { PLAIN, PAIRED };

static an_mean mean_of(const an_study *s, const an_study_group *group, const an_study_group *other, int how, an_quantity quantity)
{
    double *x = an_alloc((2 * group->n + 1) * sizeof *x), *y = x + group->n;
    if (!x) return (an_mean){ .mean = NAN, .deviation = NAN, .half = NAN, .p = NAN };
    for (size_t i = 0; i < group->n; i++) {
        const an_study_cell *cell = &s->cell[group->first + i], *beside = how == PAIRED ? an_cell_beside(s, cell, other) : NULL;
        x[i] = an_cell_quantity(cell, quantity);
        y[i] = beside ? an_cell_quantity(beside, quantity) : how == PAIRED ? NAN : 0;
    }
    const an_mean m = an_stat_paired(group->n, x, y);
    free(x);
    return m;
}

an_mean an_group_mean(const an_study *s, const an_study_group *group, an_quantity quantity) { return mean_of(s, group, NULL, PLAIN, quantity); }
an_mean an_group_difference(const an_study *s, const an_study_group *a, const an_study_group *b, an_quantity quantity) { return mean_of(s, a, b, PAIRED, quantity); }
an_mean an_group_against_reference(const an_study *s, const an_study_group *group, an_quantity quantity) { return mean_of(s, group, NULL, PAIRED, quantity); }
