/* kern/ref/ref_token.c
 * Rows that know of tokens and positions: embedding, rotary positions, cross-entropy; and dropout.
 * Sources: Su et al., arXiv:2104.09864 (rotary); Chowdhery et al., arXiv:2204.02311 (z-loss); Salmon et al. 2011 (Philox, core/rng.h). */
#include "kern/ref/ref.h"

void an_ref_dropout(size_t n, an_rng_key key, uint64_t base, an_real p, const an_real *x, an_real *y, int add)
{
    const double threshold = (double)p * 0x1p32;
    const an_real keep = AN_R(1) - p;
    for (size_t i = 0; i < n; i++) {
        const uint64_t block = (base + i) / 4;
        const uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), 0, 0 };
        uint32_t word[4];
        an_philox(key, counter, word);
        const an_real v = (double)word[(base + i) % 4] >= threshold ? x[i] / keep : AN_R(0);
        y[i] = add ? y[i] + v : v;
    }
}

void an_ref_embed_fwd(size_t n, size_t c, an_real scale, const int32_t *tok, const an_real *e, const an_real *pos, an_real *y)
{
    for (size_t i = 0; i < n; i++) {
        const an_real *row = e + (size_t)tok[i] * c;
        for (size_t j = 0; j < c; j++) y[i * c + j] = (an_real)((double)scale * (double)row[j] + (pos ? (double)pos[i * c + j] : 0));
    }
}

void an_ref_embed_bwd(size_t n, size_t c, size_t width, an_real scale, const int32_t *row, const an_real *dy, an_real *de, int add)
{
    for (size_t j = 0; j < width; j++) {
        if (!add) de[j] = 0;
        for (size_t i = 0; i < n; i++) an_ref_put(de + j, (double)scale * (double)dy[(size_t)row[i] * c + j], 1);
    }
}

void an_ref_rope(size_t n, size_t heads, size_t d, const an_real *x, size_t ldx, const an_real *cos_t, const an_real *sin_t, int sign, an_real *y, size_t ldy, int add)
{
    const size_t half = d / 2;
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < heads; h++) {
            const an_real *from = x + i * ldx + h * d;
            an_real *to = y + i * ldy + h * d;
            for (size_t j = 0; j < half; j++) {
                const double u = (double)from[j], w = (double)from[j + half];
                const double cs = (double)cos_t[i * half + j], sn = (sign < 0 ? -1 : 1) * (double)sin_t[i * half + j];
                an_ref_put(to + j, u * cs - w * sn, add);
                an_ref_put(to + j + half, w * cs + u * sn, add);
            }
        }
}

/* log(sum(exp(z))), shifted by the largest so that nothing overflows; NaN and +inf logits give NaN. */
static double log_sum_exp(size_t v, const an_real *z)
{
    double top = (double)z[0], sum = 0;
    for (size_t j = 1; j < v; j++)
        if ((double)z[j] > top) top = (double)z[j];
    for (size_t j = 0; j < v; j++) sum += exp((double)z[j] - top);
    return top + log(sum);
}

static double row_loss(double lse, an_real hit, an_real weight) { return lse - (double)hit + (double)weight * lse * lse; }

void an_ref_xent_fwd(size_t n, size_t v, const an_real *z, size_t ldz, const int32_t *target, an_real weight, an_real *loss)
{
    for (size_t i = 0; i < n; i++)
        loss[i] = target[i] < 0 ? 0 : (an_real)row_loss(log_sum_exp(v, z + i * ldz), z[i * ldz + (size_t)target[i]], weight);
}

void an_ref_xent_part(size_t n, size_t c, const an_real *z, size_t ldz, an_bf16 *e, size_t lde, int past, an_real *top, an_real *sum, size_t ldp)
{
    (void)past;
    for (size_t i = 0; i < n; i++, z += ldz) {
        an_real most = AN_R(-INFINITY);
        double total = 0;
        for (size_t j = 0; j < c; j++)
            if (z[j] > most) most = z[j];
        const double shift = most == AN_R(-INFINITY) ? 0 : (double)most;      /* a part that is minus infinity throughout adds nothing; a whole row is NaN */
        for (size_t j = 0; j < c; j++) {
            const double part = exp((double)z[j] - shift);
            if (e) e[i * lde + j] = an_bf16_round((an_real)part);
            total += part;
        }
        top[i * ldp] = most;
        sum[i * ldp] = (an_real)total;
    }
}

void an_ref_xent_join(size_t n, size_t v, size_t width, an_bf16 *e, size_t lde, const an_real *top, const an_real *sum, size_t ldp, const an_real *hit, const int32_t *target, an_real scale, an_real weight, an_real *loss)
{
    const size_t parts = (v + width - 1) / width;
    for (size_t i = 0; i < n; i++, top += ldp, sum += ldp) {
        an_bf16 *row = e ? e + i * lde : NULL;
        if (target[i] < 0) {
            for (size_t j = 0; row && j < v; j++) row[j] = 0;
            loss[i] = 0;
            continue;
        }
        double most = -INFINITY, total = 0;
        for (size_t p = 0; p < parts; p++)
            if ((double)top[p] > most) most = (double)top[p];
        for (size_t p = 0; p < parts; p++) total += (double)sum[p] * exp((double)top[p] - most);
        const double lse = most + log(total), more = 1 + 2 * (double)weight * lse;
        loss[i] = (an_real)row_loss(lse, hit[i], weight);
        for (size_t j = 0; row && j < v; j++) row[j] = an_bf16_round((an_real)((double)scale * more * exp((double)top[j / width] - lse) * (double)an_bf16_widen(row[j])));
        if (row) row[target[i]] = an_bf16_round((an_real)((double)scale * (more * exp((double)hit[i] - lse) - 1)));
    }
}

void an_ref_xent_grad(size_t n, size_t v, an_real *z, size_t ldz, const int32_t *target, an_real scale, an_real weight, an_real *loss)
{
    for (size_t i = 0; i < n; i++) {
        an_real *row = z + i * ldz;
        if (target[i] < 0) {
            for (size_t j = 0; j < v; j++) row[j] = 0;
            loss[i] = 0;
            continue;
        }
        const double lse = log_sum_exp(v, row), more = 1 + 2 * (double)weight * lse;
        const size_t t = (size_t)target[i];
        loss[i] = (an_real)row_loss(lse, row[t], weight);
        for (size_t j = 0; j < v; j++) row[j] = (an_real)((double)scale * (more * exp((double)row[j] - lse) - (j == t ? 1 : 0)));
    }
}
