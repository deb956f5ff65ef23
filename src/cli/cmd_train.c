/* cli/cmd_train.c
 * addnorm train: options -> trainer -> run. What happens in a step stands in train/loop.c. */
#include <signal.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "train/loop.h"
#include "train/signals.h"

an_status an_cmd_train_options(an_cli *cli)
{
    (void)cli;   /* every key of a run is there by AN_VERB_RUN_CONFIG */
    return AN_OK;
}

an_status an_cmd_train(an_cli *cli)
{
    an_progress progress;
    an_trainer *trainer = NULL;
    signal(SIGPIPE, SIG_IGN);   /* a reader that goes away must not end the run */
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    const an_events events = an_progress_events(&progress);
    an_signals_catch();
    an_status status = an_trainer_create(&trainer, cli->options, &cli->config, &events);
    if (status == AN_OK) status = an_trainer_run(trainer);
    an_trainer_destroy(&trainer);
    an_signals_release();
    an_progress_clear(&progress);
    return status;
}
