/* tests/kern/check_token.c
 * dropout, embedding, rope, cross-entropy. Dropout keeps or moves numbers and must agree to the bit; the
 * bound of a softmax is the error of exp (1.1 ulp) plus that of the shifted argument (half an ulp of |z|). What is rounded to bfloat16 must be
 * that of a number within such a bound: where all of those are rounded alike, exactly it. */
#include "check.h"

#include <stdlib.h>

static uint32_t word(an_rng_key key, uint64_t i)   /* element i of the stream, written out once more */
{
    const uint32_t ctr[4] = { (uint32_t)(i >> 2), (uint32_t)(i >> 34), 0, 0 };
    uint32_t out[4];
    an_philox(key, ctr, out);
    return out[i & 3];
}

void an_check_dropout(an_check *k)
{
    static const double ps[] = { 0.1, 0.5, 0, 1, 0.999, 1e-9 };
    static const uint64_t bases[] = { 0, 1, 2, 3, 5, 1000003, ((uint64_t)1 << 34) - 37, ((uint64_t)1 << 34) - 8, (uint64_t)1 << 40 };
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const int add = an_pick_bool(k), alias = !add && an_checking(k) && an_pick(k, 4) == 0;
    const an_real p = AN_R(an_checking(k) ? ps[an_pick(k, sizeof ps / sizeof ps[0])] : 0.1);
    const uint64_t base = an_checking(k) ? bases[an_pick(k, sizeof bases / sizeof bases[0])] : 0;
    const an_rng_key key = { { (uint32_t)an_pick(k, 1ull << 32), (uint32_t)an_pick(k, 1ull << 32) } };
    const an_real *x = an_in(k, "x", n, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n), 0);
    while (an_next_run(k)) an_table(k)->dropout(n, key, base, p, alias ? an_at(y) : x, an_at(y), add);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const long double old = add ? (long double)y->init[i] : 0, from = (long double)(alias ? y->init : x)[i];
        const long double v = (long double)word(key, base + i) >= (long double)p * 0x1p32L ? from / (long double)(AN_R(1) - p) : 0;
        an_want(y, i, v + old, fabsl(v) + fabsl(old));
    }
    an_judge_exact(k, y);
}

void an_check_embed_fwd(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k), v = an_checking(k) ? 11 : 50257;
    const int32_t *tok = an_in_ids(k, "tok", n, 0, (int32_t)v);
    const an_real scale = an_pick_scale(k), *e = an_in(k, "e", v * c, AN_FILL_CASE);
    const an_real *pos = an_pick_bool(k) ? an_in(k, "pos", n * c, AN_FILL_NORMAL) : NULL;
    an_out *y = an_out_new(k, "y", n * c, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n * c), (double)(n * c));
    while (an_next_run(k)) an_table(k)->embed_fwd(n, c, scale, tok, e, pos, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n * c; i++) {
        const long double a = (long double)scale * (long double)e[(size_t)tok[i / c] * c + i % c], b = pos ? (long double)pos[i] : 0;
        an_want(y, i, a + b, fabsl(a) + fabsl(b));
    }
    an_judge(k, y, 1.5);
}

void an_check_embed_bwd(an_check *k)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k), all = an_checking(k) ? n + 3 : n, width = an_checking(k) ? an_pick(k, c + 1) : c;
    const int32_t *row = an_in_ids(k, "row", n, 0, (int32_t)(all ? all : 1));
    const int add = an_pick_bool(k);
    const an_real scale = an_pick_scale(k), *dy = an_in(k, "dy", all * c, AN_FILL_CASE);
    an_out *de = an_out_new(k, "de", c, AN_FILL_NORMAL);
    an_work(k, an_bytes((n + 1) * c), 2.0 * (double)(n * c));
    while (an_next_run(k)) an_table(k)->embed_bwd(n, c, width, scale, row, dy, an_at(de), add);
    if (!an_checking(k)) return;
    const long double last = (sizeof(an_real) == 4 ? 0x1p-149L : 0x1p-1074L) / (long double)AN_REAL_EPS;   /* each addition may lose the last denormal bit */
    for (size_t j = 0; j < width; j++) {
        long double sum = add ? (long double)de->init[j] : 0, mag = fabsl(sum);
        for (size_t i = 0; i < n; i++) {
            const long double d = (long double)scale * (long double)dy[(size_t)row[i] * c + j];
            sum += d;
            mag += fabsl(d);
        }
        an_want(de, j, sum, mag * (long double)(n + 1) / 2 + (long double)n * last);
    }
    an_judge(k, de, 2);   /* either of the two that are compared may be off by all of it */
}

