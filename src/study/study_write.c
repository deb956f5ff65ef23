/* study/study_write.c
 * Tables and documents of a study. Means stand with the half width of their 95 % interval, "2.301 +- 0.012"; a single run has none. */
#include "study/study_write.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

enum { MOST_KEYS = 32 };

/* The grids' keys in the order of the file. */
typedef struct key_list { const char *key[MOST_KEYS]; size_t n; } key_list;

static key_list keys_of(const an_study *s)
{
    key_list k = { .n = 0 };
    for (size_t i = 0; i < s->n_axes; i++)
        for (size_t m = 0; m < s->axis[i].n_keys; m++) {
            size_t at = 0;
            while (at < k.n && strcmp(k.key[at], s->axis[i].key[m]) != 0) at++;
            if (at == k.n && k.n < MOST_KEYS) k.key[k.n++] = s->axis[i].key[m];
        }
    return k;
}

/* ---- for people ---- */

static void put_mean(an_text *out, an_mean m, bool sign)
{
    if (m.n == 0) an_text_add(out, "-");
    else if (m.n == 1) an_text_add(out, sign ? "%+.3f" : "%.3f", m.mean);
    else an_text_add(out, sign ? "%+.3f +- %.3f" : "%.3f +- %.3f", m.mean, m.half);
}

/* "trained 2, partial 1"; without any what the cells are. */
static void put_outcomes(an_text *out, const an_study *s, const an_study_group *g)
{
    const size_t start = out->length;
    for (an_outcome o = AN_OUTCOMES; o-- > AN_OUTCOME_FAILED;)
        if (an_group_count(s, g, o)) an_text_add(out, "%s%s %zu", out->length > start ? ", " : "", an_outcome_name(o), an_group_count(s, g, o));
    for (an_cell_state state = 0; state < AN_CELL_STATES; state++) {
        size_t n = 0;
        for (size_t i = 0; i < g->n; i++) n += s->cell[g->first + i].state == state;
        if (n && state != AN_CELL_FINISHED) an_text_add(out, "%s%s %zu", out->length > start ? ", " : "", state == AN_CELL_SKIPPED ? "SKIPPED" : an_cell_state_name(state), n);
    }
}

static const char *const COLUMNS[] = { "runs", "outcome", "train loss", "val loss", "bits per byte", "against pre-ln" };
enum { COLUMN_COUNT = sizeof COLUMNS / sizeof *COLUMNS, MOST_COLUMNS = MOST_KEYS + COLUMN_COUNT };

/* Field `column` of a group, or of the heading. */
static void put_field(an_text *out, const an_study *s, const an_study_group *g, const key_list *k, size_t column)
{
    if (column < k->n) {
        const char *value = g ? an_cell_value(&s->cell[g->first], k->key[column]) : k->key[column];
        an_text_add(out, "%s", *value ? value : "-");
        return;
    }
    const size_t c = column - k->n;
    if (!g) an_text_add(out, "%s", COLUMNS[c]);
    else if (c == 0) an_text_add(out, "%zu", g->n);
    else if (c == 1) put_outcomes(out, s, g);
    else if (c < 5) put_mean(out, an_group_mean(s, g, c == 2 ? AN_Q_LOSS : c == 3 ? AN_Q_VAL_LOSS : AN_Q_BITS_PER_BYTE), false);
    else put_mean(out, an_group_against_reference(s, g, AN_Q_LOSS), true);
}

static void put_groups(const an_study *s, an_text *out)
{
    const key_list k = keys_of(s);
    size_t width[MOST_COLUMNS] = { 0 };
    const size_t columns = k.n + COLUMN_COUNT;
    for (int pass = 0; pass < 2; pass++)
        for (size_t row = 0; row <= s->n_groups; row++) {
            for (size_t c = 0; c < columns; c++) {
                an_text field = { 0 };
                put_field(&field, s, row ? &s->group[row - 1] : NULL, &k, c);
                if (pass == 0 && field.length > width[c]) width[c] = field.length;
                if (pass == 1 && c + 1 < columns) an_text_add(out, "%-*s  ", (int)width[c], an_text_get(&field));
                else if (pass == 1) an_text_add(out, "%s\n", an_text_get(&field));
                if (field.failed) out->failed = 1;
                an_text_fini(&field);
            }
        }
}

static void put_counts(const an_study *s, an_text *out)
{
    an_text_add(out, "%s: %zu cell%s", s->name, s->n_cells, s->n_cells == 1 ? "" : "s");
    for (an_cell_state state = 0; state < AN_CELL_STATES; state++)
        if (an_study_count(s, state)) an_text_add(out, ", %zu %s", an_study_count(s, state), an_cell_state_name(state));
    an_text_add(out, "\n");
    if (s->merged) an_text_add(out, "%zu combination%s of the grid mean%s the same as an earlier one\n", s->merged, s->merged == 1 ? "" : "s", s->merged == 1 ? "s" : "");
}

