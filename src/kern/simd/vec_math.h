/* kern/simd/vec_math.h
 * exp, log, tanh, erf and the normal distribution on vectors of floats. Ranges are reduced to where a short polynomial
 * suffices; coefficients are Chebyshev interpolants of the function, computed with 60 digits and rounded to float. Largest
 * errors seen, in ulp of the result, over all floats (tests/kern, row vec): exp 1.0, log 0.9, tanh 1.4, erf 2.5, sigmoid 2.2,
 * normal distribution 5.8, e^(-x^2/2) 1.5.
 * NaN in gives NaN out; infinities, overflow and denormal results are those of libm. */
#ifndef AN_KERN_SIMD_VEC_MATH_H
#define AN_KERN_SIMD_VEC_MATH_H

#include <float.h>
#include <math.h>

#include "kern/simd/vec.h"

/* Adding 1.5 * 2^23 rounds |x| < 2^22 to an integer and leaves it in the low bits. */
#define V_ROUNDER 12582912.0f

/* 2^n for -126 <= n <= 127 */
V_FN vf v_power2(vi n) { return vi_float(vi_shl(vi_add(n, vi_set(127)), 23)); }

/* x = n log 2 + r, |r| <= log(2)/2;  e^r = 1 + r + r^2 Q(r). 2^n is applied in two halves: n reaches -150 and 128. */
V_FN vf v_exp(vf x)
{
    x = v_max(v_set(-104.0f), v_min(v_set(89.0f), x));
    const vf shifted = v_fma(x, v_set(0x1.715476p+0f), v_set(V_ROUNDER)), n = v_sub(shifted, v_set(V_ROUNDER));
    const vi whole = vi_sub(v_bits(shifted), v_bits(v_set(V_ROUNDER))), half = vi_sar(whole, 1);
    const vf r = v_fnma(n, v_set(0x1.7f7d1cp-20f), v_fnma(n, v_set(0x1.62e4p-1f), x));
    vf q = v_fma(v_set(0x1.6d1176p-10f), r, v_set(0x1.120bdap-7f));
    q = v_fma(q, r, v_set(0x1.555518p-5f));
    q = v_fma(q, r, v_set(0x1.5554dcp-3f));
    q = v_fma(q, r, v_set(0.5f));
    const vf e = v_add(v_fma(v_mul(r, r), q, r), v_set(1.0f));
    return v_mul(v_mul(e, v_power2(half)), v_power2(vi_sub(whole, half)));
}

/* 2^t for -127 <= t <= 128, or NaN. A short way for gates and sums, which do not mind the ends: 0 from -126.5 down, infinite from
 * 127.5 up. t = n + f, |f| <= 1/2;  2^f = 1 + f Q(f); n + 127 lies in the low bits of the shifted t and becomes the exponent in one step. */
V_FN vf v_exp2(vf t)
{
    const vf shifted = v_add(t, v_set(V_ROUNDER + 127.0f)), f = v_sub(t, v_sub(shifted, v_set(V_ROUNDER + 127.0f))), s = v_mul(f, f);
    const vf low = v_fma(v_set(0x1.ebfbe0p-3f), f, v_set(0x1.62e430p-1f)), mid = v_fma(v_set(0x1.3b2a54p-7f), f, v_set(0x1.c6af6cp-5f));
    const vf high = v_fma(v_set(0x1.44138ap-13f), f, v_set(0x1.5f0890p-10f)), q = v_fma(v_fma(high, s, mid), s, low);
    return v_mul(v_fma(q, f, v_set(1.0f)), vi_float(vi_shl(v_bits(shifted), 23)));
}

