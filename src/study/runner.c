/* study/runner.c
 * One loop: take in what ended, start what fits, sleep until a child ends. The costliest cells go first, so that none is left over at the end
 * to run alone. A child is in a process group of its own, so that Ctrl-C reaches it once, through us, and is told to stop when we die. */
#include "study/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/file.h"
#include "train/memory.h"
#include "train/signals.h"

enum { ATTEMPTS = 2 };
static const double LOOK_AGAIN = 0.5, TICK = 0.5, LAG = 30;   /* seconds: at cells that others work on; between progress lines; ranks of one launch start no further apart */

extern char **environ;

typedef struct job { pid_t pid; int claim; size_t cell; uint64_t step; } job;

typedef struct runner {
    an_study *study;
    const an_runner *how;
    job *job;
    size_t n_jobs;
    double *again;                 /* [n_cells]: not before this time */
    char **environment;
    sigset_t before;
    an_memory_room room;           /* when none of ours ran */
    bool stopping;
    double began, flops_before, last_tick;
    double since;                  /* wall clock: what other ranks have said before is of another launch */
} runner;

static an_status no_memory(const an_study *s) { return an_fail(AN_ENOMEM, "%s: no memory", s->place); }

static bool is_over(const an_study_cell *cell) { return cell->state != AN_CELL_WAITING && cell->state != AN_CELL_RUNNING; }

/* ---- what has failed before ---- */

static an_status look_at_failures(an_study *s, an_study_cell *cell, size_t *count)
{
    an_text last = { 0 };
    char *path = an_study_path(s, "work", cell->name, ".claim");
    an_status status = path ? an_claim_failures(path, count, &last) : no_memory(s);
    if (status == AN_OK && *count >= ATTEMPTS) {
        cell->state = AN_CELL_FAILED;
        cell->reason = an_arena_printf(&s->arena, "%s", an_text_get(&last));
        if (!cell->reason) status = no_memory(s);
    }
    an_text_fini(&last);
    free(path);
    return status;
}

static bool is_ours(const runner *r, size_t index) { return index % r->how->rank.count == r->how->rank.id; }

/* A refusal is kept beside the claim, for the ranks that cannot see by a lock that nobody works on the cell. */
static an_status look_at_refusal(runner *r, an_study_cell *cell)
{
    an_study *s = r->study;
    char *path = an_study_path(s, "work", cell->name, ".refused"), *text = NULL;
    size_t size;
    an_status status = path ? AN_OK : no_memory(s);
    if (path && an_claim_said_since(path, r->since)) {
        status = an_file_read(path, &text, &size);
        cell->reason = text ? an_arena_printf(&s->arena, "%s", text) : NULL;
        if (status == AN_OK && !cell->reason) status = no_memory(s);
        if (status == AN_OK) cell->state = AN_CELL_SKIPPED;
    }
    free(text);
    free(path);
    return status;
}

/* Where there are no locks: how far another rank's cell is, which it may also have given up. */
static an_status look_at_other(runner *r, an_study_cell *cell, const char *claim)
{
    size_t count;
    AN_TRY(an_study_look(r->study, cell));
    if (cell->state == AN_CELL_WAITING && (!r->how->retry || an_claim_said_since(claim, r->since))) AN_TRY(look_at_failures(r->study, cell, &count));
    return cell->state == AN_CELL_WAITING ? look_at_refusal(r, cell) : AN_OK;
}

static an_status tell_refusal(const runner *r, const an_study_cell *cell)
{
    char *path = r->how->rank.count > 1 ? an_study_path(r->study, "work", cell->name, ".refused") : NULL;
    const an_status status = path ? an_file_write(path, cell->reason, strlen(cell->reason)) : r->how->rank.count > 1 ? no_memory(r->study) : AN_OK;
    free(path);
    return status;
}

