/* core/file.c
 * Atomic writes go through one buffered writer; every system call that can fail passes a gate, so tests can fill the
 * disk or break any single step. Temporary names end in ".tmp" and the process id: a leftover of a killed process
 * is recognisable and never read. */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/arena.h"

enum { BUFFER_BYTES = 1 << 20 };

static struct { uint64_t bytes, ops; int bytes_error, ops_error, once, no_exchange; } hook;

void an_file_fail_after_bytes(uint64_t bytes, int error) { hook.bytes = bytes; hook.bytes_error = error; }
void an_file_fail_after_ops(uint64_t operations, int error) { hook.ops = operations; hook.ops_error = error; hook.once = 0; }
void an_file_fail_once(uint64_t operations, int error) { hook.ops = operations; hook.ops_error = error; hook.once = 1; }
void an_file_can_exchange(int can) { hook.no_exchange = !can; }

/* 0: go on; -1: this operation fails, errno is set. */
static int gate(void)
{
    if (hook.ops_error == 0) return 0;
    if (hook.ops > 1) { hook.ops--; return 0; }
    errno = hook.ops_error;
    if (hook.once) hook.ops_error = 0;
    return -1;
}

static ssize_t write_some(int fd, const char *data, size_t size)
{
    if (gate() != 0) return -1;
    if (hook.bytes_error != 0) {
        if (hook.bytes == 0) { errno = hook.bytes_error; return -1; }
        if (size > hook.bytes) size = (size_t)hook.bytes;
        hook.bytes -= size;
    }
    return write(fd, data, size);
}

int an_file_write_all(int fd, const void *bytes, size_t size)
{
    const char *data = bytes;
    while (size > 0) {
        const ssize_t n = write_some(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = ENOSPC;
        if (n <= 0) return -1;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static const char *why(int error) { return strerror(error); }

int an_path_exists(const char *path) { struct stat st; return stat(path, &st) == 0; }
int an_path_is_dir(const char *path) { struct stat st; return stat(path, &st) == 0 && S_ISDIR(st.st_mode); }

const char *an_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

char *an_path_join(const char *folder, const char *name)
{
    const size_t n = strlen(folder), m = strlen(name);
    const int slash = n > 0 && folder[n - 1] != '/';
    char *path = an_alloc(n + m + 2);
    if (path) snprintf(path, n + m + 2, "%s%s%s", folder, slash ? "/" : "", name);
    return path;
}

/* The folder a path stands in, "." for a bare name. */
static char *folder_of(const char *path)
{
    const char *base = an_path_base(path);
    const size_t n = (size_t)(base - path);
    char *folder = an_alloc(n + 2);
    if (!folder) return NULL;
    if (n == 0) folder[0] = '.';
    else memcpy(folder, path, n > 1 ? n - 1 : 1);   /* keeps "/" */
    return folder;
}

static an_status open_data(const char *path, int *fd, struct stat *st)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0) return an_fail(AN_EDATA, "%s: cannot open: %s", path, why(errno));
    if (fstat(*fd, st) != 0 || S_ISDIR(st->st_mode)) {
        const int error = S_ISDIR(st->st_mode) ? EISDIR : errno;
        close(*fd);
        return error == EISDIR ? an_fail(AN_EDATA, "%s: is a folder; a file is needed", path) : an_fail(AN_EDATA, "%s: cannot read: %s", path, why(error));
    }
    return AN_OK;
}

an_status an_map_open(an_map *map, const char *path)
{
    struct stat st = { 0 };
    int fd;
    *map = (an_map){ 0 };
    AN_TRY(open_data(path, &fd, &st));
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return an_fail(AN_EDATA, "%s: not a regular file; save it to one first", path);
    }
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED) {
            const int error = errno;
            close(fd);
            return an_fail(AN_EDATA, "%s: cannot map %lld bytes: %s", path, (long long)st.st_size, why(error));
        }
        *map = (an_map){ p, (size_t)st.st_size };
    }
    close(fd);
    return AN_OK;
}

void an_map_close(an_map *map)
{
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
    *map = (an_map){ 0 };
}

an_status an_file_read(const char *path, char **out, size_t *size)
{
    struct stat st = { 0 };
    int fd;
    AN_TRY(open_data(path, &fd, &st));
    size_t capacity = st.st_size > 0 ? (size_t)st.st_size + 1 : 4096, length = 0;
    char *data = an_alloc(capacity);
    an_status status = data ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory for %zu bytes", path, capacity);
    while (status == AN_OK) {
        if (length + 1 >= capacity) {   /* a pipe, or a file that grew */
            char *more = capacity > SIZE_MAX / 2 ? NULL : an_realloc(data, capacity * 2);
            if (!more) { status = an_fail(AN_ENOMEM, "%s: no memory for more than %zu bytes", path, capacity); break; }
            data = more;
            capacity *= 2;
        }
        const ssize_t n = read(fd, data + length, capacity - 1 - length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = an_fail(AN_EDATA, "%s: cannot read at byte %zu: %s", path, length, why(errno));
        if (n <= 0) break;
        length += (size_t)n;
    }
    close(fd);
    if (status != AN_OK) { free(data); return status; }
    data[length] = '\0';
    *out = data;
    *size = length;
    return AN_OK;
}

/* ---- the atomic writer ---- */

void an_file_abort(an_file_writer *w)
{
    if (w->fd >= 0 && w->temporary) {
        close(w->fd);
        unlink(w->temporary);
    }
    free(w->path);
    free(w->temporary);
    free(w->buffer);
    *w = (an_file_writer){ .fd = -1 };
}

static an_status fail_write(an_file_writer *w, const char *verb, int error)
{
    const an_status status = an_fail(AN_EIO, "%s: cannot %s after %llu bytes: %s", w->path ? w->path : "file", verb, (unsigned long long)w->written, why(error));
    an_file_abort(w);
    return status;
}

an_status an_file_open(an_file_writer *w, const char *path)
{
    const size_t n = strlen(path) + 32;
    *w = (an_file_writer){ .fd = -1 };
    w->path = an_strdup(path);
    char *temporary = an_alloc(n);
    w->buffer = an_alloc(BUFFER_BYTES);
    if (!w->path || !temporary || !w->buffer) {
        free(temporary);
        an_file_abort(w);
        return an_fail(AN_ENOMEM, "%s: no memory to write", path);
    }
    snprintf(temporary, n, "%s.%ld.tmp", path, (long)getpid());
    if (gate() == 0) w->fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        const int error = errno;
        free(temporary);
        an_file_abort(w);
        return an_fail(AN_EIO, "%s: cannot create: %s", path, why(error));
    }
    w->temporary = temporary;
    return AN_OK;
}

