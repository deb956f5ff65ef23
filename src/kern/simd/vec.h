/* kern/simd/vec.h
 * The small vocabulary the vectorised kernels are written in: VL floats vf, VL 32-bit words vi, lane masks vm, VL/2
 * doubles vd. AVX and AVX2 (VL 8) and AVX-512 (VL 16), chosen by AN_ISA_avx / AN_ISA_avx2 / AN_ISA_avx512. Everything here is one or two
 * instructions; functions (exp, tanh, ...) are in vec_math.h, random words in vec_rng.h.
 *   v_min, v_max   return b when either is NaN: put the value that must keep its NaN second
 *   v_fma          a*b + c        v_fnma  c - a*b   (one rounding where V_FUSED)
 *   v_sum, v_top   over the lanes, always in the same order: halves are folded until one is left
 *   v_stream       stores past the caches to a p that v_aligned; v_stream_end before anyone else may read what was stored
 *   v_tail(n)      mask of the first n lanes, n <= VL; v_load_n gives 0 in the others and reads nothing there
 *   vm_bits, vm_of  a mask as a number, lane 0 its lowest bit, and back
 *   vi_load16, vi_store16, vi_stream16   VL words of 16 bits, in lanes whose upper half is 0
 *   v_get_bf16, v_put_bf16, v_stream_bf16  as v_get, v_put and v_stream, but bfloat16 in memory: widened, and rounded as an_bf16_round does
 *   v_load_int8    VL whole numbers of 8 bits, as floats
 *   V_EACH         a loop over n elements whose last, partial vector is masked */
#ifndef AN_KERN_SIMD_VEC_H
#define AN_KERN_SIMD_VEC_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef AN_SIMDE
#include <immintrin.h>
#endif

#define V_FN static inline __attribute__((always_inline, unused))

/* 256 bits where AVX has no instruction for them; V_FUSED: a multiply-add rounds once */
#ifdef AN_ISA_avx
#include "kern/simd/vec_avx.h"
#define V_OP(op) v_avx_##op
enum { V_FUSED = 0 };
#else
#define V_OP(op) _mm256_##op
enum { V_FUSED = 1 };
#endif

/* Asks for the cache line around p + i, once per line in a loop over i. */
V_FN void v_prefetch(const float *p, size_t i)
{
    if (i % 16 == 0) _mm_prefetch((const char *)(p + i), _MM_HINT_T0);
}

#if defined(AN_ISA_avx512)
enum { VL = 16 };
typedef __m512 vf;
typedef __m512i vi;
typedef __m512d vd;
typedef __mmask16 vm;

