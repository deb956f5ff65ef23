/* study/suite/r3.c
 * R3: the depth ladder. Without a skip four layers are worse than two and eight fail; Post-LN has a critical depth; Pre-LN, DeepNorm, ReZero and
 * KEEL have none here, and B2T's lies beyond Post-LN's.
 * Source    He et al. 2015, arXiv:1512.03385 (degradation); Xiong et al. 2020, arXiv:2002.04745; Takase et al. 2022, arXiv:2206.00330;
 *           Bachlechner et al. 2020, arXiv:2003.04887; Wang et al. 2022, arXiv:2203.00555; KEEL, arXiv:2601.19895
 * Threshold the failure rule; plain fails by 8 layers (by 6 when this was set), critical(Post-LN) at most 12. Depths beyond 24 were not
 *           run when thresholds were set: the release tier has 48 */
#include <math.h>

#include "study/evidence.h"
#include "study/statistics.h"

#define BASE "base: { d_model: 64, n_head: 4, seq_len: 64, lr: 1e-3, dropout: 0, telemetry: off, eval_every: 0, eval_batches: 10, grad_clip: 0, "
#define SHALLOW "grid:\n  design|init|warmup: [plain|xavier|0, pre-ln|xavier|0]\n  n_layer: [1, 2, 4, 8]\n"
#define DEEP "grid_deep:\n  design|init|warmup: [plain|xavier|0, post-ln|xavier|0, post-ln|xavier|100, pre-ln|xavier|0, pre-ln|gpt2|0, deepnorm||0, rezero||0, b2t||0, keel|xavier|0]\n"

static const char CI[] = BASE "batch_size: 16, steps: 200 }\n" SHALLOW "grid_post:\n  design|init|warmup: [post-ln|xavier|0]\n  n_layer: [12]\nseeds: 1\n";
static const char NIGHTLY[] = BASE "batch_size: 32, steps: 400 }\n" SHALLOW DEEP "  n_layer: [6, 12, 24]\nseeds: 2\n";
static const char RELEASE[] = BASE "batch_size: 32, steps: 400 }\n" SHALLOW DEEP "  n_layer: [6, 12, 24, 48]\nseeds: 2\n";

static double loss_at(const an_study *s, const char *design, int depth)
{
    char settings[64];
    snprintf(settings, sizeof settings, "design=%s n_layer=%d", design, depth);
    return an_group_quantity(s, settings, AN_Q_LOSS);
}

/* The least depth of those run at which a run failed; INFINITY: none did, NaN: runs are missing. */
static double critical(const an_study *s, const char *settings)
{
    double least = INFINITY;
    size_t found = 0;
    for (size_t i = 0; i < s->n_groups; i++) {
        const an_study_cell *cell = &s->cell[s->group[i].first];
        const char *depth = an_cell_value(cell, "n_layer");
        char all[96];
        snprintf(all, sizeof all, "%s n_layer=%s", settings, depth);
        if (an_study_find(s, all) != &s->group[i]) continue;
        found++;
        for (size_t k = 0; k < s->group[i].n; k++)
            if (s->cell[s->group[i].first + k].result.outcome == AN_OUTCOME_NONE) return NAN;
        if (an_group_count(s, &s->group[i], AN_OUTCOME_FAILED)) least = fmin(least, an_cell_number(cell, "n_layer"));
    }
    return found ? least : NAN;
}

/* "none" or the depth. */
static const char *depth_text(char out[16], double critical)
{
    snprintf(out, 16, isinf(critical) ? "none" : "%.0f", critical);
    return out;
}

static void judge_deep(const an_study *s, an_findings *f)
{
    static const struct { const char *settings, *claim; } DESIGN[] = {
        { "design=pre-ln init=xavier", "Pre-LN fails at no depth" }, { "design=pre-ln init=gpt2", "Pre-LN with GPT-2's initialisation fails at no depth" }, { "design=deepnorm", "DeepNorm fails at no depth" },
        { "design=rezero", "ReZero fails at no depth" }, { "design=keel", "KEEL fails at no depth" },
    };
    const char *deepest = an_study_find(s, "n_layer=48") ? "48" : "24";
    char settings[96], x[16], y[16], z[16];
    for (size_t i = 0; i < sizeof DESIGN / sizeof *DESIGN; i++) {
        const double depth = critical(s, DESIGN[i].settings);
        snprintf(settings, sizeof settings, "%s n_layer=%s", DESIGN[i].settings, deepest);
        an_find_number(f, isnan(depth) ? NAN : isinf(depth), (an_limits){ 1, 1 }, DESIGN[i].claim, "no run fails at any depth", "critical depth %s; loss %.3f at %s layers", depth_text(x, depth),
                       an_group_quantity(s, settings, AN_Q_LOSS), deepest);
    }
    const double post = critical(s, "design=post-ln warmup=0"), b2t = critical(s, "design=b2t"), warm = critical(s, "design=post-ln warmup=100"), plain = critical(s, "design=plain");
    an_find_number(f, isnan(post) || isnan(b2t) ? NAN : b2t > post, (an_limits){ 1, 1 }, "B2T goes deeper than Post-LN", "a larger critical depth", "B2T %s, Post-LN %s", depth_text(x, b2t), depth_text(y, post));
    an_find_told(f, isnan(warm) ? warm : plain, "Critical depths of the others", "plain %s, Post-LN %s without warm-up and %s with", depth_text(x, plain), depth_text(y, post), depth_text(z, warm));
}

static void judge(const an_study *s, an_findings *f)
{
    const double two = loss_at(s, "plain", 2), four = loss_at(s, "plain", 4);
    double rise = 0;
    an_find_number(f, four - two, (an_limits){ 0.05, INFINITY }, "Without a skip depth hurts", "loss at 4 layers at least 0.05 nats above that at 2", "%.4f at 2, %.4f at 4", two, four);
    an_find_outcome(s, f, (an_expected_outcome){ "design=plain n_layer=8", NULL, AN_OUTCOME_FAILED, 1 }, "Without a skip eight layers fail", "failed in all runs");
    for (int depth = 2; depth <= 8; depth *= 2) {
        const double more = loss_at(s, "pre-ln", depth) - loss_at(s, "pre-ln", depth / 2);
        rise = an_stat_most(2, (double[]){ rise, more });
    }
    an_find_number(f, rise, (an_limits){ 0, 0.02 }, "Pre-LN does not get worse with depth", "no doubling from 1 to 8 layers adds more than 0.02 nats", "the largest rise is %.4f nats", rise);
    const double post = critical(s, "design=post-ln warmup=0");
    char x[16];
    an_find_number(f, post, (an_limits){ 0, 12 }, "Post-LN has a critical depth", "fails by 12 layers", "critical depth %s", depth_text(x, post));
    if (an_study_find(s, "design=b2t")) judge_deep(s, f);
}

const an_named_study an_named_r3 = { .name = "r3", .help = "R3: the depth ladder, plain against residual", .source = "arXiv:1512.03385", .tier = AN_TIER_CI,
    .arguments = "", .tier_text = { CI, NIGHTLY, RELEASE }, .judge = judge };
