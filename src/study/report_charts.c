/* study/report_charts.c
 * Which charts a report has, section by section: a curve per run from its steps, its evaluations or its telemetry. A chart without
 * a number is not given. */
#include "study/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "study/statistics.h"
#include "train/telemetry.h"

enum { NO_RUN = -1 };

/* A chart being made; what it points at lies in the arena. */
typedef struct sketch { const an_runs *runs; an_arena arena; an_curve *curve; ptrdiff_t *run; size_t n; bool failed, any; } sketch;   /* run[i]: whose curve[i] is */

static an_status sketch_open(sketch *s, const an_runs *runs, size_t curves)
{
    *s = (sketch){ .runs = runs };
    s->curve = an_arena_alloc(&s->arena, (curves + 1) * sizeof *s->curve);
    s->run = an_arena_alloc(&s->arena, (curves + 1) * sizeof *s->run);
    return s->curve && s->run ? AN_OK : an_fail(AN_ENOMEM, "report: no memory for a chart");
}

/* Does the shorter one's x begin the other's? Over names all curves are of one length. */
static bool are_over_the_same(const an_curve *a, const an_curve *b)
{
    const size_t n = a->n < b->n ? a->n : b->n;
    return !a->x || memcmp(a->x, b->x, n * sizeof *a->x) == 0;
}

/* Curve i and those behind it that are like it but for the seed, as one, in the place of the first; the others lose their y. */
static void join(sketch *s, size_t i)
{
    const size_t set = s->runs->set[s->run[i]];
    an_curve *c = &s->curve[i], most = *c;
    const double **y = an_arena_alloc(&s->arena, s->n * sizeof *y);
    size_t *length = an_arena_alloc(&s->arena, s->n * sizeof *length), runs = 0;
    if (!y || !length) { s->failed = true; return; }
    for (size_t k = i; k < s->n; k++) {
        an_curve *other = &s->curve[k];
        if (s->run[k] == NO_RUN || !other->y || s->runs->set[s->run[k]] != set || other->style != c->style || !are_over_the_same(&most, other)) continue;
        y[runs] = other->y;
        length[runs++] = other->n;
        if (other->n > most.n) most = *other;
        if (k > i) other->y = NULL;
    }
    const size_t n = most.n;
    double *mean = an_arena_alloc(&s->arena, (n + 1) * sizeof *mean), *low = an_arena_alloc(&s->arena, (n + 1) * sizeof *low), *high = an_arena_alloc(&s->arena, (n + 1) * sizeof *high);
    const char *name = an_arena_printf(&s->arena, "%s%s", s->runs->set_name[set], c->name + strlen(s->runs->name[s->run[i]]));   /* " val" and the like stay */
    if (!mean || !low || !high || !name) { s->failed = true; return; }
    an_stat_envelope(runs, y, length, n, mean, low, high);
    c->name = name;
    c->x = most.x;
    c->y = mean;
    c->n = n;
    if (runs > 1) c->low = low, c->high = high;
    if (s->runs->n_sets <= AN_RUNS_SIDE_BY_SIDE) c->color = (int)set;
}

static void join_all(sketch *s)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n && !s->failed; i++)
        if (s->run[i] != NO_RUN && s->curve[i].y) join(s, i);
    for (size_t i = 0; i < s->n && !s->failed; i++)
        if (s->curve[i].y) s->curve[kept++] = s->curve[i];
    if (!s->failed) s->n = kept;
}

/* Are seeds put together for this taker? */
static bool joins(const an_runs *runs, const an_taker *taker) { return taker->means && runs->n_sets < runs->n; }
static size_t lines_of(const an_runs *runs, const an_taker *taker) { return joins(runs, taker) ? runs->n_sets : runs->n; }

/* Gives the chart and ends it. */
static an_status sketch_give(sketch *s, an_taker *taker, an_chart chart)
{
    if (joins(s->runs, taker)) join_all(s);
    an_status status = s->failed ? an_fail(AN_ENOMEM, "report: no memory for a chart") : AN_OK;
    chart.curve = s->curve;
    chart.n_curves = s->n;
    if (s->runs->grouped_by && lines_of(s->runs, taker) > AN_RUNS_SIDE_BY_SIDE) {
        chart.group = s->runs->group_name;
        chart.n_groups = s->runs->n_groups;
    }
    if (status == AN_OK && s->any) {
        status = taker->curves(taker->ctx, &chart);
        taker->taken++;
    }
    an_arena_fini(&s->arena);
    return status;
}

