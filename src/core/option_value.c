/* core/option_value.c
 * From what a user typed to a checked value. Numbers are read by strtod under a strict shape (no hex, nan, inf, blanks) and must fit a float;
 * integers may be written 1e6 as long as that is exact. Text is checked to be UTF-8 so that it can be written back. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/option_impl.h"

typedef struct bounds { double low, high; int low_open, high_open; } bounds;

static bounds read_range(const char *range)
{
    bounds b = { -INFINITY, INFINITY, 0, 0 };
    if (!range || !*range) return b;
    const char *dots = strstr(range, "..");
    if (*range == '[' || *range == '(') {
        char *end;
        b.low_open = *range == '(';
        b.low = strtod(range + 1, &end);
        b.high = strtod(end + 1, &end);
        b.high_open = *end == ')';
    } else if (dots) {
        if (dots > range) b.low = strtod(range, NULL);
        if (dots[2]) b.high = strtod(dots + 2, NULL);
    } else {
        const int equal = range[1] == '=';
        const double v = strtod(range + 1 + equal, NULL);
        if (*range == '>') b.low = v, b.low_open = !equal;
        else b.high = v, b.high_open = !equal;
    }
    return b;
}

static int inside(const bounds *b, double v)
{
    return (b->low_open ? v > b->low : v >= b->low) && (b->high_open ? v < b->high : v <= b->high);
}

/* Digits, one point, one exponent; strtod alone would take "0x1p3", "nan" and " 1". */
static int is_number(const char *s)
{
    int digits = 0;
    if (*s == '+' || *s == '-') s++;
    for (; *s >= '0' && *s <= '9'; s++) digits++;
    if (*s == '.') for (s++; *s >= '0' && *s <= '9'; s++) digits++;
    if (digits == 0) return 0;
    if (*s == 'e' || *s == 'E') {
        s++;
        if (*s == '+' || *s == '-') s++;
        if (*s < '0' || *s > '9') return 0;
        while (*s >= '0' && *s <= '9') s++;
    }
    return *s == '\0';
}

static int read_int(const char *s, int64_t *out)
{
    if (!is_number(s)) return 0;
    if (!strpbrk(s, ".eE")) {
        errno = 0;
        *out = strtoll(s, NULL, 10);
        return errno == 0;
    }
    const double v = strtod(s, NULL);
    if (v != floor(v) || fabs(v) > 9007199254740992.0) return 0;
    *out = (int64_t)v;
    return 1;
}

static int read_float(const char *s, double *out)
{
    if (!is_number(s)) return 0;
    *out = strtod(s, NULL);
    return fabs(*out) <= FLT_MAX;
}

/* A number and a unit, in whole bytes: 1 for a size in reach, -1 beyond, 0 for what is none. */
static int read_size(const char *s, int64_t *out)
{
    static const struct { const char *name; double bytes; } UNIT[] = { { "", 1 }, { "B", 1 }, { "K", 0x1p10 }, { "KiB", 0x1p10 }, { "KB", 1e3 }, { "M", 0x1p20 }, { "MiB", 0x1p20 }, { "MB", 1e6 },
        { "G", 0x1p30 }, { "GiB", 0x1p30 }, { "GB", 1e9 }, { "T", 0x1p40 }, { "TiB", 0x1p40 }, { "TB", 1e12 } };
    char digits[AN_NAME];
    const size_t n = strspn(s, "+-.0123456789");
    if (n >= sizeof digits) return 0;
    snprintf(digits, sizeof digits, "%.*s", (int)n, s);
    if (!is_number(digits)) return 0;
    for (size_t i = 0; i < sizeof UNIT / sizeof *UNIT; i++) {
        if (an_text_distance(s + n, UNIT[i].name) != 0) continue;
        const double bytes = strtod(digits, NULL) * UNIT[i].bytes;
        if (fabs(bytes) > 9007199254740992.0) return -1;
        *out = (int64_t)floor(bytes);
        return 1;
    }
    return 0;
}

/* A word of the row ("auto") -> its number's text; NULL when `s` is no such word. `word` gets its place in the list. */
static const char *find_word(const an_option *o, const char *s, size_t *length)
{
    for (const char *p = o->words; p && *p;) {
        const char *eq = strchr(p, '=');
        if (!eq) return NULL;
        *length = (size_t)(eq - p);
        if (strlen(s) == *length && memcmp(s, p, *length) == 0) return eq + 1;
        p = strchr(p, '|');
        if (p) p++;
    }
    return NULL;
}

static int read_bool(const char *s, int *out)
{
    static const char *const NO[] = { "false", "no", "off", "0" }, *const YES[] = { "true", "yes", "on", "1" };
    for (size_t i = 0; i < 4; i++) {
        if (an_text_distance(s, NO[i]) == 0) return *out = 0, 1;
        if (an_text_distance(s, YES[i]) == 0) return *out = 1, 1;
    }
    return 0;
}

