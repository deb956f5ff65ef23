/* core/arena.h
 * Two kinds of memory with one owner each.
 *   an_arena: many small objects of one lifetime (names, steps, attributes); grows in chunks, freed at once.
 *   an_block: one large 64-byte aligned buffer of reals, sized at plan time, never resized. */
#ifndef AN_CORE_ARENA_H
#define AN_CORE_ARENA_H

#include <stddef.h>

#include "core/real.h"
#include "core/status.h"

#define AN_ALIGN 64u

typedef struct an_arena { struct an_arena_chunk *head; } an_arena;   /* zero-initialised is empty and valid */

void *an_arena_alloc(an_arena *arena, size_t bytes);                  /* zeroed, 16-byte aligned; NULL when out of memory */
char *an_arena_printf(an_arena *arena, const char *format, ...) AN_PRINTF(2, 3);   /* NULL when out of memory */
void an_arena_fini(an_arena *arena);

/* Where in a page (4 KiB) the k-th of several large arrays begins, in reals. A load waits for an earlier store whose address agrees
 * with its own in the last 12 bits, so arrays walked together must not lie a few lines apart modulo a page; these lie 12 or more apart. */
enum { AN_PAGE = 4096 / sizeof(an_real) };
static inline size_t an_stagger(size_t k) { return k % 5 * 13 * (AN_ALIGN / sizeof(an_real)); }

typedef struct an_block { an_real *data; size_t count; } an_block;    /* count in elements */

/* Reserves `count` zeroed reals, aligned to AN_ALIGN. Errors: AN_ENOMEM naming `what` and the bytes. */
an_status an_block_init(an_block *block, size_t count, const char *what) AN_MUST_USE;
void an_block_fini(an_block *block);

/* a * b and a + b for sizes that come from users or files; false on overflow, *out untouched then. */
static inline int an_size_mul(size_t a, size_t b, size_t *out) { size_t r; if (__builtin_mul_overflow(a, b, &r)) return 0; *out = r; return 1; }
static inline int an_size_add(size_t a, size_t b, size_t *out) { size_t r; if (__builtin_add_overflow(a, b, &r)) return 0; *out = r; return 1; }

/* Test hook: the n-th allocation from now made through core fails (0: off). Compiled in always, costs one branch. */
void an_alloc_fail_after(size_t n);

/* malloc/calloc/realloc of the library, all routed through the hook above. Freed with free(). */
void *an_alloc(size_t bytes);                       /* zeroed */
void *an_realloc(void *old, size_t bytes);
char *an_strdup(const char *s);

#endif
