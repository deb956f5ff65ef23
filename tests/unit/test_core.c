/* core: status, arenas and the allocation hook, randomness, threads. */
#include "unit.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>

#include "core/arena.h"
#include "core/cpu.h"
#include "core/rng.h"
#include "core/threads.h"

static void sentences_travel(void **state)
{
    (void)state;
    assert_int_equal(an_fail(AN_ECONFIG, "n_head: %d", 5), AN_ECONFIG);
    assert_string_equal(an_error_text(), "n_head: 5");
    assert_int_equal(an_fail_prefix(AN_EDATA, "config.yaml:%d", 3), AN_EDATA);
    assert_string_equal(an_error_text(), "config.yaml:3: n_head: 5");
    assert_int_equal(an_fail(AN_EIO, "again: %s", an_error_text()), AN_EIO);        /* the old sentence as an argument */
    assert_string_equal(an_error_text(), "again: config.yaml:3: n_head: 5");
    static const struct { an_status status; int code; } CODE[] = { { AN_OK, 0 }, { AN_ENOMEM, 1 }, { AN_ECONFIG, 2 }, { AN_EFORMAT, 3 }, { AN_EDIVERGED, 4 }, { AN_EINTERRUPTED, 75 } };
    for (size_t i = 0; i < COUNT(CODE); i++) assert_int_equal(an_status_exit_code(CODE[i].status), CODE[i].code);
    assert_string_equal(an_status_name(AN_EDIVERGED), "AN_EDIVERGED");
}

static void arena_gives_aligned_zeros(void **state)
{
    (void)state;
    an_arena arena = { 0 };
    for (size_t n = 0; n < 300; n += 7) {
        unsigned char *p = an_arena_alloc(&arena, n * n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n * n; i++) assert_int_equal(p[i], 0);
        memset(p, 255, n * n);
    }
    assert_string_equal(an_arena_printf(&arena, "%s.%d", "layers", 3), "layers.3");
    an_arena_fini(&arena);
    an_arena_fini(&arena);
}

/* Each level of instructions comes with those below it; of L3 no more is counted on than is there, nor more than 16 MiB a processor. */
static void processor(void **state)
{
    (void)state;
    const an_cpu_info *cpu = an_cpu();
    assert_true((!cpu->amx || cpu->avx512) && (!cpu->avx512 || cpu->avx2) && (!cpu->avx2 || cpu->avx));
    assert_true(cpu->kept <= cpu->l3 && cpu->kept <= (size_t)an_threads_available() * (16u << 20) && (cpu->kept > 0) == (cpu->l3 > 0));
    assert_true(cpu->name[0] != '\0');
}

/* Large enough for large pages, and no multiple of their size. */
static void a_large_block_is_zeros(void **state)
{
    (void)state;
    an_block b;
    assert_ok(an_block_init(&b, 5 * 1024 * 1024 + 3, "test"));
    assert_int_equal((uintptr_t)b.data % AN_ALIGN, 0);
    for (size_t i = 0; i < b.count; i += 509) assert_true(b.data[i] == 0);
    b.data[b.count - 1] = 1;
    an_block_fini(&b);
    assert_null(b.data);
}

/* The flags that the system keeps of the mapping around p; "" where it does not tell. */
static void mapping_flags(const void *p, char flags[512])
{
    char line[512];
    unsigned long from, to;
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    flags[0] = '\0';
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) here = (uintptr_t)p >= from && (uintptr_t)p < to;
        if (here && strncmp(line, "VmFlags:", 8) == 0) snprintf(flags, 512, "%.500s", line + 8);
    }
    if (f) fclose(f);
}

/* Whether the system writes down that large pages were asked for: not all do, nor emulated ones. */
static bool wishes_are_kept(void)
{
    char flags[512] = "";
#ifdef MADV_HUGEPAGE
    const size_t bytes = 8u << 20;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    if (madvise(p, bytes, MADV_HUGEPAGE) == 0) mapping_flags(p, flags);
    munmap(p, bytes);
#endif
    return strstr(flags, " hg") != NULL;
}

