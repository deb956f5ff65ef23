/* The suite's judges on planted runs: where every claim holds all of them pass, where each is violated all of them fail, and with
 * runs missing none does either. Tiers fall back to the tier below. And the verdict commands: what they answer about planted losses. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "core/file.h"
#include "study/suite.h"
#include "train/safetensors.h"

static an_options *flags;
static an_train_config flag_config;

static int setup(void **state)
{
    if (unit_scratch_setup(state) != 0) return -1;
    FILE *f = fopen(unit_path("text"), "w");
    for (unsigned i = 0; f && i < 2000; i++) fprintf(f, "%u words of text ", i * 2654435761u >> 20);
    if (!f || fclose(f) != 0 || an_run_options_create(&flags, &flag_config) != AN_OK) return -1;
    return an_options_set(flags, "data", unit_path("text"), AN_FROM_FLAG, "--data") == AN_OK ? 0 : -1;
}

static int teardown(void **state)
{
    an_options_destroy(&flags);
    return unit_scratch_teardown(state);
}

/* What a document of a probe begins with, so that it is not measured again. */
#define MEASURED "{\"settings\":{\"version\":\"" AN_VERSION "\",\"sets\":4,\"updates\":10},"   /* study/cell_probe.c */

/* What a planted run says. H1 is 3.3: a loss of 2 is trained, one of 3.3 failed. */
typedef struct planted { bool diverged; double first, loss, val_loss, slope; an_text tables; const char *measured; an_text document; } planted;   /* val_loss 0: as loss; measured: a file of the run, what stands in it */

static bool is(const an_study_cell *c, const char *key, const char *value) { return strcmp(an_cell_value(c, key), value) == 0; }

/* One telemetry line: n names "layers.I" and `suffix`, value a + b i^power. */
static void add_table(planted *p, const char *family, const char *suffix, const char *metric, int n, double a, double b, double power)
{
    an_text_add(&p->tables, "{\"event\":\"%s\",\"step\":1,\"%s\":[", family, strcmp(family, "ledger") == 0 ? "site" : "name");
    for (int i = 0; i < n; i++) an_text_add(&p->tables, "%s\"layers.%d.%s\"", i ? "," : "", i, suffix);
    an_text_add(&p->tables, "],\"%s\":[", metric);
    for (int i = 0; i < n; i++) an_text_add(&p->tables, "%s%.9g", i ? "," : "", a + b * pow(i, power));
    an_text_add(&p->tables, "]}\n");
}

static void plant_r1(const an_study_cell *c, bool holds, planted *p)
{
    const double depth = an_cell_number(c, "n_layer");
    const double slope = is(c, "design", "keel") ? -1 : is(c, "design", "post-ln") || is(c, "init", "gpt2") ? 0 : -0.5, keeps = is(c, "design", "post-ln") == holds ? 0.8 : 0.9999;
    add_table(p, "updates", "mlp.down.weight", "grad", (int)depth, pow(depth, holds ? slope : slope + 0.7), 0, 1);
    add_table(p, "ledger", "mlp", "attenuation", (int)(2 * depth), keeps, 0, 1);
    add_table(p, "ledger", "mlp", "g_in", (int)(2 * depth), 1, 0, 1);
    add_table(p, "ledger", "mlp", "g_out", (int)(2 * depth), 1, 0, 1);
    if (is(c, "design", "pre-ln")) add_table(p, "ledger", "mlp", "y_rms", 64, holds ? 0 : 1, holds ? 1 : 1e-9, holds ? 0.5 : 5);
    if (is(c, "design", "peri-ln")) add_table(p, "ledger", "mlp", "y_rms", 48, 0, holds ? 1 : 2, 0.5);
    if (is(c, "design", "peri-ln")) add_table(p, "ledger", "mlp", "f_rms", 48, holds ? 1 : 1.1, 0, 1);
    if (is(c, "design", "layernorm-scaling")) add_table(p, "ledger", "mlp", "y_rms", 48, 1, holds ? 0.01 : 1, holds ? 0.1 : 1);
}

