/* kern/simd/simd_token.c
 * dropout, embedding, rotary positions, cross-entropy. Dropout is bit-identical to the reference: the same words, the same
 * division. Cross-entropy passes three times over a row that the second-level cache holds: maximum, exponentials with
 * their sum, scaling; sums of 1024 exponentials are added up in double. */
#include "kern/simd/simd.h"
#include "kern/simd/vec_math.h"
#include "kern/simd/vec_rng.h"
#include "kern/unroll.h"

/* One block of 4 * VL elements starting at a multiple of four of the stream; some of the first and last may be absent. */
static void dropout_part(an_rng_key key, uint64_t block, size_t from, size_t to, double threshold, an_real keep, const an_real *x, an_real *y, int add)
{
    vi words[4];
    uint32_t w[4 * VL];
    v_philox(key, block, words);
    memcpy(w, words, sizeof w);
    for (size_t j = from; j < to; j++, x++, y++) {
        const an_real v = (double)w[j] >= threshold ? *x / keep : 0.0f;
        *y = add ? *y + v : v;
    }
}

void AN_SIMD(dropout)(size_t n, an_rng_key key, uint64_t base, an_real p, const an_real *x, an_real *y, int add)
{
    const double threshold = (double)p * 0x1p32;
    const double rounded_up = ceil(threshold);
    const an_real keep = 1.0f - p;
    const vf divisor = v_set(keep);
    const int some = rounded_up > 0 && rounded_up < 0x1p32;   /* else all or none are kept, by parts */
    const uint32_t limit = some ? (uint32_t)rounded_up : 0;
    size_t i = 0;
    while (i < n) {
        const uint64_t block = (base + i) / 4;
        const size_t skip = (size_t)((base + i) % 4), count = n - i < 4 * VL - skip ? n - i : 4 * VL - skip;
        if (skip || count < 4 * VL || !some) {
            dropout_part(key, block, skip, skip + count, threshold, keep, x + i, y + i, add);
            i += count;
            continue;
        }
        vi words[4];
        v_philox(key, block, words);
        for (size_t j = 0; j < 4; j++, i += VL) {
            const vf v = v_sel(v_word_below(words[j], limit), v_zero(), v_div(v_load(x + i), divisor));
            v_store(y + i, add ? v_add(v_load(y + i), v) : v);
        }
    }
}

void AN_SIMD(embed_fwd)(size_t n, size_t c, an_real scale, const int32_t *tok, const an_real *e, const an_real *pos, an_real *y)
{
    const vf s = v_set(scale);
    for (size_t r = 0; r < n; r++, y += c) {
        const an_real *row = e + (size_t)tok[r] * c;
        if (pos) V_EACH(c, i, left, { v_put(y + i, left, v_fma(s, v_get(row + i, left), v_get(pos + r * c + i, left))); });
        else V_EACH(c, i, left, { v_put(y + i, left, v_mul(s, v_get(row + i, left))); });
    }
}

/* Four vectors of the sum at a time stay in registers while the rows go by. */
V_FN void sum_rows(size_t n, size_t c, vf scale, const int32_t *row, const float *dy, float *de, size_t vectors, size_t left, int add)
{
    vf sum[4];
    for (size_t j = 0; j < vectors; j++) sum[j] = add ? v_get(de + j * VL, left) : v_zero();
    for (size_t r = 0; r < n; r++) {
        const float *d = dy + (size_t)row[r] * c;
        for (size_t j = 0; j < vectors; j++) sum[j] = v_fma(scale, v_get(d + j * VL, left), sum[j]);
    }
    for (size_t j = 0; j < vectors; j++) v_put(de + j * VL, left, sum[j]);
}

void AN_SIMD(embed_bwd)(size_t n, size_t c, size_t width, an_real scale, const int32_t *row, const an_real *dy, an_real *de, int add)
{
    const vf s = v_set(scale);
    size_t i = 0;
    for (; i + 4 * VL <= width; i += 4 * VL) sum_rows(n, c, s, row, dy + i, de + i, 4, VL, add);
    for (; i < width; i += VL) sum_rows(n, c, s, row, dy + i, de + i, 1, width - i, add);
}

