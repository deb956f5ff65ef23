/* kern/simd/simd_act.c
 * Activations. Each GELU is z times a gate: one exponential and one division per element, no tanh or erf call. |z| is
 * clamped where the gate has long been 0 or 1 in float, so nothing overflows and infinity times zero appears only where the
 * reference has it. Derivatives share the gate's exponential. */
#include "kern/simd/simd.h"
#include "kern/simd/vec_math.h"

typedef enum curve { GELU_TANH, GELU_ERF, RELU } curve;

#define TWO_ROOT 1.5957691216057308f   /* 2 sqrt(2/pi) */
#define CUBIC    0.044715f

V_FN vf clamp(vf z, float top) { return v_max(v_set(-top), v_min(v_set(top), z)); }

/* Gate of the tanh form, its complement, and the clamped z they were taken at. */
V_FN vf tanh_gate(vf z, vf *rest, vf *clamped)
{
    const vf t = clamp(z, 12.0f), cubed = v_mul(v_mul(t, t), t);
    *clamped = t;
    return v_sigmoid(v_mul(v_set(TWO_ROOT), v_fma(v_set(CUBIC), cubed, t)), rest);
}

V_FN vf value(curve f, vf z)
{
    vf gate, rest, t;
    switch (f) {
    case GELU_TANH: gate = tanh_gate(z, &rest, &t); break;
    case GELU_ERF: (void)v_normal(z, &gate); break;
    default: return v_max(v_zero(), z);
    }
    return v_mul(z, gate);
}

V_FN vf slope(curve f, vf z)
{
    vf gate, rest, t;
    switch (f) {
    case GELU_TANH: {
        gate = tanh_gate(z, &rest, &t);
        const vf bend = v_mul(v_set(TWO_ROOT), v_fma(v_mul(v_set(3 * CUBIC), t), t, v_set(1.0f)));
        return v_fma(v_mul(t, gate), v_mul(rest, bend), gate);
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
            const vf g = v_get(x + gate + i, left);
            vf rest;
            v_put(y + i, left, v_mul(v_mul(g, v_sigmoid(g, &rest)), v_get(x + up + i, left)));
        });
}

/* silu'(g) = s + g s (1 - s) */
void AN_SIMD(swiglu_bwd)(size_t n, size_t f, const an_real *x, int gate_last, const an_real *dy, an_real *dx, int add)
{
    const size_t gate = gate_last ? f : 0, up = f - gate;
    for (size_t r = 0; r < n; r++, x += 2 * f, dx += 2 * f, dy += f)
        V_EACH(f, i, left, {
            const vf g = v_get(x + gate + i, left), u = v_get(x + up + i, left), d = v_get(dy + i, left);
            vf rest;
            const vf s = v_sigmoid(g, &rest), silu = v_mul(g, s), bend = v_fma(silu, rest, s);
            const vf dg = v_mul(v_mul(d, u), bend), du = v_mul(d, silu);
            v_put(dx + gate + i, left, add ? v_add(v_get(dx + gate + i, left), dg) : dg);
            v_put(dx + up + i, left, add ? v_add(v_get(dx + up + i, left), du) : du);
        });
}
