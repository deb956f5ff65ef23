/* cli/cmd_gradcheck.c
 * addnorm gradcheck: every derivative of every model of the product norm x design x position x activation x architecture,
 * against finite differences, in the double engine that this program carries sealed inside. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "core/arena.h"
#include "core/threads.h"
#include "net/arch.h"
#include "net/design.h"
#include "net/gradcheck.h"
#include "net/norm.h"

typedef struct gradcheck_options { const char *norm, *design, *arch, *plant, *model; } gradcheck_options;
static gradcheck_options settings;

/* "all", then the names of a registry. */
static const char *norm_or_all(size_t i) { return i ? an_norm_name(i - 1) : "all"; }
static const char *design_or_all(size_t i) { return i ? an_design_name(i - 1) : "all"; }
static const char *arch_or_all(size_t i) { return i ? an_arch_name(i - 1) : "all"; }

#define AT(field) .at = AN_AT(gradcheck_options, field), .group = "derivative test", .flags = AN_EPHEMERAL

static const an_option TABLE[] = {
    { "norm", AN_CHOICE, "all", NULL, "only this norm kind", .choices = norm_or_all, AT(norm) },
    { "design", AN_CHOICE, "all", NULL, "only this residual design", .choices = design_or_all, AT(design) },
    { "arch", AN_CHOICE, "all", NULL, "only this architecture", .choices = arch_or_all, AT(arch) },
    { "model", AN_STRING, "", NULL, "only this one model, as \"key=value key=value\"; keys as in train", AT(model) },
    { "plant", AN_STRING, "", NULL, "put a 1 % error into the gradient of this tensor (layers.0.attn.pre.gain) to see the test fail", AT(plant) },
    AN_OPTION_END
};

an_status an_cmd_gradcheck_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

typedef struct tally { size_t cases, of[4]; double worst; json_t *list; an_text text; int failed; bool planted; char near[AN_NAME], tensor[128]; } tally;

static const char *filter(const char *name) { return strcmp(name, "all") == 0 ? NULL : name; }

static int case_at(size_t i, char *text, size_t size)
{
    if (settings.model[0]) {
        snprintf(text, size, "%s", settings.model);
        return i == 0;
    }
    return an_gradcheck_case(i, filter(settings.norm), filter(settings.design), filter(settings.arch), text, size);
}

static void record(tally *t, const an_cli *cli, const char *model, const an_gradcheck_result *r)
{
    const char *status = an_gradcheck_status_name(r->status);
    t->cases++;
    t->of[r->status]++;
    if (r->worst > t->worst) t->worst = r->worst;
    t->planted |= r->planted;
    if (r->near[0] && !t->near[0]) snprintf(t->near, sizeof t->near, "%s", r->near);
    if (r->tensor[0] && !t->tensor[0]) snprintf(t->tensor, sizeof t->tensor, "%s", r->tensor);
    if (cli->json) {
        t->failed |= json_array_append_new(t->list, json_pack("{s:s, s:s, s:I, s:I, s:f, s:s, s:f, s:f, s:s}", "model", model, "status", status, "tensors", (json_int_t)r->tensors, "mistrusted",
                                                              (json_int_t)r->mistrusted, "worst", r->worst, "tensor", r->tensor, "analytic", r->analytic, "numeric", r->numeric, "message", r->message)) != 0;
    } else if (!cli->quiet || r->status == AN_GRADCHECK_FAIL) {
        an_text_add(&t->text, "%-10s  %8.1e  %-28s  %s%s%s\n", status, r->worst, r->tensor, model, r->message[0] ? ": " : "", r->message);
        if (r->status == AN_GRADCHECK_FAIL) an_text_add(&t->text, "            analytic %.12g, numeric %.12g\n", r->analytic, r->numeric);
    }
}

