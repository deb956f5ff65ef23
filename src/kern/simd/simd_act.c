/* kern/simd/simd_act.c
 * Activations. Each GELU is z times a gate: one exponential and one division per element, no tanh or erf call. z is clamped
 * where the gate has long been 0 or 1 in float, so infinity times zero appears only where the reference has it. A gate below the
 * smallest normal number is 0. Derivatives share the gate's exponential. What counts is the length of the chain from z to y:
 * a processor holds the instructions of few vectors at a time. */
#include "kern/simd/simd.h"
#include "kern/simd/vec_math.h"

typedef enum curve { GELU_TANH, GELU_ERF, RELU } curve;

#define TWO_ROOT 1.5957691216057308f            /* 2 sqrt(2/pi) */
#define CUBIC    0.044715f
#define BEND     (3 * CUBIC * TWO_ROOT)
#define POWER    2.302208198144324f             /* TWO_ROOT / log 2 */
#define POWER3   0.102943239580023f             /* CUBIC of it */

V_FN vf clamp(vf z, float top) { return v_max(v_set(-top), v_min(v_set(top), z)); }

/* The gate of the tanh form is 1 / (1 + e), e = 2^-(POWER t + POWER3 t^3): e at the clamped z, which is given too. At -10.06 the power is
 * 127.97 and e infinite, at 9.9 the gate is 1. */
V_FN vf tanh_power(vf z, vf *clamped)
{
    const vf t = v_max(v_set(-10.06f), v_min(v_set(9.9f), z));
    *clamped = t;
    return v_exp2(v_mul(t, v_fnma(v_set(POWER3), v_mul(t, t), v_set(-POWER))));
}

V_FN vf value(curve f, vf z)
{
    vf gate, t;
    switch (f) {
    case GELU_TANH: return v_div(z, v_add(tanh_power(z, &t), v_set(1.0f)));
    case GELU_ERF: (void)v_normal(z, &gate); return v_mul(z, gate);
    default: return v_max(v_zero(), z);
    }
}

V_FN vf slope(curve f, vf z)
{
    vf gate, t;
    switch (f) {
    case GELU_TANH: {   /* gate (1 + (1 - gate) t d), d the derivative of the power over -log 2 */
        const vf e = tanh_power(z, &t), g = v_div(v_set(1.0f), v_add(e, v_set(1.0f))), rest = v_min(v_mul(e, g), v_set(1.0f));   /* 1 where e is infinite */
        const vf bend = v_mul(t, v_fma(v_set(BEND), v_mul(t, t), v_set(TWO_ROOT)));
        return v_mul(g, v_fma(rest, bend, v_set(1.0f)));
    }
    case GELU_ERF: {
        t = clamp(z, 15.0f);
        const vf density = v_mul(v_normal(t, &gate), v_set(0.3989422804014327f));
        return v_fma(t, density, gate);
    }
    default: return v_sel(v_lt(v_zero(), z), v_set(1.0f), v_zero());
    }
}

V_FN void forward(curve f, size_t n, size_t c, const an_real *bias, an_real *z, an_real *y)
{
    for (size_t r = 0; r < n; r++, z += c, y += c)
        V_EACH(c, i, left, {
            vf u = v_get(z + i, left);
            if (bias) {
                u = v_add(u, v_get(bias + i, left));
                v_put(z + i, left, u);
            }
            v_put(y + i, left, value(f, u));
        });
}

V_FN void backward(curve f, size_t n, const an_real *z, const an_real *dy, an_real *dz, int add)
{
    if (add) V_EACH(n, i, left, { v_put(dz + i, left, v_fma(v_get(dy + i, left), slope(f, v_get(z + i, left)), v_get(dz + i, left))); });
    else V_EACH(n, i, left, { v_put(dz + i, left, v_mul(v_get(dy + i, left), slope(f, v_get(z + i, left)))); });
}

