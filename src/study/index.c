/* study/index.c
 * One transaction into a new file, which is synced as a whole, once, and then takes the old one's place. The only file that knows SQLite. */
#include "study/index.h"

#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "study/record.h"

/* The configuration is whole but for where and on how many threads a run was made. */
static const char SCHEMA[] =
    "PRAGMA page_size=4096; PRAGMA auto_vacuum=NONE; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA encoding='UTF-8';"
    "BEGIN;"
    "CREATE TABLE study(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
    "CREATE TABLE cells(cell INTEGER PRIMARY KEY, name TEXT, run TEXT, identity TEXT, seed TEXT, state TEXT, reason TEXT, outcome TEXT, version TEXT, pre_ln_cell INTEGER,"
    " steps INTEGER, tokens INTEGER, params INTEGER, flops REAL, unigram_entropy REAL, loss REAL, val_loss REAL, best_val_loss REAL, bits_per_byte REAL, damaged_lines INTEGER);"
    "CREATE TABLE grid(cell INTEGER, key TEXT, value TEXT, PRIMARY KEY(cell, key)) WITHOUT ROWID;"
    "CREATE TABLE config(cell INTEGER, key TEXT, value TEXT, PRIMARY KEY(cell, key)) WITHOUT ROWID;"
    "CREATE TABLE steps(cell INTEGER, step INTEGER, tokens INTEGER, loss REAL, lr REAL, grad_norm REAL, grad_norm_clipped REAL, update_norm REAL, PRIMARY KEY(cell, step)) WITHOUT ROWID;"
    "CREATE TABLE evals(cell INTEGER, step INTEGER, val_loss REAL, bits_per_byte REAL, best INTEGER, PRIMARY KEY(cell, step)) WITHOUT ROWID;"
    "CREATE TABLE spikes(cell INTEGER, step INTEGER, quantity TEXT, kind TEXT, value REAL, mean REAL, z REAL);";

enum { CELLS, GRID, CONFIG, STEPS, EVALS, SPIKES, STUDY, STATEMENTS };
static const char *const INSERT[STATEMENTS] = {
    "INSERT INTO cells VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", "INSERT OR REPLACE INTO grid VALUES(?,?,?)", "INSERT OR REPLACE INTO config VALUES(?,?,?)",
    "INSERT INTO steps VALUES(?,?,?,?,?,?,?,?)",
    "INSERT INTO evals VALUES(?,?,?,?,?)", "INSERT INTO spikes VALUES(?,?,?,?,?,?,?)", "INSERT INTO study VALUES(?,?)",
};

typedef struct writer { sqlite3 *db; sqlite3_stmt *statement[STATEMENTS]; sqlite3_int64 cell; bool failed; } writer;

/* Binds by a format: i an integer, r a real (what is no number: NULL), t a text (NULL: NULL); and inserts. */
static void insert(writer *w, int which, const char *format, ...)
{
    sqlite3_stmt *t = w->statement[which];
    va_list args;
    va_start(args, format);
    for (int at = 1; *format; format++, at++) {
        if (*format == 'i') w->failed |= sqlite3_bind_int64(t, at, va_arg(args, sqlite3_int64)) != SQLITE_OK;
        else if (*format == 'r') w->failed |= sqlite3_bind_double(t, at, va_arg(args, double)) != SQLITE_OK;
        else w->failed |= sqlite3_bind_text(t, at, va_arg(args, const char *), -1, SQLITE_TRANSIENT) != SQLITE_OK;
    }
    va_end(args);
    w->failed |= sqlite3_step(t) != SQLITE_DONE;
    w->failed |= sqlite3_reset(t) != SQLITE_OK;
}

static void put_cell(writer *w, const an_study *s, size_t i)
{
    const an_study_cell *cell = &s->cell[i];
    const an_cell_result *x = &cell->result;
    char identity[20], run[512];
    snprintf(identity, sizeof identity, "%016" PRIx64, cell->identity);
    snprintf(run, sizeof run, "cells/%s", cell->name);
    const sqlite3_int64 pre_ln = cell->reference == AN_NO_CELL ? 0 : (sqlite3_int64)cell->reference + 1;
    w->cell = (sqlite3_int64)i + 1;
    insert(w, CELLS, "itttttttti" "iiirrrrrri", w->cell, cell->name, run, identity, cell->seed, an_cell_state_name(cell->state), cell->reason, an_outcome_name(x->outcome), x->version, pre_ln,
           (sqlite3_int64)x->steps, (sqlite3_int64)x->tokens, (sqlite3_int64)x->params, cell->flops, x->steps ? x->entropy : NAN, an_cell_quantity(cell, AN_Q_LOSS),
           an_cell_quantity(cell, AN_Q_VAL_LOSS), x->steps ? x->best_val_loss : NAN, an_cell_quantity(cell, AN_Q_BITS_PER_BYTE), (sqlite3_int64)x->damaged);
    for (size_t k = 0; k < cell->n_settings; k++) insert(w, GRID, "itt", w->cell, cell->setting[k].key, cell->setting[k].value);
}

