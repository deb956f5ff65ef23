/* op/batch_norm.c
 * Batch norm: y = g (x - mu) / sqrt(var + eps) + b, per channel, mu and var over the rows that count: those of valid tokens, or all
 * where no tokens are given. While training they are those of the batch, else the running ones. Rows that do not count are
 * normalised by the same mu and var but have no part in them. Fewer than two tokens that count have no variance: such a pass uses
 * the running statistics, as constants, and does not move them.
 *     running mean <- (1 - m) running mean + m mu;   running var <- (1 - m) running var + m var n / (n - 1)
 * moves in the backward half of a training pass, which each step goes through exactly once, however often its forward half is run
 * again: forward is a function of its inputs. Micro-batches have statistics of their own and move the running ones one after the other.
 * Penalty (regularised batch norm), per channel, after that move: p_m (running mean - mu)^2 + p_v |running var - var|, running
 * values held constant. Its gradient, times loss_scale, joins that of x; the loss of the pass does not contain it, the gauge tells it.
 * Shapes    x, y [N,C]   g, b [C] or absent   running mean, running var [C]   tokens [N/k] or absent   mu, var [C]
 * Units     eps: of x^2
 * Saves     x, g, tokens, mu, var     Cost  10NC flop, 3NC moved
 * Backward  with r = 1/sqrt(var + eps), h = (x - mu) r, sums over all rows, n those that count:
 *           dx (+)= g r (dy - [counts] (sum dy + h sum(dy h)) / n) + [counts] (p'_m + 2 p'_v (x - mu)) / n;   dg (+)= sum dy h;  db (+)= sum dy
 *           with running statistics dx (+)= g r dy
 * Errors    build: C == 0, shapes -> AN_ESHAPE
 * Threads   sums per chunk of rows, merged in chunk order; then rows in chunks
 * Source    Ioffe & Szegedy 2015, arXiv:1502.03167; penalty: Wang et al. 2022, arXiv:2210.05153; merging: Chan et al. 1979 */
#include "op/op.h"

#include <math.h>

enum { X, G, B, RUN_MEAN, RUN_VAR, TOKENS };
enum { Y, MEAN, VAR };

an_status an_need_batch(const an_step *s, int tokens)
{
    AN_TRY(an_need_rank(s, 0, 2));
    const an_value *t = s->in[tokens];
    const size_t n = an_rows(s->in[0]);
    if (an_cols(s->in[0]) == 0) return an_fail(AN_ESHAPE, "%s: a norm over 0 channels; d_model must be at least 1", s->name);
    if (n == 0) return an_fail(AN_ESHAPE, "%s: statistics over 0 tokens; a pass needs at least 1", s->name);
    if (t && (t->count == 0 || n % t->count)) return an_fail(AN_ESHAPE, "%s: %zu rows do not fall to %zu tokens in equal numbers", s->name, n, t->count);
    return AN_OK;
}

bool an_row_counts(const an_step *s, int tokens, size_t row)
{
    const an_value *t = s->in[tokens];
    return !t || t->tokens[row / (an_rows(s->in[0]) / t->count)] >= 0;
}

size_t an_counted_rows(const an_step *s, int tokens)
{
    const size_t n = an_rows(s->in[0]);
    size_t counted = 0;
    for (size_t i = 0; i < n; i++) counted += an_row_counts(s, tokens, i);
    return counted;
}

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_batch(s, TOKENS));
    const size_t c = an_cols(s->in[X]);
    for (int i = G; i <= B; i++)
        if (s->in[i]) AN_TRY(an_need(s, i, AN_VEC(c)));
    AN_TRY(an_need(s, RUN_MEAN, AN_VEC(c)));
    AN_TRY(an_need(s, RUN_VAR, AN_VEC(c)));
    AN_TRY(an_out(b, s, Y, "", s->in[X]->dims, false));
    AN_TRY(an_out(b, s, MEAN, ".mean", AN_VEC(c), true));
    return an_out(b, s, VAR, ".var", AN_VEC(c), true);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const size_t chunks = an_chunks(an_rows(s->in[X]));
    if (phase < 2) return phase == 0 ? chunks : 1;
    return phase == 2 && (dir == AN_FORWARD || an_has_grad(s, X)) ? chunks : 0;
}

