/* cli/bench_stream.c
 * Plain streams: what memory gives to code that does nothing else, for any number of arrays read and written. This is the
 * limit a kernel that is bound by memory can be held to, so it has to be the best such code: stores past the caches are
 * tried beside ordinary ones, because these read every line before they write it, and lines are asked for ahead. SSE2 is enough: the stream waits for memory. */
#include "cli/bench.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

enum { AHEAD = 256 };   /* floats that lines are asked for ahead: a processor's own prefetching is cautious at the ends of pages */

static volatile float sink;   /* keeps sums that nobody reads */

/* Where the line at float i of the full arrays lies in one that is half as wide (low); such arrays move with every second line. */
INLINE size_t place(size_t i, bool low) { return low ? i / 2 : i; }

/* All counts and past: constants once inlined. One cache line of each array at a time. */
INLINE void move_lines(const float *const *from, int reads, int low_reads, float *const *to, int writes, int low_writes, bool past, size_t n)
{
#if defined(__SSE2__)
    const __m128 half = _mm_set1_ps(0.5f);
    __m128 sum[4] = { half, half, half, half };
    for (size_t i = 0; i + 16 <= n; i += 16) {
        const bool odd = i / 16 % 2 != 0;
        const int read = odd ? reads - low_reads : reads, written = odd ? writes - low_writes : writes;
        __m128 v[4];
        for (int r = 0; r < read; r++) _mm_prefetch((const char *)(from[r] + place(i, r >= reads - low_reads) + AHEAD), _MM_HINT_T0);
        for (size_t j = 0; j < 4; j++) {
            v[j] = _mm_load_ps(from[0] + i + 4 * j);
            for (int r = 1; r < read; r++) v[j] = _mm_mul_ps(_mm_add_ps(v[j], _mm_load_ps(from[r] + place(i, r >= reads - low_reads) + 4 * j)), half);
            if (writes == 0) sum[j] = _mm_add_ps(sum[j], v[j]);
        }
        for (int w = 0; w < written; w++)
            for (size_t j = 0; j < 4; j++) {
                float *p = to[w] + place(i, w >= writes - low_writes) + 4 * j;
                if (past) _mm_stream_ps(p, v[j]);
                else _mm_store_ps(p, v[j]);
            }
    }
    if (past) _mm_sfence();
    if (writes == 0) sink = _mm_cvtss_f32(_mm_add_ps(_mm_add_ps(sum[0], sum[1]), _mm_add_ps(sum[2], sum[3])));
#else
    float sum = 0;
    (void)past;
    for (size_t i = 0; i < n; i++) {
        const int read = i % 2 ? reads - low_reads : reads, written = i % 2 ? writes - low_writes : writes;
        float v = from[0][i];
        for (int r = 1; r < read; r++) v = (v + from[r][place(i, r >= reads - low_reads)]) * 0.5f;
        for (int w = 0; w < written; w++) to[w][place(i, w >= writes - low_writes)] = v;
        sum += v;
    }
    if (writes == 0) sink = sum;
#endif
}

/* In place: every line read is written where it was, but for the last reads - writes arrays. */
INLINE void move(const an_bench_stream *s, size_t first, size_t n, int reads, int writes, int low_reads, int low_writes)
{
    const float *from[AN_STREAM_MOST];
    float *to[AN_STREAM_MOST];
    for (int r = 0; r < reads; r++) from[r] = s->array[r] + place(first, r >= reads - low_reads);
    for (int w = 0; w < writes; w++) to[w] = s->array[s->in_place ? w : reads + w] + place(first, w >= writes - low_writes);
    if (s->past) move_lines(from, reads, low_reads, to, writes, low_writes, true, n);
    else move_lines(from, reads, low_reads, to, writes, low_writes, false, n);
}

void an_bench_stream_part(void *ctx, size_t i, int thread)
{
    const an_bench_stream *s = ctx;
    const size_t n = s->count / s->parts, first = n * i;
    (void)thread;
    switch (s->low_writes * 1000 + s->low_reads * 100 + s->reads * 10 + s->writes) {
    case 10: move(s, first, n, 1, 0, 0, 0); break;
    case 11: move(s, first, n, 1, 1, 0, 0); break;
    case 21: move(s, first, n, 2, 1, 0, 0); break;
    case 22: move(s, first, n, 2, 2, 0, 0); break;
    case 31: move(s, first, n, 3, 1, 0, 0); break;
    case 32: move(s, first, n, 3, 2, 0, 0); break;
    case 1011: move(s, first, n, 1, 1, 0, 1); break;
    case 121: move(s, first, n, 2, 1, 1, 0); break;
    case 1122: move(s, first, n, 2, 2, 1, 1); break;
    case 131: move(s, first, n, 3, 1, 1, 0); break;
    case 132: move(s, first, n, 3, 2, 1, 0); break;
    default: move(s, first, n, 4, 3, 0, 0); break;
    }
}