void AN_SIMD(rope)(size_t n, size_t heads, size_t d, const an_real *x, size_t ldx, const an_real *cos_t, const an_real *sin_t, int sign, an_real *y, size_t ldy, int add)
{
    const size_t half = d / 2;
    const vf turn = v_set(sign < 0 ? -1.0f : 1.0f);
    for (size_t r = 0; r < n; r++, cos_t += half, sin_t += half)
        for (size_t h = 0; h < heads; h++) {
            const an_real *from = x + r * ldx + h * d;
            an_real *to = y + r * ldy + h * d;
            V_EACH(half, i, left, {
                const vf u = v_get(from + i, left), w = v_get(from + half + i, left), cs = v_get(cos_t + i, left), sn = v_mul(turn, v_get(sin_t + i, left));
                const vf a = v_fnma(w, sn, v_mul(u, cs)), b = v_fma(u, sn, v_mul(w, cs));
                v_put(to + i, left, add ? v_add(v_get(to + i, left), a) : a);
                v_put(to + half + i, left, add ? v_add(v_get(to + half + i, left), b) : b);
            });
        }
}

/* The largest logit, NaN skipped (its exponential brings it back). */
static float row_top(size_t v, const an_real *z)
{
    vf top[4] = { v_set(-INFINITY), v_set(-INFINITY), v_set(-INFINITY), v_set(-INFINITY) };
    size_t i = 0;
    for (; i + 4 * VL <= v; i += 4 * VL)
        for (size_t j = 0; j < 4; j++) top[j] = v_max(v_load(z + i + j * VL), top[j]);
    for (; i + VL <= v; i += VL) top[0] = v_max(v_load(z + i), top[0]);
    float best = v_top(v_max(v_max(top[0], top[1]), v_max(top[2], top[3])));
    for (; i < v; i++)
        if (z[i] > best) best = z[i];
    return best;
}

/* Sum of exp(z - top); the exponentials are left in e when it is given (e may be z). */
V_FN double row_exp(size_t v, const an_real *z, float top, an_real *e)
{
    enum { RUN = 1024 };
    const vf shift = v_set(top);
    double total = 0;
    for (size_t start = 0; start < v; start += RUN) {
        const size_t end = v - start < RUN ? v : start + RUN;
        vf sum[2] = { v_zero(), v_zero() };
        size_t i = start;
        for (; i + 2 * VL <= end; i += 2 * VL)
            for (size_t j = 0; j < 2; j++) {
                const vf u = v_exp_low(v_sub(v_load(z + i + j * VL), shift));
                if (e) v_store(e + i + j * VL, u);
                sum[j] = v_add(sum[j], u);
            }
        for (; i < end; i += VL) {
            const size_t left = end - i;
            vf u = v_exp_low(v_sub(v_get(z + i, left), shift));
            if (e) v_put(e + i, left, u);
            if (left < VL) u = v_sel(v_tail(left), u, v_zero());
            sum[0] = v_add(sum[0], u);
        }
        total += (double)v_sum(v_add(sum[0], sum[1]));
    }
    return total;
}

static double row_loss(double lse, float hit, float weight) { return lse - (double)hit + (double)weight * lse * lse; }

void AN_SIMD(xent_fwd)(size_t n, size_t v, const an_real *z, size_t ldz, const int32_t *target, an_real weight, an_real *loss)
{
    for (size_t r = 0; r < n; r++, z += ldz) {
        loss[r] = 0;
        if (target[r] < 0) continue;
        const float top = row_top(v, z);
        loss[r] = (float)row_loss((double)top + log(row_exp(v, z, top, NULL)), z[target[r]], weight);
    }
}