/* e^x in the same short way: 0 from -87.7 down, infinite from 88.4 up. v_exp_low: for x <= 0. */
V_FN vf v_exp_low(vf x)
{
    x = v_max(v_set(-88.0f), x);
    const vf shifted = v_fma(x, v_set(0x1.715476p+0f), v_set(V_ROUNDER + 127.0f)), n = v_sub(shifted, v_set(V_ROUNDER + 127.0f));
    const vf r = v_fnma(n, v_set(0x1.7f7d1cp-20f), v_fnma(n, v_set(0x1.62e4p-1f), x)), s = v_mul(r, r);
    const vf low = v_fma(v_set(0x1.5554dcp-3f), r, v_set(0.5f)), high = v_fma(v_set(0x1.120bdap-7f), r, v_set(0x1.555518p-5f));
    const vf q = v_fma(v_fma(v_set(0x1.6d1176p-10f), s, high), s, low);
    return v_mul(v_add(v_fma(s, q, r), v_set(1.0f)), vi_float(vi_shl(v_bits(shifted), 23)));
}

V_FN vf v_exp_mid(vf x) { return v_exp_low(v_min(v_set(88.7f), x)); }

/* x = 2^n m, m in [sqrt(1/2), sqrt(2));  log m = r - r^2/2 + r^3 P(r), r = m - 1 */
V_FN vf v_log(vf x)
{
    const vm small = v_lt(x, v_set(0x1p-126f));   /* denormals are lifted by 2^24 */
    const vf lifted = v_sel(small, v_mul(x, v_set(0x1p24f)), x);
    const vi biased = vi_sub(v_bits(lifted), v_bits(v_set(0x1.6a09e6p-1f)));
    const vi whole = vi_sar(biased, 23);
    const vf m = vi_float(vi_sub(v_bits(lifted), vi_shl(whole, 23)));
    vf n = v_sub(vi_float(vi_add(whole, v_bits(v_set(V_ROUNDER)))), v_set(V_ROUNDER));
    n = v_sel(small, v_sub(n, v_set(24.0f)), n);
    const vf r = v_sub(m, v_set(1.0f)), s = v_mul(r, r);
    vf p = v_fma(v_set(-0x1.43b246p-4f), r, v_set(0x1.02814ep-3f));
    p = v_fma(p, r, v_set(-0x1.0a33eap-3f));
    p = v_fma(p, r, v_set(0x1.231ce6p-3f));
    p = v_fma(p, r, v_set(-0x1.54d03ep-3f));
    p = v_fma(p, r, v_set(0x1.999f14p-3f));
    p = v_fma(p, r, v_set(-0x1.0000cep-2f));
    p = v_fma(p, r, v_set(0x1.555554p-2f));
    const vf low = v_fma(n, v_set(0x1.7f7d1cp-20f), v_mul(s, v_fma(p, r, v_set(-0.5f))));
    vf y = v_fma(n, v_set(0x1.62e4p-1f), v_add(r, low));
    y = v_add(y, v_sub(x, x));                                      /* a NaN stays; no effect on a finite x */
    y = v_sel(v_lt(v_set(FLT_MAX), x), x, y);                       /* +inf */
    y = v_sel(v_lt(x, v_set(0x1p-149f)), v_set(-INFINITY), y);      /* 0 */
    return v_sel(v_lt(x, v_zero()), v_set(NAN), y);
}

/* |x| < 0.58: x + x^3 P(x^2);  else 1 - 2 / (e^(2|x|) + 1) */
V_FN vf v_tanh(vf x)
{
    const vf a = v_abs(x), s = v_mul(x, x);
    vf p = v_fma(v_set(-0x1.a3d7e4p-8f), s, v_set(0x1.5b41fcp-6f));
    p = v_fma(p, s, v_set(-0x1.b976ecp-5f));
    p = v_fma(p, s, v_set(0x1.110f5cp-3f));
    p = v_fma(p, s, v_set(-0x1.555554p-2f));
    const vf near = v_fma(v_mul(p, s), x, x);
    const vf e = v_exp(v_add(a, a)), far = v_sub(v_set(1.0f), v_div(v_set(2.0f), v_add(e, v_set(1.0f))));
    return v_sel(v_lt(a, v_set(0.58f)), near, v_with_sign(far, x));
}

