/* study/suite/r7.c
 * R7: kinds of norms. RMSNorm does as well as LayerNorm; norms over a batch are another function at inference, and the more so the larger the gap
 * between training and validation; DyT trains from a small alpha and not from a large one.
 * Source    Zhang & Sennrich 2019, arXiv:1910.07467; Shen et al. 2020, arXiv:2003.07845; Wang et al. 2022, arXiv:2210.05153; Zhu et al. 2025, arXiv:2503.10622
 * Threshold the catalogue's, not calibrated: 0.03 nats, rank correlation 0.6. Norms over a batch see later tokens while training, which only
 *           `custom` allows; it is pre-ln otherwise. The discrepancy is tid_dev (docs/telemetry.md), which all of them have; norms of a token have none.
 *           PowerNorm takes its running square after 100 steps, its authors' 10,000 being more than a run here has. DyT and Derf do not scale what they
 *           bound: they and the LayerNorm runs beside them start from Xavier's initialisation, whose signals have unit size (from GPT-2's both stay at
 *           the unigram entropy at this width, whatever alpha) */
#include <math.h>

#include "study/evidence.h"
#include "study/statistics.h"

static const char RELEASE[] =
    "base: { n_layer: 4, n_head: 4, d_model: 128, seq_len: 64, batch_size: 32, steps: 1000, lr: 1e-3, warmup: 100, dropout: 0, eval_every: 0, eval_batches: 20, telemetry_every: 100 }\n"
    "grid:\n  norm: [layernorm, rmsnorm, scalenorm, groupnorm]\n  design: [pre-ln]\n"
    "grid_bounded:\n  norm|init: [layernorm|xavier, dyt|xavier, derf|xavier]\n  design: [pre-ln]\n"
    "grid_batch:\n  norm|powernorm_warmup|powernorm_groups: [batchnorm||, rbn||, powernorm|100|, powernorm|100|0]\n  design|custom_allow_future: [custom|true]\n"
    "grid_alpha:\n  norm|dyt_alpha|init: [layernorm||xavier, dyt|0.5|xavier, dyt|2|xavier]\n  design|n_layer|warmup: [pre-ln|12|0]\n"
    "seeds: 2\n";

static const char *const TOKEN[] = { "layernorm", "rmsnorm", "scalenorm", "groupnorm", "dyt", "derf" }, *const BATCH[] = { "batchnorm", "rbn", "powernorm", "powernorm powernorm_groups=0" };
enum { TOKENS = sizeof TOKEN / sizeof *TOKEN, BATCHES = sizeof BATCH / sizeof *BATCH, MOST = 256 };

/* Runs as points: how far deviations at inference are from those of training, and validation loss less training loss. */
typedef struct points { size_t n; double x[MOST], y[MOST]; } points;

static const double DIFFERS = 0.01;

static double discrepancy(const an_study *s, const an_study_cell *cell) { return an_cell_mean(s, cell, (an_wanted){ "norm", "tid_dev", "", AN_AT_LAST }); }

static void add_points(const an_study *s, const char *settings, bool batch, points *to)
{
    const an_study_group *g = an_study_find(s, settings);
    for (size_t i = 0; g && i < g->n && to->n < MOST; i++) {
        const an_study_cell *cell = &s->cell[g->first + i];
        to->x[to->n] = batch ? discrepancy(s, cell) : 0;
        to->y[to->n++] = an_cell_quantity(cell, AN_Q_VAL_LOSS) - an_cell_quantity(cell, AN_Q_LOSS);
    }
}

/* Rank correlation over the runs of norms over a batch alone, all of which see later tokens while training, or of all of four layers; NaN while one is missing or did not end. */
static double relation(const an_study *s, bool tokens)
{
    points all = { 0 };
    char settings[64];
    for (size_t i = tokens ? 0 : TOKENS; i < TOKENS + BATCHES; i++) {
        snprintf(settings, sizeof settings, "norm=%s", i < TOKENS ? TOKEN[i] : BATCH[i - TOKENS]);   /* the first grid's come first */
        add_points(s, settings, i >= TOKENS, &all);
    }
    for (size_t i = 0; i < all.n; i++)
        if (isnan(all.x[i]) || isnan(all.y[i])) return NAN;
    return an_stat_spearman(all.n, all.x, all.y);
}

