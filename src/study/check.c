/* study/check.c
 * Measuring for the report: theory, the first step, the probe steps. */
#include "study/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "net/theory.h"
#include "train/stats.h"
#include "train/trial.h"

enum { TAIL = 5, LEAST = 40, MOST = 400 };

static uint64_t probe_steps(const an_check_settings *s, const an_train_config *c)
{
    if (s->steps) return s->steps;
    const uint64_t wanted = (uint64_t)c->warmup + LEAST, all = (uint64_t)c->steps;
    const uint64_t capped = wanted < MOST ? wanted : MOST;
    return capped < all ? capped : all;
}

static an_status make_room(an_check *k, size_t sites, uint64_t steps)
{
    k->n_sites = sites;
    k->site = an_alloc(sites * sizeof *k->site);
    k->step = an_alloc(steps * sizeof *k->step);
    return k->site && k->step ? AN_OK : an_fail(AN_ENOMEM, "check: no memory for %zu sub-layers", sites);
}

static double rms(double length, size_t streams, size_t rows, size_t cols) { return length / sqrt((double)(streams * rows * cols)); }

static an_check_numbers numbers_of(const an_site_record *r, double end)
{
    return (an_check_numbers){ .stream = r->y_rms * r->y_rms, .branch = r->f_rms * r->f_rms, .attenuation = r->attenuation, .branch_gradient = r->g_br / r->g_out,
        .cosine = r->g_cos, .gradient = rms(r->g_in, r->n_in, r->rows, r->cols) / end };
}

/* What the observed pass says, into one column of the table; and the signs that go with it. */
static void read_ledger(an_check *k, const an_telemetry *t, bool first)
{
    const an_site_record *last = &t->site[t->n_sites - 1];
    const double end = rms(last->g_out, last->n_out, last->rows, last->cols);
    double product = 1;
    for (size_t i = 0; i < t->n_sites && i < k->n_sites; i++) {
        const an_check_numbers n = numbers_of(&t->site[i], end);
        if (first) {
            snprintf(k->site[i].name, sizeof k->site[i].name, "%s", t->site[i].name);
            k->site[i].measured = n;
        } else {
            k->site[i].after = n;
        }
        product *= isfinite(n.attenuation) ? n.attenuation : 1;
    }
    const double tokens = last->sample ? an_stats_token_cosine(last->sample_rows, last->cols, last->sample) : NAN;
    const double reach = first ? k->site[0].measured.gradient : k->site[0].after.gradient;
    if (first) {
        k->signs.product_first = product;
        k->signs.tokens_first = tokens;
        k->signs.reach_first = reach;
    } else {
        k->signs.product = product;
        k->signs.tokens = tokens;
        k->signs.reach = reach;
    }
}

/* Mean square and token correlation of x0: measured, so that the prediction starts where the model does. Two tokens of a
 * window have the same embedding as often as they are the same token, and learned positions make them differ. */
static void predict(an_check *k, an_trial *trial, const an_options *options, const an_telemetry *t)
{
    const double x0 = t->site[0].x_rms * t->site[0].x_rms;
    const an_model_config *config = an_model_get_config(an_trial_get_model(trial));
    const double share = strcmp(config->position, "rotary") == 0 ? 1 : 0.5;
    an_theory theory;
    const double collision = an_trial_get_collision(trial);
    const an_theory_input start = { x0, share * collision, collision };
    const an_status status = an_theory_predict(&theory, config, options, &start);
    k->has_theory = status == AN_OK && theory.n == k->n_sites;
    if (status != AN_OK) {
        snprintf(k->no_theory, sizeof k->no_theory, "%s", an_error_text());
        return;
    }
    for (size_t i = 0; i < k->n_sites && k->has_theory; i++) {
        const an_theory_site *s = &theory.site[i];
        k->site[i].predicted = (an_check_numbers){ s->stream, s->branch, s->attenuation, s->branch_gradient, NAN, s->gradient };
    }
    k->theory_product = theory.product;
    an_theory_fini(&theory);
}

static void note_step(an_check *k, const an_trial_step *s)
{
    k->step[k->n_steps++] = (an_check_step){ s->step, s->loss, s->lr, s->grad_norm };
    k->signs.lr_sum += s->lr;
    k->signs.finite = s->finite;
    if (k->n_steps == 1) {
        k->signs.loss_first = s->loss;
        k->signs.grad_norm_first = s->grad_norm;
    }
    if (!(s->grad_norm <= k->signs.grad_norm_most)) k->signs.grad_norm_most = s->grad_norm;
}

static double tail_mean(const an_check *k)
{
    const size_t n = k->n_steps < TAIL ? k->n_steps : TAIL;
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += k->step[k->n_steps - 1 - i].loss;
    return sum / (double)n;
}

