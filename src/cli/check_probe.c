/* cli/check_probe.c
 * addnorm check --probe: measures on demand as tables, as a document, as a page. */
#include "cli/check_probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "study/probe.h"

static void put_number(an_text *out, double x)
{
    if (isfinite(x)) an_text_add(out, fabs(x) >= 1e4 || (x != 0 && fabs(x) < 1e-3) ? " %11.3e" : " %11.5g", x);
    else an_text_add(out, " %11s", "-");
}

static void put_row(an_text *out, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++) put_number(out, x[i]);
    an_text_add(out, "\n");
}

static bool has(const an_probe_report *r, an_probe_kind kind) { return r->measured >> kind & 1u; }

static void put_meaning(an_text *out, an_probe_kind kind) { an_text_add(out, "%-14s %s\n", an_probe_name(kind), an_probe_meaning(kind)); }

static void put_sites(an_text *out, const an_probe_report *r)
{
    if (has(r, AN_PROBE_LESION)) put_meaning(out, AN_PROBE_LESION);
    if (has(r, AN_PROBE_LENS)) put_meaning(out, AN_PROBE_LENS);
    an_text_add(out, "\n%-16s%s%s\n", "sub-layer", has(r, AN_PROBE_LESION) ? "      lesion" : "", has(r, AN_PROBE_LENS) ? "        lens    accuracy" : "");
    for (size_t i = 0; i < r->n_sites; i++) {
        an_text_add(out, "%-16s", r->name[i]);
        if (has(r, AN_PROBE_LESION)) put_number(out, r->lesion[i] - r->loss);
        if (has(r, AN_PROBE_LENS)) put_number(out, r->lens[i].loss);
        if (has(r, AN_PROBE_LENS)) put_number(out, r->lens[i].accuracy);
        an_text_add(out, "\n");
    }
    an_text_add(out, "\n");
}

static void put_paths(an_text *out, const an_probe_report *r)
{
    const an_paths *p = &r->paths;
    put_meaning(out, AN_PROBE_PATHS);
    an_text_add(out, "\n%5s %6s %11s %11s %11s %11s\n", "k", "sets", "gradient", "std error", "ln C(S,k)", "share");
    for (size_t k = 0; k <= r->n_sites; k++) {
        an_text_add(out, "%5zu %6zu", k, r->path[k].sets);
        put_row(out, (const double[]){ r->path[k].length, r->path[k].deviation, r->path[k].log_count, r->path[k].share }, 4);
    }
    an_text_add(out, "\nln gradient against k: slope %.4f per branch, R^2 %.4f. Paths with k <= S/2 = %.3g carry %.2f %% of the weighted gradient; mean k %.2f,\n"
                     "most at k = %.0f. The whole gradient, in which paths also cancel, has length %.4g.\n\n", p->slope, p->r2, (double)r->n_sites / 2,
                100 * p->short_share, p->mean_k, p->peak_k, p->whole);
}

static void put_updates(an_text *out, const an_probe_report *r)
{
    const bool linear = has(r, AN_PROBE_LINEARISATION);
    if (has(r, AN_PROBE_AMPLIFICATION)) put_meaning(out, AN_PROBE_AMPLIFICATION);
    if (linear) put_meaning(out, AN_PROBE_LINEARISATION);
    an_text_add(out, "\n%7s %11s %11s %11s %11s %11s", "update", "lr", "|dW|", "change", "relative", "loss change");
    an_text_add(out, linear ? " %11s %11s\n" : "\n", "first order", "beyond");
    for (size_t i = 0; i < r->n_updates; i++) {
        const an_probe_update *u = &r->update[i];
        const an_moved *o = &u->moved[r->n_sites];
        an_text_add(out, "%7llu", (unsigned long long)u->step);
        const double row[] = { u->lr, u->length, o->change, o->change / o->size, u->loss_after - u->loss, u->loss_linear, o->distance / o->linear };
        put_row(out, row, linear ? 7 : 5);
    }
    if (r->n_updates == 0) an_text_add(out, "  no update: loss or gradient of the next step is not finite\n");
    an_text_add(out, "\n");
    if (!linear || r->n_updates == 0) return;
    an_text_add(out, "loss change, first order: measured, and predicted by the gradient. beyond: what first order leaves over of a change, over what it\n"
                     "predicts; doubt: what is not known of that\n\n");
    an_text_add(out, "%-16s %11s %11s %11s %11s %11s\n", "stream after", "RMS", "first", "beyond", "doubt", "all updates");
    for (size_t i = 0; i <= r->n_sites; i++) {
        const an_moved *first = &r->update[0].moved[i], *last = &r->update[r->n_updates - 1].moved[i];
        an_text_add(out, "%-16s", i < r->n_sites ? r->name[i] : "output");
        put_row(out, (const double[]){ first->size, first->change, first->distance / first->linear, first->doubt / first->linear, last->since }, 5);
    }
    an_text_add(out, "\n");
}

