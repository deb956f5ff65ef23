/* train/tensorboard: files read back by a reader of this test's own (bitwise CRC, generic protobuf walk), known CRCs, resumed
 * runs, full disks, and every failing allocation. The real TensorBoard reads them in tests/parity/check_tensorboard.py. */
#include "unit.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/file.h"
#include "train/tensorboard.h"

/* --- an independent reader ------------------------------------------------------------------------------------------- */

typedef struct event {
    double wall_time, min, max, num, sum, sum_squares;
    uint64_t step;
    char version[32], tag[64];
    int started, has_scalar;
    float scalar;
    size_t n_limits, n_buckets;
    double limit[64], bucket[64];
} event;

typedef struct bytes { const unsigned char *p; size_t n; } bytes;

static uint64_t number(const unsigned char *p, size_t n)
{
    uint64_t value = 0;
    while (n-- > 0) value = value << 8 | p[n];
    return value;
}

static double real(const unsigned char *p)
{
    const uint64_t bits = number(p, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bitwise_masked_crc(bytes b)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < 8 * b.n; i++) {
        const uint32_t bit = (crc ^ (uint32_t)(b.p[i / 8] >> i % 8)) & 1;
        crc = crc >> 1 ^ (bit ? 0x82F63B78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u;
}

static uint64_t varint(bytes *b)
{
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        assert_true(b->n > 0 && shift < 64);
        const unsigned char c = *b->p++;
        b->n--;
        value |= (uint64_t)(c & 127) << shift;
        if (c < 128) return value;
    }
}

/* The next field: its number, and its bytes (of a varint: the value). */
static unsigned field(bytes *b, bytes *content, uint64_t *value)
{
    const uint64_t key = varint(b);
    if ((key & 7) == 0) { *value = varint(b); return (unsigned)(key >> 3); }
    assert_true((key & 7) == 1 || (key & 7) == 2 || (key & 7) == 5);
    const uint64_t size = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : varint(b);
    assert_true(size <= b->n);
    *content = (bytes){ b->p, (size_t)size };
    b->p += size;
    b->n -= (size_t)size;
    return (unsigned)(key >> 3);
}

static size_t reals(bytes b, double *out)
{
    assert_true(b.n % 8 == 0 && b.n / 8 <= 64);
    for (size_t i = 0; i < b.n / 8; i++) out[i] = real(b.p + 8 * i);
    return b.n / 8;
}

static void read_histogram(bytes b, event *e)
{
    double *const number_of[] = { &e->min, &e->max, &e->num, &e->sum, &e->sum_squares };
    while (b.n > 0) {
        bytes c = { 0 };
        uint64_t v = 0;
        const unsigned f = field(&b, &c, &v);
        assert_true(f >= 1 && f <= 7);
        if (f <= 5) { assert_int_equal(c.n, 8); *number_of[f - 1] = real(c.p); }
        if (f == 6) e->n_limits = reals(c, e->limit);
        if (f == 7) e->n_buckets = reals(c, e->bucket);
    }
}

static void read_value(bytes b, event *e)
{
    while (b.n > 0) {
        bytes c = { 0 };
        uint64_t v = 0;
        const unsigned f = field(&b, &c, &v);
        assert_true(f == 1 || f == 2 || f == 5);
        if (f == 1) { assert_true(c.n < sizeof e->tag); memcpy(e->tag, c.p, c.n); }
        if (f == 2) {
            const uint32_t bits = (uint32_t)number(c.p, 4);
            assert_int_equal(c.n, 4);
            memcpy(&e->scalar, &bits, 4);
            e->has_scalar = 1;
        }
        if (f == 5) read_histogram(c, e);
    }
}

static event read_event(bytes b)
{
    event e = { 0 };
    while (b.n > 0) {
        bytes c = { 0 }, inner = { 0 };
        uint64_t v = 0;
        switch (field(&b, &c, &v)) {
        case 1: assert_int_equal(c.n, 8); e.wall_time = real(c.p); break;
        case 2: e.step = v; break;
        case 3: assert_true(c.n < sizeof e.version); memcpy(e.version, c.p, c.n); break;
        case 5: assert_int_equal(field(&c, &inner, &v), 1); assert_int_equal(c.n, 0); read_value(inner, &e); break;
        case 7: assert_int_equal(field(&c, &inner, &v), 1); e.started = v == 1; break;
        case 10: assert_int_equal(field(&c, &inner, &v), 1); assert_int_equal(inner.n, 7); assert_memory_equal(inner.p, "addnorm", 7); break;
        default: fail_msg("unknown field");
        }
    }
    return e;
}

/* The events of the file; a record cut off by the end is as good as none, anything else must be right. */
static size_t read_file(const char *path, event *out, size_t room)
{
    an_map map;
    size_t n = 0;
    assert_ok(an_map_open(&map, path));
    bytes b = { map.data, map.size };
    while (b.n >= 12) {
        const uint64_t size = number(b.p, 8);
        assert_int_equal(number(b.p + 8, 4), bitwise_masked_crc((bytes){ b.p, 8 }));
        if (size + 16 > b.n) break;
        const bytes message = { b.p + 12, (size_t)size };
        assert_int_equal(number(b.p + 12 + size, 4), bitwise_masked_crc(message));
        assert_true(n < room);
        out[n++] = read_event(message);
        b.p += size + 16;
        b.n -= (size_t)size + 16;
    }
    an_map_close(&map);
    return n;
}

/* The k-th file of RUN/tb, in the order of their names. */
static const char *file_of(const char *run, size_t k, size_t of)
{
    static char path[1024];
    char **names;
    size_t count;
    char *folder = an_path_join(run, "tb");
    assert_non_null(folder);
    assert_ok(an_dir_list(folder, &names, &count));
    assert_int_equal(count, of);
    snprintf(path, sizeof path, "%s/%s", folder, names[k]);
    an_dir_list_free(names, count);
    free(folder);
    return path;
}

/* --- tests ------------------------------------------------------------------------------------------------------------ */

static event events[2048];

static void known_crcs(void **state)
{
    (void)state;
    unsigned char b[32];                                     /* RFC 3720, B.4 */
    memset(b, 0, 32);
    assert_int_equal(an_tensorboard_crc32c(b, 32), 0x8A9136AAu);
    memset(b, 0xFF, 32);
    assert_int_equal(an_tensorboard_crc32c(b, 32), 0x62A8AB43u);
    for (unsigned char i = 0; i < 32; i++) b[i] = i;
    assert_int_equal(an_tensorboard_crc32c(b, 32), 0x46DD794Eu);
    for (unsigned char i = 0; i < 32; i++) b[i] = (unsigned char)(31 - i);
    assert_int_equal(an_tensorboard_crc32c(b, 32), 0x113FDB5Cu);
    assert_int_equal(an_tensorboard_crc32c("123456789", 9), 0xE3069283u);
    assert_int_equal(an_tensorboard_crc32c("", 0), 0);
}

static void scalars_come_back(void **state)
{
    (void)state;
    static const struct { uint64_t step; const char *tag, *read; double value; } WANT[] = {
        { 0, "train/loss", "train/loss", 5.5451774444795623 }, { 127, "train/loss", "train/loss", -0.0 }, { 128, "a", "a", 1e-42 }, { 1ull << 40, "lr", "lr", 3e-4 },
        { 7, "", "", (double)INFINITY }, { 7, "bad/\xff\xc3", "bad/\\xFF\\xC3", 1e300 }, { 8, "n\xc3\xa9", "n\xc3\xa9", (double)NAN }, { UINT64_MAX >> 1, "x", "x", 1 } };
    const char *run = unit_path("scalars");
    const double before = an_clock_wall();
    an_tensorboard *tb;
    assert_ok(an_tensorboard_open(&tb, run, false, 0));
    for (size_t i = 0; i < COUNT(WANT); i++) assert_ok(an_tensorboard_scalar(tb, WANT[i].step, WANT[i].tag, WANT[i].value));
    assert_int_equal(read_file(file_of(run, 0, 1), events, COUNT(events)), 2);   /* held until flushed */
    assert_ok(an_tensorboard_flush(tb));
    assert_int_equal(read_file(file_of(run, 0, 1), events, COUNT(events)), 2 + COUNT(WANT));
    assert_string_equal(events[0].version, "brain.Event:2");
    assert_true(events[1].started && events[1].step == 0);
    for (size_t i = 0; i < COUNT(WANT); i++) {
        const event *e = events + 2 + i;
        const float want = (float)WANT[i].value;
        assert_true(e->has_scalar && e->step == WANT[i].step);
        assert_string_equal(e->tag, WANT[i].read);
        assert_true(memcmp(&want, &e->scalar, sizeof want) == 0);
        assert_true(e->wall_time >= before && e->wall_time <= an_clock_wall());
    }
    an_tensorboard_close(tb);
}

static void histograms_come_back(void **state)
{
    (void)state;
    static const double LIMIT[] = { -1, -0.5, 0, 0.5, 1, DBL_MAX };
    static const uint64_t COUNTS[] = { 0, 3, 0, (1ull << 33) + 1, 0, 0 }, NONE[6] = { 0 };
    const an_bins bins = { 6, LIMIT, COUNTS, -0.75, 0.25, 17.5, 1e9 }, empty = { 6, LIMIT, NONE, (double)INFINITY, -(double)INFINITY, 0, 0 }, no_buckets = { 0 };
    const char *run = unit_path("histograms");
    an_tensorboard *tb;
    assert_ok(an_tensorboard_open(&tb, run, false, 0));
    assert_ok(an_tensorboard_histogram(tb, 300, "stream/layers.0.attn", &bins));
    assert_ok(an_tensorboard_histogram(tb, 301, "stream/layers.0.attn", &empty));
    assert_ok(an_tensorboard_histogram(tb, 301, "stream/layers.0.attn", &no_buckets));
    assert_ok(an_tensorboard_scalar(tb, 302, "after", 1));
    an_tensorboard_close(tb);                                /* writes what is held */
    assert_int_equal(read_file(file_of(run, 0, 1), events, COUNT(events)), 4);
    const event *e = events + 2;
    assert_true(e->step == 300 && !e->has_scalar && e->min == -0.75 && e->max == 0.25 && e->num == 8589934596.0 && e->sum == 17.5 && e->sum_squares == 1e9);
    assert_string_equal(e->tag, "stream/layers.0.attn");
    assert_int_equal(e->n_limits, 3);                        /* without the empty ends */
    assert_int_equal(e->n_buckets, 3);
    assert_memory_equal(e->limit, LIMIT + 1, 3 * sizeof *LIMIT);
    for (size_t i = 0; i < 3; i++) assert_true(e->bucket[i] == (double)COUNTS[1 + i]);
    assert_true(events[3].step == 302);
}

static void much_is_flushed_by_itself(void **state)
{
    (void)state;
    const char *run = unit_path("much");
    an_tensorboard *tb;
    assert_ok(an_tensorboard_open(&tb, run, false, 0));
    for (uint64_t i = 0; i < 2000; i++) assert_ok(an_tensorboard_scalar(tb, i, "train/grad_norm", (double)i));
    const size_t early = read_file(file_of(run, 0, 1), events, COUNT(events));
    assert_true(early > 1000 && early < 2002);
    an_tensorboard_close(tb);
    assert_int_equal(read_file(file_of(run, 0, 1), events, COUNT(events)), 2002);
    for (size_t i = 0; i < 2000; i++) assert_true(events[i + 2].step == i && events[i + 2].scalar == (float)i);
}

/* Each file of a folder sorts behind the last one, within one second and after one from the future; a resumed one starts anew
 * behind its step. */
static void resumed_runs_follow(void **state)
{
    (void)state;
    const char *run = unit_path("resumed");
    char folder[600], name[700];
    an_tensorboard *tb;
    const uint64_t future = (uint64_t)an_clock_wall() + 100000;
    snprintf(folder, sizeof folder, "%s/tb", run);
    assert_ok(an_dir_create(folder));
    snprintf(name, sizeof name, "%s/events.out.tfevents.%010llu.zzz.1.0", folder, (unsigned long long)future);
    unit_write(name, "", 0);
    snprintf(name, sizeof name, "%s/events.out.tfevents.123456789012345678901234.x", folder);   /* no second of ours */
    unit_write(name, "", 0);
    for (uint64_t k = 0; k < 3; k++) {
        assert_ok(an_tensorboard_open(&tb, run, k > 0, 41 * k));
        an_tensorboard_close(tb);
    }
    for (size_t k = 0; k < 3; k++) {
        const char *path = file_of(run, k + 2, 5);
        snprintf(name, sizeof name, "events.out.tfevents.%010llu.", (unsigned long long)(future + 1 + k));
        assert_memory_equal(an_path_base(path), name, strlen(name));
        assert_int_equal(read_file(path, events, COUNT(events)), 2);
        assert_true(events[1].started && events[1].step == (k > 0 ? 41 * k + 1 : 0));
    }
}

/* Cut anywhere, the file still gives all whole events before the cut. */
static void a_torn_file_gives_what_is_whole(void **state)
{
    (void)state;
    const char *run = unit_path("torn"), *cut = unit_path("cut");
    an_tensorboard *tb;
    char *data;
    size_t size, whole = 0;
    assert_ok(an_tensorboard_open(&tb, run, false, 0));
    for (uint64_t i = 0; i < 3; i++) assert_ok(an_tensorboard_scalar(tb, i, "loss", 1));
    an_tensorboard_close(tb);
    assert_ok(an_file_read(file_of(run, 0, 1), &data, &size));
    for (size_t n = 0; n <= size; n++) {
        unit_write(cut, data, n);
        const size_t got = read_file(cut, events, COUNT(events));
        assert_true(got == whole || got == whole + 1);
        whole = got;
    }
    assert_int_equal(whole, 5);
    free(data);
}

/* Files of this process may not grow beyond `size`: a write that would is short, the next one fails. */
static void limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size < limit.rlim_max ? size : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    const char *run = unit_path("full");
    an_tensorboard *tb;
    signal(SIGXFSZ, SIG_IGN);
    limit_files(30);
    const an_status status = an_tensorboard_open(&tb, run, false, 0);
    limit_files(RLIM_INFINITY);
    assert_fails(status, AN_EIO, "File too large");
    char *folder = an_path_join(run, "tb"), **names;
    size_t count;
    assert_ok(an_dir_list(folder, &names, &count));
    an_dir_list_free(names, count);
    free(folder);
    assert_int_equal(count, 0);

    assert_ok(an_tensorboard_open(&tb, run, false, 0));
    const char *path = file_of(run, 0, 1);
    assert_ok(an_tensorboard_scalar(tb, 1, "loss", 1));
    assert_ok(an_tensorboard_flush(tb));
    for (uint64_t i = 2; i < 100; i++) assert_ok(an_tensorboard_scalar(tb, i, "loss", 1));
    limit_files(1500);
    const an_status flushed = an_tensorboard_flush(tb);
    limit_files(RLIM_INFINITY);
    assert_fails(flushed, AN_EIO, path);
    assert_int_equal(read_file(path, events, COUNT(events)), 3);   /* nothing torn: later events can follow */
    assert_ok(an_tensorboard_scalar(tb, 100, "loss", 1));
    an_tensorboard_close(tb);
    assert_int_equal(read_file(path, events, COUNT(events)), 4);
    assert_true(events[2].step == 1 && events[3].step == 100);
}