/* What planning has refused here, perhaps for want of memory; and what was refused in an earlier launch is taken back before another rank takes it for news. */
static an_status tell_survey(const runner *r)
{
    for (size_t i = 0; r->how->rank.count > 1 && i < r->study->n_cells; i++) {
        const an_study_cell *cell = &r->study->cell[i];
        if (!is_ours(r, i)) continue;
        if (cell->state == AN_CELL_SKIPPED) {
            AN_TRY(tell_refusal(r, cell));
            continue;
        }
        char *path = an_study_path(r->study, "work", cell->name, ".refused");
        if (!path) return no_memory(r->study);
        unlink(path);
        free(path);
    }
    return AN_OK;
}

an_status an_runner_survey(an_study *s, const an_runner *how)
{
    an_runner_progress p = { .what = "planning", .cells = s->n_cells, .seconds_left = NAN };
    for (size_t i = 0; i < s->n_cells; i++) {
        an_study_cell *cell = &s->cell[i];
        size_t count;
        AN_TRY(an_study_look(s, cell));
        if (cell->state == AN_CELL_WAITING && !how->retry) AN_TRY(look_at_failures(s, cell, &count));
        if (cell->state == AN_CELL_WAITING) AN_TRY(an_study_price(s, cell));
        p.over += is_over(cell);
        p.share = (double)(i + 1) / (double)s->n_cells;
        if (how->tick) how->tick(how->ctx, &p);
    }
    return AN_OK;
}

/* ---- one process ---- */

/* Ours without ADDNORM_..., which is in the cell's configuration already, but for what chooses kernels. */
static char **make_environment(void)
{
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    char **list = an_alloc((n + 1) * sizeof *list);
    for (size_t i = 0; list && i < n; i++)
        if (strncmp(environ[i], "ADDNORM_", 8) != 0 || strncmp(environ[i], "ADDNORM_CPU=", 12) == 0 || strncmp(environ[i], "ADDNORM_GEMM=", 13) == 0) list[kept++] = environ[i];
    return list;
}

/* In the child: nothing here allocates. The claim is inherited. */
static void become(const runner *r, const char *const *argv, const char *output, int claim, pid_t parent)
{
    setpgid(0, 0);
    signal(SIGTERM, SIG_DFL);                          /* we stop it by this one, even where we were told to ignore it ourselves */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    const int in = open("/dev/null", O_RDONLY), out = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (getppid() != parent || in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 || fcntl(claim, F_SETFD, 0) != 0) _exit(126);
    if (in > 2) close(in);
    if (out > 2) close(out);
    sigprocmask(SIG_SETMASK, &r->before, NULL);
    execve(argv[0], (char *const *)(uintptr_t)argv, r->environment);
    _exit(127);
}

static an_status spawn(runner *r, size_t index, int claim)
{
    const an_study *s = r->study;
    const an_study_cell *cell = &s->cell[index];
    char threads[16], *run = an_study_path(s, "cells", cell->name, ""), *config = an_study_path(s, "work", cell->name, ".yaml"), *output = an_study_path(s, "work", cell->name, ".out");
    an_status status = run && config && output ? an_file_write(config, cell->config, strlen(cell->config)) : no_memory(s);
    snprintf(threads, sizeof threads, "%d", s->threads);
    const char *const argv[] = { r->how->program, "train", config, "--out", run, "--resume", "auto", "--threads", threads, "--no-report", "-q", NULL };
    const pid_t parent = getpid(), pid = status == AN_OK ? fork() : -1;
    if (pid == 0) become(r, argv, output, claim, parent);
    if (status == AN_OK && pid < 0) status = an_fail(AN_EFAIL, "%s: cannot start a process: %s", s->place, strerror(errno));
    if (status == AN_OK) r->job[r->n_jobs++] = (job){ pid, claim, index, 0 };
    free(run);
    free(config);
    free(output);
    return status;
}

/* ---- starting ---- */

static double memory_in_use(const runner *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->n_jobs; i++) sum += (double)r->study->cell[r->job[i].cell].memory;
    return sum;
}

