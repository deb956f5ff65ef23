/* kern/gemm_onednn.c
 * oneDNN's sgemm, and, where tiles multiply bf16 and both operands are stored so, its matmul primitive: the yardstick of the native
 * kernels in both precisions (ADDNORM_GEMM=onednn). It is held on the calling thread, also outside a parallel region: see
 * an_threads_hold. Signals wait until it returns: some of its AVX and AVX-512 code points the stack pointer at a block from malloc,
 * and the system would write a handler's frame below that block, over whatever lies there (seen with 2.6.3; 0.2 us a product).
 * Faults do not wait. */
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

typedef struct hold { sigset_t before; int threads; } hold;

static hold hold_begin(void)
{
    hold h;
    pthread_sigmask(SIG_BLOCK, &late, &h.before);
    h.threads = an_threads_hold();
    return h;
}

static void hold_end(const hold *h)
{
    an_threads_release(h->threads);
    pthread_sigmask(SIG_SETMASK, &h->before, NULL);
}

static void run(int ta, int tb, size_t m, size_t n, size_t k, const an_real *a, size_t lda, const an_real *b, size_t ldb, an_real beta, an_real *c, size_t ldc)
{
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    const hold held = hold_begin();
    const dnnl_status_t status = dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1.0f,
        a, (dnnl_dim_t)lda, b, (dnnl_dim_t)ldb, beta, c, (dnnl_dim_t)ldc);
    hold_end(&held);
    if (status != dnnl_success) an_gemm_ref()->run(ta, tb, m, n, k, a, lda, b, ldb, beta, c, ldc);   /* refused before it wrote */
}

/* --- operands in bf16 ------------------------------------------------------------------------------------------ */

/* Everything one product needs of the library, which makes a primitive once for each shape and keeps it (its cache of primitives). */
enum { LEFT, RIGHT, RESULT, MATRICES };
typedef struct matmul {
    dnnl_memory_desc_t as[MATRICES];
    dnnl_memory_t at[MATRICES];
    dnnl_primitive_attr_t attr;
    dnnl_post_ops_t onto;
    dnnl_primitive_desc_t description;
    dnnl_primitive_t primitive;
    dnnl_stream_t stream;
} matmul;

static dnnl_engine_t engine;

/* The calls in which API 2.x and 3.x differ: a matrix by its strides, its memory, what is there times a number, a product of described matrices. */
#if DNNL_VERSION_MAJOR < 3
static dnnl_status_t describe(dnnl_memory_desc_t *as, const dnnl_dims_t size, dnnl_data_type_t type, const dnnl_dims_t stride) { return dnnl_memory_desc_init_by_strides(as, 2, size, type, stride); }
static dnnl_status_t place(dnnl_memory_t *at, const dnnl_memory_desc_t *as, void *p) { return dnnl_memory_create(at, as, engine, p); }
static void forget(dnnl_memory_desc_t *as) { (void)as; }
static dnnl_status_t add(dnnl_post_ops_t onto, float beta) { return dnnl_post_ops_append_sum(onto, beta); }
static dnnl_status_t plan(matmul *x)
{
    dnnl_matmul_desc_t of;
    const dnnl_status_t status = dnnl_matmul_desc_init(&of, &x->as[LEFT], &x->as[RIGHT], NULL, &x->as[RESULT]);
    return status == dnnl_success ? dnnl_primitive_desc_create(&x->description, &of, x->attr, engine, NULL) : status;
}
#else
static dnnl_status_t describe(dnnl_memory_desc_t *as, const dnnl_dims_t size, dnnl_data_type_t type, const dnnl_dims_t stride) { return dnnl_memory_desc_create_with_strides(as, 2, size, type, stride); }
static dnnl_status_t place(dnnl_memory_t *at, const dnnl_memory_desc_t *as, void *p) { return dnnl_memory_create(at, *as, engine, p); }
static void forget(dnnl_memory_desc_t *as) { dnnl_memory_desc_destroy(*as); }
static dnnl_status_t add(dnnl_post_ops_t onto, float beta) { return dnnl_post_ops_append_sum(onto, beta, 0, dnnl_data_type_undef); }
static dnnl_status_t plan(matmul *x) { return dnnl_matmul_primitive_desc_create(&x->description, engine, x->as[LEFT], x->as[RIGHT], NULL, x->as[RESULT], x->attr); }
#endif

