/* study/report_tables.c
 * The tables and texts of a report: how the runs ended, what a study concluded, spikes, samples. */
#include "study/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- the summary: one list of facts, a column each for many runs, a row each for one ---- */

typedef struct fact { double number; char text[48]; } fact;   /* number NaN and text: a word */

static double last_loss(const an_record *r) { return r->n_steps ? r->step[r->n_steps - 1].loss : NAN; }
static double val_loss(const an_record *r) { return r->n_evals ? an_record_last_eval(r)->val.loss : NAN; }
static double bits(const an_record *r) { return r->n_evals ? an_record_last_eval(r)->val.bits_per_byte : NAN; }
static double gain(const an_record *r) { return r->start.unigram_entropy - val_loss(r); }
static double params(const an_record *r) { return r->start.params ? (double)r->start.params : NAN; }
static double seconds(const an_record *r) { return r->end.seconds > 0 ? r->end.seconds : NAN; }
static double memory(const an_record *r) { return r->peak_memory ? (double)r->peak_memory : NAN; }
static double steps(const an_record *r) { return r->n_steps ? (double)r->step[r->n_steps - 1].step : r->end.step > 0 ? (double)r->end.step : 0; }
static double damaged(const an_record *r) { return r->damaged || r->torn ? (double)(r->damaged + r->torn) : NAN; }
static double entropy(const an_record *r) { return r->start.unigram_entropy; }

static double best(const an_record *r)
{
    double least = NAN;
    for (size_t i = 0; i < r->n_evals; i++) least = fmin(least, r->eval[i].val.loss);
    return least;
}

static double speed(const an_record *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->n_steps; i++) sum += r->step[i].tok_per_s;
    return r->n_steps ? sum / (double)r->n_steps : NAN;
}

static char *plain(char out[AN_HUMAN], double v) { return an_page_number(out, v); }
static char *whole(char out[AN_HUMAN], double v) { return snprintf(out, AN_HUMAN, "%.0f", v), out; }

static const struct { const char *name; double (*of)(const an_record *r); char *(*write)(char out[AN_HUMAN], double v); bool always; } FACTS[] = {
    { "val loss", val_loss, plain, true }, { "bits per byte", bits, plain, true }, { "best val loss", best, plain, true }, { "below unigram entropy", gain, plain, true }, { "unigram entropy", entropy, plain, false },
    { "training loss", last_loss, plain, true }, { "parameters", params, an_human_count, true }, { "steps", steps, whole, true }, { "tokens/s", speed, an_human_count, true }, { "time", seconds, an_human_time, true },
    { "peak memory", memory, an_human_bytes, false }, { "damaged lines", damaged, whole, false },
};
enum { FACT_COUNT = sizeof FACTS / sizeof *FACTS };

static an_cell_kind state_kind(an_record_state state)
{
    return state == AN_RECORD_FINISHED ? AN_CELL_GOOD : state == AN_RECORD_DIVERGED || state == AN_RECORD_FAILED || state == AN_RECORD_KILLED ? AN_CELL_BAD : AN_CELL_TEXT;
}

static void put_fact(an_page *page, const an_record *r, size_t f)
{
    char text[AN_HUMAN];
    const double v = FACTS[f].of(r);
    an_page_cell_number(page, v, isfinite(v) ? FACTS[f].write(text, v) : "");
}

static bool any_has(const an_runs *runs, size_t f)
{
    bool has = FACTS[f].always;
    for (size_t i = 0; i < runs->n && !has; i++) has = FACTS[f].of == damaged && isfinite(damaged(runs->record[i]));
    return has;
}