/* A probe's answer and its ledger, about which R2 only tells. */
static void add_causes(planted *p)
{
    add_table(p, "ledger", "mlp", "attenuation", 16, 0.9, 0, 1);
    add_table(p, "ledger", "mlp", "g_in", 16, 1, 0, 1);
    add_table(p, "ledger", "mlp", "g_out", 16, 1, 0, 1);
    p->measured = "probe-amplification.json";
    an_text_add(&p->document, MEASURED "\"amplification\":[{\"change\":0.1}]}");
}

static void plant_r2(const an_study_cell *c, bool holds, planted *p)
{
    add_causes(p);
    const bool fails = is(c, "design", "post-ln") && is(c, "warmup", "0");
    p->loss = fails == holds ? 3.3 : 2;
    if (!holds && is(c, "design", "pre-ln") && !is(c, "warmup", "0")) p->loss = 3.5;
}

static void plant_r3(const an_study_cell *c, bool holds, planted *p)
{
    const double depth = an_cell_number(c, "n_layer");
    const bool plain = is(c, "design", "plain"), post = is(c, "design", "post-ln"), b2t = is(c, "design", "b2t");
    const bool fails = plain ? depth > 2 : (post && depth > 6) || (b2t && depth > 12);
    p->loss = fails ? 3.3 : 2;
    if (!holds) p->loss = plain || post || b2t ? 2 : 3.3 + 0.1 * depth;
}

/* What a probe would have measured: `n` lesions that cost a, of the last third b. */
static void add_lesions(planted *p, int n, double a, double b)
{
    p->measured = "probe-lesion.json";
    an_text_add(&p->document, MEASURED "\"lesion\":{\"change\":[");
    for (int i = 0; i < n; i++) an_text_add(&p->document, "%s%.9g", i ? "," : "", 3 * i >= 2 * n ? b : a);
    an_text_add(&p->document, "]}}");
}

static void plant_r4(const an_study_cell *c, bool holds, planted *p)
{
    char *run = an_path_join(unit_path("out"), "cells"), *cell = an_path_join(run, c->name), *paths = an_path_join(cell, "probe-paths.json");
    const bool plain = is(c, "design", "plain");
    const char *document = holds ? MEASURED "\"paths\":{\"r2\":0.99,\"slope\":-2,\"short_share\":1.0}}" : MEASURED "\"paths\":{\"r2\":0.5,\"slope\":-2,\"short_share\":0.5}}";
    add_lesions(p, plain ? 2 : 48, plain == holds ? 2 : 0.01, plain == holds ? 2 : 0.01);
    assert_ok(an_dir_create(cell));
    if (!plain) assert_ok(an_file_write(paths, document, strlen(document)));
    free(run);
    free(cell);
    free(paths);
}

/* A checkpoint with the gains of QK-norm in six layers, the first of each as given, the others 1. */
static void add_gains(const an_study_cell *c, an_real first)
{
    enum { TENSORS = 12, WIDTH = 32 };
    static char name[TENSORS][40];
    an_real gain[WIDTH];
    an_st_tensor tensor[TENSORS];
    for (size_t i = 0; i < WIDTH; i++) gain[i] = i == 3 ? -first : 1;
    for (size_t i = 0; i < TENSORS; i++) {
        snprintf(name[i], sizeof name[i], "layers.%zu.attn.%c_norm.gain", i / 2, i % 2 ? 'k' : 'q');
        tensor[i] = (an_st_tensor){ .name = name[i], .dtype = AN_REAL_DTYPE, .rank = 1, .dim = { WIDTH }, .data = gain };
    }
    char *cells = an_path_join(unit_path("out"), "cells"), *cell = an_path_join(cells, c->name), *latest = an_path_join(cell, "checkpoints/latest"), *file = an_path_join(latest, "model.safetensors");
    assert_ok(an_dir_create(latest));
    assert_ok(an_safetensors_write(file, tensor, TENSORS, NULL, 0, NULL));
    free(cells);
    free(cell);
    free(latest);
    free(file);
}

