/* tests/parity/fixture.c: see fixture.h. One read of the file, one pass over the header; every tensor is converted at
 * once, since fixtures are small and tests look at all of them. */
#include "fixture.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture {
    json_t *header;                    /* owns every name and metadata string */
    fixture_tensor *tensor;
    size_t tensors, metas;
    const char **meta;                 /* key, value, key, value */
};

static int complain(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(const char *path, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", path);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return 0;
}

static unsigned char *read_all(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    unsigned char *data = NULL;
    long end = -1;
    if (fseek(f, 0, SEEK_END) == 0 && (end = ftell(f)) >= 0 && fseek(f, 0, SEEK_SET) == 0) data = malloc((size_t)end + 1);
    if (data && fread(data, 1, (size_t)end, f) != (size_t)end) { free(data); data = NULL; }
    fclose(f);
    *size = end < 0 ? 0 : (size_t)end;
    return data;
}

static uint64_t little(const unsigned char *p, size_t bytes)
{
    uint64_t word = 0;
    for (size_t i = bytes; i-- > 0;) word = word << 8 | p[i];
    return word;
}

static double real_at(const unsigned char *p, size_t bytes)
{
    if (bytes == 8) { const uint64_t w = little(p, 8); double d; memcpy(&d, &w, sizeof d); return d; }
    const uint32_t w = (uint32_t)little(p, 4);
    float f;
    memcpy(&f, &w, sizeof f);
    return (double)f;
}

/* One header entry and its bytes -> tensor; 1 on success. */
static int read_tensor(const char *path, const char *name, json_t *entry, const unsigned char *data, size_t size, fixture_tensor *t)
{
    const char *dtype;
    json_t *shape;
    json_int_t begin, end;
    if (json_unpack(entry, "{s:s, s:o, s:[I, I]}", "dtype", &dtype, "shape", &shape, "data_offsets", &begin, &end) != 0) return complain(path, "%s: not a tensor entry", name);
    const size_t bytes = strcmp(dtype, "F64") == 0 ? 8 : strcmp(dtype, "F32") == 0 || strcmp(dtype, "I32") == 0 ? 4 : 0;
    if (bytes == 0) return complain(path, "%s: dtype %s is not F64, F32 or I32", name, dtype);
    t->name = name;
    t->rank = json_array_size(shape);
    t->count = 1;
    if (t->rank > FIXTURE_MAX_RANK) return complain(path, "%s: rank %zu", name, t->rank);
    for (size_t i = 0; i < t->rank; i++) {
        const json_int_t d = json_integer_value(json_array_get(shape, i));
        if (d < 1 || d > 1000000) return complain(path, "%s: dimension %zu", name, i);
        t->dim[i] = (size_t)d;
        t->count *= t->dim[i];
    }
    if (begin < 0 || end < begin || (uint64_t)end > size || (size_t)(end - begin) != t->count * bytes) return complain(path, "%s: its bytes do not fit its shape or the file", name);
    const unsigned char *p = data + begin;
    if (dtype[0] == 'I') t->id = calloc(t->count, sizeof *t->id);
    else t->real = calloc(t->count, sizeof *t->real);
    if (!t->id && !t->real) return complain(path, "%s: out of memory", name);
    for (size_t i = 0; i < t->count; i++) {
        if (t->id) t->id[i] = (int32_t)(uint32_t)little(p + i * bytes, bytes);
        else t->real[i] = real_at(p + i * bytes, bytes);
    }
    return 1;
}

static int read_header(fixture *fx, const char *path, const unsigned char *data, size_t size)
{
    const size_t n = json_object_size(fx->header);
    const char *key;
    json_t *value, *meta = json_object_get(fx->header, "__metadata__");
    if (!meta || n < 2) return complain(path, "no __metadata__ or no tensors");
    fx->tensor = calloc(n, sizeof *fx->tensor);
    fx->meta = calloc(2 * json_object_size(meta) + 1, sizeof *fx->meta);
    if (!fx->tensor || !fx->meta) return complain(path, "out of memory");
    json_object_foreach(meta, key, value) {
        if (!json_is_string(value)) return complain(path, "__metadata__.%s: not a string", key);
        fx->meta[2 * fx->metas] = key;
        fx->meta[2 * fx->metas++ + 1] = json_string_value(value);
    }
    json_object_foreach(fx->header, key, value) {
        if (value != meta && !read_tensor(path, key, value, data, size, &fx->tensor[fx->tensors++])) return 0;
    }
    return 1;
}

fixture *fixture_open(const char *path)
{
    size_t size = 0;
    unsigned char *file = read_all(path, &size);
    if (!file) { complain(path, "cannot be read"); return NULL; }
    fixture *fx = calloc(1, sizeof *fx);
    const uint64_t head = size >= 8 ? little(file, 8) : 0;
    int good = fx && size >= 8 && head <= size - 8;
    if (!good) complain(path, "shorter than its header says");
    if (good) {
        fx->header = json_loadb((const char *)file + 8, (size_t)head, JSON_REJECT_DUPLICATES, NULL);
        good = fx->header ? read_header(fx, path, file + 8 + head, size - 8 - (size_t)head) : complain(path, "the header is not JSON");
    }
    free(file);
    if (!good) fixture_close(&fx);
    return fx;
}

void fixture_close(fixture **fx)
{
    if (!fx || !*fx) return;
    for (size_t i = 0; i < (*fx)->tensors; i++) {
        free((*fx)->tensor[i].real);
        free((*fx)->tensor[i].id);
    }
    json_decref((*fx)->header);
    free((*fx)->tensor);
    free((*fx)->meta);
    free(*fx);
    *fx = NULL;
}

const fixture_tensor *fixture_tensors(const fixture *fx, size_t *count)
{
    *count = fx->tensors;
    return fx->tensor;
}

const fixture_tensor *fixture_find(const fixture *fx, const char *prefix, const char *name)
{
    const size_t skip = strlen(prefix);
    for (size_t i = 0; i < fx->tensors; i++) {
        const char *full = fx->tensor[i].name;
        if (strncmp(full, prefix, skip) == 0 && strcmp(full + skip, name) == 0) return &fx->tensor[i];
    }
    return NULL;
}

size_t fixture_meta_count(const fixture *fx) { return fx->metas; }

void fixture_meta_at(const fixture *fx, size_t i, const char **key, const char **value)
{
    *key = fx->meta[2 * i];
    *value = fx->meta[2 * i + 1];
}

const char *fixture_meta(const fixture *fx, const char *key)
{
    for (size_t i = 0; i < fx->metas; i++) if (strcmp(fx->meta[2 * i], key) == 0) return fx->meta[2 * i + 1];
    return NULL;
}

double fixture_distance(size_t n, const double *a, const double *b, size_t *at)
{
    double worst = 0, size = 0;
    *at = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = isnan(a[i] - b[i]) ? INFINITY : fabs(a[i] - b[i]);
        if (d > worst) { worst = d; *at = i; }
        if (fabs(b[i]) > size) size = fabs(b[i]);
    }
    return size > 0 ? worst / size : worst;
}
