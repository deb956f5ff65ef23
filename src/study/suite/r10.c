/* study/suite/r10.c
 * R10: gain of several streams. Mixing matrices of hyper-connections make signals larger with depth, manifold-constrained ones do not.
 * Source    Zhu et al. 2024, arXiv:2409.19606; Xie et al. 2025, arXiv:2512.24880 (3000 beside 1.6 in a large model)
 * Threshold the catalogue's, not calibrated: constrained 0.8..1.7 throughout, free above 3. Streams that do not differ have learnt nothing: then the
 *           gains say little, and that is judged too */
#include <math.h>

#include "study/evidence.h"

static const char RELEASE[] = "base: { n_layer: 24, n_head: 4, d_model: 128, seq_len: 128, batch_size: 16, steps: 800, lr: 1e-3, warmup: 100, grad_clip: 1, eval_every: 0, eval_batches: 20, telemetry_every: 50 }\n"
                              "grid:\n  design|init: [pre-ln|, hyper-connections|, mhc|]\nseeds: 2\n";

static double gain(const an_study *s, const an_study_cell *cell) { return an_cell_most(s, cell, (an_wanted){ "streams", "gain", "", AN_AT_MOST }); }

/* Mean over sub-layers of the cosine of two streams, at the end. */
static double cosine(const an_study *s, const an_study_cell *cell) { return an_cell_mean(s, cell, (an_wanted){ "streams", "cosine", "", AN_AT_LAST }); }

static void judge(const an_study *s, an_findings *f)
{
    const double free_gain = an_group_measure(s, "design=hyper-connections", gain), bound = an_group_measure(s, "design=mhc", gain);
    const double free_cosine = an_group_measure(s, "design=hyper-connections", cosine), bound_cosine = an_group_measure(s, "design=mhc", cosine);
    an_find_number(f, bound, (an_limits){ 0.8, 1.7 }, "Constrained streams keep their size", "largest composite gain 0.8..1.7", "%.3f", bound);
    an_find_number(f, free_gain, (an_limits){ 3, INFINITY }, "Free streams do not", "largest composite gain above 3", "%.3f", free_gain);
    an_find_number(f, free_cosine, (an_limits){ -1, 0.99 }, "Free streams come to differ", "mean cosine below 0.99 at the end", "%.4f", free_cosine);
    an_find_number(f, bound_cosine, (an_limits){ -1, 0.99 }, "Constrained streams come to differ", "mean cosine below 0.99 at the end", "%.4f", bound_cosine);
}

const an_named_study an_named_r10 = { .name = "r10", .help = "R10: gain of several streams", .source = "arXiv:2512.24880", .tier = AN_TIER_RELEASE,
    .arguments = "", .tier_text = { NULL, NULL, RELEASE }, .judge = judge };
