/* tests/parity/test_parity_designs.c
 * The engine against PyTorch float64 on every fixture of make_design_fixtures.py, one per residual design and norm kind:
 * logits, loss, every gradient and every buffer after the pass, and the logits in evaluation mode where they differ; each as
 * default, two-thread, unfused and recomputed plan. Tolerances: engine.h. A design, norm kind or option that this build
 * does not have is reported as SKIPPED.
 *
 *     parity_designs FOLDER|FILE            compares
 *     parity_designs FOLDER|FILE --all      the same, and a skipped fixture is a failure
 *     parity_designs FOLDER|FILE --plant    proves that the comparison can fail: 1 % of the largest element of each gradient, and
 *                                           5 % on the most sensitive element of each parameter before the pass; each must be seen */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine.h"
#include "fixture.h"
#include "net/design.h"
#include "net/norm.h"

typedef struct variant { const char *name, *key, *value; int threads; } variant;
static const variant VARIANTS[] = {
    { "default", NULL, NULL, 1 },
    { "2 threads", NULL, NULL, 2 },
    { "unfused", "fuse", "false", 1 },
    { "recomputed", "recompute", "block", 1 },
};

typedef struct worst { double output, grad, buffer, eval; } worst;

static void take_worst(double *most, double d) { if (d > *most) *most = d; }

static an_pass pass_of(const fixture *fx)
{
    return (an_pass){ .tokens = fixture_find(fx, "", "tokens")->id, .targets = fixture_find(fx, "", "targets")->id, .train = true, .loss_scale = 1 };
}

static int open_variant(engine *e, const fixture *fx, const variant *v)
{
    const char *pairs[ENGINE_PAIRS_MAX + 3];
    const size_t n = fixture_meta_count(fx);
    size_t at = 0;
    if (2 * n > ENGINE_PAIRS_MAX) { fprintf(stderr, "FAIL the fixture has %zu options\n", n); *e = (engine){ 0 }; return 0; }
    for (size_t i = 0; i < n; i++, at += 2) fixture_meta_at(fx, i, &pairs[at], &pairs[at + 1]);
    if (v->key) { pairs[at++] = v->key; pairs[at++] = v->value; }
    pairs[at] = NULL;
    return engine_open(e, pairs) && an_model_set_threads(e->model, v->threads) == AN_OK;
}

/* What the fixture calls this tensor of the engine: trained ones are param.NAME, the others buffer.NAME. */
static const fixture_tensor *given(const fixture *fx, const an_param *p) { return fixture_find(fx, p->rule.buffer ? "buffer." : "param.", p->name); }
static const fixture_tensor *wanted(const fixture *fx, const an_param *p) { return fixture_find(fx, p->rule.buffer ? "buffer_after." : "grad.", p->name); }

static int is_given(const fixture_tensor *t) { return strncmp(t->name, "param.", 6) == 0 || strncmp(t->name, "buffer.", 7) == 0; }

/* The model has exactly the fixture's tensors, with the same shapes. */
static int same_tensors(const engine *e, const fixture *fx)
{
    int bad = 0;
    for (size_t i = 0; i < e->params; i++) {
        const an_param *p = &e->param[i];
        const fixture_tensor *want = given(fx, p);
        int same = want && wanted(fx, p) && want->rank == p->rank;
        for (size_t d = 0; same && d < p->rank; d++) same = want->dim[d] == p->dim[d];
        if (!same) { bad++; fprintf(stderr, "FAIL %s: not a %s of the fixture, or of another shape\n", p->name, p->rule.buffer ? "buffer" : "parameter"); }
    }
    size_t n;
    const fixture_tensor *t = fixture_tensors(fx, &n);
    for (size_t i = 0; i < n; i++) {
        int found = !is_given(&t[i]);
        for (size_t j = 0; j < e->params && !found; j++) found = given(fx, &e->param[j]) == &t[i];
        if (!found) { bad++; fprintf(stderr, "FAIL %s: the model has no such tensor\n", t[i].name); }
    }
    return !bad;
}