static an_status print_tally(tally *t, const an_cli *cli)
{
    if (!cli->json) {
        an_text_add(&t->text, "%zu models:", t->cases);
        for (int s = 0; s < 4; s++)
            if (t->of[s]) an_text_add(&t->text, " %zu %s", t->of[s], an_gradcheck_status_name((an_gradcheck_status)s));
        an_text_add(&t->text, "; worst relative error %.1e, allowed %.0e\n", t->worst, AN_GRADCHECK_TOLERANCE);
        return an_cli_print(stdout, &t->text);
    }
    json_t *doc = json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:O}", "models", (json_int_t)t->cases, "pass", (json_int_t)t->of[0], "fail", (json_int_t)t->of[1], "skipped", (json_int_t)t->of[2], "mistrusted",
                            (json_int_t)t->of[3], "tolerance", AN_GRADCHECK_TOLERANCE, "results", t->list);
    if (t->failed) {
        json_decref(doc);
        return an_fail(AN_ENOMEM, "gradcheck: no memory for the document");
    }
    AN_TRY(an_cli_put_json(&t->text, doc, 17));
    return an_cli_print(stdout, &t->text);
}

/* Cases are independent, so they are dealt to the threads, some at a time; results are told in the order of the cases. */
enum { AT_ONCE = 64 };
typedef struct batch { char model[AT_ONCE][512]; an_gradcheck_result result[AT_ONCE]; size_t n; } batch;

static void run_case(void *ctx, size_t i, int thread)
{
    batch *b = ctx;
    (void)thread;
    an_f64_gradcheck(b->model[i], settings.plant[0] ? settings.plant : NULL, 1.01, &b->result[i]);
}

static void run_cases(tally *t, const an_cli *cli, an_progress *progress, batch *b, size_t all)
{
    for (size_t i = 0; i < all; i += b->n) {
        an_progress_part(progress, "gradcheck", (double)i, (double)all);
        for (b->n = 0; b->n < AT_ONCE && case_at(i + b->n, b->model[b->n], sizeof b->model[0]);) b->n++;
        an_parallel_for(an_threads_available(), b->n, run_case, b);
        for (size_t k = 0; k < b->n; k++) record(t, cli, b->model[k], &b->result[k]);
    }
}

/* --model says the whole model: a filter beside it would say nothing. */
static an_status check_settings(const an_options *options)
{
    static const char *const FILTERS[] = { "norm", "design", "arch" };
    for (size_t i = 0; settings.model[0] && i < sizeof FILTERS / sizeof *FILTERS; i++)
        if (strcmp(an_options_text(options, FILTERS[i]), "all") != 0)
            return an_fail(AN_EUSAGE, "%s: --model names the one model to check; say %s=%s in it", an_options_place(options, FILTERS[i]), FILTERS[i], an_options_text(options, FILTERS[i]));
    return AN_OK;
}

/* An error that was planted nowhere proves nothing. */
static an_status check_plant(const tally *t)
{
    if (!settings.plant[0] || t->planted || t->of[AN_GRADCHECK_SKIPPED] == t->cases) return AN_OK;
    return an_fail(AN_EUSAGE, "--plant: no tensor is called '%s'%s%s%s", settings.plant, t->near[0] ? "; did you mean '" : "; names are like ", t->near[0] ? t->near : t->tensor, t->near[0] ? "'?" : "");
}

an_status an_cmd_gradcheck(an_cli *cli)
{
    an_progress progress;
    char model[512];
    size_t all = 0;
    AN_TRY(an_cli_need_arguments(cli, 0, 0));
    AN_TRY(check_settings(cli->options));
    batch *b = an_alloc(sizeof *b);
    if (!b) return an_fail(AN_ENOMEM, "gradcheck: no memory for its results");
    tally t = { .list = json_array() };
    an_progress_init(&progress, cli->options, cli->quiet, cli->verbose, cli->color);
    while (case_at(all, model, sizeof model)) all++;
    run_cases(&t, cli, &progress, b, all);
    free(b);
    an_progress_clear(&progress);
    an_status status = check_plant(&t);
    if (status == AN_OK) status = print_tally(&t, cli);
    an_text_fini(&t.text);
    json_decref(t.list);
    AN_TRY(status);
    if (t.cases == 0) return an_fail(AN_EUSAGE, "no model matches");
    if (t.of[AN_GRADCHECK_FAIL]) return an_fail(AN_EFAIL, "%zu of %zu models have a wrong derivative", t.of[AN_GRADCHECK_FAIL], t.cases);
    return settings.model[0] && t.of[AN_GRADCHECK_SKIPPED] ? an_fail(AN_ECONFIG, "the model cannot be built; see above") : AN_OK;
}