/* A wish that no result shows, so the system's own books are looked at: of a large block, and of a small one, which has none. */
static void large_blocks_ask_for_large_pages(void **state)
{
    (void)state;
    char flags[512];
    if (!wishes_are_kept()) skip();
    for (int large = 0; large < 2; large++) {
        an_block b;
        assert_ok(an_block_init(&b, (large ? 32u << 20 : 1u << 20) / sizeof(an_real), "test"));
        mapping_flags(b.data + b.count / 2, flags);
        an_block_fini(&b);
        if (large) assert_non_null(strstr(flags, " hg"));
        else assert_null(strstr(flags, " hg"));
    }
}

static void blocks(void **state)
{
    (void)state;
    an_block b;
    assert_ok(an_block_init(&b, 1000, "test"));
    assert_int_equal((uintptr_t)b.data % AN_ALIGN, 0);
    for (size_t i = 0; i < b.count; i++) assert_true(b.data[i] == 0);
    an_block_fini(&b);
    assert_ok(an_block_init(&b, 0, "test"));
    assert_null(b.data);
    assert_fails(an_block_init(&b, SIZE_MAX / 2, "activations"), AN_ENOMEM, "activations");
}

static void allocations_fail_on_demand(void **state)
{
    (void)state;
    an_block b;
    for (size_t n = 1; n < 5; n++) {
        an_alloc_fail_after(n);
        for (size_t i = 1; i < n; i++) {
            void *p = an_alloc(8);
            assert_non_null(p);
            free(p);
        }
        assert_null(an_alloc(8));
        void *p = an_alloc(8);                           /* once only */
        assert_non_null(p);
        free(p);
    }
    an_alloc_fail_after(1);
    assert_fails(an_block_init(&b, 10, "moments"), AN_ENOMEM, "moments");
    an_alloc_fail_after(1);
    assert_null(an_strdup("x"));
    an_alloc_fail_after(0);
}

static void sizes_do_not_wrap(void **state)
{
    (void)state;
    size_t r = 7;
    assert_true(an_size_mul(3, 5, &r) && r == 15);
    assert_false(an_size_mul(SIZE_MAX, 2, &r));
    assert_false(an_size_add(SIZE_MAX, 1, &r));
    assert_int_equal(r, 15);
}

static void philox_known_answers(void **state)
{
    (void)state;
    /* from the distribution of Random123 (kat_vectors, philox4x32 10) */
    uint32_t out[4];
    an_philox((an_rng_key){ { 0, 0 } }, (const uint32_t[4]){ 0, 0, 0, 0 }, out);
    assert_true(out[0] == 0x6627e8d5 && out[1] == 0xe169c58d && out[2] == 0xbc57ac4c && out[3] == 0x9b00dbd8);
    an_philox((an_rng_key){ { 0xffffffff, 0xffffffff } }, (const uint32_t[4]){ 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, out);
    assert_true(out[0] == 0x408f276d && out[1] == 0x41c83b0e && out[2] == 0xa20bc7c6 && out[3] == 0x6d5451fd);
}

static void moments_of_the_draws(void **state)
{
    (void)state;
    enum { N = 200000 };
    const an_rng_key key = an_rng_key_make(1, 2, 3);
    double mean = 0, square = 0, fourth = 0, uniform = 0, low = 1, high = 0;
    for (uint64_t i = 0; i < N; i++) {
        const double x = an_rng_normal(key, i), u = an_rng_uniform(key, i);
        mean += x / N;
        square += x * x / N;
        fourth += x * x * x * x / N;
        uniform += u / N;
        low = u < low ? u : low;
        high = u > high ? u : high;
    }
    assert_true(fabs(mean) < 5 / sqrt(N));
    assert_true(fabs(square - 1) < 5 * sqrt(2.0 / N));
    assert_true(fabs(fourth - 3) < 5 * sqrt(96.0 / N));
    assert_true(fabs(uniform - 0.5) < 5 * sqrt(1.0 / 12 / N));
    assert_true(low > 0 && low < 1e-4 && high < 1 && high > 1 - 1e-4);
}

static void keys_and_indices_matter(void **state)
{
    (void)state;
    const an_rng_key a = an_rng_key_make(1, 2, 3);
    const an_rng_key other[] = { an_rng_key_make(2, 2, 3), an_rng_key_make(1, 3, 3), an_rng_key_make(1, 2, 4), an_rng_key_make(1, 2, 3ull << 32), an_rng_key_make(1ull << 32, 2, 3) };
    for (size_t i = 0; i < COUNT(other); i++) assert_true(an_rng_u32(a, 0) != an_rng_u32(other[i], 0));
    assert_true(an_rng_u32(a, 5) == an_rng_u32(a, 5));
    assert_true(an_rng_u32(a, 5) != an_rng_u32(a, 5 + (1ull << 40)));
}

static void permutations(void **state)
{
    (void)state;
    static char seen[5000];
    for (uint64_t n = 1; n <= 5000; n = n * 2 + (n % 3)) {
        const an_rng_key key = an_rng_key_make(n, AN_RNG_SHUFFLE, 0);
        uint64_t fixed = 0;
        memset(seen, 0, sizeof seen);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t p = an_rng_permute(key, n, i);
            assert_true(p < n && !seen[p]);
            seen[p] = 1;
            fixed += p == i;
        }
        if (n > 20) assert_true(fixed < 10);
    }
}

