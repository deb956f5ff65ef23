/* cli/cmd_study.c
 * addnorm study: a grid of runs, worked off by this process and any others that share the folder. Results to stdout, what happens to stderr. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "core/file.h"
#include "core/threads.h"
#include "study/index.h"
#include "study/runner.h"
#include "study/study_write.h"
#include "train/checkpoint.h"
#include "train/memory.h"
#include "train/signals.h"

static struct study_options { int64_t jobs, seeds; bool dry_run, rebuild, retry, quick; const char *tier; } settings;

#define AT(field) .at = AN_AT(struct study_options, field), .group = "study", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "jobs", AN_INT, "auto", "1..4096", "cells at a time; auto: the processors of this process over --threads, which is 1 for a cell unless given", .words = "auto=0", AT(jobs) },
    { "seeds", AN_INT, "auto", "1..10000", "seeds 1..N in place of those of the study", .words = "auto=0", AT(seeds) },
    { "dry_run", AN_BOOL, "false", NULL, "train nothing: the cells, their flops and memory, and how long it will take", AT(dry_run) },
    { "rebuild", AN_BOOL, "false", NULL, "train nothing: tables and index anew from the run folders that are there", AT(rebuild) },
    { "quick", AN_BOOL, "false", NULL, "the form of a named study that takes a few minutes: less of everything, one seed", AT(quick) },
    { "retry", AN_BOOL, "false", NULL, "give failed cells two more attempts", AT(retry) },
    { "tier", AN_CHOICE, "auto", "auto|ci|nightly|release", "how much of a study of the suite: minutes, hours, all; auto: the least that it has, for the suite ci", AT(tier) },
    AN_OPTION_END
};

an_status an_cmd_study_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

/* ---- which study ---- */

static const char *named_at(void *ctx, size_t i)
{
    const an_named_study *n = an_named_at(i);
    (void)ctx;
    return n ? n->name : NULL;
}

static an_status need_files(const an_cli *cli, const an_named_study *named)
{
    const size_t files = (size_t)cli->arguments - 1, least = named ? named->least : 0, most = named ? named->most : 0;
    if (files >= least && files <= most) return AN_OK;
    const char *form = files > most ? "'%s' is one argument too many; usage: addnorm study %s %s" : "%s: an argument is missing; usage: addnorm study %s %s";
    return an_fail(AN_EUSAGE, form, cli->argument[files > most ? 1 + most : 0], cli->argument[0], named && *named->arguments ? named->arguments : "[--key value ...]");
}

static an_status refuse_name(const char *word)
{
    char near[AN_NAME];
    const int close = an_text_nearest(word, named_at, NULL, near);
    return an_fail(AN_EUSAGE, "'%s' is neither a study's name nor a file%s%s%s", word, close ? "; did you mean '" : "; addnorm list studies", near, close ? "'?" : "");
}

static an_tier chosen_tier(const an_named_study *named)
{
    for (size_t i = 0; an_tier_name(i); i++)
        if (strcmp(settings.tier, an_tier_name(i)) == 0) return (an_tier)i;
    return named ? named->tier : AN_TIER_CI;
}

static bool has_tiers(const an_named_study *named) { return named && an_named_in_suite(named, AN_TIER_RELEASE); }

static an_status need_tier(const an_named_study *named, const char *word)
{
    if (strcmp(settings.tier, "auto") == 0) return AN_OK;
    if (!has_tiers(named)) return an_fail(AN_EUSAGE, "--tier: %s has none; studies of the suite do: addnorm list studies", word);
    const char *least = an_tier_name(named->tier);
    return chosen_tier(named) >= named->tier ? AN_OK : an_fail(AN_EUSAGE, "--tier %s: %s begins at tier %s; try --tier %s", settings.tier, word, least, least);
}