/* What does not stand in the table: reasons, damage, versions. Equal reasons are told once. */
static void put_notes(const an_study *s, an_text *out)
{
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        bool told = false;
        size_t same = 0;
        for (size_t k = 0; cell->reason && k < s->n_cells; k++) {
            const bool equal = s->cell[k].reason && s->cell[k].state == cell->state && strcmp(s->cell[k].reason, cell->reason) == 0;
            told |= equal && k < i;
            same += equal;
        }
        if (cell->reason && !told) {
            an_text_add(out, "%s %s", cell->state == AN_CELL_SKIPPED ? "SKIPPED" : "FAILED ", cell->name);
            if (same > 1) an_text_add(out, " and %zu more", same - 1);
            an_text_add(out, ": %s\n", cell->reason);
        }
        if (cell->result.damaged) an_text_add(out, "DAMAGED %s: %" PRIu64 " line%s of its log skipped\n", cell->name, cell->result.damaged, cell->result.damaged == 1 ? "" : "s");
    }
    const char *version = NULL;
    for (size_t i = 0; i < s->n_cells; i++) {
        const char *v = s->cell[i].result.version;
        if (version && *v && strcmp(v, version) != 0) {
            an_text_add(out, "note    runs of addnorm %s stand beside runs of %s\n", version, v);
            return;
        }
        if (*v) version = v;
    }
}

static double entropy_of(const an_study *s, bool *same)
{
    double h = NAN;
    *same = true;
    for (size_t i = 0; i < s->n_cells; i++) {
        const double x = s->cell[i].result.entropy;
        if (s->cell[i].result.steps == 0 || !isfinite(x)) continue;
        if (isfinite(h) && x != h) *same = false;
        h = x;
    }
    return h;
}

void an_study_table(const an_study *s, const an_findings *findings, an_text *out)
{
    bool same;
    const double h = entropy_of(s, &same);
    put_counts(s, out);
    if (isfinite(h) && same) an_text_add(out, "unigram entropy of the text %.4f nats; failed above it - %.1f\n", h, AN_FAILED_NATS);
    an_text_add(out, "\n");
    put_groups(s, out);
    const size_t before = out->length;
    an_text_add(out, "\n");
    put_notes(s, out);
    if (out->length == before + 1) out->length = before;
    if (findings && findings->n) an_text_add(out, "\n");
    for (size_t i = 0; findings && i < findings->n; i++) {
        const an_finding *f = &findings->finding[i];
        an_text_add(out, "%-8s%s: %s", an_finding_name(f->kind), f->claim, f->measured);
        if (f->expected) an_text_add(out, " (expected: %s)", f->expected);
        an_text_add(out, "\n");
    }
}

/* ---- one line a cell ---- */

static void put_number(an_text *out, double x)
{
    if (isfinite(x)) an_text_add(out, "\t%.9g", x);
    else an_text_add(out, "\t");
}

static void put_value(an_text *out, const char *text)
{
    an_text_add(out, "\t");
    for (; *text; text++) an_text_add(out, "%c", *text == '\t' || *text == '\n' ? ' ' : *text);
}

void an_study_tsv(const an_study *s, an_text *out)
{
    const key_list k = keys_of(s);
    an_text_add(out, "cell\tname");
    for (size_t i = 0; i < k.n; i++) an_text_add(out, "\t%s", k.key[i]);
    an_text_add(out, "\tseed\tstate\toutcome\tsteps\ttokens\tparams\tflops\tunigram_entropy\tloss\tval_loss\tbest_val_loss\tbits_per_byte\tagainst_pre_ln\tdamaged_lines\treason\n");
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        const an_cell_result *x = &cell->result;
        const double pre_ln = cell->reference == AN_NO_CELL ? NAN : an_cell_quantity(&s->cell[cell->reference], AN_Q_LOSS);
        an_text_add(out, "%zu\t%s", i + 1, cell->name);
        for (size_t m = 0; m < k.n; m++) put_value(out, an_cell_value(cell, k.key[m]));
        an_text_add(out, "\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64, cell->seed ? cell->seed : "", an_cell_state_name(cell->state), an_outcome_name(x->outcome), x->steps, x->tokens, x->params);
        const double numbers[] = { cell->flops, x->steps ? x->entropy : NAN, an_cell_quantity(cell, AN_Q_LOSS), an_cell_quantity(cell, AN_Q_VAL_LOSS), x->steps ? x->best_val_loss : NAN,
                                   an_cell_quantity(cell, AN_Q_BITS_PER_BYTE), an_cell_quantity(cell, AN_Q_LOSS) - pre_ln };
        for (size_t m = 0; m < sizeof numbers / sizeof *numbers; m++) put_number(out, numbers[m]);
        an_text_add(out, "\t%" PRIu64, x->damaged);
        put_value(out, cell->reason ? cell->reason : "");
        an_text_add(out, "\n");
    }
}

/* ---- a document ---- */

static json_t *real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

static json_t *settings_json(const an_study_cell *cell)
{
    json_t *o = json_object();
    for (size_t i = 0; i < cell->n_settings; i++)
        if (json_object_set_new(o, cell->setting[i].key, json_string(cell->setting[i].value)) != 0) {
            json_decref(o);
            return NULL;
        }
    return o;
}

