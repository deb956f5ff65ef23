/* cli/cmd_check.c
 * addnorm check: will this configuration train? Theory, measurement at initialisation, the first steps of the run itself, a
 * verdict with its evidence; where the verdict is not good, changes that were tried the same way. Trains nothing to the end
 * and writes no run folder. With --probe it measures on demand instead (check_probe.c), a configuration or a run. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/check_probe.h"
#include "core/file.h"
#include "study/check.h"

typedef struct check_options { int64_t steps, sets; bool suggest; const char *page, *probe; } check_options;
static check_options settings;

#define AT(field) .at = AN_AT(check_options, field), .group = "check", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "check_steps", AN_INT, "auto", "1..100000", "probe steps; auto: until the signs are clear, from 40 (past the warm-up) to a third of `steps`, at most 400; with --probe the updates to follow, auto: 10", .words = "auto=0", AT(steps) },
    { "suggest", AN_BOOL, "true", NULL, "where the verdict is not good, try changes and tell what came of them", AT(suggest) },
    { "probe", AN_STRING, "", NULL, "measure instead, a configuration or a RUN: all, or lesion, paths, lens, amplification, linearisation, with commas", AT(probe) },
    { "probe_sets", AN_INT, "16", "1..100000", "for paths: sets of branches drawn for each number of them; all where there are no more", AT(sets) },
    { "page", AN_STRING, "", NULL, "write the report as a page (HTML, with charts) to this file", .at = AN_AT(check_options, page), .group = "check", .flags = AN_EPHEMERAL | AN_NAMES_FILE },
    AN_OPTION_END
};

an_status an_cmd_check_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

static void tick(void *ctx, const char *what, uint64_t done, uint64_t all) { an_progress_part(ctx, what, (double)done, (double)all); }

static void put_number(an_text *out, double x)
{
    if (isfinite(x)) an_text_add(out, fabs(x) >= 1e4 || (x != 0 && fabs(x) < 1e-3) ? " %8.1e" : " %8.4g", x);
    else an_text_add(out, " %8s", "-");
}

/* Measured, predicted and after the probe, side by side. */
static void put_three(an_text *out, const an_check *k, double measured, double predicted, double after)
{
    an_text_add(out, "  ");
    put_number(out, measured);
    if (k->has_theory) put_number(out, predicted);
    put_number(out, after);
}

static void put_table(an_text *out, const an_check *k)
{
    static const char *const GROUPS[] = { "stream", "branch", "identity", "branch g", "gradient" };
    const int width = k->has_theory ? 27 : 18;
    an_text_add(out, "%-16s", "");
    for (size_t i = 0; i < sizeof GROUPS / sizeof *GROUPS; i++) an_text_add(out, "   %-*s", width - 1, GROUPS[i]);
    an_text_add(out, "\n%-16s", "sub-layer");
    for (size_t i = 0; i < sizeof GROUPS / sizeof *GROUPS; i++) an_text_add(out, k->has_theory ? "  %9s%9s%9s" : "  %9s%.0s%9s", "init", "theory", "after");
    an_text_add(out, "\n");
    for (size_t i = 0; i < k->n_sites; i++) {
        const an_check_site *s = &k->site[i];
        an_text_add(out, "%-16s", s->name);
        put_three(out, k, s->measured.stream, s->predicted.stream, s->after.stream);
        put_three(out, k, s->measured.branch, s->predicted.branch, s->after.branch);
        put_three(out, k, s->measured.attenuation, s->predicted.attenuation, s->after.attenuation);
        put_three(out, k, s->measured.branch_gradient, s->predicted.branch_gradient, s->after.branch_gradient);
        put_three(out, k, s->measured.gradient, s->predicted.gradient, s->after.gradient);
        an_text_add(out, "\n");
    }
    an_text_add(out, "\nstream, branch: mean squares. identity, branch g: the gradient at the sub-layer's input that came through skip and branch,\n"
                     "over the gradient behind it. gradient: RMS at the input, over that at the end of the stack. after: at the last probe step.\n");
    if (k->has_theory) an_text_add(out, "product of the identity path   %.3g at initialisation, %.3g predicted, %.3g after\n", k->signs.product_first, k->theory_product, k->signs.product);
    else an_text_add(out, "no prediction: %s\n", k->no_theory);
}