void an_check_rope(an_check *k)
{
    const size_t n = an_pick_rows(k), d = an_checking(k) ? an_pick_size(k) / 8 * 2 % 130 : 64, heads = an_checking(k) ? 1 + an_pick(k, 3) : 12, half = d / 2;
    const size_t gap = an_checking(k) ? an_pick(k, 4) : 0, ld = heads * d + gap, all = n ? (n - 1) * ld + heads * d : 0;
    const int add = an_pick_bool(k), alias = !add && an_checking(k) && an_pick_bool(k), sign = an_pick_bool(k) ? -1 : 1;
    const an_real *x = an_in(k, "x", all, AN_FILL_CASE), *cs = an_in(k, "cos", n * half, AN_FILL_NORMAL), *sn = an_in(k, "sin", n * half, AN_FILL_NORMAL);
    an_out *y = an_out_new(k, "y", all, AN_FILL_CASE);
    an_work(k, an_bytes(2 * n * heads * d + n * d), 3.0 * (double)(n * heads * d));
    while (an_next_run(k)) an_table(k)->rope(n, heads, d, alias ? an_at(y) : x, ld, cs, sn, sign, an_at(y), ld, add);
    if (!an_checking(k)) return;
    const an_real *from = alias ? y->init : x;
    for (size_t i = 0; i < n; i++)
        for (size_t h = 0; h < heads; h++)
            for (size_t j = 0; j < half; j++) {
                const size_t at = i * ld + h * d + j;
                const long double u = (long double)from[at], w = (long double)from[at + half], c = (long double)cs[i * half + j], s = sign * (long double)sn[i * half + j];
                const long double o0 = add ? (long double)y->init[at] : 0, o1 = add ? (long double)y->init[at + half] : 0;
                an_want(y, at, o0 + u * c - w * s, fabsl(o0) + fabsl(u * c) + fabsl(w * s));
                an_want(y, at + half, o1 + w * c + u * s, fabsl(o1) + fabsl(w * c) + fabsl(u * s));
            }
    an_judge(k, y, 2);
}

/* A share below the smallest normal number may be 0: that number in units of eps. */
static const long double lost = sizeof(an_real) == 4 ? 0x1p-126L / (long double)AN_REAL_EPS : 0;

static void want_xent(size_t n, size_t v, const an_real *z, size_t ldz, const int32_t *target, long double scale, long double weight, an_out *loss, an_out *dz)
{
    for (size_t i = 0; i < n; i++, z += ldz) {
        if (target[i] < 0) {
            an_want(loss, i, 0, 0);
            for (size_t j = 0; dz && j < v; j++) an_want(dz, i * ldz + j, 0, 0);
            continue;
        }
        long double top = (long double)z[0], size = 0, sum = 0;
        for (size_t j = 0; j < v; j++) {
            if ((long double)z[j] > top) top = (long double)z[j];
            size = fmaxl(size, fabsl((long double)z[j]));
        }
        for (size_t j = 0; j < v; j++) sum += expl((long double)z[j] - top);
        const long double lse = top + logl(sum), zt = (long double)z[target[i]], more = 1 + 2 * weight * lse, of_lse = 2 + fabsl(top) + fabsl(lse);
        an_want(loss, i, lse - zt + weight * lse * lse, fabsl(zt) + of_lse * (1 + 2 * weight * fabsl(lse)));
        for (size_t j = 0; dz && j < v; j++) {
            const long double p = expl((long double)z[j] - lse), hit = (int32_t)j == target[i];
            an_want(dz, i * ldz + j, scale * (p * more - hit), fabsl(scale) * (p * (fabsl(more) * (4 + fabsl((long double)z[j]) + fabsl(lse)) + 2 * weight * of_lse) + hit + lost));
        }
    }
}

