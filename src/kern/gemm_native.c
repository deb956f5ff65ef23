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

static const an_gemm_micro *chosen, *chosen_low;
static pthread_key_t buffer_key;
static int have_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The packed block of A, then of B, 64-byte aligned inside `room`. */
typedef struct buffer { size_t bytes; char room[]; } buffer;

static char *aligned(char *p) { return (char *)(((uintptr_t)p + AN_ALIGN - 1) & ~(uintptr_t)(AN_ALIGN - 1)); }

/* This thread's buffer, of at least so many bytes; NULL when memory is short. */
static char *buffer_get(size_t bytes)
{
    if (!have_key) return NULL;
    buffer *b = pthread_getspecific(buffer_key);
    if (b && b->bytes >= bytes) return b->room;
    free(b);
    b = an_alloc(sizeof *b + bytes);
    if (b) b->bytes = bytes;
    if (pthread_setspecific(buffer_key, b) == 0) return b ? b->room : NULL;
    free(b);
    return NULL;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* The cut along k: equal parts, a function of k alone. */
static size_t k_part(const an_gemm_micro *micro, size_t k)
{
    const size_t parts = (k + micro->kc - 1) / micro->kc, part = (k + parts - 1) / parts, step = micro->kr < 8 ? 8 : micro->kr;
    return least((part + step - 1) / step * step, micro->kc);
}

static size_t filled(size_t n, size_t step) { return (n + step - 1) / step * step; }

/* Vectors packed ahead lie in one block per cut along k, each as if it were packed alone: where vector `at` of the block from p on begins. */
static char *ahead(const an_gemm_micro *micro, size_t unit, size_t n, size_t at, size_t p, size_t kb, const void *base)
{
    return (char *)(uintptr_t)base + (p * filled(n, unit) + at * filled(kb, micro->kr)) * micro->unit;
}

void an_gemm_native_pack(const an_gemm_micro *micro, an_side side, int trans, size_t n, size_t k, an_operand x, size_t from, size_t count, void *out)
{
    const size_t unit = side == AN_SIDE_A ? micro->mr : micro->nr, kc = k_part(micro, k);
    for (size_t p = 0; p < k; p += kc) {
        const size_t kb = least(kc, k - p), panel = unit * filled(kb, micro->kr);
        const size_t begin = trans || from < p ? p : from, end = trans ? p + kb : least(p + kb, from + count);
        if (begin >= end) continue;
        char *to = ahead(micro, unit, n, trans ? from : 0, p, kb, out) + (begin - p) * unit * micro->unit;
        const an_operand of = an_operand_at(x, trans ? from : begin, trans ? p : 0);
        (side == AN_SIDE_A ? micro->pack_a : micro->pack_b)(trans, trans ? count : n, end - begin, of, to, panel);
    }
}

/* Where a block goes: to C, or to a room of its own that is added to C when it is complete. */
typedef struct target { float *c; size_t ldc; float beta; } target;

/* C of mb x nb at x's row i, column j, over the part of k from p on. */
static void one_block(const an_gemm_micro *micro, const an_product *x, size_t i, size_t mb, size_t nb, size_t p, size_t kb, const void *b, void *pa, target to)
{
    const an_operand rows = an_operand_at(x->a, x->ta ? p : i, x->ta ? i : p);
    const float beta = p == 0 ? to.beta : 1.0f;
    const void *a = pa;
    if (micro->block_rows && !x->ta && x->n <= AN_GEMM_NARROW && x->a.store == AN_STORE_REAL && !x->ahead_a.p) {
        micro->block_rows(mb, nb, kb, rows.p, rows.ld, b, beta, to.c, to.ldc);
        return;
    }
    if (x->ahead_a.p) a = ahead(micro, micro->mr, x->ahead_a.n, x->ahead_a.at + i, p, kb, x->ahead_a.p);
    else micro->pack_a(!x->ta, mb, kb, rows, pa, micro->mr * filled(kb, micro->kr));
    micro->block(mb, nb, kb, a, b, beta, to.c, to.ldc);
}

/* The part of B from column j on, packed: ahead, or now. */
static const void *part_of_b(const an_gemm_micro *micro, const an_product *x, size_t j, size_t nb, size_t p, size_t kb, void *pb)
{
    if (x->ahead_b.p) return ahead(micro, micro->nr, x->ahead_b.n, x->ahead_b.at + j, p, kb, x->ahead_b.p);
    micro->pack_b(x->tb, nb, kb, an_operand_at(x->b, x->tb ? j : p, x->tb ? p : j), pb, micro->nr * filled(kb, micro->kr));
    return pb;
}

static void merge(const float *sums, size_t m, size_t n, float beta, float *c, size_t ldc)
{
    for (size_t i = 0; i < m; i++, sums += n, c += ldc)
        if (beta == 0) memcpy(c, sums, n * sizeof *c);
        else
            for (size_t j = 0; j < n; j++) c[j] = beta * c[j] + sums[j];
}

/* c holds sums of mc x span, b what is packed of nc columns. */
typedef struct rooms { void *a, *b; float *c; size_t mc, nc, span; } rooms;

/* n vectors in equal parts of at most `most`, whole panels. */
static size_t even(size_t n, size_t most, size_t unit) { const size_t parts = (n + most - 1) / most; return filled((n + parts - 1) / parts, unit); }

/* All of k for a block of C at a time, as many rows as the room holds of these columns. */
static void blocks_apart(const an_gemm_micro *micro, const an_product *x, const rooms *room)
{
    const size_t kc = k_part(micro, x->k);
    for (size_t j = 0; j < x->n; j += room->span) {
        const size_t n = least(room->span, x->n - j), rows = even(x->m, room->mc * room->span / filled(n, micro->nr) / room->mc * room->mc, micro->mr);
        const int whole = !x->sink && x->beta == 0 && x->ldc == n;       /* C lies as the room would */
        for (size_t i = 0; i < x->m; i += rows) {
            const size_t m = least(rows, x->m - i), high = even(m, room->mc, micro->mr);
            float *c = x->sink ? NULL : x->c + i * x->ldc + j, *to = whole ? c : room->c;
            for (size_t p = 0; p < x->k; p += kc)
                for (size_t jn = 0; jn < n; jn += room->nc) {
                    const size_t kb = least(kc, x->k - p), nb = least(room->nc, n - jn);
                    const void *b = part_of_b(micro, x, j + jn, nb, p, kb, room->b);
                    for (size_t in = 0; in < m; in += high)
                        one_block(micro, x, i + in, least(high, m - in), nb, p, kb, b, room->a, (target){ to + in * n + jn, n, 0 });
                }
            if (x->sink) x->sink->take(x->sink, i, j, m, n, to, n);
            else if (!whole) merge(to, m, n, x->beta, c, x->ldc);
        }
    }
}

static void blocks_in_place(const an_gemm_micro *micro, const an_product *x, const rooms *room)
{
    const size_t kc = k_part(micro, x->k), high = even(x->m, room->mc, micro->mr);
    for (size_t j = 0; j < x->n; j += room->nc)
        for (size_t p = 0; p < x->k; p += kc) {
            const size_t nb = least(room->nc, x->n - j), kb = least(kc, x->k - p);
            const void *b = part_of_b(micro, x, j, nb, p, kb, room->b);
            for (size_t i = 0; i < x->m; i += high)
                one_block(micro, x, i, least(high, x->m - i), nb, p, kb, b, room->a, (target){ x->c + i * x->ldc + j, x->ldc, x->beta });
        }
}

static void blocks(const an_gemm_micro *micro, const an_product *x, const rooms *room)
{
    if (micro->apart) blocks_apart(micro, x, room);
    else blocks_in_place(micro, x, room);
}

/* Bytes of a packed block of so many vectors, with what packing may write past it and what aligning takes. */
static size_t room_of(const an_gemm_micro *micro, size_t vectors) { return (micro->kc * vectors + AN_GEMM_SLACK) * micro->unit + AN_ALIGN; }

static size_t buffer_bytes(const an_gemm_micro *micro)
{
    return room_of(micro, micro->mc) + room_of(micro, micro->nc) + (micro->apart ? micro->mc * micro->nc * sizeof(float) + AN_ALIGN : 0);
}

static void run_on_stack(const an_gemm_micro *micro, const an_product *x)
{
    char room[(AN_GEMM_MOST_KC * AN_GEMM_MOST_MR_NR + 2 * AN_GEMM_SLACK) * sizeof(float) + 2 * AN_ALIGN];
    _Alignas(AN_ALIGN) float sums[AN_GEMM_MOST_MR * AN_SINK_WIDTH];
    char *pa = aligned(room), *pb = aligned(pa + room_of(micro, micro->mr) - AN_ALIGN);
    blocks(micro, x, &(rooms){ pa, pb, sums, micro->mr, micro->nr, AN_SINK_WIDTH });
}

static void choose(void)
{
    const char *level = an_kern_get()->level;
    (void)level;
#ifdef AN_HAVE_simd
    static const struct { const char *level; const an_gemm_micro *micro; } MICRO[] = {
#define LEVEL(isa) { #isa, &an_##isa##_gemm_micro },
#include "kern/simd/levels.def"
#undef LEVEL
    };
    for (size_t i = 0; strcmp(level, "ref") != 0 && i < sizeof MICRO / sizeof *MICRO; i++) {   /* a level above them all has the last one's */
        chosen = MICRO[i].micro;
        if (strcmp(level, MICRO[i].level) == 0) break;
    }
#endif
    chosen_low = chosen;
#ifdef AN_HAVE_amx
    if (strcmp(level, "amx") == 0) chosen_low = &an_amx_gemm_micro;
#endif
    have_key = pthread_key_create(&buffer_key, free) == 0;
}

void an_gemm_native_with(const an_gemm_micro *micro, const an_product *x)
{
    if (an_gemm_empty(x->m, x->n, x->k, x->beta, x->c, x->ldc)) return;
    if (micro->few && x->m <= AN_GEMM_FEW && !x->ta && x->tb && x->a.store == AN_STORE_REAL && x->b.store == AN_STORE_REAL) {
        micro->few(x->m, x->n, x->k, x->a.p, x->a.ld, x->b.p, x->b.ld, x->beta, x->c, x->ldc);
        return;
    }
    pthread_once(&once, choose);
    char *p = buffer_get(buffer_bytes(micro));
    if (!p) {
        run_on_stack(micro, x);
        return;
    }
    char *pa = aligned(p), *pb = aligned(pa + room_of(micro, micro->mc) - AN_ALIGN), *sums = aligned(pb + room_of(micro, micro->nc) - AN_ALIGN);
    blocks(micro, x, &(rooms){ pa, pb, (float *)(void *)sums, micro->mc, micro->nc, micro->nc });
}

static void run(int ta, int tb, size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc)
{
    an_gemm_native_with(chosen, &(an_product){ ta, tb, m, n, k, { a, lda, AN_STORE_REAL }, { b, ldb, AN_STORE_REAL }, .beta = beta, .c = c, .ldc = ldc });
}

static void run_low(int ta, int tb, size_t m, size_t n, size_t k, an_operand a, an_operand b, float beta, float *c, size_t ldc)
{
    an_gemm_native_with(chosen_low, &(an_product){ ta, tb, m, n, k, a, b, .beta = beta, .c = c, .ldc = ldc });
}

static void pack(an_side side, int trans, size_t n, size_t k, an_operand x, size_t from, size_t count, void *out) { an_gemm_native_pack(chosen, side, trans, n, k, x, from, count, out); }
static void pack_low(an_side side, int trans, size_t n, size_t k, an_operand x, size_t from, size_t count, void *out) { an_gemm_native_pack(chosen_low, side, trans, n, k, x, from, count, out); }
static void run_ahead(const an_product *x) { an_gemm_native_with(chosen, x); }
static void run_ahead_low(const an_product *x) { an_gemm_native_with(chosen_low, x); }

const an_gemm_backend *an_gemm_native(void)
{
    static an_gemm_packing real = { .pack = pack, .run = run_ahead }, low_one = { .pack = pack_low, .run = run_ahead_low };
    static an_gemm_backend back = { .run = run, .run_low = run_low, .ahead = &real, .ahead_low = &low_one };
    pthread_once(&once, choose);
    if (!chosen) return NULL;
    back.name = chosen->name;
    real.unit_a = chosen->mr, real.unit_b = chosen->nr;
    low_one.unit_a = chosen_low->mr, low_one.unit_b = chosen_low->nr;
    real.sinks = chosen->apart, low_one.sinks = chosen_low->apart;
    back.low_unit = chosen_low->unit == sizeof(float) ? NULL : "amx";
    back.thread_bytes = buffer_bytes(chosen);
    back.low_thread_bytes = buffer_bytes(chosen_low);
    return &back;
}

#else

const an_gemm_backend *an_gemm_native(void) { return NULL; }

#endif