/* The study that `word` means; of the suite at one tier it is called "r2-ci", so that tiers have tables of their own. */
static an_status open_study(an_cli *cli, const char *word, const char *folder, const an_named_study **named, an_study **study)
{
    an_text text = { 0 }, place = { 0 }, name = { 0 };
    char *file = NULL;
    size_t size = 0;
    *named = an_named_find(word);
    AN_TRY(need_files(cli, *named));
    if (!*named && (!an_path_exists(word) || an_path_is_dir(word))) return refuse_name(word);
    AN_TRY(need_tier(*named, word));
    an_status status = AN_OK;
    if (settings.quick && !*named) return an_fail(AN_EUSAGE, "--quick: %s is a file; named studies have a quick form", word);
    if (*named) status = an_named_data(*named, cli->options);
    const an_named_form form = { chosen_tier(*named), settings.quick };
    if (status == AN_OK) status = *named ? an_named_text(*named, form, cli->argument + 1, (size_t)cli->arguments - 1, &text) : an_file_read(word, &file, &size);
    an_text_add(&place, "%s%s", *named ? "study " : "", word);
    an_text_add(&name, "%s%s%s", word, has_tiers(*named) ? "-" : "", has_tiers(*named) ? an_tier_name(form.tier) : "");
    const an_study_source source = { *named ? an_text_get(&text) : file, *named ? text.length : size, an_text_get(&place), an_text_get(&name), (size_t)settings.seeds, *named != NULL };
    if (status == AN_OK) status = an_text_status(&place);
    if (status == AN_OK) status = an_text_status(&name);
    if (status == AN_OK) status = an_study_open(study, &source, cli->options, folder);
    an_text_fini(&text);
    an_text_fini(&place);
    an_text_fini(&name);
    free(file);
    return status;
}

/* ---- what happens, on stderr ---- */

typedef struct show { an_progress progress; bool quiet; } show;

static void tell(void *ctx, const an_study *s, const an_study_cell *cell, an_runner_event event, const char *text)
{
    show *w = ctx;
    char what[160];
    if (w->quiet || (event == AN_CELL_STARTED && !w->progress.verbose)) return;
    if (event == AN_CELL_STARTED) snprintf(what, sizeof what, "starts");
    else if (event == AN_CELL_RETRIED) snprintf(what, sizeof what, "failed, will be tried again: ");
    else if (event == AN_CELL_GAVE_UP) snprintf(what, sizeof what, "failed twice: ");
    else if (cell->state == AN_CELL_DIVERGED) snprintf(what, sizeof what, "diverged after step %llu", (unsigned long long)cell->result.steps);
    else snprintf(what, sizeof what, "loss %.4f  val_loss %.4f", cell->result.loss, cell->result.val_loss);
    an_progress_clear(&w->progress);
    fprintf(stderr, "cell %zu/%zu  %s  %s%s\n", (size_t)(cell - s->cell) + 1, s->n_cells, cell->name, what, text);
}

static void tick(void *ctx, const an_runner_progress *p)
{
    show *w = ctx;
    char line[128], left[AN_HUMAN] = "";
    if (isfinite(p->seconds_left)) an_human_time(left, p->seconds_left);
    if (p->running) snprintf(line, sizeof line, "%zu of %zu cells done, %zu running, %3.0f%%%s%s", p->over, p->cells, p->running, 100 * p->share, *left ? "  left " : "", left);
    else snprintf(line, sizeof line, "%3.0f%%", 100 * p->share);
    an_progress_note(&w->progress, p->running ? "study" : p->what, line);
}

static void tick_judge(void *ctx, const char *what, uint64_t done, uint64_t all)
{
    show *w = ctx;
    an_progress_part(&w->progress, what, (double)done, (double)all);
}

static void tick_index(void *ctx, size_t done, size_t all)
{
    show *w = ctx;
    an_progress_part(&w->progress, "index", (double)done, (double)all);
}

/* ---- results ---- */

static an_status print_results(const an_cli *cli, const an_study *s, const an_findings *findings)
{
    an_text text = { 0 };
    if (cli->json) AN_TRY(an_cli_put_json(&text, an_study_json(s, findings), 9));
    else an_study_table(s, findings, &text);
    return an_cli_print(stdout, &text);
}

/* Tables, index and verdicts; by one of the processes that work on the study. */
static an_status conclude(const an_cli *cli, an_study *s, const an_named_study *named, const an_runner *how, show *w)
{
    an_findings findings = { .tick = tick_judge, .ctx = w };
    char *page = NULL;
    if (how->rank.id != 0) return AN_OK;
    an_study_judge(s);
    an_status status = an_named_judge(named, s, &findings);
    if (status == AN_OK) status = an_study_write(s, &findings);
    if (status == AN_OK) status = an_named_page(named, s, &findings, &page);
    if (status == AN_OK) status = an_index_build(s, tick_index, w);
    an_progress_clear(&w->progress);
    if (status == AN_OK) status = print_results(cli, s, &findings);
    if (status == AN_OK && page && !cli->quiet) fprintf(stderr, "page: %s\n", page);
    free(page);
    const size_t wrong = an_findings_count(&findings, AN_FINDING_FAIL), lost = an_study_count(s, AN_CELL_FAILED);
    const size_t open = an_study_count(s, AN_CELL_WAITING) || an_study_count(s, AN_CELL_RUNNING) ? 0 : an_findings_count(&findings, AN_FINDING_OPEN);
    if (status == AN_OK && lost) status = an_fail(AN_EFAIL, "%zu of %zu cells failed; --retry tries them again", lost, s->n_cells);
    if (status == AN_OK && wrong) status = an_fail(AN_EFAIL, "%zu of %zu claims do not hold here", wrong, findings.n);
    if (status == AN_OK && open) status = an_fail(AN_EFAIL, "%zu of %zu claims cannot be told from these runs", open, findings.n);
    an_findings_fini(&findings);
    return status;
}

