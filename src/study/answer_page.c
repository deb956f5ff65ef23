/* study/answer_page.c
 * The answer as a page: what was asked, how much of it holds, then section by section what is claimed, what was measured and a chart of it.
 * Equal runs give equal bytes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/answer.h"
#include "study/page.h"
#include "study/runs.h"

static void put_verdicts(an_page *page, const an_findings *f)
{
    static const char *const COLUMNS[] = { "claim, and what was measured", "verdict", "holds when" };
    static const char *const WORD[AN_FINDING_KINDS] = {
        [AN_FINDING_PASS] = "holds", [AN_FINDING_FAIL] = "does not hold here", [AN_FINDING_OPEN] = "open", [AN_FINDING_SKIPPED] = "not measured", [AN_FINDING_TOLD] = "told",
    };
    an_page_table_begin(page, COLUMNS, 3);
    for (size_t i = 0; i < f->n; i++) {
        const an_finding *x = &f->finding[i];
        an_page_row_begin(page, false);
        an_page_cell(page, AN_CELL_LONG, x->claim, x->measured);
        an_page_cell(page, x->kind == AN_FINDING_PASS ? AN_CELL_GOOD : x->kind == AN_FINDING_FAIL ? AN_CELL_BAD : AN_CELL_TEXT, WORD[x->kind], NULL);
        an_page_cell(page, AN_CELL_LONG, x->expected ? x->expected : "", NULL);
        an_page_row_end(page);
    }
    an_page_table_end(page);
}

/* ---- charts over names ---- */

enum { MOST_LINES = 4 };

/* Each curve has a value for every label. */
static void put_lines(an_page *page, an_chart chart, an_curve *curve, size_t n)
{
    for (size_t i = 0; i < n; i++) curve[i].n = chart.n_labels;
    chart.curve = curve;
    chart.n_curves = n;
    an_page_curves(page, &chart);
}

static an_status put_path(const an_study *s, const an_answer *a, an_page *page)
{
    an_sheet sheet;
    (void)s;
    const size_t n = a->residual.sites && a->plain.sites ? a->residual.sites : 0;
    if (!n) return AN_OK;
    an_status status = an_sheet_open(&sheet, n, 0);
    for (size_t i = 0; i < n && status == AN_OK; i++) an_sheet_number(&sheet, i, i + 1);
    if (status == AN_OK)
        put_lines(page, (an_chart){ .id = "path", .title = "Gradient before each of 48 sub-layers, over that behind the last", .note = "last observed step; the plain network has no identity part", .x_title = "sub-layer",
                                    .label = sheet.label, .n_labels = n, .logarithmic = true },
                  (an_curve[]){ { .name = "residual: whole", .y = a->residual.in, .color = 0 }, { .name = "residual: came down the skip", .y = a->residual.identity, .color = 3 },
                                  { .name = "residual: came down the branch", .y = a->residual.branch, .color = 2 }, { .name = "plain: whole", .y = a->plain.in, .color = 1 } }, 4);
    an_sheet_close(&sheet);
    return status;
}

/* Losses, or shares, over depth. */
static void put_depths(an_page *page, const char *id, const char *title, const an_answer_runs runs[2][AN_ANSWER_DEPTHS], bool accuracy)
{
    double y[3][AN_ANSWER_DEPTHS], low[2][AN_ANSWER_DEPTHS], high[2][AN_ANSWER_DEPTHS];
    const char *label[AN_ANSWER_DEPTHS];
    size_t over = 0;
    bool shaded = false;
    for (int i = 0; i < 2 * AN_ANSWER_DEPTHS; i++) over += runs[i % 2][i / 2].over;
    if (!over) return;
    for (int i = 0; i < AN_ANSWER_DEPTHS; i++) {
        label[i] = runs[0][i].label;
        for (int d = 0; d < 2; d++) {
            const an_mean *m = accuracy ? &runs[d][i].accuracy : &runs[d][i].loss;
            const double unit = accuracy ? 100 : 1, half = isfinite(m->half) ? unit * m->half : 0;
            y[d][i] = unit * m->mean;
            low[d][i] = fmax(y[d][i] - half, 0);
            high[d][i] = accuracy ? fmin(y[d][i] + half, 100) : y[d][i] + half;
            shaded |= half > 0;
        }
        y[2][i] = accuracy ? NAN : runs[1][i].entropy;
    }
    put_lines(page, (an_chart){ .id = id, .title = title, .note = shaded ? "mean of the last 50 steps; shaded: 95 % interval over seeds" : "mean of the last 50 steps", .x_title = "layers", .y_title = accuracy ? "%" : "nats", .label = label, .n_labels = AN_ANSWER_DEPTHS },
              (an_curve[]){ { .name = "residual", .y = y[1], .color = 0, .low = low[1], .high = high[1] }, { .name = "plain", .y = y[0], .color = 1, .low = low[0], .high = high[0] }, { .name = "unigram entropy", .y = y[2], .color = AN_COLOR_NEUTRAL, .style = AN_CURVE_DASHED } }, accuracy ? 2 : 3);
}

