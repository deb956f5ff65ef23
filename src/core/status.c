/* core/status.c
 * One thread-local sentence. A fixed buffer: reporting a failed allocation must not allocate. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char text[2048];

an_status an_fail(an_status status, const char *format, ...)
{
    char fresh[sizeof text];   /* the arguments may point into the old sentence */
    va_list args;
    va_start(args, format);
    vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    memcpy(text, fresh, sizeof text);
    return status;
}

an_status an_fail_prefix(an_status status, const char *format, ...)
{
    char fresh[sizeof text];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(fresh, sizeof fresh, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof fresh - 3) {
        const size_t room = sizeof fresh - (size_t)n - 3, len = strnlen(text, room);
        memcpy(fresh + n, ": ", 2);
        memcpy(fresh + n + 2, text, len);
        fresh[(size_t)n + 2 + len] = '\0';
    }
    memcpy(text, fresh, sizeof text);
    return status;
}

const char *an_error_text(void) { return text; }

const char *an_status_name(an_status status)
{
    switch (status) {
#define AN_STATUS_NAME(name, exit_code, message) case name: return #name;
        AN_STATUS_LIST(AN_STATUS_NAME)
#undef AN_STATUS_NAME
    }
    return "?";
}

const char *an_status_message(an_status status)
{
    switch (status) {
#define AN_STATUS_TEXT(name, exit_code, message) case name: return message;
        AN_STATUS_LIST(AN_STATUS_TEXT)
#undef AN_STATUS_TEXT
    }
    return "?";
}

int an_status_exit_code(an_status status)
{
    switch (status) {
#define AN_STATUS_EXIT(name, exit_code, message) case name: return exit_code;
        AN_STATUS_LIST(AN_STATUS_EXIT)
#undef AN_STATUS_EXIT
    }
    return 1;
}
