/* The safetensors reader refuses every kind of damage by name; what the writer writes, it reads back. */
#include "unit.h"

#include <stdio.h>

#include "core/file.h"
#include "train/checksum.h"
#include "train/safetensors.h"

static const float A[6] = { 1, 2, 3, 4, 5, 6 };
static const double B[2] = { 0.5, -0.25 };
static const int32_t I[3] = { 7, 8, 9 };

static an_status write_sample(const char *path, uint64_t *checksum)
{
    const an_st_tensor tensors[] = {
        { .name = "layers.0.\"odd\" name", .dtype = "F32", .rank = 2, .dim = { 2, 3 }, .data = A },
        { .name = "b", .dtype = "F64", .rank = 1, .dim = { 2 }, .data = B },
        { .name = "scalar", .dtype = "F32", .rank = 0, .data = A + 5 },
        { .name = "empty", .dtype = "F32", .rank = 2, .dim = { 0, 5 }, .data = A },
        { .name = "i", .dtype = "I32", .rank = 1, .dim = { 3 }, .data = I },
    };
    const an_st_meta meta[] = { { "format", "pt" }, { "config", "n_layer: 2\nnorm: \"x\"\n" } };
    return an_safetensors_write(path, tensors, COUNT(tensors), meta, COUNT(meta), checksum);
}

static void round_trip(void **state)
{
    (void)state;
    an_safetensors *f;
    uint64_t checksum;
    an_real out[6];
    assert_ok(write_sample(unit_path("a.safetensors"), &checksum));
    assert_ok(an_safetensors_open(&f, unit_path("a.safetensors")));
    assert_int_equal(an_safetensors_count(f), 5);
    assert_true(an_safetensors_checksum(f) == checksum);
    assert_string_equal(an_safetensors_meta(f, "format"), "pt");
    assert_string_equal(an_safetensors_meta(f, "config"), "n_layer: 2\nnorm: \"x\"\n");
    assert_null(an_safetensors_meta(f, "absent"));
    assert_ok(an_safetensors_read(f, "layers.0.\"odd\" name", 2, (size_t[]){ 2, 3 }, out));
    for (int i = 0; i < 6; i++) assert_true(out[i] == AN_R(A[i]));
    assert_ok(an_safetensors_read(f, "b", 1, (size_t[]){ 2 }, out));
    for (int i = 0; i < 2; i++) assert_true(out[i] == AN_R(B[i]));
    assert_ok(an_safetensors_read(f, "scalar", 0, NULL, out));
    assert_true(out[0] == AN_R(6));
    assert_int_equal((uintptr_t)an_safetensors_get(f, 0)->data % 8, 0);
    assert_fails(an_safetensors_read(f, "absent", 0, NULL, out), AN_EFORMAT, "'absent' is missing");
    assert_fails(an_safetensors_read(f, "b", 1, (size_t[]){ 3 }, out), AN_EFORMAT, "has shape [2], the model needs [3]");
    assert_fails(an_safetensors_read(f, "b", 2, (size_t[]){ 2, 1 }, out), AN_EFORMAT, "needs [2, 1]");
    assert_fails(an_safetensors_read(f, "i", 1, (size_t[]){ 3 }, out), AN_EFORMAT, "type I32");
    an_safetensors_close(&f);
}

static void same_input_same_file(void **state)
{
    (void)state;
    char *a, *b;
    size_t na, nb;
    assert_ok(write_sample(unit_path("a.safetensors"), NULL));
    assert_ok(write_sample(unit_path("b.safetensors"), NULL));
    assert_ok(an_file_read(unit_path("a.safetensors"), &a, &na));
    assert_ok(an_file_read(unit_path("b.safetensors"), &b, &nb));
    assert_int_equal(na, nb);
    assert_memory_equal(a, b, na);
    free(a);
    free(b);
}

/* A file of this header and `data` bytes of zeros. */
static an_status parse(const char *header, size_t data)
{
    static unsigned char bytes[4096];
    an_safetensors *f = NULL;
    const uint64_t n = strlen(header);
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, &n, sizeof n);
    memcpy(bytes + 8, header, n);
    const an_status status = an_safetensors_parse(&f, bytes, 8 + n + data, "bad");
    an_safetensors_close(&f);
    return status;
}

#define T(name, rest) "\"" name "\":{\"dtype\":\"F32\"," rest "}"

