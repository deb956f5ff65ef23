/* train/checkpoint_dir.c
 * Folders of checkpoints: finding, pointing, pruning, cleaning. Names carry the step in eight digits or more, so byte
 * order is step order up to 10^8 steps; numbers are compared, not names. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/file.h"
#include "train/checkpoint.h"
#include "train/checkpoint_dir.h"

char *an__checkpoint_path(const char *run, const char *name)
{
    char *folder = an_path_join(run, "checkpoints"), *path = folder ? an_path_join(folder, name) : NULL;
    free(folder);
    return path;
}

/* The step in a folder's name, -1 when it is no checkpoint. */
static long long step_of(const char *name)
{
    char *end;
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9') return -1;
    const long long step = strtoll(name + 5, &end, 10);
    return *end == '\0' ? step : -1;
}

static int is_checkpoint(const char *folder)
{
    char *state = an_path_join(folder, "state.json");
    const int yes = state && an_path_exists(state);
    free(state);
    return yes;
}

/* What `latest` names when that exists, else the checkpoint of the highest step; NULL: none, or no memory. */
static char *newest(const char *run)
{
    char target[PATH_MAX], *link = an__checkpoint_path(run, "latest"), *found = NULL, *folder = NULL, **names;
    size_t count;
    const ssize_t n = link ? readlink(link, target, sizeof target - 1) : -1;
    free(link);
    if (n > 0) {
        target[n] = '\0';
        found = an__checkpoint_path(run, target);
        if (found && is_checkpoint(found)) return found;
        free(found);
        found = NULL;
    }
    folder = an_path_join(run, "checkpoints");
    if (folder && an_path_is_dir(folder) && an_dir_list(folder, &names, &count) == AN_OK) {
        long long best = -1;
        for (size_t i = 0; i < count; i++) {
            if (step_of(names[i]) <= best) continue;
            char *path = an_path_join(folder, names[i]);
            if (path && is_checkpoint(path)) {
                best = step_of(names[i]);
                free(found);
                found = path;
            } else {
                free(path);
            }
        }
        an_dir_list_free(names, count);
    }
    free(folder);
    return found;
}

an_status an_checkpoint_find(const char *path, char **folder)
{
    if (!an_path_exists(path)) return an_fail(AN_EDATA, "%s: no such run folder", path);
    if (is_checkpoint(path)) {
        *folder = an_strdup(path);
        return *folder ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", path);
    }
    char *found = newest(path);
    if (!found) return an_fail(AN_EDATA, "%s: neither a run folder with a checkpoint nor a checkpoint folder", path);
    *folder = found;
    return AN_OK;
}

int an_checkpoint_exists(const char *run)
{
    char *found = newest(run);
    free(found);
    return found != NULL;
}

char *an_checkpoint_run(const char *folder)
{
    char *real = realpath(folder, NULL), *slash;
    for (int up = 0; real && up < 2; up++)
        if ((slash = strrchr(real, '/')) != NULL) *slash = '\0';
    if (!real) return NULL;
    char *run = an_strdup(real[0] ? real : "/");
    free(real);
    return run;
}

an_status an_checkpoint_point(const char *folder)
{
    char *run = an_checkpoint_run(folder), *real = realpath(folder, NULL);
    char *latest = run ? an__checkpoint_path(run, "latest") : NULL, *fresh = run ? an__checkpoint_path(run, ".tmp-latest") : NULL;
    an_status status;
    if (!real || !latest || !fresh) {
        status = an_fail(AN_ENOMEM, "%s: no memory", folder);
        goto done;
    }
    unlink(fresh);
    if (symlink(an_path_base(real), fresh) != 0) {
        status = an_fail(AN_EIO, "%s: cannot create link: %s", fresh, strerror(errno));
        goto done;
    }
    if ((status = an_path_rename(fresh, latest)) != AN_OK) unlink(fresh);
done:
    free(run);
    free(real);
    free(latest);
    free(fresh);
    return status;
}

/* Counts from the checkpoint just written downwards; later ones belong to a line of the run that was left. */
an_status an__checkpoint_prune(const char *run, uint64_t step, size_t keep)
{
    char *folder = an_path_join(run, "checkpoints"), **names;
    size_t count, older = 0;
    if (!folder) return an_fail(AN_ENOMEM, "%s: no memory", run);
    an_status status = keep ? an_dir_list(folder, &names, &count) : AN_OK;
    if (keep && status == AN_OK) {
        for (size_t i = 0; i < count; i++) older += step_of(names[i]) >= 0 && step_of(names[i]) < (long long)step;
        while (status == AN_OK && older >= keep) {
            size_t first = count;
            for (size_t i = 0; i < count; i++)
                if (step_of(names[i]) >= 0 && (first == count || step_of(names[i]) < step_of(names[first]))) first = i;
            char *path = an_path_join(folder, names[first]);
            status = path ? an_dir_remove(path) : an_fail(AN_ENOMEM, "%s: no memory", run);
            free(path);
            names[first][0] = '\0';                    /* no checkpoint any more */
            older--;
        }
        an_dir_list_free(names, count);
    }
    free(folder);
    return status;
}

static an_status remove_leftovers(const char *folder)
{
    char **names;
    size_t count;
    an_status status = an_dir_list(folder, &names, &count);
    if (status != AN_OK) return status;
    for (size_t i = 0; status == AN_OK && i < count; i++) {
        if (strncmp(names[i], ".tmp-", 5) != 0) continue;
        char *path = an_path_join(folder, names[i]);
        if (!path) status = an_fail(AN_ENOMEM, "%s: no memory", folder);
        else if (an_path_is_dir(path)) status = an_dir_remove(path);
        else unlink(path);
        free(path);
    }
    an_dir_list_free(names, count);
    return status;
}

an_status an_checkpoint_prepare(const char *run, int *lock)
{
    char *folder = an_path_join(run, "checkpoints");
    if (!folder) return an_fail(AN_ENOMEM, "%s: no memory", run);
    an_status status = an_dir_create(folder);
    int fd = -1;
    if (status == AN_OK) {
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) status = an_fail(AN_EIO, "%s: cannot open: %s", folder, strerror(errno));
        else if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
            status = an_fail(AN_EUSAGE, "%s: another process is training into this run folder; choose another --out", run);
    }
    if (status == AN_OK) status = remove_leftovers(folder);
    if (status != AN_OK && fd >= 0) close(fd);
    if (status == AN_OK) *lock = fd;
    free(folder);
    return status;
}