/* --- forward: work holds per chunk { rows that count, mean [C], sum of squares around it [C] }, behind them g r [C] ------------------- */

static size_t moments_room(const an_step *s) { return 1 + 2 * an_cols(s->in[X]); }

static void measure_chunk(const an_step *s, an_range w, double *sums)
{
    const size_t c = an_cols(s->in[X]);
    double *mean = sums + 1, *square = mean + c;
    memset(sums, 0, moments_room(s) * sizeof *sums);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        if (!an_row_counts(s, TOKENS, i)) continue;
        const an_real *x = s->in[X]->data + i * c;
        sums[0]++;
        for (size_t j = 0; j < c; j++) mean[j] += (double)x[j];
    }
    for (size_t j = 0; j < c; j++) mean[j] /= sums[0] > 0 ? sums[0] : 1;
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        if (!an_row_counts(s, TOKENS, i)) continue;
        const an_real *x = s->in[X]->data + i * c;
        for (size_t j = 0; j < c; j++) square[j] += ((double)x[j] - mean[j]) * ((double)x[j] - mean[j]);
    }
}

/* The chunks merged, in order: mean and sum of squares around it of channel j. */
static void merge(const an_step *s, size_t j, double *mean, double *square)
{
    const size_t chunks = an_chunks(an_rows(s->in[X])), c = an_cols(s->in[X]);
    double n = 0;
    *mean = *square = 0;
    for (size_t i = 0; i < chunks; i++) {
        const double *k = an_sums(s, moments_room(s), i), more = k[0], away = k[1 + j] - *mean;
        if (more == 0) continue;
        *mean += away * more / (n + more);
        *square += k[1 + c + j] + away * away * n * more / (n + more);
        n += more;
    }
}

/* Rows that the statistics of this pass stand on; 0: the running ones are used. Several streams of one token are still one token. */
static size_t basis(const an_run *r, const an_step *s)
{
    const size_t n = r->train ? an_counted_rows(s, TOKENS) : 0, each = s->in[TOKENS] ? an_rows(s->in[X]) / s->in[TOKENS]->count : 1;
    return n > each ? n : 0;
}

static double *factors(const an_step *s) { return an_sums(s, moments_room(s), an_chunks(an_rows(s->in[X]))); }

static void decide_statistics(const an_run *r, const an_step *s)
{
    const an_batch_norm_attr *at = s->attr;
    const size_t n = basis(r, s);
    for (size_t j = 0; j < an_cols(s->in[X]); j++) {
        double mean = (double)s->in[RUN_MEAN]->data[j], square = (double)s->in[RUN_VAR]->data[j];
        if (n) merge(s, j, &mean, &square);
        s->out[MEAN]->data[j] = AN_R(mean);
        s->out[VAR]->data[j] = AN_R(n ? square / (double)n : square);
        factors(s)[j] = (s->in[G] ? (double)s->in[G]->data[j] : 1) / sqrt((double)s->out[VAR]->data[j] + at->eps);
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    if (p->phase == 0) {
        if (r->train) measure_chunk(s, w, an_sums(s, moments_room(s), p->index));
        return;
    }
    if (p->phase == 1) {
        decide_statistics(r, s);
        return;
    }
    const double *factor = factors(s);
    const an_real *mean = s->out[MEAN]->data, *b = s->in[B] ? s->in[B]->data : NULL;
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c;
        an_real *y = s->out[Y]->data + i * c;
        for (size_t j = 0; j < c; j++) y[j] = (x[j] - mean[j]) * AN_R(factor[j]) + (b ? b[j] : 0);
    }
}

/* --- backward: work holds per chunk { sum dy [C], sum dy h [C] }, behind them a, p, q [C]: dx = a dy + [counts] (p + q (x - mu)) ---------- */

static double root(const an_step *s, size_t j) { return 1 / sqrt((double)s->out[VAR]->data[j] + ((const an_batch_norm_attr *)s->attr)->eps); }
static double *coefficients(const an_step *s) { return an_sums(s, 2 * an_cols(s->in[X]), an_chunks(an_rows(s->in[X]))); }

