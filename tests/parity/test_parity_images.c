/* tests/parity/test_parity_images.c
 * arch resnet against PyTorch float64: logits, loss, every gradient and the running statistics after one training pass, fused, unfused,
 * recomputed and on two threads.
 *     parity_images FOLDER            compares
 *     parity_images FOLDER --plant    each tensor in turn with 1 % more on its largest element must be seen */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "fixture.h"

static const char *const CASES[] = { "pre-ln", "plain", "v1" };
static const struct { const char *key, *value; int threads; } VARIANTS[] = { { NULL, NULL, 1 }, { NULL, NULL, 2 }, { "fuse", "false", 1 }, { "recompute", "block", 1 } };

static int open_variant(engine *e, const fixture *fx, size_t variant)
{
    const char *pairs[ENGINE_PAIRS_MAX + 3];
    size_t at = 0;
    for (size_t i = 0; i < fixture_meta_count(fx) && at < ENGINE_PAIRS_MAX; i++, at += 2) fixture_meta_at(fx, i, &pairs[at], &pairs[at + 1]);
    if (VARIANTS[variant].key) { pairs[at++] = VARIANTS[variant].key; pairs[at++] = VARIANTS[variant].value; }
    pairs[at] = NULL;
    return engine_open(e, pairs) && an_model_set_threads(e->model, VARIANTS[variant].threads) == AN_OK;
}

static int load(engine *e, const fixture *fx)
{
    size_t n, expected = 0;
    const fixture_tensor *all = fixture_tensors(fx, &n);
    for (size_t i = 0; i < n; i++) expected += strncmp(all[i].name, "param.", 6) == 0;
    int bad = e->params != expected;
    for (size_t i = 0; i < e->params; i++) {
        const fixture_tensor *t = fixture_find(fx, "param.", e->param[i].name);
        if (!t || t->count != e->param[i].count) { bad++; fprintf(stderr, "FAIL %s: not a parameter of the fixture, or of another size\n", e->param[i].name); continue; }
        for (size_t k = 0; k < t->count; k++) e->param[i].data[k] = AN_R(t->real[k]);
    }
    return bad;
}

static int compare(engine *e, const fixture *fx, int quiet)
{
    int bad = 0;
    const an_pass pass = { .tokens = fixture_find(fx, "", "tokens")->id, .targets = fixture_find(fx, "", "targets")->id, .train = true, .loss_scale = 1 };
    const an_real loss = AN_R(an_model_forward_backward(e->model, &pass));
    const fixture_tensor *logits = fixture_find(fx, "", "logits");
    engine_compare(e, "loss", 1, &loss, fixture_find(fx, "", "loss")->real, TOLERANCE_OUTPUT, quiet, &bad);
    engine_compare(e, "logits", logits->count, an_model_get_logits(e->model), logits->real, TOLERANCE_OUTPUT, quiet, &bad);
    for (size_t i = 0; i < e->params; i++) {
        const an_param *p = &e->param[i];
        const fixture_tensor *t = fixture_find(fx, p->rule.buffer ? "after." : "grad.", p->name);
        if (!t) { bad++; fprintf(stderr, "FAIL %s: the fixture does not say what becomes of it\n", p->name); continue; }
        engine_compare(e, t->name, t->count, p->rule.buffer ? p->data : p->grad, t->real, TOLERANCE_GRAD, quiet, &bad);
    }
    return bad;
}

static int plant(engine *e, const fixture *fx)
{
    int missed = 0;
    for (size_t i = 0; i < e->params; i++) {
        load(e, fx);
        an_real *x = &e->param[i].data[engine_largest(e->param[i].count, e->param[i].data)];
        *x *= AN_R(1.01);
        if (compare(e, fx, 1)) continue;
        missed++;
        fprintf(stderr, "FAIL 1 %% on %s is not seen\n", e->param[i].name);
    }
    return missed;
}

int main(int argc, char **argv)
{
    const int planted = argc == 3 && strcmp(argv[2], "--plant") == 0;
    int bad = argc < 2;
    for (size_t k = 0; k < sizeof CASES / sizeof *CASES && argc > 1; k++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s.safetensors", argv[1], CASES[k]);
        fixture *fx = fixture_open(path);
        if (!fx) return 1;
        for (size_t v = 0; v < (planted ? 1 : sizeof VARIANTS / sizeof *VARIANTS); v++) {
            engine e;
            int wrong = !open_variant(&e, fx, v) || load(&e, fx);
            if (!wrong) wrong = planted ? plant(&e, fx) : compare(&e, fx, 0);
            printf("%s %s, variant %zu%s\n", wrong ? "FAIL" : "ok", CASES[k], v, planted ? ", planted" : "");
            bad += wrong;
            engine_close(&e);
        }
        fixture_close(&fx);
    }
    return bad != 0;
}