/* e^(t^2) erfc(t) for t >= 0 up to where erfc underflows: u P(u), u = 1 / (1 + t/2) */
V_FN vf v_erfcx(vf t)
{
    const vf u = v_div(v_set(1.0f), v_fma(v_set(0.5f), t, v_set(1.0f)));
    const vf s = v_mul(u, u), p0 = v_fma(v_set(0x1.2140ccp-2f), u, v_set(0x1.20d9e6p-2f)), p2 = v_fma(v_set(0x1.a597a8p-3f), u, v_set(0x1.f050b6p-3f));
    const vf p4 = v_fma(v_set(0x1.289eeep-2f), u, v_set(-0x1.19d0a6p-5f)), p6 = v_fma(v_set(0x1.28951cp-2f), u, v_set(-0x1.fd7a92p-2f));
    vf p = v_fma(v_set(-0x1.ec7238p-5f), s, p6);
    p = v_fma(p, s, p4);
    p = v_fma(p, s, p2);
    return v_mul(v_fma(p, s, p0), u);
}

/* s - x^2 to the bit for s = x^2 rounded; where multiply-adds round twice, from products of halves of x, which have no rounding error
 * (Dekker 1971) */
V_FN vf v_square_rest(vf x, vf s)
{
    if (V_FUSED) return v_fnma(x, x, s);
    const vf high = vi_float(vi_and(v_bits(x), vi_set(0xfffff000u))), low = v_sub(x, high), cross = v_mul(high, low);
    return v_sub(v_sub(v_sub(s, v_mul(high, high)), v_add(cross, cross)), v_mul(low, low));
}

/* e^(-k x^2), k = 1 or 1/2; the rounding error of x^2 is carried along */
V_FN vf v_gauss(vf x, float k)
{
    const vf s = v_mul(x, x), rest = v_square_rest(x, s), e = v_exp_low(v_mul(v_set(-k), s));
    return v_fma(v_mul(e, v_set(k)), rest, e);
}

/* |x| < 0.9: x P(x^2);  else 1 - erfc(|x|) */
V_FN vf v_erf(vf x)
{
    const vf a = v_min(v_set(11.0f), v_abs(x)), s = v_mul(a, a);
    vf p = v_fma(v_set(-0x1.3ff4e0p-11f), s, v_set(0x1.48a116p-8f));
    p = v_fma(p, s, v_set(-0x1.b6c67ap-6f));
    p = v_fma(p, s, v_set(0x1.ce1e62p-4f));
    p = v_fma(p, s, v_set(-0x1.8126fcp-2f));
    p = v_fma(p, s, v_set(0x1.20dd74p+0f));
    const vf far = v_fnma(v_gauss(a, 1.0f), v_erfcx(a), v_set(1.0f));
    return v_sel(v_lt(a, v_set(0.9f)), v_mul(p, x), v_with_sign(far, x));
}

/* Normal distribution: *cdf = P(Z <= z), returns the density times sqrt(2 pi), e^(-z^2/2). Relative accuracy in both tails. */
V_FN vf v_normal(vf z, vf *cdf)
{
    const vf a = v_min(v_set(15.0f), v_abs(z)), e = v_gauss(a, 0.5f);
    const vf tail = v_mul(v_mul(v_set(0.5f), e), v_erfcx(v_mul(a, v_set(0x1.6a09e6p-1f))));
    *cdf = v_sel(v_lt(z, v_zero()), tail, v_sub(v_set(1.0f), tail));
    return e;
}

/* 1 / (1 + e^-x), and the complement 1 / (1 + e^x); neither overflows */
V_FN vf v_sigmoid(vf x, vf *complement)
{
    const vf e = v_exp_low(v_neg(v_abs(x))), high = v_div(v_set(1.0f), v_add(v_set(1.0f), e)), low = v_mul(e, high);
    const vm below = v_lt(x, v_zero());
    *complement = v_sel(below, high, low);
    return v_sel(below, low, high);
}

#endif
