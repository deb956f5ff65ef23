/* Images: IDX files read and refused, the built-in set, splits, epochs, what "auto" becomes. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "core/arena.h"
#include "train/data.h"
#include "train/idx.h"
#include "net/arch.h"
#include "train/images.h"
#include "train/shapes.h"

enum { N = 20, SIDE = 3, AREA = SIDE * SIDE };

static void head(unsigned char *to, int rank, unsigned n, unsigned rows, unsigned cols, unsigned channels)
{
    const unsigned dim[4] = { n, rows, cols, channels };
    memset(to, 0, 4);
    to[2] = 8;
    to[3] = (unsigned char)rank;
    for (int i = 0; i < rank; i++) {
        to[4 + 4 * i] = to[5 + 4 * i] = 0;
        to[6 + 4 * i] = (unsigned char)(dim[i] >> 8);
        to[7 + 4 * i] = (unsigned char)dim[i];
    }
}

/* Image i is filled with i, its class is i % 4. */
static void write_pair(const char *images, const char *labels, unsigned n)
{
    unsigned char file[16 + N * AREA], kinds[8 + N];
    head(file, 3, n, SIDE, SIDE, 0);
    head(kinds, 1, n, 0, 0, 0);
    for (unsigned i = 0; i < n; i++) {
        memset(file + 16 + i * AREA, (int)i, AREA);
        kinds[8 + i] = (unsigned char)(i % 4);
    }
    unit_write(unit_path(images), file, 16 + n * AREA);
    unit_write(unit_path(labels), kinds, 8 + n);
}

static an_status open_two(an_images **out, const char *a, const char *b, const an_image *want)
{
    const char *item[2] = { a, b };
    return an_images_open(out, "data", &(an_option_list){ b ? 2 : 1, item }, 0, want);
}

static const an_image WANT = { SIDE, 1, 4 };

static void files_are_read(void **state)
{
    (void)state;
    an_images *s;
    int32_t pixels[AREA];
    write_pair("i", "l", N);
    for (int swapped = 0; swapped < 2; swapped++) {      /* which is which, the files say themselves */
        assert_ok(open_two(&s, unit_path(swapped ? "l" : "i"), unit_path(swapped ? "i" : "l"), &WANT));
        assert_int_equal(an_images_count(s), N);
        assert_int_equal(an_images_get(s, 6, pixels), 2);
        for (int k = 0; k < AREA; k++) assert_int_equal(pixels[k], 6);
        assert_true(fabs(an_images_entropy(s, 0, N) - log(4)) < 1e-12);
        an_images_close(&s);
    }
    write_pair("j", "m", 3);
    const char *four[4] = { unit_path("i"), unit_path("l"), unit_path("j"), unit_path("m") };
    assert_ok(an_images_open(&s, "data", &(an_option_list){ 4, four }, 0, &WANT));
    assert_int_equal(an_images_count(s), N + 3);
    assert_int_equal(an_images_get(s, N + 2, pixels), 2);
    assert_int_equal(pixels[0], 2);
    an_images_close(&s);
}

static void compressed_labels_are_read(void **state)
{
    (void)state;
    static const unsigned char GZ[] = { 0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xe0, 0x60, 0x64, 0x60, 0x60, 0x60, 0x61, 0x60, 0x64, 0x62, 0x04, 0x00, 0x3b, 0x0c, 0x0a, 0xce, 0x0c, 0x00, 0x00, 0x00 };
    an_idx x;
    unit_write(unit_path("l.gz"), GZ, sizeof GZ);
    const an_status status = an_idx_read(&x, unit_path("l.gz"), 0);
    if (status == AN_EFORMAT && strstr(an_error_text(), "no zlib")) skip();
    assert_ok(status);
    assert_int_equal(x.bytes, 4);
    assert_memory_equal(x.data, "\0\1\2\1", 4);
    an_idx_free(&x);
    unit_write(unit_path("l.gz"), GZ, sizeof GZ - 9);
    assert_fails(an_idx_read(&x, unit_path("l.gz"), 0), AN_EFORMAT, "l.gz");
}

