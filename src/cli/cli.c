/* cli/cli.c
 * From arguments to a resolved configuration. The order of reading does not matter to the outcome (each value knows its
 * source), so the preset can be looked up last, wherever it was named. */
#include "cli/cli.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/file.h"
#include "train/images.h"
#include "train/presets.h"
#include "train/run.h"

extern char **environ;

/* Variables that are read elsewhere: the kernel level and the matrix product back end. */
static const char OTHER_VARIABLES[] = "CPU|GEMM";

#define AT(field) .at = AN_AT(an_cli, field)

static const an_option COMMON[] = {
    { "help", AN_BOOL, "false", NULL, "this text", .group = "command", .aliases = "h", .flags = AN_EPHEMERAL },
    { "quiet", AN_BOOL, "false", NULL, "no progress, only results and errors", .group = "command", .aliases = "q", .flags = AN_EPHEMERAL, AT(quiet) },
    { "verbose", AN_BOOL, "false", NULL, "say more", .group = "command", .aliases = "v", .flags = AN_EPHEMERAL, AT(verbose) },
    { "color", AN_CHOICE, "auto", "auto|always|never", "colour; auto: on a terminal, unless NO_COLOR is set", .group = "command", .flags = AN_EPHEMERAL, AT(color), .aliases = "colour" },
    AN_OPTION_END
};

static const an_option JSON[] = {
    { "json", AN_BOOL, "false", NULL, "one JSON document on stdout", .group = "command", .flags = AN_EPHEMERAL, AT(json) },
    AN_OPTION_END
};

static const an_option RUN[] = {
    { "preset", AN_CHOICE, "none", NULL, "a recipe to start from", .group = "command", .choices = an_preset_name, .flags = AN_EPHEMERAL, AT(preset) },
    AN_OPTION_END
};

static const an_option DUMP[] = {
    { "dump_config", AN_BOOL, "false", NULL, "print the resolved configuration with the source of each value, and stop", .group = "command", .flags = AN_EPHEMERAL, AT(dump_config) },
    AN_OPTION_END
};

static an_status add_tables(an_cli *cli)
{
    const unsigned traits = cli->verb->traits;
    if (traits & AN_VERB_RUN_CONFIG) AN_TRY(an_run_options_create(&cli->options, &cli->config));
    else AN_TRY(an_options_create(&cli->options));
    AN_TRY(cli->verb->options(cli));
    if (traits & AN_VERB_RUN_CONFIG) AN_TRY(an_options_add(cli->options, RUN, cli));
    if ((traits & AN_VERB_RUN_CONFIG) && !(traits & AN_VERB_OWN_FILES)) AN_TRY(an_options_add(cli->options, DUMP, cli));
    if (traits & AN_VERB_JSON) AN_TRY(an_options_add(cli->options, JSON, cli));
    return an_options_add(cli->options, COMMON, cli);
}

static bool wants_help(int argc, const char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

/* --color as early as that, so that a mistake before it is told in the right colour. */
static void look_for_color(an_cli *cli, int argc, const char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--color=", 8) == 0) cli->color = argv[i] + 8;
        if (strcmp(argv[i], "--color") == 0 && i + 1 < argc) cli->color = argv[i + 1];
    }
}

static an_status print_help(const an_cli *cli)
{
    an_text text = { 0 };
    an_text_add(&text, "addnorm %s %s\n%s\n", cli->verb->name, cli->verb->usage, cli->verb->help);
    an_options_help(cli->options, NULL, an_cli_width(stdout), &text);
    return an_cli_print(stdout, &text);
}

static an_status read_all(an_cli *cli, int argc, const char **argv)
{
    const bool run_config = (cli->verb->traits & AN_VERB_RUN_CONFIG) != 0;
    AN_TRY(an_options_read_args(cli->options, argc, argv, &cli->arguments));
    cli->argument = argv;
    AN_TRY(an_options_read_env(cli->options, (const char *const *)environ, OTHER_VARIABLES, run_config));
    if (!run_config) return an_options_resolve(cli->options);
    if (cli->verb->traits & AN_VERB_OWN_FILES) {
        an_options_bind(cli->options);
        return AN_OK;
    }
    AN_TRY(an_cli_need_arguments(cli, 0, 1));
    const bool folder = (cli->verb->traits & AN_VERB_RUN_FOLDER) && cli->arguments == 1 && an_path_is_dir(cli->argument[0]);
    if (folder) AN_TRY(an_options_set(cli->options, "resume", cli->argument[0], AN_FROM_FLAG, "RUN"));
    AN_TRY(an_run_read_config(cli->options));   /* --resume: the stored configuration is the first file, CONFIG may change it */
    if (cli->arguments == 1 && !folder) AN_TRY(an_options_read_file(cli->options, cli->argument[0]));
    AN_TRY(an_preset_apply(cli->options, an_options_text(cli->options, "preset")));
    return an_options_resolve(cli->options);
}

