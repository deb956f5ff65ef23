/* study/serve.c
 * Requests name one of four things, compared as whole words: no path is ever made from what a request says, so none can leave the run
 * folder. A request must call the server by a loopback name, so that no page of another site can reach it by a name that it lets point
 * here (DNS rebinding). What libmicrohttpd cannot read it answers with 4xx by itself. */
#include "study/serve.h"

#ifndef AN_HAVE_HTTP

an_status an_serve_start(an_serve **out, const char *run, int port)
{
    (void)out, (void)run, (void)port;
    return an_fail(AN_EFAIL, "serve: not built in; install libmicrohttpd (Debian: libmicrohttpd-dev) and build again");
}
int an_serve_port(const an_serve *serve) { return serve ? 0 : -1; }
void an_serve_stop(an_serve **serve) { *serve = 0; }

#else

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "study/runs.h"

enum { USUAL_PORT = 8080, REFRESH_MS = 2000, WAIT_MS = 100, MOST_CONNECTIONS = 16, IDLE_SECONDS = 10, CONNECTION_BYTES = 32 << 10 };
static const double RENEW_SECONDS = 1;               /* so often at most the page is made anew, whoever asks how often */

struct an_serve {
    struct MHD_Daemon *daemon;
    int port;
    pthread_t thread;
    atomic_bool stop;
    char *run;
    an_runs runs;                                    /* from here on the thread's own */
    an_text body;
    char tag[64];                                    /* of the body: how far the log was read, and the state */
    double made;
};

/* ---- what is served ---- */

static an_status read_anew(an_serve *s)
{
    const char *run = s->run;
    an_runs fresh;
    const an_status status = an_runs_open(&fresh, &run, 1);
    if (status != AN_OK) {
        an_runs_close(&fresh);
        return status;
    }
    an_runs_close(&s->runs);
    s->runs = fresh;
    return AN_OK;
}

static void tag_of(const an_serve *s, char tag[64])
{
    const an_record *r = s->runs.record[0];
    snprintf(tag, 64, "\"%lld-%d\"", (long long)r->offset, (int)r->state);
}

static an_status renew(an_serve *s)
{
    char tag[64];
    if (s->tag[0] && an_clock() - s->made < RENEW_SECONDS) return AN_OK;
    an_status status = an_record_follow(s->runs.record[0], NULL);
    if (status == AN_EDATA) status = read_anew(s);
    AN_TRY(status);
    tag_of(s, tag);
    s->made = an_clock();
    if (strcmp(tag, s->tag) == 0) return AN_OK;
    s->body.length = 0;
    AN_TRY(an_runs_body(&s->runs, &s->body));
    snprintf(s->tag, sizeof s->tag, "%s", tag);
    return AN_OK;
}

/* Takes `response`; NULL: there is no memory for one, and the connection is closed. */
static enum MHD_Result send_it(struct MHD_Connection *c, unsigned code, const char *type, const char *tag, struct MHD_Response *response)
{
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    if (tag) MHD_add_response_header(response, "ETag", tag);
    if (code == MHD_HTTP_METHOD_NOT_ALLOWED) MHD_add_response_header(response, "Allow", "GET, HEAD");
    const enum MHD_Result result = MHD_queue_response(c, code, response);
    MHD_destroy_response(response);
    return result;
}