static void put_verdict(an_text *out, const an_check *k)
{
    an_text_add(out, "\nverdict   %s%s", an_verdict_name(k->verdict), k->too_short ? " (too short to tell)" : "");
    if (k->warmup) an_text_add(out, ": about %llu steps", (unsigned long long)k->warmup);
    an_text_add(out, "\nbecause   %s\nrule      %s\n", k->because, k->rule);
    for (size_t i = 0; i < k->n_notes; i++) an_text_add(out, "note      %s\n", k->note[i]);
    if (k->n_suggestions) an_text_add(out, "tried     ");
    for (size_t i = 0; i < k->n_suggestions; i++)
        an_text_add(out, isfinite(k->suggestion[i].loss) ? "%s%-24s %s%s, loss %.3f\n" : "%s%-24s %s%s, loss not finite\n", i ? "          " : "", k->suggestion[i].change,
                    an_verdict_name(k->suggestion[i].verdict), k->suggestion[i].too_short ? " (too short to tell)" : "", k->suggestion[i].loss);
    an_text_add(out, "limits    probe of %zu step%s on the run's own data and schedule", k->n_steps, k->n_steps == 1 ? "" : "s");
    if (k->n_steps < k->warmup_set) an_text_add(out, ", inside its warm-up of %llu", (unsigned long long)k->warmup_set);
    if (k->too_short) an_text_add(out, ", which ended before the loss came down to the unigram entropy");
    an_text_add(out, "; how often the verdict is right: docs/check.md\n");
}

static an_status write_page(const an_check *k, const an_cli *cli)
{
    an_text page = { 0 };
    an_status status = an_check_page(k, cli->options, &page);
    if (status == AN_OK) status = an_file_write(settings.page, an_text_get(&page), page.length);
    an_text_fini(&page);
    return status;
}

/* Before the first step: what takes minutes is not begun for a page that cannot be. */
static an_status try_page(void)
{
    an_file_writer w;
    if (!settings.page[0]) return AN_OK;
    AN_TRY(an_file_open(&w, settings.page));
    an_file_abort(&w);
    return AN_OK;
}

static an_status print_check(const an_check *k, const an_cli *cli)
{
    an_text text = { 0 };
    if (!cli->json) {
        if (!cli->quiet) put_table(&text, k);
        put_verdict(&text, k);
        return an_cli_print(stdout, &text);
    }
    AN_TRY(an_cli_put_json(&text, an_check_json(k), 17));
    return an_cli_print(stdout, &text);
}

an_status an_cmd_check(an_cli *cli)
{
    an_check check;
    an_progress progress;
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    AN_TRY(try_page());
    const an_check_probe_options probe = { settings.probe, settings.page, settings.steps, settings.sets, tick };
    if (settings.probe[0]) return an_check_probe(cli, &probe, &progress);
    if (cli->arguments && an_path_is_dir(cli->argument[0]))
        return an_fail(AN_EUSAGE, "%s: a run can only be probed (--probe lesion,paths,lens); the report is about a configuration: give it %s/config.yaml",
                       cli->argument[0], cli->argument[0]);
    if (an_options_text(cli->options, "resume")[0])
        return an_fail(AN_EUSAGE, "--resume: a probe starts from new weights; give the run's configuration, RUN/config.yaml");
    const an_check_settings how = { .steps = (uint64_t)settings.steps, .suggest = settings.suggest, .tick = tick, .ctx = &progress };
    an_status status = an_check_run(&check, cli->options, &cli->config, &how);
    an_progress_clear(&progress);
    AN_TRY(status);
    status = print_check(&check, cli);               /* first: what took minutes is not lost with a page that cannot be written */
    if (status == AN_OK && settings.page[0]) status = write_page(&check, cli);
    an_check_fini(&check);
    return status;
}
