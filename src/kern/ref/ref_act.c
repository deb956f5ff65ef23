/* kern/ref/ref_act.c
 * Activations, squashing functions, and their derivatives. GELU in both forms is z * S(z) with S a sigmoid or the normal distribution function,
 * written so that the tails keep their relative accuracy and no intermediate overflows.
 * Sources: Hendrycks & Gimpel, arXiv:1606.08415 (GELU); Shazeer, arXiv:2002.05202 (SwiGLU). */
#include "kern/ref/ref.h"

#define SQRT_2_OVER_PI 0.79788456080286535588
#define SQRT_HALF      0.70710678118654752440
#define INV_SQRT_2PI   0.39894228040143267794
#define CUBIC          0.044715

typedef double (*curve)(double z);

static double sigmoid(double x)
{
    const double e = exp(-fabs(x));
    return (x < 0 ? e : 1) / (1 + e);
}

/* Beyond |z| = 30 the gate is 0 or 1 in double, and the clamp keeps z^3 finite; NaN passes. */
static double clamp30(double z) { return z > 30 ? 30 : z < -30 ? -30 : z; }

/* 0.5 (1 + tanh(u)) = sigmoid(2u),  u = sqrt(2/pi) (z + 0.044715 z^3) */
static double tanh_gate(double z)
{
    const double t = clamp30(z);
    return sigmoid(2 * SQRT_2_OVER_PI * (t + CUBIC * t * t * t));
}

static double gelu_tanh(double z) { return z * tanh_gate(z); }
static double gelu_tanh_slope(double z)
{
    const double t = clamp30(z), u2 = 2 * SQRT_2_OVER_PI * (t + CUBIC * t * t * t), du2 = 2 * SQRT_2_OVER_PI * (1 + 3 * CUBIC * t * t);
    return sigmoid(u2) + t * sigmoid(u2) * sigmoid(-u2) * du2;
}

static double gelu_erf(double z) { return z * 0.5 * erfc(-z * SQRT_HALF); }
static double gelu_erf_slope(double z)
{
    const double t = z > 40 ? 40 : z < -40 ? -40 : z;
    return 0.5 * erfc(-t * SQRT_HALF) + t * INV_SQRT_2PI * exp(-0.5 * t * t);
}

static double relu(double z) { return z < 0 ? 0 : z; }   /* NaN passes */
static double relu_slope(double z) { return z > 0 ? 1 : 0; }

static void forward(curve f, size_t n, size_t c, const an_real *bias, an_real *z, an_real *y)
{
    for (size_t i = 0; i < n; i++, z += c, y += c)
        for (size_t j = 0; j < c; j++) {
            if (bias) z[j] += bias[j];
            y[j] = (an_real)f((double)z[j]);
        }
}

static void backward(curve slope, size_t n, const an_real *z, const an_real *dy, an_real *dz, int add)
{
    for (size_t i = 0; i < n; i++) an_ref_put(dz + i, (double)dy[i] * slope((double)z[i]), add);
}

void an_ref_gelu_tanh_fwd(size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { forward(gelu_tanh, n, c, bias, z, y); }
void an_ref_gelu_erf_fwd(size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { forward(gelu_erf, n, c, bias, z, y); }
void an_ref_relu_fwd(size_t n, size_t c, const an_real *bias, an_real *z, an_real *y) { forward(relu, n, c, bias, z, y); }

void an_ref_gelu_tanh_bwd(size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { backward(gelu_tanh_slope, n, z, dy, dz, add); }
void an_ref_gelu_erf_bwd(size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { backward(gelu_erf_slope, n, z, dy, dz, add); }
void an_ref_relu_bwd(size_t n, const an_real *z, const an_real *dy, an_real *dz, int add) { backward(relu_slope, n, z, dy, dz, add); }

void an_ref_swiglu_fwd(size_t n, size_t f, const an_real *x, int gate_last, an_real *y)
{
    const size_t gate = gate_last ? f : 0, up = f - gate;
    for (size_t i = 0; i < n; i++, x += 2 * f, y += f)
        for (size_t j = 0; j < f; j++) y[j] = (an_real)((double)x[gate + j] * sigmoid((double)x[gate + j]) * (double)x[up + j]);
}

/* silu'(g) = s (1 + g (1 - s)) */
void an_ref_swiglu_bwd(size_t n, size_t f, const an_real *x, int gate_last, const an_real *dy, an_real *dx, int add)
{
    const size_t gate = gate_last ? f : 0, up = f - gate;
    for (size_t i = 0; i < n; i++, x += 2 * f, dx += 2 * f, dy += f)
        for (size_t j = 0; j < f; j++) {
            const double g = (double)x[gate + j], u = (double)x[up + j], s = sigmoid(g);
            an_ref_put(dx + gate + j, (double)dy[j] * u * (s * (1 + g * sigmoid(-g))), add);
            an_ref_put(dx + up + j, (double)dy[j] * (g * s), add);
        }
}

#define TWO_OVER_ROOT_PI 1.12837916709551257390

void an_ref_squash_fwd(size_t n, int erf_kind, an_real a, an_real shift, const an_real *x, an_real *y)
{
    for (size_t i = 0; i < n; i++) {
        const double z = (double)a * (double)x[i] + (double)shift;
        y[i] = (an_real)(erf_kind ? erf(z) : tanh(z));
    }
}

void an_ref_squash_bwd(size_t n, int erf_kind, an_real a, an_real shift, const an_real *x, const an_real *dy, an_real *dx, int add, double *sums)
{
    sums[0] = sums[1] = 0;
    for (size_t i = 0; i < n; i++) {
        const double z = (double)a * (double)x[i] + (double)shift, rise = sigmoid(2 * z) * sigmoid(-2 * z);   /* tanh' = 4 s (1 - s), without cancellation */
        const double e = (erf_kind ? TWO_OVER_ROOT_PI * exp(-z * z) : 4 * rise) * (double)dy[i];
        sums[0] += e * (double)x[i];
        sums[1] += e;
        if (dx) an_ref_put(dx + i, (double)a * e, add);
    }
}
