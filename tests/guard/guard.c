/* tests/guard/guard.c
 * Small fixed workloads, one per kernel family and whole steps, for counting instructions: guard.sh runs this under callgrind, which
 * counts exactly what was executed, so a busy machine changes nothing. Each workload runs once before it is counted, so that what
 * happens only once (packing rooms, tables) is not in it. Everything runs on one thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "core/rng.h"
#include "kern/gemm.h"
#include "kern/kern.h"
#include "net/model.h"
#include "train/config.h"
#include "train/optimizer.h"

enum { ROWS = 64, WIDTH = 192, ALL = ROWS * WIDTH, ARRAYS = 5, VOCAB = 512, SEQ = 96, HEAD = 32, SIDE = 96 };

static const an_kernels *k;
static an_real a[ARRAYS][ALL], gain[WIDTH], bias[WIDTH], mean[ROWS], rstd[ROWS], sums[2][WIDTH], loss[ROWS], lse[SEQ], *work;
static an_bf16 low[2][ALL];
static int32_t token[ROWS];
static const an_norm_spec NORM = { .eps = 1e-5f, .center = 1 };
static const an_attn_spec ATTN = { .t = SEQ, .d = HEAD, .ldq = HEAD, .ldk = HEAD, .ldv = HEAD, .ldo = HEAD, .scale = 0.17f, .causal = 1 };
static const an_rng_key KEY = { { 1, 2 } };

static void norm_fwd(void) { k->norm_fwd(ROWS, WIDTH, &NORM, a[0], gain, bias, a[1], mean, rstd); }
static void norm_bwd(void) { k->norm_bwd(ROWS, WIDTH, &NORM, a[2], a[0], gain, mean, rstd, a[3], 0, sums[0], sums[1]); }
static void add_norm_fwd(void) { k->add_norm_fwd(ROWS, WIDTH, &NORM, 1, a[0], 1, a[1], NULL, gain, bias, a[2], a[3], mean, rstd); }
static void add_norm_bwd(void) { k->add_norm_bwd(ROWS, WIDTH, &NORM, 1, 1, NULL, a[0], a[1], a[2], gain, mean, rstd, a[3], 0, a[4], 0, sums[0], sums[1]); }
static void add_norm_fwd_low(void) { k->add_norm_fwd_low(ROWS, WIDTH, &NORM, 1, a[0], 1, low[0], NULL, gain, bias, a[2], low[1], mean, rstd); }
static void add_norm_bwd_low(void) { k->add_norm_bwd_low(ROWS, WIDTH, &NORM, 1, 1, NULL, low[0], a[1], a[2], gain, mean, rstd, a[3], 0, a[4], 0, sums[0], sums[1]); }
static void gelu_tanh(void)
{
    k->gelu_tanh_fwd(ROWS, WIDTH, bias, a[0], a[1]);
    k->gelu_tanh_bwd(ALL, a[0], a[2], a[3], 0);
}
static void gelu_erf(void)
{
    k->gelu_erf_fwd(ROWS, WIDTH, bias, a[0], a[1]);
    k->gelu_erf_bwd(ALL, a[0], a[2], a[3], 0);
}
static void swiglu(void)
{
    k->swiglu_fwd(ROWS, WIDTH / 2, a[0], 0, a[1]);
    k->swiglu_bwd(ROWS, WIDTH / 2, a[0], 0, a[2], a[3], 0);
}
static void dropout(void) { k->dropout(ALL, KEY, 0, 0.1f, a[0], a[1], 0); }
static void rope(void) { k->rope(ROWS, WIDTH / HEAD, HEAD, a[0], WIDTH, a[1], a[2], 1, a[3], WIDTH, 0); }
static void embed(void)
{
    int32_t row[ROWS];
    for (int32_t i = 0; i < ROWS; i++) row[i] = i;
    k->embed_fwd(ROWS, WIDTH, 1, token, a[0], a[1], a[2]);
    k->embed_bwd(ROWS, WIDTH, WIDTH, 1, row, a[2], a[3], 0);   /* all rows of one token */
}
static void xent_grad(void)
{
    memcpy(a[1], a[0], sizeof a[1]);
    k->xent_grad(ALL / VOCAB, VOCAB, a[1], VOCAB, token, 0.01f, 0, loss);
}
static void attn_fwd(void) { k->attn_fwd(&ATTN, 0, SEQ, a[0], a[1], a[2], a[3], lse, work); }
static const an_attn_block WHOLE = { 0, SEQ, 0, SEQ, 0, 0 };
static void attn_bwd(void) { k->attn_bwd(&ATTN, &WHOLE, a[0], a[1], a[2], a[3], a[4], lse, a[4] + SEQ * HEAD, a[4] + 2 * SEQ * HEAD, a[3] + SEQ * HEAD, work); }
static void attn_decode(void) { k->attn_decode(SEQ, HEAD, 0.17f, a[0], a[1], HEAD, a[2], HEAD, a[3], work); }
static void adamw(void)
{
    static an_real p[ALL], g[ALL], m[ALL], v[ALL];
    const an_adamw_spec spec = { 1e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, 1, 1, 1 };
    memcpy(g, a[0], sizeof g);
    k->adamw(ALL, &spec, p, g, m, v, low[0], NULL);
}
static void vectors(void)
{
    double s[5];
    k->axpby(ALL, 1, a[0], 0.5f, a[1], a[2]);
    k->scale(ALL, 0.5f, a[0], a[3], 1);
    k->bias_add(ROWS, WIDTH, bias, a[3]);
    k->col_sum(ROWS, WIDTH, a[0], WIDTH, sums[0], 0);
    k->products(ALL, a[0], a[1], s);
    loss[0] = (an_real)k->sumsq(ALL, a[0]);
}
static void numbers(void)
{
    k->narrow(ALL, a[0], low[0]);
    k->widen(ALL, low[0], a[3]);
}
static void blocks(void)
{
    k->round_rows(ROWS, WIDTH, bias, a[3], WIDTH, low[0], WIDTH, 1, 1);
    k->put_past(ROWS, WIDTH, a[0], WIDTH, a[3], WIDTH);
}
static void xent_parts(void)
{
    enum { N = ALL / VOCAB, PART = VOCAB / 2 };
    an_real top[2 * N], sum[2 * N], hit[N] = { 0 };
    for (size_t j = 0; j < 2; j++) k->xent_part(N, PART, a[1] + j * PART, VOCAB, low[0] + j * PART, VOCAB, 1, top + j, sum + j, 2);
    k->xent_join(N, VOCAB, PART, low[0], VOCAB, top, sum, 2, hit, token, 0.01f, 0, loss);
}
static void product(int ta, int tb) { an_gemm_get()->run(ta, tb, SIDE, SIDE, SIDE, a[0], SIDE, a[1], SIDE, 0, a[2], SIDE); }
static void product_nt(void) { product(0, 1); }
static void product_nn(void) { product(0, 0); }
static void product_tn(void) { product(1, 0); }
static void product_bf16(void)
{
    an_gemm_get()->run_low(0, 1, SIDE, SIDE, SIDE, (an_operand){ low[0], SIDE, AN_STORE_BF16 }, (an_operand){ low[1], SIDE, AN_STORE_BF16 }, 0, a[2], SIDE);
}

