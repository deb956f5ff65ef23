/* cli/cli.h
 * What the verbs share: one table of verbs, one way from arguments to a resolved configuration, and where text goes.
 * Results go to stdout, progress and errors to stderr. Only this layer prints or exits. */
#ifndef AN_CLI_CLI_H
#define AN_CLI_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/option.h"
#include "train/config.h"

typedef struct an_cli {
    const struct an_verb *verb;
    an_options *options;
    const char **argument;         /* what is no option: CONFIG, RUN, ... */
    int arguments;
    bool quiet, verbose, json, dump_config;
    const char *color;
    const char *preset;            /* train and plan */
    an_train_config config;        /* train and plan: bound to the option table */
} an_cli;

/* A verb: one row in verbs.def, one cmd_*.c. `options` adds its own table (NULL: none). */
typedef struct an_verb {
    const char *name, *usage, *help;
    unsigned traits;
    an_status (*options)(an_cli *cli);
    an_status (*run)(an_cli *cli);
} an_verb;

enum {
    AN_VERB_JSON = 1,              /* has --json */
    AN_VERB_RUN_CONFIG = 2,        /* takes [CONFIG] and every key of a training run */
    AN_VERB_RUN_FOLDER = 4,        /* with it: or a run or checkpoint folder, which then is what `resume` says */
    AN_VERB_OWN_FILES = 8          /* with it: the arguments are the verb's own, and it puts the keys of a run together itself */
};

const an_verb *an_verb_at(size_t i);

/* Everything between the argument vector and the verb's run(): tables, file, environment, preset, checks. *done: help or
 * the configuration was printed and there is nothing left to do. */
an_status an_cli_configure(an_cli *cli, int argc, const char **argv, bool *done) AN_MUST_USE;
void an_cli_close(an_cli *cli);

/* Arguments that are no options: at least `least`, at most `most`. Errors: AN_EUSAGE with the usage line. */
an_status an_cli_need_arguments(const an_cli *cli, int least, int most) AN_MUST_USE;

/* Colour for a stream: --color, else NO_COLOR, CLICOLOR_FORCE and FORCE_COLOR, TERM=dumb, else whether it is a terminal. */
bool an_cli_color(const char *setting, FILE *stream);
int an_cli_width(FILE *stream);    /* columns of the terminal, 100 when it is none */

/* Whether all that was written has gone out. A reader that left (`| head -1`) has what it wanted: no failure, of any verb. Errors: AN_EIO. */
an_status an_cli_flush(FILE *stream) AN_MUST_USE;

/* Tells that the files which a run names have other bytes than those it was trained on. */
void an_cli_warn_data(const an_cli *cli, const char *run);

/* Prints and empties `text`. Errors: AN_ENOMEM for a buffer that could not grow; of an_cli_flush. */
an_status an_cli_print(FILE *stream, an_text *text) AN_MUST_USE;
an_status an_cli_put_json(an_text *text, json_t *doc, int digits) AN_MUST_USE;   /* the document, which it drops, numbers with so many digits (17: all); NULL: AN_ENOMEM */

#define VERB(name, usage, help, traits) an_status an_cmd_##name(an_cli *cli); an_status an_cmd_##name##_options(an_cli *cli);
#include "cli/verbs.def"
#undef VERB

#endif