static void plant_r5(const an_study_cell *c, bool holds, planted *p)
{
    const bool post = is(c, "design", "post-ln"), peri = is(c, "design", "peri-ln"), qk = is(c, "qk_norm", "head"), deep = is(c, "design", "deepnorm"), z = is(c, "z_loss", "1e-4");
    const double more = holds ? (post ? 2 : peri ? 0.5 : qk ? 0.2 : deep ? 0.3 : 1) : post ? 0.1 : peri ? 1.5 : z ? 2 : qk ? 1.2 : 1;
    p->loss = is(c, "lr", "1e-3") ? 2 : 2 + more;
    add_table(p, "attention", "attn.attention", "max_logit", 6, holds ? 60 : 20, 1, 1);
    add_table(p, "output", "head", "log_z", 1, z == holds ? -1 : -6, 0, 1);
    if (qk) add_gains(c, holds ? 4 : 1.5);                        /* bounds of 90 and 12.7 */
}

static void plant_r6(const an_study_cell *c, bool holds, planted *p)
{
    const bool pre = is(c, "design", "pre-ln"), peri = is(c, "design", "peri-ln");
    add_table(p, "ledger", "mlp", "y_rms", 48, 1, pre ? (holds ? 2 : 0.01) : peri && holds ? 0.5 : 1e-7, peri ? (holds ? 0.5 : 6) : pre ? 1 : 4);
    add_table(p, "ledger", "mlp", "g_in", 48, is(c, "design", "mix-ln") == holds ? 2 : 1, 0, 1);
    add_lesions(p, 48, 0.1, is(c, "design", "layernorm-scaling") && holds ? 0.2 : 0.1);
}

static void plant_r7(const an_study_cell *c, bool holds, planted *p)
{
    const bool batch = is(c, "design", "custom"), twelve = is(c, "n_layer", "12"), small = is(c, "dyt_alpha", "0.5");
    const int kind = is(c, "norm", "batchnorm") ? 1 : is(c, "norm", "rbn") ? 2 : is(c, "powernorm_groups", "0") ? 4 : 3;
    p->loss = twelve && is(c, "norm", "dyt") && small != holds ? 2.2 : !twelve && is(c, "norm", "rmsnorm") ? (holds ? 2.01 : 2.1) : 2;   /* 2.2 is trained, but for LayerNorm's 2 */
    p->val_loss = p->loss + (batch ? 0.1 * (holds ? kind : 5 - kind) : 0);
    if (batch) add_table(p, "norm", "pre.norm", "tid_dev", 8, (holds ? 0.1 : 0.001) * kind, 0, 1);
}

static void plant_r8(const an_study_cell *c, bool holds, planted *p)
{
    const bool rezero = is(c, "design", "rezero");
    p->slope = (rezero ? (holds ? 2 : 0.9) : 1) * 2.4e-3;
    if (rezero) add_table(p, "updates", "branch.scale", "weight", 12, holds ? 0.02 : 1e-4, holds ? 0.01 : 0.2, 1);
}

static void plant_r9(const an_study_cell *c, bool holds, planted *p)
{
    static const char *const RATE[] = { "5e-4", "1e-3", "2e-3", "4e-3", "8e-3", "16e-3" };
    const bool moves = is(c, "parameterization", "completep") != holds;
    const int best = moves && is(c, "n_layer", "32") ? 1 : 3;
    for (int i = 0; i < 6; i++)
        if (is(c, "lr", RATE[i])) p->loss = 2 + 0.1 * abs(i - best);
    p->measured = "probe-amplification.json";
    an_text_add(&p->document, MEASURED "\"amplification\":[{\"change\":%.9g},{\"change\":%.9g}]}", moves ? an_cell_number(c, "n_layer") : 1, moves ? an_cell_number(c, "n_layer") : 1);
}

static void plant_r10(const an_study_cell *c, bool holds, planted *p)
{
    if (is(c, "design", "pre-ln")) return;
    add_table(p, "streams", "mlp", "gain", 48, 1, 0, 1);
    add_table(p, "streams", "mlp", "gain_back", 48, is(c, "design", "mhc") == holds ? 1.5 : 7, 0, 1);
    add_table(p, "streams", "mlp", "mixed_here", 48, holds ? 0.1 : 1e-4, 0, 1);
    add_table(p, "streams", "mlp", "cosine", 48, holds ? 0.5 : 0.999, 0, 1);
}

