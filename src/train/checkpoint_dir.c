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
#include <sys/stat.h>
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

/* RUN/checkpoints/NAME as *path when it is a checkpoint, else *path is NULL. */
static an_status try_name(const char *run, const char *name, char **path)
{
    char *folder = an__checkpoint_path(run, name), *state = folder ? an_path_join(folder, "state.json") : NULL;
    *path = NULL;
    if (state && an_path_exists(state)) *path = folder;
    else free(folder);
    free(state);
    return state ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", run);
}

static an_status try_link(const char *run, char **found)
{
    char target[PATH_MAX], *link = an__checkpoint_path(run, "latest");
    if (!link) return an_fail(AN_ENOMEM, "%s: no memory", run);
    const ssize_t n = readlink(link, target, sizeof target - 1);
    free(link);
    *found = NULL;
    if (n <= 0) return AN_OK;
    target[n] = '\0';
    return try_name(run, target, found);
}

static an_status try_all(const char *run, char **names, size_t count, char **found)
{
    long long best = -1;
    for (size_t i = 0; i < count; i++) {
        char *path;
        if (step_of(names[i]) <= best) continue;
        AN_TRY(try_name(run, names[i], &path));
        if (!path) continue;
        best = step_of(names[i]);
        free(*found);
        *found = path;
    }
    return AN_OK;
}

/* What `latest` names when that exists, else the checkpoint of the highest step; *found NULL: none. */
static an_status newest(const char *run, char **found)
{
    char *folder, **names;
    size_t count;
    AN_TRY(try_link(run, found));
    if (*found) return AN_OK;
    folder = an_path_join(run, "checkpoints");
    if (!folder) return an_fail(AN_ENOMEM, "%s: no memory", run);
    an_status status = AN_OK;
    if (an_path_is_dir(folder)) {
        status = an_dir_list(folder, &names, &count);
        if (status == AN_OK) {
            status = try_all(run, names, count, found);
            an_dir_list_free(names, count);
        }
    }
    free(folder);
    if (status == AN_OK) return AN_OK;
    free(*found);
    *found = NULL;
    return status;
}

an_status an_checkpoint_find(const char *path, char **folder)
{
    char *found;
    if (!an_path_exists(path)) return an_fail(AN_EDATA, "%s: no such run folder", path);
    char *state = an_path_join(path, "state.json");
    const int is_one = state && an_path_exists(state);
    free(state);
    if (!state) return an_fail(AN_ENOMEM, "%s: no memory", path);
    if (is_one) {
        *folder = an_strdup(path);
        return *folder ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", path);
    }
    AN_TRY(newest(path, &found));
    if (!found) return an_fail(AN_EDATA, "%s: neither a run folder with a checkpoint nor a checkpoint folder", path);
    *folder = found;
    return AN_OK;
}

an_status an_checkpoint_exists(const char *run, int *exists)
{
    char *found;
    AN_TRY(newest(run, &found));
    free(found);
    *exists = found != NULL;
    return AN_OK;
}

/* The checkpoint of the next lower step in the same run, named as the folder itself is where that shows its name; NULL: none, or no memory. */
static char *find_before(const char *folder)
{
    char *real = realpath(folder, NULL), *run = an_checkpoint_run(folder), *all = run ? an_path_join(run, "checkpoints") : NULL, *found = NULL, **names;
    size_t count;
    long long best = -1;
    if (real && all && an_dir_list(all, &names, &count) == AN_OK) {
        const long long own = step_of(an_path_base(real));
        for (size_t i = 0; i < count; i++) {
            char *path = NULL;
            if (step_of(names[i]) <= best || step_of(names[i]) >= own || try_name(run, names[i], &path) != AN_OK || !path) continue;
            best = step_of(names[i]);
            free(found);
            found = path;
        }
        an_dir_list_free(names, count);
    }
    const size_t n = (size_t)(an_path_base(folder) - folder);
    char *beside = found && strcmp(an_path_base(folder), an_path_base(real)) == 0 ? an_alloc(n + strlen(an_path_base(found)) + 1) : NULL;
    if (beside) {
        memcpy(beside, folder, n);
        strcpy(beside + n, an_path_base(found));
        free(found);
        found = beside;
    }
    free(real);
    free(run);
    free(all);
    return found;
}

