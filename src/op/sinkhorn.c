/* op/sinkhorn.c
 * The coefficients of manifold-constrained hyper-connections (op/streams.c), per token, from one projection z of all its streams:
 *   r = 1 / sqrt(mean H^2 + eps);  l = [c_pre, c_post, c_res] r z + b;   m = sigma(l_pre);  b = 2 sigma(l_post);  R = SK(l_res)
 * SK makes a matrix doubly stochastic: M = exp(l), then `iterations` times columns divided by their sums, rows by theirs. Row t
 * is the stream that is written, so rows, which come last, sum to 1 to rounding. The first division is a softmax of each column;
 * what is more than 80 below its largest counts as 80 below, so that no sum is 0 in single precision either.
 * Shapes    H [N,n,C] as any value of N n C numbers   z [N, n^2 + 2n]: pre [n] | post [n] | res [n,n]   b [n^2 + 2n]
 *           c [3]   k [N, n (n + 2)]   r [N]
 * Saves     H, z, b, c, r             Cost  N (n C + 4 iterations n^2) flop and N n (n + 2) exponentials
 * Backward  back through every iteration: where y = x / s is one division, s the sum of a row or column, dx = (dy - <dy, y>) / s.
 *           The iterates are made again from z, into thread scratch; dz, dH (through r) per token, db and dc per chunk, then in order
 * Errors    build: n or iterations 0, or a shape that does not fit -> AN_ESHAPE
 * Threads   tokens in fixed chunks
 * Source    Xie et al. 2025, arXiv:2512.24880, equations 7 to 9 and 14 to 19; Sinkhorn & Knopp 1967 */
#include "op/op.h"

#include <math.h>

enum { H, Z, B, C };
enum { OUT, RSTD };
static const an_real LOWEST = AN_R(-80);

static size_t streams(const an_step *s) { return ((const an_sinkhorn_attr *)s->attr)->n; }
static size_t turns(const an_step *s) { return ((const an_sinkhorn_attr *)s->attr)->iterations; }
static size_t logits(size_t n) { return n * (n + 2); }

static an_status infer(struct an_build *b, an_step *s)
{
    const size_t n = streams(s);
    if (n == 0 || turns(s) == 0) return an_fail(AN_ESHAPE, "%s: %zu streams and %zu iterations; both must be at least 1", s->name, n, turns(s));
    AN_TRY(an_need_rank(s, H, 2));
    AN_TRY(an_need_rank(s, Z, 2));
    const size_t rows = an_rows(s->in[Z]);
    AN_TRY(an_need(s, Z, AN_MAT(rows, logits(n))));
    AN_TRY(an_need(s, B, AN_VEC(logits(n))));
    AN_TRY(an_need(s, C, AN_VEC(3)));
    if (s->in[H]->count == 0 || s->in[H]->count % (rows * n))
        return an_fail(AN_ESHAPE, "%s: %s with %zu numbers is not %zu tokens of %zu streams", s->name, s->in[H]->name, s->in[H]->count, rows, n);
    AN_TRY(an_out(b, s, OUT, "", AN_MAT(rows, logits(n)), false));
    return an_out(b, s, RSTD, ".rstd", AN_VEC(rows), true);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[Z]));
    return dir == AN_BACKWARD && phase == 1 ? 1 : 0;
}

/* --- Sinkhorn: columns, rows, columns, ... Iterate k of the trace is the matrix after k + 1 divisions; sums [n] each. ------ */

/* One division; down: of columns. */
static void divide(size_t n, bool down, const an_real *x, an_real *y, an_real *sums)
{
    const size_t along = down ? n : 1, across = down ? 1 : n;
    for (size_t i = 0; i < n; i++) {
        an_real sum = 0;
        for (size_t j = 0; j < n; j++) sum += x[i * across + j * along];
        sums[i] = sum > AN_R(FLT_MIN) ? sum : AN_R(FLT_MIN);
        for (size_t j = 0; j < n; j++) y[i * across + j * along] = x[i * across + j * along] / sums[i];
    }
}

static void exponentials(size_t n, const an_real *l, an_real *m)
{
    for (size_t a = 0; a < n; a++) {
        an_real most = l[a];
        for (size_t t = 1; t < n; t++) most = l[t * n + a] > most ? l[t * n + a] : most;
        for (size_t t = 0; t < n; t++) {
            const an_real d = l[t * n + a] - most;
            m[t * n + a] = an_exp(d < LOWEST ? LOWEST : d);
        }
    }
}

/* The iterates one after the other, n n + n reals each: matrix, sums. Returns the last. */
static an_real *iterate(const an_step *s, const an_real *l, an_real *trace)
{
    const size_t n = streams(s), stride = n * n + n;
    exponentials(n, l, trace);
    divide(n, true, trace, trace, trace + n * n);
    for (size_t k = 1; k < 2 * turns(s); k++) divide(n, k % 2 == 0, trace + (k - 1) * stride, trace + k * stride, trace + k * stride + n * n);
    return trace + (2 * turns(s) - 1) * stride;
}

/* d: the gradient of the last iterate, turned into that of the logits. */
static void iterate_back(const an_step *s, const an_real *l, const an_real *trace, an_real *d)
{
    const size_t n = streams(s), stride = n * n + n;
    for (size_t k = 2 * turns(s); k-- > 0;) {
        const an_real *y = trace + k * stride, *sums = y + n * n;
        const size_t along = k % 2 == 0 ? n : 1, across = k % 2 == 0 ? 1 : n;
        for (size_t i = 0; i < n; i++) {
            an_real dot = 0;
            for (size_t j = 0; j < n; j++) dot += d[i * across + j * along] * y[i * across + j * along];
            for (size_t j = 0; j < n; j++) d[i * across + j * along] = (d[i * across + j * along] - dot) / (k ? sums[i] : 1);
        }
    }
    for (size_t a = 0; a < n; a++) {                     /* the first division was a softmax: times y, and nothing below its floor */
        an_real most = l[a];
        for (size_t t = 1; t < n; t++) most = l[t * n + a] > most ? l[t * n + a] : most;
        for (size_t t = 0; t < n; t++) d[t * n + a] *= l[t * n + a] - most < LOWEST ? 0 : trace[t * n + a];
    }
}

