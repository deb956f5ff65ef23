/* tests/kern/selftest.h
 * Faults the checker must find: planted into what a kernel left behind, and into copies of kernels. */
#ifndef AN_TESTS_KERN_SELFTEST_H
#define AN_TESTS_KERN_SELFTEST_H

#include "check_run.h"

void an_selftest_row(const char *row, void (*check)(an_check *k), an_level ref, an_level level, int *passed, int *failed);
void an_selftest_copies(int *passed, int *failed);

#endif
