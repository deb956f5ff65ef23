/* kern/simd/vec_avx.h
 * What AVX lacks of AVX2, under the same names: whole numbers in two halves of 128 bits, and multiply-adds in two steps, rounded
 * twice. Processors of 2011 to 2013 and virtual machines that show no more. */
#ifndef AN_KERN_SIMD_VEC_AVX_H
#define AN_KERN_SIMD_VEC_AVX_H

V_FN __m128i v_avx_low(__m256i a) { return _mm256_castsi256_si128(a); }
V_FN __m128i v_avx_high(__m256i a) { return _mm256_extractf128_si256(a, 1); }
V_FN __m256i v_avx_both(__m128i low, __m128i high) { return _mm256_insertf128_si256(_mm256_castsi128_si256(low), high, 1); }

#define V_AVX_TWO(op) \
    V_FN __m256i v_avx_##op(__m256i a, __m256i b) { return v_avx_both(_mm_##op(v_avx_low(a), v_avx_low(b)), _mm_##op(v_avx_high(a), v_avx_high(b))); }
#define V_AVX_SHIFT(op) \
    V_FN __m256i v_avx_##op(__m256i a, int n) { return v_avx_both(_mm_##op(v_avx_low(a), n), _mm_##op(v_avx_high(a), n)); }
V_AVX_TWO(add_epi32)
V_AVX_TWO(sub_epi32)
V_AVX_TWO(add_epi64)
V_AVX_TWO(mul_epu32)
V_AVX_TWO(cmpeq_epi32)
V_AVX_TWO(cmpgt_epi32)
V_AVX_SHIFT(slli_epi32)
V_AVX_SHIFT(srli_epi32)
V_AVX_SHIFT(srai_epi32)
V_AVX_SHIFT(slli_epi64)
V_AVX_SHIFT(srli_epi64)
#undef V_AVX_TWO
#undef V_AVX_SHIFT

/* What moves bits and no numbers is there for floats, 256 bits at a time. */
#define V_AVX_AS_FLOAT(op, as) \
    V_FN __m256i v_avx_##op(__m256i a, __m256i b) { return _mm256_castps_si256(_mm256_##as(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b))); }
#define V_AVX_AS_DOUBLE(op, as) \
    V_FN __m256i v_avx_##op(__m256i a, __m256i b) { return _mm256_castpd_si256(_mm256_##as(_mm256_castsi256_pd(a), _mm256_castsi256_pd(b))); }
V_AVX_AS_FLOAT(and_si256, and_ps)
V_AVX_AS_FLOAT(or_si256, or_ps)
V_AVX_AS_FLOAT(xor_si256, xor_ps)
V_AVX_AS_FLOAT(unpacklo_epi32, unpacklo_ps)
V_AVX_AS_FLOAT(unpackhi_epi32, unpackhi_ps)
V_AVX_AS_DOUBLE(unpacklo_epi64, unpacklo_pd)
V_AVX_AS_DOUBLE(unpackhi_epi64, unpackhi_pd)
#undef V_AVX_AS_FLOAT
#undef V_AVX_AS_DOUBLE

V_FN __m256i v_avx_blendv_epi8(__m256i no, __m256i yes, __m256i mask)   /* of masks that fill their lanes */
{
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(no), _mm256_castsi256_ps(yes), _mm256_castsi256_ps(mask)));
}
#define v_avx_blend_epi32(a, b, lanes) _mm256_castps_si256(_mm256_blend_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), lanes))

V_FN __m256i v_avx_cvtepu16_epi32(__m128i a) { return v_avx_both(_mm_cvtepu16_epi32(a), _mm_cvtepu16_epi32(_mm_unpackhi_epi64(a, a))); }
V_FN __m256i v_avx_cvtepi8_epi32(__m128i a) { return v_avx_both(_mm_cvtepi8_epi32(a), _mm_cvtepi8_epi32(_mm_srli_si128(a, 4))); }

V_FN __m256 v_avx_fmadd_ps(__m256 a, __m256 b, __m256 c) { return _mm256_add_ps(_mm256_mul_ps(a, b), c); }
V_FN __m256 v_avx_fnmadd_ps(__m256 a, __m256 b, __m256 c) { return _mm256_sub_ps(c, _mm256_mul_ps(a, b)); }
V_FN __m256d v_avx_fmadd_pd(__m256d a, __m256d b, __m256d c) { return _mm256_add_pd(_mm256_mul_pd(a, b), c); }

#endif
