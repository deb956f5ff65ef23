/* study/answer_measure.c
 * From the cells of the study to the numbers of study/answer.h. Cells are found by what the grid says of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "study/answer.h"
#include "study/record.h"

static const char *const DESIGN[] = { "plain", "pre-ln" };

/* ---- runs ---- */

static an_status read_cell(const an_study *s, size_t cell, bool telemetry, an_record **out)
{
    char *run = an_study_path(s, "cells", s->cell[cell].name, "");
    const an_status status = run ? an_record_read(out, run, telemetry) : an_fail(AN_ENOMEM, "%s: no memory", s->place);
    free(run);
    return status;
}

static an_status take_accuracy(const an_study *s, const an_study_group *g, an_mean *out)
{
    double *x = an_alloc((g->n + 1) * sizeof *x);
    an_status status = x ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", s->place);
    for (size_t i = 0; i < g->n && status == AN_OK; i++) {
        an_record *r = NULL;
        x[i] = NAN;
        if (s->cell[g->first + i].state != AN_CELL_FINISHED) continue;
        status = read_cell(s, g->first + i, false, &r);
        if (status == AN_OK) x[i] = an_record_tail(r).accuracy;
        an_record_destroy(&r);
    }
    if (status == AN_OK) *out = an_stat_mean(g->n, x);
    free(x);
    return status;
}

static an_status take_runs(const an_study *s, const char *settings, const char *label, bool images, an_answer_runs *out)
{
    const an_study_group *g = an_study_find(s, settings);
    *out = (an_answer_runs){ .label = label, .cell = g ? g->first : AN_NO_CELL, .loss.mean = NAN, .accuracy.mean = NAN, .entropy = NAN };
    if (!g) return AN_OK;
    out->runs = g->n;
    out->loss = an_group_mean(s, g, AN_Q_LOSS);
    out->entropy = s->cell[g->first].result.entropy;
    out->failed = an_group_count(s, g, AN_OUTCOME_FAILED);
    out->over = an_group_over(s, g);
    return images ? take_accuracy(s, g, &out->accuracy) : AN_OK;
}

const char *const an_answer_rates[AN_ANSWER_RATES] = { "1e-3", "3e-3" };

static an_status take_placement(const an_study *s, size_t rate, an_answer_runs to[2][2])
{
    static const char *const PLACE[2][2] = { { "Post-LN, no warm-up", "Post-LN, warm-up" }, { "Pre-LN, no warm-up", "Pre-LN, warm-up" } };
    char settings[96];
    for (int d = 0; d < 2; d++)
        for (int w = 0; w < 2; w++) {
            snprintf(settings, sizeof settings, "d_model=64 design=%s warmup=%d lr=%s", d ? "pre-ln" : "post-ln", w ? 100 : 0, an_answer_rates[rate]);
            AN_TRY(take_runs(s, settings, PLACE[d][w], false, &to[d][w]));
        }
    return AN_OK;
}

static an_status take_all_runs(const an_study *s, an_answer *a)
{
    static const int TEXT[] = { 1, 24, 104 }, IMAGE[] = { 20, 56, 110 };
    static const char *const LABEL[2][AN_ANSWER_DEPTHS] = { { "1", "24", "104" }, { "20", "56", "110" } };
    char settings[96];
    for (int d = 0; d < 2; d++) {
        for (int i = 0; i < AN_ANSWER_DEPTHS; i++) {
            snprintf(settings, sizeof settings, "d_model=32 design=%s n_layer=%d", DESIGN[d], TEXT[i]);
            AN_TRY(take_runs(s, settings, LABEL[0][i], false, &a->depth[d][i]));
            snprintf(settings, sizeof settings, "arch=resnet design=%s n_layer=%d", DESIGN[d], IMAGE[i]);
            AN_TRY(take_runs(s, settings, LABEL[1][i], true, &a->image[d][i]));
        }
    }
    for (size_t r = 0; r < AN_ANSWER_RATES; r++) AN_TRY(take_placement(s, r, a->placement[r]));
    return AN_OK;
}

