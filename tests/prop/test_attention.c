/* Attention, op by op: every cut into parts (groups of query heads, blocks of the backward pass, padding) gives what the
 * reference kernel gives head by head, in whatever order the parts of a phase run; and nothing in a plan grows faster than T. */
#include "prop.h"

#include "op/op.h"

enum { SEED = 11 };
static const double TOLERANCE = sizeof(an_real) == 4 ? 2e-5 : 1e-12, LOW = 0x1p-6;   /* of the largest element; LOW: y, y again in delta, and the gradient rounded to bfloat16, 2^-8 each */

typedef struct bench {
    an_attention_attr at;
    an_value qkv, tokens, y, lse;
    an_value *in[2];
    an_step step;
    an_run run;
    size_t kv, ld, c, rows, phases;
    an_real *x, *dy, *qkv_want, *y_want, *work;   /* x, dy: qkv and the gradient of y in reals */
    int32_t *ids;
} bench;

static void *lowered(size_t n, an_real *x)       /* rounds x, too; a fresh array */
{
    an_bf16 *low = prop_room(n, sizeof *low);
    for (size_t i = 0; i < n; i++) x[i] = an_bf16_widen(low[i] = an_bf16_round(x[i]));
    return low;
}

/* From here on what the op reads and writes lies in memory as bfloat16. */
static void lower(bench *b)
{
    b->qkv.store = b->qkv.grad_store = b->y.store = b->y.grad_store = AN_STORE_BF16;
    b->step.low = true;
    an_real **const all[] = { &b->qkv.data, &b->qkv.grad, &b->y.data, &b->y.grad };
    for (size_t i = 0; i < 4; i++) {
        an_real *reals = *all[i];
        *all[i] = lowered(i < 2 ? b->qkv.count : b->y.count, reals);
        if (reals != b->x && reals != b->dy) free(reals);
    }
    b->step.work = prop_room(an_op_attention.work(&b->step, AN_BACKWARD), sizeof(an_real));
}

/* And what it has written, in reals again. */
static void lift(size_t n, an_real **x)
{
    an_real *reals = prop_room(n, sizeof *reals);
    for (size_t i = 0; i < n; i++) reals[i] = an_bf16_widen(((const an_bf16 *)(const void *)*x)[i]);
    free(*x);
    *x = reals;
}

/* padding: one row of so many is, in the second half of each sequence it is one of two; 0: none. 1: all. */
static void bench_open(bench *b, an_attention_attr at, size_t padding)
{
    *b = (bench){ .at = at, .kv = at.kv_heads * at.width, .ld = an_qkv_width(&at), .c = at.heads * at.width, .rows = at.batch * at.seq };
    b->qkv = (an_value){ .name = "qkv", .dims = AN_MAT(b->rows, b->ld), .count = b->rows * b->ld, .data = prop_random(b->rows * b->ld, SEED, 1), .grad = prop_random(b->rows * b->ld, SEED, 2) };
    b->y = (an_value){ .name = "y", .dims = AN_MAT(b->rows, b->c), .count = b->rows * b->c, .data = prop_random(b->rows * b->c, SEED, 3), .grad = prop_random(b->rows * b->c, SEED, 4) };
    b->lse = (an_value){ .name = "lse", .dims = AN_MAT(at.batch * at.heads, at.seq), .count = at.batch * at.heads * at.seq, .data = prop_random(at.batch * at.heads * at.seq, SEED, 5) };
    b->ids = prop_room(b->rows, sizeof *b->ids);
    for (size_t i = 0; i < b->rows; i++) b->ids[i] = padding && (i % padding == 0 || (i % at.seq > at.seq / 2 && i % 2)) ? -1 : (int32_t)i;
    b->tokens = (an_value){ .name = "tokens", .dims = AN_VEC(b->rows), .count = b->rows, .home = AN_HOME_INPUT, .tokens = b->ids };
    b->x = b->qkv.data, b->dy = b->y.grad;
    b->qkv_want = prop_room(b->qkv.count, sizeof(an_real));
    b->y_want = prop_room(b->y.count, sizeof(an_real));
    b->in[0] = &b->qkv, b->in[1] = padding ? &b->tokens : NULL;
    b->step = (an_step){ .op = &an_op_attention, .name = "attention", .attr = &b->at, .in = b->in, .n_in = 2, .out = { &b->y, &b->lse } };
    b->work = prop_room(an_op_attention.thread_work(&b->step), sizeof(an_real));
    b->run = (an_run){ .k = an_kern_get(), .train = true, .seed = 3, .thread_work = &b->work };
}

static void bench_close(bench *b)
{
    an_real *const mine[] = { b->x, b->qkv.grad, b->y.data, b->dy, b->lse.data, b->qkv_want, b->y_want, b->work, b->step.work };
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) free(mine[i]);
    if (b->qkv.data != b->x) free(b->qkv.data);
    if (b->y.grad != b->dy) free(b->y.grad);
    free(b->ids);
}

