/* study/check.c
 * Measuring for the report: theory, the first step, the probe steps. */
#include "study/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "net/arch.h"
#include "net/theory.h"
#include "train/stats.h"
#include "train/trial.h"

enum { TAIL = 10, FIRST = 40, LOOK = 20, MOST = 400 };
static const char REFERENCE[] = "pre-ln";

/* The ledger is looked at every LOOK steps from FIRST on. The probe ends when the signs are clear: collapse at any look, learning
 * not before the warm-up and FIRST more steps are over. At most a third of the run beside the warm-up: what needs longer to tell is not told. */
typedef struct probe_length { uint64_t least, most; } probe_length;

static uint64_t least_of(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t most_of(uint64_t a, uint64_t b) { return a > b ? a : b; }

static probe_length probe_steps(const an_check_settings *s, const an_train_config *c)
{
    if (s->steps) return (probe_length){ s->steps, s->steps };
    const uint64_t warmup = (uint64_t)c->warmup, all = (uint64_t)c->steps, least = least_of(least_of(warmup + FIRST, MOST), all);
    return (probe_length){ least, most_of(least, least_of(least_of(warmup + all / 3, MOST), all)) };
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
        product *= n.attenuation;
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
    k->step[k->n_steps++] = (an_check_step){ s->step, s->loss, s->lr, s->grad_norm, NAN };
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

/* One look: where the probe stands, and whether it stood there before. */
static void look(an_check *k, const an_telemetry *t)
{
    const an_check_signs before = k->signs;
    read_ledger(k, t, false);
    k->signs.loss = tail_mean(k);
    k->signs.collapsed = an_check_is_collapsed(&k->signs) ? before.collapsed + 1 : 0;
    k->signs.settled = k->signs.collapsed > 0 && !(k->signs.reach > before.reach);
}

static bool is_over(const an_check *k, const probe_length *length)
{
    if (!k->signs.finite) return true;
    return an_check_is_clear(&k->signs) && (k->n_steps >= length->least || k->signs.settled);
}

static an_status probe(an_check *k, an_options *options, an_train_config *config, const an_check_settings *settings, const char *what, bool full)
{
    an_trial *trial = NULL;
    AN_TRY(an_trial_create(&trial, options, config, AN_OBSERVE_FULL));
    const probe_length length = probe_steps(settings, config);
    const an_telemetry *t = an_model_get_telemetry(an_trial_get_model(trial));
    an_status status = make_room(k, t->n_sites, length.most);
    const char *const *notes = an_model_get_notes(an_trial_get_model(trial), &k->n_notes);
    if (k->n_notes > AN_CHECK_NOTES) k->n_notes = AN_CHECK_NOTES;
    memcpy(k->note, notes, k->n_notes * sizeof *notes);
    k->signs = (an_check_signs){ .entropy = an_trial_get_entropy(trial), .product = NAN, .tokens = NAN, .reach = NAN, .pre_ln = NAN, .behind = NAN, .finite = true };
    k->warmup_set = (uint64_t)config->warmup;
    k->steps_set = (uint64_t)config->steps;
    for (uint64_t i = 0; i < length.most && status == AN_OK && k->signs.finite; i++) {
        const bool looks = i + 1 == length.most || (i + 1 >= FIRST && (i + 1) % LOOK == 0);
        an_trial_step s;
        if (settings->tick) settings->tick(settings->ctx, what, i, length.most);
        an_trial_advance(trial, i == 0 || looks, &s);
        note_step(k, &s);
        if (i == 0) read_ledger(k, t, true);
        if (i == 0 && full) predict(k, trial, options, t);
        if (s.finite && looks) look(k, t);
        if (!settings->steps && (looks || !s.finite) && is_over(k, &length)) break;
    }
    if (status == AN_OK) k->signs.loss = tail_mean(k);
    an_trial_destroy(&trial);
    return status;
}

/* The configuration with keys changed (a key and its value, NULL at the end), resolved. Keys that have no meaning any more (those
 * of the former design) fall away. */
static an_status change(an_options **out, an_train_config *config, const an_options *options, const char *const *pairs)
{
    an_text yaml = { 0 };
    an_options_yaml(options, &yaml);
    an_status status = an_text_status(&yaml);
    if (status == AN_OK) status = an_run_options_create(out, config);
    if (status == AN_OK) status = an_options_read_yaml(*out, an_text_get(&yaml), yaml.length, "the configuration");
    for (size_t i = 0; pairs[i] && status == AN_OK; i += 2) status = an_options_set(*out, pairs[i], pairs[i + 1], AN_FROM_FLAG, pairs[i]);
    if (status == AN_OK) status = an_options_resolve(*out);
    an_text_fini(&yaml);
    return status;
}

/* The changed configuration, probed. A change that cannot be built leaves *out empty (n_steps 0) and is no error. */
static an_status probe_changed(an_check *out, const an_options *options, const an_check_settings *settings, const char *const *pairs, const char *what)
{
    an_options *changed = NULL;
    an_train_config config;
    an_status status = change(&changed, &config, options, pairs);
    if (status == AN_OK) status = probe(out, changed, &config, settings, what, false);
    an_options_destroy(&changed);
    if (status != AN_OK) an_check_fini(out);
    return status == AN_ENOMEM ? status : AN_OK;
}

/* How far behind Pre-LN: the share of the learning, in sums of learning rates, that Pre-LN could have been spared to be
 * where the design is now. 0: level or ahead; 0.5: it took twice as much. Sums and not steps, so that warm-up counts little. */
static double share_behind(const an_check *k, const an_check *reference)
{
    double sum = 0, here = 0;
    for (size_t i = 0; i < reference->n_steps; i++) {
        here += reference->step[i].loss - (i >= TAIL ? reference->step[i - TAIL].loss : 0);
        sum += reference->step[i].lr;
        if (i + 1 >= TAIL && here / TAIL <= k->signs.loss) return 1 - sum / reference->signs.lr_sum;
    }
    return 0;
}

/* What the same steps do to Pre-LN: the same text in the same order, the same change (or key NULL) and nothing else, so that the
 * difference of the two losses is the design's doing. None for Pre-LN itself and where the design is set layer by layer. */
static an_status refer(an_check *k, an_check *reference, const an_options *options, const an_check_settings *settings, const char *key, const char *value)
{
    if (strcmp(an_options_text(options, "design"), REFERENCE) == 0 || an_options_has_overrides(options, "design")) return AN_OK;
    const an_check_settings same = { .steps = k->n_steps, .tick = settings->tick, .ctx = settings->ctx };
    AN_TRY(probe_changed(reference, options, &same, (const char *const[]){ "design", REFERENCE, key, value, NULL }, "Pre-LN beside it"));
    if (reference->n_steps != k->n_steps || !reference->signs.finite) return AN_OK;
    for (size_t i = 0; i < k->n_steps; i++) k->step[i].pre_ln = reference->step[i].loss;
    k->signs.pre_ln = reference->signs.loss;
    k->signs.behind = share_behind(k, reference);
    return AN_OK;
}

static void add_suggestion(an_check *k, const char *change, an_check *tried)
{
    an_suggestion *s = &k->suggestion[k->n_suggestions++];
    an_check_judge(tried);
    snprintf(s->change, sizeof s->change, "%s", change);
    s->verdict = tried->verdict;
    s->too_short = tried->too_short;
    s->loss = tried->signs.loss;
}

/* A change, probed and judged like the first. A setting that would pass is held against Pre-LN with the same setting: a warm-up
 * delays Pre-LN as well, and a promise that only beats the unchanged Pre-LN's delay is often not kept. */
static an_status try_change(an_check *k, const an_options *options, const an_check_settings *settings, const char *key, const char *value)
{
    char text[64];
    an_check other = { 0 }, reference = { 0 };
    snprintf(text, sizeof text, "--%s %s", key, value);
    an_status status = probe_changed(&other, options, settings, (const char *const[]){ key, value, NULL }, text);
    if (status == AN_OK && other.n_steps > 0) {
        other.offer = true;
        an_check_judge(&other);
        if (other.verdict == AN_VERDICT_TRAINS && strcmp(key, "design") != 0) status = refer(&other, &reference, options, settings, key, value);
        if (status == AN_OK) add_suggestion(k, text, &other);
    }
    an_check_fini(&other);
    an_check_fini(&reference);
    return status;
}

static bool last_trains(const an_check *k) { return k->n_suggestions > 0 && k->suggestion[k->n_suggestions - 1].verdict == AN_VERDICT_TRAINS; }

/* What usually helps: Pre-LN, which has been tried by now; a warm-up, then a longer one; else a third of the learning rate and
 * DeepNorm. */
static an_status suggest(an_check *k, an_check *reference, const an_options *options, const an_train_config *c, const an_check_settings *settings)
{
    static const int64_t WARMUPS[] = { 50, 100, 200 };
    char value[32];
    for (size_t i = 0; i < sizeof WARMUPS / sizeof *WARMUPS && !k->warmup; i++) {
        if (WARMUPS[i] <= c->warmup || 2 * WARMUPS[i] > c->steps) continue;
        snprintf(value, sizeof value, "%lld", (long long)WARMUPS[i]);
        AN_TRY(try_change(k, options, settings, "warmup", value));
        if (!last_trains(k)) continue;
        k->verdict = AN_VERDICT_NEEDS_WARMUP;
        k->warmup = (uint64_t)WARMUPS[i];
    }
    if (!k->warmup) {
        snprintf(value, sizeof value, "%.3g", c->lr / 3);
        AN_TRY(try_change(k, options, settings, "lr", value));
        if (strcmp(an_options_text(options, "design"), "deepnorm") != 0 && !an_options_has_overrides(options, "design")) AN_TRY(try_change(k, options, settings, "design", "deepnorm"));
    }
    if (reference->n_steps > 0) add_suggestion(k, "--design pre-ln", reference);
    return AN_OK;
}

an_status an_check_subject(const an_options *options)
{
    if (an_arch_reads_tokens(options)) return AN_OK;
    return an_fail(AN_ECONFIG, "theory, rules and probes are those of transformers over tokens, and arch %s (%s) reads images; train it, its log tells the same numbers", an_options_text(options, "arch"),
                   an_options_place(options, "arch"));
}

an_status an_check_run(an_check *out, an_options *options, an_train_config *config, const an_check_settings *settings)
{
    an_check k = { 0 }, reference = { 0 };
    AN_TRY(an_check_subject(options));
    an_status status = probe(&k, options, config, settings, "probe", true);
    if (status == AN_OK) status = refer(&k, &reference, options, settings, NULL, NULL);
    if (status == AN_OK) an_check_judge(&k);
    if (status == AN_OK && settings->suggest && k.verdict != AN_VERDICT_TRAINS) status = suggest(&k, &reference, options, config, settings);
    an_check_fini(&reference);
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