an_status an_checkpoint_explain(const char *folder, an_status status)
{
    char why[2048];
    if (status != AN_EFORMAT && status != AN_EDATA) return status;
    snprintf(why, sizeof why, "%s", an_error_text());
    char *before = find_before(folder);
    const an_status told = before ? an_fail(status, "%s; the checkpoint before it is %s, name that instead", why, before) : an_fail(status, "%s", why);
    free(before);
    return told;
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

/* ".tmp-old-N" is step-N, put aside for another that has not come where there is no step-N; anything else is half written. */
static an_status clear(const char *folder, const char *leftover)
{
    static const char OLD[] = ".tmp-old-";
    char name[64];
    snprintf(name, sizeof name, "step-%s", strncmp(leftover, OLD, sizeof OLD - 1) == 0 ? leftover + sizeof OLD - 1 : "");
    char *path = an_path_join(folder, leftover), *home = an_path_join(folder, name);
    an_status status = path && home ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", folder);
    if (status == AN_OK && step_of(name) >= 0 && !an_path_exists(home)) status = an_path_rename(path, home);
    else if (status == AN_OK && an_path_is_dir(path)) status = an_dir_remove(path);
    else if (status == AN_OK) unlink(path);
    free(path);
    free(home);
    return status;
}

static an_status clear_leftovers(const char *folder)
{
    char **names;
    size_t count;
    an_status status = an_dir_list(folder, &names, &count);
    if (status != AN_OK) return status;
    for (size_t i = 0; status == AN_OK && i < count; i++)
        if (strncmp(names[i], ".tmp-", 5) == 0) status = clear(folder, names[i]);
    an_dir_list_free(names, count);
    return status;
}

an_status an_checkpoint_prepare(const char *run, int *lock)
{
    if (an_path_exists(run) && !an_path_is_dir(run)) return an_fail(AN_EUSAGE, "%s: is a file; name a folder", run);
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
    if (status == AN_OK) status = clear_leftovers(folder);
    if (status != AN_OK && fd >= 0) close(fd);
    if (status == AN_OK) *lock = fd;
    free(folder);
    return status;
}

an_status an_checkpoint_enter(const char *path, int *lock)
{
    char *inside = an_path_join(path, "checkpoints"), *state = an_path_join(path, "state.json"), *run = NULL;
    an_status status = inside && state ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory", path);
    if (status == AN_OK && !an_path_is_dir(inside) && an_path_exists(state)) {
        run = an_checkpoint_run(path);
        free(inside);
        inside = run ? an_path_join(run, "checkpoints") : NULL;
        if (!inside) status = an_fail(AN_ENOMEM, "%s: no memory", path);
    }
    if (status == AN_OK && an_path_is_dir(inside)) status = an_checkpoint_prepare(run ? run : path, lock);
    free(inside);
    free(state);
    free(run);
    return status;
}

/* The kernel's list, one line a lock: "1: FLOCK  ADVISORY  WRITE 4711 08:01:131090 0 EOF". Trying the lock would be shorter, but a trainer that starts
 * in that moment would find it taken. Devices are not compared: layered file systems give other numbers here than stat does. */
bool an_checkpoint_is_locked(const char *run)
{
    char line[256];
    struct stat st;
    bool locked = false;
    char *folder = an_path_join(run, "checkpoints");
    FILE *locks = folder && stat(folder, &st) == 0 ? fopen("/proc/locks", "re") : NULL;
    while (locks && !locked && fgets(line, sizeof line, locks)) {
        unsigned long long inode;
        locked = sscanf(line, "%*s FLOCK %*s WRITE %*s %*[^:]:%*[^:]:%llu", &inode) == 1 && inode == (unsigned long long)st.st_ino;
    }
    if (locks) fclose(locks);
    free(folder);
    return locked;
}