/* ---- --dry-run ---- */

static bool will_run(const an_study_cell *cell, an_memory_room room) { return cell->state == AN_CELL_WAITING && cell->memory <= room.bytes; }

/* Flops per second of one cell, and how that is known. */
static an_status find_rate(an_study *s, an_memory_room room, double *rate, an_text *basis)
{
    double sum = 0;
    size_t n = 0, largest = AN_NO_CELL;
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        if (isfinite(cell->result.flops_per_s) && cell->result.steps) {
            sum += cell->result.flops_per_s;
            n++;
        }
        if (will_run(cell, room) && (largest == AN_NO_CELL || cell->flops > s->cell[largest].flops)) largest = i;
    }
    if (n) {
        *rate = sum / (double)n;
        an_text_add(basis, "by the rate of %zu run%s here", n, n == 1 ? "" : "s");
        return AN_OK;
    }
    AN_TRY(an_study_measure(s, &s->cell[largest], rate));
    an_text_add(basis, "by a few steps of cell %zu just now", largest + 1);
    return AN_OK;
}

static an_status put_estimate(an_study *s, const an_runner *how, an_memory_room room, an_text *out)
{
    char a[AN_HUMAN], b[AN_HUMAN];
    double left = 0, rate;
    size_t waiting = 0;
    an_text basis = { 0 };
    for (size_t i = 0; i < s->n_cells; i++) {
        left += will_run(&s->cell[i], room) ? s->cell[i].flops : 0;
        waiting += will_run(&s->cell[i], room);
    }
    if (waiting == 0) return AN_OK;
    AN_TRY(find_rate(s, room, &rate, &basis));
    const size_t at_once = waiting < how->jobs ? waiting : how->jobs;
    an_text_add(out, "\n%zu cell%s to train, %s flop; about ", waiting, waiting == 1 ? "" : "s", an_human_count(a, left));
    an_text_add(out, "%s at %zu at a time, %s: ", an_human_time(b, left / rate / (double)at_once), at_once, an_text_get(&basis));
    an_text_add(out, "%s flop/s each, evaluations not counted\n", an_human_count(a, rate));
    an_text_fini(&basis);
    return AN_OK;
}

static an_status print_plan(const an_cli *cli, an_study *s, const an_runner *how)
{
    an_text text = { 0 };
    const an_memory_room room = an_memory_available();
    if (cli->json) {
        AN_TRY(an_cli_put_json(&text, an_study_json(s, NULL), 9));
        return an_cli_print(stdout, &text);
    }
    an_text_add(&text, "%5s  %-9s  %7s  %9s  %9s  %s\n", "cell", "state", "steps", "flop", "memory", "name");
    for (size_t i = 0; i < s->n_cells; i++) {
        const an_study_cell *cell = &s->cell[i];
        char flops[AN_HUMAN] = "-", memory[AN_HUMAN] = "-";
        if (cell->flops > 0) an_human_count(flops, cell->flops);
        if (cell->memory) an_human_bytes(memory, (double)cell->memory);
        an_text_add(&text, "%5zu  %-9s  %7llu  %9s  %9s  ", i + 1, cell->state == AN_CELL_SKIPPED ? "SKIPPED" : an_cell_state_name(cell->state), (unsigned long long)cell->steps, flops, memory);
        an_text_add(&text, "%s%s%s%s\n", cell->name, cell->reason ? ": " : "", cell->reason ? cell->reason : "", cell->memory > room.bytes ? ": more memory than there is, will be skipped" : "");
    }
    const an_status status = put_estimate(s, how, room, &text);
    if (status != AN_OK) an_text_fini(&text);
    return status == AN_OK ? an_cli_print(stdout, &text) : status;
}