const char *an__option_choice(const an_option *o, size_t i, char name[AN_NAME])
{
    if (o->choices) return o->choices(i);
    const char *p = o->range;
    for (; p && i > 0; i--) {
        p = strchr(p, '|');
        if (p) p++;
    }
    if (!p || !*p) return NULL;
    snprintf(name, AN_NAME, "%.*s", (int)strcspn(p, ",|"), p);
    return name;
}

/* Canonical choice for what was typed, by name or a further name in the range. */
static int find_choice(const an_option *o, const char *s, char name[AN_NAME])
{
    for (size_t i = 0;; i++) {
        char buffer[AN_NAME];
        const char *choice = an__option_choice(o, i, buffer);
        if (!choice) break;
        snprintf(name, AN_NAME, "%s", choice);
        if (an_text_distance(s, choice) == 0) return 1;
    }
    for (const char *p = o->choices ? NULL : o->range; p && *p;) {
        const size_t n = strcspn(p, "|");
        snprintf(name, AN_NAME, "%.*s", (int)strcspn(p, ",|"), p);
        for (const char *q = p; q < p + n; q += strcspn(q, ",|") + 1) {
            char other[AN_NAME];
            snprintf(other, sizeof other, "%.*s", (int)strcspn(q, ",|"), q);
            if (an_text_distance(s, other) == 0) return 1;
        }
        p = p[n] ? p + n + 1 : NULL;
    }
    return 0;
}

typedef struct choice_names { const an_option *option; char name[AN_NAME]; } choice_names;
static const char *choice_at(void *ctx, size_t i)
{
    choice_names *c = ctx;
    return an__option_choice(c->option, i, c->name);
}

void an__option_allowed(const an_option *o, an_text *out)
{
    if (o->type == AN_CHOICE) {
        char buffer[AN_NAME];
        const char *choice;
        for (size_t i = 0; (choice = an__option_choice(o, i, buffer)) != NULL; i++) an_text_add(out, "%s%s", i ? "|" : "", choice);
        return;
    }
    if (o->type != AN_INT && o->type != AN_FLOAT && o->type != AN_SIZE) return;
    const char *r = o->range ? o->range : "";
    const size_t n = strlen(r);
    if (n > 2 && strcmp(r + n - 2, "..") == 0) an_text_add(out, ">= %.*s", (int)(n - 2), r);
    else if (n > 2 && strncmp(r, "..", 2) == 0) an_text_add(out, "<= %s", r + 2);
    else if (*r == '>' || *r == '<') an_text_add(out, "%.*s %s", r[1] == '=' ? 2 : 1, r, r + (r[1] == '=' ? 2 : 1));
    else an_text_add(out, "%s", r);
    for (const char *p = o->words; p && *p;) {
        an_text_add(out, "%s%.*s", out->length ? " or " : "", (int)strcspn(p, "="), p);
        p = strchr(p, '|');
        if (p) p++;
    }
}

static an_status refuse_number(const an_option *o, const char *text, const char *where, const char *fault)
{
    an_text allowed = { 0 };
    an__option_allowed(o, &allowed);
    const char *kind = o->type == AN_INT ? "an integer" : o->type == AN_SIZE ? "a size (KiB, MiB, GiB)" : "a number";
    const int list = o->flags & AN_PER_SITE && strpbrk(text, ", ");
    const an_status status = an_fail(AN_ECONFIG, "%s: '%s' is %s; %s%s%s is needed%s%s%s", where, text, fault, kind, allowed.length ? " " : "", an_text_get(&allowed),
                                     list ? "; for single layers set " : "", list ? o->name : "", list ? "@LAYERS" : "");
    an_text_fini(&allowed);
    return status;
}

static an_status check_number(an_arena *arena, const an_option *o, const char *text, const char *where, const char **out)
{
    size_t n;
    if (find_word(o, text, &n)) {
        *out = an_arena_printf(arena, "%s", text);
        return AN_OK;
    }
    const bounds b = read_range(o->range);
    int64_t i = 0;
    double v;
    if (o->type == AN_INT) {
        if (!read_int(text, &i)) return refuse_number(o, text, where, is_number(text) ? "not a whole number in reach" : "not a number");
        v = (double)i;
    } else if (o->type == AN_SIZE) {
        const int read = read_size(text, &i);
        if (read <= 0) return refuse_number(o, text, where, read ? "too large" : "not a size");
        v = (double)i;
    } else if (!read_float(text, &v)) return refuse_number(o, text, where, is_number(text) ? "too large for a float" : "not a number");
    else if (v != 0 && fabs(v) < FLT_MIN) return refuse_number(o, text, where, "too small for a float");   /* would be 0 where it is used: no eps at all */
    if (!inside(&b, v)) return refuse_number(o, text, where, "out of range");
    *out = o->type == AN_INT ? an_arena_printf(arena, "%lld", (long long)i) : an_arena_printf(arena, "%s", text);
    return AN_OK;
}