static void write_run(const an_study *s, const an_study_cell *c, planted *p)
{
    char *run = an_study_path(s, "cells", c->name, ""), *config = an_path_join(run, "config.yaml"), *log = an_path_join(run, "log.jsonl");
    an_text text = { 0 };
    const unsigned steps = p->slope > 0 ? (unsigned)c->steps : 60;
    assert_ok(an_dir_create(run));
    assert_ok(an_file_write(config, c->config, strlen(c->config)));
    an_text_add(&text, "{\"event\":\"run\",\"step\":0,\"steps\":%u,\"version\":\"%s\",\"params\":9,\"unigram_entropy\":3.3,\"flops_per_step\":10}\n", steps, AN_VERSION);
    an_text_add(&text, "{\"event\":\"step\",\"step\":1,\"tokens\":16,\"loss\":%.17g}\n%s", p->first, an_text_get(&p->tables));
    for (unsigned i = p->slope > 0 ? 2 : steps; i <= steps; i++) an_text_add(&text, "{\"event\":\"step\",\"step\":%u,\"tokens\":%u,\"loss\":%.17g}\n", i, 16 * i, p->slope > 0 ? p->first - p->slope * i : p->loss);
    an_text_add(&text, "{\"event\":\"eval\",\"step\":%u,\"val_loss\":%.17g,\"bits_per_byte\":3}\n{\"event\":\"end\",\"step\":%u,\"exit_code\":%d}\n", steps, p->val_loss > 0 ? p->val_loss : p->loss, steps,
                p->diverged ? an_status_exit_code(AN_EDIVERGED) : 0);
    assert_ok(an_file_write(log, an_text_get(&text), text.length));
    char *kept = p->measured ? an_path_join(run, p->measured) : NULL;
    if (kept) assert_ok(an_file_write(kept, an_text_get(&p->document), p->document.length));
    free(kept);
    an_text_fini(&text);
    an_text_fini(&p->tables);
    an_text_fini(&p->document);
    free(run);
    free(config);
    free(log);
}

typedef void plant(const an_study_cell *cell, bool holds, planted *p);
static const struct { const char *name; an_tier tier; plant *plant; } STUDIES[] = {
    { "r1", AN_TIER_CI, plant_r1 }, { "r1", AN_TIER_NIGHTLY, plant_r1 }, { "r2", AN_TIER_CI, plant_r2 }, { "r2", AN_TIER_NIGHTLY, plant_r2 }, { "r3", AN_TIER_CI, plant_r3 }, { "r3", AN_TIER_NIGHTLY, plant_r3 },
    { "r4", AN_TIER_RELEASE, plant_r4 }, { "r5", AN_TIER_NIGHTLY, plant_r5 }, { "r6", AN_TIER_RELEASE, plant_r6 }, { "r7", AN_TIER_RELEASE, plant_r7 }, { "r8", AN_TIER_RELEASE, plant_r8 }, { "r9", AN_TIER_CI, plant_r9 }, { "r9", AN_TIER_RELEASE, plant_r9 }, { "r10", AN_TIER_RELEASE, plant_r10 },
};

/* What is taken away from a planted study: nothing, or the runs of the last of three seeds. */
typedef enum spoiled { WHOLE, LAST_SEED_MISSING } spoiled;

/* of NULL: nothing has run. */
static void judge_spoiled(const char *name, an_tier tier, size_t seeds, const char *const *file, size_t files, plant *of, bool holds, spoiled how, an_findings *f)
{
    const an_named_study *named = an_named_find(name);
    an_text text = { 0 };
    an_study *s = NULL;
    assert_non_null(named);
    assert_ok(an_dir_remove(unit_path("out")));
    assert_ok(an_named_text(named, (an_named_form){ tier, false }, file, files, &text));
    const an_study_source source = { an_text_get(&text), text.length, named->name, named->name, seeds, true };
    assert_ok(an_study_open(&s, &source, flags, unit_path("out")));
    assert_int_equal(an_study_count(s, AN_CELL_SKIPPED), 0);
    for (size_t i = 0; of && i < s->n_cells; i++) {
        planted p = { .first = 5.5, .loss = 2 };
        if (how == LAST_SEED_MISSING && strcmp(s->cell[i].seed, "3") == 0) continue;
        of(&s->cell[i], holds, &p);
        write_run(s, &s->cell[i], &p);
    }
    for (size_t i = 0; i < s->n_cells; i++) assert_ok(an_study_look(s, &s->cell[i]));
    an_study_judge(s);
    assert_ok(an_named_judge(named, s, f));
    an_study_close(&s);
    an_text_fini(&text);
}