/* ---- the verb ---- */

static an_status find_program(char *out, size_t size)
{
    const ssize_t n = readlink("/proc/self/exe", out, size - 1);
    if (n <= 0 || (size_t)n >= size - 1) return an_fail(AN_EFAIL, "cannot find this program's own file, /proc/self/exe");
    out[n] = '\0';
    return AN_OK;
}

static an_status work(an_cli *cli, an_study *s, const an_named_study *named)
{
    char program[4096];
    show w = { .quiet = cli->quiet };
    const int64_t threads = an_options_int(cli->options, "threads");
    s->threads = threads > 0 ? (int)threads : 1;
    const int room = an_threads_available() / s->threads;
    an_runner how = { .program = program, .jobs = settings.jobs ? (size_t)settings.jobs : room > 1 ? (size_t)room : 1, .retry = settings.retry, .rank = an_rank_get(),
                      .tell = tell, .tick = tick, .ctx = &w };
    AN_TRY(find_program(program, sizeof program));
    an_progress_init(&w.progress, cli->options, cli->quiet, cli->verbose, cli->color);
    an_status status = an_runner_survey(s, &how);
    if (status == AN_OK && !settings.dry_run && !settings.rebuild) {
        an_signals_catch();
        status = an_runner_run(s, &how);
        an_signals_release();
    }
    an_progress_clear(&w.progress);
    AN_TRY(status);
    return settings.dry_run ? print_plan(cli, s, &how) : conclude(cli, s, named, &how, &w);
}

static an_status work_on(an_cli *cli, const char *word, const char *folder)
{
    an_study *study = NULL;
    const an_named_study *named = NULL;
    AN_TRY(open_study(cli, word, folder, &named, &study));
    const an_status status = work(cli, study, named);
    an_study_close(&study);
    return status;
}

/* All studies of the suite that belong to a tier, each in a folder of its own. A claim that does not hold stops none of them; the first failure is told at the end. */
static an_status work_on_suite(an_cli *cli)
{
    char first[1024] = "";
    size_t failed = 0, all = 0;
    const char *out = an_options_text(cli->options, "out");
    if (cli->json) return an_fail(AN_EUSAGE, "--json: one document a study; addnorm study r1 --json");
    for (size_t i = 0; an_named_at(i); i++) {
        const an_named_study *named = an_named_at(i);
        if (!an_named_in_suite(named, chosen_tier(NULL))) continue;
        char *folder = strcmp(out, "auto") == 0 ? an_strdup(out) : an_path_join(out, named->name);
        const an_status status = folder ? work_on(cli, named->name, folder) : an_fail(AN_ENOMEM, "study: no memory");
        free(folder);
        if (status != AN_OK && status != AN_EFAIL) return status;
        if (status != AN_OK && failed++ == 0) snprintf(first, sizeof first, "%s: %s", named->name, an_error_text());
        all++;
    }
    return failed ? an_fail(AN_EFAIL, "%zu of %zu studies of the suite, the first %s", failed, all, first) : AN_OK;
}

/* A study in a run's folder would mix the two. */
static an_status check_folder(const char *out)
{
    int exists = 0;
    if (strcmp(out, "auto") != 0) AN_TRY(an_checkpoint_exists(out, &exists));
    return exists ? an_fail(AN_EUSAGE, "out: %s already holds a run; choose another --out", out) : AN_OK;
}

an_status an_cmd_study(an_cli *cli)
{
    if (an_options_text(cli->options, "resume")[0]) return an_fail(AN_EUSAGE, "--resume: a study goes on by itself, from --out");
    if (settings.dry_run && settings.rebuild) return an_fail(AN_EUSAGE, "--dry_run and --rebuild are two questions; ask one");
    if (cli->arguments < 1) return an_fail(AN_EUSAGE, "an argument is missing; usage: addnorm %s %s", cli->verb->name, cli->verb->usage);
    const bool suite = strcmp(cli->argument[0], "suite") == 0;
    AN_TRY(check_folder(an_options_text(cli->options, "out")));
    if (!suite) return work_on(cli, cli->argument[0], an_options_text(cli->options, "out"));
    return cli->arguments > 1 ? an_fail(AN_EUSAGE, "'%s' is one argument too many; usage: addnorm study suite [--tier ci|nightly|release]", cli->argument[1]) : work_on_suite(cli);
}
