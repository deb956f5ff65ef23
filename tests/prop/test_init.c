/* The init laws, measured on drawn tensors: the standard deviation of every matrix by its role, exact zeros and ones,
 * RMS(x0) = 1 under xavier for every kind of position, and who ties the head. The laws are written here a second time. */
#include "prop.h"

#include "core/rng.h"
#include "net/design.h"
#include "net/init.h"
#include "net/sublayers.h"

enum { LAYERS = 3, D = 128, F = 320, V = 300, T = 96 };
static const char SHAPE[] = "n_layer=3 n_head=4 d_model=128 d_ff=320 vocab_size=300 seq_len=96";

enum { GPT2, NORMAL, XAVIER, UNIFORM, PYTORCH, HE, ZERO_OUT, LAWS };
typedef struct expectation { const char *part; double deviation[LAWS]; } expectation;

static double glorot(double in, double out) { return sqrt(2 / (in + out)); }
static double torch(double in) { return 1 / sqrt(3 * in); }
static double he(double in) { return sqrt(2 / in); }

/* Mean and standard deviation of n numbers; 5 sigma of a normal sample are allowed. */
static void measure(const char *init, const char *name, size_t n, const an_real *x, double want)
{
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    const double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
    const double deviation = sqrt(square / (double)n);
    prop_check(fabs(deviation - want) <= 5 * want / sqrt(2 * (double)n), "init=%s: %s has standard deviation %.6f, the law says %.6f", init, name, deviation, want);
    prop_check(fabs(mean) <= 5 * want / sqrt((double)n), "init=%s: %s has mean %.2e", init, name, mean);
}

static void check_matrix(const char *init, const an_param *p, const expectation *row, int law)
{
    const double want = row->deviation[law];
    if (!strstr(p->name, "qkv")) {
        measure(init, p->name, p->count, p->data, want);
        return;
    }
    for (size_t third = 0; third < 3; third++) measure(init, p->name, p->count / 3, p->data + third * p->count / 3, want);   /* q, k, v each */
}

static void laws(void)
{
    static const char *const INIT[LAWS] = { "gpt2", "normal", "xavier", "xavier-uniform", "pytorch", "he", "zero-out" };
    const double small = 0.02, residual = 0.02 / sqrt(2.0 * LAYERS), table = 1 / sqrt((double)D);
    const expectation ROW[] = {
        { "attn.qkv.weight", { small, small, glorot(D, D), glorot(D, D), torch(D), he(D), small } }, { "attn.out.weight", { residual, small, glorot(D, D), glorot(D, D), torch(D), he(D), 0 } },
        { "mlp.up.weight", { small, small, glorot(D, F), glorot(D, F), torch(D), he(D), small } }, { "mlp.down.weight", { residual, small, glorot(F, D), glorot(F, D), torch(F), he(F), 0 } },
        { "tok.weight", { small, small, sqrt(0.5), table, 1, small, small } }, { "pos.weight", { small, small, sqrt(0.5), table, 1, small, small } },
        { "head.weight", { small, small, glorot(D, V), glorot(D, V), torch(D), he(D), 0 } },
    };
    for (int law = 0; law < LAWS; law++) {
        subject s;
        prop_open(&s, 1, 0, "%s init=%s tie_embeddings=false", SHAPE, INIT[law]);
        an_model_init_params(s.model, 1);
        size_t seen = 0;
        for (size_t i = 0; i < s.n_params; i++) {
            const an_param *p = &s.param[i];
            for (size_t r = 0; r < sizeof ROW / sizeof *ROW; r++)
                if (strstr(p->name, ROW[r].part) && ++seen) check_matrix(INIT[law], p, &ROW[r], law);
            if (p->rank > 1) continue;
            const an_real want = strstr(p->name, "gain") ? 1 : 0;
            size_t off = 0;
            for (size_t k = 0; k < p->count; k++) off += p->data[k] != want;
            prop_check(off == 0, "init=%s: %zu elements of %s do not start at %g", INIT[law], off, p->name, (double)want);
        }
        prop_check(seen == 4 * LAYERS + 3, "init=%s: %zu matrices seen", INIT[law], seen);
        prop_close(&s);
    }
    prop_check(an_init_at(LAWS) == NULL, "init=%s is not written in this test", an_init_name(LAWS));
}

/* Two seeds differ, one seed repeats, and no two tensors are alike. */
static void streams(void)
{
    subject a, b;
    prop_open(&a, 1, 0, "%s", SHAPE);
    prop_open(&b, 1, 0, "%s n_layer=5", SHAPE);
    an_model_init_params(a.model, 1);
    an_model_init_params(b.model, 1);
    const an_param *first = prop_param(&a, "layers.0.attn.qkv.weight"), *second = prop_param(&a, "layers.1.attn.qkv.weight"), *deeper = prop_param(&b, "layers.1.attn.qkv.weight");
    prop_check(!prop_equal(64, first->data, second->data), "two tensors have the same weights");
    prop_check(prop_equal(second->count, second->data, deeper->data), "the same tensor differs in a deeper model of the same seed");
    an_model_init_params(b.model, 2);
    prop_check(!prop_equal(64, second->data, deeper->data), "two seeds give the same weights");
    prop_close(&a);
    prop_close(&b);
}

