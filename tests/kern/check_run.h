/* tests/kern/check_run.h
 * What the program sees of a check and checkers do not: its state, and the loop around it. */
#ifndef AN_TESTS_KERN_CHECK_RUN_H
#define AN_TESTS_KERN_CHECK_RUN_H

#include "check.h"

enum { AN_CASES = 600, AN_ARRAYS = 24, AN_BENCH_LEVELS = 8 };

typedef enum an_fault { AN_FAULT_NONE, AN_FAULT_VALUE, AN_FAULT_LAST, AN_FAULT_BEYOND, AN_FAULT_BEFORE, AN_FAULT_INPUT, AN_FAULT_UNSTABLE, AN_FAULT_COUNT } an_fault;

typedef struct an_array { char *map; size_t map_bytes; char *data; size_t bytes; char *copy; const char *name; } an_array;

typedef struct an_level { const char *name; const an_kernels *table; } an_level;

typedef struct an_bench_time { double best; size_t runs; } an_bench_time;

struct an_check {
    const char *row;
    an_level ref, level;
    uint64_t number;             /* of the case */
    uint64_t draws;
    an_fill fill;
    int flush;                   /* arrays end at a guard page */
    int run;                     /* -1 before the first */
    an_array array[AN_ARRAYS];   /* inputs, then one per output and run */
    size_t arrays;
    an_out out[AN_ARRAYS];
    size_t outs;
    /* verdict */
    int failed;
    double worst;                /* in bounds, over outputs */
    char text[600];              /* first complaint */
    char place[200];             /* of the worst element */
    /* planted faults */
    an_fault fault;
    int planted;
    /* bench */
    int bench;
    size_t bench_n, bench_c;
    an_level levels[AN_BENCH_LEVELS];
    size_t level_count;
    an_bench_time time[AN_BENCH_LEVELS];
    double bytes, flops, started, budget;
};

/* Prepares case `number`; the checker is then called, then an_check_fini frees all arrays. */
void an_check_init(an_check *k, const char *row, an_level ref, an_level level, uint64_t number);
void an_check_fini(an_check *k);
double an_seconds(void);

#endif
