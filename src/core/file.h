/* core/file.h
 * Files that appear whole or not at all. Every failing call says which path and why; a call that failed leaves no
 * temporary file behind and the old file as it was, with one exception: where the folder cannot be synced at the very end, the
 * new file is in place, whole, but a power cut may bring back the old one. */
#ifndef AN_CORE_FILE_H
#define AN_CORE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* A read-only mapping. An empty file maps to data = NULL, size = 0. */
typedef struct an_map { const unsigned char *data; size_t size; } an_map;

an_status an_map_open(an_map *map, const char *path) AN_MUST_USE;    /* Errors: AN_EDATA for a folder, a missing or unreadable file */
void an_map_close(an_map *map);

/* The whole file in memory, a NUL after the last byte; freed with free(). Errors: AN_EDATA as above, AN_ENOMEM. */
an_status an_file_read(const char *path, char **out, size_t *size) AN_MUST_USE;

/* Atomic write: a temporary file in the same folder, written, synced, renamed over `path`, folder synced. */
typedef struct an_file_writer { int fd; char *path, *temporary; char *buffer; size_t buffered; uint64_t written; } an_file_writer;

an_status an_file_write(const char *path, const void *data, size_t size) AN_MUST_USE;
an_status an_file_open(an_file_writer *writer, const char *path) AN_MUST_USE;
an_status an_file_append(an_file_writer *writer, const void *data, size_t size) AN_MUST_USE;   /* on failure the writer is aborted */
an_status an_file_commit(an_file_writer *writer) AN_MUST_USE;
void an_file_abort(an_file_writer *writer);                          /* removes the temporary file; safe after commit */

int an_file_write_all(int fd, const void *data, size_t size);       /* to an open file, however many writes it takes; 0, or -1 and errno */

int an_path_exists(const char *path);
int an_path_is_dir(const char *path);
char *an_path_join(const char *folder, const char *name);            /* freed with free(); NULL when out of memory */
const char *an_path_base(const char *path);                          /* what follows the last '/' */

an_status an_file_sync(const char *path) AN_MUST_USE;                 /* what another library has written there, before it is renamed */
an_status an_dir_create(const char *path) AN_MUST_USE;               /* with its parents; an existing folder is fine */
an_status an_dir_create_new(const char *path, int *made) AN_MUST_USE;     /* without them; *made 0: something of this name is there, and whoever made it has it */
an_status an_dir_remove(const char *path) AN_MUST_USE;               /* with all it holds, follows no links; a missing folder is fine */
an_status an_dir_sync(const char *path) AN_MUST_USE;                 /* makes renames inside it durable */
an_status an_path_rename(const char *from, const char *to) AN_MUST_USE;   /* atomic, then the folder of `to` is synced */
an_status an_path_exchange(const char *a, const char *b, int *done) AN_MUST_USE;   /* in one call; *done 0: this file system cannot, nothing has happened */
an_status an_dir_free(const char *path, uint64_t *bytes) AN_MUST_USE;     /* space that this user may still write there */

/* The names in a folder without "." and "..", sorted by byte; freed with an_dir_list_free. */
an_status an_dir_list(const char *path, char ***names, size_t *count) AN_MUST_USE;
void an_dir_list_free(char **names, size_t count);

/* Test hooks: file operations of this module (open, write, sync, rename, mkdir) fail with `error` once `bytes` more have been
 * written (a disk that fills up: the write that crosses the line is short), or from the n-th operation on, or at the n-th only. error 0: off.
 * an_file_can_exchange(0): a file system that cannot exchange. */
void an_file_fail_after_bytes(uint64_t bytes, int error);
void an_file_fail_after_ops(uint64_t operations, int error);
void an_file_fail_once(uint64_t operations, int error);
void an_file_can_exchange(int can);

#endif
