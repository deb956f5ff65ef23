/* kern/simd/attn_parts.h
 * What kernels of attention are made of, whatever multiplies their tiles: exponentials, dropout, and the ways in and out of the caller's
 * matrices, which know of padding, of bf16 and of widths that fill no vector, so that nothing between them does. */
#ifndef AN_KERN_SIMD_ATTN_PARTS_H
#define AN_KERN_SIMD_ATTN_PARTS_H

#include <math.h>
#include <string.h>

#include "kern/attn_tile.h"
#include "kern/simd/block.h"
#include "kern/simd/vec.h"
#include "kern/simd/vec_math.h"
#include "kern/simd/vec_rng.h"

enum { T = AN_ATTN_TILE, LD = AN_ATTN_STRIDE };

#define V_PART static __attribute__((unused))   /* of a header that more than one kernel includes, not each of which uses all */

V_PART size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* e^x for x <= 0 or little above; exactly 0 below -88, where a masked score goes: a denormal product would cost 100 cycles. */
V_FN vf exp_below(vf x)
{
    x = v_max(v_set(-88.1f), x);
    const vf shifted = v_fma(x, v_set(0x1.715476p+0f), v_set(V_ROUNDER)), n = v_sub(shifted, v_set(V_ROUNDER));
    const vf r = v_fnma(n, v_set(0x1.7f7d1cp-20f), v_fnma(n, v_set(0x1.62e4p-1f), x));
    vf q = v_fma(v_set(0x1.6d1176p-10f), r, v_set(0x1.120bdap-7f));
    q = v_fma(q, r, v_set(0x1.555518p-5f));
    q = v_fma(q, r, v_set(0x1.5554dcp-3f));
    q = v_fma(q, r, v_set(0.5f));
    const vf e = v_add(v_fma(v_mul(r, r), q, r), v_set(1.0f));
    return v_mul(e, v_power2(vi_sub(v_bits(shifted), v_bits(v_set(V_ROUNDER)))));
}

