/* study/answer_try.c
 * What can be seen without training: one norm on its own as the models have it, a plan of nothing but it; and a model that reads a text at
 * once and token by token. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "net/norm.h"
#include "study/answer.h"
#include "study/statistics.h"
#include "train/data.h"
#include "train/trial.h"

/* ---- a norm ---- */

enum { C = 64, ROWS = 64, SEQUENCES = 4, MOST = SEQUENCES * ROWS };

static double number(uint64_t seed, size_t i) { return an_rng_normal(an_rng_key_make(seed, AN_RNG_PROBE, 11), i); }

static an_status emit(an_build *b, const an_options *o, const an_model_config *c, const char *kind, size_t rows, an_value **x, an_value **y)
{
    static const an_init ZERO = { AN_LAW_CONST, 0, 0 };
    const an_net net = { .b = b, .config = c, .options = o, .batch = rows, .seq = 1, .layer = -1 };
    *x = an_param_emit(&net, AN_KIND_EMBEDDING, "x", AN_MAT(rows, C), &ZERO, 1);
    *y = an_norm_emit_kind(&net, kind, "norm", *x);
    if (b->status == AN_OK) (*y)->keep = true;
    return b->status;
}

typedef struct bench { an_options *options; an_model_config config; const char *kind; } bench;

/* y of rows x; training: with the statistics of these rows. `seen` [rows * C]. Errors: those of building. */
static an_status normalise(const bench *w, bool training, size_t rows, const an_real *x, an_real *seen)
{
    an_params params = { 0 };
    an_plan *plan = NULL;
    an_value *in, *out = NULL;
    an_status status = an_plan_create(&plan, &params, false);
    if (status == AN_OK) {
        an_build b = { .plan = plan, .block = -1, .branch = -1, .train = training };
        status = emit(&b, w->options, &w->config, w->kind, rows, &in, &out);
    }
    if (status == AN_OK) status = an_plan_freeze(plan, false);
    if (status == AN_OK) status = an_params_freeze(&params, false);
    if (status == AN_OK) status = an_plan_bind(plan, 1);
    if (status == AN_OK) {
        an_run run = { .k = an_kern_get(), .gemm = an_gemm_get(), .loss_scale = 1, .train = training };
        an_params_draw(&params, 1, 1);
        memcpy(in->data, x, rows * C * sizeof *x);
        an_plan_forward(plan, &run);
        memcpy(seen, out->data, rows * C * sizeof *seen);
    }
    an_plan_destroy(&plan);
    an_params_fini(&params);
    return status;
}

static double apart(const an_real *a, const an_real *b)
{
    double sum = 0;
    for (size_t i = 0; i < C; i++) sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / C);
}

/* Shift, scale and company: the first row is changed, or all others. */
static an_status change_rows(const bench *w, an_real *x, an_real *y, an_real *z, an_answer_norm *out)
{
    AN_TRY(normalise(w, true, ROWS, x, y));
    for (size_t i = 0; i < C; i++) x[i] += AN_R(3);
    AN_TRY(normalise(w, true, ROWS, x, z));
    out->shift = apart(y, z);
    for (size_t i = 0; i < C; i++) x[i] = AN_R(7 * number(1, i));
    AN_TRY(normalise(w, true, ROWS, x, z));
    out->scale = apart(y, z);
    for (size_t i = 0; i < ROWS * C; i++) x[i] = AN_R(number(i < C ? 1 : 2, i) + (i < C ? 0 : 0.5));
    AN_TRY(normalise(w, true, ROWS, x, z));
    out->others = apart(y, z);
    for (size_t i = 0; i < ROWS * C; i++) x[i] = AN_R(number(1, i));
    return AN_OK;
}

/* The same row among fewer and fewer. What refuses to train on one row says so; that is a result. */
static an_status change_sizes(const bench *w, an_real *x, an_real *y, an_real *z, an_answer_norm *out)
{
    for (size_t s = 0; s < AN_ANSWER_SIZES; s++) {
        const size_t n = ROWS >> s;
        const an_status status = normalise(w, true, n, x, z);
        if (status == AN_ECONFIG && n == 1) snprintf(out->refusal, sizeof out->refusal, "%s", an_error_text());
        else if (status != AN_OK) return status;
        if (s == 0) memcpy(y, z, C * sizeof *y);
        out->batch[s] = status == AN_OK ? apart(y, z) : NAN;
        double sum = 0;
        for (size_t i = 0; n == 2 && i < n * C; i++) sum += fabs(fabs((double)z[i]) - 1) / (double)(n * C);
        if (n == 2) out->pair = sum;
    }
    an_real *cut = z + MOST * C;
    for (size_t s = 0; s < AN_ANSWER_SIZES; s++) {
        const size_t n = ROWS >> s;
        for (size_t q = 0; q < SEQUENCES; q++) memcpy(cut + q * n * C, x + q * ROWS * C, n * C * sizeof *x);
        AN_TRY(normalise(w, true, SEQUENCES * n, cut, z));
        if (s == 0) memcpy(y, z, C * sizeof *y);
        out->length[s] = apart(y, z);
    }
    return AN_OK;
}