an_status an_cli_configure(an_cli *cli, int argc, const char **argv, bool *done)
{
    *done = false;
    look_for_color(cli, argc, argv);
    AN_TRY(add_tables(cli));
    if (wants_help(argc, argv)) {
        *done = true;
        return print_help(cli);
    }
    AN_TRY(read_all(cli, argc, argv));
    if (!cli->dump_config) return AN_OK;
    an_model_config model;
    an_text text = { 0 };
    *done = true;
    AN_TRY(an_images_settle(cli->options, &cli->config.data));
    AN_TRY(an_train_config_finish(&cli->config, cli->options));
    AN_TRY(an_model_config_read(&model, cli->options));
    an_options_dump(cli->options, &text);
    return an_cli_print(stdout, &text);
}

void an_cli_close(an_cli *cli) { an_options_destroy(&cli->options); }

an_status an_cli_need_arguments(const an_cli *cli, int least, int most)
{
    if (cli->arguments >= least && cli->arguments <= most) return AN_OK;
    if (cli->arguments > most) return an_fail(AN_EUSAGE, "'%s' is one argument too many; usage: addnorm %s %s", cli->argument[most], cli->verb->name, cli->verb->usage);
    return an_fail(AN_EUSAGE, "an argument is missing; usage: addnorm %s %s", cli->verb->name, cli->verb->usage);
}

static bool variable_set(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

bool an_cli_color(const char *setting, FILE *stream)
{
    const char *term = getenv("TERM");
    if (setting && strcmp(setting, "always") == 0) return true;
    if (setting && strcmp(setting, "never") == 0) return false;
    if (variable_set("NO_COLOR")) return false;
    if ((variable_set("CLICOLOR_FORCE") && strcmp(getenv("CLICOLOR_FORCE"), "0") != 0) || (variable_set("FORCE_COLOR") && strcmp(getenv("FORCE_COLOR"), "0") != 0)) return true;
    return term && *term && strcmp(term, "dumb") != 0 && isatty(fileno(stream));
}

int an_cli_width(FILE *stream)
{
    struct winsize size;
    if (isatty(fileno(stream)) && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return size.ws_col;
    return 100;
}

an_status an_cli_put_json(an_text *text, json_t *doc, int digits)
{
    char *s = doc ? json_dumps(doc, JSON_INDENT(1) | JSON_REAL_PRECISION((size_t)digits)) : NULL;
    json_decref(doc);
    if (!s) return an_fail(AN_ENOMEM, "output: no memory for the document");
    an_text_add(text, "%s\n", s);
    free(s);
    return AN_OK;
}

void an_cli_warn_data(const an_cli *cli, const char *run)
{
    fprintf(stderr, "addnorm %s: the data is not what %s was trained on: its files have changed; what follows is measured on them as they are\n", cli->verb->name, run);
}

/* After a failure to write. The pipe is asked, for of several writes only the first may have said EPIPE. */
static an_status refuse_output(FILE *stream, int error)
{
    struct pollfd pipe = { .fd = fileno(stream), .events = POLLOUT };
    if (poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR)) return AN_OK;
    return an_fail(AN_EIO, "output: cannot write%s%s", error ? ": " : "", error ? strerror(error) : "");
}

an_status an_cli_flush(FILE *stream)
{
    errno = 0;
    return fflush(stream) == 0 && !ferror(stream) ? AN_OK : refuse_output(stream, errno);
}

an_status an_cli_print(FILE *stream, an_text *text)
{
    an_status status = an_text_status(text);
    errno = 0;
    if (status == AN_OK && (fputs(an_text_get(text), stream) == EOF || fflush(stream) != 0)) status = refuse_output(stream, errno);
    an_text_fini(text);
    return status;
}
