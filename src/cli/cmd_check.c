/* cli/cmd_check.c
 * addnorm check: will this configuration train? Theory, measurement at initialisation, a few steps of the run itself. */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "study/check.h"

static struct { int64_t check_steps; bool check_try; const char *report; } settings;

static const an_option TABLE[] = {
    { "check_steps", AN_INT, "auto", "1..100000", "probe steps; auto: warm-up and 40 more, at most 400", .group = "command", .words = "auto=0", .flags = AN_EPHEMERAL, .at = 1 },
    AN_OPTION_END
};

an_status an_cmd_check_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

static void tick(void *ctx, const char *what, uint64_t done, uint64_t all) { an_progress_part(ctx, what, (double)done, (double)all); }

an_status an_cmd_check(an_cli *cli)
{
    an_check check;
    an_progress progress;
    an_text text = { 0 };
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    const an_check_settings how = { .steps = (uint64_t)settings.check_steps, .tick = tick, .ctx = &progress };
    const an_status status = an_check_run(&check, cli->options, &cli->config, &how);
    an_progress_clear(&progress);
    AN_TRY(status);
    json_t *doc = an_check_json(&check);
    char *s = doc ? json_dumps(doc, JSON_INDENT(1)) : NULL;
    json_decref(doc);
    an_check_fini(&check);
    if (!s) return an_fail(AN_ENOMEM, "check: no memory for the document");
    an_text_add(&text, "%s\n", s);
    free(s);
    return an_cli_print(stdout, &text);
}