void AN_SIMD(xent_grad)(size_t n, size_t v, an_real *z, size_t ldz, const int32_t *target, an_real scale, an_real weight, an_real *loss)
{
    for (size_t r = 0; r < n; r++, z += ldz) {
        if (target[r] < 0) {
            V_EACH(v, i, left, { v_put(z + i, left, v_zero()); });
            loss[r] = 0;
            continue;
        }
        const float top = row_top(v, z), hit = z[target[r]];
        const double sum = row_exp(v, z, top, z), lse = (double)top + log(sum), more = 1 + 2 * (double)weight * lse;
        loss[r] = (float)row_loss(lse, hit, weight);
        const vf part = v_set((float)((double)scale * more / sum));
        V_EACH(v, i, left, { v_put(z + i, left, v_mul(part, v_get(z + i, left))); });
        z[target[r]] = (float)((double)scale * (more * exp((double)hit - lse) - 1));
    }
}

void AN_SIMD(xent_part)(size_t n, size_t c, const an_real *z, size_t ldz, an_bf16 *e, size_t lde, int past, an_real *top, an_real *sum, size_t ldp)
{
    for (size_t r = 0; r < n; r++, z += ldz) {
        const float most = row_top(c, z);
        const vf shift = v_set(most == -INFINITY ? 0 : most);      /* a part that is minus infinity throughout adds nothing; a whole row is NaN */
        an_bf16 *row = e ? e + r * lde : NULL;
        const int stream = row && past && (uintptr_t)row % (VL * sizeof *row) == 0;
        vf total[2] = { v_zero(), v_zero() };
        size_t i = 0;
        for (; i + 2 * VL <= c; i += 2 * VL)
            V_UNROLL for (size_t j = 0; j < 2; j++) {
                const vf u = v_exp_low(v_sub(v_load(z + i + j * VL), shift));
                if (stream) v_stream_bf16(row + i + j * VL, u);
                else if (row) v_put_bf16(row + i + j * VL, VL, u);
                total[j] = v_add(total[j], u);
            }
        for (; i < c; i += VL) {
            const size_t left = c - i;
            const vf u = v_exp_low(v_sub(v_get(z + i, left), shift));
            if (row) v_put_bf16(row + i, left, u);
            total[0] = v_add(total[0], left < VL ? v_sel(v_tail(left), u, v_zero()) : u);
        }
        top[r * ldp] = most;
        sum[r * ldp] = v_sum(v_add(total[0], total[1]));
    }
    if (e && past) v_stream_end();
}

/* The logarithm of the sum of all exponentials of a row. */
static double joined(size_t parts, const float *top, const float *sum)
{
    const float most = row_top(parts, top);
    vd total = vd_set(0);
    V_EACH(parts, p, left, {
        vf w = v_exp_low(v_sub(v_get(top + p, left), v_set(most)));
        if (left < VL) w = v_sel(v_tail(left), w, v_zero());
        const vf s = v_get(sum + p, left);
        total = vd_fma(vd_lo(w), vd_lo(s), total);
        total = vd_fma(vd_hi(w), vd_hi(s), total);
    });
    return (double)most + log(vd_sum(total));
}

void AN_SIMD(xent_join)(size_t n, size_t v, size_t width, an_bf16 *e, size_t lde, const an_real *top, const an_real *sum, size_t ldp, const an_real *hit, const int32_t *target, an_real scale, an_real weight, an_real *loss)
{
    const size_t parts = (v + width - 1) / width;
    for (size_t r = 0; r < n; r++, top += ldp, sum += ldp) {
        an_bf16 *row = e ? e + r * lde : NULL;
        if (target[r] < 0) {
            if (row) memset(row, 0, v * sizeof *row);
            loss[r] = 0;
            continue;
        }
        const double lse = joined(parts, top, sum), more = 1 + 2 * (double)weight * lse;
        loss[r] = (float)row_loss(lse, hit[r], weight);
        for (size_t p = 0; row && p < parts; p++) {
            const vf by = v_set((float)((double)scale * more * exp((double)top[p] - lse)));
            an_bf16 *part = row + p * width;
            const size_t c = v - p * width < width ? v - p * width : width;
            V_EACH(c, i, left, { v_put_bf16(part + i, left, v_mul(by, v_get_bf16(part + i, left))); });
        }
        if (row) row[target[r]] = an_bf16_round((float)((double)scale * (more * exp((double)hit[r] - lse) - 1)));
    }
}