static void put_setting(void *ctx, const char *key, const char *text, const char *place)
{
    writer *w = ctx;
    (void)place;
    if (strcmp(key, "out") != 0 && strcmp(key, "threads") != 0) insert(w, CONFIG, "itt", w->cell, key, text);
}

static void put_run(writer *w, const an_record *r)
{
    an_options_walk(r->options, put_setting, w);
    for (size_t i = 0; i < r->n_steps; i++) {
        const an_event_step *e = &r->step[i];
        insert(w, STEPS, "iiirrrrr", w->cell, (sqlite3_int64)e->step, (sqlite3_int64)e->tokens, e->loss, e->lr, e->grad_norm, e->grad_norm_clipped, e->update_norm);
    }
    for (size_t i = 0; i < r->n_evals; i++) {
        const an_event_eval *e = &r->eval[i];
        insert(w, EVALS, "iirri", w->cell, (sqlite3_int64)e->step, e->val.loss, e->val.bits_per_byte, (sqlite3_int64)e->best);
    }
    for (size_t i = 0; i < r->n_spikes; i++) {
        const an_spike_verdict *v = &r->spike[i].verdict;
        insert(w, SPIKES, "iittrrr", w->cell, (sqlite3_int64)r->spike[i].step, an_spike_name(v->quantity), an_spike_kind_name(v->kind), v->value, v->mean, v->z);
    }
}

static an_status put_folder(writer *w, const an_study *s, size_t i)
{
    an_record *r = NULL;
    char *run = an_study_path(s, "cells", s->cell[i].name, "");
    an_status status = run ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", s->place);
    if (run && an_is_run_folder(run)) status = an_record_read(&r, run, false);
    if (r) put_run(w, r);
    an_record_destroy(&r);
    free(run);
    return status == AN_ENOMEM ? status : AN_OK;   /* a folder that cannot be read is a failed cell, with its reason */
}

static an_status fill(writer *w, const an_study *s, void (*tick)(void *ctx, size_t done, size_t all), void *ctx)
{
    w->failed |= sqlite3_exec(w->db, SCHEMA, NULL, NULL, NULL) != SQLITE_OK;
    for (int i = 0; i < STATEMENTS && !w->failed; i++) w->failed |= sqlite3_prepare_v2(w->db, INSERT[i], -1, &w->statement[i], NULL) != SQLITE_OK;
    if (!w->failed) insert(w, STUDY, "tt", "name", s->name);
    for (size_t i = 0; i < s->n_cells && !w->failed; i++) {
        put_cell(w, s, i);
        AN_TRY(put_folder(w, s, i));
        if (tick) tick(ctx, i + 1, s->n_cells);
    }
    w->failed |= w->failed || sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK;
    return AN_OK;
}

an_status an_index_build(const an_study *s, void (*tick)(void *ctx, size_t done, size_t all), void *ctx)
{
    writer w = { 0 };
    char name[40], *path = an_path_join(s->out, "index.sqlite"), *fresh;
    snprintf(name, sizeof name, "index.sqlite.tmp%ld", (long)getpid());
    fresh = an_path_join(s->out, name);
    an_status status = path && fresh ? an_dir_create(s->out) : an_fail(AN_ENOMEM, "%s: no memory", s->place);
    if (status == AN_OK) {
        unlink(fresh);
        w.failed = sqlite3_open_v2(fresh, &w.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK;
        if (!w.failed) status = fill(&w, s, tick, ctx);
        if (status == AN_OK && w.failed) status = an_fail(AN_EIO, "%s: cannot write the index: %s", path, w.db ? sqlite3_errmsg(w.db) : "no memory");
        for (int i = 0; i < STATEMENTS; i++) sqlite3_finalize(w.statement[i]);
        sqlite3_close(w.db);
        if (status == AN_OK) status = an_file_sync(fresh);
        if (status == AN_OK) status = an_path_rename(fresh, path);
        if (status != AN_OK) unlink(fresh);
    }
    free(path);
    free(fresh);
    return status;
}
