/* core/text.c
 * Edit distance is the restricted Damerau form (a swap of neighbours is one slip of the fingers); UTF-8 is checked by
 * the table of Unicode 15, section 3.9, D92: no overlong forms, no surrogates, nothing above U+10FFFF. */
#include "core/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"

static int grow(an_text *text, size_t more)
{
    size_t need;
    if (text->failed) return 0;
    if (!an_size_add(text->length, more, &need) || !an_size_add(need, 1, &need)) { text->failed = 1; return 0; }
    if (need <= text->capacity) return 1;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity < need) {
        if (!an_size_mul(capacity, 2, &capacity)) { text->failed = 1; return 0; }
    }
    char *s = an_realloc(text->s, capacity);
    if (!s) { text->failed = 1; return 0; }
    text->s = s;
    text->capacity = capacity;
    return 1;
}

void an_text_put(an_text *text, const char *bytes, size_t count)
{
    if (count == 0 || !grow(text, count)) return;
    memcpy(text->s + text->length, bytes, count);
    text->length += count;
    text->s[text->length] = '\0';
}

void an_text_add(an_text *text, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) text->failed = 1;
    if (n > 0 && grow(text, (size_t)n)) {
        vsnprintf(text->s + text->length, (size_t)n + 1, format, again);
        text->length += (size_t)n;
    }
    va_end(again);
}

an_status an_text_status(const an_text *text)
{
    return text->failed ? an_fail(AN_ENOMEM, "text: cannot grow beyond %zu bytes", text->capacity) : AN_OK;
}

const char *an_text_get(const an_text *text) { return text->s ? text->s : ""; }

void an_text_fini(an_text *text)
{
    free(text->s);
    *text = (an_text){ 0 };
}

char *an_human_bytes(char out[AN_HUMAN], double bytes)
{
    static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    size_t u = 0;
    while (fabs(bytes) >= 1023.5 && u + 1 < sizeof unit / sizeof unit[0]) { bytes /= 1024; u++; }
    snprintf(out, AN_HUMAN, u == 0 || fabs(bytes) >= 99.95 ? "%.0f %s" : "%.1f %s", bytes, unit[u]);
    return out;
}

char *an_human_count(char out[AN_HUMAN], double count)
{
    static const char *const unit[] = { "", "k", "M", "G", "T", "P", "E" };
    size_t u = 0;
    while (fabs(count) >= 999.95 && u + 1 < sizeof unit / sizeof unit[0]) { count /= 1000; u++; }
    const char *form = u == 0 && count == floor(count) ? "%.0f%s" : fabs(count) < 9.995 ? "%.2f%s" : "%.1f%s";
    snprintf(out, AN_HUMAN, form, count, unit[u]);
    return out;
}

char *an_human_time(char out[AN_HUMAN], double seconds)
{
    if (!(seconds >= 0) || seconds > 1e12) snprintf(out, AN_HUMAN, "?");
    else if (seconds == 0) snprintf(out, AN_HUMAN, "0 s");
    else if (seconds < 1e-3) snprintf(out, AN_HUMAN, "%.3g us", seconds * 1e6);
    else if (seconds < 0.9995) snprintf(out, AN_HUMAN, "%.3g ms", seconds * 1e3);
    else if (seconds < 59.95) snprintf(out, AN_HUMAN, "%.1f s", seconds);
    else {
        const long long s = llround(seconds);
        if (s < 3600) snprintf(out, AN_HUMAN, "%lldm%02llds", s / 60, s % 60);
        else if (s < 86400) snprintf(out, AN_HUMAN, "%lldh%02lldm", s / 3600, s / 60 % 60);
        else snprintf(out, AN_HUMAN, "%lldd%02lldh", s / 86400, s / 3600 % 24);
    }
    return out;
}

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z') return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