V_FN vf v_set(float a) { return _mm512_set1_ps(a); }
V_FN vf v_load(const float *p) { return _mm512_loadu_ps(p); }
V_FN void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
V_FN void v_stream(float *p, vf a) { _mm512_stream_ps(p, a); }
V_FN vm v_tail(size_t n) { return (vm)((1u << n) - 1u); }
V_FN vf v_load_n(const float *p, vm m) { return _mm512_maskz_loadu_ps(m, p); }
V_FN void v_store_n(float *p, vm m, vf a) { _mm512_mask_storeu_ps(p, m, a); }
V_FN vf v_add(vf a, vf b) { return _mm512_add_ps(a, b); }
V_FN vf v_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
V_FN vf v_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
V_FN vf v_div(vf a, vf b) { return _mm512_div_ps(a, b); }
V_FN vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
V_FN vf v_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
V_FN vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
V_FN vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
V_FN vf v_sqrt(vf a) { return _mm512_sqrt_ps(a); }
V_FN vm v_lt(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
V_FN uint32_t vm_bits(vm m) { return m; }
V_FN vm vm_of(uint32_t bits) { return (vm)bits; }
V_FN vf v_sel(vm m, vf yes, vf no) { return _mm512_mask_blend_ps(m, no, yes); }

V_FN vi v_bits(vf a) { return _mm512_castps_si512(a); }
V_FN vf vi_float(vi a) { return _mm512_castsi512_ps(a); }
V_FN vi vi_set(uint32_t a) { return _mm512_set1_epi32((int)a); }
V_FN vi vi_load(const uint32_t *p) { return _mm512_loadu_si512((const void *)p); }
V_FN vi vi_load16(const uint16_t *p) { return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)); }
V_FN void vi_store16(uint16_t *p, vi a) { _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(a)); }
V_FN void vi_stream16(uint16_t *p, vi a) { _mm256_stream_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(a)); }
V_FN vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
V_FN vi vi_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
V_FN vi vi_set64(uint64_t a) { return _mm512_set1_epi64((long long)a); }
V_FN vi vi_add64(vi a, vi b) { return _mm512_add_epi64(a, b); }
V_FN vi vi_and(vi a, vi b) { return _mm512_and_si512(a, b); }
V_FN vi vi_or(vi a, vi b) { return _mm512_or_si512(a, b); }
V_FN vi vi_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
V_FN vi vi_mul_even(vi a, vi b) { return _mm512_mul_epu32(a, b); }   /* 64-bit products of the even words */
V_FN vi vi_even_odd(vi even, vi odd) { return _mm512_mask_blend_epi32(0xaaaa, even, odd); }
V_FN vi vi_lo32(vi a, vi b) { return _mm512_unpacklo_epi32(a, b); }  /* interleave inside each 128 bits */
V_FN vi vi_hi32(vi a, vi b) { return _mm512_unpackhi_epi32(a, b); }
V_FN vi vi_lo64(vi a, vi b) { return _mm512_unpacklo_epi64(a, b); }
V_FN vi vi_hi64(vi a, vi b) { return _mm512_unpackhi_epi64(a, b); }
#define vi_shl(a, n) _mm512_slli_epi32(a, n)
#define vi_shr(a, n) _mm512_srli_epi32(a, n)
#define vi_sar(a, n) _mm512_srai_epi32(a, n)
#define vi_shl64(a, n) _mm512_slli_epi64(a, n)
#define vi_shr64(a, n) _mm512_srli_epi64(a, n)
V_FN vm vi_less(vi a, vi b) { return _mm512_cmpgt_epi32_mask(b, a); }   /* signed a < b */
V_FN vi vi_sel(vm m, vi yes, vi no) { return _mm512_mask_blend_epi32(m, no, yes); }

V_FN vf v_load_int8(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p))); }
V_FN vi vi_nearest(vf a) { return _mm512_cvtps_epi32(a); }                /* to nearest even */
V_FN void vi_store(int32_t *p, vi a) { _mm512_storeu_si512((void *)p, a); }

V_FN vd vd_set(double a) { return _mm512_set1_pd(a); }
V_FN vd vd_lo(vf a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
V_FN vd vd_hi(vf a) { return _mm512_cvtps_pd(_mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1))); }
V_FN vd vd_load(const double *p) { return _mm512_loadu_pd(p); }
V_FN void vd_store(double *p, vd a) { _mm512_storeu_pd(p, a); }
V_FN vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
V_FN vd vd_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
V_FN vd vd_fma(vd a, vd b, vd c) { return _mm512_fmadd_pd(a, b, c); }

V_FN __m256 v_half(vf a, int high) { return high ? _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)) : _mm512_castps512_ps256(a); }
V_FN __m256 v_fold_add(vf a) { return _mm256_add_ps(v_half(a, 0), v_half(a, 1)); }
V_FN __m256 v_fold_max(vf a) { return _mm256_max_ps(v_half(a, 0), v_half(a, 1)); }
V_FN __m256d vd_fold(vd a) { return _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1)); }

#elif defined(AN_ISA_avx2) || defined(AN_ISA_avx)
enum { VL = 8 };
typedef __m256 vf;
typedef __m256i vi;
typedef __m256d vd;
typedef __m256i vm;

V_FN vf v_set(float a) { return _mm256_set1_ps(a); }
V_FN vf v_load(const float *p) { return _mm256_loadu_ps(p); }
V_FN void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
V_FN void v_stream(float *p, vf a) { _mm256_stream_ps(p, a); }
V_FN vm v_tail(size_t n)
{
    static const int32_t ones[16] = { -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0 };
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - n));
}
V_FN vf v_load_n(const float *p, vm m) { return _mm256_maskload_ps(p, m); }
V_FN void v_store_n(float *p, vm m, vf a) { _mm256_maskstore_ps(p, m, a); }
V_FN vf v_add(vf a, vf b) { return _mm256_add_ps(a, b); }
V_FN vf v_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
V_FN vf v_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
V_FN vf v_div(vf a, vf b) { return _mm256_div_ps(a, b); }
V_FN vf v_fma(vf a, vf b, vf c) { return V_OP(fmadd_ps)(a, b, c); }
V_FN vf v_fnma(vf a, vf b, vf c) { return V_OP(fnmadd_ps)(a, b, c); }
V_FN vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
V_FN vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
V_FN vf v_sqrt(vf a) { return _mm256_sqrt_ps(a); }
V_FN vm v_lt(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
V_FN uint32_t vm_bits(vm m) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(m)); }
V_FN vm vm_of(uint32_t bits)
{
    const __m256i lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return V_OP(cmpeq_epi32)(V_OP(and_si256)(_mm256_set1_epi32((int)bits), lane), lane);
}
V_FN vf v_sel(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m)); }

