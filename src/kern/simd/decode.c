/* kern/simd/decode.c
 * One query against the cache: every key and value is read once, in order, so the kernel's limit is the memory it reads
 * from. Eight keys at a time give eight sums whose lanes are folded together; values are summed 8 vectors wide. */
#include <math.h>

#include "kern/simd/simd.h"
#include "kern/simd/vec.h"
#include "kern/simd/vec_math.h"

/* The sums over the lanes of eight vectors. */
V_FN __m256 sums_of(const vf a[8])
{
    __m256 h[8];
    for (int i = 0; i < 8; i++) h[i] = v_fold_add(a[i]);
    const __m256 low = _mm256_hadd_ps(_mm256_hadd_ps(h[0], h[1]), _mm256_hadd_ps(h[2], h[3]));
    const __m256 high = _mm256_hadd_ps(_mm256_hadd_ps(h[4], h[5]), _mm256_hadd_ps(h[6], h[7]));
    return _mm256_add_ps(_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31));
}

/* p[j] = scale q.k_j for eight keys; the last is repeated where there are fewer. */
static void eight_scores(size_t n, size_t d, float scale, const float *q, const float *k, size_t ldk, float *p)
{
    const vm tail = v_tail(d % VL);
    const float *key[8];
    vf acc[8];
    size_t c = 0;
    for (size_t r = 0; r < 8; r++) {
        key[r] = k + (r < n ? r : n - 1) * ldk;
        acc[r] = v_zero();
    }
    for (; c + VL <= d; c += VL) {
        const vf x = v_load(q + c);
        for (size_t r = 0; r < 8; r++) acc[r] = v_fma(x, v_load(key[r] + c), acc[r]);
    }
    if (c < d) {
        const vf x = v_load_n(q + c, tail);
        for (size_t r = 0; r < 8; r++) acc[r] = v_fma(x, v_load_n(key[r] + c, tail), acc[r]);
    }
    float out[8];
    _mm256_storeu_ps(out, _mm256_mul_ps(_mm256_set1_ps(scale), sums_of(acc)));
    for (size_t r = 0; r < n; r++) p[r] = out[r];
}

/* p = exp(p - max p); returns the sum */
static float exponentials(size_t t, float *p)
{
    vf most = v_set(-INFINITY), sum = v_zero();
    float top;
    size_t j = 0;
    for (; j + VL <= t; j += VL) most = v_max(most, v_load(p + j));
    for (top = v_top(most); j < t; j++) top = top > p[j] ? top : p[j];
    const vf less = v_set(top);
    for (j = 0; j < t; j += VL) {
        const vm some = v_tail(t - j < VL ? t - j : VL);
        const vf e = v_exp(v_sub(v_load_n(p + j, some), less));
        v_store_n(p + j, some, e);
        sum = v_add(sum, v_sel(some, e, v_zero()));
    }
    return v_sum(sum);
}

/* out[c .. c + nv vectors] = by * sum_j p_j v_j */
V_FN void weigh(int nv, size_t t, const float *p, const float *v, size_t ldv, float by, float *out)
{
    vf acc[8];
    for (int i = 0; i < nv; i++) acc[i] = v_zero();
    for (size_t j = 0; j < t; j++, v += ldv) {
        const vf w = v_set(p[j]);
        for (int i = 0; i < nv; i++) acc[i] = v_fma(w, v_load(v + i * VL), acc[i]);
    }
    for (int i = 0; i < nv; i++) v_store(out + i * VL, v_mul(v_set(by), acc[i]));
}

void AN_SIMD(attn_decode)(size_t t, size_t d, float scale, const float *q, const float *k, size_t ldk, const float *v, size_t ldv, float *out, float *work)
{
    for (size_t j = 0; j < t; j += 8) eight_scores(t - j < 8 ? t - j : 8, d, scale, q, k + j * ldk, ldk, work + j);
    const float total = exponentials(t, work), by = t ? 1 / total : 0;
    size_t c = 0;
    for (; c + 8 * VL <= d; c += 8 * VL) weigh(8, t, work, v + c, ldv, by, out + c);
    for (; c + 4 * VL <= d; c += 4 * VL) weigh(4, t, work, v + c, ldv, by, out + c);
    for (; c + VL <= d; c += VL) weigh(1, t, work, v + c, ldv, by, out + c);
    if (c < d) {
        const vm tail = v_tail(d - c);
        vf acc = v_zero();
        for (size_t j = 0; j < t; j++) acc = v_fma(v_set(work[j]), v_load_n(v + j * ldv + c, tail), acc);
        v_store_n(out + c, tail, v_mul(v_set(by), acc));
    }
}
