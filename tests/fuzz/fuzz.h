/* fuzz.h
 * Between a fuzz target and the plain driver: the entry point that libFuzzer also calls, and valid inputs to start from. */
#ifndef AN_TESTS_FUZZ_H
#define AN_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

enum { FUZZ_MOST = 4096 };           /* bytes of an input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);   /* 1: accepted, 0: refused */
size_t fuzz_seed(size_t i, uint8_t *out);                       /* the i-th valid input; 0: there is none */

#endif