/* Head by head with the reference kernels, whole heads; keys and values get the sum over their query heads. */
static void want(bench *b)
{
    const an_kernels *k = an_kern_level("ref");
    const size_t group = b->at.heads / b->at.kv_heads;
    for (size_t unit = 0; unit < b->at.batch * b->at.heads; unit++) {
        const size_t i = unit / b->at.heads, h = unit % b->at.heads, row = i * b->at.seq;
        const an_attn_spec s = { .t = b->at.seq, .d = b->at.width, .ldq = b->ld, .ldk = b->ld, .ldv = b->ld, .ldo = b->c, .scale = AN_R(b->at.scale), .causal = b->at.causal,
            .tokens = b->in[1] ? b->ids + row : NULL, .drop_p = AN_R(b->at.dropout), .drop_key = an_step_key(&b->run, &b->step), .drop_base = (uint64_t)unit * b->at.seq * b->at.seq };
        const an_attn_block all = { 0, s.t, 0, s.t, 0, h % group != 0 };
        const size_t q = row * b->ld + h * s.d, key = row * b->ld + b->c + h / group * s.d, y = row * b->c + h * s.d;
        an_real *lse = prop_room(s.t, sizeof *lse), *work = prop_room(an_attn_work(&s), sizeof *work), *dx = b->qkv_want;
        const an_real *x = b->x;
        k->attn_fwd(&s, 0, s.t, x + q, x + key, x + key + b->kv, b->y_want + y, lse, work);
        k->attn_bwd(&s, &all, x + q, x + key, x + key + b->kv, b->y_want + y, b->dy + y, lse, dx + q, dx + key, dx + key + b->kv, work);
        free(lse);
        free(work);
    }
}

static void run_parts(bench *b, an_direction dir, int backwards)
{
    const an_op *op = &an_op_attention;
    size_t n;
    for (b->phases = 0; (n = op->parts(&b->step, dir, (int)b->phases)) != 0; b->phases++)
        for (size_t i = 0; i < n; i++) {
            const an_part p = { (int)b->phases, backwards ? n - 1 - i : i, n, 0 };
            (dir == AN_FORWARD ? op->forward : op->backward)(&b->run, &b->step, &p);
        }
}

static double distance(size_t n, const an_real *a, const an_real *b)
{
    double worst = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        const double e = fabs((double)a[i] - (double)b[i]);
        if (!(e <= worst)) worst = e;
        most = fmax(most, fabs((double)b[i]));
    }
    return worst == 0 ? 0 : worst / most;
}

static void parts_equal_the_whole(an_attention_attr at, size_t padding, size_t phases, int low)
{
    bench b, c;
    char what[160];
    const double tolerance = low ? LOW : TOLERANCE;
    snprintf(what, sizeof what, "%zu x %zu, %zu heads over %zu, %s, dropout %g, padding %zu%s", at.batch, at.seq, at.heads, at.kv_heads, at.causal ? "causal" : "full", at.dropout, padding, low ? ", bf16" : "");
    bench_open(&b, at, padding);
    bench_open(&c, at, padding);
    if (low) lower(&b), lower(&c);
    want(&b);
    run_parts(&b, AN_FORWARD, 0);
    run_parts(&c, AN_FORWARD, 1);
    run_parts(&b, AN_BACKWARD, 0);
    run_parts(&c, AN_BACKWARD, 1);
    bench *const both[] = { &b, &c };
    for (size_t i = 0; low && i < 2; i++) lift(b.y.count, &both[i]->y.data), lift(b.qkv.count, &both[i]->qkv.grad);
    prop_check(distance(b.y.count, b.y.data, b.y_want) <= tolerance, "%s: y is off by %.1e", what, distance(b.y.count, b.y.data, b.y_want));
    prop_check(prop_equal(b.y.count, b.y.data, c.y.data) && prop_equal(b.lse.count, b.lse.data, c.lse.data), "%s: the order of parts changes y", what);
    prop_check(phases == 0 || b.phases == phases, "%s: %zu phases, expected %zu", what, b.phases, phases);
    prop_check(distance(b.qkv.count, b.qkv.grad, b.qkv_want) <= tolerance, "%s: gradients are off by %.1e", what, distance(b.qkv.count, b.qkv.grad, b.qkv_want));
    prop_check(prop_equal(b.qkv.count, b.qkv.grad, c.qkv.grad), "%s: the order of parts changes gradients", what);
    for (size_t i = 0; i < b.rows && padding; i++)
        for (size_t j = 0; j < b.ld && b.ids[i] < 0; j++) prop_check(b.qkv.grad[i * b.ld + j] == 0 && (j >= b.c || b.y.data[i * b.c + j] == 0), "%s: row %zu is padding and not 0", what, i);
    bench_close(&b);
    bench_close(&c);
}