/* Lanes that stand for queries before key j: query lane l of a group starting g sees key j when j <= g + l. */
V_FN vm lanes_before(size_t j, size_t g)
{
    static const float lane[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    return v_lt(v_load(lane), v_set((float)j - (float)g));
}

/* Dropout factors of a tile, transposed like the scores: word (i, j) is word drop_base + i*t + j of the key's stream. Two rows at
 * a time; of the diagonal only what is looked at, the rest is any number. */
V_PART void draw_mask(const an_attn_spec *s, size_t i0, size_t in, size_t j0, size_t jn, float *mask)
{
    enum { WORDS = 4 * VL, ROOM = T + 4 + WORDS };
    const double limit = ceil((double)s->drop_p * 0x1p32);
    const uint32_t below = limit < 0x1p32 ? (uint32_t)limit : UINT32_MAX;
    const vf keep = v_set(1.0f / (1.0f - s->drop_p));
    float drawn[8][ROOM] = { { 0 } };
    for (size_t i = 0; i < in; i += 8) {
        const size_t seen = s->causal ? least(jn, i0 + i / VL * VL + VL - j0) : jn;
        const float *row[8];
        for (size_t r = 0; r < 8; r += 2) {
            const uint64_t first[2] = { s->drop_base + (uint64_t)(i0 + i + r) * s->t + j0, s->drop_base + (uint64_t)(i0 + i + r + 1) * s->t + j0 };
            const size_t end = seen + (first[0] % 4 > first[1] % 4 ? first[0] : first[1]) % 4;
            for (size_t x = 0; x < 2; x++) row[r + x] = drawn[r + x] + first[x] % 4;
            for (size_t w = 0; i + r < in && w < end; w += WORDS) {
                const uint64_t block[2] = { first[0] / 4 + w / 4, first[1] / 4 + w / 4 };
                vi word[2][4];
                for (size_t x = 0; x < 2; x++) v_philox(s->drop_key, block[x], word[x]);
                for (size_t x = 0; x < 8; x++) v_store(drawn[r + x / 4] + w + x % 4 * VL, v_sel(v_word_below(word[x / 4][x % 4], below), v_zero(), keep));
            }
        }
        for (size_t j = 0; j < seen; j += 8) transpose8(row, j, mask + j * LD + i, LD);
    }
}

/* What the caller's matrices share: d columns of every row that counts, as floats or bf16; in copies dp columns, ld apart. */
typedef struct matrix { const an_attn_spec *s; an_attn_rows rows; size_t dp, ld; } matrix;

V_PART matrix matrix_make(const an_attn_spec *s, float *work) { return (matrix){ s, an_attn_present(s, work), an_attn_round(s->d, VL), an_attn_stride(s->d) }; }

V_FN size_t row_at(const matrix *m, size_t i, size_t ld) { return an_attn_row(&m->rows, i) * ld; }

/* to[n] = rows i0.. of x with zeros behind; keeps rows next to each other, however far apart they were */
V_PART void copy_in(const matrix *m, size_t i0, size_t n, const void *x, an_store store, size_t ld, float *to)
{
    const size_t d = m->s->d;
    for (size_t i = i0; i < i0 + n; i++, to += m->ld) {
        const float *from = (const float *)x + row_at(m, i, ld);
        const an_bf16 *low = (const an_bf16 *)x + row_at(m, i, ld);
        if (store == AN_STORE_REAL) V_EACH(d, p, left, v_store(to + p, v_get(from + p, left)););
        else V_EACH(d, p, left, v_store(to + p, v_get_bf16(low + p, left)););
    }
}

/* to[p*LD + i] = row[i][p] for p < d */
V_FN void transpose_rows(const float *const row[8], size_t d, float *to)
{
    size_t p = 0;
    for (; p + 8 <= d; p += 8) transpose8(row, p, to + p * LD, LD);
    for (; p < d; p++)
        for (size_t r = 0; r < 8; r++) to[p * LD + r] = row[r][p];
}

/* A copied tile; columns past n repeat the last one, their results are never used. */
V_PART void transpose(const matrix *m, size_t n, const float *x, float *to)
{
    for (size_t i = 0; i < T && i < an_attn_round(n, VL); i += 8) {
        const float *row[8];
        for (size_t r = 0; r < 8; r++) row[r] = x + least(i + r, n - 1) * m->ld;
        transpose_rows(row, m->s->d, to + i);
    }
}

/* The same from where the caller has it, through `copy` only where it must be widened. */
V_PART void transpose_in(const matrix *m, size_t i0, size_t n, const void *x, an_store store, size_t ld, float *copy, float *to)
{
    if (store != AN_STORE_REAL) {
        copy_in(m, i0, n, x, store, ld, copy);
        transpose(m, n, copy, to);
        return;
    }
    for (size_t i = 0; i < T && i < an_attn_round(n, VL); i += 8) {
        const float *row[8];
        for (size_t r = 0; r < 8; r++) row[r] = (const float *)x + row_at(m, i0 + least(i + r, n - 1), ld);
        transpose_rows(row, m->s->d, to + i);
    }
}

/* rows i0.. of out = by row * x[n] */
V_PART void put_out(const matrix *m, size_t i0, size_t n, const float *x, const float *by, void *out)
{
    const size_t d = m->s->d;
    for (size_t i = 0; i < n; i++, x += m->ld) {
        const size_t at = row_at(m, i0 + i, m->s->ldo);
        const vf f = v_set(by[i]);
        if (m->s->out == AN_STORE_REAL) V_EACH(d, p, left, v_put((float *)out + at + p, left, v_mul(f, v_load(x + p))););
        else V_EACH(d, p, left, v_put_bf16((an_bf16 *)out + at + p, left, v_mul(f, v_load(x + p))););
    }
}

/* rows i0.. of the gradient y (+)= by * x[n] */
V_PART void put_gradient(const matrix *m, size_t i0, size_t n, const float *x, float by, int add, float *y, size_t ld)
{
    const vf f = v_set(by);
    for (size_t i = 0; i < n; i++, x += m->ld) {
        float *to = y + row_at(m, i0 + i, ld);
        if (add) V_EACH(m->s->d, p, left, v_put(to + p, left, v_fma(f, v_load(x + p), v_get(to + p, left))););
        else V_EACH(m->s->d, p, left, v_put(to + p, left, v_mul(f, v_load(x + p))););
    }
}

#endif