/* ---- the gradient ledger ---- */

/* A column of a look, by the name of its number. */
static double at_look(const an_record *r, const char *metric, size_t look, size_t site)
{
    size_t at = 0;
    const an_record_table *t = an_record_find(r, "ledger", metric, &at);
    return t && t->n_looks ? an_record_value(t, look, at, site) : NAN;
}

static void take_ledger(const an_record *r, an_answer_ledger *out)
{
    size_t at;
    const an_record_table *t = an_record_find(r, "ledger", "g_in", &at);
    *out = (an_answer_ledger){ .kept = 1, .reach = NAN, .reach_first = NAN };
    if (!t || t->n_looks == 0) return;
    out->sites = t->n_names < AN_ANSWER_SITES ? t->n_names : AN_ANSWER_SITES;
    const size_t last = t->n_looks - 1;
    const double end = at_look(r, "g_out", last, out->sites - 1);
    for (size_t i = 0; i < out->sites; i++) {
        const double id = at_look(r, "g_identity", last, i);
        out->shortcuts += id > 0;
        out->kept *= at_look(r, "attenuation", last, i);
        out->in[i] = at_look(r, "g_in", last, i) / end;
        out->identity[i] = id / end;
        out->branch[i] = at_look(r, "g_branch", last, i) / end;
    }
    out->reach = out->in[0];
    out->reach_first = at_look(r, "g_in", 0, 0) / at_look(r, "g_out", 0, out->sites - 1);
}

static an_status take_ledgers(const an_study *s, an_answer *a)
{
    for (int d = 0; d < 2; d++) {
        const size_t cell = a->depth[d][1].cell;
        an_answer_ledger *ledger = d ? &a->residual : &a->plain;
        an_record *r = NULL;
        *ledger = (an_answer_ledger){ .reach = NAN, .reach_first = NAN };
        if (cell == AN_NO_CELL || !an_cell_is_over(&s->cell[cell])) continue;
        AN_TRY(read_cell(s, cell, true, &r));
        take_ledger(r, ledger);
        an_record_destroy(&r);
    }
    return AN_OK;
}

/* ---- batch statistics against running ones ---- */

static double mean_of_norms(const an_record *r, const char *metric)
{
    size_t at = 0, n = 0;
    double sum = 0;
    const an_record_table *t = an_record_find(r, "norm", metric, &at);
    for (size_t i = 0; t && t->n_looks && i < t->n_names; i++) {
        const double x = an_record_value(t, t->n_looks - 1, at, i);
        if (!isfinite(x)) continue;
        sum += x;
        n++;
    }
    return n ? sum / (double)n : NAN;
}

static an_status take_discrepancy(const an_study *s, an_answer *a)
{
    const size_t cell = a->image[1][0].cell;
    an_record *r = NULL;
    a->tid_mean = a->tid_dev = NAN;
    if (cell == AN_NO_CELL || !an_cell_is_over(&s->cell[cell])) return AN_OK;
    AN_TRY(read_cell(s, cell, true, &r));
    a->tid_mean = mean_of_norms(r, "tid_mean");
    a->tid_dev = mean_of_norms(r, "tid_dev");
    an_record_destroy(&r);
    return AN_OK;
}

an_status an_answer_measure(const an_study *s, an_answer *a)
{
    *a = (an_answer){ .tid_mean = NAN };
    AN_TRY(take_all_runs(s, a));
    AN_TRY(take_ledgers(s, a));
    AN_TRY(take_discrepancy(s, a));
    AN_TRY(an_answer_try_norm("layernorm", &a->layer));
    AN_TRY(an_answer_try_norm("batchnorm", &a->batch));
    const size_t cell = a->depth[1][1].cell;
    return cell != AN_NO_CELL && s->cell[cell].state == AN_CELL_FINISHED ? an_answer_try_decode(s, &s->cell[cell], &a->decode) : AN_OK;
}
