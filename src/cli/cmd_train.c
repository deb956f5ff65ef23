/* cli/cmd_train.c
 * addnorm train: options -> trainer -> run -> report. What happens in a step stands in train/loop.c. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "core/arena.h"
#include "study/runs.h"
#include "study/serve.h"
#include "train/loop.h"
#include "train/signals.h"

typedef struct train_options { int64_t serve; bool report; } train_options;
static train_options settings;

#define AT(field) .at = AN_AT(train_options, field), .group = "command", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "serve", AN_INT, "off", "1..65535", "show the report while training, on this port of 127.0.0.1; without a number: 8080, or a free one", AT(serve), .words = "off=-1|auto=0", .alone = "auto" },
    { "report", AN_BOOL, "true", NULL, "write RUN/report.html at the end", AT(report) },
    AN_OPTION_END
};

an_status an_cmd_train_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

/* Where the page is, is a result: quiet leaves it. A page that cannot be had is told and is no reason not to train. */
static void serve(an_serve **server, const char *run, an_progress *progress)
{
    if (settings.serve < 0) return;
    if (an_serve_start(server, run, (int)settings.serve) == AN_OK) {
        printf("serving          http://127.0.0.1:%d/\n", an_serve_port(*server));
        fflush(stdout);
    } else an_progress_warn(progress, "%s; training goes on without it", an_error_text());
}

/* Of a run that failed too, as far as it came; but then its own failure is the one to tell. */
static void report(const char *run, bool done, an_progress *progress)
{
    if (!settings.report) return;
    const an_status status = an_run_report(run);
    if (!done) return;
    if (status != AN_OK) an_progress_warn(progress, "report: %s", an_error_text());
    else printf("report           %s/report.html\n", run);
}

an_status an_cmd_train(an_cli *cli)
{
    an_progress progress;
    an_trainer *trainer = NULL;
    an_serve *server = NULL;
    char *run = NULL;
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    const an_events events = an_progress_events(&progress);
    an_signals_catch();
    an_status status = an_trainer_create(&trainer, cli->options, &cli->config, &events);
    if (status == AN_OK) {
        run = an_strdup(an_trainer_get_run(trainer));
        serve(&server, an_trainer_get_run(trainer), &progress);
        status = an_trainer_run(trainer);
    }
    char error[2048];           /* the report may fail at something and replace the sentence */
    const bool done = status == AN_OK;
    snprintf(error, sizeof error, "%s", an_error_text());
    an_serve_stop(&server);
    an_trainer_destroy(&trainer);
    an_progress_clear(&progress);
    if (run) report(run, done, &progress);
    if (done && (status = an_cli_flush(stdout)) != AN_OK) snprintf(error, sizeof error, "%s; the run itself is complete: %s", an_error_text(), run);
    an_signals_release();
    free(run);
    return status == AN_OK ? AN_OK : an_fail(status, "%s", error);
}