/* The costliest cell that may start now; AN_NO_CELL. *tight: one does not for lack of memory. */
static size_t choose(const runner *r, size_t *tight)
{
    const double now = an_clock(), used = memory_in_use(r);
    size_t best = AN_NO_CELL;
    *tight = AN_NO_CELL;
    for (size_t i = 0; i < r->study->n_cells; i++) {
        const an_study_cell *cell = &r->study->cell[i];
        if (cell->state != AN_CELL_WAITING || r->again[i] > now) continue;
        if (used + (double)cell->memory > (double)r->room.bytes) *tight = i;
        else if (best == AN_NO_CELL || cell->flops > r->study->cell[best].flops) best = i;
    }
    return best;
}

/* A cell that does not fit though nothing of ours runs. */
static an_status refuse_for_memory(runner *r, an_study_cell *cell)
{
    an_study *s = r->study;
    char need[AN_HUMAN], have[AN_HUMAN];
    cell->state = AN_CELL_SKIPPED;
    cell->reason = an_arena_printf(&s->arena, "needs %s of memory and %s are %s", an_human_bytes(need, (double)cell->memory), an_human_bytes(have, (double)r->room.bytes), r->room.limit);
    return cell->reason ? tell_refusal(r, cell) : no_memory(s);
}

/* With the claim in hand: what others have done meanwhile, and what failed. */
static an_status start_claimed(runner *r, size_t index, int claim, const char *path, bool fits)
{
    an_study *s = r->study;
    an_study_cell *cell = &s->cell[index];
    size_t failures = 0;
    an_status status = an_study_look(s, cell);
    if (status == AN_OK && r->how->retry && r->again[index] == 0) status = an_claim_forget_failures(claim, path);
    if (status == AN_OK && cell->state == AN_CELL_WAITING) status = look_at_failures(s, cell, &failures);
    if (status == AN_OK && cell->state == AN_CELL_WAITING && !fits) {
        status = refuse_for_memory(r, cell);
    } else if (status == AN_OK && cell->state == AN_CELL_WAITING) {
        status = spawn(r, index, claim);
        if (status == AN_OK) {
            cell->state = AN_CELL_RUNNING;
            r->how->tell(r->how->ctx, s, cell, AN_CELL_STARTED, "");
            return AN_OK;
        }
    }
    close(claim);
    return status;
}

/* fits: whether there is memory for it; a cell that another works on is not refused for that. */
static an_status start(runner *r, size_t index, bool fits)
{
    const an_study *s = r->study;
    an_claim_answer answer = AN_CLAIM_BUSY;
    int claim = -1;
    char *path = an_study_path(s, "work", s->cell[index].name, ".claim");
    an_status status = path ? an_claim_try(path, &claim, &answer) : no_memory(s);
    if (status == AN_OK && answer == AN_CLAIM_NO_LOCKS && r->how->rank.count < 2) {
        close(claim);
        status = an_fail(AN_EIO, "%s: this file system has no locks, by which processes share a study; choose another --out, or start it by srun or mpirun, which give each its part", s->out);
    } else if (status == AN_OK && (answer == AN_CLAIM_BUSY || (answer == AN_CLAIM_NO_LOCKS && !is_ours(r, index)))) {
        if (claim >= 0) close(claim);
        r->again[index] = an_clock() + LOOK_AGAIN;
        if (answer == AN_CLAIM_NO_LOCKS) status = look_at_other(r, &r->study->cell[index], path);
    } else if (status == AN_OK) {
        status = start_claimed(r, index, claim, path, fits);
    }
    free(path);
    return status;
}

static an_status start_more(runner *r)
{
    if (r->n_jobs == 0) r->room = an_memory_available();
    while (r->n_jobs < r->how->jobs) {
        size_t tight, index = choose(r, &tight);
        if (index != AN_NO_CELL) AN_TRY(start(r, index, true));
        else if (tight != AN_NO_CELL && r->n_jobs == 0) AN_TRY(start(r, tight, false));
        else return AN_OK;
    }
    return AN_OK;
}

