/* Dropout: on average the identity, everywhere its own coins. On the kernels of every level: kept elements are x / (1-p),
 * their share is 1-p, and attention weights under dropout still sum to 1 on average. On whole models: which coins fall
 * depends on step, micro-batch and seed (tests/prop/test_bits.c) and on the place, and the mean over many masks of what
 * the model computes approaches the model without them where that is linear. */
#include "prop.h"

#include "kern/kern.h"

enum { N = 1 << 16 };

static void elements(const an_kernels *k, const char *level, an_real p)
{
    an_real *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y), *z = malloc(N * sizeof *z);
    if (!x || !y || !z) exit(1);
    for (size_t i = 0; i < N; i++) x[i] = AN_R(1 + (double)(i % 7));
    const an_rng_key key = an_rng_key_make(1, 2, 3), other = an_rng_key_make(1, 2, 4);
    k->dropout(N, key, 0, p, x, y, 0);
    k->dropout(N, other, 0, p, x, z, 0);
    size_t kept = 0, wrong = 0, both = 0;
    for (size_t i = 0; i < N; i++) {
        kept += y[i] != 0;
        both += y[i] != 0 && z[i] != 0;
        wrong += y[i] != 0 && an_fabs(y[i] - x[i] / (1 - p)) > 4 * AN_REAL_EPS * y[i];
    }
    const double q = 1 - (double)p, share = (double)kept / N, pair = (double)both / N;
    prop_check(wrong == 0, "%s p=%g: %zu kept elements are not x / (1-p)", level, (double)p, wrong);
    prop_check(fabs(share - q) <= 5 * sqrt(q * (1 - q) / N), "%s p=%g: %.4f kept", level, (double)p, share);
    prop_check(fabs(pair - q * q) <= 5 * sqrt(q * q * (1 - q * q) / N), "%s p=%g: two masks agree on %.4f, independent ones on %.4f", level, (double)p, pair, q * q);
    k->dropout(100, key, 37, p, x, z, 0);            /* from the middle of the stream: the same coins */
    size_t off = 0;
    for (size_t i = 0; i < 100; i++) off += (z[i] != 0) != (y[37 + i] != 0);
    prop_check(off == 0, "%s p=%g: %zu of 100 coins differ when the stream is entered at 37", level, (double)p, off);
    free(x);
    free(y);
    free(z);
}

/* Values of 1: the output is the sum of the kept weights / (1-p), whose mean is 1. */
static void attention(const an_kernels *k, const char *level, an_real p)
{
    enum { T = 96, D = 8, ROUNDS = 40 };
    an_real q[T * D], v[T * D], out[T * D], lse[T], *work;
    double sum = 0, square = 0;
    size_t n = 0;
    for (size_t i = 0; i < T * D; i++) {
        q[i] = AN_R(0.3 * sin((double)i));
        v[i] = 1;
    }
    an_attn_spec s = { .t = T, .d = D, .ldq = D, .ldk = D, .ldv = D, .ldo = D, .scale = AN_R(0.35), .causal = 1, .drop_p = p };
    work = malloc((an_attn_work(&s) + 1) * sizeof *work);
    if (!work) exit(1);
    for (uint64_t round = 0; round < ROUNDS; round++) {
        s.drop_key = an_rng_key_make(1, 7, round);
        k->attn_fwd(&s, 0, T, q, q, v, out, lse, work);
        for (size_t i = 0; i < T; i++, n++) {
            sum += (double)out[i * D];
            square += (double)out[i * D] * (double)out[i * D];
        }
    }
    const double mean = sum / (double)n, sigma = sqrt((square / (double)n - mean * mean) / (double)n);
    prop_check(fabs(mean - 1) <= 5 * sigma + 1e-6, "%s p=%g: dropped attention weights sum to %.4f +- %.4f on average", level, (double)p, mean, sigma);
    prop_check(p == 0 ? sigma < 1e-6 : sigma > 1e-4, "%s p=%g: spread %.2e of the sums", level, (double)p, sigma);
    free(work);
}

/* A model whose only branch is its bias, so that the stream is a dropped constant: the final norm makes the logits linear
 * in it up to the length of the row, and the direction of their mean over masks must be that of the model without. */
static void mean_over_masks(void)
{
    enum { ROUNDS = 400 };
    subject on, off;
    prop_open(&on, 8, PROP_LOGITS, "n_layer=1 design=plain norm_affine=false tie_embeddings=false dropout=0.2");
    prop_open(&off, 8, PROP_LOGITS, "n_layer=1 design=plain norm_affine=false tie_embeddings=false");
    const char *const branch[] = { "layers.0.mlp.up.weight", "layers.0.mlp.up.bias", "layers.0.mlp.down.weight" };
    for (size_t i = 0; i < 3; i++) {
        memset(prop_param(&on, branch[i])->data, 0, prop_param(&on, branch[i])->count * sizeof(an_real));
        memset(prop_param(&off, branch[i])->data, 0, prop_param(&off, branch[i])->count * sizeof(an_real));
    }
    on.pass.targets = off.pass.targets = NULL;
    const size_t n = on.rows * on.vocab;
    an_model_forward(off.model, &off.pass);
    double *mean = calloc(on.vocab, sizeof *mean), size = 0, odd = 0;
    if (!mean) exit(1);
    for (uint64_t r = 0; r < ROUNDS; r++) {
        on.pass.step = r;
        an_model_forward(on.model, &on.pass);
        const an_real *z = an_model_get_logits(on.model);
        for (size_t i = 0; i < n; i++) mean[i % on.vocab] += (double)z[i] / (double)(ROUNDS * on.rows);
    }
    const an_real *want = an_model_get_logits(off.model);
    double dot = 0;
    for (size_t v = 0; v < on.vocab; v++) {
        dot += mean[v] * (double)want[v];
        size += mean[v] * mean[v];
        odd += (double)want[v] * (double)want[v];
    }
    prop_check(dot / sqrt(size * odd) > 0.99, "the mean over masks points %.4f along the model without dropout", dot / sqrt(size * odd));
    free(mean);
    prop_close(&on);
    prop_close(&off);
}

int main(void)
{
    const char *name;
    static const double P[] = { 0, 0.1, 0.5, 0.9 };
    int levels = 0;
    for (size_t l = 0; (name = an_kern_level_name(l)); l++) {
        const an_kernels *k = an_kern_level(name);
        for (size_t i = 0; k && i < 4; i++) {
            elements(k, name, AN_R(P[i]));
            attention(k, name, AN_R(P[i]));
        }
        levels += k != NULL;
    }
    prop_check(levels > 0, "no kernels");
    mean_over_masks();
    return prop_finish("dropout");
}