typedef struct job { atomic_int ran[1000]; int most; } job;

static void part(void *ctx, size_t i, int thread)
{
    job *j = ctx;
    atomic_fetch_add(&j->ran[i], thread >= 0 && thread < j->most ? 1 : 100);
}

static void each_part_runs_once(void **state)
{
    (void)state;
    static job j;
    for (int threads = 1; threads <= 4; threads++)
        for (size_t n = 0; n <= 1000; n = n * 3 + 1) {
            memset(&j, 0, sizeof j);
            j.most = threads;
            an_parallel_for(threads, n, part, &j);
            for (size_t i = 0; i < 1000; i++) assert_int_equal(atomic_load(&j.ran[i]), i < n ? 1 : 0);
        }
    assert_true(an_threads_available() >= 1);
}

#if defined(__x86_64__) || defined(__aarch64__)
static float product(float x, float by)
{
    volatile float y = x;
    return y * by;
}

/* A small operand, and a small result. */
static void look_for_tiny(void *ctx, size_t i, int thread)
{
    (void)thread;
    atomic_fetch_add((atomic_int *)ctx + i, (product(2e-39f, 1e10f) != 0) + (product(0x1p-126f, 0.5f) != 0));
}

static void tiny_numbers_are_zero_in_parts_alone(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 4; threads++) {
        atomic_int seen[100] = { 0 };
        an_parallel_for(threads, 100, look_for_tiny, seen);
        for (size_t i = 0; i < 100; i++) assert_int_equal(atomic_load(&seen[i]), 0);
        assert_true(product(2e-39f, 1e10f) > 0 && product(0x1p-126f, 0.5f) > 0);
    }
}
#else
static void tiny_numbers_are_zero_in_parts_alone(void **state) { (void)state; }
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_travel), cmocka_unit_test(arena_gives_aligned_zeros), cmocka_unit_test(blocks), cmocka_unit_test(a_large_block_is_zeros), cmocka_unit_test(large_blocks_ask_for_large_pages), cmocka_unit_test(processor),
        cmocka_unit_test(allocations_fail_on_demand),
        cmocka_unit_test(sizes_do_not_wrap), cmocka_unit_test(philox_known_answers), cmocka_unit_test(moments_of_the_draws), cmocka_unit_test(keys_and_indices_matter),
        cmocka_unit_test(permutations), cmocka_unit_test(each_part_runs_once), cmocka_unit_test(tiny_numbers_are_zero_in_parts_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