/* ---- ending ---- */

/* "exit 1: addnorm train: ...", with the last line that it said. */
static void describe(const an_study *s, const an_study_cell *cell, int how, an_text *out)
{
    char *path = an_study_path(s, "work", cell->name, ".out"), *said = NULL;
    size_t size = 0;
    if (WIFSIGNALED(how)) an_text_add(out, "killed by signal %d (%s)", WTERMSIG(how), strsignal(WTERMSIG(how)));
    else an_text_add(out, "exit %d", WEXITSTATUS(how));
    if (path && an_file_read(path, &said, &size) == AN_OK) {
        while (size && said[size - 1] == '\n') said[--size] = '\0';
        const char *line = strrchr(said, '\n'), *last = line ? line + 1 : said;
        if (*last) an_text_add(out, ": ");
        an_text_put_safe(out, last, strlen(last));
    }
    free(said);
    free(path);
}

static an_status note_failure(runner *r, const job *j, int how)
{
    an_study *s = r->study;
    an_study_cell *cell = &s->cell[j->cell];
    size_t failures = 0;
    an_text line = { 0 };
    char *path = an_study_path(s, "work", cell->name, ".claim");
    describe(s, cell, how, &line);
    an_status status = path ? an_text_status(&line) : no_memory(s);
    if (status == AN_OK) status = an_claim_add_failure(j->claim, path, an_text_get(&line));
    if (status == AN_OK) status = look_at_failures(s, cell, &failures);
    if (status == AN_OK) r->how->tell(r->how->ctx, s, cell, cell->state == AN_CELL_FAILED ? AN_CELL_GAVE_UP : AN_CELL_RETRIED, an_text_get(&line));
    r->again[j->cell] = an_clock();
    an_text_fini(&line);
    free(path);
    return status;
}

static an_status take_in(runner *r, const job *j, int how)
{
    an_study_cell *cell = &r->study->cell[j->cell];
    cell->state = AN_CELL_WAITING;
    an_status status = an_study_look(r->study, cell);
    if (status == AN_OK && (an_cell_is_over(cell))) r->how->tell(r->how->ctx, r->study, cell, AN_CELL_OVER, "");
    else if (status == AN_OK && !r->stopping) status = note_failure(r, j, how);
    close(j->claim);
    return status;
}

static an_status reap(runner *r)
{
    for (size_t i = 0; i < r->n_jobs;) {
        int how;
        const job j = r->job[i];
        if (waitpid(j.pid, &how, WNOHANG) != j.pid) {
            i++;
            continue;
        }
        r->job[i] = r->job[--r->n_jobs];
        AN_TRY(take_in(r, &j, how));
    }
    return AN_OK;
}

static void stop_all(runner *r)
{
    r->stopping = true;
    for (size_t i = 0; i < r->n_jobs; i++) kill(r->job[i].pid, SIGTERM);
}

/* ---- progress ---- */

/* The last step that a log has, by its last few lines: good enough for a progress line. */
static uint64_t last_step(const an_study *s, const an_study_cell *cell)
{
    static const char KEY[] = "\"step\":";
    char tail[16384 + 1], *path = an_study_path(s, "cells", cell->name, "/log.jsonl");
    uint64_t step = 0;
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        const off_t size = lseek(fd, 0, SEEK_END), from = size > (off_t)sizeof tail - 1 ? size - ((off_t)sizeof tail - 1) : 0;
        const ssize_t n = pread(fd, tail, sizeof tail - 1, from);
        tail[n > 0 ? n : 0] = '\0';
        for (const char *p = tail; (p = strstr(p, KEY)) != NULL; p += sizeof KEY - 1) step = strtoull(p + sizeof KEY - 1, NULL, 10);
        close(fd);
    }
    free(path);
    return step;
}

