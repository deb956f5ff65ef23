/* kern/ref/attention.c
 * Attention row by row: one row of scores is held, never a t x t tensor. Each query row is finished before the next, and
 * the backward pass makes the probabilities again from the log-sum-exp, so nothing but lse is kept in between.
 *     s_ij = scale q_i.k_j    p_ij = exp(s_ij - lse_i)    out_i = sum_j m_ij p_ij v_j     (m: dropout, 0 or 1/(1-p))
 *     dp_ij = m_ij dout_i.v_j   delta_i = out_i.dout_i    ds_ij = p_ij (dp_ij - delta_i)
 *     dq_i = scale sum_j ds_ij k_j    dk_j = scale sum_i ds_ij q_i    dv_j = sum_i m_ij p_ij dout_i
 * Source: Dao et al. 2022, arXiv:2205.14135, for the recomputation and for delta. */
#include <stdbool.h>
#include <string.h>

#include "core/rng.h"
#include "kern/attn_tile.h"
#include "kern/kern.h"
#include "kern/ref/ref.h"

size_t an_attn_work(const an_attn_spec *s) { return an_attn_work_reals(s); }

/* One row of a matrix as reals: in place, or widened into `room`. */
static const an_real *row_of(const an_attn_spec *s, const void *x, an_store store, size_t row, size_t ld, an_real *room)
{
    if (store == AN_STORE_REAL) return (const an_real *)x + row * ld;
    for (size_t c = 0; c < s->d; c++) room[c] = an_bf16_widen(((const an_bf16 *)x)[row * ld + c]);
    return room;
}

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

/* p[n]: scores become their softmax; returns the log-sum-exp. */
static double softmax(size_t n, an_real *p)
{
    double most = -INFINITY, sum = 0;
    for (size_t j = 0; j < n; j++)
        if (!(p[j] <= most)) most = p[j];   /* a NaN is passed on */
    for (size_t j = 0; j < n; j++) sum += exp(p[j] - most);
    for (size_t j = 0; j < n; j++) p[j] = (an_real)(exp(p[j] - most) / sum);
    return most + log(sum);
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t keys_of(const an_attn_spec *s, const an_attn_rows *rows, size_t i) { return s->causal ? i + 1 : rows->n; }

void an_ref_attn_fwd(const an_attn_spec *s, size_t q0, size_t q1, const void *q, const void *k, const void *v, void *out, an_real *lse, an_real *work)
{
    const an_attn_rows rows = an_attn_present(s, work);
    an_real *p = work + s->t, *room = p + s->t;
    const bool low = s->out != AN_STORE_REAL;
    const size_t unit = low ? sizeof(an_bf16) : sizeof(an_real);
    an_attn_clear(s, &rows, q0, q1, s->d * unit, s->ldo * unit, out);
    an_attn_clear(s, &rows, q0, q1, sizeof *lse, sizeof *lse, lse);
    for (size_t i = q0; i < least(q1, rows.n); i++) {
        const size_t n = keys_of(s, &rows, i), row = an_attn_row(&rows, i);
        const an_real *qi = row_of(s, q, s->qkv, row, s->ldq, room);
        an_real *o = low ? room + s->d : (an_real *)out + row * s->ldo;
        for (size_t j = 0; j < n; j++) p[j] = (an_real)(s->scale * dot(s->d, qi, row_of(s, k, s->qkv, an_attn_row(&rows, j), s->ldk, room + 2 * s->d)));
        lse[row] = (an_real)softmax(n, p);
        memset(o, 0, s->d * sizeof *o);
        for (size_t j = 0; j < n; j++) axpy(s->d, (an_real)(mask(s, i, j) * p[j]), row_of(s, v, s->qkv, an_attn_row(&rows, j), s->ldv, room + 2 * s->d), o);
        for (size_t c = 0; low && c < s->d; c++) ((an_bf16 *)out)[row * s->ldo + c] = an_bf16_round(o[c]);
    }
}

/* What a block stores starts at zero, padding among its rows [from, to) stays there; then everything is added. */
static void begin(const an_attn_spec *s, const an_attn_rows *rows, size_t from, size_t to, size_t ld, an_real *x)
{
    an_attn_clear(s, rows, from, to, s->d * sizeof *x, ld * sizeof *x, x);
    for (size_t i = from; i < least(to, rows->n); i++) memset(x + an_attn_row(rows, i) * ld, 0, s->d * sizeof *x);
}

void an_ref_attn_bwd(const an_attn_spec *s, const an_attn_block *b, const void *q, const void *k, const void *v, const void *out, const void *dout, const an_real *lse, an_real *dq, an_real *dk, an_real *dv, an_real *work)
{
    const an_attn_rows rows = an_attn_present(s, work);
    an_real *room = work + s->t;
    if (!b->add_q) begin(s, &rows, b->q0, b->q1, s->ldq, dq);
    if (!b->add_k) begin(s, &rows, b->k0, b->k1, s->ldk, dk);
    if (!b->add_k) begin(s, &rows, b->k0, b->k1, s->ldv, dv);
    for (size_t i = b->q0; i < least(b->q1, rows.n); i++) {
        const size_t row = an_attn_row(&rows, i);
        const an_real *qi = row_of(s, q, s->qkv, row, s->ldq, room), *doi = row_of(s, dout, s->dout, row, s->ldo, room + s->d);
        const double delta = dot(s->d, row_of(s, out, s->out, row, s->ldo, room + 2 * s->d), doi);
        for (size_t j = b->k0; j < least(b->k1, keys_of(s, &rows, i)); j++) {
            const size_t key = an_attn_row(&rows, j);
            const an_real *kj = row_of(s, k, s->qkv, key, s->ldk, room + 2 * s->d), *vj = row_of(s, v, s->qkv, key, s->ldv, room + 3 * s->d);
            const double p = exp(s->scale * dot(s->d, qi, kj) - lse[row]), m = mask(s, i, j);
            const an_real ds = (an_real)(s->scale * p * (m * dot(s->d, doi, vj) - delta));
            axpy(s->d, (an_real)(m * p), doi, dv + key * s->ldv);
            axpy(s->d, ds, qi, dk + key * s->ldk);
            axpy(s->d, ds, kj, dq + row * s->ldq);
        }
    }
}

void an_ref_attn_decode(size_t t, size_t d, an_real scale, const an_real *q, const an_real *k, size_t ldk, const an_real *v, size_t ldv, an_real *out, an_real *work)
{
    for (size_t j = 0; j < t; j++) work[j] = (an_real)(scale * dot(d, q, k + j * ldk));
    softmax(t, work);
    memset(out, 0, d * sizeof *out);
    for (size_t j = 0; j < t; j++) axpy(d, work[j], v + j * ldv, out);
}
