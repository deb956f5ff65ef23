/* tests/parity/test_parity.c
 * The engine against PyTorch float64, on every fixture of a folder: logits, loss and every gradient, each as fused,
 * unfused and recomputed plan; in the double engine also the parameters after ten AdamW steps. Tolerances: engine.h.
 *
 *     parity FOLDER            compares
 *     parity FOLDER --plant    proves that the comparison can fail: 1 % on the largest element of one gradient, and 1 % on
 *                              one parameter tensor before the pass, for every tensor in turn; each must be seen */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "fixture.h"

typedef struct variant { const char *name, *key, *value; int threads; } variant;
static const variant VARIANTS[] = {
    { "default", NULL, NULL, 1 },
    { "2 threads", NULL, NULL, 2 },
    { "unfused", "fuse", "false", 1 },
    { "recomputed", "recompute", "block", 1 },
};

typedef struct worst { double output, grad, after; } worst;

static an_pass pass_of(const fixture *fx)
{
    return (an_pass){ .tokens = fixture_find(fx, "", "tokens")->id, .targets = fixture_find(fx, "", "targets")->id, .train = true, .loss_scale = 1 };
}

static int open_variant(engine *e, const fixture *fx, const variant *v)
{
    const char *pairs[ENGINE_PAIRS_MAX + 5];
    size_t n = fixture_meta_count(fx), at = 0;
    if (2 * n > ENGINE_PAIRS_MAX) { fprintf(stderr, "FAIL the fixture has %zu options\n", n); *e = (engine){ 0 }; return 0; }
    for (size_t i = 0; i < n; i++, at += 2) fixture_meta_at(fx, i, &pairs[at], &pairs[at + 1]);
    pairs[at++] = "grad_clip";
    pairs[at++] = "0";
    if (v->key) { pairs[at++] = v->key; pairs[at++] = v->value; }
    pairs[at] = NULL;
    if (!engine_open(e, pairs)) return 0;
    return an_model_set_threads(e->model, v->threads) == AN_OK;
}

/* The model has exactly the fixture's tensors, with the same shapes. */
static int same_tensors(const engine *e, const fixture *fx)
{
    size_t n, expected = 0;
    const fixture_tensor *t = fixture_tensors(fx, &n);
    for (size_t i = 0; i < n; i++) expected += strncmp(t[i].name, "param.", 6) == 0;
    int bad = 0;
    for (size_t i = 0; i < e->params; i++) {
        const an_param *p = &e->param[i];
        const fixture_tensor *want = fixture_find(fx, "param.", p->name);
        int same = want && fixture_find(fx, "grad.", p->name) && fixture_find(fx, "after.", p->name) && want->rank == p->rank;
        for (size_t d = 0; same && d < p->rank; d++) same = want->dim[d] == p->dim[d];
        if (!same) { bad++; fprintf(stderr, "FAIL %s: not a parameter of the fixture, or of another shape\n", p->name); }
    }
    if (e->params != expected) { bad++; fprintf(stderr, "FAIL the model has %zu parameter tensors, the fixture %zu\n", e->params, expected); }
    return !bad;
}

static void load(engine *e, const fixture *fx)
{
    for (size_t i = 0; i < e->params; i++) {
        const fixture_tensor *t = fixture_find(fx, "param.", e->param[i].name);
        for (size_t j = 0; j < t->count; j++) e->param[i].data[j] = AN_R(t->real[j]);
    }
}

static void compare_loss(const char *what, double loss, const fixture *fx, int quiet, worst *w, int *bad)
{
    size_t at;
    const double *want = fixture_find(fx, "", "loss")->real, d = fixture_distance(1, &loss, want, &at);
    if (d > w->output) w->output = d;
    if (d <= TOLERANCE_OUTPUT) return;
    ++*bad;
    if (!quiet) fprintf(stderr, "FAIL %s: %.17g, expected %.17g\n", what, loss, *want);
}

/* One forward pass, one forward and backward pass; everything the fixture knows about them. */
static int compare_pass(engine *e, const fixture *fx, int quiet, worst *w)
{
    int bad = 0;
    const an_pass pass = pass_of(fx);
    compare_loss("loss of forward", an_model_forward(e->model, &pass), fx, quiet, w, &bad);
    const double d = engine_compare(e, "logits", e->rows * e->vocab, an_model_get_logits(e->model), fixture_find(fx, "", "logits")->real, TOLERANCE_OUTPUT, quiet, &bad);
    if (d > w->output) w->output = d;
    compare_loss("loss of forward and backward", an_model_forward_backward(e->model, &pass), fx, quiet, w, &bad);
    for (size_t i = 0; i < e->params; i++) {
        const fixture_tensor *g = fixture_find(fx, "grad.", e->param[i].name);
        const double dg = engine_compare(e, g->name, g->count, e->param[i].grad, g->real, TOLERANCE_GRAD, quiet, &bad);
        if (dg > w->grad) w->grad = dg;
    }
    return bad;
}

/* The fixture's AdamW steps from where the parameters stand; the first gradient is computed anew. */
static int compare_after(engine *e, const fixture *fx, worst *w)
{
    const an_optimizer_config config = an_train_config_optimizer(&e->train);
    an_optimizer *optimizer = NULL;
    if (an_optimizer_create(&optimizer, e->param, e->params, &config) != AN_OK) { fprintf(stderr, "FAIL %s\n", an_error_text()); return 1; }
    const an_pass pass = pass_of(fx);
    for (int64_t t = 1; t <= e->train.steps; t++) {
        an_model_forward_backward(e->model, &pass);
        an_optimizer_apply(optimizer, e->train.lr, (uint64_t)t, an_optimizer_grad_norm(optimizer, 1), 1);
    }
    an_optimizer_destroy(&optimizer);
    int bad = 0;
    for (size_t i = 0; i < e->params; i++) {
        const fixture_tensor *p = fixture_find(fx, "after.", e->param[i].name);
        const double d = engine_compare(e, p->name, p->count, e->param[i].data, p->real, TOLERANCE_AFTER, 0, &bad);
        if (d > w->after) w->after = d;
    }
    return bad;
}

