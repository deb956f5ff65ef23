/* tests/kern/check.h
 * How one kernel is checked and timed. A checker runs ONE case; the program calls it for every level and case number:
 *
 *     void an_check_scale(an_check *k)
 *     {
 *         const size_t n = an_pick_size(k);
 *         const int add = an_pick_bool(k);
 *         const an_real a = an_pick_scale(k), *x = an_in(k, "x", n, AN_FILL_CASE);
 *         an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
 *         an_work(k, an_bytes(n * (add ? 3 : 2)), 2.0 * (double)n);           what the bench divides by time
 *         while (an_next_run(k)) an_table(k)->scale(n, a, x, an_at(y), add);
 *         if (!an_checking(k)) return;                                        the bench needs no formula
 *         for (size_t i = 0; i < n; i++) an_want(y, i, (long double)a * x[i] + (add ? y->init[i] : 0), |a x| + |init|);
 *         an_judge(k, y, 1.5);
 *     }
 *
 * an_next_run yields the runs: the reference, the level, the level once more (equal bits demanded). Every output starts
 * each run from the same contents. A want is (value, mag): mag is the sum of the absolute terms, and an error is measured in
 * factor * eps * mag, the bound derived beside the checker. Elements without a want must not change (gaps of strides).
 * Inputs must not change, canaries around all arrays must live, and arrays end flush with a guard page in half the cases.
 * A level is compared with the reference, the reference with the formula (one rounding of eps * mag in f32). */
#ifndef AN_TESTS_KERN_CHECK_H
#define AN_TESTS_KERN_CHECK_H

#include "kern/kern.h"

typedef struct an_check an_check;
typedef struct an_out {
    const char *name;
    size_t n;
    an_real *run[3];            /* what the reference, the level and its second run left */
    an_real *now;               /* the array of the run in progress */
    const an_real *init;        /* contents before each run */
    long double *want, *mag;    /* mag < 0: must stay as it was */
} an_out;

typedef enum an_fill { AN_FILL_CASE, AN_FILL_NORMAL, AN_FILL_POSITIVE, AN_FILL_OFFSET, AN_FILL_CONSTANT, AN_FILL_ZERO, AN_FILL_TINY, AN_FILL_DENORMAL, AN_FILL_HUGE, AN_FILL_WIDE, AN_FILL_INF, AN_FILL_NAN, AN_FILL_COUNT } an_fill;

/* Choices, a function of the case number alone; in the bench the sizes it was asked for, and 1 for scales. */
size_t an_pick_size(an_check *k);                     /* 0, 1, around 8, 16, 32, odd, large: the contiguous dimension */
size_t an_pick_rows(an_check *k);                     /* 0, 1, 2, 3 ... 33 */
int an_pick_bool(an_check *k);
uint64_t an_pick(an_check *k, uint64_t below);        /* 0 when below is 0 */
an_real an_pick_scale(an_check *k);                   /* 0, 1, -1, 0.5, others */
an_fill an_case_fill(const an_check *k);              /* what AN_FILL_CASE means in this case */
int an_checking(const an_check *k);                   /* 0 in the bench */

/* Arrays. Inputs may not be written; n may be 0. */
const an_real *an_in(an_check *k, const char *name, size_t n, an_fill fill);
an_real *an_in_edit(an_check *k, const char *name, size_t n, an_fill fill);   /* the checker may write before the first run */
int32_t *an_in_ids(an_check *k, const char *name, size_t n, int32_t from, int32_t below);   /* the checker may write before the first run */
an_out *an_out_new(an_check *k, const char *name, size_t n, an_fill fill);
static inline an_real *an_at(const an_out *y) { return y->now; }
void an_out_set(an_out *y, size_t i, an_real v);      /* contents before each run; before the first run only */

/* What a row writes as bfloat16: room for n rows `ld` apart, on a line of memory (NULL, and complained about: none), freed by the checker.
 * Before a run it is emptied; after one its rows of c are widened into y, and nothing else may have been written (stored 0: nothing at all). */
an_bf16 *an_low_new(an_check *k, size_t n, size_t ld);
void an_low_empty(an_bf16 *low, size_t n, size_t ld);
void an_low_take(an_check *k, const an_bf16 *low, int stored, size_t n, size_t c, size_t ld, an_out *y);

/* Runs. */
void an_work(an_check *k, double bytes, double flops);
static inline double an_bytes(size_t reals) { return (double)reals * (double)sizeof(an_real); }
int an_next_run(an_check *k);
const an_kernels *an_table(const an_check *k);        /* of the run in progress */
const char *an_run_level(const an_check *k);          /* "ref" or the level's name, for checkers of things outside the table */

/* Verdict. */
static inline void an_want(an_out *y, size_t i, long double value, long double mag) { y->want[i] = value; y->mag[i] = mag; }
void an_judge(an_check *k, an_out *y, double factor);
void an_judge_exact(an_check *k, an_out *y);          /* the level must equal the reference bit for bit (NaN equals NaN) */
void an_complain(an_check *k, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* any other failure */

/* One checker per row of kernels.def, or the program does not link. */
#define KERNEL(ret, name, args) void an_check_##name(an_check *k);
#include "kern/kernels.def"
#undef KERNEL

/* Things checked beside the table (extra.def): a checker and the names of its levels, "ref" first, NULL at the end. */
#define EXTRA(name) void an_check_##name(an_check *k); const char *an_levels_##name(size_t i);
#include "extra.def"
#undef EXTRA

#endif