void AN_SIMD(gelu_tanh_fwd)(size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { forward(GELU_TANH, n, c, bias, z, y); }
void AN_SIMD(gelu_erf_fwd)(size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { forward(GELU_ERF, n, c, bias, z, y); }
void AN_SIMD(relu_fwd)(size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { forward(RELU, n, c, bias, z, y); }

void AN_SIMD(gelu_tanh_bwd)(size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { backward(GELU_TANH, n, z, dy, dz, add); }
void AN_SIMD(gelu_erf_bwd)(size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { backward(GELU_ERF, n, z, dy, dz, add); }
void AN_SIMD(relu_bwd)(size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { backward(RELU, n, z, dy, dz, add); }

void AN_SIMD(swiglu_fwd)(size_t n, size_t f, const an_real *x, int gate_last, an_real *y)
{
    const size_t gate = gate_last ? f : 0, up = f - gate;
    for (size_t r = 0; r < n; r++, x += 2 * f, y += f)
        V_EACH(f, i, left, {
            const vf g = v_get(x + gate + i, left), silu = v_div(g, v_add(v_exp_mid(v_neg(g)), v_set(1.0f)));
            v_put(y + i, left, v_mul(silu, v_get(x + up + i, left)));
        });
}

/* silu'(g) = s + g s (1 - s) */
void AN_SIMD(swiglu_bwd)(size_t n, size_t f, const an_real *x, int gate_last, const an_real *dy, an_real *dx, int add)
{
    const size_t gate = gate_last ? f : 0, up = f - gate;
    for (size_t r = 0; r < n; r++, x += 2 * f, dx += 2 * f, dy += f)
        V_EACH(f, i, left, {
            const vf g = v_get(x + gate + i, left), u = v_get(x + up + i, left), d = v_get(dy + i, left);
            const vf e = v_exp_mid(v_neg(g)), s = v_div(v_set(1.0f), v_add(e, v_set(1.0f))), rest = v_min(v_mul(e, s), v_set(1.0f));
            const vf silu = v_mul(g, s), bend = v_fma(silu, rest, s);
            const vf dg = v_mul(v_mul(d, u), bend), du = v_mul(d, silu);
            v_put(dx + gate + i, left, add ? v_add(v_get(dx + gate + i, left), dg) : dg);
            v_put(dx + up + i, left, add ? v_add(v_get(dx + up + i, left), du) : du);
        });
}

#define TWO_OVER_ROOT_PI 1.1283791670955126f

V_FN vf squashed(int erf_kind, vf z) { return erf_kind ? v_erf(z) : v_tanh(z); }

/* tanh' = 4 e / (1 + e)^2, e = e^(-2|z|);  erf' = 2/sqrt(pi) e^(-z^2) */
V_FN vf squash_slope(int erf_kind, vf z)
{
    if (erf_kind) return v_mul(v_set(TWO_OVER_ROOT_PI), v_gauss(v_max(v_set(-11.0f), v_min(v_set(11.0f), z)), 1.0f));
    const vf e = v_exp_low(v_mul(v_set(-2.0f), v_abs(z))), s = v_add(e, v_set(1.0f));
    return v_div(v_mul(v_set(4.0f), e), v_mul(s, s));
}

V_FN void squash_forward(int erf_kind, size_t n, an_real a, an_real shift, const an_real *x, an_real *y)
{
    const vf by = v_set(a), off = v_set(shift);
    V_EACH(n, i, left, { v_put(y + i, left, squashed(erf_kind, v_fma(by, v_get(x + i, left), off))); });
}

void AN_SIMD(squash_fwd)(size_t n, int erf_kind, an_real a, an_real shift, const an_real *x, an_real *y)
{
    if (erf_kind) squash_forward(1, n, a, shift, x, y);
    else squash_forward(0, n, a, shift, x, y);
}

V_FN void squash_backward(int erf_kind, size_t n, an_real a, an_real shift, const an_real *x, const an_real *dy, an_real *dx, int add, double *sums)
{
    const vf by = v_set(a), off = v_set(shift);
    vd ex[2] = { vd_set(0), vd_set(0) }, all[2] = { vd_set(0), vd_set(0) };
    V_EACH(n, i, left, {
        const vf u = v_get(x + i, left), e = v_mul(squash_slope(erf_kind, v_fma(by, u, off)), v_get(dy + i, left));   /* dy is 0 behind the end */
        ex[0] = vd_fma(vd_lo(e), vd_lo(u), ex[0]), ex[1] = vd_fma(vd_hi(e), vd_hi(u), ex[1]);
        all[0] = vd_add(all[0], vd_lo(e)), all[1] = vd_add(all[1], vd_hi(e));
        if (dx) v_put(dx + i, left, add ? v_fma(by, e, v_get(dx + i, left)) : v_mul(by, e));
    });
    sums[0] = vd_sum(vd_add(ex[0], ex[1]));
    sums[1] = vd_sum(vd_add(all[0], all[1]));
}

void AN_SIMD(squash_bwd)(size_t n, int erf_kind, an_real a, an_real shift, const an_real *x, const an_real *dy, an_real *dx, int add, double *sums)
{
    if (erf_kind) squash_backward(1, n, a, shift, x, dy, dx, add, sums);
    else squash_backward(0, n, a, shift, x, dy, dx, add, sums);
}
