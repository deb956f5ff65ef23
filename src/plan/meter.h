/* plan/meter.h
 * Where the time of passes goes: by kind of op and direction and, where an op tells its parts apart (op->part_name), by what
 * they make. A pass with a meter computes the same bits; one without passes by a test of a pointer. */
#ifndef AN_PLAN_METER_H
#define AN_PLAN_METER_H

#include "op/op.h"

enum { AN_METER_ROWS = 64, AN_METER_NAMES = 4 };

/* bytes: the least that must move, in the numbers the values are held in: forward its inputs and outputs, backward the values it reads
 * again, the gradients it reads and those it writes (read too where it adds). 0 where nobody counts them. */
typedef struct an_meter_row {
    const char *op, *part;         /* "linear", "weight grad"; "forward", "backward" where all parts are alike; "": the rest of an op of products */
    size_t calls;
    double seconds, flops, bytes;
} an_meter_row;

typedef struct an_meter_spent { const char *name[AN_METER_NAMES]; double seconds[AN_METER_NAMES]; } an_meter_spent;   /* one cache line */

typedef struct an_meter {
    an_meter_row row[AN_METER_ROWS];   /* in the order they first ran */
    size_t rows;
    int threads;
    an_meter_spent *spent;         /* [threads], of the instruction that runs */
} an_meter;

an_status an_meter_init(an_meter *meter, int threads) AN_MUST_USE;
void an_meter_clear(an_meter *meter);              /* no rows; for the next pass */
void an_meter_fini(an_meter *meter);

void an_meter_part(an_meter *meter, const an_step *step, an_direction dir, const an_part *part, double seconds);        /* by its own thread */
void an_meter_instr(an_meter *meter, const an_run *run, const an_step *step, an_direction dir, double seconds);         /* once all parts have run */

#endif
