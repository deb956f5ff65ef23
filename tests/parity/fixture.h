/* tests/parity/fixture.h
 * Reader of the parity fixtures that make_fixtures.py writes (safetensors: 8-byte length, JSON header, raw little-endian
 * bytes). For tests only, and independent of the library's own reader: floats arrive as double, integers as int32_t.
 * A file that is not exactly as described prints one line and gives NULL. */
#ifndef AN_TESTS_PARITY_FIXTURE_H
#define AN_TESTS_PARITY_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

enum { FIXTURE_MAX_RANK = 4 };

typedef struct fixture_tensor {
    const char *name;
    size_t rank, dim[FIXTURE_MAX_RANK], count;
    double *real;                      /* F32 and F64, NULL otherwise */
    int32_t *id;                       /* I32, NULL otherwise */
} fixture_tensor;

typedef struct fixture fixture;

fixture *fixture_open(const char *path);                                           /* NULL after a line on stderr */
void fixture_close(fixture **fx);

const fixture_tensor *fixture_tensors(const fixture *fx, size_t *count);           /* in file order */
const fixture_tensor *fixture_find(const fixture *fx, const char *prefix, const char *name);   /* "grad.", "final.gain"; NULL if absent */

/* The configuration, in file order. fixture_meta: the value of `key`, or NULL. */
size_t fixture_meta_count(const fixture *fx);
void fixture_meta_at(const fixture *fx, size_t i, const char **key, const char **value);
const char *fixture_meta(const fixture *fx, const char *key);

/* max|a - b| / max|b| over n numbers (b all zero: max|a|), NaN counts as infinite; *at the worst index. */
double fixture_distance(size_t n, const double *a, const double *b, size_t *at);

#endif