static double flops_done(runner *r)
{
    double done = 0;
    for (size_t i = 0; i < r->study->n_cells; i++)
        if (an_cell_is_over(&r->study->cell[i])) done += r->study->cell[i].flops;
    for (size_t i = 0; i < r->n_jobs; i++) {
        const an_study_cell *cell = &r->study->cell[r->job[i].cell];
        r->job[i].step = last_step(r->study, cell);
        done += cell->flops_step * (double)r->job[i].step;
    }
    return done;
}

static void tick(runner *r)
{
    const double now = an_clock();
    an_runner_progress p = { .what = r->n_jobs ? "running" : "waiting", .cells = r->study->n_cells, .running = r->n_jobs, .seconds_left = NAN };
    double all = 0;
    if (!r->how->tick || now - r->last_tick < TICK) return;
    for (size_t i = 0; i < p.cells; i++) {
        const an_study_cell *cell = &r->study->cell[i];
        p.over += is_over(cell);
        if (cell->state != AN_CELL_SKIPPED && cell->state != AN_CELL_FAILED) all += cell->flops;
    }
    const double done = flops_done(r), since = done - r->flops_before;
    p.share = all > 0 ? done / all : 0;
    if (since > 0) p.seconds_left = (all - done) / since * (now - r->began);
    r->how->tick(r->how->ctx, &p);
    r->last_tick = now;
}

/* ---- the loop ---- */

static bool anything_left(const runner *r)
{
    for (size_t i = 0; i < r->study->n_cells; i++)
        if (!is_over(&r->study->cell[i])) return true;
    return false;
}

static an_status loop(runner *r, const sigset_t *child)
{
    while (r->n_jobs || (!r->stopping && anything_left(r))) {
        if (!r->stopping && an_signals_stop()) stop_all(r);
        if (!r->stopping) AN_TRY(start_more(r));
        tick(r);
        if (r->n_jobs || anything_left(r)) sigtimedwait(child, NULL, &(struct timespec){ .tv_nsec = 200000000 });
        AN_TRY(reap(r));
    }
    return AN_OK;
}

static an_status make_folders(const an_study *s)
{
    static const char *const FOLDERS[] = { "cells", "work" };
    for (size_t i = 0; i < sizeof FOLDERS / sizeof *FOLDERS; i++) {
        char *path = an_path_join(s->out, FOLDERS[i]);
        const an_status status = path ? an_dir_create(path) : no_memory(s);
        free(path);
        AN_TRY(status);
    }
    return AN_OK;
}

/* After a failure of our own: the cells stop where they can go on. */
static void abandon(runner *r)
{
    stop_all(r);
    for (size_t i = 0; i < r->n_jobs; i++) {
        while (waitpid(r->job[i].pid, NULL, 0) < 0 && errno == EINTR) { }
        close(r->job[i].claim);
    }
}

an_status an_runner_run(an_study *s, const an_runner *how)
{
    runner r = { .study = s, .how = how, .began = an_clock(), .since = an_clock_wall() - LAG, .room = an_memory_available() };
    sigset_t child;
    AN_TRY(make_folders(s));
    AN_TRY(tell_survey(&r));
    r.job = an_alloc((how->jobs + 1) * sizeof *r.job);
    r.again = an_alloc((s->n_cells + 1) * sizeof *r.again);
    r.environment = make_environment();
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &r.before);
    r.flops_before = flops_done(&r);
    an_status status = r.job && r.again && r.environment ? loop(&r, &child) : no_memory(s);
    if (status != AN_OK && r.job) {
        char error[1024];
        snprintf(error, sizeof error, "%s", an_error_text());
        abandon(&r);
        status = an_fail(status, "%s", error);
    }
    sigprocmask(SIG_SETMASK, &r.before, NULL);
    free(r.job);
    free(r.again);
    free(r.environment);
    AN_TRY(status);
    size_t over = 0;
    for (size_t i = 0; i < s->n_cells; i++) over += is_over(&s->cell[i]);
    return over == s->n_cells ? AN_OK : an_fail(AN_EINTERRUPTED, "interrupted with %zu of %zu cells done; the same command goes on", over, s->n_cells);
}
