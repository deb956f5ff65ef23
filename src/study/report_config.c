/* study/report_config.c
 * How the runs were configured, how to make them again, and whose ideas they use. */
#include "study/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/design.h"
#include "net/norm.h"

/* ---- the table of keys ---- */

/* The values of a key among many runs with how many have each: "0.001 (25), 0.01 (25)". */
static void put_values(const an_runs *runs, const an_runs_key *key, an_text *out)
{
    enum { MOST = 12 };
    const char *value[MOST];
    size_t count[MOST] = { 0 }, n = 0, others = 0;
    for (size_t i = 0; i < runs->n; i++) {
        const char *text = an_runs_text(runs, i, key);
        size_t at = 0;
        while (at < n && strcmp(value[at], text) != 0) at++;
        if (at == MOST) {
            others++;
            continue;
        }
        if (at == n) value[n++] = text;
        count[at]++;
    }
    for (size_t i = 0; i < n; i++) {
        an_text_add(out, "%s%s", i ? ", " : "", *value[i] ? value[i] : "(unused)");
        if (n > 1) an_text_add(out, " (%zu)", count[i]);
    }
    if (others) an_text_add(out, ", others (%zu)", others);
}

static void put_row(const an_runs *runs, const an_runs_key *key, an_page *page)
{
    const bool many = runs->n > AN_RUNS_SIDE_BY_SIDE;
    an_text values = { 0 };
    an_page_row_begin(page, runs->n > 1 && key->differs);
    an_page_cell(page, AN_CELL_TEXT, key->key, NULL);
    if (many) put_values(runs, key, &values);
    if (many) an_page_cell(page, AN_CELL_TEXT, an_text_get(&values), NULL);
    for (size_t i = 0; !many && i < runs->n; i++) {
        const char *by = an_record_source(runs->record[i], key->key), *text = an_runs_text(runs, i, key);
        const char *of = strcmp(by, "default") == 0 && (runs->n > 1 || runs->record[i]->n_settings == 0) ? "" : by;
        an_page_cell(page, AN_CELL_TEXT, text, *text || key->row ? of : "");
    }
    const char *at = strchr(key->key, '@');
    an_page_cell(page, AN_CELL_TEXT, key->row && key->row->group ? key->row->group : "Add & Norm", NULL);
    an_page_cell(page, AN_CELL_LONG, key->row ? key->row->help : at ? "at the layers and sub-layers after @" : "", NULL);
    an_page_row_end(page);
    if (values.failed) page->out->failed = 1;
    an_text_fini(&values);
}

void an__report_configuration(const an_runs *runs, an_page *page)
{
    const bool many = runs->n > AN_RUNS_SIDE_BY_SIDE;
    const char *columns[AN_RUNS_SIDE_BY_SIDE + 3] = { "key" };
    size_t n = 1;
    if (many || runs->n == 1) columns[n++] = many ? "values (runs)" : "value";
    else for (size_t i = 0; i < runs->n; i++) columns[n++] = runs->name[i];
    columns[n++] = "group";
    columns[n++] = "meaning";
    an_page_heading(page, "Configuration");
    an_page_note(page, runs->n == 1 ? "Resolved: every key in force, and below a value who set it." : "Resolved: every key in force, below a value who set it unless it is the default; marked where runs differ.");
    an_page_choice_table(page, "configuration", runs->n > 1 ? "only what differs" : NULL, runs->n > 1, columns, n);
    for (size_t i = 0; i < runs->n_keys; i++) put_row(runs, &runs->key[i], page);
    an_page_table_end(page);
    an_text_add(page->out, "</div>\n");                              /* of the choice */
}

/* ---- the command ---- */

/* For a POSIX shell: as it is where that is safe, else in single quotes. */
static void put_word(an_text *out, const char *word)
{
    static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
    if (*word && word[strspn(word, PLAIN)] == '\0') {
        an_text_add(out, "%s", word);
        return;
    }
    an_text_add(out, "'");
    for (; *word; word++) {
        if (*word == '\'') an_text_add(out, "'\\''");
        else an_text_put(out, word, 1);
    }
    an_text_add(out, "'");
}

typedef struct command { const an_options *options; an_source least; an_text *out; } command;