static void check_xent(an_check *k, int gradient)
{
    const size_t n = an_checking(k) ? 1 + an_pick(k, 4) : 256, v = an_checking(k) ? an_pick_size(k) + (an_pick_size(k) == 0) : 50257;
    const size_t ldz = v + (an_checking(k) ? an_pick(k, 4) : 47), all = (n - 1) * ldz + v;
    const int32_t *target = an_in_ids(k, "target", n, an_checking(k) ? -1 : 0, (int32_t)v);
    static const an_real WEIGHT[] = { 0, AN_R(1e-4), AN_R(0.25) };
    const an_real scale = an_pick_scale(k), weight = an_checking(k) ? WEIGHT[an_pick(k, 3)] : 0;
    const an_real *z = gradient ? NULL : an_in(k, "z", all, AN_FILL_CASE);
    an_out *dz = gradient ? an_out_new(k, "z", all, AN_FILL_CASE) : NULL, *loss = an_out_new(k, "loss", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(gradient ? 2 * n * v : n * v), 0);
    while (an_next_run(k)) {
        if (gradient) an_table(k)->xent_grad(n, v, an_at(dz), ldz, target, scale, weight, an_at(loss));
        else an_table(k)->xent_fwd(n, v, z, ldz, target, weight, an_at(loss));
    }
    if (!an_checking(k)) return;
    want_xent(n, v, gradient ? dz->init : z, ldz, target, (long double)scale, (long double)weight, loss, dz);
    an_judge(k, loss, 4);
    if (gradient) an_judge(k, dz, 4);
}

void an_check_xent_fwd(an_check *k) { check_xent(k, 0); }
void an_check_xent_grad(an_check *k) { check_xent(k, 1); }

/* value, off by at most `error`, rounded to bfloat16 and widened. */
static void want_rounded(an_out *y, size_t i, long double value, long double error)
{
    if (!isfinite(value)) {
        an_want(y, i, value, 0);
        return;
    }
    long double low = (long double)an_bf16_widen(an_bf16_round((an_real)(value - error))), high = (long double)an_bf16_widen(an_bf16_round((an_real)(value + error)));
    if (low > 0 && value < 0x1p-126L * 1.1L) low = 0;                    /* below the smallest normal number: may be lost */
    if (high < 0 && value > -0x1p-126L * 1.1L) high = 0;
    an_want(y, i, low, (high - low) / (long double)AN_REAL_EPS);
}

void an_check_xent_part(an_check *k)
{
    const size_t n = an_checking(k) ? 1 + an_pick(k, 4) : 256, c = an_checking(k) ? an_pick_size(k) + (an_pick_size(k) == 0) : 384;
    const size_t ldz = c + (an_checking(k) ? an_pick(k, 4) : 0), lde = c + (an_checking(k) ? an_pick(k, 40) : 0), ldp = 1 + (an_checking(k) ? an_pick(k, 3) : 0);
    const int past = (int)an_pick(k, 2), stored = an_pick(k, 4) != 0;
    const an_real *z = an_in(k, "z", n * ldz, AN_FILL_CASE);
    an_out *top = an_out_new(k, "top", n * ldp, AN_FILL_NORMAL), *sum = an_out_new(k, "sum", n * ldp, AN_FILL_NORMAL), *e = an_out_new(k, "e", n * lde, AN_FILL_NORMAL);
    an_bf16 *low = an_low_new(k, n, lde);
    if (!low) return;
    an_work(k, an_bytes(n * c) + 2.0 * (double)(n * c), 0);
    while (an_next_run(k)) {
        an_low_empty(low, n, lde);
        an_table(k)->xent_part(n, c, z, ldz, stored ? low : NULL, lde, past, an_at(top), an_at(sum), ldp);
        if (an_checking(k)) an_low_take(k, low, stored, n, c, lde, e);
    }
    free(low);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++, z += ldz) {
        long double most = -INFINITY, all = 0, size = 0;
        for (size_t j = 0; j < c; j++)
            if ((long double)z[j] > most) most = (long double)z[j];
        const long double shift = most == -INFINITY ? 0 : most;
        for (size_t j = 0; j < c; j++) {
            const long double part = expl((long double)z[j] - shift), off = part > 0 ? part * (4 + fabsl((long double)z[j] - shift)) : 0;   /* NaN: 0 */
            all += part;
            size += off;
            if (stored) want_rounded(e, i * lde + j, part, off * (long double)AN_REAL_EPS);
        }
        an_want(top, i * ldp, most, 0);
        an_want(sum, i * ldp, all, size + (long double)c * lost);
    }
    an_judge(k, top, 1);
    an_judge(k, sum, 2 + (double)c / 32);
    an_judge(k, e, 1);
}

