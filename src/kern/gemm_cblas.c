/* kern/gemm_cblas.c
 * Any CBLAS: sgemm in the product, dgemm in the double build. The library is kept on the calling thread: OpenMP builds by
 * an_threads_hold around the call, libraries with threads of their own by the switch they export, found by weak symbols
 * so that one binary serves whichever BLAS the loader brings. */
#include "kern/gemm_backends.h"

#ifdef AN_HAVE_CBLAS

#include <cblas.h>
#include <pthread.h>

#include "core/threads.h"

extern int openblas_get_parallel(void) __attribute__((weak));   /* 0 sequential, 1 own threads, 2 OpenMP */
extern void openblas_set_num_threads(int) __attribute__((weak));
extern void bli_thread_set_num_threads(long) __attribute__((weak));
extern void MKL_Set_Num_Threads(int) __attribute__((weak));

static void one_thread(void)
{
    if (openblas_get_parallel && openblas_set_num_threads && openblas_get_parallel() == 1) openblas_set_num_threads(1);
    if (bli_thread_set_num_threads) bli_thread_set_num_threads(1);
    if (MKL_Set_Num_Threads) MKL_Set_Num_Threads(1);
}

static void run(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc)
{
    const CBLAS_TRANSPOSE at = ta ? CblasTrans : CblasNoTrans, bt = tb ? CblasTrans : CblasNoTrans;
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    if (!an_gemm_fits_int(m, n, k, lda, ldb, ldc)) {
        an_gemm_ref()->run(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);
        return;
    }
    const int held = an_threads_hold();
#ifdef AN_F64
    cblas_dgemm(CblasRowMajor, at, bt, (int)m, (int)n, (int)k, 1.0, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#else
    cblas_sgemm(CblasRowMajor, at, bt, (int)m, (int)n, (int)k, 1.0f, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
#endif
    an_threads_release(held);
}

const an_gemm_backend *an_gemm_cblas(void)
{
    static const an_gemm_backend back = { .name = "cblas", .thread_bytes = 2 << 20 /* seen with OpenBLAS 0.3.21 */, .run = run };
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, one_thread);
    return &back;
}

#else

const an_gemm_backend *an_gemm_cblas(void) { return NULL; }

#endif