static int compare(const char *name, const fixture *fx)
{
    int all = 0;
    for (size_t i = 0; i < sizeof VARIANTS / sizeof *VARIANTS; i++) {
        engine e;
        worst w = { 0 };
        int bad = !open_variant(&e, fx, &VARIANTS[i]) || !same_tensors(&e, fx);
        if (!bad) {
            load(&e, fx);
            bad = compare_pass(&e, fx, 0, &w);
            if (ENGINE_DOUBLE) bad += compare_after(&e, fx, &w);
        }
        printf("%s %-28s %-10s  output %.1e  gradients %.1e", bad ? "FAIL" : "PASS", name, VARIANTS[i].name, w.output, w.grad);
        if (ENGINE_DOUBLE) printf("  after AdamW %.1e", w.after);
        putchar('\n');
        engine_close(&e);
        all += bad != 0;
    }
    return all;
}

/* Number of planted errors that were not seen, in an engine that agrees otherwise. */
static int plant(const char *name, const fixture *fx)
{
    engine e;
    worst w = { 0 };
    int missed = !open_variant(&e, fx, &VARIANTS[0]) || !same_tensors(&e, fx);
    if (!missed) {
        load(&e, fx);
        missed = compare_pass(&e, fx, 0, &w);
    }
    for (size_t i = 0; i < e.params && !missed; i++) {
        const an_param *p = &e.param[i];
        const fixture_tensor *g = fixture_find(fx, "grad.", p->name);
        int seen = 0;
        const size_t top = engine_largest(p->count, p->grad);
        const an_real kept = p->grad[top];
        p->grad[top] *= AN_R(1.01);
        engine_compare(&e, p->name, p->count, p->grad, g->real, TOLERANCE_GRAD, 1, &seen);
        p->grad[top] = kept;
        if (!seen) { missed++; fprintf(stderr, "FAIL %s: 1 %% in its gradient was not seen\n", p->name); }
    }
    const int gradients = (int)e.params;
    for (size_t i = 0; i < e.params && !missed; i++) {
        load(&e, fx);
        for (size_t j = 0; j < e.param[i].count; j++) e.param[i].data[j] *= AN_R(1.01);
        if (compare_pass(&e, fx, 1, &w) == 0) { missed++; fprintf(stderr, "FAIL %s: 1 %% in the parameter was not seen\n", e.param[i].name); }
    }
    printf("%s %-28s %d gradients and as many parameters planted\n", missed ? "FAIL" : "PASS", name, gradients);
    engine_close(&e);
    return missed != 0;
}

static int is_fixture(const struct dirent *entry)
{
    const char *end = strrchr(entry->d_name, '.');
    return end && strcmp(end, ".safetensors") == 0;
}

/* 1 if the fixture can be compared at all; marks its design x norm in `grid`. */
static int usable(const fixture *fx, unsigned *grid)
{
    static const char *const NEEDED[] = { "tokens", "targets", "logits", "loss" };
    static const char *const DESIGN[] = { "plain", "post-ln", "pre-ln" };
    for (size_t i = 0; i < 4; i++) {
        const fixture_tensor *t = fixture_find(fx, "", NEEDED[i]);
        if (!t || (i < 2 ? !t->id : !t->real)) { fprintf(stderr, "FAIL the fixture lacks %s\n", NEEDED[i]); return 0; }
    }
    const char *design = fixture_meta(fx, "design"), *norm = fixture_meta(fx, "norm"), *place = fixture_meta(fx, "norm_eps_place");
    if (!design || !norm || !place) { fprintf(stderr, "FAIL the fixture names no design and norm\n"); return 0; }
    const unsigned kind = strcmp(norm, "rmsnorm") == 0 ? 2 : strcmp(place, "outside") == 0;
    for (unsigned d = 0; d < 3; d++) if (strcmp(design, DESIGN[d]) == 0) *grid |= 1u << (3 * d + kind);
    return 1;
}

int main(int argc, char **argv)
{
    const int planting = argc == 3 && strcmp(argv[2], "--plant") == 0;
    if (argc < 2 || (argc > 2 && !planting)) { fprintf(stderr, "usage: parity FOLDER [--plant]\n"); return 2; }
    struct dirent **entry;
    const int n = scandir(argv[1], &entry, is_fixture, alphasort);
    if (n < 0) { perror(argv[1]); return 1; }
    unsigned grid = 0;
    int failures = 0;
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entry[i]->d_name);
        fixture *fx = fixture_open(path);
        *strrchr(entry[i]->d_name, '.') = '\0';
        if (fx && usable(fx, &grid)) failures += planting ? plant(entry[i]->d_name, fx) : compare(entry[i]->d_name, fx);
        else failures++;
        fixture_close(&fx);
        free(entry[i]);
    }
    free(entry);
    if (grid != 0x1ff) { failures++; fprintf(stderr, "FAIL the fixtures of %s do not cover 3 designs x 3 norms (mask %03x)\n", argv[1], grid); }
    printf("%s: %d fixtures, engine %s, %d failures\n", failures ? "FAIL" : "PASS", n, AN_REAL_NAME, failures);
    return failures != 0;
}
