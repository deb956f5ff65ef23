/* What a norm promises of itself. On the kernels of every level this machine has: LayerNorm forgets the scale and the
 * shift of a row, RMSNorm its scale; rows are independent; storing past the caches changes no bit; a constant row has finite results and bounded gradients in
 * every convention (eps inside or outside, variance biased or unbiased, centred or not). On whole models: embeddings
 * that are all zero or all alike leave loss and gradients finite. */
#include "prop.h"

#include <string.h>

#include "core/rng.h"
#include "kern/kern.h"

enum { N = 5, C = 67, SPECS = 8 };

static an_norm_spec spec_at(int i, double eps) { return (an_norm_spec){ .eps = AN_R(eps), .outside = i & 1, .unbiased = i >> 1 & 1, .center = i >> 2 & 1 }; }

static void spec_name(const char *level, an_norm_spec s, char text[96])
{
    snprintf(text, 96, "%s: %s, eps %s, %s", level, s.center ? "centred" : "not centred", s.outside ? "outside" : "inside", s.unbiased ? "unbiased" : "biased");
}

static void fill(size_t n, an_real *x, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) x[i] = AN_R(an_rng_normal(an_rng_key_make(seed, AN_RNG_PROBE, 3), i));
}

/* y of (scale x + shift) is y of x. Rounding of the shifted row is |shift| / sigma eps, then what a norm adds. */
static void invariance(const an_kernels *k, an_norm_spec s, const char *what)
{
    static const double SCALE[] = { 1e-6, 1.0 / 3, 1, 7, 1e6 }, SHIFT[] = { 0, -2.5, 30 };
    an_real x[N * C], moved[N * C], y[N * C], z[N * C], mean[N], rstd[N];
    fill(N * C, x, 1);
    k->norm_fwd(N, C, &s, x, NULL, NULL, y, mean, rstd);
    for (size_t i = 0; i < 5; i++)
        for (size_t j = 0; j < 3; j++) {
            for (size_t e = 0; e < N * C; e++) moved[e] = AN_R(SCALE[i] * ((double)x[e] + SHIFT[j]));
            k->norm_fwd(N, C, &s, moved, NULL, NULL, z, mean, rstd);
            const double d = prop_distance(N * C, z, y), allowed = (8 + 2 * fabs(SHIFT[j])) * (double)AN_REAL_EPS;
            if (SHIFT[j] == 0 || s.center) prop_check(d <= allowed, "%s: scale %g, shift %g move the result by %.1e, %.1e allowed", what, SCALE[i], SHIFT[j], d, allowed);
            else prop_check(d > 0.1, "%s: not centred, yet a shift of %g moves the result by %.1e only", what, SHIFT[j], d);
        }
}

/* Row r of a block of rows has the bits it has alone, forward and backward; wide rows are done in groups, one row here is for the reference. */
static void rows_are_independent(const an_kernels *k, an_norm_spec s, size_t c, const char *what)
{
    enum { MOST = 2064 };
    static an_real x[N * MOST], dy[N * MOST], g[MOST], b[MOST], y[N * MOST], dx[N * MOST], y1[MOST], dx1[MOST];
    an_real mean[N], rstd[N], mean1, rstd1;
    fill(N * c, x, 2);
    fill(N * c, dy, 3);
    fill(c, g, 4);
    fill(c, b, 5);
    x[2 * c] = AN_R(1e30);
    k->norm_fwd(N, c, &s, x, g, b, y, mean, rstd);
    k->norm_bwd(N, c, &s, dy, x, g, mean, rstd, dx, 0, NULL, NULL);
    for (size_t r = 0; r < N; r++) {
        k->norm_fwd(1, c, &s, x + r * c, g, b, y1, &mean1, &rstd1);
        k->norm_bwd(1, c, &s, dy + r * c, x + r * c, g, &mean1, &rstd1, dx1, 0, NULL, NULL);
        prop_check(prop_equal(c, y1, y + r * c), "%s: row %zu of %zu numbers depends on its neighbours", what, r, c);
        prop_check(prop_equal(c, dx1, dx + r * c), "%s: the gradient of row %zu of %zu numbers depends on its neighbours", what, r, c);
    }
}

/* The hint `stream` changes no bit, whether rows are whole aligned vectors or not: all outputs of all four rows. */
static void streaming(const an_kernels *k, an_norm_spec s, const char *what)
{
    static const size_t WIDE[] = { 1, 24, 64, 67, 160, 2064 };
    enum { MOST = 2064, SIZE = N * MOST + 16, OUT = 7 };
    static an_real x[SIZE], f[SIZE], dy[SIZE], out[2][OUT][SIZE] __attribute__((aligned(64)));
    an_real mean[N], rstd[N];
    fill(SIZE, x, 8);
    fill(SIZE, f, 9);
    fill(SIZE, dy, 10);
    x[3] = AN_R(1e30);   /* a row for the reference */
    for (size_t w = 0; w < sizeof WIDE / sizeof *WIDE; w++)
        for (size_t off = 0; off < 2; off++) {
            const size_t c = WIDE[w];
            if (s.unbiased && c < 2) continue;
            memset(out, 0, sizeof out);
            for (int on = 0; on < 2; on++) {
                an_real *o[OUT];
                for (int i = 0; i < OUT; i++) o[i] = out[on][i] + off;
                s.stream = on;
                k->norm_fwd(N, c, &s, x, f, dy, o[0], mean, rstd);
                k->norm_bwd(N, c, &s, dy, x, f, mean, rstd, o[1], 0, o[2], NULL);
                k->add_norm_fwd(N, c, &s, AN_R(0.5), x, 1, f, NULL, dy, NULL, o[3], o[4], mean, rstd);
                memcpy(o[6], f, N * c * sizeof *f);
                k->add_norm_bwd(N, c, &s, AN_R(0.5), 1, NULL, dy, o[6], o[3], f, mean, rstd, o[5], 0, o[6], 0, o[2], NULL);
            }
            for (int i = 0; i < OUT; i++) prop_check(memcmp(out[0][i], out[1][i], sizeof out[0][i]) == 0, "%s: rows of %zu, %zu off: result %d depends on how it is stored", what, c, off, i);
        }
}