/* Room for a curve of n points, of a run or of none; NULL and failed: no memory. x is left out for charts over names. */
static double *add_curve(sketch *s, ptrdiff_t run, const char *name, an_curve_style style, size_t n, double **x)
{
    double *y = an_arena_alloc(&s->arena, (n + 1) * sizeof *y);
    if (x) *x = an_arena_alloc(&s->arena, (n + 1) * sizeof **x);
    s->failed |= !y || (x && !*x);
    if (s->failed) return NULL;
    s->run[s->n] = run;
    s->curve[s->n++] = (an_curve){ .name = name, .x = x ? *x : NULL, .y = y, .n = n, .color = run == NO_RUN ? AN_COLOR_NEUTRAL : (int)s->runs->group[run], .style = style };
    return y;
}

static void see(sketch *s, double y) { s->any |= isfinite(y); }

static void add_steps(sketch *s, size_t run, const char *key)
{
    const an_record *r = s->runs->record[run];
    const an_column *c = an_step_columns;
    double *x, *y = add_curve(s, (ptrdiff_t)run, s->runs->name[run], AN_CURVE_LINE, r->n_steps, &x);
    while (c->key && strcmp(c->key, key) != 0) c++;
    for (size_t i = 0; y && i < r->n_steps; i++) {
        x[i] = (double)r->step[i].step;
        y[i] = an_column_get(c, &r->step[i]);
        see(s, y[i]);
    }
}

static void add_evals(sketch *s, size_t run, const char *key, const char *suffix)
{
    const an_record *r = s->runs->record[run];
    const an_column *c = an_eval_columns;
    const char *name = an_arena_printf(&s->arena, "%s%s", s->runs->name[run], suffix);
    double *x, *y = name ? add_curve(s, (ptrdiff_t)run, name, AN_CURVE_DOTS, r->n_evals, &x) : NULL;
    s->failed |= !name;
    while (c->key && strcmp(c->key, key) != 0) c++;
    for (size_t i = 0; y && i < r->n_evals; i++) {
        x[i] = (double)r->eval[i].step;
        y[i] = an_column_get(c, &r->eval[i]);
        see(s, y[i]);
    }
}

/* A level over the steps of all runs, once where all have the same. */
static void add_entropy(sketch *s)
{
    const an_runs *runs = s->runs;
    double last = 0;
    for (size_t i = 0; i < runs->n; i++) {
        if (fabs(runs->record[i]->start.unigram_entropy - runs->record[0]->start.unigram_entropy) > 1e-6) return;
        last = fmax(last, (double)runs->record[i]->start.steps);
    }
    double *x, *y = isfinite(runs->record[0]->start.unigram_entropy) ? add_curve(s, NO_RUN, "unigram entropy", AN_CURVE_DASHED, 2, &x) : NULL;
    if (!y) return;
    x[0] = 0;
    x[1] = last;
    y[0] = y[1] = runs->record[0]->start.unigram_entropy;
}

/* Losses that leave the axis of the others behind are shown by powers of ten. */
static bool is_wild(const an_runs *runs)
{
    double most = 0;
    for (size_t i = 0; i < runs->n; i++)
        for (size_t k = 0; k < runs->record[i]->n_steps; k++) most = isfinite(runs->record[i]->step[k].loss) ? fmax(most, runs->record[i]->step[k].loss) : most;
    return most > 20;
}

static an_status give_loss(const an_runs *runs, an_taker *taker)
{
    sketch s;
    const bool few = lines_of(runs, taker) <= AN_RUNS_SIDE_BY_SIDE / 2, wild = is_wild(runs);
    AN_TRY(sketch_open(&s, runs, 2 * runs->n + 1));
    for (size_t i = 0; i < runs->n; i++) add_steps(&s, i, "loss");
    for (size_t i = 0; few && i < runs->n; i++) add_evals(&s, i, "val_loss", " val");
    add_entropy(&s);
    AN_TRY(sketch_give(&s, taker, (an_chart){ .id = "loss", .title = few ? "Loss: training, and dots on the validation data" : "Training loss", .note = "below the unigram entropy a model uses context",
                                              .x_title = "step", .y_title = "nats per token", .logarithmic = wild }));
    AN_TRY(sketch_open(&s, runs, runs->n + 1));
    for (size_t i = 0; !few && i < runs->n; i++) add_evals(&s, i, "val_loss", "");
    add_entropy(&s);
    AN_TRY(sketch_give(&s, taker, (an_chart){ .id = "val_loss", .title = "Validation loss", .x_title = "step", .y_title = "nats per token", .logarithmic = wild }));
    AN_TRY(sketch_open(&s, runs, runs->n));
    for (size_t i = 0; i < runs->n; i++) add_evals(&s, i, "bits_per_byte", "");
    return sketch_give(&s, taker, (an_chart){ .id = "bits_per_byte", .title = "Bits per byte of the validation data", .x_title = "step", .y_title = "bits", .logarithmic = wild });
}

