/* cli/cmd_report.c
 * addnorm report: run folders, one or many side by side, or a study, as one page (docs/report.md) and as tables of numbers. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "core/file.h"
#include "study/runs.h"

typedef struct report_options { const char *out, *csv; } report_options;
static report_options settings;

#define AT(field) .at = AN_AT(report_options, field), .group = "report"

static const an_option TABLE[] = {
    { "out", AN_STRING, "auto", NULL, "page to write; auto: report.html in the folder when one is named, here when there are several", AT(out), .aliases = "o", .flags = AN_EPHEMERAL | AN_NAMES_FILE },
    { "csv", AN_STRING, "", NULL, "folder to write every chart's numbers into, one file a chart", AT(csv), .flags = AN_EPHEMERAL | AN_NAMES_FOLDER },
    AN_OPTION_END
};

an_status an_cmd_report_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

static an_status write_page(const an_runs *runs, const char *path)
{
    an_text page = { 0 };
    an_status status = an_runs_page(runs, 0, &page);
    if (status == AN_OK) status = an_file_write(path, an_text_get(&page), page.length);
    an_text_fini(&page);
    return status;
}

an_status an_cmd_report(an_cli *cli)
{
    an_runs runs;
    AN_TRY(an_cli_need_arguments(cli, 1, INT_MAX));
    const bool chosen = an_options_source(cli->options, "out") != AN_FROM_DEFAULT;
    char *path = chosen ? NULL : an_path_join(cli->arguments == 1 ? cli->argument[0] : ".", "report.html");
    if (!chosen && !path) return an_fail(AN_ENOMEM, "report: no memory");
    const char *to = chosen ? settings.out : cli->arguments == 1 ? path : "report.html";
    an_status status = an_runs_open(&runs, cli->argument, (size_t)cli->arguments);
    if (status == AN_OK) status = write_page(&runs, to);
    if (status == AN_OK) printf("report  %s\n", to);
    if (status == AN_OK && settings.csv[0]) {
        status = an_runs_csv(&runs, settings.csv);
        if (status == AN_OK) printf("csv     %s\n", settings.csv);
    }
    an_runs_close(&runs);
    free(path);
    return status;
}