/* A row of one value: centred, its spread is 0 and y = b; the gradient is at most 3 |dy| / (what eps leaves of the spread). */
static void constant_rows(const an_kernels *k, int i, double eps, const char *level)
{
    static const double VALUE[] = { 0, 1e-30, 0.1, -1, 3.3, 1e4, -1e15 };
    const an_norm_spec s = spec_at(i, eps);
    char what[96];
    spec_name(level, s, what);
    const double spread = s.outside ? eps : sqrt(eps);
    an_real x[C], dy[C], b[C], y[C], dx[C], dg[C] = { 0 }, db[C] = { 0 }, mean, rstd;
    fill(C, dy, 6);
    fill(C, b, 7);
    for (size_t v = 0; v < sizeof VALUE / sizeof *VALUE; v++) {
        for (size_t j = 0; j < C; j++) x[j] = AN_R(VALUE[v]);
        k->norm_fwd(1, C, &s, x, NULL, b, y, &mean, &rstd);
        k->norm_bwd(1, C, &s, dy, x, NULL, &mean, &rstd, dx, 0, dg, db);
        double off = 0, most = 0, sum = 0;
        int finite = isfinite(rstd);
        for (size_t j = 0; j < C; j++) {
            finite &= isfinite(y[j]) && isfinite(dx[j]) && isfinite(dg[j]) && isfinite(db[j]);
            off = fmax(off, fabs((double)y[j] - (double)b[j]));
            most = fmax(most, fabs((double)dx[j]));
            sum += fabs((double)dy[j]);
        }
        prop_check(finite, "%s: a row of %g gives nan or inf", what, VALUE[v]);
        prop_check(most <= 3 * sum / spread, "%s: a row of %g has a gradient of %.1e", what, VALUE[v], most);
        if (s.center) prop_check(off <= 1e-3, "%s: a row of %g is %.1e away from the bias", what, VALUE[v], off);
        else if (VALUE[v] == 0) prop_check(off == 0, "%s: a row of 0 is %.1e away from the bias", what, off);
    }
}

static void kernels(void)
{
    const char *name;
    int levels = 0;
    for (size_t l = 0; (name = an_kern_level_name(l)); l++) {
        const an_kernels *k = an_kern_level(name);
        if (!k) continue;
        levels++;
        for (int i = 0; i < SPECS; i++) {
            char what[96];
            const an_norm_spec tiny = spec_at(i, 1e-20);
            spec_name(name, tiny, what);
            invariance(k, tiny, what);
            rows_are_independent(k, tiny, C, what);
            rows_are_independent(k, tiny, 2064, what);
            streaming(k, tiny, what);
            constant_rows(k, i, 1e-5, name);
            constant_rows(k, i, 0x1p-17, name);   /* 1 / (1 / eps) is eps to the bit: the spread comes out as 0 */
        }
    }
    prop_check(levels > 0, "no kernels");
}

static void all_finite(subject *s, const char *settings, const char *what)
{
    const double loss = an_model_forward_backward(s->model, &s->pass);
    prop_check(isfinite(loss), "%s, %s: loss %g", settings, what, loss);
    for (size_t i = 0; i < s->n_params; i++) {
        size_t bad = 0;
        for (size_t k = 0; k < s->param[i].count; k++) bad += isfinite(s->param[i].grad[k]) ? 0 : 1;
        prop_check(bad == 0, "%s, %s: %zu gradients of %s are not finite", settings, what, bad, s->param[i].name);
    }
}

/* Nothing in the stream but what the branches add; and nothing at all. */
static void constant_embeddings(const char *settings)
{
    static const double VALUE[] = { 0, 0.1 };
    for (size_t v = 0; v < 2; v++)
        for (int silent = 0; silent < 2; silent++) {
            subject s;
            char what[64];
            prop_open(&s, 2, PROP_TRAIN, "%s fuse=%s", settings, v ? "true" : "false");
            for (size_t i = 0; i < s.n_params; i++) {
                const int embedding = strncmp(s.param[i].name, "embed.", 6) == 0;
                for (size_t k = 0; k < s.param[i].count && (embedding || silent); k++) s.param[i].data[k] = AN_R(embedding ? VALUE[v] : 0);
            }
            snprintf(what, sizeof what, "embeddings %g%s", VALUE[v], silent ? ", other parameters 0" : "");
            all_finite(&s, settings, what);
            prop_close(&s);
        }
}

int main(void)
{
    kernels();
    prop_product(1, constant_embeddings);
    return prop_finish("norm laws");
}
