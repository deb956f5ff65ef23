/* train/safetensors_write.c
 * The header is known before the first byte of data, so one pass suffices; spaces pad it until the data is 8-byte
 * aligned. The same tensors and metadata give the same file, bit for bit. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checksum.h"
#include "train/safetensors.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors are little-endian, and tensors are written as they lie in memory"
#endif

static size_t dtype_size(const char *dtype)
{
#define SIZE(name, bytes) if (strcmp(dtype, name) == 0) return bytes;
    AN_DTYPE_LIST(SIZE)
#undef SIZE
    return 0;
}

static size_t tensor_bytes(const an_st_tensor *t)
{
    size_t bytes = dtype_size(t->dtype);
    for (size_t d = 0; d < t->rank; d++) bytes *= t->dim[d];
    return bytes;
}

/* 0 when out of memory; jansson passes a failure on to the enclosing call. */
static int add_tensor(json_t *header, const an_st_tensor *t, size_t begin)
{
    json_t *shape = json_array();
    for (size_t d = 0; d < t->rank; d++)
        if (json_array_append_new(shape, json_integer((json_int_t)t->dim[d])) != 0) {
            json_decref(shape);
            return 0;
        }
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", t->dtype, "shape", shape, "data_offsets", (json_int_t)begin, (json_int_t)(begin + tensor_bytes(t)));
    return json_object_set_new(header, t->name, entry) == 0;
}

/* The header as text, padded; NULL when out of memory. */
static char *make_header(const an_st_tensor *tensors, size_t count, const an_st_meta *meta, size_t meta_count, size_t *length)
{
    json_t *header = json_object(), *about = json_object();
    int fine = header && about;
    for (size_t i = 0; fine && i < meta_count; i++) fine = json_object_set_new(about, meta[i].key, json_string(meta[i].value)) == 0;
    fine = json_object_set_new(header, "__metadata__", about) == 0 && fine;   /* takes `about` in either case */
    size_t at = 0;
    for (size_t i = 0; fine && i < count; i++) {
        fine = add_tensor(header, &tensors[i], at);
        at += tensor_bytes(&tensors[i]);
    }
    char *text = fine ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (!text) return NULL;
    const size_t n = strlen(text), padded = (n + 7) & ~(size_t)7;
    char *out = an_alloc(padded + 1);
    if (out) {
        memcpy(out, text, n);
        memset(out + n, ' ', padded - n);
        *length = padded;
    }
    free(text);
    return out;
}

static an_status put(an_file_writer *writer, an_checksum *sum, const void *data, size_t bytes)
{
    an_checksum_add(sum, data, bytes);
    return an_file_append(writer, data, bytes);
}

an_status an_safetensors_write(const char *path, const an_st_tensor *tensors, size_t count, const an_st_meta *meta, size_t meta_count, uint64_t *checksum)
{
    size_t length = 0;
    char *header = make_header(tensors, count, meta, meta_count, &length);
    if (!header) return an_fail(AN_ENOMEM, "%s: no memory for the header", path);
    const uint64_t prefix = length;
    an_checksum sum;
    an_checksum_init(&sum);
    an_file_writer writer;
    an_status status = an_file_open(&writer, path);
    if (status == AN_OK) status = put(&writer, &sum, &prefix, sizeof prefix);
    if (status == AN_OK) status = put(&writer, &sum, header, length);
    for (size_t i = 0; status == AN_OK && i < count; i++) status = put(&writer, &sum, tensors[i].data, tensor_bytes(&tensors[i]));
    if (status == AN_OK) status = an_file_commit(&writer);
    free(header);
    if (status == AN_OK && checksum) *checksum = an_checksum_get(&sum);
    return status;
}