static void put_report(an_text *out, const an_probe_report *r)
{
    if (r->run) an_text_add(out, "run            %s, %llu updates done\n", r->run, (unsigned long long)r->step);
    else an_text_add(out, "configuration  at initialisation\n");
    an_text_add(out, "measured on    %zu windows of %zu tokens of the validation part", r->batch, r->seq);
    an_text_add(out, isfinite(r->loss) ? ", loss %.4f nats\n" : "\n", r->loss);
    for (size_t i = 0; i < AN_PROBES; i++)
        if (r->refused[i][0]) an_text_add(out, "%-14s refused: %s\n", an_probe_name(i), r->refused[i]);
    if (has(r, AN_PROBE_LESION) || has(r, AN_PROBE_LENS)) put_sites(out, r);
    if (has(r, AN_PROBE_PATHS)) put_paths(out, r);
    if (has(r, AN_PROBE_AMPLIFICATION) || has(r, AN_PROBE_LINEARISATION)) put_updates(out, r);
}

static an_status write_page(const an_probe_report *r, const an_options *options, const char *path)
{
    an_text page = { 0 };
    an_status status = an_probe_page(r, options, &page);
    if (status == AN_OK) status = an_file_write(path, an_text_get(&page), page.length);
    an_text_fini(&page);
    return status;
}

static an_status print(const an_probe_report *r, const an_cli *cli)
{
    an_text text = { 0 };
    if (!cli->json) {
        put_report(&text, r);
        return an_cli_print(stdout, &text);
    }
    AN_TRY(an_cli_put_json(&text, an_probe_json(r), 9));
    return an_cli_print(stdout, &text);
}

an_status an_check_probe(an_cli *cli, const an_check_probe_options *how, an_progress *progress)
{
    enum { UPDATES = 10 };
    const char *run = an_options_text(cli->options, "resume");
    an_probe_settings settings = { .run = run[0] ? run : NULL, .steps = how->steps ? (uint64_t)how->steps : UPDATES, .sets = (size_t)how->sets,
        .tick = how->tick, .ctx = progress };
    an_probe_report report;
    AN_TRY(an_probe_parse(how->probe, &settings.wanted));
    if (strcmp(run, "auto") == 0) return an_fail(AN_EUSAGE, "--resume auto: has no meaning with --probe; name the run");
    const an_status measured = an_probe_run(&report, cli->options, &cli->config, &settings);
    an_progress_clear(progress);
    AN_TRY(measured);
    const bool named = an_options_source(cli->options, "data") > AN_FROM_FILE || an_options_source(cli->options, "val_data") > AN_FROM_FILE;
    if (report.other_data && !named) an_cli_warn_data(cli, report.run);
    an_status status = print(&report, cli);          /* first: what took minutes is not lost with a page that cannot be written */
    if (status == AN_OK && how->page[0]) status = write_page(&report, cli->options, how->page);
    an_probe_fini(&report);
    return status;
}