static dnnl_status_t matrix(matmul *x, int which, size_t rows, size_t cols, int trans, size_t ld, dnnl_data_type_t type, const void *p)
{
    const dnnl_dims_t size = { (dnnl_dim_t)rows, (dnnl_dim_t)cols }, stride = { trans ? 1 : (dnnl_dim_t)ld, trans ? (dnnl_dim_t)ld : 1 };
    const dnnl_status_t status = describe(&x->as[which], size, type, stride);
    return status == dnnl_success ? place(&x->at[which], &x->as[which], (void *)(uintptr_t)p) : status;
}

static dnnl_status_t add_onto(matmul *x, float beta)
{
    dnnl_status_t status = dnnl_post_ops_create(&x->onto);
    if (status == dnnl_success) status = add(x->onto, beta);
    if (status == dnnl_success) status = dnnl_primitive_attr_create(&x->attr);
    return status == dnnl_success ? dnnl_primitive_attr_set_post_ops(x->attr, x->onto) : status;
}

static dnnl_status_t multiply(matmul *x, float beta)
{
    dnnl_status_t status = beta == 0 ? dnnl_success : add_onto(x, beta);
    if (status == dnnl_success) status = plan(x);
    if (status == dnnl_success) status = dnnl_primitive_create(&x->primitive, x->description);
    if (status == dnnl_success) status = dnnl_stream_create(&x->stream, engine, dnnl_stream_default_flags);
    if (status != dnnl_success) return status;
    const dnnl_exec_arg_t arguments[MATRICES] = { { DNNL_ARG_SRC, x->at[LEFT] }, { DNNL_ARG_WEIGHTS, x->at[RIGHT] }, { DNNL_ARG_DST, x->at[RESULT] } };
    status = dnnl_primitive_execute(x->primitive, x->stream, MATRICES, arguments);
    return status == dnnl_success ? dnnl_stream_wait(x->stream) : status;
}

static void release(matmul *x)
{
    dnnl_stream_destroy(x->stream);
    dnnl_primitive_destroy(x->primitive);
    dnnl_primitive_desc_destroy(x->description);
    dnnl_primitive_attr_destroy(x->attr);
    dnnl_post_ops_destroy(x->onto);
    for (int i = 0; i < MATRICES; i++) {
        dnnl_memory_destroy(x->at[i]);
        forget(&x->as[i]);
    }
}

/* The library takes no operand in reals beside one in bf16: such products are the native kernels'. */
static void run_low(int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, an_real beta, an_real *c, size_t ldc)
{
    if (an_gemm_empty(m, n, k, beta, c, ldc)) return;
    dnnl_status_t status = dnnl_unimplemented;
    if (a.store == AN_STORE_BF16 && b.store == AN_STORE_BF16) {
        matmul x = { .primitive = NULL };
        const hold held = hold_begin();
        status = matrix(&x, LEFT, m, k, ta, a.ld, dnnl_bf16, a.p);
        if (status == dnnl_success) status = matrix(&x, RIGHT, k, n, tb, b.ld, dnnl_bf16, b.p);
        if (status == dnnl_success) status = matrix(&x, RESULT, m, n, 0, ldc, dnnl_f32, c);
        if (status == dnnl_success) status = multiply(&x, beta);
        release(&x);
        hold_end(&held);
    }
    if (status != dnnl_success) an_gemm_native()->run_low(ta, tb, m, n, k, a, b, beta, c, ldc);
}

static char name[48];
static an_gemm_backend back = { .name = name, .run = run };

static void fill(void)
{
    an_signals_but_faults(&late);
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const bool wide = isa >= dnnl_cpu_isa_avx512_core, tiles = (isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
    back.thread_bytes = wide ? 3 << 20 : 3 << 19;                     /* seen with 2.6.3 */
    back.process_bytes = wide ? 7 << 20 : 4 << 20;
    const an_gemm_backend *native = an_gemm_native();
    if (native && native->low_unit && tiles && dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success) {
        back.run_low = run_low;
        back.low_unit = native->low_unit;
        back.low_thread_bytes = 2 << 20;
    }
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
