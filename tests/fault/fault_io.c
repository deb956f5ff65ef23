/* fault_io.c
 * The n-th file operation fails, or the disk is full after n bytes, for every operation and many n of a run that saves.
 * Each time: AN_EIO in one line, no half-written checkpoint to be seen, and the run can be resumed from what is there to
 * the same bits as if nothing had happened. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "tiny_run.h"
#include "train/run.h"

static const char MODEL[] = "run/checkpoints/latest/model.safetensors", WANTED[] = "whole/checkpoints/latest/model.safetensors";

static int bad;

static void claim(int truth, const char *what, uint64_t n)
{
    if (truth) return;
    bad++;
    fprintf(stderr, "FAIL: fault at %llu: %s: %s\n", (unsigned long long)n, what, an_error_text());
}

static an_status train(const char *out, const char *resume)
{
    tiny_run run;
    tiny_options(&run, out, resume, 6);
    an_status status = tiny_create(&run);
    if (status == AN_OK) status = an_trainer_run(run.trainer);
    tiny_close(&run);
    return status;
}

/* Whatever checkpoints can be seen must be whole. */
static void look(uint64_t n)
{
    char **names, path[256];
    size_t count;
    if (!an_path_is_dir("run/checkpoints")) return;
    claim(an_dir_list("run/checkpoints", &names, &count) == AN_OK, "cannot list", n);
    for (size_t i = 0; i < count; i++) {
        an_saved_run *run;
        if (names[i][0] == '.') continue;
        snprintf(path, sizeof path, "run/checkpoints/%s", names[i]);
        const an_status status = an_run_open(&run, path, 1, 0);
        claim(status == AN_OK, path, n);
        if (status == AN_OK) an_run_close(&run);
    }
    an_dir_list_free(names, count);
}

/* 1: the run ended before the fault came. */
static int attempt(void (*fault)(uint64_t, int), uint64_t n, int error)
{
    fault(n, error);
    const an_status status = train("run", "");
    char text[512];
    snprintf(text, sizeof text, "%s", an_error_text());
    fault(0, 0);
    if (status != AN_OK) {
        claim(status == AN_EIO, an_status_name(status), n);
        claim(strstr(text, strerror(error)) != NULL && !strchr(text, '\n'), text, n);
        look(n);
        claim(train("run", "auto") == AN_OK, "cannot go on", n);
        claim(tiny_checksum(MODEL) == tiny_checksum(WANTED), "other bits", n);
    }
    tiny_remove("run");
    return status == AN_OK;
}

int main(void)
{
    uint64_t operations = 0, bytes = 0;
    if (!tiny_scratch()) return fprintf(stderr, "FAIL: no scratch folder\n"), 1;
    claim(train("whole", "") == AN_OK && tiny_checksum(WANTED) != 0, "the whole run", 0);
    while (bad < 20 && !attempt(an_file_fail_after_ops, operations, EROFS)) operations++;
    for (; bad < 20 && !attempt(an_file_fail_after_bytes, bytes, ENOSPC); bytes += 3331) { }
    tiny_scratch_remove();
    printf("%llu operations, %llu bytes: %d failed claims\n", (unsigned long long)operations, (unsigned long long)bytes, bad);
    return bad == 0 && operations > 20 && bytes > 20000 ? 0 : 1;
}