static void put_one(const an_runs *runs, an_page *page)
{
    static const char *const COLUMNS[] = { "quantity", "value" };
    const an_record *r = runs->record[0];
    char text[96];
    an_page_table_begin(page, COLUMNS, 2);
    an_page_row_begin(page, false);
    an_page_cell(page, AN_CELL_TEXT, "state", NULL);
    an_page_cell(page, state_kind(r->state), an_record_state_name(r->state), NULL);
    an_page_row_end(page);
    for (size_t f = 0; f < FACT_COUNT; f++) {
        if (!isfinite(FACTS[f].of(r))) continue;
        an_page_row_begin(page, false);
        an_page_cell(page, AN_CELL_TEXT, FACTS[f].name, NULL);
        put_fact(page, r, f);
        an_page_row_end(page);
    }
    snprintf(text, sizeof text, "%s, %d thread%s, addnorm %s", r->start.kernels, r->start.threads, r->start.threads == 1 ? "" : "s", r->version);
    const char *rest[][2] = { { "kernels", text }, { "began", r->began }, { "ended", r->ended } };
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        if (!*rest[i][1]) continue;
        an_page_row_begin(page, false);
        an_page_cell(page, AN_CELL_TEXT, rest[i][0], NULL);
        an_page_cell(page, AN_CELL_NUMBER, rest[i][1], NULL);
        an_page_row_end(page);
    }
    an_page_table_end(page);
}

/* design and norm always; with them what differs between runs that use it. */
static bool is_column(const an_runs *runs, const an_runs_key *k)
{
    const char *seen = "";
    if (k->row && k->row->type == AN_PATHS) return false;             /* too long for a column; the configuration has them */
    bool differs = strcmp(k->key, "design") == 0 || strcmp(k->key, "norm") == 0;
    for (size_t i = 0; i < runs->n && k->differs && !differs; i++) {
        const char *text = an_runs_text(runs, i, k);
        differs = *text && *seen && strcmp(text, seen) != 0;
        if (*text) seen = text;
    }
    return differs;
}

static void put_many(const an_runs *runs, an_page *page)
{
    enum { MOST_KEYS = 24, RESULTS = 4 };                             /* what came out, then what went in, then the rest */
    const char *columns[2 + MOST_KEYS + FACT_COUNT] = { "run", "state" };
    const an_runs_key *key[MOST_KEYS];
    size_t n = 2, n_keys = 0;
    for (size_t f = 0; f < RESULTS; f++) columns[n++] = FACTS[f].name;
    for (size_t i = 0; i < runs->n_keys && n_keys < MOST_KEYS; i++)
        if (is_column(runs, &runs->key[i])) columns[n++] = (key[n_keys++] = &runs->key[i])->key;
    for (size_t f = RESULTS; f < FACT_COUNT; f++)
        if (any_has(runs, f)) columns[n++] = FACTS[f].name;
    an_page_table_begin(page, columns, n);
    for (size_t i = 0; i < runs->n; i++) {
        const an_record *r = runs->record[i];
        an_page_row_begin(page, false);
        an_page_cell(page, AN_CELL_TEXT, runs->name[i], NULL);
        an_page_cell(page, state_kind(r->state), an_record_state_name(r->state), NULL);
        for (size_t f = 0; f < RESULTS; f++) put_fact(page, r, f);
        for (size_t k = 0; k < n_keys; k++) an_page_cell(page, AN_CELL_TEXT, an_runs_text(runs, i, key[k]), NULL);
        for (size_t f = RESULTS; f < FACT_COUNT; f++)
            if (any_has(runs, f)) put_fact(page, r, f);
        an_page_row_end(page);
    }
    an_page_table_end(page);
}

static void put_notes(const an_runs *runs, an_page *page)
{
    enum { MOST_ERRORS = 20 };
    size_t shown = 0;
    an_text text = { 0 };
    for (size_t i = 0; i < runs->n; i++) {
        const an_record *r = runs->record[i];
        const char *of = runs->n > 1 ? runs->name[i] : "";
        for (size_t k = 0; k < r->start.n_notes && runs->n <= AN_RUNS_SIDE_BY_SIDE; k++) {
            text.length = 0;
            an_text_add(&text, "%s%s%s", of, *of ? ": " : "", r->start.notes[k]);
            an_page_note(page, an_text_get(&text));
        }
        if (r->state != AN_RECORD_FINISHED && r->state != AN_RECORD_RUNNING && shown++ < MOST_ERRORS) {
            text.length = 0;
            an_text_add(&text, "%s%s%s", of, *of ? ": " : "", r->state == AN_RECORD_KILLED ? "killed, since no end is logged and nobody trains; --resume goes on" : r->end.error);
            an_page_paragraph(page, an_text_get(&text));
        }
        if (r->damaged && shown++ < MOST_ERRORS) {
            text.length = 0;
            an_text_add(&text, "%s%s%zu damaged line%s of the log skipped; the first is line %zu", of, *of ? ": " : "", r->damaged, r->damaged == 1 ? "" : "s", r->first_damaged);
            an_page_paragraph(page, an_text_get(&text));
        }
    }
    if (runs->unread) {
        text.length = 0;
        an_text_add(&text, "%zu more could not be read; the first: %s", runs->unread, runs->why);
        an_page_paragraph(page, an_text_get(&text));
    }
    if (text.failed) page->out->failed = 1;
    an_text_fini(&text);
}