static void judge_planted(const char *name, an_tier tier, size_t seeds, const char *const *file, size_t files, plant *of, bool holds, an_findings *f)
{
    judge_spoiled(name, tier, seeds, file, files, of, holds, WHOLE, f);
}

static void judge(size_t at, bool planted_too, bool holds, an_findings *f)
{
    judge_planted(STUDIES[at].name, STUDIES[at].tier, 1, NULL, 0, planted_too ? STUDIES[at].plant : NULL, holds, f);
}

/* Nothing but `kind` where something is judged. */
static void only(size_t at, an_findings *f, an_finding_kind kind)
{
    assert_true(an_findings_count(f, kind) > 0);
    for (size_t i = 0; i < f->n; i++)
        if (f->finding[i].kind != kind && f->finding[i].kind != AN_FINDING_SKIPPED && f->finding[i].kind != AN_FINDING_TOLD)
            fail_msg("%s at %s: '%s' is %s, not %s: %s", STUDIES[at].name, an_tier_name(STUDIES[at].tier), f->finding[i].claim, an_finding_name(f->finding[i].kind), an_finding_name(kind), f->finding[i].measured);
    an_findings_fini(f);
}

static void what_holds_passes(void **state)
{
    (void)state;
    an_findings f = { 0 };
    for (size_t i = 0; i < COUNT(STUDIES); i++) {
        judge(i, true, true, &f);
        only(i, &f, AN_FINDING_PASS);
    }
}

static void what_is_violated_fails(void **state)
{
    (void)state;
    an_findings f = { 0 };
    for (size_t i = 0; i < COUNT(STUDIES); i++) {
        judge(i, true, false, &f);
        only(i, &f, AN_FINDING_FAIL);
    }
}

static void what_has_not_run_is_open(void **state)
{
    (void)state;
    an_findings f = { 0 };
    for (size_t i = 0; i < COUNT(STUDIES); i++) {
        judge(i, false, true, &f);
        only(i, &f, AN_FINDING_OPEN);
    }
}

/* Two of three seeds are no answer to a question about all of them. */
static void what_is_not_whole_is_open(void **state)
{
    (void)state;
    an_findings f = { 0 };
    for (size_t i = 0; i < COUNT(STUDIES); i++) {
        judge_spoiled(STUDIES[i].name, STUDIES[i].tier, 3, NULL, 0, STUDIES[i].plant, true, LAST_SEED_MISSING, &f);
        for (size_t k = 0; k < f.n; k++)
            if (f.finding[k].kind == AN_FINDING_TOLD) fail_msg("%s: '%s' is told: %s", STUDIES[i].name, f.finding[k].claim, f.finding[k].measured);
        only(i, &f, AN_FINDING_OPEN);
    }
}

/* The verdict about one claim. */
static void says(const char *name, an_tier tier, plant *of, const char *claim, an_finding_kind kind)
{
    an_findings f = { 0 };
    size_t at = 0;
    judge_planted(name, tier, 1, NULL, 0, of, true, &f);
    while (at < f.n && strcmp(f.finding[at].claim, claim) != 0) at++;
    if (at == f.n) fail_msg("%s: no claim '%s'", name, claim);
    if (f.finding[at].kind != kind) fail_msg("%s: '%s' is %s: %s", name, claim, an_finding_name(f.finding[at].kind), f.finding[at].measured);
    an_findings_fini(&f);
}

/* A run that diverged is worse than any loss: it disproves a claim, and leaves it no more open than a high loss does. */
static void plant_r3_diverged(const an_study_cell *c, bool holds, planted *p)
{
    plant_r3(c, holds, p);
    p->diverged = is(c, "design", "pre-ln") && is(c, "n_layer", "8");
}