static an_status flush(an_file_writer *w)
{
    if (an_file_write_all(w->fd, w->buffer, w->buffered) != 0) return fail_write(w, "write", errno);
    w->written += w->buffered;
    w->buffered = 0;
    return AN_OK;
}

an_status an_file_append(an_file_writer *w, const void *data, size_t size)
{
    const char *bytes = data;
    if (w->fd < 0) return an_fail(AN_EIO, "file: writing after a failure or commit");
    if (size >= BUFFER_BYTES) {
        AN_TRY(flush(w));
        if (an_file_write_all(w->fd, bytes, size) != 0) return fail_write(w, "write", errno);
        w->written += size;
        return AN_OK;
    }
    if (w->buffered + size > BUFFER_BYTES) AN_TRY(flush(w));
    if (size > 0) memcpy(w->buffer + w->buffered, bytes, size);
    w->buffered += size;
    return AN_OK;
}

an_status an_file_commit(an_file_writer *w)
{
    if (w->fd < 0) return an_fail(AN_EIO, "file: commit after a failure or commit");
    AN_TRY(flush(w));
    if (gate() != 0 || fsync(w->fd) != 0) return fail_write(w, "sync", errno);
    const int fd = w->fd;
    if (gate() != 0 || rename(w->temporary, w->path) != 0) return fail_write(w, "put in place", errno);
    close(fd);
    char *folder = folder_of(w->path);
    w->fd = -1;
    an_file_abort(w);
    const an_status status = folder ? an_dir_sync(folder) : an_fail(AN_ENOMEM, "file: no memory");
    free(folder);
    return status;
}

an_status an_file_write(const char *path, const void *data, size_t size)
{
    an_file_writer w;
    AN_TRY(an_file_open(&w, path));
    AN_TRY(an_file_append(&w, data, size));
    return an_file_commit(&w);
}

an_status an_file_sync(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int bad = fd < 0 || gate() != 0 || fsync(fd) != 0;
    const int error = errno;
    if (fd >= 0) close(fd);
    return bad ? an_fail(AN_EIO, "%s: cannot sync: %s", path, why(error)) : AN_OK;
}

an_status an_dir_sync(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int bad = fd < 0 || gate() != 0 || (fsync(fd) != 0 && errno != EINVAL);   /* EINVAL: a file system that cannot */
    const int error = errno;
    if (fd >= 0) close(fd);
    return bad ? an_fail(AN_EIO, "%s: cannot sync folder: %s", path, why(error)) : AN_OK;
}

an_status an_path_rename(const char *from, const char *to)
{
    if (gate() != 0 || rename(from, to) != 0) return an_fail(AN_EIO, "%s: cannot rename to %s: %s", from, to, why(errno));
    char *folder = folder_of(to);
    const an_status status = folder ? an_dir_sync(folder) : an_fail(AN_ENOMEM, "%s: no memory", to);
    free(folder);
    return status;
}

an_status an_path_exchange(const char *a, const char *b, int *done)
{
    if (gate() != 0) return an_fail(AN_EIO, "%s: cannot exchange with %s: %s", a, b, why(errno));
    *done = !hook.no_exchange && renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
    return AN_OK;
}

an_status an_dir_create(const char *path)
{
    char *part = an_strdup(path);
    if (!part) return an_fail(AN_ENOMEM, "%s: no memory", path);
    an_status status = *path ? AN_OK : an_fail(AN_EIO, "folder: empty name");
    for (char *p = part + 1; status == AN_OK && *part; p++) {
        if (*p != '/' && *p != '\0') continue;
        const char end = *p;
        *p = '\0';
        if (!an_path_is_dir(part) && (gate() != 0 || mkdir(part, 0777) != 0)) {
            const int error = errno;
            if (!(error == EEXIST && an_path_is_dir(part)))   /* another process was faster */
                status = an_fail(AN_EIO, "%s: cannot create folder: %s", part, why(error));
        }
        *p = end;
        if (end == '\0') break;
    }
    free(part);
    return status;
}

an_status an_dir_create_new(const char *path, int *made)
{
    const int bad = gate() != 0 || mkdir(path, 0777) != 0;
    if (bad && errno != EEXIST) return an_fail(AN_EIO, "%s: cannot create folder: %s", path, why(errno));
    *made = !bad;
    return AN_OK;
}
