/* kern/gemm_onednn.c
 * oneDNN's sgemm, whose C interface is the same in API 2.x and 3.x (the matmul primitive's is not, and it must be created
 * per shape). f32 only. It is held on the calling thread, also outside a parallel region: see an_threads_hold. Signals wait
 * until it returns: some of its AVX and AVX-512 code points the stack pointer at a block from malloc, and the system would write
 * a handler's frame below that block, over whatever lies there (seen with 2.6.3; 0.2 us a product). Faults do not wait. */
#include "kern/gemm_backends.h"

#if defined(AN_HAVE_ONEDNN) && !defined(AN_F64)

#include <dnnl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/faults.h"
#include "core/threads.h"

#if DNNL_VERSION_MAJOR < 2
#error "oneDNN 2.0 or newer is needed; configure with -DAN_WITH_ONEDNN=OFF"
#endif

static sigset_t late;   /* the signals that wait */

static void run(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc)
{
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    sigset_t before;
    pthread_sigmask(SIG_BLOCK, &late, &before);
    const int held = an_threads_hold();
    const dnnl_status_t status = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1.0f,
        a, (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc);
    an_threads_release(held);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != dnnl_success) an_gemm_ref()->run(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);   /* refused before it wrote */
}

static char name[48];
static an_gemm_backend back = { .name = name, .run = run };

static void fill(void)
{
    an_signals_but_faults(&late);
    const bool wide = dnnl_get_effective_cpu_isa() >= dnnl_cpu_isa_avx512_core;
    back.thread_bytes = wide ? 3 << 20 : 3 << 19;                     /* seen with 2.6.3 */
    back.process_bytes = wide ? 7 << 20 : 4 << 20;
    const dnnl_version_t *v = dnnl_version();   /* of the library loaded, not of the header */
    snprintf(name, sizeof name, "onednn %d.%d.%d", v->major, v->minor, v->patch);
}

const an_gemm_backend *an_gemm_onednn(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill);
    return &back;
}

#else

const an_gemm_backend *an_gemm_onednn(void) { return NULL; }

#endif
