/* study/claim.c
 * flock, which Linux carries over NFS as well. Where a file system refuses locks, cells are dealt out by rank (runner.c). */
#include "study/claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

/* Slurm's srun, Open MPI, MPICH and its kin (PMI), MVAPICH. */
static const struct { const char *id, *count; } LAUNCHERS[] = {
    { "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE" }, { "PMI_RANK", "PMI_SIZE" }, { "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE" }, { "SLURM_PROCID", "SLURM_NTASKS" },
};

static bool read_count(const char *variable, size_t *out)
{
    const char *text = getenv(variable);
    char *end;
    if (!text || *text < '0' || *text > '9') return false;
    *out = strtoul(text, &end, 10);
    return *end == '\0';
}

an_rank an_rank_get(void)
{
    for (size_t i = 0; i < sizeof LAUNCHERS / sizeof *LAUNCHERS; i++) {
        an_rank r = { .by = LAUNCHERS[i].id };
        if (read_count(LAUNCHERS[i].id, &r.id) && read_count(LAUNCHERS[i].count, &r.count) && r.id < r.count) return r;
    }
    return (an_rank){ 0, 1, NULL };
}

an_status an_claim_try(const char *path, int *fd, an_claim_answer *answer)
{
    const int file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (file < 0) return an_fail(AN_EIO, "%s: cannot open: %s", path, strerror(errno));
    *answer = AN_CLAIM_TAKEN;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        *answer = error == EWOULDBLOCK || error == EINTR ? AN_CLAIM_BUSY : AN_CLAIM_NO_LOCKS;
        if (*answer == AN_CLAIM_BUSY) close(file);
        if (*answer == AN_CLAIM_BUSY) return AN_OK;
    }
    *fd = file;
    return AN_OK;
}

an_status an_claim_failures(const char *path, size_t *count, an_text *last)
{
    char *text;
    size_t size;
    *count = 0;
    last->length = 0;
    if (!an_path_exists(path)) return AN_OK;
    AN_TRY(an_file_read(path, &text, &size));
    for (char *p = text, *end; (end = memchr(p, '\n', size - (size_t)(p - text))) != NULL; p = end + 1) {
        last->length = 0;
        an_text_put(last, p, (size_t)(end - p));
        ++*count;
    }
    free(text);
    return an_text_status(last);
}

an_status an_claim_add_failure(int fd, const char *path, const char *line)
{
    an_text text = { 0 };
    an_text_add(&text, "%s", line);
    for (size_t i = 0; i < text.length; i++) if (text.s[i] == '\n') text.s[i] = ' ';
    an_text_add(&text, "\n");
    an_status status = an_text_status(&text);
    if (status == AN_OK && an_file_write_all(fd, text.s, text.length) != 0) status = an_fail(AN_EIO, "%s: cannot write: %s", path, strerror(errno));
    an_text_fini(&text);
    return status;
}

an_status an_claim_forget_failures(int fd, const char *path)
{
    return ftruncate(fd, 0) == 0 ? AN_OK : an_fail(AN_EIO, "%s: cannot empty it: %s", path, strerror(errno));
}

bool an_claim_said_since(const char *path, double wall)
{
    struct stat st;
    return stat(path, &st) == 0 && (double)st.st_mtim.tv_sec + 1e-9 * (double)st.st_mtim.tv_nsec >= wall;
}
