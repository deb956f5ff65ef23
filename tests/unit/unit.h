/* unit.h
 * What the unit tests share: cmocka with its required includes, a scratch folder per program, and checks that a call
 * fails with a status and a sentence that contains certain words. */
#ifndef AN_TESTS_UNIT_H
#define AN_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/status.h"

#define assert_ok(call) unit_ok((call), #call, __FILE__, __LINE__)
#define assert_fails(call, status, words) unit_fails((call), (status), (words), #call, __FILE__, __LINE__)
#define COUNT(array) (sizeof(array) / sizeof *(array))

void unit_ok(an_status status, const char *call, const char *file, int line);
void unit_fails(an_status got, an_status want, const char *words, const char *call, const char *file, int line);

int unit_scratch_setup(void **state);                /* group fixtures: an empty folder, removed afterwards */
int unit_scratch_teardown(void **state);
const char *unit_path(const char *name);             /* inside it; four results live at a time */
void unit_write(const char *path, const void *bytes, size_t size);

#endif