V_FN vi v_bits(vf a) { return _mm256_castps_si256(a); }
V_FN vf vi_float(vi a) { return _mm256_castsi256_ps(a); }
V_FN vi vi_set(uint32_t a) { return _mm256_set1_epi32((int)a); }
V_FN vi vi_load(const uint32_t *p) { return _mm256_loadu_si256((const __m256i *)(const void *)p); }
V_FN vi vi_load16(const uint16_t *p) { return V_OP(cvtepu16_epi32)(_mm_loadu_si128((const __m128i *)(const void *)p)); }
V_FN __m128i vi_low16(vi a) { return _mm_packus_epi32(_mm256_castsi256_si128(a), _mm256_extractf128_si256(a, 1)); }
V_FN void vi_store16(uint16_t *p, vi a) { _mm_storeu_si128((__m128i *)(void *)p, vi_low16(a)); }
V_FN void vi_stream16(uint16_t *p, vi a) { _mm_stream_si128((__m128i *)(void *)p, vi_low16(a)); }
V_FN vi vi_add(vi a, vi b) { return V_OP(add_epi32)(a, b); }
V_FN vi vi_sub(vi a, vi b) { return V_OP(sub_epi32)(a, b); }
V_FN vi vi_set64(uint64_t a) { return _mm256_set1_epi64x((long long)a); }
V_FN vi vi_add64(vi a, vi b) { return V_OP(add_epi64)(a, b); }
V_FN vi vi_and(vi a, vi b) { return V_OP(and_si256)(a, b); }
V_FN vi vi_or(vi a, vi b) { return V_OP(or_si256)(a, b); }
V_FN vi vi_xor(vi a, vi b) { return V_OP(xor_si256)(a, b); }
V_FN vi vi_mul_even(vi a, vi b) { return V_OP(mul_epu32)(a, b); }   /* 64-bit products of the even words */
V_FN vi vi_even_odd(vi even, vi odd) { return V_OP(blend_epi32)(even, odd, 0xaa); }
V_FN vi vi_lo32(vi a, vi b) { return V_OP(unpacklo_epi32)(a, b); }  /* interleave inside each 128 bits */
V_FN vi vi_hi32(vi a, vi b) { return V_OP(unpackhi_epi32)(a, b); }
V_FN vi vi_lo64(vi a, vi b) { return V_OP(unpacklo_epi64)(a, b); }
V_FN vi vi_hi64(vi a, vi b) { return V_OP(unpackhi_epi64)(a, b); }
#define vi_shl(a, n) V_OP(slli_epi32)(a, n)
#define vi_shr(a, n) V_OP(srli_epi32)(a, n)
#define vi_sar(a, n) V_OP(srai_epi32)(a, n)
#define vi_shl64(a, n) V_OP(slli_epi64)(a, n)
#define vi_shr64(a, n) V_OP(srli_epi64)(a, n)
V_FN vm vi_less(vi a, vi b) { return V_OP(cmpgt_epi32)(b, a); }   /* signed a < b */
V_FN vi vi_sel(vm m, vi yes, vi no) { return V_OP(blendv_epi8)(no, yes, m); }

V_FN vf v_load_int8(const int8_t *p) { return _mm256_cvtepi32_ps(V_OP(cvtepi8_epi32)(_mm_loadl_epi64((const __m128i *)(const void *)p))); }
V_FN vi vi_nearest(vf a) { return _mm256_cvtps_epi32(a); }                /* to nearest even */
V_FN void vi_store(int32_t *p, vi a) { _mm256_storeu_si256((__m256i *)(void *)p, a); }