/* Learning rates that one straight axis would not tell apart. */
static bool are_apart(const an_runs *runs)
{
    double least = INFINITY, most = 0;
    for (size_t i = 0; i < runs->n; i++) {
        least = fmin(least, runs->record[i]->config.lr);
        most = fmax(most, runs->record[i]->config.lr);
    }
    return most > 10 * least;
}

static an_status give_norms(const an_runs *runs, an_taker *taker)
{
    static const struct { const char *key, *title, *y_title; bool logarithmic, of_few; } CHARTS[] = {
        { "lr", "Learning rate", "", false, true }, { "grad_norm", "Gradient norm before clipping", "loss / weight", true, false },
        { "update_norm", "Update norm: what the optimizer added", "weight", true, false }, { "tok_per_s", "Speed", "tokens per second", false, true },
    };
    for (size_t c = 0; c < sizeof CHARTS / sizeof *CHARTS; c++) {
        sketch s;
        if (CHARTS[c].of_few && lines_of(runs, taker) > AN_RUNS_SIDE_BY_SIDE) continue;
        AN_TRY(sketch_open(&s, runs, runs->n));
        for (size_t i = 0; i < runs->n; i++) add_steps(&s, i, CHARTS[c].key);
        const bool logarithmic = CHARTS[c].logarithmic || (strcmp(CHARTS[c].key, "lr") == 0 && are_apart(runs));
        AN_TRY(sketch_give(&s, taker, (an_chart){ .id = CHARTS[c].key, .title = CHARTS[c].title, .x_title = "step", .y_title = CHARTS[c].y_title, .logarithmic = logarithmic }));
    }
    return AN_OK;
}

/* ---- telemetry ---- */

typedef double fold(double so_far, double value);
static double times(double a, double b) { return a * b; }

/* All names of a look folded to one number, over steps. */
static void add_folded(sketch *s, size_t run, const char *family, const char *metric, fold *of)
{
    size_t at;
    const an_record_table *t = an_record_find(s->runs->record[run], family, metric, &at);
    double *x, *y = t ? add_curve(s, (ptrdiff_t)run, s->runs->name[run], AN_CURVE_LINE, t->n_looks, &x) : NULL;
    for (size_t i = 0; y && i < t->n_looks; i++) {
        x[i] = (double)t->step[i];
        y[i] = an_record_value(t, i, at, 0);
        for (size_t k = 1; k < t->n_names; k++) y[i] = of(y[i], an_record_value(t, i, at, k));
        see(s, y[i]);
    }
}

/* The longest list of names that a run has there. */
static const an_record_table *longest(const an_runs *runs, const char *family, const char *metric)
{
    const an_record_table *most = NULL;
    for (size_t i = 0; i < runs->n; i++) {
        size_t at;
        const an_record_table *t = an_record_find(runs->record[i], family, metric, &at);
        if (t && (!most || t->n_names > most->n_names)) most = t;
    }
    return most;
}

/* "layers.3.attn.attention" of the family attention: "3.attn". */
static const char *short_name(an_arena *arena, const char *name, const char *family)
{
    if (strncmp(name, "layers.", 7) == 0) name += 7;
    const size_t n = strlen(name), m = strlen(family), tail = n > m && name[n - m - 1] == '.' && strcmp(name + n - m, family) == 0 ? m + 1 : 0;
    return an_arena_printf(arena, "%.*s", (int)(n - tail), name);
}