size_t an_text_distance(const char *a, const char *b)
{
    enum { MOST = 63 };
    unsigned char row[3][MOST + 1];
    const size_t n = strnlen(a, MOST), m = strnlen(b, MOST);
    unsigned char *before = row[0], *last = row[1], *now = row[2];
    for (size_t j = 0; j <= m; j++) last[j] = (unsigned char)j;
    for (size_t i = 1; i <= n; i++) {
        now[0] = (unsigned char)i;
        for (size_t j = 1; j <= m; j++) {
            const int differ = fold(a[i - 1]) != fold(b[j - 1]);
            int best = last[j - 1] + differ;
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && differ && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]) && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = (unsigned char)best;
        }
        unsigned char *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[m];
}

int an_text_nearest(const char *word, const char *(*name_at)(void *ctx, size_t i), void *ctx, char out[AN_NAME])
{
    const char *name;
    const size_t limit = strlen(word) / 3 + 1;   /* one slip in a short word, about one per three letters in a long one */
    size_t least = limit + 1;
    out[0] = '\0';
    for (size_t i = 0; (name = name_at(ctx, i)) != NULL; i++) {
        const size_t d = an_text_distance(word, name);
        if (d >= least || d >= strlen(name)) continue;
        least = d;
        snprintf(out, AN_NAME, "%s", name);
    }
    return out[0] != '\0';
}

int an_text_in_list(const char *list, char separator, const char *word, size_t n)
{
    for (const char *p = list; p && *p;) {
        const char *end = strchr(p, separator);
        const size_t length = end ? (size_t)(end - p) : strlen(p);
        if (length == n && memcmp(p, word, n) == 0) return 1;
        p = end ? end + 1 : NULL;
    }
    return 0;
}

int an_utf8_length(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    if (n == 0) return -1;
    if (u[0] < 0x80) return 1;
    if (u[0] < 0xC2 || u[0] > 0xF4) return 0;
    const int length = u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
    unsigned char low = 0x80, high = 0xBF;
    if (u[0] == 0xE0) low = 0xA0;
    if (u[0] == 0xED) high = 0x9F;
    if (u[0] == 0xF0) low = 0x90;
    if (u[0] == 0xF4) high = 0x8F;
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= n) return -1;
        if (u[i] < low || u[i] > high) return 0;
        low = 0x80;
        high = 0xBF;
    }
    return length;
}

static void put_escaped(an_text *text, char byte) { an_text_add(text, "\\x%02X", (unsigned)(unsigned char)byte); }

static int is_control(const char *s, int length)
{
    const unsigned char c = (unsigned char)s[0];
    if (length == 1) return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
    return length == 2 && c == 0xC2 && (unsigned char)s[1] < 0xA0;   /* C1 controls */
}

/* Puts whole sequences; returns how many bytes at the end are the start of one that was cut off. */
static size_t put_whole(an_text *text, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count;) {
        const int length = an_utf8_length(bytes + i, count - i);
        if (length < 0) return count - i;
        if (length == 0) put_escaped(text, bytes[i]);
        else if (is_control(bytes + i, length)) for (int k = 0; k < length; k++) put_escaped(text, bytes[i + (size_t)k]);
        else an_text_put(text, bytes + i, (size_t)length);
        i += length > 0 ? (size_t)length : 1;
    }
    return 0;
}

void an_text_put_safe(an_text *text, const char *bytes, size_t count)
{
    const size_t left = put_whole(text, bytes, count);
    for (size_t i = count - left; i < count; i++) put_escaped(text, bytes[i]);
}

void an_utf8_stream_put(an_utf8_stream *stream, const char *bytes, size_t count, an_text *out)
{
    for (size_t i = 0; i < count; i++) {
        stream->held[stream->count++] = bytes[i];
        const size_t left = put_whole(out, stream->held, stream->count);
        memmove(stream->held, stream->held + stream->count - left, left);
        stream->count = left;
    }
}

void an_utf8_stream_end(an_utf8_stream *stream, an_text *out)
{
    for (size_t i = 0; i < stream->count; i++) put_escaped(out, stream->held[i]);
    stream->count = 0;
}