void an_check_xent_join(an_check *k)
{
    static const size_t WIDTHS[] = { 1, 7, 16, 100, 384 };
    const size_t n = an_checking(k) ? 1 + an_pick(k, 4) : 16, v = an_checking(k) ? an_pick_size(k) + (an_pick_size(k) == 0) : 50257;
    const size_t width = an_checking(k) ? WIDTHS[an_pick(k, 5)] : 384, parts = (v + width - 1) / width;
    const size_t lde = v + (an_checking(k) ? an_pick(k, 4) : 15), ldp = parts + (an_checking(k) ? an_pick(k, 3) : 0);
    static const an_real WEIGHT[] = { 0, AN_R(1e-4), AN_R(0.25) };
    const an_real scale = an_pick_scale(k), weight = an_checking(k) ? WEIGHT[an_pick(k, 3)] : 0;
    const int stored = an_pick(k, 4) != 0;
    const int32_t *target = an_in_ids(k, "target", n, an_checking(k) ? -1 : 0, (int32_t)v);
    const an_real *top = an_in(k, "top", n * ldp, AN_FILL_CASE), *sum = an_in(k, "sum", n * ldp, AN_FILL_POSITIVE), *from = an_in(k, "e, before", n * lde, AN_FILL_POSITIVE);
    an_real *hit = an_in_edit(k, "hit", n, AN_FILL_NORMAL);
    for (size_t i = 0; i < n; i++)
        if (target[i] >= 0) hit[i] = top[i * ldp + (size_t)target[i] / width];
    an_out *loss = an_out_new(k, "loss", n, AN_FILL_NORMAL), *e = an_out_new(k, "e", n * lde, AN_FILL_NORMAL);
    an_bf16 *low = an_low_new(k, n, lde);
    if (!low) return;
    an_work(k, 4.0 * (double)(n * v), 0);
    while (an_next_run(k)) {
        for (size_t i = 0; i < n && an_checking(k) && stored; i++)
            for (size_t j = 0; j < v; j++) low[i * lde + j] = an_bf16_round(from[i * lde + j]);
        an_table(k)->xent_join(n, v, width, stored ? low : NULL, lde, top, sum, ldp, hit, target, scale, weight, an_at(loss));
        if (an_checking(k)) an_low_take(k, low, stored, n, v, lde, e);
    }
    free(low);
    if (!an_checking(k)) return;
    const long double eps = (long double)AN_REAL_EPS;
    for (size_t i = 0; i < n; i++, top += ldp, sum += ldp) {
        if (target[i] < 0) {
            an_want(loss, i, 0, 0);
            for (size_t j = 0; stored && j < v; j++) an_want(e, i * lde + j, 0, 0);
            continue;
        }
        long double most = -INFINITY, all = 0, off = 0;      /* off: of the logarithm, in eps */
        for (size_t p = 0; p < parts; p++)
            if ((long double)top[p] > most) most = (long double)top[p];
        for (size_t p = 0; p < parts; p++) all += (long double)sum[p] * expl((long double)top[p] - most);
        for (size_t p = 0; p < parts; p++) {
            const long double apart = most - (long double)top[p], share = (long double)sum[p] * expl(-apart) / all;
            off += share > 0 ? share * (4 + apart) : 0;
        }
        const long double lse = most + logl(all), zt = (long double)hit[i], more = 1 + 2 * (long double)weight * lse, s = (long double)scale;
        an_want(loss, i, lse - zt + (long double)weight * lse * lse, fabsl(zt) + (off + fabsl(most) + fabsl(lse)) * (1 + 2 * (long double)weight * fabsl(lse)));
        for (size_t j = 0; stored && j < v; j++) {
            const int here = (int32_t)j == target[i];
            const long double was = here ? 1 : (long double)an_bf16_widen(an_bf16_round(from[i * lde + j]));
            const long double p = expl((here ? zt : (long double)top[j / width]) - lse) * was, error = eps * fabsl(s) * (p * (fabsl(more) * (4 + off) + 2 * (long double)weight * off) + here);
            want_rounded(e, i * lde + j, s * (p * more - here), error);
        }
    }
    an_judge(k, loss, 4);
    an_judge(k, e, 1);
}
