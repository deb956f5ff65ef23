/* tests/kern/check_token.c
 * dropout, embedding, rope, cross-entropy. Dropout keeps or moves numbers and must agree to the bit; the
 * bound of a softmax is the error of exp (1.1 ulp) plus that of the shifted argument (half an ulp of |z|). */
#include "check.h"

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