static an_status check_choice(an_arena *arena, const an_option *o, const char *text, const char *where, const char **out)
{
    char name[AN_NAME], near[AN_NAME];
    if (find_choice(o, text, name)) {
        *out = an_arena_printf(arena, "%s", name);
        return AN_OK;
    }
    choice_names names = { .option = o };
    an_text allowed = { 0 };
    an__option_allowed(o, &allowed);
    const int close = an_text_nearest(text, choice_at, &names, near);
    const an_status status = an_fail(AN_ECONFIG, "%s: '%s' is no %s%s%s%s choices: %s", where, text, o->name, close ? "; did you mean '" : "", near, close ? "'?" : ";", an_text_get(&allowed));
    an_text_fini(&allowed);
    return status;
}

static an_status check_text(const an_option *o, const char *text, const char *where)
{
    const char *remedy = o->type == AN_PATHS || (o->flags & (AN_NAMES_FILE | AN_NAMES_FOLDER)) ? "; rename the file or folder" : "";
    for (const char *p = text, *end = text + strlen(text); p < end && !(o->flags & AN_ANY_BYTES);) {
        const int n = an_utf8_length(p, (size_t)(end - p));
        if (n <= 0) return an_fail(AN_ECONFIG, "%s: byte %zu of the value is not UTF-8%s", where, (size_t)(p - text), remedy);
        p += n;
    }
    return AN_OK;
}

/* What stands in a configuration may be of another day: only what was asked for now is looked at. Where the default is nothing, a file may say so. */
an_status an__option_check_name(const an_option *o, const char *text, an_source source, const char *where)
{
    const char *kind = o->flags & AN_NAMES_FILE ? "file" : "folder";
    const int folder = (o->flags & AN_NAMES_FOLDER) != 0;
    if (!(o->flags & (AN_NAMES_FILE | AN_NAMES_FOLDER)) || strcmp(text, "auto") == 0) return AN_OK;
    if (!*text) return *o->text || source == AN_FROM_FLAG ? an_fail(AN_EUSAGE, "%s: the value is empty; name a %s, or leave it out", where, kind) : AN_OK;
    if (source < AN_FROM_ENV || !an_path_exists(text) || an_path_is_dir(text) == folder) return AN_OK;
    return an_fail(AN_EUSAGE, "%s: %s is a %s; name a %s", where, text, folder ? "file" : "folder", kind);
}

an_status an__option_check(an_arena *arena, const an_option *o, const char *text, const char *where, const char **out)
{
    const char *checked = NULL;
    int flag;
    switch (o->type) {
    case AN_INT:
    case AN_SIZE:
    case AN_FLOAT: AN_TRY(check_number(arena, o, text, where, &checked)); break;
    case AN_CHOICE: AN_TRY(check_choice(arena, o, text, where, &checked)); break;
    case AN_BOOL:
        if (!read_bool(text, &flag)) return an_fail(AN_ECONFIG, "%s: '%s' is neither true nor false", where, text);
        checked = flag ? "true" : "false";
        break;
    case AN_STRING:
    case AN_PATHS:
        AN_TRY(check_text(o, text, where));
        checked = an_arena_printf(arena, "%s", text);
        break;
    }
    if (!checked) return an_fail(AN_ENOMEM, "%s: no memory for the value", where);
    *out = checked;
    return AN_OK;
}

int64_t an__option_to_int(const an_option *o, const char *text)
{
    size_t n;
    const char *word = find_word(o, text, &n);
    int64_t v = 0;
    int flag = 0;
    if (o->type == AN_BOOL) return read_bool(text, &flag) ? flag : 0;
    if (o->type == AN_FLOAT) return (int64_t)an__option_to_float(o, text);
    if (word) v = strtoll(word, NULL, 10);
    else if (o->type == AN_SIZE) return read_size(text, &v) > 0 ? v : 0;
    else if (!read_int(text, &v)) return 0;
    return v;
}

double an__option_to_float(const an_option *o, const char *text)
{
    size_t n;
    const char *word = find_word(o, text, &n);
    return o->type == AN_BOOL ? (double)an__option_to_int(o, text) : strtod(word ? word : text, NULL);
}

an_status an__option_to_list(an_arena *arena, const char *text, an_option_list *out)
{
    size_t count = *text ? 1 : 0;
    *out = (an_option_list){ 0 };
    for (const char *p = text; *p; p++) count += *p == '\n';
    if (count == 0) return AN_OK;
    const char **item = an_arena_alloc(arena, count * sizeof *item);
    char *copy = an_arena_printf(arena, "%s", text);
    if (!item || !copy) return an_fail(AN_ENOMEM, "options: no memory for a list");
    for (size_t i = 0; i < count; i++) {
        item[i] = copy;
        copy += strcspn(copy, "\n");
        if (*copy) *copy++ = '\0';
    }
    *out = (an_option_list){ count, item };
    return AN_OK;
}

const char *an__option_group(const an_option *o) { return o->group ? o->group : "Add & Norm"; }

void an__option_slug(const char *group, char out[AN_NAME])
{
    size_t n = 0;
    for (const char *p = group; *p && n < 62; p++) {
        const char c = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out[n++] = c;
        else if (n > 0 && out[n - 1] != '_') out[n++] = '_';
    }
    out[n] = '\0';
}
