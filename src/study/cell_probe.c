/* study/cell_probe.c
 * What is measured on demand on a finished cell (study/probe.h), once: the answer is kept beside the cell's log, with what it depends on besides
 * the cell, its batch included. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "study/evidence.h"

enum { SETS = 4, UPDATES = 10 };   /* sets of branches for each path length; updates that are followed */

static json_t *measure(const an_study *s, const an_study_cell *cell, an_probe_kind kind, const char *run, const an_findings *f)
{
    an_options *o = NULL;
    an_train_config config;
    an_probe_report report;
    const bool from_start = kind == AN_PROBE_AMPLIFICATION || kind == AN_PROBE_LINEARISATION;
    const an_probe_settings how = { .wanted = 1u << kind, .run = from_start ? NULL : run, .steps = UPDATES, .sets = SETS, .tick = f->tick, .ctx = f->ctx };
    if (an_study_configure(s, cell, NULL, &o, &config) != AN_OK) return NULL;
    json_t *doc = NULL;
    if (an_probe_run(&report, o, &config, &how) == AN_OK) {
        doc = an_probe_json(&report);
        an_probe_fini(&report);
    }
    an_options_destroy(&o);
    return doc;
}

static json_t *settings(void) { return json_pack("{s:s, s:i, s:i}", "version", AN_VERSION, "sets", SETS, "updates", UPDATES); }

/* NULL: nothing is kept there, or it was measured otherwise. */
static json_t *read_kept(const char *path)
{
    json_t *doc = json_load_file(path, JSON_REJECT_DUPLICATES, NULL), *now = settings();
    const bool same = now && json_equal(json_object_get(doc, "settings"), now);
    json_decref(now);
    if (same) return doc;
    json_decref(doc);
    return NULL;
}

static void keep(json_t *doc, const char *path)
{
    char *text = json_object_set_new(doc, "settings", settings()) == 0 ? json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
    if (text && an_file_write(path, text, strlen(text)) != AN_OK) { /* not kept: measured again next time */ }
    free(text);
}

json_t *an_cell_probe(const an_study *s, const an_study_cell *cell, an_probe_kind kind, const an_findings *f)
{
    char file[64];
    snprintf(file, sizeof file, "/probe-%s.json", an_probe_name(kind));
    char *path = cell && cell->state == AN_CELL_FINISHED ? an_study_path(s, "cells", cell->name, file) : NULL;
    char *run = path ? an_study_path(s, "cells", cell->name, "") : NULL;
    json_t *doc = path ? read_kept(path) : NULL;
    if (!doc && run && (doc = measure(s, cell, kind, run, f))) keep(doc, path);
    json_t *of_kind = json_incref(json_object_get(doc, an_probe_name(kind)));
    json_decref(doc);
    free(path);
    free(run);
    return of_kind;
}

double an_probe_number(const json_t *of_kind, const char *key)
{
    const json_t *x = json_object_get(of_kind, key);
    return json_is_number(x) ? json_number_value(x) : NAN;
}

double an_cell_change(const an_study *study, const an_study_cell *cell, const an_findings *findings)
{
    json_t *updates = an_cell_probe(study, cell, AN_PROBE_AMPLIFICATION, findings);
    const size_t n = json_array_size(updates);
    double sum = n ? 0 : NAN;
    for (size_t i = 0; i < n; i++) sum += an_probe_number(json_array_get(updates, i), "change") / (double)n;
    json_decref(updates);
    return sum;
}

size_t an_probe_numbers(const json_t *of_kind, const char *key, an_profile *out)
{
    const json_t *a = json_object_get(of_kind, key);
    out->n = 0;
    for (size_t i = 0; i < json_array_size(a) && i < AN_PROFILE_MOST; i++) {
        const json_t *x = json_array_get(a, i);
        out->y[out->n++] = json_is_number(x) ? json_number_value(x) : NAN;
    }
    return out->n;
}