static void an_error_outlives_closing(void **state)
{
    (void)state;
    an_tensorboard *tb;
    assert_ok(an_tensorboard_open(&tb, unit_path("closing"), false, 0));
    assert_ok(an_tensorboard_scalar(tb, 1, "loss", 1));
    signal(SIGXFSZ, SIG_IGN);
    limit_files(10);
    const an_status status = an_fail(AN_EDIVERGED, "step 3: the loss");
    an_tensorboard_close(tb);
    limit_files(RLIM_INFINITY);
    assert_fails(status, AN_EDIVERGED, "step 3: the loss");
}

static void a_folder_that_cannot_be(void **state)
{
    (void)state;
    an_tensorboard *tb;
    unit_write(unit_path("plain"), "", 0);
    assert_fails(an_tensorboard_open(&tb, unit_path("plain"), false, 0), AN_EIO, "plain");
}

static void no_memory_loses_no_whole_event(void **state)
{
    (void)state;
    static const double LIMIT[] = { 0, DBL_MAX };
    static const uint64_t COUNTS[] = { 1, 1 };
    static char tag[3000];
    const an_bins bins = { 2, LIMIT, COUNTS, -1, 1, 0, 2 };
    memset(tag, 'a', sizeof tag - 1);
    int failures = 0, done = 0;
    for (size_t n = 1; !done; n++) {
        an_tensorboard *tb = NULL;
        const char *run = unit_path("memory");
        an_alloc_fail_after(n);
        an_status status = an_tensorboard_open(&tb, run, false, 0);
        const int opened = status == AN_OK;
        if (opened) status = an_tensorboard_scalar(tb, 1, "loss", 1);
        const int one = status == AN_OK;
        if (opened && one) status = an_tensorboard_histogram(tb, 2, tag, &bins);
        an_alloc_fail_after(0);
        if (status != AN_OK) {
            failures++;
            assert_fails(status, AN_ENOMEM, "");
        }
        if (opened) {
            assert_ok(an_tensorboard_scalar(tb, 3, "loss", 1));
            an_tensorboard_close(tb);
            an_map map;                                      /* the long tag does not fit this reader: only the framing counts */
            size_t records = 0, at = 0;
            assert_ok(an_map_open(&map, file_of(run, 0, 1)));
            for (; at < map.size; records++) at += 16 + (size_t)number(map.data + at, 8);
            assert_int_equal(at, map.size);
            an_map_close(&map);
            done = status == AN_OK;
            assert_int_equal(records, 3 + one + done);
        }
        assert_ok(an_dir_remove(run));
    }
    assert_true(failures > 8);
}

static void nothing_swallows_all(void **state)
{
    (void)state;
    const an_bins bins = { 0 };
    assert_ok(an_tensorboard_scalar(NULL, 1, "loss", 1));
    assert_ok(an_tensorboard_histogram(NULL, 1, "loss", &bins));
    assert_ok(an_tensorboard_flush(NULL));
    an_tensorboard_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(known_crcs), cmocka_unit_test(scalars_come_back), cmocka_unit_test(histograms_come_back), cmocka_unit_test(much_is_flushed_by_itself),
                                        cmocka_unit_test(resumed_runs_follow), cmocka_unit_test(a_torn_file_gives_what_is_whole), cmocka_unit_test(a_full_disk_is_told),
                                        cmocka_unit_test(an_error_outlives_closing), cmocka_unit_test(a_folder_that_cannot_be), cmocka_unit_test(no_memory_loses_no_whole_event),
                                        cmocka_unit_test(nothing_swallows_all) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