/* A number of every sub-layer at the first and the last look, over the sub-layers. */
static an_status give_profile(const an_runs *runs, an_taker *taker, const char *family, const char *metric, an_chart chart)
{
    sketch s;
    const bool both = lines_of(runs, taker) <= 3;                                   /* first and last; of more runs the last alone can be told apart */
    char note[160];
    const an_record_table *names = longest(runs, family, metric);
    if (!names) return AN_OK;
    AN_TRY(sketch_open(&s, runs, 2 * runs->n));
    const char **label = an_arena_alloc(&s.arena, names->n_names * sizeof *label);
    s.failed |= !label;
    for (size_t k = 0; label && k < names->n_names; k++) s.failed |= !(label[k] = short_name(&s.arena, names->name[k], family));
    for (size_t i = 0; i < runs->n; i++) {
        size_t at;
        const an_record_table *t = an_record_find(runs->record[i], family, metric, &at);
        for (int first = 0; t && first <= (both && t->n_looks > 1); first++) {
            const char *name = an_arena_printf(&s.arena, first ? "%s, step %llu" : "%s", runs->name[i], (unsigned long long)t->step[0]);
            double *y = name ? add_curve(&s, (ptrdiff_t)i, name, first ? AN_CURVE_DASHED : AN_CURVE_LINE, names->n_names, NULL) : NULL;
            s.failed |= !name;
            for (size_t k = 0; y && k < names->n_names; k++) {
                y[k] = k < t->n_names ? an_record_value(t, first ? 0 : t->n_looks - 1, at, k) : NAN;
                see(&s, y[k]);
            }
        }
    }
    snprintf(note, sizeof note, "%s%s%s", chart.note ? chart.note : "", chart.note && both ? "; " : "", both ? "dashed: first look" : "");
    chart.note = note;
    chart.label = label;
    chart.n_labels = names->n_names;
    return sketch_give(&s, taker, chart);
}

/* A map of one run; over NULL: the number itself, else over that one. */
static an_status give_map(const an_runs *runs, size_t run, an_taker *taker, const char *family, const char *metric, const char *over, an_heat heat)
{
    size_t at, under = 0;
    an_status status = AN_OK;
    an_arena arena = { 0 };
    char id[48];
    bool any = false;
    const an_record_table *t = an_record_find(runs->record[run], family, metric, &at);
    if (!t || (over && an_record_find(runs->record[run], family, over, &under) != t)) return AN_OK;
    const size_t n = t->n_looks * t->n_names;
    double *value = an_arena_alloc(&arena, n * sizeof *value);
    const char **row = an_arena_alloc(&arena, t->n_names * sizeof *row);
    if (!value || !row) status = an_fail(AN_ENOMEM, "report: no memory for a map");
    for (size_t i = 0; value && i < n; i++) {
        value[i] = an_record_value(t, i / t->n_names, at, i % t->n_names);
        if (over) value[i] /= an_record_value(t, i / t->n_names, under, i % t->n_names);
        any |= isfinite(value[i]);
        if (!heat.is_signed && isfinite(value[i])) heat.high = fmax(heat.high, fmin(value[i], 1.5));   /* parts that cancel are longer than their sum */
    }
    for (size_t k = 0; row && k < t->n_names; k++)
        if (!(row[k] = short_name(&arena, t->name[k], family))) status = an_fail(AN_ENOMEM, "report: no memory for a map");
    snprintf(id, sizeof id, "%s_%zu", heat.id, run);
    if (status == AN_OK && any) {
        heat.id = id;
        heat.of = runs->name[run];
        heat.row = row;
        heat.n_rows = t->n_names;
        heat.step = t->step;
        heat.n_steps = t->n_looks;
        heat.value = value;
        status = taker->heat(taker->ctx, &heat);
        taker->taken++;
    }
    an_arena_fini(&arena);
    return status;
}