V_FN vd vd_set(double a) { return _mm256_set1_pd(a); }
V_FN vd vd_lo(vf a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
V_FN vd vd_hi(vf a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
V_FN vd vd_load(const double *p) { return _mm256_loadu_pd(p); }
V_FN void vd_store(double *p, vd a) { _mm256_storeu_pd(p, a); }
V_FN vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
V_FN vd vd_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
V_FN vd vd_fma(vd a, vd b, vd c) { return V_OP(fmadd_pd)(a, b, c); }

V_FN __m256 v_fold_add(vf a) { return a; }
V_FN __m256 v_fold_max(vf a) { return a; }
V_FN __m256d vd_fold(vd a) { return a; }

#else
#error "kern/simd is compiled with AN_ISA_avx, AN_ISA_avx2 or AN_ISA_avx512"
#endif

/* Up to VL elements: all of them when left >= VL (a constant in full loops, so the choice costs nothing there). */
V_FN vf v_get(const float *p, size_t left) { return left >= VL ? v_load(p) : v_load_n(p, v_tail(left)); }
V_FN void v_put(float *p, size_t left, vf a)
{
    if (left >= VL) v_store(p, a);
    else v_store_n(p, v_tail(left), a);
}

V_FN vf v_get_bf16(const uint16_t *p, size_t left)
{
    uint16_t few[VL] = { 0 };
    if (left < VL) memcpy(few, p, left * sizeof *few);
    return vi_float(vi_shl(vi_load16(left >= VL ? p : few), 16));
}

/* Rounded to bfloat16, as an_bf16_round does, in the lower halves. NaN stays NaN. */
V_FN vi v_round_bf16(vf a)
{
    const vi bits = v_bits(a), half = vi_shr(bits, 16), nearest = vi_shr(vi_add(vi_add(bits, vi_set(0x7fffu)), vi_and(half, vi_set(1))), 16);
    return vi_sel(vi_less(vi_set(0x7f800000u), vi_and(bits, vi_set(0x7fffffffu))), vi_or(half, vi_set(0x40u)), nearest);
}

V_FN void v_put_bf16(uint16_t *p, size_t left, vf a)
{
    const vi low = v_round_bf16(a);
    uint16_t few[VL];
    vi_store16(left >= VL ? p : few, low);
    if (left < VL) memcpy(p, few, left * sizeof *few);
}

/* Of a whole vector, to a p on 2 VL bytes. */
V_FN void v_stream_bf16(uint16_t *p, vf a) { vi_stream16(p, v_round_bf16(a)); }

/* Runs the block once per vector of [0, n): i is the first element, left how many from there (VL, at the end fewer). */
#define V_EACH(n, i, left, ...)                                                   \
    do {                                                                          \
        size_t i = 0;                                                             \
        for (; i + VL <= (n); i += VL) { const size_t left = VL; __VA_ARGS__ }    \
        if (i < (n)) { const size_t left = (n) - i; __VA_ARGS__ }                 \
    } while (0)

V_FN int v_aligned(const float *p) { return (uintptr_t)p % (VL * sizeof(float)) == 0; }
V_FN void v_stream_end(void) { _mm_sfence(); }
enum { V_AHEAD = 256 };   /* reals that a kernel which memory binds asks for ahead (SPEED.md) */

V_FN vf v_zero(void) { return v_set(0.0f); }
V_FN vf v_abs(vf a) { return vi_float(vi_and(v_bits(a), vi_set(0x7fffffffu))); }
V_FN vf v_neg(vf a) { return vi_float(vi_xor(v_bits(a), vi_set(0x80000000u))); }
V_FN vf v_with_sign(vf size, vf sign) { return vi_float(vi_or(v_bits(size), vi_and(v_bits(sign), vi_set(0x80000000u)))); }   /* size >= 0 */

V_FN float v_sum(vf a)
{
    const __m256 w = v_fold_add(a);
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_shuffle_ps(h, h, 1)));
}

V_FN float v_top(vf a)   /* largest lane; lanes must hold no NaN to be sure of a number */
{
    const __m256 w = v_fold_max(a);
    __m128 h = _mm_max_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
    h = _mm_max_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_max_ss(h, _mm_shuffle_ps(h, h, 1)));
}

V_FN double vd_sum(vd a)
{
    const __m256d w = vd_fold(a);
    const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(w), _mm256_extractf128_pd(w, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
}

#endif