static an_status probe(an_check *k, an_options *options, an_train_config *config, const an_check_settings *settings, const char *what, bool full)
{
    an_trial *trial = NULL;
    AN_TRY(an_trial_create(&trial, options, config, AN_OBSERVE_FULL));
    const uint64_t steps = probe_steps(settings, config);
    const an_telemetry *t = an_model_get_telemetry(an_trial_get_model(trial));
    an_status status = AN_OK;
    const char *const *notes = an_model_get_notes(an_trial_get_model(trial), &k->n_notes);
    if (k->n_notes > AN_CHECK_NOTES) k->n_notes = AN_CHECK_NOTES;
    memcpy(k->note, notes, k->n_notes * sizeof *notes);
    k->signs = (an_check_signs){ .entropy = an_trial_get_entropy(trial), .finite = true };
    for (uint64_t i = 0; i < steps && k->signs.finite && status == AN_OK; i++) {
        an_trial_step s;
        if (settings->tick) settings->tick(settings->ctx, what, i, steps);
        an_trial_advance(trial, i == 0 || i + 1 == steps, &s);
        if (i == 0) status = make_room(k, t->n_sites, steps);
        if (status != AN_OK) break;
        note_step(k, &s);
        if (i == 0) {
            read_ledger(k, t, true);
            if (full) predict(k, trial, options, t);
        }
        if (i + 1 == steps && s.finite) read_ledger(k, t, false);
    }
    if (status == AN_OK) k->signs.loss = tail_mean(k);
    an_trial_destroy(&trial);
    return status;
}

/* The configuration with one key changed, probed and judged like the first. A change that cannot be built is left out. */
static an_status try_change(an_check *k, const an_options *options, const an_check_settings *settings, const char *key, const char *value)
{
    an_suggestion *s = &k->suggestion[k->n_suggestions];
    an_check other = { 0 };
    an_options *changed = NULL;
    an_train_config config;
    an_text yaml = { 0 };
    an_options_yaml(options, &yaml);
    snprintf(s->change, sizeof s->change, "--%s %s", key, value);
    an_status status = an_text_status(&yaml);
    if (status == AN_OK) status = an_run_options_create(&changed, &config);
    if (status == AN_OK) status = an_options_read_yaml(changed, an_text_get(&yaml), yaml.length, "the configuration");
    if (status == AN_OK) status = an_options_set(changed, key, value, AN_FROM_FLAG, s->change);
    if (status == AN_OK) status = an_options_resolve(changed);
    if (status == AN_OK) status = probe(&other, changed, &config, settings, s->change, false);
    if (status == AN_OK) {
        an_check_judge(&other);
        s->verdict = other.verdict;
        s->loss = other.signs.loss;
        k->n_suggestions++;
    }
    an_check_fini(&other);
    an_options_destroy(&changed);
    an_text_fini(&yaml);
    return status == AN_ENOMEM ? status : AN_OK;
}

static bool last_trains(const an_check *k) { return k->n_suggestions > 0 && k->suggestion[k->n_suggestions - 1].verdict == AN_VERDICT_TRAINS; }

/* What usually helps, cheapest first: a warm-up, then a longer one, a third of the learning rate, another design. */
static an_status suggest(an_check *k, const an_options *options, const an_train_config *c, const an_check_settings *settings)
{
    static const int64_t WARMUPS[] = { 50, 100, 200 };
    char value[32];
    for (size_t i = 0; i < sizeof WARMUPS / sizeof *WARMUPS && !last_trains(k); i++) {
        if (WARMUPS[i] <= c->warmup || 2 * WARMUPS[i] > c->steps) continue;
        snprintf(value, sizeof value, "%lld", (long long)WARMUPS[i]);
        AN_TRY(try_change(k, options, settings, "warmup", value));
        if (!last_trains(k)) continue;
        k->verdict = AN_VERDICT_NEEDS_WARMUP;
        k->warmup = (uint64_t)WARMUPS[i];
    }
    snprintf(value, sizeof value, "%.3g", c->lr / 3);
    AN_TRY(try_change(k, options, settings, "lr", value));
    static const char *const DESIGNS[] = { "pre-ln", "deepnorm" };
    for (size_t i = 0; i < sizeof DESIGNS / sizeof *DESIGNS; i++)
        if (strcmp(DESIGNS[i], an_options_text(options, "design")) != 0) AN_TRY(try_change(k, options, settings, "design", DESIGNS[i]));
    return AN_OK;
}

an_status an_check_run(an_check *out, an_options *options, an_train_config *config, const an_check_settings *settings)
{
    an_check k = { 0 };
    an_status status = probe(&k, options, config, settings, "probe", true);
    if (status == AN_OK) an_check_judge(&k);
    if (status == AN_OK && settings->suggest && k.verdict != AN_VERDICT_TRAINS) status = suggest(&k, options, config, settings);
    if (status != AN_OK) an_check_fini(&k);
    else *out = k;
    return status;
}

void an_check_fini(an_check *check)
{
    free(check->site);
    free(check->step);
    *check = (an_check){ 0 };
}
