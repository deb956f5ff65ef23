/* cli/main.c
 * Finds the verb, lets cli.c read the rest, runs it, and turns its status into one line and an exit code. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "study/suite.h"

static const an_verb VERBS[] = {
#define VERB(name, usage, help, traits) { #name, usage, help, traits, an_cmd_##name##_options, an_cmd_##name },
#include "cli/verbs.def"
#undef VERB
};

const an_verb *an_verb_at(size_t i) { return i < sizeof VERBS / sizeof *VERBS ? &VERBS[i] : NULL; }

static const char *verb_name_at(void *ctx, size_t i)
{
    (void)ctx;
    return i < sizeof VERBS / sizeof *VERBS ? VERBS[i].name : NULL;
}

static void print_usage(FILE *stream)
{
    fputs("addnorm trains transformers in C, with Add & Norm as a choice that can be measured.\n\n", stream);
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) fprintf(stream, "  addnorm %-10s %s\n", VERBS[i].name, VERBS[i].help);
    fputs("\naddnorm VERB --help tells the rest. ./run demo shows it at work.\n", stream);
}

static an_status find_verb(const char *word, const an_verb **verb)
{
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        if (strcmp(VERBS[i].name, word) == 0) {
            *verb = &VERBS[i];
            return AN_OK;
        }
    if (an_named_find(word)) return an_fail(AN_EUSAGE, "unknown verb '%s'; it is a study: addnorm study %s", word, word);
    char near[AN_NAME];
    an_text all = { 0 };
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) an_text_add(&all, "%s%s", i ? ", " : "", VERBS[i].name);
    const int close = an_text_nearest(word, verb_name_at, NULL, near);
    const an_status status = an_fail(AN_EUSAGE, "unknown verb '%s'%s%s%s verbs: %s", word, close ? "; did you mean '" : "", near, close ? "'?" : ";", an_text_get(&all));
    an_text_fini(&all);
    return status;
}

static int report(an_status status, const an_cli *cli)
{
    if (status == AN_OK) status = an_cli_flush(stdout);
    if (status == AN_OK) return 0;
    const bool color = an_cli_color(cli->color, stderr);
    an_text line = { 0 };
    an_text_put_safe(&line, an_error_text(), strlen(an_error_text()));
    fprintf(stderr, "%saddnorm%s%s:%s %s\n", color ? "\033[1;31m" : "", cli->verb ? " " : "", cli->verb ? cli->verb->name : "", color ? "\033[0m" : "",
            line.length ? an_text_get(&line) : an_status_message(status));
    an_text_fini(&line);
    return an_status_exit_code(status);
}

/* Flags may stand before the verb: argv becomes verb, flags. */
static void verb_first(int argc, const char **argv)
{
    int at = 1;
    while (at < argc && argv[at][0] == '-' && strcmp(argv[at], "--") != 0) at++;
    if (at == argc) return;
    const char *verb = argv[at];
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
    argv[1] = verb;
}

int main(int argc, char **argv)
{
    an_cli cli = { 0 };
    const char **args = (const char **)argv;
    bool done;
    signal(SIGPIPE, SIG_IGN);   /* a reader that goes away must not end a run; an_cli_flush hears of it */
    if (argc > 1 && strcmp(args[1], "--version") == 0) {
        puts("addnorm " AN_VERSION);
        return report(AN_OK, &cli);
    }
    verb_first(argc, args);
    const bool help = argc > 1 && (strcmp(args[1], "--help") == 0 || strcmp(args[1], "-h") == 0 || (argc == 2 && strcmp(args[1], "help") == 0));
    if (argc < 2 || help) {
        print_usage(help ? stdout : stderr);
        return help ? report(AN_OK, &cli) : 2;
    }
    const bool help_verb = argc > 2 && strcmp(args[1], "help") == 0;
    an_status status = find_verb(args[help_verb ? 2 : 1], &cli.verb);
    const char *const ask[] = { "--help" };
    const char *asked[1] = { ask[0] };
    if (status == AN_OK) status = help_verb ? an_cli_configure(&cli, 1, asked, &done) : an_cli_configure(&cli, argc - 2, args + 2, &done);
    if (status == AN_OK && !done) status = cli.verb->run(&cli);
    const int code = report(status, &cli);
    an_cli_close(&cli);
    return code;
}
