/* fuzz_idx.c
 * IDX files of any origin, plain and compressed: refused in one line, or read to exactly what their head says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "train/idx.h"

static char path[64];

static void remove_file(void) { unlink(path); }

static void write_file(const uint8_t *data, size_t size)
{
    if (!*path) {
        strcpy(path, "/tmp/addnorm-fuzz-idx-XXXXXX");
        const int made = mkstemp(path);
        if (made < 0 || close(made) != 0 || atexit(remove_file) != 0) abort();
    }
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_idx x = { 0 };
    write_file(data, size);
    for (int head_only = 1; head_only >= 0; head_only--) {
        size_t bytes = 1;
        if (an_idx_read(&x, path, head_only) != AN_OK) {
            if (an_error_text()[0] == '\0' || strchr(an_error_text(), '\n')) abort();
            return 0;
        }
        for (size_t i = 0; i < x.rank; i++) bytes *= x.dim[i];
        if (x.rank == 0 || x.rank > AN_IDX_RANK || bytes != x.bytes || (!head_only && !x.data && bytes)) abort();
        unsigned sum = 0;
        for (size_t i = 0; x.data && i < bytes; i++) sum += x.data[i];       /* for a sanitizer to see */
        if (sum > 255 * bytes) abort();
        an_idx_free(&x);
    }
    return 1;
}

size_t fuzz_seed(size_t i, uint8_t *out)
{
    static const uint8_t IMAGES[] = { 0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 };
    static const uint8_t LABELS[] = { 0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 9, 3 };
    /* LABELS by gzip */
    static const uint8_t PACKED[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 1, 12, 0, 0xf3, 0xff, 0, 0, 8, 1, 0, 0, 0, 4, 0, 1, 9, 3, 0xdc, 0xb4, 0xf0, 0xc3, 12, 0, 0, 0 };
    static const struct { const uint8_t *bytes; size_t n; } SEED[] = { { IMAGES, sizeof IMAGES }, { LABELS, sizeof LABELS }, { PACKED, sizeof PACKED } };
    if (i >= sizeof SEED / sizeof *SEED) return 0;
    memcpy(out, SEED[i].bytes, SEED[i].n);
    return SEED[i].n;
}
