/* train/idx.h
 * IDX files, the format of MNIST and its kin: two zeros, the kind of number (8: bytes), the number of dimensions, each of them as 32 bits
 * with the highest byte first, then the numbers. Read as they are or, where the build has zlib, compressed by gzip. */
#ifndef AN_TRAIN_IDX_H
#define AN_TRAIN_IDX_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

enum { AN_IDX_RANK = 4 };

typedef struct an_idx {
    size_t rank, dim[AN_IDX_RANK], bytes;
    unsigned char *data;             /* [bytes]; NULL where only the head was read */
} an_idx;

/* Errors, each naming the file: AN_EDATA missing, a folder, unreadable; AN_EFORMAT no IDX file, numbers that are no bytes, 0 or more than 4
 * dimensions, too short, too long; AN_ENOMEM. */
an_status an_idx_read(an_idx *out, const char *path, int head_only) AN_MUST_USE;
void an_idx_free(an_idx *idx);

#endif
