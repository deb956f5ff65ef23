/* study/evidence.c
 * From logs to what a judge asks. */
#include "study/evidence.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "study/record.h"
#include "study/statistics.h"
#include "train/safetensors.h"

/* A cell's log, or NULL: what cannot be read is not there. */
static an_record *read_log(const an_study *s, const an_study_cell *cell, bool telemetry)
{
    an_record *r = NULL;
    char *run = an_cell_is_over(cell) ? an_study_path(s, "cells", cell->name, "") : NULL;
    if (run && an_record_read(&r, run, telemetry) != AN_OK) r = NULL;
    free(run);
    return r;
}

static bool ends_in(const char *name, const char *suffix)
{
    const size_t n = strlen(name), k = strlen(suffix);
    return n >= k && strcmp(name + n - k, suffix) == 0;
}

static double at_look(const an_record_table *t, an_when when, size_t metric, size_t name)
{
    if (when == AN_AT_FIRST || when == AN_AT_LAST) return an_record_value(t, when == AN_AT_FIRST ? 0 : t->n_looks - 1, metric, name);
    double most = NAN;
    for (size_t i = 0; i < t->n_looks && (when == AN_AT_MOST || t->step[i] <= AN_EARLY_STEPS); i++) {
        const double pair[] = { an_record_value(t, i, metric, name), most };
        most = an_stat_most(i ? 2 : 1, pair);
    }
    return most;
}

void an_cell_profile(const an_study *s, const an_study_cell *cell, an_wanted w, an_profile *out)
{
    size_t metric = 0;
    an_record *r = read_log(s, cell, true);
    const an_record_table *t = r ? an_record_find(r, w.family, w.metric, &metric) : NULL;
    out->n = 0;
    for (size_t i = 0; t && t->n_looks && i < t->n_names && out->n < AN_PROFILE_MOST; i++)
        if (ends_in(t->name[i], w.suffix)) out->y[out->n++] = at_look(t, w.when, metric, i);
    an_record_destroy(&r);
}

double an_cell_mean(const an_study *s, const an_study_cell *cell, an_wanted w)
{
    an_profile p;
    double sum = 0;
    an_cell_profile(s, cell, w, &p);
    for (size_t i = 0; i < p.n; i++) sum += p.y[i] / (double)p.n;
    return p.n ? sum : NAN;
}

double an_cell_most(const an_study *s, const an_study_cell *cell, an_wanted w)
{
    an_profile p;
    an_cell_profile(s, cell, w, &p);
    return an_stat_most(p.n, p.y);
}

double an_cell_skips_keep(const an_study *s, const an_study_cell *cell)
{
    an_profile p;
    double product = 1;
    an_cell_profile(s, cell, (an_wanted){ "ledger", "attenuation", "", AN_AT_FIRST }, &p);
    for (size_t i = 0; i < p.n; i++) product *= p.y[i];
    return p.n ? product : NAN;
}

double an_cell_reach(const an_study *s, const an_study_cell *cell)
{
    an_profile in, out;
    an_cell_profile(s, cell, (an_wanted){ "ledger", "g_in", "", AN_AT_FIRST }, &in);
    an_cell_profile(s, cell, (an_wanted){ "ledger", "g_out", "", AN_AT_FIRST }, &out);
    return in.n && out.n ? in.y[0] / out.y[out.n - 1] : NAN;
}

double an_cell_tensor_most(const an_study *s, const an_study_cell *cell, const char *tensor)
{
    an_safetensors *file = NULL;
    double most = NAN;
    char *run = cell->state == AN_CELL_FINISHED ? an_study_path(s, "cells", cell->name, "") : NULL, *path = run ? an_path_join(run, "checkpoints/latest/model.safetensors") : NULL;
    const an_st_tensor *t = path && an_safetensors_open(&file, path) == AN_OK ? an_safetensors_find(file, tensor) : NULL;
    size_t n = 1;
    for (size_t i = 0; t && i < t->rank; i++) n *= t->dim[i];
    an_real *x = t ? an_alloc((n + 1) * sizeof *x) : NULL;
    if (x && an_safetensors_read(file, tensor, t->rank, t->dim, x) == AN_OK)
        for (size_t i = 0; i < n; i++) most = an_stat_most(i ? 2 : 1, (double[]){ fabs((double)x[i]), most });
    free(x);
    an_safetensors_close(&file);
    free(path);
    free(run);
    return most;
}

void an_group_squares(const an_study *s, const char *settings, an_wanted w, an_profile *out)
{
    const an_study_group *g = an_study_find(s, settings);
    an_profile one;
    *out = (an_profile){ .n = 0 };
    for (size_t i = 0; g && i < g->n; i++) {
        an_cell_profile(s, &s->cell[g->first + i], w, &one);
        if (one.n == 0 || (i && one.n != out->n)) {
            out->n = 0;
            return;
        }
        out->n = one.n;
        for (size_t k = 0; k < one.n; k++) out->y[k] += one.y[k] * one.y[k] / (double)g->n;
    }
}

double an_group_measure(const an_study *s, const char *settings, an_cell_measure measure)
{
    const an_study_group *g = an_study_find(s, settings);
    double sum = g ? 0 : NAN;
    for (size_t i = 0; g && i < g->n; i++) sum += measure(s, &s->cell[g->first + i]) / (double)g->n;
    return sum;
}