static void sum_chunk(const an_step *s, an_range w, double *sums)
{
    const size_t c = an_cols(s->in[X]);
    const an_real *mean = s->out[MEAN]->data;
    memset(sums, 0, 2 * c * sizeof *sums);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c, *dy = s->out[Y]->grad + i * c;
        for (size_t j = 0; j < c; j++) {
            sums[j] += (double)dy[j];
            sums[c + j] += (double)dy[j] * (double)(x[j] - mean[j]);
        }
    }
    for (size_t j = 0; j < c; j++) sums[c + j] *= root(s, j);
}

/* The running statistics after this batch, and the penalty's derivatives by mu and var. */
static void move_running(const an_run *r, const an_step *s, size_t j, double n, double *by_mean, double *by_var)
{
    const an_batch_norm_attr *at = s->attr;
    an_real *run_mean = &s->in[RUN_MEAN]->data[j], *run_var = &s->in[RUN_VAR]->data[j];
    const double mean = (double)s->out[MEAN]->data[j], var = (double)s->out[VAR]->data[j];
    const double m = (1 - at->momentum) * (double)*run_mean + at->momentum * mean, v = (1 - at->momentum) * (double)*run_var + at->momentum * var * n / (n - 1);
    *by_mean = -2 * at->mean_penalty * (m - mean);
    *by_var = v > var ? -at->var_penalty : v < var ? at->var_penalty : 0;
    if (r->frozen) return;
    *run_mean = AN_R(m);
    *run_var = AN_R(v);
}

static void reduce(const an_run *r, const an_step *s)
{
    const size_t c = an_cols(s->in[X]), chunks = an_chunks(an_rows(s->in[X])), counted = basis(r, s);
    const double n = (double)counted;
    double *a = coefficients(s), *p = a + c, *q = p + c;
    for (size_t j = 0; j < c; j++) {
        const double dy = an_total(s, 2 * c, chunks, j), dyh = an_total(s, 2 * c, chunks, c + j);
        double by_mean, by_var;
        an_put_grad(r, s, G, j, dyh);
        an_put_grad(r, s, B, j, dy);
        a[j] = (s->in[G] ? (double)s->in[G]->data[j] : 1) * root(s, j);
        p[j] = q[j] = 0;
        if (!counted) continue;
        move_running(r, s, j, n, &by_mean, &by_var);
        p[j] = (r->loss_scale * by_mean - a[j] * dy) / n;
        q[j] = (r->loss_scale * 2 * by_var - a[j] * root(s, j) * dyh) / n;
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    if (p->phase == 0) {
        sum_chunk(s, w, an_sums(s, 2 * c, p->index));
        return;
    }
    if (p->phase == 1) {
        reduce(r, s);
        return;
    }
    const double *a = coefficients(s), *shift = a + c, *pull = shift + c;
    const an_real *mean = s->out[MEAN]->data;
    const bool add = an_add(r, s, X);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c, *dy = s->out[Y]->grad + i * c;
        const an_real counts = an_row_counts(s, TOKENS, i);
        an_real *dx = s->in[X]->grad + i * c;
        for (size_t j = 0; j < c; j++) {
            const an_real d = AN_R(a[j]) * dy[j] + counts * (AN_R(shift[j]) + AN_R(pull[j]) * (x[j] - mean[j]));
            dx[j] = add ? dx[j] + d : d;
        }
    }
}

static size_t work(const an_step *s, an_direction dir)
{
    const size_t c = an_cols(s->in[X]), chunks = an_chunks(an_rows(s->in[X]));
    return dir == AN_FORWARD ? an_sums_room(moments_room(s), chunks) + an_sums_room(c, 1) : an_sums_room(2 * c, chunks) + an_sums_room(3 * c, 1);
}

static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 10 * n, 3 * n * sizeof(an_real) }; }

const an_op an_op_batch_norm = { .name = "batch_norm", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost, .backward_flops = 1.2, .work = work,
    .saves_in = 1u << X | 1u << G | 1u << TOKENS, .saves_out = 1u << MEAN | 1u << VAR, .no_grad_in = 1u << RUN_MEAN | 1u << RUN_VAR | 1u << TOKENS, .gauges = &an_gauges_batch_norm };