static void put_flag(const command *c, const char *key, const char *value)
{
    an_text word = { 0 };
    an_text_add(c->out, " \\\n  ");
    if (*value == '-' || !*value) an_text_add(&word, "--%s=%s", key, value);   /* what a flag would be taken for */
    else an_text_add(&word, "--%s", key);
    put_word(c->out, an_text_get(&word));
    if (*value && *value != '-') {
        an_text_add(c->out, " ");
        put_word(c->out, value);
    }
    if (word.failed) c->out->failed = 1;
    an_text_fini(&word);
}

static void put_setting(void *ctx, const char *key, const char *text, const char *place)
{
    const command *c = ctx;
    const an_option *row = strchr(key, '@') ? NULL : an_options_find(c->options, key);
    (void)place;
    if (an_options_is_default(c->options, key, text, strlen(text)) || strcmp(key, "out") == 0 || (row && an_options_source(c->options, key) < c->least)) return;
    if (!row || row->type != AN_PATHS) put_flag(c, key, text);
    const an_option_list list = row && row->type == AN_PATHS ? an_options_list(c->options, key) : (an_option_list){ 0 };
    for (size_t i = 0; i < list.count; i++) put_flag(c, key, list.item[i]);
}

void an_command_flags(const an_options *options, an_source least, an_text *out)
{
    command c = { options, least, out };
    an_options_walk(options, put_setting, &c);
}

void an_runs_command(const an_record *record, an_text *out)
{
    an_text_add(out, "addnorm train");
    an_command_flags(record->options, AN_FROM_DEFAULT, out);
    an_text_add(out, "\n");
}

void an__report_commands(const an_runs *runs, an_page *page)
{
    an_page_heading(page, "Make it again");
    if (runs->n > AN_RUNS_SIDE_BY_SIDE) {
        an_text text = { 0 };
        an_text_add(&text, "addnorm train ");
        put_word(&text, runs->record[0]->run);
        an_text_add(&text, "/config.yaml --out NEW\n");
        an_page_paragraph(page, "The resolved configuration of each run lies in its folder; the first:");
        an_page_command(page, an_text_get(&text));
        if (text.failed) page->out->failed = 1;
        an_text_fini(&text);
        return;
    }
    an_page_note(page, "The same text gives the same bits, for any number of threads on one kind of processor; every key that is not here has its default.");
    for (size_t i = 0; i < runs->n; i++) {
        an_text text = { 0 };
        if (runs->n > 1) an_page_subheading(page, runs->name[i]);
        an_runs_command(runs->record[i], &text);
        an_page_command(page, an_text_get(&text));
        if (text.failed) page->out->failed = 1;
        an_text_fini(&text);
    }
}

/* ---- the papers ---- */

static bool uses(const an_runs *runs, const char *key, const char *value)
{
    const size_t n = strlen(key);
    for (size_t i = 0; i < runs->n_keys; i++) {
        const char *k = runs->key[i].key;
        if (strncmp(k, key, n) != 0 || (k[n] && k[n] != '@')) continue;
        for (size_t r = 0; r < runs->n; r++)
            if (strcmp(an_runs_text(runs, r, &runs->key[i]), value) == 0) return true;
    }
    return false;
}

static void put_paper(an_page *page, const char *kind, const char *name, const char *formula, const char *source)
{
    char before[256], url[64];
    const char *id = strstr(source, "arXiv:");
    snprintf(before, sizeof before, "%s %s: %s. ", kind, name, formula);
    if (id) snprintf(url, sizeof url, "https://arxiv.org/abs/%.*s", (int)strspn(id + 6, "0123456789."), id + 6);
    an_page_link(page, before, source, id ? url : NULL);
}

void an__report_papers(const an_runs *runs, an_page *page)
{
    const an_design *design;
    const an_norm_kind *norm;
    an_page_heading(page, "Sources");
    for (size_t i = 0; (design = an_design_at(i)) != NULL; i++)
        if (uses(runs, "design", design->name)) put_paper(page, "design", design->name, design->formula, design->source);
    for (size_t i = 0; (norm = an_norm_at(i)) != NULL; i++)
        if (uses(runs, "norm", norm->name)) put_paper(page, "norm", norm->name, norm->formula, norm->source);
}
