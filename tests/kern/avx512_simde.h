/* tests/kern/avx512_simde.h
 * AVX-512 on any machine: included in front of every src/kern/simd source when it is compiled a third time, for the tests
 * only. SIMDe supplies most intrinsics under their own names; the few it lacks are spelled out here, lane by lane. */
#ifndef AN_TESTS_KERN_AVX512_SIMDE_H
#define AN_TESTS_KERN_AVX512_SIMDE_H

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#include <simde/x86/f16c.h>

#define AN_EMULATED static inline __attribute__((unused))

AN_EMULATED simde__m512 an_emulated_maskz_loadu_ps(simde__mmask16 m, const float *p)
{
    float lane[16];
    for (int i = 0; i < 16; i++) lane[i] = m >> i & 1 ? p[i] : 0.0f;
    return simde_mm512_loadu_ps(lane);
}

AN_EMULATED void an_emulated_mask_storeu_ps(float *p, simde__mmask16 m, simde__m512 a)
{
    float lane[16];
    simde_mm512_storeu_ps(lane, a);
    for (int i = 0; i < 16; i++)
        if (m >> i & 1) p[i] = lane[i];
}

AN_EMULATED simde__m512d an_emulated_cvtps_pd(simde__m256 a)
{
    float from[8];
    double to[8];
    simde_mm256_storeu_ps(from, a);
    for (int i = 0; i < 8; i++) to[i] = (double)from[i];
    return simde_mm512_loadu_pd(to);
}

AN_EMULATED simde__m512i an_emulated_srai_epi32(simde__m512i a, unsigned n)
{
    int32_t lane[16];
    simde_mm512_storeu_si512(lane, a);
    for (int i = 0; i < 16; i++) lane[i] >>= n;
    return simde_mm512_loadu_si512(lane);
}

AN_EMULATED simde__m512i an_emulated_cvtepu16_epi32(simde__m256i a)
{
    uint16_t from[16];
    uint32_t to[16];
    simde_mm256_storeu_si256((simde__m256i *)(void *)from, a);
    for (int i = 0; i < 16; i++) to[i] = from[i];
    return simde_mm512_loadu_si512(to);
}

AN_EMULATED simde__m256i an_emulated_cvtepi32_epi16(simde__m512i a)
{
    uint32_t from[16];
    uint16_t to[16];
    simde_mm512_storeu_si512(from, a);
    for (int i = 0; i < 16; i++) to[i] = (uint16_t)from[i];
    return simde_mm256_loadu_si256((const simde__m256i *)(const void *)to);
}

AN_EMULATED simde__m512i an_emulated_cvtepi8_epi32(simde__m128i a)
{
    int8_t from[16];
    int32_t to[16];
    simde_mm_storeu_si128((simde__m128i *)(void *)from, a);
    for (int i = 0; i < 16; i++) to[i] = from[i];
    return simde_mm512_loadu_si512(to);
}

AN_EMULATED simde__m512 an_emulated_cvtepi32_ps(simde__m512i a)
{
    int32_t from[16];
    float to[16];
    simde_mm512_storeu_si512(from, a);
    for (int i = 0; i < 16; i++) to[i] = (float)from[i];
    return simde_mm512_loadu_ps(to);
}

AN_EMULATED simde__m512i an_emulated_cvtps_epi32(simde__m512 a)
{
    float from[16];
    int32_t to[16];
    simde_mm512_storeu_ps(from, a);
    for (int i = 0; i < 16; i++) to[i] = from[i] >= -0x1p31f && from[i] < 0x1p31f ? (int32_t)lrintf(from[i]) : INT32_MIN;   /* to nearest even; else the indefinite integer */
    return simde_mm512_loadu_si512(to);
}

AN_EMULATED void an_emulated_stream_ps(float *p, simde__m512 a)
{
    if ((uintptr_t)p % 64) __builtin_trap();   /* as the processor does */
    simde_mm512_storeu_ps(p, a);
}

#undef _mm512_stream_ps
#undef _mm512_maskz_loadu_ps
#undef _mm512_mask_storeu_ps
#undef _mm512_cvtps_pd
#undef _mm512_srai_epi32
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_epi16
#define _mm512_stream_ps an_emulated_stream_ps
#define _mm512_maskz_loadu_ps an_emulated_maskz_loadu_ps
#define _mm512_mask_storeu_ps an_emulated_mask_storeu_ps
#define _mm512_cvtps_pd an_emulated_cvtps_pd
#define _mm512_cvtepu16_epi32 an_emulated_cvtepu16_epi32
#define _mm512_cvtepi32_epi16 an_emulated_cvtepi32_epi16
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtps_epi32
#define _mm512_cvtps_epi32 an_emulated_cvtps_epi32
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi8_epi32 an_emulated_cvtepi8_epi32
#define _mm512_cvtepi32_ps an_emulated_cvtepi32_ps
#define _mm512_srai_epi32 an_emulated_srai_epi32

#endif
