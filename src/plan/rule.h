/* plan/rule.h
 * What an optimizer does with one tensor: factors on the run's own settings, chosen by whoever makes the parameter. */
#ifndef AN_PLAN_RULE_H
#define AN_PLAN_RULE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"

/* From the first draw on and after every update, rows (or columns) of a matrix are scaled to length 1. */
typedef enum an_unit { AN_UNIT_FREE, AN_UNIT_ROWS, AN_UNIT_COLS } an_unit;

typedef struct an_rule {
    double lr, decay, eps;         /* multiply the learning rate, the weight decay (0: none) and adam_eps */
    bool buffer;                   /* no gradient, no optimizer: running statistics that the backward half of training passes moves; saved with the model */
    an_unit unit;
} an_rule;

#define AN_RULE_BARE    ((an_rule){ .lr = 1, .decay = 0, .eps = 1 })
#define AN_RULE_BUFFER  ((an_rule){ .buffer = true })

/* Scales the rows or columns of w [rows, cols] to length 1, in parts that a thread each may take: part i of an_unit_parts, which
 * depends on the shape alone (0 parts where they are free). Lengths are summed in double, in order. A line of zeros stays one. */
size_t an_unit_parts(an_unit unit, size_t rows, size_t cols);
void an_unit_scale(an_unit unit, size_t rows, size_t cols, an_real *w, size_t part);

#endif
