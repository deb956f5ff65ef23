/* op/stream_gain.c
 * What mixing does to n streams over depth: P_i = R_i P_(i-1), the product of the mixing matrices from the first sub-layer to this
 * one, for a fixed sample of tokens. No step of the model reads it; its gauges do:
 *   gain, gain_back             largest absolute row sum of P_i: by how much mixing alone can make a signal larger on the way up;
 *                               largest absolute column sum: the same for a gradient on the way down
 *   gain_here, gain_here_back   the same of R_i alone
 *   mixed_here                  sum of |R_i| off the diagonal over its n rows: what a stream takes of the others; 0 where R_i is diagonal
 *   cosine                      of two streams behind this sub-layer, mean over pairs: 1 where they do not differ
 * All are means over the sample. Where R is doubly stochastic every gain is 1, whatever it mixes.
 * Shapes    y [N,n,C]   k [N, n (n + 2)] (op/streams.c)   p [S, n n] or absent -> p [S, n n], S = min(N, 64)
 * Saves     nothing               Cost  2 S n^3 flop
 * Backward  none flows: p is no value of the model
 * Errors    build: k or p of other shapes -> AN_ESHAPE
 * Threads   one part
 * Source    Xie et al. 2025, arXiv:2512.24880, sections 3.1 and 5.4 */
#include "op/op.h"

#include <math.h>

enum { Y, K, P };
enum { SAMPLE = 64 };
enum { GAIN, GAIN_BACK, GAIN_HERE, GAIN_HERE_BACK, COSINE, MIXED_HERE, GAUGES };

static size_t streams(const an_step *s) { return ((const an_streams_attr *)s->attr)->n; }
static size_t sampled(const an_step *s) { const size_t rows = an_rows(s->in[K]); return rows < SAMPLE ? rows : SAMPLE; }
static size_t token_of(const an_step *s, size_t i) { return i * an_rows(s->in[K]) / sampled(s); }
static const an_real *matrix_of(const an_step *s, size_t i) { return s->in[K]->data + token_of(s, i) * an_cols(s->in[K]) + streams(s); }

static an_status infer(struct an_build *b, an_step *s)
{
    const size_t n = streams(s), token = n * ((const an_streams_attr *)s->attr)->width;
    AN_TRY(an_need_rank(s, Y, 2));
    if (token == 0 || s->in[Y]->count % token)
        return an_fail(AN_ESHAPE, "%s: %s with %zu numbers is not made of tokens of %zu", s->name, s->in[Y]->name, s->in[Y]->count, token);
    AN_TRY(an_need(s, K, AN_MAT(s->in[Y]->count / token, n * (n + 2))));
    if (s->in[P]) AN_TRY(an_need(s, P, AN_MAT(sampled(s), n * n)));
    return an_out(b, s, 0, "", AN_MAT(sampled(s), n * n), true);
}

static size_t parts(const an_step *s, an_direction dir, int phase) { (void)s; return dir == AN_FORWARD && phase == 0 ? 1 : 0; }

/* A gain beyond 1e30 stays there, so that looking for a value that is not finite does not stop at a measurement. */
static an_real bounded(double x) { return AN_R(fmax(-1e30, fmin(1e30, x))); }

static void forward(const an_run *r, const an_step *s, const an_part *part)
{
    const size_t n = streams(s);
    (void)r;
    (void)part;
    for (size_t i = 0; i < sampled(s); i++) {
        const an_real *here = matrix_of(s, i), *before = s->in[P] ? s->in[P]->data + i * n * n : NULL;
        for (size_t t = 0; t < n; t++)
            for (size_t a = 0; a < n; a++) {
                double sum = before ? 0 : (double)here[t * n + a];
                for (size_t j = 0; before && j < n; j++) sum += (double)here[t * n + j] * (double)before[j * n + a];
                s->out[0]->data[i * n * n + t * n + a] = bounded(sum);
            }
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p) { (void)r; (void)s; (void)p; }

/* Largest sum of |m| over a row; over a column where `down`. */
static double largest_sum(size_t n, const an_real *m, bool down)
{
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j < n; j++) sum += fabs((double)(down ? m[j * n + i] : m[i * n + j]));
        if (!(sum <= most)) most = sum;
    }
    return most;
}

static double off_diagonal(size_t n, const an_real *m)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) sum += i == j ? 0 : fabs((double)m[i * n + j]);
    return sum / (double)n;
}

static double mean_cosine(const an_run *r, size_t n, size_t c, const an_real *y)
{
    double sum = 0, products[5];
    for (size_t a = 0; a < n; a++)
        for (size_t b = 0; b < a; b++) {
            r->k->products(c, y + a * c, y + b * c, products);
            sum += products[2] > 0 && products[3] > 0 ? products[4] / sqrt(products[2] * products[3]) : 0;
        }
    return n > 1 ? 2 * sum / (double)(n * (n - 1)) : (double)NAN;
}

static size_t gauge_parts(const an_step *s) { (void)s; return 1; }

static double measure(const an_run *r, const an_step *s, size_t part, double *m)
{
    const size_t n = streams(s), c = ((const an_streams_attr *)s->attr)->width;
    (void)part;
    for (size_t i = 0; i < sampled(s); i++) {
        const an_real *product = s->out[0]->data + i * n * n, *here = matrix_of(s, i);
        m[GAIN] += largest_sum(n, product, false);
        m[GAIN_BACK] += largest_sum(n, product, true);
        m[GAIN_HERE] += largest_sum(n, here, false);
        m[GAIN_HERE_BACK] += largest_sum(n, here, true);
        m[MIXED_HERE] += off_diagonal(n, here);
        m[COSINE] += mean_cosine(r, n, c, s->in[Y]->data + token_of(s, i) * n * c);
    }
    return (double)sampled(s);
}

static const an_gauges STREAM_GAUGES = { "streams", GAUGES, { "gain", "gain_back", "gain_here", "gain_here_back", "cosine", "mixed_here" },
    { AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN }, gauge_parts, measure };

static an_cost cost(const an_step *s)
{
    const double n = (double)streams(s), rows = (double)sampled(s);
    return (an_cost){ 2 * rows * n * n * n, 3 * rows * n * n * sizeof(an_real) };
}

const an_op an_op_stream_gain = { .name = "stream_gain", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .no_grad_in = ~0u, .gauges = &STREAM_GAUGES };