static void load(engine *e, const fixture *fx)
{
    for (size_t i = 0; i < e->params; i++) {
        const fixture_tensor *t = given(fx, &e->param[i]);
        for (size_t j = 0; j < t->count; j++) e->param[i].data[j] = AN_R(t->real[j]);
    }
}

static double compare_loss(const char *what, double loss, const fixture *fx, int quiet, int *bad)
{
    size_t at;
    const double *want = fixture_find(fx, "", "loss")->real, d = fixture_distance(1, &loss, want, &at);
    if (d <= TOLERANCE_OUTPUT) return d;
    ++*bad;
    if (!quiet) fprintf(stderr, "FAIL %s: %.17g, expected %.17g\n", what, loss, *want);
    return d;
}

/* One forward pass in training mode; the caller has loaded the tensors. */
static int compare_forward(engine *e, const fixture *fx, int quiet, worst *w)
{
    int bad = 0;
    const an_pass pass = pass_of(fx);
    take_worst(&w->output, compare_loss("loss of forward", an_model_forward(e->model, &pass), fx, quiet, &bad));
    const fixture_tensor *t = fixture_find(fx, "", "logits");
    take_worst(&w->output, engine_compare(e, "logits", t->count, an_model_get_logits(e->model), t->real, TOLERANCE_OUTPUT, quiet, &bad));
    return bad;
}

/* What norms have added to the gradients besides those of the loss: the gauges `penalty` of an observed pass, together. */
static double penalty_of(const an_model *model)
{
    const an_telemetry *t = an_model_get_telemetry(model);
    double sum = 0;
    for (size_t i = 0; i < t->n_gauges; i++)
        for (size_t k = 0; k < t->gauge[i].n; k++)
            if (strcmp(t->gauge[i].metric[k], "penalty") == 0) sum += t->gauge[i].value[k];
    return sum;
}

/* One forward and backward pass from freshly loaded tensors: gradients, and the buffers it left behind. */
static int compare_backward(engine *e, const fixture *fx, int quiet, worst *w)
{
    int bad = 0;
    an_pass pass = pass_of(fx);
    pass.observe = true;
    take_worst(&w->output, compare_loss("loss of forward and backward", an_model_forward_backward(e->model, &pass), fx, quiet, &bad));
    for (size_t i = 0; i < e->params; i++) {
        const an_param *p = &e->param[i];
        const fixture_tensor *t = wanted(fx, p);
        const int buffer = p->rule.buffer;
        const double d = engine_compare(e, t->name, t->count, buffer ? p->data : p->grad, t->real, buffer ? TOLERANCE_OUTPUT : TOLERANCE_GRAD, quiet, &bad);
        take_worst(buffer ? &w->buffer : &w->grad, d);
    }
    const fixture_tensor *penalty = fixture_find(fx, "", "penalty");
    const double want = penalty ? penalty->real[0] : 0, off = fabs(penalty_of(e->model) - want);
    if (!(off <= TOLERANCE_OUTPUT * fabs(want))) {
        bad++;
        if (!quiet) fprintf(stderr, "FAIL penalty: %.17g, expected %.17g\n", penalty_of(e->model), want);
    }
    return bad;
}

/* Evaluation uses the buffers and leaves them alone. */
static int compare_eval(engine *e, const fixture *fx, worst *w)
{
    const fixture_tensor *t = fixture_find(fx, "", "logits_eval");
    if (!t) return 0;
    int bad = 0;
    an_pass pass = pass_of(fx);
    pass.train = false;
    load(e, fx);
    an_model_forward(e->model, &pass);
    take_worst(&w->eval, engine_compare(e, "logits_eval", t->count, an_model_get_logits(e->model), t->real, TOLERANCE_OUTPUT, 0, &bad));
    for (size_t i = 0; i < e->params; i++) {
        const an_param *p = &e->param[i];
        for (size_t j = 0; j < p->count; j++) {
            if (p->data[j] == AN_R(given(fx, p)->real[j])) continue;
            bad++;
            fprintf(stderr, "FAIL %s: evaluation changed it\n", p->name);
            break;
        }
    }
    return bad;
}