/* --- tokens ---------------------------------------------------------------------------------------------------------- */

static size_t group_of(size_t n, size_t j) { return j < n ? 0 : j < 2 * n ? 1 : 2; }
static an_real sigmoid(an_real x) { return 1 / (1 + an_exp(-x)); }

static void make_logits(const an_step *s, size_t i, an_real *l)
{
    const size_t n = streams(s), row = logits(n);
    for (size_t j = 0; j < row; j++) l[j] = s->in[C]->data[group_of(n, j)] * s->out[RSTD]->data[i] * s->in[Z]->data[i * row + j] + s->in[B]->data[j];
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), row = logits(n), size = s->in[H]->count / an_rows(s->in[Z]);
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    an_real *l = r->thread_work[p->thread], *trace = l + 2 * row;
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        an_real *k = s->out[OUT]->data + i * row;
        s->out[RSTD]->data[i] = AN_R(1 / sqrt(r->k->sumsq(size, s->in[H]->data + i * size) / (double)size + ((const an_sinkhorn_attr *)s->attr)->eps));
        make_logits(s, i, l);
        for (size_t a = 0; a < n; a++) k[a] = sigmoid(l[a]);
        memcpy(k + n, iterate(s, l + 2 * n, trace), n * n * sizeof *k);
        for (size_t a = 0; a < n; a++) k[n + n * n + a] = 2 * sigmoid(l[n + a]);
    }
}

/* The gradient of a token's logits, into dl. */
static void logits_back(const an_step *s, size_t i, const an_real *l, an_real *trace, an_real *dl)
{
    const size_t n = streams(s), row = logits(n);
    const an_real *k = s->out[OUT]->data + i * row, *dk = s->out[OUT]->grad + i * row;
    for (size_t a = 0; a < n; a++) {
        const an_real m = k[a], b = k[n + n * n + a];
        dl[a] = dk[a] * m * (1 - m);
        dl[n + a] = dk[n + n * n + a] * b * (1 - b / 2);
    }
    memcpy(dl + 2 * n, dk + n, n * n * sizeof *dl);
    iterate(s, l + 2 * n, trace);
    iterate_back(s, l + 2 * n, trace, dl + 2 * n);
}

/* Sums of a chunk: db [n^2 + 2n] | dc [3] */
static void reduce(const an_run *r, const an_step *s)
{
    const size_t row = logits(streams(s)), size = row + 3;
    for (int in = B; in <= C; in++)
        for (size_t j = 0; an_has_grad(s, in) && j < s->in[in]->count; j++)
            an_put_grad(r, s, in, j, an_total(s, size, an_chunks(an_rows(s->in[Z])), (in == B ? 0 : row) + j));
}

static void backward_token(const an_run *r, const an_step *s, size_t i, an_real *room, double *sums)
{
    const size_t n = streams(s), row = logits(n), size = s->in[H]->count / an_rows(s->in[Z]);
    const an_real rstd = s->out[RSTD]->data[i], *z = s->in[Z]->data + i * row;
    an_real *l = room, *dl = room + row;
    double dr = 0;
    make_logits(s, i, l);
    logits_back(s, i, l, room + 2 * row, dl);
    for (size_t j = 0; j < row; j++) {
        const size_t g = group_of(n, j);
        const an_real dz = s->in[C]->data[g] * rstd * dl[j];
        sums[j] += (double)dl[j];
        sums[row + g] += (double)dl[j] * (double)(rstd * z[j]);
        dr += (double)(s->in[C]->data[g] * dl[j]) * (double)z[j];
        if (an_has_grad(s, Z)) s->in[Z]->grad[i * row + j] = dz + (an_add(r, s, Z) ? s->in[Z]->grad[i * row + j] : 0);
    }
    if (an_has_grad(s, H))
        r->k->scale(size, -AN_R(dr) * rstd * rstd * rstd / AN_R(size), s->in[H]->data + i * size, s->in[H]->grad + i * size, an_add(r, s, H));
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const size_t size = logits(streams(s)) + 3;
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    double *sums = an_sums(s, size, p->index);
    memset(sums, 0, size * sizeof *sums);
    for (size_t i = w.begin; i < w.begin + w.n; i++) backward_token(r, s, i, r->thread_work[p->thread], sums);
}

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD ? an_sums_room(logits(streams(s)) + 3, an_chunks(an_rows(s->in[Z]))) : 0;
}

static size_t thread_work(const an_step *s) { const size_t n = streams(s); return 2 * logits(n) + 2 * turns(s) * (n * n + n); }

static an_cost cost(const an_step *s)
{
    const double rows = (double)an_rows(s->in[Z]), n = (double)streams(s), h = (double)s->in[H]->count;
    return (an_cost){ 2 * h + rows * (4 * (double)turns(s) * n * n + 10 * n * (n + 2)), (h + 2 * rows * n * (n + 2)) * sizeof(an_real) };
}

const an_op an_op_sinkhorn = { .name = "sinkhorn", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .work = work, .thread_work = thread_work, .saves_in = 1u << H | 1u << Z | 1u << B | 1u << C, .saves_out = 1u << OUT | 1u << RSTD };
