/* prop.h
 * What the property tests share: a model opened from "key=value ..." with random parameters and random tokens, the walk
 * over the product designs x norms (with their variants) x positions, and bitwise and relative comparison of gradients.
 * A check prints one line when it fails; prop_finish prints the totals and gives the exit code. */
#ifndef AN_TESTS_PROP_H
#define AN_TESTS_PROP_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/model.h"
#include "net/norm.h"

typedef struct subject {
    an_options *options;
    an_model_config config;
    an_model *model;
    size_t batch, seq, rows, vocab, n_params;
    const an_param *param;
    int32_t *tokens, *targets;     /* [rows] */
    an_pass pass;                  /* over those; dropout on, loss_scale 1 */
    const an_norm_kind *norm;      /* of the model, where no override says otherwise */
    uint64_t drawn;                /* the seed of prop_randomise */
} subject;

enum { PROP_TRAIN = 1, PROP_LOGITS = 2, PROP_UNDRAWN = 4 };   /* what the plan is for; parameters stay 0, the test draws them */

/* Keys that settings leave open have small defaults (2 layers, 2 heads, 16 channels, 24 tokens, 37 kinds of token).
 * prop_open ends the program when the model cannot be built; prop_try hands the status back, with nothing to close. */
void prop_open(subject *s, size_t batch, int use, const char *format, ...) AN_PRINTF(4, 5);
an_status prop_try(subject *s, size_t batch, int use, const char *format, ...) AN_PRINTF(4, 5) AN_MUST_USE;
void prop_close(subject *s);

void prop_randomise(subject *s, uint64_t seed);   /* every parameter: matrices of gain 1, gains around 1, biases around 0, running statistics in [0.5, 1.5) */
void prop_rewind(subject *s);                     /* the running statistics as they were drawn: a training pass moves them */
void prop_tokens(int32_t *tokens, size_t n, size_t vocab, uint64_t seed);
an_param *prop_param(subject *s, const char *name);   /* the parameter of that name, or NULL */

/* Calls test for "design=D norm=N [variant] position=P" of every pair of rows of the registries; positions take turns. A pair that the product refuses
 * is counted as skipped; a design or norm that never runs is a failure. variants = 0: the norms' defaults only. */
void prop_product(int variants, void (*test)(const char *settings));

/* Gradients of all trained parameters, one tensor after the other, into a fresh array; and back to tensors by comparison. */
an_real *prop_gradients(const subject *s);
/* For ops by themselves: n zeroed units and one more (ends the program when memory is short); n normal reals, drawn by `seed` and `what`. */
void *prop_room(size_t n, size_t unit);
an_real *prop_random(size_t n, uint64_t seed, uint64_t what);

int prop_equal(size_t n, const an_real *a, const an_real *b);                       /* values, so that -0 == 0; NaN never */
double prop_distance(size_t n, const an_real *a, const an_real *b);                 /* |a - b| / |b|, Euclidean; 0 / 0 = 0 */
void prop_same_gradients(const subject *s, const an_real *a, const an_real *b, const char *what);
/* A bias that the model's norms remove has no gradient but rounding: that is held against the longest tensor's length;
 * a single number, whose terms may cancel, against 1 % of it at least. */
double prop_near_gradients(const subject *s, const an_real *a, const an_real *b, double tolerance, const char *what);   /* the worst distance */
an_real *prop_buffers(const subject *s, size_t *n);                                 /* the running statistics, one after the other, in a fresh array */

#define prop_check(good, ...) prop_count(!!(good), __VA_ARGS__)
void prop_skip(const char *format, ...) AN_PRINTF(1, 2);                           /* a law that this member of the product does not have, and why */
int prop_count(int good, const char *format, ...) AN_PRINTF(2, 3);                  /* returns good */
int prop_finish(const char *name);

#endif