void an__report_summary(const an_runs *runs, an_page *page)
{
    an_page_heading(page, runs->n == 1 ? "Result" : "Runs");
    if (runs->n == 1) put_one(runs, page);
    else put_many(runs, page);
    put_notes(runs, page);
}

/* ---- study.json: whatever a study wrote, words and numbers as lines, lists of objects as tables, verdicts first ---- */

/* An object in a cell: a mean with its interval, else what it holds. */
static void put_object(an_page *page, const json_t *o)
{
    const json_t *mean = json_object_get(o, "mean"), *half = json_object_get(o, "half"), *value;
    const char *key;
    char number[24];
    an_text text = { 0 };
    if (mean) {
        const double m = json_is_number(mean) ? json_number_value(mean) : NAN;
        if (isfinite(m)) an_text_add(&text, "%s", an_page_number(number, m));
        if (json_is_number(half)) an_text_add(&text, " \302\261 %.2g", json_number_value(half));
        an_page_cell_number(page, m, an_text_get(&text));
    } else {
        json_object_foreach((json_t *)(uintptr_t)o, key, value) {
            if (json_is_number(value) && json_number_value(value) != 0) an_text_add(&text, "%s%s %s", text.length ? ", " : "", key, an_page_number(number, json_number_value(value)));
            else if (json_is_string(value)) an_text_add(&text, "%s%s %s", text.length ? ", " : "", key, json_string_value(value));
        }
        an_page_cell(page, AN_CELL_TEXT, an_text_get(&text), NULL);
    }
    if (text.failed) page->out->failed = 1;
    an_text_fini(&text);
}

static an_cell_kind word_kind(const char *word)
{
    if (strcasecmp(word, "pass") == 0) return AN_CELL_GOOD;
    if (strcasecmp(word, "fail") == 0) return AN_CELL_BAD;
    return strlen(word) > 40 ? AN_CELL_LONG : AN_CELL_TEXT;
}

static void put_value(an_page *page, const json_t *v)
{
    char text[24];
    if (json_is_number(v)) an_page_cell_number(page, json_number_value(v), an_page_number(text, json_number_value(v)));
    else if (json_is_boolean(v)) an_page_cell(page, json_is_true(v) ? AN_CELL_GOOD : AN_CELL_BAD, json_is_true(v) ? "yes" : "no", NULL);
    else if (json_is_string(v)) an_page_cell(page, word_kind(json_string_value(v)), json_string_value(v), NULL);
    else if (json_is_object(v)) put_object(page, v);
    else an_page_cell(page, AN_CELL_TEXT, "", NULL);
}

static void put_list(an_page *page, const char *title, const json_t *list)
{
    enum { MOST_COLUMNS = 24 };
    const char *columns[MOST_COLUMNS], *key;
    size_t n = 0, i;
    json_t *first = json_array_get(list, 0), *value, *row;
    json_object_foreach(first, key, value) if (n < MOST_COLUMNS && !json_is_array(value)) columns[n++] = key;
    if (!n) return;
    an_page_subheading(page, title);
    an_page_table_begin(page, columns, n);
    json_array_foreach(list, i, row) {
        an_page_row_begin(page, false);
        for (size_t c = 0; c < n; c++) put_value(page, json_object_get(row, columns[c]));
        an_page_row_end(page);
    }
    an_page_table_end(page);
}

