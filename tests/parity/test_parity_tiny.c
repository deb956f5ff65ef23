/* tests/parity/test_parity_tiny.c
 * The engine against the hand-written GPT of tiny_gpt.c, at shapes of its own (odd widths, more rows than one chunk):
 * logits, loss and every gradient. Both get the same random parameters; neither knows the other. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "tiny_gpt.h"

typedef struct shape { const char *B, *T, *C, *H, *F, *V, *L; } shape;
static const shape SHAPES[] = {
    { "2", "11", "24", "3", "40", "31", "3" },
    { "5", "33", "20", "4", "28", "19", "1" },
    { "1", "1", "8", "1", "32", "5", "2" },
    { "3", "70", "36", "2", "144", "259", "2" },
};

static uint64_t state = 20240607;
static double uniform(void)                        /* in [-1, 1); a 64-bit linear congruence, top bits */
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(state >> 40) / (double)(1u << 23) - 1;
}

/* Gains about 1, the rest about 0, all exact in float. */
static void fill(const engine *e)
{
    for (size_t i = 0; i < e->params; i++) {
        const double centre = strstr(e->param[i].name, ".gain") ? 1 : 0;
        for (size_t j = 0; j < e->param[i].count; j++) e->param[i].data[j] = AN_R((float)(centre + 0.5 * uniform()));
    }
}

static int compare(engine *e, const tiny_gpt_param *param, const double *logits, double loss, const an_pass *pass)
{
    int bad = 0;
    const an_real mine = AN_R(an_model_forward(e->model, pass));
    engine_compare(e, "loss", 1, &mine, &loss, TOLERANCE_OUTPUT, 0, &bad);
    engine_compare(e, "logits", e->rows * e->vocab, an_model_get_logits(e->model), logits, TOLERANCE_OUTPUT, 0, &bad);
    an_model_forward_backward(e->model, pass);
    double worst = 0;
    for (size_t i = 0; i < e->params; i++) {
        const an_param *p = &e->param[i];
        const double d = engine_compare(e, p->name, p->count, p->grad, param[i].dw, TOLERANCE_GRAD, 0, &bad);
        if (d > worst) worst = d;
        if (bad) continue;
        int seen = 0;                              /* the comparison can fail: 1 % in the largest element */
        p->grad[engine_largest(p->count, p->grad)] *= AN_R(1.01);
        engine_compare(e, p->name, p->count, p->grad, param[i].dw, TOLERANCE_GRAD, 1, &seen);
        if (!seen) { bad++; fprintf(stderr, "FAIL %s: 1 %% in its gradient was not seen\n", p->name); }
    }
    printf("%s gradients within %.1e", bad ? "FAIL" : "PASS", worst);
    return bad;
}

static int run(const shape *s, engine *e)
{
    const char *pairs[] = { "arch", "decoder", "design", "pre-ln", "norm", "layernorm", "norm_eps", "1e-5", "norm_eps_place", "inside", "norm_variance", "biased",
                            "activation", "gelu_tanh", "position", "learned", "tie_embeddings", "true", "bias", "true", "dropout", "0",
                            "batch_size", s->B, "seq_len", s->T, "d_model", s->C, "n_head", s->H, "d_ff", s->F, "vocab_size", s->V, "n_layer", s->L, NULL };
    const tiny_gpt_config c = { (size_t)atoi(s->B), (size_t)atoi(s->T), (size_t)atoi(s->C), (size_t)atoi(s->H), (size_t)atoi(s->F), (size_t)atoi(s->V), (size_t)atoi(s->L), 1e-5 };
    if (!engine_open(e, pairs)) return 1;
    fill(e);
    tiny_gpt_param *param = calloc(e->params, sizeof *param);
    double *w = calloc(2 * an_model_param_count(e->model), sizeof *w), *logits = calloc(e->rows * e->vocab, sizeof *logits), loss = 0;
    int32_t *ids = calloc(2 * e->rows, sizeof *ids);
    int bad = !param || !w || !logits || !ids;
    if (!bad) {
        double *at = w;
        for (size_t i = 0; i < e->params; i++, at += 2 * e->param[i - 1].count) {
            const size_t n = e->param[i].count;
            for (size_t j = 0; j < n; j++) at[j] = (double)e->param[i].data[j];
            param[i] = (tiny_gpt_param){ e->param[i].name, n, at, at + n };
        }
        for (size_t i = 0; i < 2 * e->rows; i++) ids[i] = (int32_t)((uniform() + 1) / 2 * (double)e->vocab);
        const an_pass pass = { .tokens = ids, .targets = ids + e->rows, .train = true, .loss_scale = 1 };
        const char *wrong = tiny_gpt_run(&c, param, e->params, ids, ids + e->rows, logits, &loss);
        if (wrong) { bad = 1; fprintf(stderr, "FAIL tiny_gpt: %s\n", wrong); }
        else bad = compare(e, param, logits, loss, &pass);
    }
    printf("  B %s T %s C %s H %s F %s V %s L %s, engine %s\n", s->B, s->T, s->C, s->H, s->F, s->V, s->L, AN_REAL_NAME);
    free(param);
    free(w);
    free(logits);
    free(ids);
    return bad != 0;
}

int main(void)
{
    int bad = 0;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        engine e;
        bad += run(&SHAPES[i], &e);
        engine_close(&e);
    }
    return bad != 0;
}