/* The embedding alone as a plan: x0 of random tokens. */
static double rms_of_x0(subject *s)
{
    enum { BATCH = 8 };
    int32_t tokens[BATCH * T];
    an_params params = { 0 };
    an_plan *plan = NULL;
    double sum = 0;
    prop_tokens(tokens, BATCH * T, V, 8);
    if (an_plan_create(&plan, &params, false) != AN_OK) return -1;
    an_build b = { .plan = plan, .block = -1, .branch = -1 };
    an_package package;
    an_net net = { .b = &b, .config = &s->config, .options = s->options, .batch = BATCH, .seq = T, .layer = -1 };
    if (an_design_package(&net, an_design_here(&net), &package) != AN_OK) return -1;
    net.package = &package;
    an_value *input = an_input(&b, "tokens", BATCH * T), *table, *x0 = an_embedding_emit(&net, input, &table);
    if (b.status == AN_OK) x0->keep = true;
    if (b.status == AN_OK && an_plan_freeze(plan, true) == AN_OK && an_params_freeze(&params, false) == AN_OK && an_plan_bind(plan, 1) == AN_OK) {
        an_run run = { .k = an_kern_get(), .gemm = an_gemm_get() };
        an_params_draw(&params, 1, 1);
        input->tokens = tokens;
        an_plan_forward(plan, &run);
        for (size_t i = 0; i < x0->count; i++) sum += (double)x0->data[i] * (double)x0->data[i] / (double)x0->count;
    }
    an_plan_destroy(&plan);
    an_params_fini(&params);
    return sqrt(sum);
}

static void unit_stream(void)
{
    for (size_t i = 0; an_position_name(i); i++) {
        subject s;
        prop_open(&s, 1, 0, "%s init=xavier position=%s", SHAPE, an_position_name(i));
        const double r = rms_of_x0(&s);
        prop_check(fabs(r - 1) <= 0.05, "init=xavier position=%s: RMS(x0) %.3f", an_position_name(i), r);
        prop_close(&s);
        prop_open(&s, 1, 0, "%s init=normal position=%s", SHAPE, an_position_name(i));
        prop_check(fabs(rms_of_x0(&s) - 1) > 0.05, "init=normal position=%s: RMS(x0) is 1 too", an_position_name(i));
        prop_close(&s);
    }
}

static void tying(void)
{
    static const struct { const char *settings; int head; } ROW[] = {
        { "init=xavier", 1 }, { "init=xavier tie_embeddings=false", 1 }, { "init=gpt2", 0 }, { "init=zero-out", 0 }, { "init=gpt2 tie_embeddings=false", 1 } };
    subject s;
    for (size_t i = 0; i < sizeof ROW / sizeof *ROW; i++) {
        prop_open(&s, 1, 0, "%s %s", SHAPE, ROW[i].settings);
        prop_check((prop_param(&s, "head.weight") != NULL) == ROW[i].head, "%s: %s head of its own", ROW[i].settings, ROW[i].head ? "no" : "a");
        prop_close(&s);
    }
    prop_check(prop_try(&s, 1, 0, "init=xavier tie_embeddings=true") == AN_ECONFIG && strstr(an_error_text(), "tie_embeddings") && strstr(an_error_text(), "xavier"),
               "init xavier with tie_embeddings true was not refused by name: %s", an_error_text());
}

/* Matrices of several parts' length, drawn by one thread and by three. */
static void threads(void)
{
    static const char *const LAW[] = { "normal", "xavier-uniform" };
    for (size_t law = 0; law < sizeof LAW / sizeof *LAW; law++) {
        subject s;
        prop_open(&s, 1, 0, "n_layer=1 n_head=4 d_model=256 d_ff=700 vocab_size=300 seq_len=8 init=%s", LAW[law]);
        const an_param *p = &s.param[0];
        for (size_t i = 0; i < s.n_params; i++)
            if (s.param[i].count > p->count) p = &s.param[i];
        an_real *alone = malloc(p->count * sizeof *alone);
        if (!alone) abort();
        an_model_init_params(s.model, 7);
        memcpy(alone, p->data, p->count * sizeof *alone);
        memset(p->data, 0, p->count * sizeof *alone);
        prop_check(an_model_set_threads(s.model, 3) == AN_OK, "threads");
        an_model_init_params(s.model, 7);
        prop_check(p->count > 100000 && memcmp(alone, p->data, p->count * sizeof *alone) == 0, "init=%s: three threads draw other numbers than one", LAW[law]);
        free(alone);
        prop_close(&s);
    }
}

int main(void)
{
    threads();
    laws();
    streams();
    unit_stream();
    tying();
    return prop_finish("init laws");
}