static void put_sizes(an_page *page, const char *id, const char *title, const char *x_title, const double *layer, const double *batch)
{
    static const char *const LABEL[AN_ANSWER_SIZES] = { "64", "32", "16", "8", "4", "2", "1" };
    put_lines(page, (an_chart){ .id = id, .title = title, .note = "root mean square of the change, of values of size 1", .x_title = x_title, .label = LABEL, .n_labels = AN_ANSWER_SIZES },
              (an_curve[]){ { .name = "LayerNorm", .y = layer, .color = 0 }, { .name = "BatchNorm", .y = batch, .color = 1 } }, 2);
}

/* ---- charts over steps ---- */

/* Steps and training losses of a cell, into the arena. */
static an_status read_loss(const an_study *s, const an_study_cell *cell, an_arena *arena, double **step, double **loss, size_t *n)
{
    an_record *r = NULL;
    char *path = an_study_path(s, "cells", cell->name, "");
    an_status status = path ? an_record_read(&r, path, false) : an_fail(AN_ENOMEM, "answer: no memory");
    *n = status == AN_OK ? r->n_steps : 0;
    *step = an_arena_alloc(arena, (*n + 1) * sizeof **step);
    *loss = an_arena_alloc(arena, (*n + 1) * sizeof **loss);
    if (status == AN_OK && (!*step || !*loss)) status = an_fail(AN_ENOMEM, "answer: no memory");
    for (size_t k = 0; status == AN_OK && k < *n; k++) {
        (*step)[k] = (double)r->step[k].step;
        (*loss)[k] = r->step[k].loss;
    }
    an_record_destroy(&r);
    free(path);
    return status;
}

/* The training losses of runs that differ by their seed as one curve in the arena; n 0: there are none. */
static an_status read_losses(const an_study *s, const an_answer_runs *runs, an_arena *arena, an_curve *out)
{
    const size_t seeds = runs->cell == AN_NO_CELL ? 0 : runs->runs;
    double **y = an_arena_alloc(arena, (seeds + 1) * sizeof *y), *x, *room;
    size_t *length = an_arena_alloc(arena, (seeds + 1) * sizeof *length), n = 0;
    *out = (an_curve){ .n = 0 };
    if (!y || !length) return an_fail(AN_ENOMEM, "answer: no memory");
    for (size_t r = 0; r < seeds; r++) {
        const an_study_cell *cell = &s->cell[runs->cell + r];
        if (!an_cell_is_over(cell)) continue;
        AN_TRY(read_loss(s, cell, arena, &x, &y[n], &length[n]));
        if (length[n] > out->n) out->x = x, out->n = length[n];
        n++;
    }
    if (!(room = an_arena_alloc(arena, (3 * out->n + 1) * sizeof *room))) return an_fail(AN_ENOMEM, "answer: no memory");
    an_stat_envelope(n, (const double *const *)y, length, out->n, room, room + out->n, room + 2 * out->n);
    out->y = room;
    if (n > 1) out->low = room + out->n, out->high = room + 2 * out->n;
    return AN_OK;
}

/* Training losses over steps, of every kind of run a line. */
static an_status put_losses(const an_study *s, an_page *page, const char *id, const char *title, const an_answer_runs *const *runs, const char *const *name, size_t n)
{
    an_curve curve[MOST_LINES];
    an_arena arena = { 0 };
    an_status status = AN_OK;
    size_t shown = 0;
    bool shaded = false;
    for (size_t i = 0; i < n && status == AN_OK; i++) {
        status = read_losses(s, runs[i], &arena, &curve[shown]);
        if (status != AN_OK || !curve[shown].n) continue;
        curve[shown].name = name[i];
        curve[shown].color = (int)i;
        shaded |= curve[shown++].low != NULL;
    }
    if (status == AN_OK && shown)
        an_page_curves(page, &(an_chart){ .id = id, .title = title, .note = shaded ? "training loss; mean over seeds, shaded from the least to the largest" : "training loss", .x_title = "step", .y_title = "nats", .curve = curve, .n_curves = shown });
    an_arena_fini(&arena);
    return status;
}

