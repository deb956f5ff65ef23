/* train/idx.c
 * The one file that knows zlib, whose reading functions take plain files as well. The room grows with what has been read, so a head
 * that promises more than there is costs no memory. */
#include "train/idx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/file.h"

#ifdef AN_HAVE_ZLIB
#include <zlib.h>
typedef gzFile source;
static source source_open(const char *path) { return gzopen(path, "rb"); }
static long source_read(source s, void *to, size_t n) { return gzread(s, to, (unsigned)n); }
static int source_close(source s) { return gzclose(s); }   /* not 0: the compressed stream has no end */
static const char *const COMPRESSED = NULL;
#else
typedef FILE *source;
static source source_open(const char *path) { return fopen(path, "rb"); }
static long source_read(source s, void *to, size_t n) { const size_t got = fread(to, 1, n, s); return ferror(s) ? -1 : (long)got; }
static int source_close(source s) { return fclose(s); }
static const char *const COMPRESSED = "is compressed, and this build has no zlib; unpack it with gunzip first";
#endif

enum { FIRST = 1 << 20, MOST = 1 << 30 };   /* bytes of the first room; at once */

static uint32_t big_endian(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* As many bytes as there are, at most n. -1: damaged. */
static long read_some(source s, unsigned char *to, size_t n)
{
    long all = 0;
    while ((size_t)all < n) {
        const long got = source_read(s, to + all, n - (size_t)all < MOST ? n - (size_t)all : MOST);
        if (got < 0) return -1;
        if (got == 0) break;
        all += got;
    }
    return all;
}

static an_status read_head(an_idx *x, source s, const char *path)
{
    unsigned char head[4] = { 0 }, dims[4 * AN_IDX_RANK];
    const long got = read_some(s, head, sizeof head);
    if (COMPRESSED && got >= 2 && head[0] == 0x1f && head[1] == 0x8b) return an_fail(AN_EFORMAT, "%s: %s", path, COMPRESSED);
    if (got != sizeof head || head[0] || head[1]) return an_fail(AN_EFORMAT, "%s: not an IDX file, which begins with two zeros; arch resnet reads IDX files of images and of labels", path);
    if (head[2] != 8) return an_fail(AN_EFORMAT, "%s: numbers of kind 0x%02x; only bytes (0x08) are read", path, head[2]);
    if (head[3] == 0 || head[3] > AN_IDX_RANK) return an_fail(AN_EFORMAT, "%s: %d dimensions; labels have 1, images 3, or 4 in colour", path, head[3]);
    x->rank = head[3];
    x->bytes = 1;
    if (read_some(s, dims, 4 * x->rank) != (long)(4 * x->rank)) return an_fail(AN_EFORMAT, "%s: ends within its head", path);
    for (size_t i = 0; i < x->rank; i++) {
        x->dim[i] = big_endian(dims + 4 * i);
        if (!an_size_mul(x->bytes, x->dim[i], &x->bytes)) return an_fail(AN_EFORMAT, "%s: its dimensions are beyond the address space; damaged", path);
    }
    return AN_OK;
}

static an_status read_body(an_idx *x, source s, const char *path)
{
    size_t have = 0, room = x->bytes < FIRST ? x->bytes : FIRST;
    for (;;) {
        unsigned char *more = an_realloc(x->data, room + 1);     /* one more, to see that nothing follows */
        if (!more) return an_fail(AN_ENOMEM, "%s: no memory for %zu bytes", path, room);
        x->data = more;
        const long got = read_some(s, x->data + have, room + 1 - have);
        if (got < 0) return an_fail(AN_EFORMAT, "%s: damaged, or unreadable, after %zu bytes", path, have);
        have += (size_t)got;
        if (have > x->bytes) return an_fail(AN_EFORMAT, "%s: goes on beyond the %zu bytes that its head promises", path, x->bytes);
        if (have <= room && have < x->bytes) return an_fail(AN_EFORMAT, "%s: ends after %zu of the %zu bytes that its head promises; truncated", path, have, x->bytes);
        if (have == x->bytes) return AN_OK;
        room = room < x->bytes / 2 ? 2 * room : x->bytes;
    }
}

an_status an_idx_read(an_idx *out, const char *path, int head_only)
{
    an_idx x = { 0 };
    an_map probe;
    AN_TRY(an_map_open(&probe, path));                           /* for what it says of folders and missing files */
    an_map_close(&probe);
    source s = source_open(path);
    if (!s) return an_fail(AN_EDATA, "%s: cannot be opened", path);
    an_status status = read_head(&x, s, path);
    if (status == AN_OK && !head_only) status = read_body(&x, s, path);
    if (source_close(s) != 0 && status == AN_OK && !head_only) status = an_fail(AN_EFORMAT, "%s: its end is missing; truncated", path);
    if (status != AN_OK) an_idx_free(&x);
    else *out = x;
    return status;
}

void an_idx_free(an_idx *idx)
{
    free(idx->data);
    *idx = (an_idx){ 0 };
}