/* phases: of the backward pass, so that the blocks are known to be tried; 0: as it comes */
static const struct { size_t batch, seq, heads, kv, phases; } SHAPES[] = {
    { 1, 1, 1, 1, 1 }, { 1, 2, 3, 3, 1 }, { 2, 70, 6, 3, 1 }, { 16, 200, 1, 1, 1 }, { 1, 129, 2, 1, 1 }, { 1, 300, 4, 1, 2 }, { 1, 300, 4, 2, 2 }, { 1, 600, 1, 1, 4 }, { 2, 777, 2, 1, 4 },
    { 1, 1024, 1, 1, 4 }, { 1, 1750, 2, 1, 0 }, { 16, 2100, 1, 1, 2 },
};

static void cuts(void)
{
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        for (int causal = 0; causal < 2; causal++) {
            const an_attention_attr at = { .batch = SHAPES[i].batch, .seq = SHAPES[i].seq, .heads = SHAPES[i].heads, .kv_heads = SHAPES[i].kv, .width = 5, .scale = 0.4, .causal = causal };
            an_attention_attr dropped = at;
            dropped.dropout = 0.25;
            const int large = at.batch * at.seq > 4000;
            if (causal || !large) parts_equal_the_whole(at, 0, causal ? SHAPES[i].phases : 0, 0);
            if (large) continue;
            parts_equal_the_whole(dropped, 0, 0, 0);
            parts_equal_the_whole(at, 7, 0, 0);
            parts_equal_the_whole(dropped, 3, 0, 0);
            parts_equal_the_whole(at, 1, 0, 0);
            parts_equal_the_whole(at, 0, 0, 1);
            parts_equal_the_whole(dropped, 5, 0, 1);
        }
}

/* Doubling T may at most double what a plan holds, scratch of the threads included; products that become large enough to share what they
 * pack take room that does not grow any further. */
static void memory_is_linear(const char *settings)
{
    enum { PACKED = (1 << 16) * (int)sizeof(an_real) };
    an_model_memory last = { 0 };
    for (size_t t = 1024; t <= 32768; t *= 2) {
        subject s;
        prop_open(&s, 1, PROP_TRAIN | PROP_UNDRAWN, "%s seq_len=%zu", settings, t);
        prop_check(an_model_set_threads(s.model, 2) == AN_OK, "%s", an_error_text());
        const an_model_memory m = an_model_get_memory(s.model);
        prop_check(t == 1024 || (double)m.activations <= 2.001 * 65 / 64 * (double)last.activations /* a page more where buffers begin to be staggered */, "%s: T %zu takes %zu bytes of activations, half as many tokens %zu", settings, t, m.activations, last.activations);
        prop_check(t == 1024 || (double)m.scratch <= 2.001 * (double)last.scratch + PACKED, "%s: T %zu takes %zu bytes of scratch, half as many tokens %zu", settings, t, m.scratch, last.scratch);
        prop_check(m.activations + m.scratch < t * t * sizeof(an_real) / 4 || t < 16384, "%s: T %zu takes as much as a quarter of T x T", settings, t);
        last = m;
        prop_close(&s);
    }
}

/* A whole step at the longest: it runs, and all its numbers are. */
static void a_long_step(void)
{
#if defined(PROP_STRIDE) || defined(AN_F64)
    prop_skip("32,768 tokens take minutes under sanitizers and with the plain kernels of the double engine");
#else
    subject s;
    prop_open(&s, 1, PROP_TRAIN, "seq_len=32768 n_layer=1 d_model=8 n_head=2 n_kv_head=1 d_ff=16 position=rotary");
    prop_check(an_model_set_threads(s.model, 2) == AN_OK, "%s", an_error_text());
    const double loss = an_model_forward_backward(s.model, &s.pass);
    prop_check(isfinite(loss) && loss > 0, "32,768 tokens: loss %g", loss);
    for (size_t i = 0; i < s.n_params; i++) {
        double sum = 0;
        for (size_t k = 0; k < s.param[i].count; k++) sum += fabs((double)s.param[i].grad[k]);
        prop_check(isfinite(sum) && sum > 0, "32,768 tokens: the gradient of %s sums to %g", s.param[i].name, sum);
    }
    prop_close(&s);
#endif
}

int main(void)
{
    cuts();
    memory_is_linear("position=rotary n_head=1");
    memory_is_linear("position=rotary n_head=4 d_model=64 n_kv_head=1");
    memory_is_linear("position=rotary n_head=2 recompute=block dropout=0.1");
    a_long_step();
    return prop_finish("attention in parts");
}
