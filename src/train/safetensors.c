/* train/safetensors.c
 * The paranoid reader. Order of checks: the length, the JSON, each tensor alone, then all tensors together sorted by
 * place. Every refusal is one line with the file, the tensor and the number that is wrong; names that come from the file
 * are shown with anything unprintable replaced. */
#include "train/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checksum.h"

struct an_safetensors {
    an_map map;                       /* data NULL when parsed from memory */
    const unsigned char *bytes;
    size_t size, data_begin, count;
    char *name;                       /* of the file, for messages */
    json_t *header;                   /* owns the names and metadata */
    an_st_tensor *tensors;
};

static const uint64_t HEADER_MOST = 100u * 1000 * 1000;

enum { SHOWN = 96 };

/* `text` made harmless for a terminal and short enough for a message. */
static const char *shown(const char *text, char out[SHOWN])
{
    size_t n = 0;
    for (; text[n] && n < SHOWN - 1; n++) out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
    out[n] = '\0';
    return out;
}

static an_status parse_header(an_safetensors *f)
{
    uint64_t length;
    if (f->size < sizeof length) return an_fail(AN_EFORMAT, "%s: %zu bytes are too few for a safetensors file", f->name, f->size);
    memcpy(&length, f->bytes, sizeof length);
    if (length > HEADER_MOST) return an_fail(AN_EFORMAT, "%s: header length %" PRIu64 " is beyond the 100 MB the format allows; not a safetensors file, or damaged", f->name, length);
    if (length > f->size - sizeof length)
        return an_fail(AN_EFORMAT, "%s: header length %" PRIu64 " is beyond the file's %zu bytes; truncated or damaged", f->name, length, f->size);
    const char *text = (const char *)f->bytes + sizeof length;
    if (length == 0 || text[0] != '{') return an_fail(AN_EFORMAT, "%s: header does not start with '{'; not a safetensors file", f->name);
    json_error_t error;
    f->header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &error);
    if (!f->header) {
        char why[SHOWN];
        return an_fail(AN_EFORMAT, "%s: header is not valid JSON at byte %d: %s", f->name, error.position, shown(error.text, why));
    }
    f->data_begin = sizeof length + (size_t)length;
    return AN_OK;
}

static an_status check_meta(const an_safetensors *f, json_t *meta)
{
    const char *key;
    json_t *value;
    char name[SHOWN];
    if (!json_is_object(meta)) return an_fail(AN_EFORMAT, "%s: __metadata__ is not an object", f->name);
    json_object_foreach(meta, key, value)
        if (!json_is_string(value)) return an_fail(AN_EFORMAT, "%s: __metadata__ '%s' is not a string", f->name, shown(key, name));
    return AN_OK;
}

static int get_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return 0;
    *out = (size_t)json_integer_value(value);
    return 1;
}

/* The name of the type as a literal and its size; 0 for a type that this reader does not know. */
static size_t find_dtype(const char *text, const char **dtype)
{
#define SIZE(name, bytes) if (strcmp(text, name) == 0) return *dtype = name, (size_t)(bytes);
    AN_DTYPE_LIST(SIZE)
#undef SIZE
    return 0;
}

static an_status parse_shape(const an_safetensors *f, const char *name, const json_t *shape, an_st_tensor *t, size_t element)
{
    if (!json_is_array(shape) || json_array_size(shape) > AN_ST_RANK)
        return an_fail(AN_EFORMAT, "%s: tensor '%s': shape is not a list of at most %d sizes", f->name, name, AN_ST_RANK);
    t->rank = json_array_size(shape);
    t->bytes = element;
    for (size_t d = 0; d < t->rank; d++) {
        if (!get_size(json_array_get(shape, d), &t->dim[d])) return an_fail(AN_EFORMAT, "%s: tensor '%s': size %zu of the shape is not a whole number >= 0", f->name, name, d);
        if (!an_size_mul(t->bytes, t->dim[d], &t->bytes)) return an_fail(AN_EFORMAT, "%s: tensor '%s': shape overflows the address space", f->name, name);
    }
    return AN_OK;
}

static an_status parse_tensor(const an_safetensors *f, const char *key, const json_t *entry, an_st_tensor *t)
{
    char name[SHOWN], type[SHOWN];
    shown(key, name);
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    const json_t *offsets = json_object_get(entry, "data_offsets");
    size_t begin, end;
    if (!dtype || json_object_size(entry) != 3) return an_fail(AN_EFORMAT, "%s: tensor '%s': needs exactly dtype, shape and data_offsets", f->name, name);
    const size_t element = find_dtype(dtype, &t->dtype);
    if (element == 0) return an_fail(AN_EFORMAT, "%s: tensor '%s': type %s is not known here", f->name, name, shown(dtype, type));
    AN_TRY(parse_shape(f, name, json_object_get(entry, "shape"), t, element));
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &begin) || !get_size(json_array_get(offsets, 1), &end) || begin > end)
        return an_fail(AN_EFORMAT, "%s: tensor '%s': data_offsets are not two whole numbers in order", f->name, name);
    const size_t data = f->size - f->data_begin;
    if (end > data) return an_fail(AN_EFORMAT, "%s: tensor '%s': ends at byte %zu of %zu bytes of data; truncated or damaged", f->name, name, end, data);
    if (end - begin != t->bytes) return an_fail(AN_EFORMAT, "%s: tensor '%s': %zu bytes of data for a shape of %zu bytes", f->name, name, end - begin, t->bytes);
    t->name = key;
    t->data = f->bytes + f->data_begin + begin;
    return AN_OK;
}

