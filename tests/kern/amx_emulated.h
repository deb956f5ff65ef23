/* tests/kern/amx_emulated.h
 * The AMX instructions that kern/amx uses, in plain C, so that it runs under test on any processor: eight tiles of 16 rows of
 * 64 bytes, products of pairs of bfloat16 added to floats. Like the processor, it takes denormal numbers for zero. The names are
 * the intrinsics' own; a use before the shape is loaded, or after release, stops the program.
 * Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, TDPBF16PS */
#ifndef AN_TESTS_AMX_EMULATED_H
#define AN_TESTS_AMX_EMULATED_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local struct { int ready; float tile[8][16][16]; } emulated;

static inline float emulated_flush(float x) { return fabsf(x) < 0x1p-126f ? 0 * x : x; }
static inline void emulated_need(int t) { if (!emulated.ready || t < 0 || t > 7) abort(); }

static inline void emulated_loadconfig(const void *shape)
{
    const unsigned char *bytes = shape;
    for (int t = 0; t < 8; t++)
        if (bytes[0] != 1 || bytes[16 + 2 * t] != 64 || bytes[48 + t] != 16) abort();
    emulated.ready = 1;
}

static inline void emulated_release(void) { emulated.ready = 0; }
static inline void emulated_zero(int t) { emulated_need(t); memset(emulated.tile[t], 0, sizeof emulated.tile[t]); }

static inline void emulated_loadd(int t, const void *p, size_t row)
{
    emulated_need(t);
    for (size_t i = 0; i < 16; i++) memcpy(emulated.tile[t][i], (const char *)p + i * row, 64);
}

static inline void emulated_stored(int t, void *p, size_t row)
{
    emulated_need(t);
    for (size_t i = 0; i < 16; i++) memcpy((char *)p + i * row, emulated.tile[t][i], 64);
}

static inline float emulated_low(const float *row, size_t i)
{
    uint16_t half;
    uint32_t bits;
    float f;
    memcpy(&half, (const char *)row + 2 * i, sizeof half);
    bits = (uint32_t)half << 16;
    memcpy(&f, &bits, sizeof f);
    return emulated_flush(f);
}

static inline void emulated_dpbf16ps(int c, int a, int b)
{
    emulated_need(c);
    emulated_need(a);
    emulated_need(b);
    for (size_t m = 0; m < 16; m++)
        for (size_t k = 0; k < 16; k++)
            for (size_t n = 0; n < 16; n++) {
                float *to = &emulated.tile[c][m][n];
                *to = emulated_flush(*to + emulated_flush(emulated_low(emulated.tile[a][m], 2 * k) * emulated_low(emulated.tile[b][k], 2 * n)));
                *to = emulated_flush(*to + emulated_flush(emulated_low(emulated.tile[a][m], 2 * k + 1) * emulated_low(emulated.tile[b][k], 2 * n + 1)));
            }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stream_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig emulated_loadconfig
#define _tile_release emulated_release
#define _tile_zero emulated_zero
#define _tile_loadd emulated_loadd
#define _tile_stream_loadd emulated_loadd
#define _tile_stored emulated_stored
#define _tile_dpbf16ps emulated_dpbf16ps

#endif
