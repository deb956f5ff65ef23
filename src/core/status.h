/* core/status.h
 * How a failure travels: every fallible function returns an an_status and leaves a sentence (place, value, remedy)
 * in a thread-local record. The library never prints, exits or aborts; the command line prints the record and
 * exits with the code that stands beside the status below.
 *
 *     return an_fail(AN_ECONFIG, "n_head: %zu does not divide d_model %zu; choose a divisor", h, c);
 *     AN_TRY(an_thing_create(&thing, ...));
 */
#ifndef AN_CORE_STATUS_H
#define AN_CORE_STATUS_H

/*  name           exit  message                                                                              */
#define AN_STATUS_LIST(X)                                                       \
    X(AN_OK,           0, "done")                                               \
    X(AN_EFAIL,        1, "failure while running")                              \
    X(AN_ENOMEM,       1, "out of memory")                                      \
    X(AN_EIO,          1, "input or output failed")                             \
    X(AN_EUSAGE,       2, "wrong usage")                                        \
    X(AN_ECONFIG,      2, "wrong configuration")                                \
    X(AN_ESHAPE,       2, "shapes do not fit")                                  \
    X(AN_EDATA,        3, "bad data")                                           \
    X(AN_EFORMAT,      3, "bad file")                                           \
    X(AN_EDIVERGED,    4, "training diverged")                                  \
    X(AN_EINTERRUPTED, 75, "interrupted, resumable")

typedef enum an_status {
#define AN_STATUS_ENUM(name, exit_code, text) name,
    AN_STATUS_LIST(AN_STATUS_ENUM)
#undef AN_STATUS_ENUM
} an_status;

#define AN_MUST_USE __attribute__((warn_unused_result))
#define AN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

#define AN_TRY(call)                                                            \
    do {                                                                        \
        const an_status an_try_status_ = (call);                                \
        if (an_try_status_ != AN_OK) return an_try_status_;                     \
    } while (0)

/* Records the sentence for this thread (replacing the last one) and returns `status`. */
an_status an_fail(an_status status, const char *format, ...) AN_PRINTF(2, 3) AN_MUST_USE;

/* Puts "prefix: " in front of the sentence already recorded and returns `status`; adds the caller's place. */
an_status an_fail_prefix(an_status status, const char *format, ...) AN_PRINTF(2, 3) AN_MUST_USE;

/* The sentence of this thread's last failure; "" if none. Borrowed until the next failure on this thread. */
const char *an_error_text(void);

const char *an_status_name(an_status status);      /* "AN_ECONFIG" */
const char *an_status_message(an_status status);   /* "wrong configuration" */
int an_status_exit_code(an_status status);         /* 0, 1, 2, 3, 4, 75 */

#endif
