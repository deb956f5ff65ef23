/* core/arena.c
 * Blocks come from anonymous mappings: zero pages cost nothing until touched, so a planned peak is an upper bound
 * of what the process then uses, and the memory goes back to the system at once when the block is freed. */
#include "core/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK_BYTES = 64 * 1024, LARGE_BYTES = 4 << 20 };

typedef struct an_arena_chunk {
    struct an_arena_chunk *next;
    size_t used, size;
    _Alignas(16) char data[];
} an_arena_chunk;

static _Thread_local size_t fail_countdown;

void an_alloc_fail_after(size_t n) { fail_countdown = n; }

static int must_fail(void)
{
    if (fail_countdown == 0) return 0;
    return --fail_countdown == 0;
}

void *an_alloc(size_t bytes) { return must_fail() ? NULL : calloc(1, bytes ? bytes : 1); }
void *an_realloc(void *old, size_t bytes) { return must_fail() ? NULL : realloc(old, bytes ? bytes : 1); }

char *an_strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = an_alloc(n);
    if (copy) memcpy(copy, s, n);
    return copy;
}

void *an_arena_alloc(an_arena *arena, size_t bytes)
{
    bytes = (bytes + 15u) & ~(size_t)15u;
    an_arena_chunk *chunk = arena->head;
    if (!chunk || chunk->size - chunk->used < bytes) {
        const size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = an_alloc(sizeof *chunk + size);
        if (!chunk) return NULL;
        chunk->size = size;
        chunk->next = arena->head;
        arena->head = chunk;
    }
    void *p = chunk->data + chunk->used;
    chunk->used += bytes;
    return p;
}

char *an_arena_printf(an_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *s = n < 0 ? NULL : an_arena_alloc(arena, (size_t)n + 1);
    if (s) vsnprintf(s, (size_t)n + 1, format, again);
    va_end(again);
    return s;
}

void an_arena_fini(an_arena *arena)
{
    while (arena->head) {
        an_arena_chunk *next = arena->head->next;
        free(arena->head);
        arena->head = next;
    }
}

/* Pages of 2 MiB where the system gives them: touched for the first time, small ones are half a million faults for the moments of GPT-2,
 * each of which stops all threads where zeros had been read before. */
static void prefer_large_pages(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    if (bytes >= LARGE_BYTES) madvise(p, bytes, MADV_HUGEPAGE);   /* a wish: what it returns changes nothing */
#else
    (void)p, (void)bytes;
#endif
}

an_status an_block_init(an_block *block, size_t count, const char *what)
{
    size_t bytes;
    *block = (an_block){ 0 };
    if (count == 0) return AN_OK;
    if (!an_size_mul(count, sizeof(an_real), &bytes)) return an_fail(AN_ENOMEM, "%s: %zu elements overflow the address space; use a smaller model or smaller batches", what, count);
    void *p = must_fail() ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return an_fail(AN_ENOMEM, "%s: cannot reserve %zu bytes; use a smaller model or smaller batches", what, bytes);
    prefer_large_pages(p, bytes);
    *block = (an_block){ p, count };
    return AN_OK;
}

void an_block_fini(an_block *block)
{
    if (block->data) munmap(block->data, block->count * sizeof(an_real));
    *block = (an_block){ 0 };
}
