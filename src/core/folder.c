/* core/folder.c
 * Folders as wholes: listing, removing, free space. Apart from file.c because it follows directory entries. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/arena.h"
#include "core/file.h"

static int by_bytes(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

void an_dir_list_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

static int keep_name(char ***names, size_t *count, size_t *capacity, const char *name)
{
    if (*count == *capacity) {
        const size_t more = *capacity ? *capacity * 2 : 16;
        char **grown = an_realloc(*names, more * sizeof **names);
        if (!grown) return 0;
        *names = grown;
        *capacity = more;
    }
    char *copy = an_strdup(name);
    if (!copy) return 0;
    (*names)[(*count)++] = copy;
    return 1;
}

an_status an_dir_list(const char *path, char ***names, size_t *count)
{
    char **list = NULL;
    size_t n = 0, capacity = 0;
    DIR *dir = opendir(path);
    if (!dir) return an_fail(AN_EIO, "%s: cannot open folder: %s", path, strerror(errno));
    an_status status = AN_OK;
    errno = 0;
    for (struct dirent *e; status == AN_OK && (e = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!keep_name(&list, &n, &capacity, e->d_name)) status = an_fail(AN_ENOMEM, "%s: no memory to list it", path);
    }
    if (status == AN_OK && errno != 0) status = an_fail(AN_EIO, "%s: cannot list: %s", path, strerror(errno));
    closedir(dir);
    if (status != AN_OK) {
        an_dir_list_free(list, n);
        return status;
    }
    if (n > 1) qsort(list, n, sizeof *list, by_bytes);
    *names = list;
    *count = n;
    return AN_OK;
}

an_status an_dir_remove(const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? AN_OK : an_fail(AN_EIO, "%s: cannot look at it: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return unlink(path) == 0 ? AN_OK : an_fail(AN_EIO, "%s: cannot remove: %s", path, strerror(errno));
    char **names;
    size_t count;
    AN_TRY(an_dir_list(path, &names, &count));
    an_status status = AN_OK;
    for (size_t i = 0; i < count && status == AN_OK; i++) {
        char *inner = an_path_join(path, names[i]);
        status = inner ? an_dir_remove(inner) : an_fail(AN_ENOMEM, "%s: no memory to remove it", path);
        free(inner);
    }
    an_dir_list_free(names, count);
    AN_TRY(status);
    return rmdir(path) == 0 ? AN_OK : an_fail(AN_EIO, "%s: cannot remove folder: %s", path, strerror(errno));
}

an_status an_dir_free(const char *path, uint64_t *bytes)
{
    struct statvfs fs;
    if (statvfs(path, &fs) != 0) return an_fail(AN_EIO, "%s: cannot ask for free space: %s", path, strerror(errno));
    *bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    return AN_OK;
}