static void judge_batch(const an_study *s, an_findings *f)
{
    const double batch = an_group_measure(s, "norm=batchnorm", discrepancy), rbn = an_group_measure(s, "norm=rbn", discrepancy);
    const double power = an_group_measure(s, "norm=powernorm", discrepancy), bare = an_group_measure(s, "norm=powernorm powernorm_groups=0", discrepancy);
    const double within = relation(s, false), all = relation(s, true);
    const double loss = an_group_quantity(s, "norm=powernorm", AN_Q_VAL_LOSS), bare_loss = an_group_quantity(s, "norm=powernorm powernorm_groups=0", AN_Q_VAL_LOSS), layer = an_group_quantity(s, "norm=layernorm", AN_Q_VAL_LOSS);
    const double least = isnan(batch + rbn + power + bare) ? NAN : fmin(fmin(batch, rbn), fmin(power, bare));
    an_find_number(f, least, (an_limits){ DIFFERS, INFINITY }, "Norms over a batch are another function at inference", "tid_dev above 0.01 in each; norms of a token have none", "BatchNorm %.3g, RBN %.3g, PowerNorm %.3g, without its scaling of tokens %.3g",
        batch, rbn, power, bare);
    an_find_number(f, within, (an_limits){ 0.6, 1 }, "The more so, the larger the gap between training and validation", "among norms over a batch, rank correlation of tid_dev and validation less training loss at least 0.6",
        "%.3f; %.3f with norms of a token, which have no discrepancy and see no later tokens", within, all);
    an_find_told(f, loss + bare_loss + layer, "PowerNorm beside LayerNorm", "validation loss %.4f, without its scaling of tokens %.4f; LayerNorm %.4f", loss, bare_loss, layer);
}

static void tell_bounded(const an_study *s, an_findings *f)
{
    const double layer = an_group_quantity(s, "norm=layernorm init=xavier", AN_Q_VAL_LOSS), dyt = an_group_quantity(s, "norm=dyt", AN_Q_VAL_LOSS), derf = an_group_quantity(s, "norm=derf", AN_Q_VAL_LOSS);
    an_find_told(f, layer + dyt + derf, "DyT and Derf beside LayerNorm", "validation loss %.4f and %.4f; LayerNorm %.4f, all from Xavier's initialisation", dyt, derf, layer);
}

static void judge(const an_study *s, an_findings *f)
{
    static const char TWELVE[] = "norm=layernorm n_layer=12";
    const double layer = an_group_quantity(s, "norm=layernorm", AN_Q_LOSS), root = an_group_quantity(s, "norm=rmsnorm", AN_Q_LOSS);
    an_find_number(f, fabs(root - layer), (an_limits){ 0, 0.03 }, "RMSNorm does as well as LayerNorm", "losses at most 0.03 nats apart", "%.4f beside %.4f", root, layer);
    judge_batch(s, f);
    tell_bounded(s, f);
    an_find_outcome(s, f, (an_expected_outcome){ "norm=dyt dyt_alpha=0.5", TWELVE, AN_OUTCOME_TRAINED, 1 }, "DyT trains 12 layers without warm-up from alpha 0.5", "trained in all runs, beside LayerNorm");
    an_find_outcome(s, f, (an_expected_outcome){ "norm=dyt dyt_alpha=2", TWELVE, AN_OUTCOME_DEGRADED, 1 }, "From alpha 2 it does not", "failed, partial or degraded in all runs, beside LayerNorm");
    an_findings_add(f, AN_FINDING_SKIPPED, "Padding must not enter batch statistics", "unmasked BatchNorm worse than masked on sorting of padded sequences", "there are no tasks of padded sequences and no encoder-decoder yet");
    an_findings_add(f, AN_FINDING_SKIPPED, "Batch statistics fluctuate more on text", "at least 3 times those of independent Gaussian input", "there is no training on Gaussian input");
}

const an_named_study an_named_r7 = { .name = "r7", .help = "R7: kinds of norms", .source = "arXiv:2003.07845", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