/* ---- whole steps ---- */

static an_model *model;
static an_optimizer *optimizer;
static int32_t text[129];
static uint64_t at;

static void need(an_status status)
{
    if (status == AN_OK) return;
    fprintf(stderr, "guard: %s\n", an_error_text());
    exit(1);
}

static void step(void)
{
    const an_pass pass = { .tokens = text, .targets = text + 1, .seed = 1, .step = at++, .train = true, .loss_scale = 1 };
    an_model_forward_backward(model, &pass);
    an_optimizer_apply(optimizer, 1e-4, at, an_optimizer_grad_norm(optimizer, 1), 1);
}

static void count(const char *name, void (*run)(void))
{
    run();
    CALLGRIND_ZERO_STATS;
    run();
    CALLGRIND_DUMP_STATS_AT(name);
}

static void count_steps(const char *name, const char *precision)
{
    static const char *const SET[][2] = { { "n_layer", "2" }, { "n_head", "2" }, { "d_model", "64" }, { "seq_len", "64" }, { "vocab_size", "256" }, { "batch_size", "2" }, { "dropout", "0.1" } };
    an_options *options;
    an_train_config config;
    an_model_config shape;
    size_t n;
    need(an_run_options_create(&options, &config));
    for (size_t i = 0; i < sizeof SET / sizeof *SET; i++) need(an_options_set(options, SET[i][0], SET[i][1], AN_FROM_FLAG, "guard"));
    need(an_options_set(options, "precision", precision, AN_FROM_FLAG, "guard"));
    need(an_options_resolve(options));
    need(an_train_config_finish(&config, options));
    need(an_model_config_read(&shape, options));
    need(an_model_create(&model, &shape, options, &(an_model_shape){ .batch = 2, .seq = 64, .train = true }));
    an_model_init_params(model, 1);
    const an_param *params = an_model_get_params(model, &n);
    const an_optimizer_config oc = an_train_config_optimizer(&config);
    need(an_optimizer_create(&optimizer, params, n, &oc));
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) text[i] = (int32_t)(i * 37 % 256);
    count(name, step);
    an_optimizer_destroy(&optimizer);
    an_model_destroy(&model);
    an_options_destroy(&options);
}

int main(void)
{
    static const struct { const char *name; void (*run)(void); } CASES[] = {
        { "product NT", product_nt }, { "product NN", product_nn }, { "product TN", product_tn }, { "product of bf16", product_bf16 },
        { "attention forward", attn_fwd }, { "attention backward", attn_bwd }, { "attention of one query", attn_decode },
        { "norm forward", norm_fwd }, { "norm backward", norm_bwd }, { "add + norm forward", add_norm_fwd }, { "add + norm backward", add_norm_bwd },
        { "add + norm forward, bf16", add_norm_fwd_low }, { "add + norm backward, bf16", add_norm_bwd_low },
        { "gelu, tanh", gelu_tanh }, { "gelu, erf", gelu_erf }, { "swiglu", swiglu }, { "dropout", dropout }, { "rotary", rope }, { "embedding", embed },
        { "cross-entropy + grad", xent_grad }, { "cross-entropy in parts", xent_parts }, { "adamw", adamw }, { "plain vectors", vectors }, { "bf16 and back", numbers }, { "blocks of products", blocks },
    };
    k = an_kern_get();
    work = calloc(an_attn_work(&ATTN), sizeof *work);
    if (!work) return 1;
    for (size_t j = 0; j < ARRAYS; j++)
        for (size_t i = 0; i < ALL; i++) a[j][i] = (an_real)((j * ALL + i) * 37 % 101) / 101 - 0.5f;
    for (size_t i = 0; i < WIDTH; i++) gain[i] = 1;
    for (size_t i = 0; i < ROWS; i++) token[i] = (int32_t)(i * 7 % ROWS);
    for (int i = 0; i < 2; i++) k->narrow(ALL, a[i], low[i]);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) count(CASES[i].name, CASES[i].run);
    count_steps("training step, f32", "f32");
    count_steps("training step, bf16", "bf16");
    free(work);
    printf("kernels %s, products by %s, compiler %s\n", k->level, an_gemm_get()->name, __VERSION__);
    return 0;
}