static json_t *cell_json(const an_study *s, size_t i)
{
    const an_study_cell *cell = &s->cell[i];
    const an_cell_result *x = &cell->result;
    char identity[20], run[512];
    snprintf(identity, sizeof identity, "%016" PRIx64, cell->identity);
    snprintf(run, sizeof run, "cells/%s", cell->name);
    return json_pack("{s:I, s:s, s:s, s:s, s:I, s:o, s:s?, s:s, s:s?, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:s}",
                     "cell", (json_int_t)i + 1, "name", cell->name, "run", run, "identity", identity, "group", (json_int_t)cell->group + 1, "settings", settings_json(cell), "seed", cell->seed,
                     "state", an_cell_state_name(cell->state), "reason", cell->reason, "outcome", an_outcome_name(x->outcome),
                     "steps", (json_int_t)x->steps, "tokens", (json_int_t)x->tokens, "params", (json_int_t)x->params, "flops", real(cell->flops), "unigram_entropy", real(x->steps ? x->entropy : NAN),
                     "loss", real(an_cell_quantity(cell, AN_Q_LOSS)), "val_loss", real(an_cell_quantity(cell, AN_Q_VAL_LOSS)), "best_val_loss", real(x->steps ? x->best_val_loss : NAN),
                     "bits_per_byte", real(an_cell_quantity(cell, AN_Q_BITS_PER_BYTE)), "pre_ln_cell", cell->reference == AN_NO_CELL ? json_null() : json_integer((json_int_t)cell->reference + 1),
                     "damaged_lines", (json_int_t)x->damaged, "version", x->version);
}

static json_t *mean_json(an_mean m)
{
    return json_pack("{s:I, s:o, s:o, s:o, s:o}", "n", (json_int_t)m.n, "mean", real(m.mean), "half", real(m.half), "deviation", real(m.deviation), "p", real(m.p));
}

static json_t *group_json(const an_study *s, const an_study_group *g)
{
    json_t *counts = json_object();
    int failed = !counts;
    for (an_outcome o = AN_OUTCOME_FAILED; o < AN_OUTCOMES; o++) failed |= json_object_set_new(counts, an_outcome_name(o), json_integer((json_int_t)an_group_count(s, g, o))) != 0;
    if (failed) {
        json_decref(counts);
        return NULL;
    }
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "settings", settings_json(&s->cell[g->first]), "first_cell", (json_int_t)g->first + 1, "runs", (json_int_t)g->n, "outcomes", counts,
                     "loss", mean_json(an_group_mean(s, g, AN_Q_LOSS)), "val_loss", mean_json(an_group_mean(s, g, AN_Q_VAL_LOSS)), "bits_per_byte", mean_json(an_group_mean(s, g, AN_Q_BITS_PER_BYTE)),
                     "against_pre_ln", mean_json(an_group_against_reference(s, g, AN_Q_LOSS)));
}

json_t *an_study_json(const an_study *s, const an_findings *findings)
{
    json_t *cells = json_array(), *groups = json_array(), *verdicts = json_array();
    int failed = !cells || !groups || !verdicts;
    for (size_t i = 0; i < s->n_cells; i++) failed |= json_array_append_new(cells, cell_json(s, i)) != 0;
    for (size_t i = 0; i < s->n_groups; i++) failed |= json_array_append_new(groups, group_json(s, &s->group[i])) != 0;
    for (size_t i = 0; findings && i < findings->n; i++) {
        const an_finding *f = &findings->finding[i];
        failed |= json_array_append_new(verdicts, json_pack("{s:s, s:s, s:s?, s:s}", "verdict", an_finding_name(f->kind), "claim", f->claim, "expected", f->expected, "measured", f->measured)) != 0;
    }
    json_t *doc = json_pack("{s:s, s:s, s:o, s:o, s:o}", "study", s->name, "interval", "95 %, Student's t over seeds", "cells", cells, "groups", groups, "verdicts", verdicts);
    if (!failed) return doc;
    json_decref(doc);
    return NULL;
}

/* ---- files ---- */

static an_status write_file(const an_study *s, const char *name, const char *text, size_t size)
{
    char *path = an_path_join(s->out, name);
    const an_status status = path ? an_file_write(path, text, size) : an_fail(AN_ENOMEM, "%s: no memory", s->place);
    free(path);
    return status;
}

an_status an_study_write(const an_study *s, const an_findings *findings)
{
    an_text tsv = { 0 };
    json_t *doc = an_study_json(s, findings);
    char *json = doc ? json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(doc);
    an_study_tsv(s, &tsv);
    an_status status = json ? an_text_status(&tsv) : an_fail(AN_ENOMEM, "%s: no memory for its results", s->place);
    if (status == AN_OK) status = an_dir_create(s->out);
    if (status == AN_OK) status = write_file(s, "table.tsv", an_text_get(&tsv), tsv.length);
    if (status == AN_OK) status = write_file(s, "study.json", json, strlen(json));
    an_text_fini(&tsv);
    free(json);
    return status;
}
