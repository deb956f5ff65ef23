/* core/real.h
 * The one scalar type of the engine: float in the product, double in the double build (-DAN_F64) that the
 * derivative and parity tests use. Everything above kern is written once for both; a literal is AN_R(0.5). */
#ifndef AN_CORE_REAL_H
#define AN_CORE_REAL_H

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef AN_F64
typedef double an_real;
#define AN_REAL_NAME "f64"
#define AN_REAL_EPS  DBL_EPSILON
#define an_exp  exp
#define an_log  log
#define an_sqrt sqrt
#define an_tanh tanh
#define an_erf  erf
#define an_fabs fabs
#else
typedef float an_real;
#define AN_REAL_NAME "f32"
#define AN_REAL_EPS  FLT_EPSILON
#define an_exp  expf
#define an_log  logf
#define an_sqrt sqrtf
#define an_tanh tanhf
#define an_erf  erff
#define an_fabs fabsf
#endif

#define AN_R(x) ((an_real)(x))

/* bfloat16: the upper half of a float's bits. Storage only: whoever computes widens first and rounds once, to nearest even; NaN stays NaN. */
typedef uint16_t an_bf16;

static inline an_real an_bf16_widen(an_bf16 h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return AN_R(f);
}

static inline an_bf16 an_bf16_round(an_real x)
{
    const float f = (float)x;
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (an_bf16)(bits >> 16 | 0x40u);
    return (an_bf16)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* How the numbers of a matrix lie in memory. AN_STORE_INT8: each row is whole numbers of -127 to 127 times the row's own scale. */
typedef enum an_store { AN_STORE_REAL, AN_STORE_BF16, AN_STORE_INT8, AN_STORES } an_store;

/* Inner product in double, in lanes and then in order: the same bits everywhere, for measures that have no kernels at hand. */
static inline double an_dot(size_t n, const an_real *a, const an_real *b)
{
    enum { LANES = 8 };
    double lane[LANES] = { 0 }, sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t j = 0; j < LANES; j++) lane[j] += (double)a[i + j] * (double)b[i + j];
    for (size_t j = 0; j < LANES; j++) sum += lane[j];
    for (; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

#endif