static struct MHD_Response *copy_of(const char *text, size_t n)
{
    return MHD_create_response_from_buffer(n, (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned code, const char *line)
{
    return send_it(c, code, "text/plain; charset=utf-8", NULL, copy_of(line, strlen(line)));
}

static enum MHD_Result send_page(an_serve *s, struct MHD_Connection *c)
{
    an_text page = { 0 };
    if (renew(s) != AN_OK || an_runs_page(&s->runs, REFRESH_MS, &page) != AN_OK) {
        an_text_fini(&page);
        return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the run folder cannot be read now\n");
    }
    const enum MHD_Result result = send_it(c, MHD_HTTP_OK, "text/html; charset=utf-8", NULL, copy_of(an_text_get(&page), page.length));
    an_text_fini(&page);
    return result;
}

static enum MHD_Result send_body(an_serve *s, struct MHD_Connection *c)
{
    const char *has = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "If-None-Match");
    if (renew(s) != AN_OK) return refuse(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "the run folder cannot be read now\n");
    if (has && strcmp(has, s->tag) == 0) return send_it(c, MHD_HTTP_NOT_MODIFIED, "text/html; charset=utf-8", s->tag, copy_of("", 0));
    return send_it(c, MHD_HTTP_OK, "text/html; charset=utf-8", s->tag, copy_of(an_text_get(&s->body), s->body.length));
}

static enum MHD_Result send_file(an_serve *s, struct MHD_Connection *c, const char *name, const char *type)
{
    struct stat st;
    char *path = an_path_join(s->run, name);
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    free(path);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return send_it(c, MHD_HTTP_OK, type, NULL, MHD_create_response_from_fd64((uint64_t)st.st_size, fd));
    if (fd >= 0) close(fd);
    return refuse(c, MHD_HTTP_NOT_FOUND, "not there yet\n");
}

/* ---- requests ---- */

/* A loopback name, with any port: a tunnel may have brought the request here. */
static bool is_loopback(const char *host)
{
    static const char *const NAMES[] = { "127.0.0.1", "localhost", "[::1]" };
    for (size_t i = 0; host && i < sizeof NAMES / sizeof *NAMES; i++) {
        const size_t n = strlen(NAMES[i]);
        if (strncasecmp(host, NAMES[i], n) != 0) continue;
        const char *port = host + n;
        if (*port == '\0' || (*port == ':' && isdigit((unsigned char)port[1]) && port[1 + strspn(port + 1, "0123456789")] == '\0')) return true;
    }
    return false;
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *data, size_t *size, void **state)
{
    static int seen;
    an_serve *s = ctx;
    (void)version, (void)data;
    if (!*state) return *state = &seen, MHD_YES;     /* the headers; what follows them comes with the next calls */
    if (*size) return *size = 0, MHD_YES;            /* a body that nobody wants */
    if (!is_loopback(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host"))) return refuse(c, MHD_HTTP_FORBIDDEN, "call this server 127.0.0.1 or localhost\n");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD\n");
    if (strcmp(url, "/") == 0) return send_page(s, c);
    if (strcmp(url, "/body") == 0) return send_body(s, c);
    if (strcmp(url, "/log.jsonl") == 0) return send_file(s, c, "log.jsonl", "application/x-ndjson; charset=utf-8");
    if (strcmp(url, "/config.yaml") == 0) return send_file(s, c, "config.yaml", "text/plain; charset=utf-8");
    return refuse(c, MHD_HTTP_NOT_FOUND, "here are / and /log.jsonl and /config.yaml\n");
}

static void *loop(void *ctx)
{
    an_serve *s = ctx;
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);   /* of this thread alone */
    while (!atomic_load(&s->stop))
        if (MHD_run_wait(s->daemon, WAIT_MS) != MHD_YES) usleep(WAIT_MS * 1000);
    return NULL;
}

/* ---- its life ---- */

static an_status listen_on(an_serve *s, int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof address;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    if (fd < 0) return an_fail(AN_EIO, "serve: no socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, MOST_CONNECTIONS) != 0 || getsockname(fd, (struct sockaddr *)&address, &n) != 0) {
        const int error = errno;
        close(fd);
        return an_fail(AN_EIO, "serve: port %d of 127.0.0.1: %s; choose another with --serve PORT", port, error == EADDRINUSE ? "in use" : strerror(error));
    }
    s->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ITC, 0, NULL, NULL, answer, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)MOST_CONNECTIONS,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        return an_fail(AN_EIO, "serve: libmicrohttpd cannot start");
    }
    s->port = ntohs(address.sin_port);
    return AN_OK;
}

/* Signals are the trainer's: the thread is born with all of them blocked. */
static an_status start_thread(an_serve *s)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&s->thread, NULL, loop, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error) return AN_OK;
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    return an_fail(AN_EIO, "serve: no thread: %s", strerror(error));
}

an_status an_serve_start(an_serve **out, const char *run, int port)
{
    an_serve *s = an_alloc(sizeof *s);
    if (!s || !(s->run = an_strdup(run))) {
        free(s);
        return an_fail(AN_ENOMEM, "serve: no memory");
    }
    json_object_seed(0);                             /* before two threads use it */
    an_status status = read_anew(s);
    if (status == AN_OK) status = listen_on(s, port ? port : USUAL_PORT);
    if (status == AN_EIO && !port) status = listen_on(s, 0);
    if (status == AN_OK) status = start_thread(s);
    if (status != AN_OK) an_serve_stop(&s);
    else *out = s;
    return status;
}

int an_serve_port(const an_serve *serve) { return serve->port; }

void an_serve_stop(an_serve **serve)
{
    an_serve *s = *serve;
    if (!s) return;
    atomic_store(&s->stop, true);
    if (s->daemon) {
        pthread_join(s->thread, NULL);
        MHD_stop_daemon(s->daemon);
    }
    an_runs_close(&s->runs);
    an_text_fini(&s->body);
    free(s->run);
    free(s);
    *serve = NULL;
}

#endif