static void no_memory_is_told(void **state)
{
    (void)state;
    an_idx x;
    write_pair("i", "l", N);
    an_alloc_fail_after(1);
    assert_fails(an_idx_read(&x, unit_path("i"), 0), AN_ENOMEM, "no memory for");
    an_alloc_fail_after(0);
}

static void bad_files_are_named(void **state)
{
    (void)state;
    an_images *s;
    unsigned char file[64] = { 0 };
    write_pair("i", "l", N);
    write_pair("j", "m", 3);
    assert_fails(open_two(&s, unit_path("i"), NULL, &WANT), AN_EDATA, "one of labels for each of images");
    assert_fails(open_two(&s, unit_path("i"), unit_path("j"), &WANT), AN_EDATA, "one file of images too many");
    assert_fails(open_two(&s, unit_path("i"), unit_path("m"), &WANT), AN_EDATA, "20 images and 3 labels");
    assert_fails(open_two(&s, unit_path("i"), unit_path("absent"), &WANT), AN_EDATA, "absent");
    assert_fails(open_two(&s, unit_path("i"), unit_path("l"), &(an_image){ 4, 1, 4 }), AN_EDATA, "image_size is 4");
    assert_fails(open_two(&s, unit_path("i"), unit_path("l"), &(an_image){ SIDE, 1, 3 }), AN_EDATA, "label 3 of image 3");
    unit_write(unit_path("x"), "text, not images", 16);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "not an IDX file");
    unit_write(unit_path("x"), "", 0);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "not an IDX file");
    head(file, 3, 2, SIDE, SIDE, 0);
    unit_write(unit_path("x"), file, 10);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "within its head");
    unit_write(unit_path("x"), file, 16 + 2 * AREA - 1);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "truncated");
    unit_write(unit_path("x"), file, 16 + 2 * AREA + 1);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "goes on beyond");
    memset(file + 4, 0xff, 12);
    unit_write(unit_path("x"), file, 40);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "beyond the address space");
    head(file, 3, 2, SIDE, SIDE, 0);
    file[4] = 0xff;                                      /* promises 38 gigabytes */
    unit_write(unit_path("x"), file, 40);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "truncated");
    head(file, 2, 2, SIDE, 0, 0);
    unit_write(unit_path("x"), file, 12 + 2 * SIDE);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "2 dimensions");
    head(file, 3, 2, SIDE, SIDE - 1, 0);
    unit_write(unit_path("x"), file, 16 + 2 * SIDE * (SIDE - 1));
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EDATA, "only square ones");
    head(file, 3, 0, SIDE, SIDE, 0);
    unit_write(unit_path("x"), file, 16);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EDATA, "holds nothing");
    file[2] = 0x0d;
    unit_write(unit_path("x"), file, 16);
    assert_fails(open_two(&s, unit_path("x"), unit_path("l"), &WANT), AN_EFORMAT, "kind 0x0d");
    const an_option_list none = { 0, NULL };
    assert_fails(an_images_open(&s, "data", &none, 50, &(an_image){ 4, 1, 10 }), AN_ECONFIG, "image_size 4");
    assert_fails(an_images_open(&s, "data", &none, 50, &(an_image){ 16, 1, 11 }), AN_ECONFIG, "classes 11");
}

/* Pure functions of their numbers, classes in turn, bytes, and no two alike. */
static void shapes_are_drawn(void **state)
{
    (void)state;
    enum { S = 12, C = 3, ALL = S * S * C };
    int32_t a[ALL], b[ALL], last[ALL] = { 0 };
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(an_shapes_draw(i, S, C, 10, a), i % 10);
        assert_int_equal(an_shapes_draw(i, S, C, 10, b), i % 10);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_not_equal(a, last, sizeof a);
        for (int k = 0; k < ALL; k++) assert_in_range(a[k], 0, 255);
        memcpy(last, a, sizeof a);
    }
}