static an_status give_ledger(const an_runs *runs, an_taker *taker)
{
    sketch s;
    size_t at;
    for (size_t i = 0; i < runs->n; i++) {
        char identity[96], branch[96], cosine[96];
        if (!an_record_find(runs->record[i], "ledger", "g_identity", &at)) continue;
        snprintf(identity, sizeof identity, "%.60s: identity share", runs->name[i]);
        snprintf(branch, sizeof branch, "%.60s: branch share", runs->name[i]);
        snprintf(cosine, sizeof cosine, "%.60s: cosine of the two", runs->name[i]);
        if (taker->group) AN_TRY(taker->group(taker->ctx, 3));
        AN_TRY(give_map(runs, i, taker, "ledger", "g_identity", "g_in", (an_heat){ .id = "identity_share", .title = identity, .note = "|g through the skip| / |g before the sub-layer|", .high = 1 }));
        AN_TRY(give_map(runs, i, taker, "ledger", "g_branch", "g_in", (an_heat){ .id = "branch_share", .title = branch, .note = "|g through the branch| / |g before the sub-layer|", .high = 1 }));
        AN_TRY(give_map(runs, i, taker, "ledger", "g_cos", NULL, (an_heat){ .id = "gradient_cosine", .title = cosine, .note = "1: they add up, -1: they cancel", .low = -1, .high = 1, .is_signed = true }));
        if (taker->group) AN_TRY(taker->group(taker->ctx, 0));
    }
    if (taker->group) AN_TRY(taker->group(taker->ctx, 2));
    AN_TRY(sketch_open(&s, runs, runs->n));
    for (size_t i = 0; i < runs->n; i++) add_folded(&s, i, "ledger", "attenuation", times);
    AN_TRY(sketch_give(&s, taker, (an_chart){ .id = "attenuation_product", .title = "What the skips keep of the gradient, from the last sub-layer to the first", .note = "product of the ledger's attenuations; exact without norms on the skip, none where there is no single chain of skips",
                                              .x_title = "step", .y_title = "", .logarithmic = true }));
    AN_TRY(give_profile(runs, taker, "ledger", "g_in", (an_chart){ .id = "gradient_profile", .title = "Gradient at the input of each sub-layer, last look", .x_title = "sub-layer",
                                                                   .y_title = "|g|", .logarithmic = true }));
    return taker->group ? taker->group(taker->ctx, 0) : AN_OK;
}

static an_status give_stream(const an_runs *runs, an_taker *taker)
{
    AN_TRY(give_profile(runs, taker, "ledger", "y_rms", (an_chart){ .id = "stream_growth", .title = "Size of the stream behind each sub-layer, last look", .x_title = "sub-layer", .y_title = "RMS",
                                                                    .logarithmic = true }));
    return give_profile(runs, taker, "ledger", "rho", (an_chart){ .id = "branch_size", .title = "Branch over stream, last look", .note = "RMS of what each sub-layer adds / RMS of the stream before it", .x_title = "sub-layer",
                                                                  .y_title = "", .logarithmic = true });
}

static an_status give_samples_of_stream(const an_runs *runs, an_taker *taker)
{
    AN_TRY(give_profile(runs, taker, "stream", "token_cosine", (an_chart){ .id = "token_cosine", .title = "Are tokens still told apart? Cosine of two tokens, last look", .note = "1: rank collapse", .x_title = "sub-layer",
                                                                           .y_title = "mean cosine" }));
    return give_profile(runs, taker, "stream", "effective_rank", (an_chart){ .id = "effective_rank", .title = "Directions in use, last look", .note = "effective rank of 64 rows of the stream", .x_title = "sub-layer", .y_title = "" });
}

static an_status give_attention(const an_runs *runs, an_taker *taker)
{
    sketch s;
    AN_TRY(sketch_open(&s, runs, runs->n));
    for (size_t i = 0; i < runs->n; i++) add_folded(&s, i, "attention", "max_logit", fmax);
    AN_TRY(sketch_give(&s, taker, (an_chart){ .id = "attention_logit", .title = "Largest attention logit of all layers", .x_title = "step", .y_title = "" }));
    AN_TRY(sketch_open(&s, runs, runs->n));
    for (size_t i = 0; i < runs->n; i++) add_folded(&s, i, "attention", "entropy_min", fmin);
    AN_TRY(sketch_give(&s, taker, (an_chart){ .id = "attention_entropy", .title = "Lowest entropy of any head", .note = "near 0: it looks at one place only", .x_title = "step", .y_title = "nats" }));
    AN_TRY(give_profile(runs, taker, "attention", "entropy", (an_chart){ .id = "attention_profile", .title = "Entropy of attention by layer, last look", .x_title = "layer", .y_title = "nats" }));
    return give_profile(runs, taker, "attention", "sink", (an_chart){ .id = "attention_sink", .title = "Weight on the first position by layer, last look", .x_title = "layer", .y_title = "" });
}

const an_report_section an_report_sections[] = {
    { "Loss", "No step is logged yet.", give_loss, false },
    { "Rates and norms", "No step is logged yet.", give_norms, false },
    { "Gradient ledger", "Not recorded: --telemetry basic, which is the default, records it.", give_ledger, true },
    { "Stream", "Not recorded: --telemetry basic, which is the default, records it.", give_stream, true },
    { "Tokens", "Not recorded: --telemetry full samples the stream.", give_samples_of_stream, true },
    { "Attention", "Not recorded: --telemetry basic, which is the default, records it.", give_attention, true },
    { .title = NULL },
};
