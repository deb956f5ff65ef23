/* study/suite/r10.c
 * R10: gain of several streams. Mixing matrices of hyper-connections make signals or gradients larger with depth, manifold-constrained ones do not.
 * Source    Zhu et al. 2024, arXiv:2409.19606; Xie et al. 2025, arXiv:2512.24880 (3000 beside 1.6 in a large model)
 * Threshold the catalogue's, not calibrated: constrained 0.8..1.7 throughout, free above 3; the larger of both ways, since rows of a constrained matrix
 *           sum to 1 by construction and only its columns show how far the projection came. Streams that do not differ, or that are not mixed,
 *           have learnt nothing: then the gains say little, and that is judged too */
#include <math.h>

#include "study/evidence.h"
#include "study/statistics.h"

static const double MIXES = 0.01;

static const char RELEASE[] = "base: { n_layer: 24, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 800, lr: 1e-3, warmup: 100, grad_clip: 1, eval_every: 0, eval_batches: 20, telemetry_every: 50 }\n"
                              "grid:\n  design|init: [pre-ln|, hyper-connections|, mhc|]\nseeds: 2\n";

/* Of a signal on its way up or a gradient on its way down, whichever is larger. */
static double gain(const an_study *s, const an_study_cell *cell)
{
    const double up = an_cell_most(s, cell, (an_wanted){ "streams", "gain", "", AN_AT_MOST }), down = an_cell_most(s, cell, (an_wanted){ "streams", "gain_back", "", AN_AT_MOST });
    return an_stat_most(2, (double[]){ up, down });
}

/* Mean over sub-layers of the cosine of two streams, at the end. */
static double cosine(const an_study *s, const an_study_cell *cell) { return an_cell_mean(s, cell, (an_wanted){ "streams", "cosine", "", AN_AT_LAST }); }

/* Share of the sub-layers whose matrix mixes streams, at the end. */
static double mixing(const an_study *s, const an_study_cell *cell)
{
    an_profile p;
    size_t mix = 0;
    an_cell_profile(s, cell, (an_wanted){ "streams", "mixed_here", "", AN_AT_LAST }, &p);
    for (size_t i = 0; i < p.n; i++) mix += p.y[i] > MIXES;
    return p.n ? (double)mix / (double)p.n : NAN;
}

static void judge(const an_study *s, an_findings *f)
{
    const double free_gain = an_group_measure(s, "design=hyper-connections", gain), bound = an_group_measure(s, "design=mhc", gain);
    const double free_cosine = an_group_measure(s, "design=hyper-connections", cosine), bound_cosine = an_group_measure(s, "design=mhc", cosine);
    const double free_mixing = an_group_measure(s, "design=hyper-connections", mixing), bound_mixing = an_group_measure(s, "design=mhc", mixing);
    const double pre = an_group_quantity(s, "design=pre-ln", AN_Q_VAL_LOSS), free_loss = an_group_quantity(s, "design=hyper-connections", AN_Q_VAL_LOSS), bound_loss = an_group_quantity(s, "design=mhc", AN_Q_VAL_LOSS);
    an_find_number(f, bound, (an_limits){ 0.8, 1.7 }, "Constrained streams keep their size", "largest composite gain, up or down, 0.8..1.7", "%.3f", bound);
    an_find_number(f, free_gain, (an_limits){ 3, INFINITY }, "Free streams do not", "largest composite gain, up or down, above 3", "%.3f", free_gain);
    an_find_number(f, free_cosine, (an_limits){ -1, 0.99 }, "Free streams come to differ", "mean cosine below 0.99 at the end", "%.4f", free_cosine);
    an_find_number(f, bound_cosine, (an_limits){ -1, 0.99 }, "Constrained streams come to differ", "mean cosine below 0.99 at the end", "%.4f", bound_cosine);
    an_find_number(f, free_mixing, (an_limits){ 0.5, 1 }, "Free matrices come to mix", "more than 0.01 of the other streams in half of the sub-layers at least", "in %.0f %%", 100 * free_mixing);
    an_find_number(f, bound_mixing, (an_limits){ 0.5, 1 }, "Constrained matrices come to mix", "more than 0.01 of the other streams in half of the sub-layers at least", "in %.0f %%", 100 * bound_mixing);
    an_find_told(f, pre + free_loss + bound_loss, "Validation losses", "Pre-LN %.4f, hyper-connections %.4f, constrained %.4f", pre, free_loss, bound_loss);
}

const an_named_study an_named_r10 = { .name = "r10", .help = "R10: gain of several streams", .source = "arXiv:2512.24880", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
