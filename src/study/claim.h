/* study/claim.h
 * Who works on what, among processes that share a folder. A claim is a lock on a file beside the run; the process that trains the cell
 * inherits it, so it is held as long as anybody works on the cell, and gone with the last of them however it ended: nothing of a dead
 * process stays to be cleaned up. The file itself holds one line for each attempt that failed. */
#ifndef AN_STUDY_CLAIM_H
#define AN_STUDY_CLAIM_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"
#include "core/text.h"

/* Which of how many processes this is, as Slurm or an MPI launcher says; 0 of 1 without one. */
typedef struct an_rank { size_t id, count; const char *by; } an_rank;   /* by: the variable; NULL: none */
an_rank an_rank_get(void);

typedef enum an_claim_answer { AN_CLAIM_TAKEN, AN_CLAIM_BUSY, AN_CLAIM_NO_LOCKS } an_claim_answer;

/* TAKEN: *fd holds it until it and its copies are closed. NO_LOCKS: this file system has none. Errors: AN_EIO for a file that cannot be had. */
an_status an_claim_try(const char *path, int *fd, an_claim_answer *answer) AN_MUST_USE;

/* The attempts that failed: how many, and the last one's line. A file that is not there has none. */
an_status an_claim_failures(const char *path, size_t *count, an_text *last) AN_MUST_USE;
an_status an_claim_add_failure(int fd, const char *path, const char *line) AN_MUST_USE;
an_status an_claim_forget_failures(int fd, const char *path) AN_MUST_USE;
bool an_claim_said_since(const char *path, double wall);       /* whether a file was last written after that (core/clock.h) */

#endif
