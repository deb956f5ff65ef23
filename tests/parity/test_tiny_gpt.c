/* tests/parity/test_tiny_gpt.c: the hand-written GPT against PyTorch: logits, loss and every gradient of one fixture.
 *     test_tiny_gpt FIXTURE [--plant]     --plant puts an error of 1 % into one gradient at a time, each must be seen */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "tiny_gpt.h"

static const double TOLERANCE = 1e-12;

static int fail(const char *what) { fprintf(stderr, "tiny_gpt: %s\n", what); return 1; }

static size_t meta_size(const fixture *fx, const char *key)
{
    const char *text = fixture_meta(fx, key);
    return text ? (size_t)strtoul(text, NULL, 10) : 0;
}

/* 1 if `mine` is not `theirs`. */
static int differs(const char *name, size_t n, const double *mine, const double *theirs, int quiet)
{
    size_t at;
    const double d = fixture_distance(n, mine, theirs, &at);
    if (d <= TOLERANCE) return 0;
    if (!quiet) fprintf(stderr, "FAIL %s: %.2e relative (allowed %.0e); worst at %zu: %.17g, expected %.17g\n", name, d, TOLERANCE, at, mine[at], theirs[at]);
    return 1;
}

static int compare(const fixture *fx, const tiny_gpt_param *param, size_t params, const double *logits, double loss)
{
    const fixture_tensor *want = fixture_find(fx, "", "logits"), *want_loss = fixture_find(fx, "", "loss");
    int bad = differs("logits", want->count, logits, want->real, 0) + differs("loss", 1, &loss, want_loss->real, 0);
    for (size_t i = 0; i < params; i++) {
        const fixture_tensor *g = fixture_find(fx, "grad.", param[i].name);
        bad += !g || g->count != param[i].count || differs(g->name, g->count, param[i].dw, g->real, 0);
    }
    printf("%s: logits, loss and %zu gradients within %.0e\n", bad ? "FAIL" : "PASS", params, TOLERANCE);
    return bad != 0;
}

static int plant(const fixture *fx, const tiny_gpt_param *param, size_t params)
{
    int missed = 0;
    for (size_t i = 0; i < params; i++) {
        const fixture_tensor *g = fixture_find(fx, "grad.", param[i].name);
        size_t top = 0;
        for (size_t j = 1; j < g->count; j++) if (g->real[j] * g->real[j] > g->real[top] * g->real[top]) top = j;
        param[i].dw[top] *= 1.01;
        if (!differs(g->name, g->count, param[i].dw, g->real, 1)) { missed++; fprintf(stderr, "FAIL %s: a planted error of 1 %% was not seen\n", g->name); }
    }
    printf("%s: %zu planted errors seen\n", missed ? "FAIL" : "PASS", params - (size_t)missed);
    return missed != 0;
}

static int run(const fixture *fx, int planting)
{
    static const char *const NEEDED[] = { "tokens", "targets", "logits", "loss" };
    for (size_t i = 0; i < 4; i++) if (!fixture_find(fx, "", NEEDED[i])) return fail("the fixture lacks tokens, targets, logits or loss");
    const tiny_gpt_config c = { meta_size(fx, "batch_size"), meta_size(fx, "seq_len"), meta_size(fx, "d_model"), meta_size(fx, "n_head"),
                                meta_size(fx, "d_ff"), meta_size(fx, "vocab_size"), meta_size(fx, "n_layer"), atof(fixture_meta(fx, "norm_eps")) };
    size_t n, params = 0;
    const fixture_tensor *t = fixture_tensors(fx, &n);
    tiny_gpt_param *param = calloc(n, sizeof *param);
    double *logits = calloc(c.B * c.T * c.V, sizeof *logits), loss = 0;
    if (!param || !logits) return fail("out of memory");
    int bad = 0;
    for (size_t i = 0; i < n && !bad; i++) {
        if (strncmp(t[i].name, "param.", 6) != 0) continue;
        param[params] = (tiny_gpt_param){ t[i].name + 6, t[i].count, t[i].real, malloc(t[i].count * sizeof(double)) };
        if (!param[params++].dw) bad = fail("out of memory");
    }
    const char *wrong = bad ? "stopped" : tiny_gpt_run(&c, param, params, fixture_find(fx, "", "tokens")->id, fixture_find(fx, "", "targets")->id, logits, &loss);
    if (wrong) bad = fail(wrong);
    else bad = planting ? compare(fx, param, params, logits, loss) || plant(fx, param, params) : compare(fx, param, params, logits, loss);
    for (size_t i = 0; i < params; i++) free(param[i].dw);
    free(param);
    free(logits);
    return bad;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "--plant") != 0)) return fail("usage: test_tiny_gpt FIXTURE [--plant]");
    fixture *fx = fixture_open(argv[1]);
    if (!fx) return 1;
    const int bad = run(fx, argc == 3);
    fixture_close(&fx);
    return bad;
}