static void damage_is_named(void **state)
{
    (void)state;
    static const struct { const char *header; size_t data; const char *words; } CASE[] = {
        { "[]", 0, "does not start with '{'" },
        { "", 0, "does not start with '{'" },
        { "{\"a\":", 0, "not valid JSON" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4]") "," T("a", "\"shape\":[1],\"data_offsets\":[4,8]") "}", 8, "duplicate" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4]") "}", 3, "truncated" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4]") "}", 5, "1 bytes after the last tensor" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[4,8]") "}", 8, "a gap of 4 bytes" },
        { "{" T("a", "\"shape\":[2],\"data_offsets\":[0,8]") "," T("b", "\"shape\":[2],\"data_offsets\":[4,12]") "}", 12, "overlaps" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4]") "," T("b", "\"shape\":[1],\"data_offsets\":[0,4]") "}", 4, "overlaps" },
        { "{" T("a", "\"shape\":[2],\"data_offsets\":[0,4]") "}", 4, "4 bytes of data for a shape of 8 bytes" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[4,0]") "}", 4, "data_offsets" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[-4,0]") "}", 4, "data_offsets" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4,8]") "}", 4, "data_offsets" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4.0]") "}", 4, "data_offsets" },
        { "{" T("a", "\"shape\":[4611686018427387904,4611686018427387904],\"data_offsets\":[0,4]") "}", 4, "overflows" },
        { "{" T("a", "\"shape\":[99999999999999999999],\"data_offsets\":[0,4]") "}", 4, "not valid JSON" },
        { "{" T("a", "\"shape\":[-1],\"data_offsets\":[0,4]") "}", 4, "size 0 of the shape" },
        { "{" T("a", "\"shape\":\"1\",\"data_offsets\":[0,4]") "}", 4, "shape is not a list" },
        { "{" T("a", "\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]") "}", 4, "shape is not a list of at most 8" },
        { "{" T("a", "\"shape\":[1],\"data_offsets\":[0,4],\"more\":1") "}", 4, "needs exactly" },
        { "{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "needs exactly" },
        { "{\"a\":7}", 0, "needs exactly" },
        { "{\"a\":{\"dtype\":\"Q4\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "type Q4 is not known" },
        { "{\"__metadata__\":{\"a\":1}}", 0, "'a' is not a string" },
        { "{\"__metadata__\":[]}", 0, "not an object" },
        { "{\"\\u001b[31mred\":7}", 0, "'?[31mred'" },
    };
    for (size_t i = 0; i < COUNT(CASE); i++) assert_fails(parse(CASE[i].header, CASE[i].data), AN_EFORMAT, CASE[i].words);
    assert_ok(parse("{}", 0));
    assert_ok(parse("{\"__metadata__\":{\"a\":\"b\"}}   ", 0));
    assert_ok(parse("{" T("b", "\"shape\":[1],\"data_offsets\":[4,8]") "," T("a", "\"shape\":[],\"data_offsets\":[0,4]") "}", 8));
}

static an_status parse_length(uint64_t length, size_t size)
{
    unsigned char bytes[64] = { 0 };
    an_safetensors *f = NULL;
    memcpy(bytes, &length, sizeof length);
    const an_status status = an_safetensors_parse(&f, bytes, size, "bad");
    an_safetensors_close(&f);
    return status;
}

static void header_length_is_not_believed(void **state)
{
    (void)state;
    an_safetensors *f = NULL;
    assert_fails(an_safetensors_parse(&f, NULL, 0, "bad"), AN_EFORMAT, "too few");
    assert_fails(parse_length(0, 7), AN_EFORMAT, "too few");
    assert_fails(parse_length(57, 64), AN_EFORMAT, "beyond the file's 64 bytes");
    assert_fails(parse_length(100000001, 64), AN_EFORMAT, "100 MB");
    assert_fails(parse_length(UINT64_MAX, 64), AN_EFORMAT, "100 MB");
    assert_fails(an_safetensors_open(&f, unit_path("nowhere")), AN_EDATA, "nowhere");
    unit_write(unit_path("empty"), "", 0);
    assert_fails(an_safetensors_open(&f, unit_path("empty")), AN_EFORMAT, "too few");
}

static void checksum_in_pieces(void **state)
{
    (void)state;
    unsigned char bytes[257];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * 37);
    for (size_t n = 0; n <= sizeof bytes; n += 19) {
        const uint64_t whole = an_checksum_of(bytes, n);
        for (size_t step = 1; step < 70; step += 3) {
            an_checksum sum;
            an_checksum_init(&sum);
            for (size_t at = 0; at < n; at += step) an_checksum_add(&sum, bytes + at, n - at < step ? n - at : step);
            assert_true(an_checksum_get(&sum) == whole);
        }
        for (size_t bit = 0; bit < 8 * n; bit++) {
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            assert_true(an_checksum_of(bytes, n) != whole);
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    }
    assert_true(an_checksum_of(bytes, 0) != an_checksum_of("\0", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(round_trip), cmocka_unit_test(same_input_same_file), cmocka_unit_test(damage_is_named),
                                        cmocka_unit_test(header_length_is_not_believed), cmocka_unit_test(checksum_in_pieces) };
    return cmocka_run_group_tests(tests, unit_scratch_setup, unit_scratch_teardown);
}