static an_status put_deep(const an_study *s, const an_answer *a, an_page *page)
{
    static const char *const NAME[] = { "residual", "plain" };
    put_depths(page, "depth", "Training loss over depth", a->depth, false);
    return put_losses(s, page, "deep", "104 layers", (const an_answer_runs *const[]){ &a->depth[1][2], &a->depth[0][2] }, NAME, 2);
}

static an_status put_images(const an_study *s, const an_answer *a, an_page *page)
{
    static const char *const NAME[] = { "residual", "plain" };
    put_depths(page, "images", "Images put into the right class while training", a->image, true);
    return put_losses(s, page, "images110", "110 layers", (const an_answer_runs *const[]){ &a->image[1][2], &a->image[0][2] }, NAME, 2);
}

static an_status put_place(const an_study *s, const an_answer *a, an_page *page)
{
    static const char *const NAME[] = { "Pre-LN, no warm-up", "Post-LN, no warm-up", "Pre-LN, warm-up", "Post-LN, warm-up" };
    an_status status = AN_OK;
    for (size_t r = 0; r < AN_ANSWER_RATES && status == AN_OK; r++) {
        char id[32], title[64];
        const an_answer_runs (*runs)[2] = a->placement[r];
        snprintf(id, sizeof id, "place%zu", r);
        snprintf(title, sizeof title, "8 layers, learning rate %s", an_answer_rates[r]);
        status = put_losses(s, page, id, title, (const an_answer_runs *const[]){ &runs[1][0], &runs[0][0], &runs[1][1], &runs[0][1] }, NAME, 4);
    }
    return status;
}

static an_status put_sizes_of_batch(const an_study *s, const an_answer *a, an_page *page)
{
    (void)s;
    put_sizes(page, "batch", "The same token in smaller batches", "tokens in the batch", a->layer.batch, a->batch.batch);
    put_sizes(page, "length", "The same token in shorter sequences", "tokens in each of 4 sequences", a->layer.length, a->batch.length);
    return AN_OK;
}

static an_status put_decode(const an_study *s, const an_answer *a, an_page *page)
{
    an_sheet sheet;
    (void)s;
    if (!a->decode.tokens) return AN_OK;
    an_status status = an_sheet_open(&sheet, a->decode.tokens, 0);
    for (size_t i = 0; i < a->decode.tokens && status == AN_OK; i++) an_sheet_number(&sheet, i, i + 1);
    if (status == AN_OK)
        put_lines(page, (an_chart){ .id = "decode", .title = "Logits of one step against one pass over all", .note = "largest difference; a difference of 0 is not drawn", .x_title = "token", .label = sheet.label,
                                    .n_labels = a->decode.tokens, .logarithmic = true }, (an_curve[]){ { .name = "difference", .y = a->decode.each, .color = 0, .style = AN_CURVE_DOTS } }, 1);
    an_sheet_close(&sheet);
    return status;
}

/* ---- tables ---- */

static void put_row(an_page *page, const char *what, double layer, double batch)
{
    char x[24], y[24];
    an_page_row_begin(page, false);
    an_page_cell(page, AN_CELL_TEXT, what, NULL);
    an_page_cell_number(page, layer, an_page_number(x, layer));
    an_page_cell_number(page, batch, an_page_number(y, batch));
    an_page_row_end(page);
}

static an_status put_changes(const an_study *s, const an_answer *a, an_page *page)
{
    static const char *const COLUMNS[] = { "how much a token's output changes when", "LayerNorm", "BatchNorm" };
    const an_answer_norm *l = &a->layer, *b = &a->batch;
    (void)s;
    an_page_table_begin(page, COLUMNS, 3);
    put_row(page, "it is moved by 3", l->shift, b->shift);
    put_row(page, "it is multiplied by 7", l->scale, b->scale);
    put_row(page, "the other 63 are replaced", l->others, b->others);
    put_row(page, "the batch is 2 instead of 64", l->batch[AN_ANSWER_SIZES - 2], b->batch[AN_ANSWER_SIZES - 2]);
    put_row(page, "sequences are 1 long instead of 64", l->length[AN_ANSWER_SIZES - 1], b->length[AN_ANSWER_SIZES - 1]);
    put_row(page, "it is alone, at inference", l->inference, b->inference);
    an_page_table_end(page);
    return AN_OK;
}