static an_status try_all(const bench *w, an_real *room, an_answer_norm *out)
{
    an_real *x = room, *y = x + MOST * C, *z = y + MOST * C;
    for (size_t i = 0; i < MOST * C; i++) x[i] = AN_R(number(1, i));
    AN_TRY(change_rows(w, x, y, z, out));
    AN_TRY(change_sizes(w, x, y, z, out));
    AN_TRY(normalise(w, false, ROWS, x, y));
    AN_TRY(normalise(w, false, 1, x, z));
    out->inference = apart(y, z);
    return AN_OK;
}

an_status an_answer_try_norm(const char *kind, an_answer_norm *out)
{
    bench w = { .kind = kind };
    an_real *room = an_alloc(4 * MOST * C * sizeof *room);
    an_status status = room ? an_options_create(&w.options) : an_fail(AN_ENOMEM, "answer: no memory");
    *out = (an_answer_norm){ .shift = NAN };
    if (status == AN_OK) status = an_model_options_add(w.options);
    if (status == AN_OK) status = an_options_set(w.options, "norm", kind, AN_FROM_FLAG, "the answer");
    if (status == AN_OK) status = an_options_set(w.options, "norm_affine", "false", AN_FROM_FLAG, "the answer");
    if (status == AN_OK) status = an_options_resolve(w.options);
    if (status == AN_OK) status = an_model_config_read(&w.config, w.options);
    if (status == AN_OK) status = try_all(&w, room, out);
    an_options_destroy(&w.options);
    free(room);
    return status;
}

/* ---- decoding ---- */

/* Of two, a NaN before any number: what is not finite is no agreement. */
static double larger(double a, double b) { return an_stat_most(2, (double[]){ a, b }); }

static double largest_difference(size_t n, const an_real *a, const an_real *b)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) most = larger(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* One pass over all tokens beside one over the first half and beside one step after the other. */
static an_status compare(an_model *trained, const int32_t *tokens, size_t n, an_answer_decode *out)
{
    an_model *whole = NULL, *half = NULL;
    an_decoder *decoder = NULL;
    const size_t v = an_model_get_config(trained)->vocab_size;
    an_status status = an_model_share(&whole, trained, &(an_model_shape){ .batch = 1, .seq = n, .logits = true });
    if (status == AN_OK) status = an_model_share(&half, trained, &(an_model_shape){ .batch = 1, .seq = n / 2, .logits = true });
    if (status == AN_OK) status = an_decoder_create(&decoder, trained, n);
    if (status == AN_OK) {
        an_model_forward(whole, &(an_pass){ .tokens = tokens });
        an_model_forward(half, &(an_pass){ .tokens = tokens });
        out->shorter = largest_difference(n / 2 * v, an_model_get_logits(half), an_model_get_logits(whole));
    }
    for (size_t i = 0; i < n && status == AN_OK; i++) {
        const an_real *logits, *expected = an_model_get_logits(whole) + i * v;
        status = an_decoder_step(decoder, tokens[i], &logits);
        if (status != AN_OK) break;
        out->each[i] = largest_difference(v, logits, expected);
        out->largest = larger(out->largest, out->each[i]);
        for (size_t k = 0; k < v; k++) out->scale = fmax(out->scale, fabs((double)expected[k]));
    }
    an_decoder_destroy(&decoder);
    an_model_destroy(&half);
    an_model_destroy(&whole);
    return status;
}

an_status an_answer_try_decode(const an_study *study, const an_study_cell *cell, an_answer_decode *out)
{
    an_options *o = NULL;
    an_train_config config;
    an_trial *trial = NULL;
    *out = (an_answer_decode){ .tokens = 0 };
    AN_TRY(an_study_configure(study, cell, NULL, &o, &config));
    char *run = an_study_path(study, "cells", cell->name, "");
    an_status status = run ? an_trial_create(&trial, o, &config, AN_OBSERVE_OFF) : an_fail(AN_ENOMEM, "answer: no memory");
    if (status == AN_OK) status = an_trial_resume(trial, o, run);
    if (status == AN_OK) {
        const an_model_shape shape = an_trial_get_shape(trial);
        const size_t n = shape.seq < AN_ANSWER_TOKENS ? shape.seq : AN_ANSWER_TOKENS;
        int32_t *tokens = an_alloc(2 * shape.batch * shape.seq * sizeof *tokens);
        out->tokens = n;
        out->layers = an_model_get_config(an_trial_get_model(trial))->n_layer;
        if (tokens) an_trial_validate(trial, tokens, tokens + shape.batch * shape.seq);
        status = tokens ? compare(an_trial_get_model(trial), tokens, n, out) : an_fail(AN_ENOMEM, "answer: no memory");
        free(tokens);
    }
    an_trial_destroy(&trial);
    an_options_destroy(&o);
    free(run);
    return status;
}