void an__report_study(const json_t *study, an_page *page)
{
    static const char FIRST[] = "verdicts";
    const char *key;
    json_t *value;
    if (!json_is_object(study)) return;
    an_page_heading(page, "Study");
    if (json_is_object(json_array_get(json_object_get(study, FIRST), 0))) put_list(page, FIRST, json_object_get(study, FIRST));
    json_object_foreach((json_t *)(uintptr_t)study, key, value) {
        an_text line = { 0 };
        char number[24];
        an_text_add(&line, "%s: ", key);
        if (json_is_string(value)) an_text_add(&line, "%s", json_string_value(value));
        else if (json_is_number(value)) an_text_add(&line, "%s", an_page_number(number, json_number_value(value)));
        if (json_is_string(value) || json_is_number(value)) an_page_paragraph(page, an_text_get(&line));
        else if (json_is_object(json_array_get(value, 0)) && strcmp(key, "cells") != 0 && strcmp(key, FIRST) != 0) put_list(page, key, value);   /* cells are the runs below */
        if (line.failed) page->out->failed = 1;
        an_text_fini(&line);
    }
}

/* ---- spikes and samples ---- */

void an__report_spikes(const an_runs *runs, an_page *page)
{
    static const char *const COLUMNS[] = { "run", "step", "quantity", "verdict", "value", "usual", "z", "steps", "peak" };
    enum { MOST_ROWS = 500 };
    size_t all = 0, watched = 0, rows = 0;
    for (size_t i = 0; i < runs->n; i++) {
        all += runs->record[i]->n_spikes;
        watched += strcmp(runs->record[i]->config.telemetry, "off") != 0;
    }
    an_page_heading(page, "Spikes");
    if (!all) {
        an_page_note(page, watched ? "None: no value of loss, gradient norm or update norm stood out of the 128 before it." : "Not recorded: --telemetry basic, which is the default, watches for them.");
        return;
    }
    an_page_table_begin(page, COLUMNS, sizeof COLUMNS / sizeof *COLUMNS);
    for (size_t i = 0; i < runs->n; i++)
        for (size_t k = 0; k < runs->record[i]->n_spikes && rows < MOST_ROWS; k++, rows++) {
            const an_event_spike *e = &runs->record[i]->spike[k];
            const an_spike_verdict *v = &e->verdict;
            const double number[] = { v->value, v->mean, v->z, (double)v->steps, v->peak };
            char text[AN_HUMAN];
            an_page_row_begin(page, false);
            an_page_cell(page, AN_CELL_TEXT, runs->name[i], NULL);
            an_page_cell_number(page, (double)e->step, whole(text, (double)e->step));
            an_page_cell(page, AN_CELL_TEXT, an_spike_name(v->quantity), NULL);
            an_page_cell(page, v->kind == AN_SPIKE_RECOVERED ? AN_CELL_GOOD : AN_CELL_BAD, an_spike_kind_name(v->kind), NULL);
            for (size_t c = 0; c < sizeof number / sizeof *number; c++) an_page_cell_number(page, number[c], an_page_number(text, number[c]));
            an_page_row_end(page);
        }
    an_page_table_end(page);
}

void an__report_samples(const an_runs *runs, an_page *page)
{
    enum { MOST_SAMPLES = 20, OF_MANY = 3 };   /* of many runs a few show what there is */
    const size_t most = runs->n > AN_RUNS_SIDE_BY_SIDE ? OF_MANY : MOST_SAMPLES;
    size_t given = 0;
    char title[160], id[32];
    an_page_heading(page, "Samples");
    for (size_t i = 0; i < runs->n && given < most; i++) {
        const an_record *r = runs->record[i];
        if (!r->n_samples) continue;
        given++;
        snprintf(title, sizeof title, "%.100s%sstep %llu", runs->n > 1 ? runs->name[i] : "", runs->n > 1 ? ", " : "", (unsigned long long)r->sample[r->n_samples - 1].step);
        an_page_subheading(page, title);
        an_page_code(page, r->sample[r->n_samples - 1].text);
        if (r->n_samples == 1) continue;
        snprintf(id, sizeof id, "samples%zu", i);
        an_page_fold_begin(page, id, "earlier");
        for (size_t k = r->n_samples - 1; k-- > 0 && k + 1 + MOST_SAMPLES > r->n_samples;) {
            snprintf(title, sizeof title, "step %llu", (unsigned long long)r->sample[k].step);
            an_page_note(page, title);
            an_page_code(page, r->sample[k].text);
        }
        an_page_fold_end(page);
    }
    if (!given) an_page_note(page, "Not recorded: --sample_every N writes a short one every N steps; addnorm sample RUN writes one now.");
}
