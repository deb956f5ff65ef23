/* cli/check_probe.h
 * The part of `addnorm check` that measures on demand. */
#ifndef AN_CLI_CHECK_PROBE_H
#define AN_CLI_CHECK_PROBE_H

#include "cli/cli.h"
#include "cli/progress.h"

typedef struct an_check_probe_options {
    const char *probe, *page;      /* which; a file or "" */
    int64_t steps, sets;           /* updates to follow, 0: a few; sets of branches for each path length */
    void (*tick)(void *ctx, const char *what, uint64_t done, uint64_t all);
} an_check_probe_options;

an_status an_check_probe(an_cli *cli, const an_check_probe_options *how, an_progress *progress) AN_MUST_USE;

#endif
