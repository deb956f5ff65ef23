/* kern/ref/attention.c
 * Attention row by row: one row of scores is held, never a t x t tensor. Each query row is finished before the next, and
 * the backward pass makes the probabilities again from the log-sum-exp, so nothing but lse is kept in between.
 *     s_ij = scale q_i.k_j    p_ij = exp(s_ij - lse_i)    out_i = sum_j m_ij p_ij v_j     (m: dropout, 0 or 1/(1-p))
 *     dp_ij = m_ij dout_i.v_j   delta_i = out_i.dout_i    ds_ij = p_ij (dp_ij - delta_i)
 *     dq_i = scale sum_j ds_ij k_j    dk_j = scale sum_i ds_ij q_i    dv_j = sum_i m_ij p_ij dout_i
 * Source: Dao et al. 2022, arXiv:2205.14135, for the recomputation and for delta. */
#include <string.h>

#include "core/rng.h"
#include "kern/attn_tile.h"
#include "kern/kern.h"
#include "kern/ref/ref.h"

size_t an_attn_work(const an_attn_spec *s) { return an_attn_work_reals(s->t, s->d); }

/* In double; eight partial sums in a fixed order, which compilers vectorise without licence to reorder. */
static double dot(size_t n, const an_real *a, const an_real *b)
{
    double part[8] = { 0 }, tail = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (size_t l = 0; l < 8; l++) part[l] += (double)a[i + l] * (double)b[i + l];
    for (; i < n; i++) tail += (double)a[i] * (double)b[i];
    return ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7])) + tail;
}

static void axpy(size_t n, an_real a, const an_real *x, an_real *y)
{
    for (size_t i = 0; i < n; i++) y[i] += a * x[i];
}

/* The dropout factor of probability (i, j). */
static double mask(const an_attn_spec *s, size_t i, size_t j)
{
    if (s->drop_p <= 0) return 1;
    const double word = an_rng_u32(s->drop_key, s->drop_base + (uint64_t)i * s->t + j);
    return word >= (double)s->drop_p * 0x1p32 ? 1 / (1 - (double)s->drop_p) : 0;
}

static size_t keys_of(const an_attn_spec *s, size_t i) { return s->causal ? i + 1 : s->t; }

/* p[n] = softmax of scale q.k_j; returns the log-sum-exp. */
static double softmax(size_t n, size_t d, double scale, const an_real *q, const an_real *k, size_t ldk, an_real *p)
{
    double most = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++) {
        p[j] = (an_real)(scale * dot(d, q, k + j * ldk));
        if (!(p[j] <= most)) most = p[j];   /* a NaN is passed on */
    }
    for (size_t j = 0; j < n; j++) sum += exp(p[j] - most);
    for (size_t j = 0; j < n; j++) p[j] = (an_real)(exp(p[j] - most) / sum);
    return most + log(sum);
}

void an_ref_attn_fwd(const an_attn_spec *s, size_t q0, size_t q1, const an_real *q, const an_real *k, const an_real *v, an_real *out, an_real *lse, an_real *work)
{
    for (size_t i = q0; i < q1; i++) {
        const size_t n = keys_of(s, i);
        an_real *o = out + i * s->ldo;
        lse[i] = (an_real)softmax(n, s->d, s->scale, q + i * s->ldq, k, s->ldk, work);
        memset(o, 0, s->d * sizeof *o);
        for (size_t j = 0; j < n; j++) axpy(s->d, (an_real)(mask(s, i, j) * work[j]), v + j * s->ldv, o);
    }
}

void an_ref_attn_bwd(const an_attn_spec *s, const an_real *q, const an_real *k, const an_real *v, const an_real *out, const an_real *dout, const an_real *lse, an_real *dq, an_real *dk, an_real *dv, an_real *work)
{
    (void)work;
    for (size_t j = 0; j < s->t; j++) {
        memset(dq + j * s->ldq, 0, s->d * sizeof *dq);
        memset(dk + j * s->ldk, 0, s->d * sizeof *dk);
        memset(dv + j * s->ldv, 0, s->d * sizeof *dv);
    }
    for (size_t i = 0; i < s->t; i++) {
        const size_t n = keys_of(s, i);
        const an_real *qi = q + i * s->ldq, *doi = dout + i * s->ldo;
        const double delta = dot(s->d, out + i * s->ldo, doi);
        for (size_t j = 0; j < n; j++) {
            const double p = exp(s->scale * dot(s->d, qi, k + j * s->ldk) - lse[i]), m = mask(s, i, j);
            const an_real ds = (an_real)(s->scale * p * (m * dot(s->d, doi, v + j * s->ldv) - delta));
            axpy(s->d, (an_real)(m * p), doi, dv + j * s->ldv);
            axpy(s->d, ds, qi, dk + j * s->ldk);
            axpy(s->d, ds, k + j * s->ldk, dq + i * s->ldq);
        }
    }
}

void an_ref_attn_decode(size_t t, size_t d, an_real scale, const an_real *q, const an_real *k, size_t ldk, const an_real *v, size_t ldv, an_real *out, an_real *work)
{
    softmax(t, d, scale, q, k, ldk, work);
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < t; j++) axpy(d, work[j], v + j * ldv, out);
}
