/* unit.c: see unit.h */
#include "unit.h"

#include <stdio.h>
#include <unistd.h>

#include "core/file.h"

static char scratch[256];

void unit_ok(an_status status, const char *call, const char *file, int line)
{
    if (status == AN_OK) return;
    print_error("%s: %s: %s\n", call, an_status_name(status), an_error_text());
    _fail(file, line);
}

void unit_fails(an_status got, an_status want, const char *words, const char *call, const char *file, int line)
{
    if (got == want && strstr(an_error_text(), words) && !strchr(an_error_text(), '\n')) return;
    print_error("%s: got %s '%s', expected %s with '%s' in one line\n", call, an_status_name(got), got == AN_OK ? "" : an_error_text(), an_status_name(want), words);
    _fail(file, line);
}

int unit_scratch_setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch, sizeof scratch, "%s/addnorm-unit-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(scratch) ? 0 : -1;
}

int unit_scratch_teardown(void **state)
{
    (void)state;
    return an_dir_remove(scratch) == AN_OK ? 0 : -1;
}

const char *unit_path(const char *name)
{
    static char path[4][512];
    static int next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", scratch, name);
    return p;
}

void unit_write(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}
