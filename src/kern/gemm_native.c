/* kern/gemm_native.c
 * Our own product on one thread: three loops of blocks around a packed inner kernel. Packing buffers belong to the calling
 * thread, are made at its first product and go with it; should memory be short, panels on the stack one register tile wide
 * take their place: slower, the same bits, because only the cut along k decides the order of additions.
 * Source: Goto & van de Geijn 2008; Van Zee & van de Geijn 2015, "BLIS". */
#include "kern/gemm_backends.h"

#ifndef AN_F64

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "kern/gemm_micro.h"
#include "kern/kern.h"

static const an_gemm_micro *chosen;
static pthread_key_t buffer_key;
static int have_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The packed block of A, then of B, 64-byte aligned inside `room`. */
typedef struct buffer { size_t count; float room[]; } buffer;

static float *aligned(float *p) { return (float *)(((uintptr_t)p + AN_ALIGN - 1) & ~(uintptr_t)(AN_ALIGN - 1)); }

/* This thread's buffer, of at least `count` elements; NULL when memory is short. */
static float *buffer_get(size_t count)
{
    if (!have_key) return NULL;
    buffer *b = pthread_getspecific(buffer_key);
    if (b && b->count >= count) return b->room;
    free(b);
    b = an_alloc(sizeof *b + count * sizeof *b->room);
    if (b) b->count = count;
    if (pthread_setspecific(buffer_key, b) == 0) return b ? b->room : NULL;
    free(b);
    return NULL;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* The cut along k: equal parts, a function of k alone. */
static size_t k_part(const an_gemm_micro *micro, size_t k)
{
    const size_t parts = (k + micro->kc - 1) / micro->kc, part = (k + parts - 1) / parts;
    return least((part + 7) / 8 * 8, micro->kc);
}

typedef struct product { int ta, tb; size_t m, n, k; const float *a; size_t lda; const float *b; size_t ldb; float beta; float *c; size_t ldc; } product;

static void blocks(const an_gemm_micro *micro, const product *x, size_t mc, size_t nc, float *pa, float *pb)
{
    const size_t kc = k_part(micro, x->k);
    for (size_t j = 0; j < x->n; j += nc) {
        const size_t nb = least(nc, x->n - j);
        for (size_t p = 0; p < x->k; p += kc) {
            const size_t kb = least(kc, x->k - p);
            micro->pack_b(x->tb, nb, kb, x->b + (x->tb ? j * x->ldb + p : p * x->ldb + j), x->ldb, pb);
            for (size_t i = 0; i < x->m; i += mc) {
                const size_t mb = least(mc, x->m - i);
                if (!x->ta && x->n <= AN_GEMM_NARROW) {
                    micro->block_rows(mb, nb, kb, x->a + i * x->lda + p, x->lda, pb, p == 0 ? x->beta : 1.0f, x->c + i * x->ldc + j, x->ldc);
                    continue;
                }
                micro->pack_a(!x->ta, mb, kb, x->a + (x->ta ? p * x->lda + i : i * x->lda + p), x->lda, pa);
                micro->block(mb, nb, kb, pa, pb, p == 0 ? x->beta : 1.0f, x->c + i * x->ldc + j, x->ldc);
            }
        }
    }
}

static void run_on_stack(const an_gemm_micro *micro, const product *x)
{
    float room[AN_GEMM_MOST_KC * AN_GEMM_MOST_MR_NR + 2 * AN_GEMM_SLACK + AN_ALIGN];
    float *pa = aligned(room), *pb = aligned(pa + micro->kc * micro->mr + AN_GEMM_SLACK);
    blocks(micro, x, micro->mr, micro->nr, pa, pb);
}

static void choose(void)
{
    const char *level = an_kern_get()->level;
    (void)level;
#ifdef AN_HAVE_avx2
    if (strcmp(level, "avx2") == 0) chosen = &an_avx2_gemm_micro;
#endif
#ifdef AN_HAVE_avx512
    if (strcmp(level, "avx512") == 0) chosen = &an_avx512_gemm_micro;
#endif
    have_key = pthread_key_create(&buffer_key, free) == 0;
}

/* Both packed blocks, with what packing may write past them and what aligning takes. */
static size_t room_of(const an_gemm_micro *micro) { return micro->kc * (micro->mc + micro->nc) + 2 * (AN_GEMM_SLACK + AN_ALIGN / sizeof(float)); }

void an_gemm_native_with(const an_gemm_micro *micro, int ta, int tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    if (m <= AN_GEMM_FEW && !ta && tb) {
        micro->few(m, n, k, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    pthread_once(&once, choose);
    const product x = { ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc };
    const size_t a_room = micro->kc * micro->mc + AN_GEMM_SLACK;
    float *p = buffer_get(room_of(micro));
    if (!p) {
        run_on_stack(micro, &x);
        return;
    }
    float *pa = aligned(p), *pb = aligned(pa + a_room);
    blocks(micro, &x, micro->mc, micro->nc, pa, pb);
}

static void run(int ta, int tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    an_gemm_native_with(chosen, ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

const an_gemm_backend *an_gemm_native(void)
{
    static an_gemm_backend back = { .run = run };
    pthread_once(&once, choose);
    if (!chosen) return NULL;
    back.name = chosen->name;
    back.thread_bytes = room_of(chosen) * sizeof(float);
    return &back;
}

#else

const an_gemm_backend *an_gemm_native(void) { return NULL; }

#endif
