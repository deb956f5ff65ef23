/* study/serve.h
 * A run's report while it trains: a page on the loopback interface that renews itself. The server knows the run folder only, and reads it in
 * a thread of its own, at the lowest priority, when a browser asks: training neither waits for it nor computes another bit.
 * The only file that knows libmicrohttpd; without it an_serve_start says so. */
#ifndef AN_STUDY_SERVE_H
#define AN_STUDY_SERVE_H

#include "core/status.h"

typedef struct an_serve an_serve;

/* port 0: 8080, or a free one where that is taken. Errors: AN_EIO for a port that cannot be had, AN_EFAIL where it is not built in,
 * AN_ENOMEM; those of reading the run. */
an_status an_serve_start(an_serve **out, const char *run, int port) AN_MUST_USE;
int an_serve_port(const an_serve *serve);
void an_serve_stop(an_serve **serve);                /* NULL is fine; waits for the thread, a fraction of a second */

#endif
