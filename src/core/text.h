/* core/text.h
 * Text for people: a growing buffer, human units, nearest names, and printing of bytes that may not be valid UTF-8. */
#ifndef AN_CORE_TEXT_H
#define AN_CORE_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* A growing buffer; zero-initialised is empty and valid. When memory runs out it keeps what it has and remembers;
 * an_text_status tells once, at the end. `s` is NULL or ends with a NUL. */
typedef struct an_text { char *s; size_t length, capacity; int failed; } an_text;

void an_text_add(an_text *text, const char *format, ...) AN_PRINTF(2, 3);
void an_text_put(an_text *text, const char *bytes, size_t count);
an_status an_text_status(const an_text *text) AN_MUST_USE;   /* AN_ENOMEM after a failed growth */
const char *an_text_get(const an_text *text);                /* "" when empty */
void an_text_fini(an_text *text);

/* Short human forms into `out` (returned); 32 bytes always suffice. */
enum { AN_HUMAN = 32 };
char *an_human_bytes(char out[AN_HUMAN], double bytes);      /* "1.5 MiB" */
char *an_human_count(char out[AN_HUMAN], double count);      /* "124.4M", "1.2k", "17" */
char *an_human_time(char out[AN_HUMAN], double seconds);     /* "850 ms", "12.3 s", "4m05s", "2h03m", "3d04h" */

/* Edit distance (insert, delete, replace, swap of neighbours), case and -/_ ignored. Strings over 63 bytes are cut. */
size_t an_text_distance(const char *a, const char *b);

/* Copies the nearest of the names that `name_at` lists (NULL ends; it may reuse one buffer) into `out` and returns 1; 0 and an
 * empty `out` when none is near enough to be meant. */
enum { AN_NAME = 64 };
int an_text_nearest(const char *word, const char *(*name_at)(void *ctx, size_t i), void *ctx, char out[AN_NAME]);

/* Whether `word` (length n) is one of the words in `list` separated by `separator`. */
int an_text_in_list(const char *list, char separator, const char *word, size_t n);

/* Length of the valid UTF-8 sequence at s[0..n), 0 when s starts with an invalid byte, -1 when cut off by n. */
int an_utf8_length(const char *s, size_t n);

/* Appends bytes so that the output is valid UTF-8 and moves no cursor: invalid bytes and control characters other than
 * newline and tab become \xNN. */
void an_text_put_safe(an_text *text, const char *bytes, size_t count);

/* Streaming form for a sampler that yields bytes: holds back an incomplete sequence between calls (at most 3 bytes). */
typedef struct an_utf8_stream { char held[4]; size_t count; } an_utf8_stream;
void an_utf8_stream_put(an_utf8_stream *stream, const char *bytes, size_t count, an_text *out);
void an_utf8_stream_end(an_utf8_stream *stream, an_text *out);

#endif