double an_group_quantity(const an_study *s, const char *settings, an_quantity quantity)
{
    const an_study_group *g = an_study_find(s, settings);
    const an_mean m = g ? an_group_mean(s, g, quantity) : (an_mean){ .mean = NAN };
    if (!g || an_group_over(s, g) < g->n) return NAN;
    return m.n == g->n ? m.mean : INFINITY;
}

an_sensitivity an_study_sensitivity(const an_study *s, an_cell_wanted among, const void *ctx)
{
    an_sensitivity out = { .nats = 0, .first = NAN, .lowest = INFINITY };
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        if (among && !among(ctx, cell)) continue;
        const double loss = an_cell_quantity(cell, AN_Q_VAL_LOSS);
        out.n++;
        out.over += an_cell_is_over(cell);
        out.diverged += cell->state == AN_CELL_DIVERGED;
        if (loss < out.lowest) out.lowest = loss;
    }
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        if (among && !among(ctx, cell)) continue;
        const double loss = an_cell_quantity(cell, AN_Q_VAL_LOSS);
        out.first = cell->result.first_loss;
        out.nats += ((loss < out.first ? loss : out.first) - out.lowest) / (double)out.n;
    }
    if (out.over < out.n || !isfinite(out.lowest)) out.nats = NAN;
    return out;
}

enum { WINDOW = 10 };

double an_cell_steps_to(const an_study *s, const an_study_cell *cell, double target)
{
    an_record *r = read_log(s, cell, false);
    double sum = 0, steps = r && isfinite(target) ? INFINITY : NAN;
    for (size_t i = 0; r && i < r->n_steps; i++) {
        sum += r->step[i].loss - (i >= WINDOW ? r->step[i - WINDOW].loss : 0);
        if (isinf(steps) && i + 1 >= WINDOW && sum / WINDOW <= target) steps = (double)r->step[i].step;
    }
    an_record_destroy(&r);
    return steps;
}

double an_cell_loss_at(const an_study *s, const an_study_cell *cell, uint64_t step)
{
    an_record *r = read_log(s, cell, false);
    double sum = 0;
    size_t n = 0;
    for (size_t i = r ? r->n_steps : 0; i-- > 0 && n < WINDOW;) {
        if (r->step[i].step > step) continue;
        sum += r->step[i].loss;
        n++;
    }
    an_record_destroy(&r);
    return n == WINDOW ? sum / WINDOW : NAN;
}

void an_find_number(an_findings *f, double x, an_limits limits, const char *claim, const char *expected, const char *measured, ...)
{
    char text[512];
    va_list args;
    va_start(args, measured);
    vsnprintf(text, sizeof text, measured, args);
    va_end(args);
    if (isnan(x)) an_findings_add(f, AN_FINDING_OPEN, claim, expected, "runs are missing or not finite");
    else an_findings_add(f, x >= limits.least && x <= limits.most ? AN_FINDING_PASS : AN_FINDING_FAIL, claim, expected, "%s", text);
}

void an_find_told(an_findings *f, double x, const char *claim, const char *measured, ...)
{
    char text[512];
    va_list args;
    va_start(args, measured);
    vsnprintf(text, sizeof text, measured, args);
    va_end(args);
    an_findings_add(f, isnan(x) ? AN_FINDING_OPEN : AN_FINDING_TOLD, claim, NULL, "%s", isnan(x) ? "runs are missing or not finite" : text);
}

/* "1 failed, 2 trained". */
static void put_outcomes(an_text *out, const size_t *count)
{
    for (an_outcome o = AN_OUTCOME_FAILED; o < AN_OUTCOMES; o++)
        if (count[o]) an_text_add(out, "%s%zu %s", out->length ? ", " : "", count[o], an_outcome_name(o));
}

void an_find_outcome(const an_study *s, an_findings *f, an_expected_outcome what, const char *claim, const char *expected)
{
    const an_study_group *g = an_study_find(s, what.settings), *against = what.against ? an_study_find(s, what.against) : NULL;
    size_t count[AN_OUTCOMES] = { 0 }, as_wanted = 0, over = g ? an_group_over(s, g) : 0;
    an_text ended = { 0 };
    if (!g || over < g->n || (what.against && (!against || an_group_over(s, against) < against->n))) {
        an_findings_add(f, AN_FINDING_OPEN, claim, expected, "%zu of %zu runs are there%s", over, g ? g->n : (size_t)0, g && over == g->n ? ", but not those beside them" : "");
        return;
    }
    for (size_t i = 0; i < g->n; i++) {
        const an_study_cell *cell = &s->cell[g->first + i], *beside = an_cell_beside(s, cell, against);
        count[an_outcome_judge(cell->result.loss, cell->result.entropy, cell->result.steps, beside ? an_cell_quantity(beside, AN_Q_LOSS) : NAN)]++;
    }
    for (an_outcome o = AN_OUTCOME_FAILED; o < AN_OUTCOMES; o++) as_wanted += o == what.wanted || (what.wanted != AN_OUTCOME_TRAINED && o < what.wanted) ? count[o] : 0;
    put_outcomes(&ended, count);
    an_findings_add(f, (double)as_wanted >= what.share * (double)g->n ? AN_FINDING_PASS : AN_FINDING_FAIL, claim, expected, "%s, mean loss %.3f beside H1 %.3f", an_text_get(&ended),
                    an_group_mean(s, g, AN_Q_LOSS).mean, s->cell[g->first].result.entropy);
    an_text_fini(&ended);
}
