/* train/safetensors.h
 * The safetensors format: 8 bytes of little-endian header length, a JSON header, the tensors' bytes without gaps. The
 * writer streams, header first, data aligned to 8 bytes. The reader maps the file and believes nothing in it: a file that
 * it opens has every tensor inside the file, not overlapping, without gaps, of the size that its type and shape say.
 * Source: the format page of the safetensors project. */
#ifndef AN_TRAIN_SAFETENSORS_H
#define AN_TRAIN_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"
#include "core/status.h"

/*  name   bytes per element  */
#define AN_DTYPE_LIST(X) X("F32", 4) X("F64", 8) X("I32", 4) X("I64", 8)

enum { AN_ST_RANK = 8 };

#ifdef AN_F64
#define AN_REAL_DTYPE "F64"
#else
#define AN_REAL_DTYPE "F32"
#endif

typedef struct an_st_tensor {
    const char *name, *dtype;            /* dtype one of AN_DTYPE_LIST */
    size_t rank, dim[AN_ST_RANK];
    const void *data;                    /* row-major; in a mapped file: aligned to nothing */
    size_t bytes;                        /* filled in by the reader */
} an_st_tensor;

typedef struct an_st_meta { const char *key, *value; } an_st_meta;

/* Writes `path` atomically (core/file.h), tensors in the given order; *checksum (may be NULL) is that of the whole file.
 * Errors: AN_EIO, AN_ENOMEM. */
an_status an_safetensors_write(const char *path, const an_st_tensor *tensors, size_t count, const an_st_meta *meta, size_t meta_count, uint64_t *checksum) AN_MUST_USE;

typedef struct an_safetensors an_safetensors;

/* Errors: AN_EDATA for a file that cannot be opened, AN_EFORMAT for one that is not what it should be, naming the place. */
an_status an_safetensors_open(an_safetensors **out, const char *path) AN_MUST_USE;
an_status an_safetensors_parse(an_safetensors **out, const void *bytes, size_t size, const char *name) AN_MUST_USE;   /* borrows bytes */
void an_safetensors_close(an_safetensors **file);

size_t an_safetensors_count(const an_safetensors *file);
const an_st_tensor *an_safetensors_get(const an_safetensors *file, size_t i);               /* in order of place in the file */
const an_st_tensor *an_safetensors_find(const an_safetensors *file, const char *name);      /* NULL: absent */
const char *an_safetensors_meta(const an_safetensors *file, const char *key);               /* NULL: absent */
uint64_t an_safetensors_checksum(const an_safetensors *file);                               /* of the whole file */

/* Copies a tensor of floating type into `out` after comparing its shape. Errors: AN_EFORMAT naming the tensor and both shapes. */
an_status an_safetensors_read(const an_safetensors *file, const char *name, size_t rank, const size_t *dim, an_real *out) AN_MUST_USE;

#endif
