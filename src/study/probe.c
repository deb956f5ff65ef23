/* study/probe.c
 * A trial (train/trial.h), one batch to look at, and plans over the trial's parameters for each kind of measure. What changes the
 * parameters comes last. */
#include "study/probe.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "study/check.h"
#include "train/memory.h"
#include "train/trial.h"

static const struct { const char *name, *meaning; } PROBES[AN_PROBES] = {
    [AN_PROBE_LESION] = { "lesion", "loss without what the sub-layer adds, minus the loss, nats" },
    [AN_PROBE_PATHS] = { "paths", "gradient through exactly k branches, skips elsewhere, and its share with C(S,k)" },
    [AN_PROBE_LENS] = { "lens", "loss in nats and top-1 accuracy of final norm and head on the stream after the sub-layer" },
    [AN_PROBE_AMPLIFICATION] = { "amplification", "RMS of the change of the output by one update" },
    [AN_PROBE_LINEARISATION] = { "linearisation", "RMS of the change of the stream by one update, of what first order leaves over, and since the start" },
};

enum { UPDATES = 1u << AN_PROBE_AMPLIFICATION | 1u << AN_PROBE_LINEARISATION };

const char *an_probe_name(size_t i) { return i < AN_PROBES ? PROBES[i].name : NULL; }
const char *an_probe_meaning(size_t i) { return i < AN_PROBES ? PROBES[i].meaning : NULL; }

static const char *name_at(void *ctx, size_t i)
{
    (void)ctx;
    return i == AN_PROBES ? "all" : an_probe_name(i);
}

static an_status parse_word(const char *word, unsigned *wanted)
{
    char near[AN_NAME], all[128] = "";
    if (strcmp(word, "all") == 0) {
        *wanted |= (1u << AN_PROBES) - 1;
        return AN_OK;
    }
    for (size_t i = 0; i < AN_PROBES; i++) {
        if (strcmp(word, PROBES[i].name) == 0) {
            *wanted |= 1u << i;
            return AN_OK;
        }
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s|", PROBES[i].name);
    }
    const int close = an_text_nearest(word, name_at, NULL, near);
    return an_fail(AN_EUSAGE, "--probe: '%s' is no probe%s%s%s choices: %sall, several with commas", word, close ? "; did you mean '" : "", near, close ? "'?" : ";", all);
}

an_status an_probe_parse(const char *list, unsigned *wanted)
{
    char *copy = an_strdup(list), *rest = copy;
    an_status status = copy ? AN_OK : an_fail(AN_ENOMEM, "probe: no memory");
    unsigned found = 0;
    for (char *word; status == AN_OK && (word = strsep(&rest, ","));) status = parse_word(word + strspn(word, " "), &found);
    free(copy);
    if (status == AN_OK) *wanted = found;
    return status;
}

/* --- what the measures share ------------------------------------------------------------------------------------ */

typedef struct bench {
    an_trial *trial;
    int32_t *tokens, *targets;
    an_pass pass;
    an_model *look;                /* forward only */
    const an_probe_settings *settings;
    an_probe_report *report;
    const char *what;              /* in progress */
    uint64_t seed;
} bench;

static void tick(void *ctx, uint64_t done, uint64_t all)
{
    const bench *b = ctx;
    if (b->settings->tick) b->settings->tick(b->settings->ctx, b->what, done, all);
}

static an_status no_memory(void) { return an_fail(AN_ENOMEM, "probe: no memory for the report"); }

static bool wants(const bench *b, an_probe_kind kind) { return b->settings->wanted >> kind & 1u; }

/* A refusal is part of the report. */
static an_status note(bench *b, an_probe_kind kind, an_status status)
{
    if (status == AN_ECONFIG) snprintf(b->report->refused[kind], sizeof b->report->refused[kind], "%s", an_error_text());
    else if (status == AN_OK) b->report->measured |= 1u << kind;
    return status == AN_ECONFIG ? AN_OK : status;
}

static an_status share(bench *b, an_model **out, bool train)
{
    an_model_shape shape = an_trial_get_shape(b->trial);
    shape.train = train;
    shape.probe = true;
    shape.logits = !train;
    AN_TRY(an_memory_explain(an_model_share(out, an_trial_get_model(b->trial), &shape)));
    const an_model_memory m = an_model_get_memory(*out);
    return an_memory_check(m.activations + m.scratch + m.constants, an_memory_available());
}

static an_status set_up(bench *b, an_options *options, an_train_config *config)
{
    an_probe_report *r = b->report;
    AN_TRY(an_trial_create(&b->trial, options, config, AN_OBSERVE_OFF));
    if (b->settings->run) AN_TRY(an_trial_resume(b->trial, options, b->settings->run));
    const an_model_shape shape = an_trial_get_shape(b->trial);
    const size_t n = shape.batch * shape.seq;               /* the trial has such arrays: no overflow */
    b->tokens = an_alloc(n * sizeof *b->tokens);
    b->targets = an_alloc(n * sizeof *b->targets);
    if (b->settings->run && !(r->run = an_strdup(b->settings->run))) return no_memory();
    if (!b->tokens || !b->targets) return no_memory();
    an_trial_validate(b->trial, b->tokens, b->targets);
    b->pass = (an_pass){ .tokens = b->tokens, .targets = b->targets, .loss_scale = 1 };
    AN_TRY(share(b, &b->look, false));
    r->step = an_trial_get_step(b->trial);
    r->other_data = an_trial_has_other_data(b->trial);
    r->batch = shape.batch;
    r->seq = shape.seq;
    r->n_sites = an_model_site_count(b->look);
    r->loss = NAN;
    if (!(r->name = an_alloc(r->n_sites * sizeof *r->name))) return no_memory();
    for (size_t i = 0; i < r->n_sites; i++) snprintf(r->name[i], sizeof r->name[i], "%s", an_model_get_site(b->look, i).name);
    return AN_OK;
}