static int compare(const char *name, const fixture *fx)
{
    int all = 0;
    for (size_t i = 0; i < sizeof VARIANTS / sizeof *VARIANTS; i++) {
        engine e;
        worst w = { 0 };
        if (!open_variant(&e, fx, &VARIANTS[i]) || !same_tensors(&e, fx)) {
            printf("FAIL %-28s cannot be compared\n", name);
            engine_close(&e);
            return all + 1;
        }
        load(&e, fx);
        int bad = compare_forward(&e, fx, 0, &w);
        load(&e, fx);
        bad += compare_backward(&e, fx, 0, &w);
        bad += compare_eval(&e, fx, &w);
        printf("%s %-28s %-10s  output %.1e  gradients %.1e", bad ? "FAIL" : "PASS", name, VARIANTS[i].name, w.output, w.grad);
        if (fixture_find(fx, "", "logits_eval")) printf("  buffers %.1e  evaluation %.1e", w.buffer, w.eval);
        putchar('\n');
        engine_close(&e);
        all += bad != 0;
    }
    return all;
}

static int all_zero(const fixture_tensor *t)
{
    for (size_t i = 0; i < t->count; i++) if (t->real[i] != 0) return 0;
    return 1;
}

static int plant_gradient(engine *e, const an_param *p, const fixture_tensor *g)
{
    int seen = 0;
    const size_t top = engine_largest(p->count, p->grad);
    const an_real kept = p->grad[top];
    p->grad[top] *= AN_R(1.01);
    engine_compare(e, p->name, p->count, p->grad, g->real, TOLERANCE_GRAD, 1, &seen);
    p->grad[top] = kept;
    if (!seen) fprintf(stderr, "FAIL %s: 1 %% in its gradient was not seen\n", p->name);
    return !seen;
}

static int plant_parameter(engine *e, const fixture *fx, const an_param *p, const fixture_tensor *g)
{
    worst unused = { 0 };
    size_t top = 0;
    for (size_t j = 1; j < g->count; j++) if (fabs(g->real[j]) > fabs(g->real[top])) top = j;
    load(e, fx);
    p->data[top] += AN_R(0.05) * an_fabs(p->data[engine_largest(p->count, p->data)]);
    int seen = compare_forward(e, fx, 1, &unused);
    if (!seen) {                                     /* a bias that a batch norm removes: the penalty's gradient knows it */
        load(e, fx);
        p->data[top] += AN_R(0.05) * an_fabs(p->data[engine_largest(p->count, p->data)]);
        seen = compare_backward(e, fx, 1, &unused);
    }
    if (!seen) fprintf(stderr, "FAIL %s: 5 %% in an element was not seen\n", p->name);
    return !seen;
}

/* Number of planted errors that were not seen, in an engine that agrees otherwise. A tensor without influence has no error to plant. */
static int plant(const char *name, const fixture *fx)
{
    engine e;
    worst w = { 0 };
    int missed = !open_variant(&e, fx, &VARIANTS[0]) || !same_tensors(&e, fx), planted = 0;
    if (!missed) {
        load(&e, fx);
        missed = compare_backward(&e, fx, 0, &w);
    }
    for (int parameters = 0; parameters < 2 && !missed; parameters++) {
        for (size_t i = 0; i < e.params; i++) {
            const an_param *p = &e.param[i];
            const fixture_tensor *g = wanted(fx, p);
            if (p->rule.buffer || all_zero(g)) continue;
            missed += parameters ? plant_parameter(&e, fx, p, g) : plant_gradient(&e, p, g);
            planted++;
        }
    }
    printf("%s %-28s %d errors planted, %d missed\n", missed ? "FAIL" : "PASS", name, planted, missed);
    engine_close(&e);
    return missed != 0;
}

