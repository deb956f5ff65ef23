/* no_locks.c: preloaded, a file system that has no locks. */
#include <errno.h>
#include <sys/file.h>

__attribute__((visibility("default"))) int flock(int fd, int operation)
{
    (void)fd;
    (void)operation;
    errno = ENOLCK;
    return -1;
}