static void tear_down(bench *b)
{
    an_model_destroy(&b->look);
    an_trial_destroy(&b->trial);
    free(b->tokens);
    free(b->targets);
}

/* --- the measures ------------------------------------------------------------------------------------------------ */

static an_status lesion(bench *b)
{
    an_probe_report *r = b->report;
    const an_ticker ticker = { tick, b };
    b->what = "lesion";
    if (!(r->lesion = an_alloc(r->n_sites * sizeof *r->lesion))) return no_memory();
    return note(b, AN_PROBE_LESION, an_probe_lesions(b->look, &b->pass, &r->loss, r->lesion, &ticker));
}

static an_status lens(bench *b)
{
    an_probe_report *r = b->report;
    const an_ticker ticker = { tick, b };
    b->what = "lens";
    if (!(r->lens = an_alloc(r->n_sites * sizeof *r->lens))) return no_memory();
    AN_TRY(note(b, AN_PROBE_LENS, an_probe_lens(b->look, &b->pass, r->lens, &ticker)));
    if (r->measured >> AN_PROBE_LENS & 1u) r->loss = r->lens[r->n_sites - 1].loss;
    return AN_OK;
}

static an_status paths(bench *b)
{
    an_probe_report *r = b->report;
    const an_ticker ticker = { tick, b };
    an_model *down = NULL;
    b->what = "paths";
    if (!(r->path = an_alloc((r->n_sites + 1) * sizeof *r->path))) return no_memory();
    AN_TRY(note(b, AN_PROBE_PATHS, an_model_need(b->look, AN_NEED_PATHS)));
    if (r->refused[AN_PROBE_PATHS][0]) return AN_OK;
    an_status status = share(b, &down, true);
    if (status == AN_OK) status = an_probe_paths(down, &b->pass, b->settings->sets, b->seed, &r->paths, r->path, &ticker);
    an_model_destroy(&down);
    return status;
}

/* One update of the run itself. false: its loss or gradient is not finite, and nothing was updated. */
static bool advance(bench *b, an_mover *mover, an_probe_update *u)
{
    const bool linear = wants(b, AN_PROBE_LINEARISATION);
    an_trial_step s;
    an_mover_begin(mover);
    an_trial_advance(b->trial, false, &s);
    if (!s.finite) return false;
    u->step = s.step;
    u->lr = s.lr;
    u->length = an_mover_end(mover, linear, u->moved);
    u->loss = an_mover_loss(mover, false);
    u->loss_after = an_mover_loss(mover, true);
    u->loss_linear = linear ? an_mover_slope(mover, an_trial_get_model(b->trial)) : NAN;
    return true;
}

static an_status updates(bench *b)
{
    an_probe_report *r = b->report;
    an_mover *mover = NULL;
    b->what = "updates";
    if (!(r->update = an_alloc(b->settings->steps * sizeof *r->update))) return no_memory();
    AN_TRY(an_mover_create(&mover, b->look, &b->pass));
    an_moved *moved = an_alloc(b->settings->steps * (r->n_sites + 1) * sizeof *moved);
    r->moved = moved;
    for (uint64_t i = 0; moved && i < b->settings->steps; i++, moved += r->n_sites + 1) {
        r->update[i].moved = moved;
        tick(b, i, b->settings->steps);
        if (!advance(b, mover, &r->update[i])) break;
        r->n_updates++;
    }
    r->measured |= b->settings->wanted & UPDATES;
    an_mover_destroy(&mover);
    return r->moved ? AN_OK : no_memory();
}

static an_status measure(bench *b)
{
    if (wants(b, AN_PROBE_LESION)) AN_TRY(lesion(b));
    if (wants(b, AN_PROBE_LENS)) AN_TRY(lens(b));
    if (wants(b, AN_PROBE_PATHS)) AN_TRY(paths(b));
    if (b->settings->wanted & UPDATES) AN_TRY(updates(b));
    for (size_t i = 0; i < AN_PROBES && !b->report->measured; i++)
        if (wants(b, (an_probe_kind)i)) return an_fail(AN_ECONFIG, "--probe %s: %s", PROBES[i].name, b->report->refused[i]);
    return AN_OK;
}

an_status an_probe_run(an_probe_report *out, an_options *options, an_train_config *config, const an_probe_settings *settings)
{
    an_probe_report report = { 0 };
    bench b = { .settings = settings, .report = &report, .seed = (uint64_t)config->seed };
    AN_TRY(an_check_subject(options));
    an_status status = set_up(&b, options, config);
    if (status == AN_OK) status = measure(&b);
    tear_down(&b);
    if (status != AN_OK) an_probe_fini(&report);
    else *out = report;
    return status;
}

void an_probe_fini(an_probe_report *r)
{
    free(r->update);
    free(r->moved);
    free(r->run);
    free(r->name);
    free(r->lesion);
    free(r->lens);
    free(r->path);
    *r = (an_probe_report){ 0 };
}