/* 1 if the fixture can be compared at all. */
static int usable(const fixture *fx)
{
    static const char *const NEEDED[] = { "tokens", "targets", "logits", "loss" };
    for (size_t i = 0; i < sizeof NEEDED / sizeof *NEEDED; i++) {
        const fixture_tensor *t = fixture_find(fx, "", NEEDED[i]);
        if (!t || (i < 2 ? !t->id : !t->real)) { fprintf(stderr, "FAIL the fixture lacks %s\n", NEEDED[i]); return 0; }
    }
    if (fixture_meta(fx, "design") && fixture_meta(fx, "norm")) return 1;
    fprintf(stderr, "FAIL the fixture names no design and norm\n");
    return 0;
}

/* The design, norm kind or option that this build lacks, as "what value"; an empty string when it has them all. */
static void look_for_missing(const fixture *fx, char *missing, size_t size)
{
    missing[0] = '\0';
    an_options *options = NULL;
    an_train_config train;
    if (an_run_options_create(&options, &train) != AN_OK) { snprintf(missing, size, "options: %s", an_error_text()); return; }
    for (size_t i = 0; i < fixture_meta_count(fx); i++) {
        const char *key, *value;
        fixture_meta_at(fx, i, &key, &value);
        int known = an_options_find(options, key) != NULL;
        if (strcmp(key, "design") == 0) known = an_design_find(value) != NULL;
        if (strcmp(key, "norm") == 0) known = an_norm_find(value) != NULL;
        if (!known) { snprintf(missing, size, "%s %s", key, value); break; }
    }
    an_options_destroy(&options);
}

typedef struct tally { int fixtures, skipped, failures, planting; } tally;

static void try_file(const char *path, tally *t)
{
    char name[256];
    const char *slash = strrchr(path, '/');
    snprintf(name, sizeof name, "%s", slash ? slash + 1 : path);
    char *end = strstr(name, ".safetensors");
    if (end) *end = '\0';
    t->fixtures++;
    fixture *fx = fixture_open(path);
    char missing[256] = "";
    const int good = fx && usable(fx);
    if (good) look_for_missing(fx, missing, sizeof missing);
    if (!good) t->failures++;
    else if (missing[0]) {
        t->skipped++;
        printf("SKIPPED(not in this build) %s: no %s\n", name, missing);
    } else t->failures += t->planting ? plant(name, fx) : compare(name, fx);
    fflush(stdout);
    fixture_close(&fx);
}

static int is_fixture(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end && strcmp(end, ".safetensors") == 0;
}

static int try_folder(const char *folder, tally *t)
{
    struct dirent **entry;
    const int n = scandir(folder, &entry, is_fixture, alphasort);
    if (n < 0) { perror(folder); return 0; }
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, entry[i]->d_name);
        try_file(path, t);
        free(entry[i]);
    }
    free(entry);
    return 1;
}

int main(int argc, char **argv)
{
    tally t = { .planting = argc == 3 && strcmp(argv[2], "--plant") == 0 };
    const int all = argc == 3 && strcmp(argv[2], "--all") == 0;
    if (argc < 2 || argc > 3 || (argc == 3 && !t.planting && !all)) { fprintf(stderr, "usage: parity_designs FOLDER|FILE [--all|--plant]\n"); return 2; }
    struct stat what;
    if (stat(argv[1], &what) != 0) { perror(argv[1]); return 1; }
    if (!S_ISDIR(what.st_mode)) try_file(argv[1], &t);
    else if (!try_folder(argv[1], &t)) return 1;
    if (t.fixtures == t.skipped) { t.failures++; fprintf(stderr, "FAIL nothing was compared in %s\n", argv[1]); }
    if (all && t.skipped) { t.failures++; fprintf(stderr, "FAIL --all: %d fixtures skipped\n", t.skipped); }
    if (t.skipped && !all) printf("!!! %d OF %d FIXTURES SKIPPED, not in this build; with --all this is a failure !!!\n", t.skipped, t.fixtures);
    else if (!all && !t.planting) printf("!!! NOTHING SKIPPED: every design and norm is in this build; run with --all from now on !!!\n");
    printf("%s: %d fixtures, %d skipped, engine %s, %d failures\n", t.failures ? "FAIL" : "PASS", t.fixtures, t.skipped, AN_REAL_NAME, t.failures);
    return t.failures != 0;
}
