/* op/depth.c
 * Attention over depth: every token gathers from K earlier values of its own, by their match with one learned query.
 *   s_k = <q, g v_k / rms(v_k)>,  p = softmax(s),  h = sum_k p_k v_k        rms(v)^2 = mean v^2 + eps
 * Shapes    q, g [C]   v_1 .. v_K, h [N,C]   p, rstd [N,K]
 * Saves     q, g, every v, p, rstd    Cost  6KNC flop, (K + 1)NC moved
 * Backward  dp_k = <dh, v_k>;  ds_k = p_k (dp_k - sum_j p_j dp_j);
 *           dv_k (+)= p_k dh + ds_k r_k (q g - s_k r_k v_k / C), r = rstd;  with t = sum over rows and k of ds_k r_k v_k:
 *           dq (+)= g t;  dg (+)= q t, t per chunk of rows, then in order
 * Errors    build: no value, values of different shapes, q or g not [C] -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    Kimi Team 2026, arXiv:2603.15031, sections 2 to 5 */
#include "op/op.h"

#include <math.h>

enum { Q, G, V };
enum { OUT, PROB, RSTD };

static size_t values(const an_step *s) { return (size_t)s->n_in - V; }

static an_status infer(struct an_build *b, an_step *s)
{
    if (s->n_in <= V) return an_fail(AN_ESHAPE, "%s: attention over a depth of nothing; at least one value is needed", s->name);
    AN_TRY(an_need_rank(s, V, 2));
    const size_t n = an_rows(s->in[V]), c = an_cols(s->in[V]);
    AN_TRY(an_need(s, Q, AN_VEC(c)));
    AN_TRY(an_need(s, G, AN_VEC(c)));
    for (int i = V; i < s->n_in; i++) AN_TRY(an_need(s, i, s->in[V]->dims));
    AN_TRY(an_out(b, s, OUT, "", s->in[V]->dims, false));
    AN_TRY(an_out(b, s, PROB, ".p", AN_MAT(n, values(s)), true));
    return an_out(b, s, RSTD, ".rstd", AN_MAT(n, values(s)), true);
}

static bool trains(const an_step *s) { return s->in[Q]->wants_grad || s->in[G]->wants_grad; }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->out[OUT]));
    return dir == AN_BACKWARD && phase == 1 && trains(s) ? 1 : 0;
}

/* Thread scratch: q g [C], then a number per value [K]. */
static an_real *probe(const an_run *r, const an_step *s, const an_part *p)
{
    an_real *w = r->thread_work[p->thread];
    for (size_t j = 0; j < an_cols(s->out[OUT]); j++) w[j] = s->in[Q]->data[j] * s->in[G]->data[j];
    return w;
}

/* p [K] holds the scores and becomes their softmax. */
static void softmax(size_t k, an_real *p)
{
    an_real most = p[0], sum = 0;
    for (size_t i = 1; i < k; i++) most = p[i] > most ? p[i] : most;
    for (size_t i = 0; i < k; i++) sum += p[i] = an_exp(p[i] - most);
    for (size_t i = 0; i < k; i++) p[i] /= sum;
}

static void forward(const an_run *r, const an_step *s, const an_part *part)
{
    const size_t c = an_cols(s->out[OUT]), n = values(s);
    const an_range w = an_chunk(an_rows(s->out[OUT]), part->index);
    const an_real *qg = probe(r, s, part);
    const double eps = ((const an_depth_attr *)s->attr)->eps;
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        an_real *p = s->out[PROB]->data + i * n, *rstd = s->out[RSTD]->data + i * n;
        for (size_t k = 0; k < n; k++) {
            double sums[5];
            r->k->products(c, s->in[V + k]->data + i * c, qg, sums);
            rstd[k] = AN_R(1 / sqrt(sums[2] / (double)c + eps));
            p[k] = AN_R(sums[4]) * rstd[k];
        }
        softmax(n, p);
        for (size_t k = 0; k < n; k++) r->k->scale(c, p[k], s->in[V + k]->data + i * c, s->out[OUT]->data + i * c, k > 0);
    }
}

static void backward_row(const an_run *r, const an_step *s, size_t i, an_real *qg, an_real *t)
{
    const size_t c = an_cols(s->out[OUT]), n = values(s);
    const an_real *dh = s->out[OUT]->grad + i * c, *p = s->out[PROB]->data + i * n, *rstd = s->out[RSTD]->data + i * n;
    an_real *dp = qg + c;
    double mean = 0;
    for (size_t k = 0; k < n; k++) {
        dp[k] = AN_R(an_inner(r, c, dh, s->in[V + k]->data + i * c));
        mean += (double)p[k] * (double)dp[k];
    }
    for (size_t k = 0; k < n; k++) {
        const int in = (int)(V + k);
        const an_real *v = s->in[in]->data + i * c;
        const double slope = (double)p[k] * ((double)dp[k] - mean) * (double)rstd[k];
        if (t) r->k->scale(c, AN_R(slope), v, t, 1);
        if (!an_has_grad(s, in)) continue;
        an_real *dv = s->in[in]->grad + i * c;
        r->k->scale(c, p[k], dh, dv, an_add(r, s, in));
        r->k->scale(c, AN_R(slope), qg, dv, 1);
        r->k->scale(c, AN_R(-slope * (double)rstd[k] * (double)rstd[k] * an_inner(r, c, v, qg) / (double)c), v, dv, 1);
    }
}

static void reduce(const an_run *r, const an_step *s)
{
    const size_t c = an_cols(s->out[OUT]), chunks = an_chunks(an_rows(s->out[OUT]));
    for (size_t j = 0; j < c; j++) {
        double t = 0;
        for (size_t i = 0; i < chunks; i++) t += (double)s->work[i * c + j];
        for (int in = Q; in <= G; in++)
            if (an_has_grad(s, in)) s->in[in]->grad[j] = AN_R(t) * s->in[in == Q ? G : Q]->data[j] + (an_add(r, s, in) ? s->in[in]->grad[j] : 0);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *part)
{
    if (part->phase == 1) {
        reduce(r, s);
        return;
    }
    const size_t c = an_cols(s->out[OUT]);
    const an_range w = an_chunk(an_rows(s->out[OUT]), part->index);
    an_real *qg = probe(r, s, part);
    an_real *t = trains(s) ? s->work + part->index * c : NULL;
    if (t) memset(t, 0, c * sizeof *t);
    for (size_t i = w.begin; i < w.begin + w.n; i++) backward_row(r, s, i, qg, t);
}

static size_t work(const an_step *s, an_direction dir) { return dir == AN_BACKWARD ? an_chunks(an_rows(s->out[OUT])) * an_cols(s->out[OUT]) : 0; }
static size_t thread_work(const an_step *s) { return an_cols(s->out[OUT]) + values(s); }

static an_cost cost(const an_step *s)
{
    const double n = (double)s->out[OUT]->count, k = (double)values(s);
    return (an_cost){ 6 * k * n, (k + 1) * n * sizeof(an_real) };
}

const an_op an_op_depth = { .name = "depth", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 2, .work = work, .thread_work = thread_work, .saves_in = ~0u, .saves_out = 1u << PROB | 1u << RSTD };