static void plant_r5_diverged(const an_study_cell *c, bool holds, planted *p)
{
    plant_r5(c, holds, p);
    p->diverged = is(c, "design", "pre-ln") && is(c, "qk_norm", "off") && is(c, "lr", "1e-1");
}

/* No race to a loss that Post-LN reached by not being trained; no ratio of losses of sub-layers that are worth nothing; no best rate at the end of the range. */
static void plant_r8_untrained(const an_study_cell *c, bool holds, planted *p)
{
    plant_r8(c, holds, p);
    if (is(c, "design", "post-ln")) p->slope = 1e-3;
}

static void plant_r6_worthless(const an_study_cell *c, bool holds, planted *p)
{
    (void)holds;
    add_lesions(p, 48, 0.1, is(c, "design", "layernorm-scaling") ? -0.2 : -0.1);
}

static void plant_r9_end(const an_study_cell *c, bool holds, planted *p)
{
    plant_r9(c, holds, p);
    p->loss = 3 - an_cell_number(c, "lr");
}

static void planted_traps(void **state)
{
    (void)state;
    says("r3", AN_TIER_CI, plant_r3_diverged, "Pre-LN does not get worse with depth", AN_FINDING_FAIL);
    says("r5", AN_TIER_NIGHTLY, plant_r5_diverged, "QK-norm makes Pre-LN less sensitive", AN_FINDING_PASS);
    says("r5", AN_TIER_NIGHTLY, plant_r5_diverged, "Attention logits grow without QK-norm", AN_FINDING_PASS);
    says("r6", AN_TIER_RELEASE, plant_r6_worthless, "Deep layers are worth more under LayerNorm Scaling", AN_FINDING_FAIL);
    says("r8", AN_TIER_RELEASE, plant_r8_untrained, "ReZero is faster than Post-LN with warm-up", AN_FINDING_OPEN);
    says("r9", AN_TIER_RELEASE, plant_r9_end, "CompleteP's best rate does not depend on depth", AN_FINDING_OPEN);
}

/* ---- the verdict commands ---- */

static void plant_needs(const an_study_cell *c, bool holds, planted *p) { p->loss = is(c, "warmup", "0") ? (holds ? 2.5 : 2.09) : is(c, "warmup", "50") && holds ? 2.2 : 2; }
static void plant_nothing_learned(const an_study_cell *c, bool holds, planted *p) { p->loss = is(c, "warmup", "0") ? 3.25 : holds ? 3.25 : 3.05; }
static void plant_rates(const an_study_cell *c, bool holds, planted *p) { p->loss = 2 + 0.1 * fabs(log10(an_cell_number(c, "lr")) + (holds ? 2.6 : 1)); }
static void plant_depths(const an_study_cell *c, bool holds, planted *p) { p->loss = an_cell_number(c, "n_layer") >= (holds ? 8 : 1) ? 3.3 : 2; }
static void plant_one_depth(const an_study_cell *c, bool holds, planted *p) { p->loss = is(c, "n_layer", holds ? "4" : "") ? 3.3 : 2; }

/* Five seeds: one configuration is 0.1 lower, by about as much each time, or by anything. */
static void plant_pairs(const an_study_cell *c, bool holds, planted *p)
{
    const double seed = strtod(c->seed, NULL), noise = fmod(seed * 0.37, 1) - 0.5;
    p->loss = 2 + 0.3 * noise + (strstr(an_cell_value(c, "config"), "b.yaml") ? -0.1 + (holds ? 0.01 : 1) * noise : 0);
}

