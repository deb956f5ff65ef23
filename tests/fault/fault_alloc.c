/* fault_alloc.c
 * The n-th allocation fails, for every n: while a trainer is set up (fresh, and resumed) and while it runs and saves.
 * Each time: AN_ENOMEM and a sentence, nothing leaked (the sanitizer build looks), and afterwards the run can be resumed
 * from what is on the disk to the same bits as if nothing had happened. */
#include <stdio.h>
#include <stdlib.h>

#include "core/arena.h"
#include "tiny_run.h"

static const char MODEL[] = "run/checkpoints/latest/model.safetensors", WANTED[] = "whole/checkpoints/latest/model.safetensors";

static int bad, tolerated;

static void claim(int truth, const char *what, size_t n)
{
    if (truth) return;
    bad++;
    fprintf(stderr, "FAIL: allocation %zu: %s: %s\n", n, what, an_error_text());
}

/* Whether the failure that was ordered has not come yet; calls it off. */
static int still_waiting(size_t n)
{
    int came = 1;
    for (size_t i = 0; i < n && came; i++) {
        void *p = an_alloc(1);
        came = p != NULL;
        free(p);
    }
    an_alloc_fail_after(0);
    return !came;
}

/* Fails allocation n of creating, or with `go` of running. 1: there are fewer than n allocations. */
static int attempt(size_t n, const char *resume, int steps, int go)
{
    tiny_run run;
    an_status status;
    tiny_options(&run, "run", resume, steps);
    if (!go) an_alloc_fail_after(n);
    status = tiny_create(&run);
    if (go && status == AN_OK) {
        an_alloc_fail_after(n);
        status = an_trainer_run(run.trainer);
    }
    const int over = status == AN_OK && still_waiting(n);
    an_alloc_fail_after(0);
    claim(status == AN_OK || status == AN_ENOMEM, an_status_name(status), n);
    if (status == AN_OK && !over) {                  /* it could do without: then the outcome must be the same */
        tolerated++;
        claim(go || an_trainer_run(run.trainer) == AN_OK, "does not run", n);
        claim(tiny_checksum(MODEL) == tiny_checksum(WANTED), "other bits, without an error", n);
    }
    tiny_close(&run);
    return over;
}

static void finish(size_t n, int steps)
{
    tiny_run run;
    tiny_options(&run, "run", "auto", steps);
    claim(tiny_create(&run) == AN_OK && an_trainer_run(run.trainer) == AN_OK, "cannot go on", n);
    tiny_close(&run);
    claim(tiny_checksum(MODEL) == tiny_checksum(WANTED), "other bits", n);
}

static void train_whole(int steps)
{
    tiny_run run;
    tiny_options(&run, "whole", "", steps);
    claim(tiny_create(&run) == AN_OK && an_trainer_run(run.trainer) == AN_OK, "the whole run", 0);
    tiny_close(&run);
    claim(tiny_checksum(WANTED) != 0, "no model", 0);
}

int main(void)
{
    size_t fresh = 1, resumed = 1, running = 1;
    if (!tiny_scratch()) return fprintf(stderr, "FAIL: no scratch folder\n"), 1;
    train_whole(6);
    for (; bad < 20 && !attempt(fresh, "", 6, 0); fresh++) tiny_remove("run");
    tiny_remove("run");
    for (; bad < 20; running++) {                    /* breaks off at any allocation of the run, then goes on */
        const int over = attempt(running, "auto", 6, 1);
        if (over) break;
        if (running % 5 == 0 || running < 10) finish(running, 6);
        tiny_remove("run");
    }
    finish(0, 6);
    for (; bad < 20 && !attempt(resumed, "auto", 6, 0); resumed++) { }
    tiny_scratch_remove();
    printf("%zu allocations of a fresh set-up, %zu of a resumed one, %zu of a run; %d done without; %d failed claims\n", fresh - 1, resumed - 1, running - 1, tolerated, bad);
    return bad == 0 && fresh > 20 && resumed > 20 && running > 5 ? 0 : 1;
}
