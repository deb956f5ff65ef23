/* core/cpu.c
 * cpuid leaves 1, 7 and 0x80000002..4, XGETBV for the register state the system saves, and the deterministic cache
 * leaves (4 on Intel, 0x8000001D on AMD), with sysconf where they are empty. Uses no instruction newer than x86-64.
 * AMX needs one permission per process, asked here (arch_prctl ARCH_REQ_XCOMP_PERM; a refusal means no AMX). */
#include "core/cpu.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "core/threads.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#endif

enum { L3_SHARE = 16 << 20 };   /* of L3, for each processor that we may run on: no processor at hand has more */

static an_cpu_info info;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
typedef struct regs { unsigned a, b, c, d; } regs;

static regs leaf(unsigned number, unsigned sub)
{
    regs r = { 0, 0, 0, 0 };
    if ((unsigned)__get_cpuid_max(number & 0x80000000u, NULL) >= number) __cpuid_count(number, sub, r.a, r.b, r.c, r.d);
    return r;
}

static int bit(unsigned word, int i) { return (word >> i) & 1u; }

static uint64_t saved_state(void)   /* XCR0; 0 when the system does not use XSAVE */
{
    if (!bit(leaf(1, 0).c, 27)) return 0;
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int tiles_permitted(void)
{
#if defined(__linux__)
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
#else
    return 0;
#endif
}

static void read_features(void)
{
    const regs one = leaf(1, 0), seven = leaf(7, 0);
    const uint64_t saved = saved_state();
    const int ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xe6) == 0xe6, tmm = (saved & 0x60000) == 0x60000;
    info.avx = ymm && bit(one.c, 28);
    info.avx2 = info.avx && bit(one.c, 12) && bit(one.c, 29) && bit(seven.b, 5);
    info.avx512 = info.avx2 && zmm && bit(seven.b, 16) && bit(seven.b, 17) && bit(seven.b, 30) && bit(seven.b, 31);
    info.amx = info.avx512 && tmm && bit(seven.d, 22) && bit(seven.d, 24) && tiles_permitted();
}

static void read_name(void)
{
    char text[49] = "";
    for (unsigned i = 0; i < 3; i++) {
        const regs r = leaf(0x80000002u + i, 0);
        memcpy(text + 16 * i, &r, 16);
    }
    const char *start = text;
    while (*start == ' ') start++;
    if (*start) memcpy(info.name, start, strlen(start) + 1);
}

static void read_caches(unsigned number)
{
    for (unsigned sub = 0; sub < 16; sub++) {
        const regs r = leaf(number, sub);
        const unsigned type = r.a & 31u, level = (r.a >> 5) & 7u;   /* 1 data, 2 code, 3 both, 0 no more */
        if (type == 0) return;
        const size_t ways = (r.b >> 22) + 1, parts = ((r.b >> 12) & 1023u) + 1, line = (r.b & 4095u) + 1, sets = (size_t)r.c + 1;
        const size_t bytes = ways * parts * line * sets;
        if (level == 1 && type != 2) info.l1d = bytes;
        if (level == 2 && type != 2) info.l2 = bytes;
        if (level == 3 && type != 2) info.l3 = bytes;
    }
}
#endif

static void ask_system(size_t *bytes, int what)
{
    const long n = sysconf(what);
    if (*bytes == 0 && n > 0) *bytes = (size_t)n;
}

static void detect(void)
{
    memcpy(info.name, "unknown", sizeof "unknown");
#if defined(__x86_64__)
    read_features();
    read_name();
    read_caches(4);
    if (info.l1d == 0) read_caches(0x8000001Du);
#endif
#if defined(_SC_LEVEL1_DCACHE_SIZE)
    ask_system(&info.l1d, _SC_LEVEL1_DCACHE_SIZE);
    ask_system(&info.l2, _SC_LEVEL2_CACHE_SIZE);
    ask_system(&info.l3, _SC_LEVEL3_CACHE_SIZE);
#endif
    const size_t share = (size_t)L3_SHARE * (size_t)an_threads_available();
    info.kept = info.l3 < share ? info.l3 : share;
}

const an_cpu_info *an_cpu(void)
{
    pthread_once(&once, detect);
    return &info;
}
