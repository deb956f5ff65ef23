/* study/suite/r4.c
 * R4: path lengths and lesions. In a trained Pre-LN network the gradient falls off exponentially with the number of branches that it passes, short
 * paths carry it, and no single sub-layer is needed; without skips each one is.
 * Source    Veit, Wilber & Belongie 2016, arXiv:1605.06431; Dong et al. 2021, arXiv:2103.03404 (rank collapse)
 * Threshold the catalogue's. The plain network has one layer, about the most that trains without skips (R3). Rank collapse before training needs
 *           attention without feed-forward, which is no configuration of a run: tests/prop/test_r4_rank.c holds it */
#include <math.h>

#include "study/evidence.h"

static const char RELEASE[] = "base: { n_head: 4, d_model: 128, seq_len: 64, batch_size: 16, steps: 300, lr: 1e-3, warmup: 50, init: xavier, dropout: 0, eval_every: 0, eval_batches: 20, telemetry: off }\n"
                              "grid:\n  design|n_layer: [pre-ln|24, plain|1]\nseeds: 1\n";

static const an_study_cell *cell_of(const an_study *s, const char *settings)
{
    const an_study_group *g = an_study_find(s, settings);
    return g ? &s->cell[g->first] : NULL;
}

/* What the loss rises by without a sub-layer: of the one in the middle, and the mean of all. */
static double without(const an_study *s, const char *settings, double *mean, const an_findings *f)
{
    an_profile p;
    json_t *lesion = an_cell_probe(s, cell_of(s, settings), AN_PROBE_LESION, f);
    const size_t n = an_probe_numbers(lesion, "change", &p);
    *mean = n ? 0 : NAN;
    for (size_t i = 0; i < n; i++) *mean += p.y[i] / (double)n;
    json_decref(lesion);
    return n ? p.y[n / 2] : NAN;
}

static void judge(const an_study *s, an_findings *f)
{
    double mean, plain_mean;
    json_t *paths = an_cell_probe(s, cell_of(s, "design=pre-ln"), AN_PROBE_PATHS, f);
    const double r2 = an_probe_number(paths, "r2"), slope = an_probe_number(paths, "slope"), few = an_probe_number(paths, "short_share");
    const double middle = without(s, "design=pre-ln", &mean, f), plain = without(s, "design=plain", &plain_mean, f);
    json_decref(paths);
    an_find_number(f, r2, (an_limits){ 0.9, 1 }, "A path's gradient falls off exponentially with its branches", "log length linear in their number, R^2 at least 0.9", "R^2 %.3f, %.3f a branch", r2, slope);
    an_find_number(f, few, (an_limits){ 0.9, 1 }, "Short paths carry the gradient", "at least 90 % on paths through at most half of the branches", "%.1f %%", 100 * few);
    an_find_number(f, middle, (an_limits){ -INFINITY, 0.15 }, "With skips no sub-layer is needed", "less than 0.15 nats without the one in the middle", "%.4f nats; %.4f in the mean of all", middle, mean);
    an_find_number(f, plain, (an_limits){ 1, INFINITY }, "Without skips each one is", "at least 1 nat without the one in the middle", "%.4f nats; %.4f in the mean of all", plain, plain_mean);
    an_findings_add(f, AN_FINDING_SKIPPED, "Attention alone collapses to rank 1 without skips", "cosine of tokens at least 0.99 by layer 8", "attention without feed-forward is no configuration of a run; a test of the engine holds it");
}

const an_named_study an_named_r4 = { .name = "r4", .help = "R4: path lengths and lesions", .source = "arXiv:1605.06431", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