static void verdict_commands(void **state)
{
    (void)state;
    static const struct { const char *name; plant *plant; bool holds; const char *answer; } ASKED[] = {
        { "needs-warmup", plant_needs, true, "yes: loss 2.5000 without, 2.0000 at best; 100 steps are enough, loss 2.0000" }, { "needs-warmup", plant_needs, false, "no: loss 2.0900 without, 2.0000 at best" },
        { "needs-warmup", plant_nothing_learned, true, "not told: no run came 0.3 nats below the unigram entropy, lowest loss 3.2500; give it more steps or another lr" },
        { "needs-warmup", plant_nothing_learned, false, "not told: no run came 0.3 nats" },
        { "find-lr", plant_rates, true, "lr 3e-3, loss 2.0077; the largest within 0.05 nats is 3e-3" }, { "find-lr", plant_rates, false, "lr 1e-1, loss 2.0000; the largest within 0.05 nats is 1e-1; the best stands at the end of the range" },
        { "lr-sensitivity", plant_rates, true, "0.0888 nats over 7 runs (loss at initialisation 5.5000, lowest 2.0077, 0 diverged)" },
        { "critical-depth", plant_depths, true, "8 layers; trains at 6" }, { "critical-depth", plant_depths, false, "1 layer; no depth trains" },
        { "critical-depth", plant_one_depth, true, "none up to 32 layers; 1 shallower depth failed too" }, { "critical-depth", plant_one_depth, false, "none up to 32 layers" },
        { "compare", plant_pairs, true, "yes: validation loss of a.yaml higher by 0.0999 +- 0.0037 nats" }, { "compare", plant_pairs, false, "not told: validation loss of a.yaml higher by 0.0900 +- 0.3668 nats" },
    };
    char a[512], b[512];
    unit_write(strcpy(a, unit_path("a.yaml")), "lr: 1e-3\n", 9);
    unit_write(strcpy(b, unit_path("b.yaml")), "lr: 2e-3\n", 9);
    for (size_t i = 0; i < COUNT(ASKED); i++) {
        const bool pair = strcmp(ASKED[i].name, "compare") == 0;
        for (int over = 0; over < 2; over++) {
            an_findings f = { 0 };
            judge_planted(ASKED[i].name, AN_TIER_NIGHTLY, pair ? 5 : 1, (const char *const[]){ a, b }, pair ? 2 : 0, over ? ASKED[i].plant : NULL, ASKED[i].holds, &f);
            assert_int_equal(f.n, 1);
            if (f.finding[0].kind != (over ? AN_FINDING_TOLD : AN_FINDING_OPEN)) fail_msg("%s, case %zu: %s", ASKED[i].name, i, an_finding_name(f.finding[0].kind));
            if (over && strncmp(f.finding[0].measured, ASKED[i].answer, strlen(ASKED[i].answer)) != 0) fail_msg("%s, case %zu: %s", ASKED[i].name, i, f.finding[0].measured);
            an_findings_fini(&f);
        }
    }
}

/* Every study of the suite is planted above, opens at every tier that it has, and a tier without a text of its own has that of the one below. */
static void tiers(void **state)
{
    (void)state;
    for (size_t i = 0; an_named_at(i); i++) {
        const an_named_study *named = an_named_at(i);
        size_t planted_here = 0;
        if (!an_named_in_suite(named, AN_TIER_RELEASE)) continue;
        for (size_t k = 0; k < COUNT(STUDIES); k++) planted_here += strcmp(STUDIES[k].name, named->name) == 0;
        if (!planted_here || !named->tier_text[named->tier] || !named->source) fail_msg("%s: not planted, without a text at its first tier, or without a source", named->name);
        for (size_t tier = named->tier; an_tier_name(tier); tier++) {
            an_text text = { 0 };
            an_study *s = NULL;
            assert_ok(an_named_text(named, (an_named_form){ (an_tier)tier, false }, NULL, 0, &text));
            const an_study_source source = { an_text_get(&text), text.length, named->name, named->name, 0, true };
            assert_ok(an_study_open(&s, &source, flags, unit_path("out")));
            assert_int_equal(an_study_count(s, AN_CELL_SKIPPED), 0);
            an_study_close(&s);
            an_text_fini(&text);
        }
    }
    assert_true(an_named_in_suite(an_named_find("r2"), AN_TIER_CI) && !an_named_in_suite(an_named_find("r5"), AN_TIER_CI) && !an_named_in_suite(an_named_find("placement"), AN_TIER_RELEASE));
    assert_null(an_tier_name(AN_TIERS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_holds_passes), cmocka_unit_test(what_is_violated_fails), cmocka_unit_test(what_has_not_run_is_open), cmocka_unit_test(what_is_not_whole_is_open), cmocka_unit_test(planted_traps), cmocka_unit_test(verdict_commands), cmocka_unit_test(tiers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