static int by_place(const void *a, const void *b)
{
    const an_st_tensor *x = a, *y = b;
    if (x->data != y->data) return (const unsigned char *)x->data < (const unsigned char *)y->data ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static an_status check_places(const an_safetensors *f)
{
    char name[SHOWN];
    const unsigned char *at = f->bytes + f->data_begin;
    for (size_t i = 0; i < f->count; i++) {
        const an_st_tensor *t = &f->tensors[i];
        const unsigned char *here = t->data;
        if (here < at) return an_fail(AN_EFORMAT, "%s: tensor '%s': overlaps the tensor before it", f->name, shown(t->name, name));
        if (here > at) return an_fail(AN_EFORMAT, "%s: tensor '%s': a gap of %zu bytes before it", f->name, shown(t->name, name), (size_t)(here - at));
        at = here + t->bytes;
    }
    const size_t rest = (size_t)(f->bytes + f->size - at);
    if (rest > 0) return an_fail(AN_EFORMAT, "%s: %zu bytes after the last tensor", f->name, rest);
    return AN_OK;
}

static an_status parse(an_safetensors *f)
{
    const char *key;
    json_t *entry;
    AN_TRY(parse_header(f));
    f->tensors = an_alloc(json_object_size(f->header) * sizeof *f->tensors);
    if (!f->tensors) return an_fail(AN_ENOMEM, "%s: no memory for the list of tensors", f->name);
    json_object_foreach(f->header, key, entry) {
        if (strcmp(key, "__metadata__") == 0) {
            AN_TRY(check_meta(f, entry));
            continue;
        }
        AN_TRY(parse_tensor(f, key, entry, &f->tensors[f->count]));
        f->count++;
    }
    qsort(f->tensors, f->count, sizeof *f->tensors, by_place);
    return check_places(f);
}

an_status an_safetensors_parse(an_safetensors **out, const void *bytes, size_t size, const char *name)
{
    an_safetensors *f = an_alloc(sizeof *f);
    if (!f) return an_fail(AN_ENOMEM, "%s: no memory", name);
    f->bytes = bytes;
    f->size = size;
    f->name = an_strdup(name);
    const an_status status = f->name ? parse(f) : an_fail(AN_ENOMEM, "%s: no memory", name);
    if (status != AN_OK) an_safetensors_close(&f);
    else *out = f;
    return status;
}

an_status an_safetensors_open(an_safetensors **out, const char *path)
{
    an_map map;
    AN_TRY(an_map_open(&map, path));
    const an_status status = an_safetensors_parse(out, map.data, map.size, path);
    if (status != AN_OK) an_map_close(&map);
    else (*out)->map = map;
    return status;
}

void an_safetensors_close(an_safetensors **file)
{
    an_safetensors *f = *file;
    if (!f) return;
    json_decref(f->header);
    free(f->tensors);
    free(f->name);
    an_map_close(&f->map);
    free(f);
    *file = NULL;
}

size_t an_safetensors_count(const an_safetensors *file) { return file->count; }
const an_st_tensor *an_safetensors_get(const an_safetensors *file, size_t i) { return &file->tensors[i]; }
uint64_t an_safetensors_checksum(const an_safetensors *file) { return an_checksum_of(file->bytes, file->size); }

const an_st_tensor *an_safetensors_find(const an_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
    return NULL;
}

const char *an_safetensors_meta(const an_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

static const char *shape_text(size_t rank, const size_t *dim, char out[SHOWN])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t d = 0; d < rank && n < SHOWN; d++) n += (size_t)snprintf(out + n, SHOWN - n, d ? ", %zu" : "%zu", dim[d]);
    return out;
}

static void convert(const an_st_tensor *t, an_real *out)
{
    const size_t n = t->bytes / (t->dtype[1] == '3' ? 4 : 8);
    if (strcmp(t->dtype, AN_REAL_DTYPE) == 0) {
        memcpy(out, t->data, t->bytes);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float f;
        double d;
        if (t->dtype[1] == '3') memcpy(&f, (const char *)t->data + 4 * i, sizeof f), out[i] = AN_R(f);
        else memcpy(&d, (const char *)t->data + 8 * i, sizeof d), out[i] = AN_R(d);
    }
}

an_status an_safetensors_read(const an_safetensors *file, const char *name, size_t rank, const size_t *dim, an_real *out)
{
    const an_st_tensor *t = an_safetensors_find(file, name);
    if (!t) return an_fail(AN_EFORMAT, "%s: tensor '%s' is missing; the file is of another model", file->name, name);
    int same = t->rank == rank;
    for (size_t d = 0; same && d < rank; d++) same = t->dim[d] == dim[d];
    if (!same) {
        char have[SHOWN], want[SHOWN];
        return an_fail(AN_EFORMAT, "%s: tensor '%s' has shape [%s], the model needs [%s]", file->name, name, shape_text(t->rank, t->dim, have), shape_text(rank, dim, want));
    }
    if (t->dtype[0] != 'F') return an_fail(AN_EFORMAT, "%s: tensor '%s' has type %s, the model needs a floating type", file->name, name, t->dtype);
    convert(t, out);
    return AN_OK;
}