static void an_epoch_sees_each_image_once(void **state)
{
    (void)state;
    an_data *d;
    int32_t pixels[64], kind, seen[90] = { 0 };
    const an_train_config config = { .val_fraction = 0.1, .shapes = 100 };
    const an_model_config model = { .image = { 8, 1, 10 }, .seq_len = 64 };
    assert_ok(an_data_open_for(&d, &config, &model));
    assert_int_equal(an_data_epoch_samples(d), 90);
    assert_int_equal(an_stream_bytes(an_data_train(d)), 90 * 64);
    assert_int_equal(an_stream_windows(an_data_val(d), 64), 10);
    assert_int_equal(an_stream_targets(an_data_val(d), 64), 1);
    assert_true(fabs(an_stream_entropy(an_data_train(d)) - log(10)) < 1e-12);
    int32_t all[90][64];
    for (uint64_t i = 0; i < 90; i++) an_shapes_draw(i, 8, 1, 10, all[i]);
    for (uint64_t i = 90; i < 180; i++) {                /* the second epoch */
        an_data_sample(d, 7, i, pixels, &kind);
        for (size_t k = 0; k < 90; k++)
            if (memcmp(all[k], pixels, sizeof pixels) == 0) {
                assert_int_equal(kind, k % 10);
                seen[k]++;
            }
    }
    for (size_t k = 0; k < 90; k++) assert_int_equal(seen[k], 1);
    assert_int_equal(an_stream_window(an_data_val(d), 64, 3, pixels, &kind), 1);
    assert_int_equal(kind, 3);
    an_data_close(&d);
    const an_train_config few = { .val_fraction = 0.01, .shapes = 50 };
    assert_fails(an_data_open_for(&d, &few, &model), AN_EDATA, "none to validate on");
}

/* The keys of tokens mean something to exactly the architectures whose rows say so. */
static void token_keys_follow_the_rows(void **state)
{
    (void)state;
    for (size_t i = 0; an_arch_at(i); i++) {
        an_options *options;
        an_train_config config;
        assert_int_equal(an_run_options_create(&options, &config), AN_OK);
        assert_int_equal(an_options_set(options, "arch", an_arch_name(i), AN_FROM_FLAG, "test"), AN_OK);
        assert_int_equal(an_options_resolve(options), AN_OK);
        assert_int_equal(an_arch_reads_tokens(options), an_arch_at(i)->tokens);
        assert_int_equal(an_options_in_use(options, "n_head"), an_arch_at(i)->tokens);
        an_options_destroy(&options);
    }
}

static void auto_is_what_the_files_say(void **state)
{
    (void)state;
    an_options *o;
    an_train_config config;
    write_pair("i", "l", N);
    const char *item[2] = { unit_path("i"), unit_path("l") };
    assert_ok(an_run_options_create(&o, &config));
    assert_ok(an_options_set(o, "arch", "resnet", AN_FROM_FLAG, "--arch"));
    for (int i = 0; i < 2; i++) assert_ok(an_options_set(o, "data", item[i], AN_FROM_FLAG, "--data"));
    assert_ok(an_options_resolve(o));
    assert_ok(an_images_settle(o, &config.data));
    assert_int_equal(an_options_int(o, "image_size"), SIDE);
    assert_int_equal(an_options_int(o, "image_channels"), 1);
    assert_int_equal(an_options_int(o, "classes"), 4);
    an_options_destroy(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read), cmocka_unit_test(compressed_labels_are_read), cmocka_unit_test(no_memory_is_told), cmocka_unit_test(bad_files_are_named), cmocka_unit_test(shapes_are_drawn),
        cmocka_unit_test(an_epoch_sees_each_image_once), cmocka_unit_test(auto_is_what_the_files_say), cmocka_unit_test(token_keys_follow_the_rows),
    };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