/* ---- the page ---- */

typedef struct part { const char *sentence; bool charts; an_status (*put)(const an_study *, const an_answer *, an_page *); } part;

static const part PARTS[AN_ANSWER_SECTIONS] = {
    { "y = x + F(x), so the gradient of x is that of y plus what came through F: a sum, where the plain y = F(x) leaves a product of Jacobians. The ledger takes the two parts apart at every sub-layer.", true, put_path },
    { "The same blocks with and without the skip, at three depths.", true, put_deep },
    { "The mechanism comes from vision: convolutions with BatchNorm, with and without the skip, which has no parameters of its own.", true, put_images },
    { "Each token is normalised over its own channels: what other tokens are, how many there are and how long the text is does not enter.", false, put_changes },
    { "BatchNorm normalises each channel over all tokens of the batch, and at inference by statistics it has collected.", true, put_sizes_of_batch },
    { "The residual model of 24 layers, trained, on text it has not seen.", true, put_decode },
    { "Post-LN normalises behind the sum and so on the path of the gradient, Pre-LN inside the branch. Without and with 100 steps of warm-up, at two learning rates; gradients are not clipped, which would be help of the same kind.", true, put_place },
};

static an_status put_section(const an_study *s, const an_answer *a, an_answer_section section, an_page *page)
{
    an_findings f = { 0 };
    an_answer_judge(a, section, &f);
    an_page_heading(page, an_answer_titles[section]);
    an_page_paragraph(page, PARTS[section].sentence);
    put_verdicts(page, &f);
    if (PARTS[section].charts) an_page_group_begin(page, 2);
    an_status status = f.failed ? an_fail(AN_ENOMEM, "answer: no memory") : PARTS[section].put(s, a, page);
    if (PARTS[section].charts) an_page_group_end(page);
    an_findings_fini(&f);
    return status;
}

static void put_summary(const an_answer *a, an_page *page)
{
    an_findings f = { 0 };
    char text[256];
    an_answer_judge_all(a, &f);
    const size_t pass = an_findings_count(&f, AN_FINDING_PASS), fail = an_findings_count(&f, AN_FINDING_FAIL), open = an_findings_count(&f, AN_FINDING_OPEN);
    const size_t seeds = a->depth[1][1].runs;
    snprintf(text, sizeof text, "%zu of %zu sentences hold here, %zu do not, %zu are open. %zu seed%s%s.", pass, f.n, fail, open, seeds, seeds == 1 ? "" : "s",
             seeds > 1 ? "; +- is half of the 95 % interval over them" : ": one run of each, without intervals; addnorm study answer has them");
    an_page_paragraph(page, text);
    page->out->failed |= f.failed;
    an_findings_fini(&f);
}

an_status an_answer_page(const an_study *s, const an_answer *a, an_text *out)
{
    an_page page;
    an_text command = { 0 };
    an_status status = AN_OK;
    an_page_begin(&page, out, "What residual connections and layer normalisation do", 0);
    an_page_paragraph(&page, "What roles do residual connections and layer normalisation play in transformer training? Each sentence of the answer, measured on this machine.");
    put_summary(a, &page);
    for (an_answer_section i = 0; i < AN_ANSWER_SECTIONS && status == AN_OK; i++) status = put_section(s, a, i, &page);
    if (status != AN_OK) return status;
    an_page_heading(&page, "Again");
    an_page_note(&page, "The runs lie beside this page, in cells/, each an ordinary run; addnorm report of this folder shows them all.");
    an_text_add(&command, "addnorm study answer%s", strcmp(s->name, "answer") == 0 ? "" : " --quick");
    if (s->flags) an_command_flags(s->flags, AN_FROM_FLAG, &command);
    an_page_command(&page, an_text_get(&command));
    status = an_text_status(&command);
    an_text_fini(&command);
    return status == AN_OK ? an_page_finish(&page) : status;
}
