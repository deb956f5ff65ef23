/* study/suite/r4.c
 * R4: path lengths and lesions. In a trained Pre-LN network the gradient falls off exponentially with the number of branches that it passes, short
 * paths carry it, and no single sub-layer is needed; without skips each one is.
 * Source    Veit, Wilber & Belongie 2016, arXiv:1605.06431; Dong et al. 2021, arXiv:2103.03404 (rank collapse)
 * Threshold the catalogue's. The plain network has one layer, about the most that trains without skips (R3); a
 *           Pre-LN network of one layer tells what of the difference is depth. Rank collapse before training needs
 *           attention without feed-forward, which is no configuration of a run: tests/prop/test_r4_rank.c holds it */
#include <math.h>

#include "study/evidence.h"

static const char RELEASE[] = "base: { n_head: 4, d_model: 128, seq_len: 64, batch_size: 16, steps: 300, lr: 1e-3, warmup: 50, init: xavier, dropout: 0, eval_every: 0, eval_batches: 20, telemetry: off }\n"
                              "grid:\n  design|n_layer: [pre-ln|24, pre-ln|1, plain|1]\nseeds: 1\n";

/* What the loss rises by without a sub-layer; means over the seeds. */
typedef struct lesions { double middle, least, mean; } lesions;

static lesions without(const an_study *s, const char *settings, const an_findings *f)
{
    const an_study_group *g = an_study_find(s, settings);
    lesions out = g ? (lesions){ 0, 0, 0 } : (lesions){ NAN, NAN, NAN };
    for (size_t i = 0; g && i < g->n; i++) {
        an_profile p;
        json_t *lesion = an_cell_probe(s, &s->cell[g->first + i], AN_PROBE_LESION, f);
        const size_t n = an_probe_numbers(lesion, "change", &p);
        double least = n ? INFINITY : NAN;
        json_decref(lesion);
        for (size_t k = 0; k < n; k++) {
            out.mean += p.y[k] / (double)(n * g->n);
            least = fmin(least, p.y[k]);
        }
        out.least += least / (double)g->n;
        out.middle += n ? p.y[n / 2] / (double)g->n : NAN;
    }
    if (isnan(out.least)) out.mean = NAN;
    return out;
}

/* Numbers of the probe of paths, likewise. */
typedef struct paths { double r2, slope, few; } paths;

static paths paths_of(const an_study *s, const char *settings, const an_findings *f)
{
    const an_study_group *g = an_study_find(s, settings);
    paths out = g ? (paths){ 0, 0, 0 } : (paths){ NAN, NAN, NAN };
    for (size_t i = 0; g && i < g->n; i++) {
        json_t *probe = an_cell_probe(s, &s->cell[g->first + i], AN_PROBE_PATHS, f);
        out.r2 += an_probe_number(probe, "r2") / (double)g->n;
        out.slope += an_probe_number(probe, "slope") / (double)g->n;
        out.few += an_probe_number(probe, "short_share") / (double)g->n;
        json_decref(probe);
    }
    return out;
}

static void judge(const an_study *s, an_findings *f)
{
    const paths p = paths_of(s, "design=pre-ln n_layer=24", f);
    const lesions deep = without(s, "design=pre-ln n_layer=24", f), shallow = without(s, "design=pre-ln n_layer=1", f), plain = without(s, "design=plain", f);
    an_find_number(f, p.r2, (an_limits){ 0.9, 1 }, "A path's gradient falls off exponentially with its branches", "log length linear in their number, R^2 at least 0.9", "R^2 %.3f, %.3f a branch", p.r2, p.slope);
    an_find_number(f, p.few, (an_limits){ 0.9, 1 }, "Short paths carry the gradient", "at least 90 % on paths through at most half of the branches", "%.1f %%", 100 * p.few);
    an_find_number(f, deep.middle, (an_limits){ -INFINITY, 0.15 }, "With skips no sub-layer of 24 layers is needed", "less than 0.15 nats without the one in the middle", "%.4f nats; %.4f in the mean of all", deep.middle,
        deep.mean);
    an_find_number(f, plain.least, (an_limits){ 1, INFINITY }, "Without skips each one is", "at least 1 nat without either sub-layer of one layer", "%.4f nats at least; %.4f in the mean", plain.least, plain.mean);
    an_find_told(f, shallow.mean, "One layer with skips, beside that one", "%.4f nats at least; %.4f in the mean", shallow.least, shallow.mean);
    an_findings_add(f, AN_FINDING_SKIPPED, "Attention alone collapses to rank 1 without skips", "cosine of tokens at least 0.99 by layer 8", "attention without feed-forward is no configuration of a run; a test of the engine holds it");
}

const an_named_study an_named_r4 = { .name = "r4", .help = "R4: path lengths and lesions", .source = "arXiv:1605.06431", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
