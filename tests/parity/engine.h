/* tests/parity/engine.h
 * A model of the engine under test, opened from a list of option keys and values exactly as a run would be, so that the
 * parity tests also pin the names and meanings of the options. Compiled once per engine (float, double). */
#ifndef AN_TESTS_PARITY_ENGINE_H
#define AN_TESTS_PARITY_ENGINE_H

#include "core/option.h"
#include "net/model.h"
#include "train/config.h"
#include "train/optimizer.h"

/* Relative to the largest element of a tensor. */
#ifdef AN_F64
enum { ENGINE_DOUBLE = 1 };
#define TOLERANCE_OUTPUT 1e-10
#define TOLERANCE_GRAD   1e-10
#define TOLERANCE_AFTER  1e-10
#else
enum { ENGINE_DOUBLE = 0 };
#define TOLERANCE_OUTPUT 1e-5
#define TOLERANCE_GRAD   1e-4
#define TOLERANCE_AFTER  0.0       /* not compared: ten steps of AdamW multiply the rounding of small gradients */
#endif

enum { ENGINE_PAIRS_MAX = 128 };

typedef struct engine {
    an_options *options;
    an_train_config train;
    an_model *model;
    const an_param *param;
    size_t params, rows, vocab;        /* rows: B*T */
    double *scratch;                   /* as many as the largest tensor or the logits */
} engine;

/* `pairs`: key, value, ..., NULL; borrowed until close. A later value of a key replaces an earlier one. Prints what is
 * wrong and returns 0 on failure (close it all the same). */
int engine_open(engine *e, const char *const *pairs);
void engine_close(engine *e);

/* n numbers of the engine as doubles, in e->scratch. */
const double *engine_doubles(engine *e, size_t n, const an_real *x);

/* Distance (fixture_distance) of n engine numbers from `want`; beyond `tolerance`, *bad counts one and, unless quiet, a
 * line names place and values. Returns the distance. */
double engine_compare(engine *e, const char *what, size_t n, const an_real *mine, const double *want, double tolerance, int quiet, int *bad);

/* Index of the element with the largest absolute value. */
size_t engine_largest(size_t n, const an_real *x);

#endif
