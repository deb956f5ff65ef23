/* Probes on demand (train/probe.h) against other ways to the same numbers:
 *   a lesion is a sub-layer whose last matrix is zero, or, without a skip, a model that never had it;
 *   the lens after the last sub-layer is the loss, after an earlier one the loss of a model that ends there;
 *   the gradients over all 2^S choices of branch or skip add up to the whole gradient, which an ordinary model has at its
 *   position table, and to no other number: every design keeps that or is refused;
 *   changes and derivatives along an update are those of an ordinary model's logits behind an identity head, and what first
 *   order leaves over shrinks with the square of the update. */
#include "prop.h"

#include "core/rng.h"
#include "net/design.h"
#include "train/probe.h"

#ifdef AN_F64
static const double TOLERANCE = 1e-11;
#else
static const double TOLERANCE = 3e-5;
#endif

static an_model *open_probe(subject *s, bool train)
{
    an_model *m = NULL;
    const an_model_shape shape = { .batch = s->batch, .seq = s->seq, .train = train, .probe = true, .logits = !train };
    if (an_model_share(&m, s->model, &shape) != AN_OK) {
        printf("FAIL a probe plan cannot be built: %s\n", an_error_text());
        exit(1);
    }
    return m;
}

static bool near(double a, double b, double tolerance) { return fabs(a - b) <= tolerance * fabs(b); }

static void quiet(subject *s) { s->pass.train = false; }

static void fill(subject *s, const char *prefix, double value)
{
    for (size_t i = 0; i < s->n_params; i++)
        for (size_t k = 0; strncmp(s->param[i].name, prefix, strlen(prefix)) == 0 && k < s->param[i].count; k++) s->param[i].data[k] = AN_R(value);
}

/* Every parameter of `to` from the one of the same name. */
static void copy_params(subject *to, subject *from)
{
    for (size_t i = 0; i < to->n_params; i++) memcpy(to->param[i].data, prop_param(from, to->param[i].name)->data, to->param[i].count * sizeof(an_real));
}

/* --- lesions ------------------------------------------------------------------------------------------------------ */

static void lesions_by_zeros(const char *settings)
{
    static const char *const LAST[] = { "layers.0.attn.out.", "layers.0.mlp.down.", "layers.1.attn.out.", "layers.1.mlp.down." };
    subject s;
    prop_open(&s, 2, PROP_TRAIN, "%s fuse=false", settings);
    quiet(&s);
    an_model *look = open_probe(&s, false);
    double whole, loss[4];
    if (!prop_check(an_probe_lesions(look, &s.pass, &whole, loss, NULL) == AN_OK, "%s: %s", settings, an_error_text())) exit(1);
    prop_check(whole == an_model_forward(s.model, &s.pass), "%s: uncut, a probe plan has loss %.17g", settings, whole);
    for (size_t i = 0; i < 4; i++) {
        prop_randomise(&s, 1);
        fill(&s, LAST[i], 0);
        const double want = an_model_forward(s.model, &s.pass);
        prop_check(loss[i] == want && want != whole, "%s: lesion %zu gives %.17g, zeros in %s %.17g, whole %.17g", settings, i, loss[i], LAST[i], want, whole);
    }
    an_model_destroy(&look);
    prop_close(&s);
}

/* Both sub-layers of the last layer cut out, and a model without that layer. */
static void lesions_by_a_shorter_model(const char *design)
{
    subject s, t;
    prop_open(&s, 2, PROP_TRAIN, "design=%s fuse=false", design);
    prop_open(&t, 2, PROP_TRAIN, "design=%s fuse=false n_layer=1", design);
    copy_params(&t, &s);
    quiet(&s);
    quiet(&t);
    an_model *look = open_probe(&s, false);
    const unsigned char cut[4] = { 0, 0, AN_CUT_BRANCH, AN_CUT_BRANCH };
    s.pass.cut = cut;
    const double have = an_model_forward(look, &s.pass), want = an_model_forward(t.model, &t.pass);
    prop_check(have == want, "%s: without the last layer %.17g, a model without it %.17g", design, have, want);
    an_model_destroy(&look);
    prop_close(&s);
    prop_close(&t);
}

/* --- logit lens ---------------------------------------------------------------------------------------------------- */

static double share_right(const an_real *logits, const int32_t *targets, size_t rows, size_t vocab)
{
    size_t right = 0;
    for (size_t i = 0; i < rows; i++) {
        bool best = true;
        for (size_t k = 0; k < vocab; k++) best &= logits[i * vocab + k] <= logits[i * vocab + (size_t)targets[i]];
        right += best;
    }
    return (double)right / (double)rows;
}

static void lens_of(const char *design, bool cuts_are_lens)
{
    subject s, t;
    an_lens lens[4];
    prop_open(&s, 2, PROP_TRAIN | PROP_LOGITS, "design=%s fuse=false", design);
    prop_open(&t, 2, PROP_TRAIN, "design=%s fuse=false n_layer=1", design);
    copy_params(&t, &s);
    quiet(&s);
    quiet(&t);
    an_model *look = open_probe(&s, false);
    if (!prop_check(an_probe_lens(look, &s.pass, lens, NULL) == AN_OK, "%s: %s", design, an_error_text())) exit(1);
    const double whole = an_model_forward(s.model, &s.pass), shorter = an_model_forward(t.model, &t.pass);
    const double right = share_right(an_model_get_logits(s.model), s.targets, s.rows, s.vocab);
    prop_check(lens[3].loss == whole && lens[3].accuracy == right && right > 0, "%s: lens at the end %.17g, %g right; the loss is %.17g, %g right", design, lens[3].loss, lens[3].accuracy, whole, right);
    prop_check(lens[1].loss == shorter && shorter != whole, "%s: lens after layer 0 %.17g, a model of one layer %.17g", design, lens[1].loss, shorter);
    unsigned char cut[4] = { AN_CUT_BRANCH, AN_CUT_BRANCH, AN_CUT_BRANCH, AN_CUT_BRANCH };
    s.pass.cut = cut;
    for (size_t i = 0; cuts_are_lens && i < 4; i++) {
        cut[i] = 0;
        const double want = an_model_forward(look, &s.pass);
        prop_check(near(lens[i].loss, want, TOLERANCE), "%s: lens %zu %.17g, all later branches cut %.17g", design, i, lens[i].loss, want);
    }
    an_model_destroy(&look);
    prop_close(&s);
    prop_close(&t);
}

/* --- path lengths ---------------------------------------------------------------------------------------------------- */

static int with_paths, refused;

static void cut_by(unsigned char cut[4], unsigned set)
{
    for (unsigned i = 0; i < 4; i++) cut[i] = set >> i & 1u ? AN_CUT_SKIP_GRADIENT : AN_CUT_BRANCH_GRADIENT;
}

/* Mean length for each number of branches against the probe's, which has fewer than 6 sets to draw from. */
static void profile_agrees(const char *settings, an_model *down, const subject *s, const double *length, double whole)
{
    an_path path[5];
    an_paths sum;
    if (!prop_check(an_probe_paths(down, &s->pass, 6, 1, &sum, path, NULL) == AN_OK, "%s: %s", settings, an_error_text())) return;
    double weight[5], all = 0, half = 0;
    for (unsigned k = 0; k <= 4; k++) {
        double mean = 0, sets = 0;
        for (unsigned set = 0; set < 16; set++)
            if ((unsigned)__builtin_popcount(set) == k) mean += length[set], sets++;
        weight[k] = mean;
        all += mean;
        half += k <= 2 ? mean : 0;
        prop_check(near(path[k].length, mean / sets, TOLERANCE) && path[k].sets == (size_t)sets && near(exp(path[k].log_count), sets, 1e-9), "%s: %u branches, %zu sets, length %.12g; want %g, %.12g", settings, k,
                   path[k].sets, path[k].length, sets, mean / sets);
    }
    for (unsigned k = 0; k <= 4; k++) prop_check(fabs(path[k].share - weight[k] / all) <= TOLERANCE, "%s: share of %u branches %.12g, want %.12g", settings, k, path[k].share, weight[k] / all);
    prop_check(fabs(sum.short_share - half / all) <= TOLERANCE && near(sum.whole, whole, TOLERANCE), "%s: short paths carry %.12g, want %.12g; whole %.12g, want %.12g", settings, sum.short_share, half / all, sum.whole, whole);
}

static void all_choices(const char *settings)
{
    subject s;
    char full[300];
    snprintf(full, sizeof full, "%s n_layer=2", settings);
    prop_open(&s, 1, PROP_TRAIN, "%s", full);
    quiet(&s);
    an_model *down = open_probe(&s, true);
    if (an_model_need(down, AN_NEED_PATHS) != AN_OK) {
        refused++;
        printf("REFUSED %s: %s\n", settings, an_error_text());
        an_model_destroy(&down);
        prop_close(&s);
        return;
    }
    with_paths++;
    const an_site_view g = an_model_get_root_gradient(down);
    const size_t n = g.rows * g.cols;
    an_real *whole = malloc(n * sizeof *whole);
    double *sum = calloc(n, sizeof *sum), length[16], distance = 0, size = 0;
    if (!whole || !sum) exit(1);
    const double all = an_probe_path_gradient(down, &s.pass, NULL);
    memcpy(whole, an_model_get_root_gradient(down).stream[0], n * sizeof *whole);
    for (unsigned set = 0; set < 16; set++) {
        unsigned char cut[4];
        cut_by(cut, set);
        length[set] = an_probe_path_gradient(down, &s.pass, cut);
        const an_real *part = an_model_get_root_gradient(down).stream[0];
        for (size_t i = 0; i < n; i++) sum[i] += (double)part[i];
    }
    an_model_forward_backward(s.model, &s.pass);
    const an_param *pos = prop_param(&s, "embed.pos.weight");
    for (size_t i = 0; i < n; i++) {
        distance += (sum[i] - (double)whole[i]) * (sum[i] - (double)whole[i]);
        size += (double)whole[i] * (double)whole[i];
    }
    prop_check(size > 0 && sqrt(distance / size) <= TOLERANCE, "%s: 16 choices of branch or skip are %.1e away from the whole gradient", settings, sqrt(distance / size));
    const bool direct = !strstr(settings, "peri-ln") && !strstr(settings, "ngpt");   /* else a norm stands between table and stream */
    if (direct) prop_check(prop_distance(n, whole, pos->grad) <= TOLERANCE, "%s: the whole gradient is %.1e away from the position table's", settings, prop_distance(n, whole, pos->grad));
    profile_agrees(settings, down, &s, length, all);
    free(whole);
    free(sum);
    an_model_destroy(&down);
    prop_close(&s);
}

static void paths_of_every_design(void)
{
    static const char *const KNOWN[] = { "plain", "b2t", "value-residual" };   /* no skip; a skip over two sub-layers; one past all */
    char settings[128];
    for (size_t d = 0; an_design_at(d); d++) {
        const int before = refused;
        snprintf(settings, sizeof settings, "design=%s", an_design_name(d));
        all_choices(settings);
        for (size_t k = 0; k < sizeof KNOWN / sizeof *KNOWN; k++)
            if (strcmp(KNOWN[k], an_design_name(d)) == 0) prop_check(refused == before + 1, "%s must be refused", settings);
    }
    prop_check(with_paths >= 5, "paths of %d designs were tested", with_paths);
}

/* With branches of zero only the path through none carries anything. */
static void no_branches(void)
{
    subject s;
    an_path path[5];
    an_paths sum;
    prop_open(&s, 1, PROP_TRAIN, "design=pre-ln");
    fill(&s, "layers.", 0);
    an_model *down = open_probe(&s, true);
    if (an_probe_paths(down, &s.pass, 3, 1, &sum, path, NULL) != AN_OK) exit(1);
    prop_check(path[0].length == sum.whole && path[0].share == 1 && sum.short_share == 1 && path[1].length == 0 && path[2].sets == 3, "zero branches: %g of %g through none, %g through one", path[0].length, sum.whole, path[1].length);
    an_model_destroy(&down);
    prop_close(&s);
}

/* Drawn sets estimate the mean over all: within five standard errors, and closer the more are drawn. One strong branch among weak ones. */
static void drawn_sets(void)
{
    enum { SITES = 8, ROUNDS = 20 };
    subject s;
    an_path all[SITES + 1], some[SITES + 1];
    an_paths sum;
    prop_open(&s, 1, PROP_TRAIN, "design=pre-ln n_layer=4");
    for (size_t i = 0; i < s.n_params; i++)
        for (size_t k = 0; strstr(s.param[i].name, "mlp.down.") && !strstr(s.param[i].name, "layers.2") && k < s.param[i].count; k++) s.param[i].data[k] *= AN_R(0.03);
    an_model *down = open_probe(&s, true);
    if (an_probe_paths(down, &s.pass, 70, 1, &sum, all, NULL) != AN_OK) exit(1);
    double off[SITES + 1] = { 0 }, errors[SITES + 1] = { 0 };
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        if (an_probe_paths(down, &s.pass, 12, seed, &sum, some, NULL) != AN_OK) exit(1);
        for (size_t k = 2; k <= 6; k++) {
            off[k] += (some[k].length - all[k].length) / ROUNDS;
            errors[k] += some[k].deviation / ROUNDS;
            prop_check(some[k].sets == 12 && all[k].sets > 12 && all[k].deviation == 0, "%zu branches: %zu sets of %zu drawn", k, some[k].sets, all[k].sets);
        }
    }
    for (size_t k = 2; k <= 6; k++)
        prop_check(fabs(off[k]) <= 4 * errors[k] / sqrt(ROUNDS) && errors[k] < 0.35 * all[k].length, "%zu branches: mean over all sets %g, over drawn ones %+g, standard error %g", k, all[k].length, off[k], errors[k]);
    an_model_destroy(&down);
    prop_close(&s);
}

/* Far beyond the range of floats: S branches that keep about a thirtieth each, and every length is still on the line. */
static void long_paths(void)
{
    enum { SITES = 40 };
    subject s;
    an_path path[SITES + 1];
    an_paths sum;
    prop_open(&s, 1, PROP_TRAIN, "design=pre-ln n_layer=20");
    for (size_t i = 0; i < s.n_params; i++)
        for (size_t k = 0; strstr(s.param[i].name, "attn.out.") || strstr(s.param[i].name, "mlp.down.") ? k < s.param[i].count : false; k++) s.param[i].data[k] *= AN_R(0.02);
    an_model *down = open_probe(&s, true);
    if (an_probe_paths(down, &s.pass, 2, 1, &sum, path, NULL) != AN_OK) exit(1);
    const double last = log(path[SITES].length), due = log(path[0].length) + SITES * sum.slope;
    prop_check(path[SITES].length < 1e-50 && fabs(last / due - 1) < 0.1 && sum.r2 > 0.99, "length through all %d branches is %g, the line says %g, R^2 %g", SITES, path[SITES].length, exp(due), sum.r2);
    an_model_destroy(&down);
    prop_close(&s);
}

/* --- updates ----------------------------------------------------------------------------------------------------------- */

/* Logits of this model are what its head reads: as many kinds of token as channels, and the identity for a head. */
static void open_bare(subject *s, const char *design)
{
    prop_open(s, 2, PROP_TRAIN | PROP_LOGITS, "design=%s vocab_size=16 tie_embeddings=false fuse=false", design);
    quiet(s);
    an_param *head = prop_param(s, "head.weight");
    for (size_t i = 0; i < head->count; i++) head->data[i] = i % 17 == 0;
}

static double *logits_at(subject *s, const an_real *w, const an_real *dw, double h, double *loss)
{
    const size_t n = s->rows * s->vocab;
    double *out = malloc(n * sizeof *out);
    size_t at = 0;
    for (size_t i = 0; i < s->n_params; at += s->param[i++].count)
        for (size_t k = 0; k < s->param[i].count; k++) s->param[i].data[k] = AN_R((double)w[at + k] + h * (double)dw[at + k]);
    *loss = an_model_forward(s->model, &s->pass);
    for (size_t i = 0; out && i < n; i++) out[i] = (double)an_model_get_logits(s->model)[i];
    if (!out) exit(1);
    return out;
}

static double rms_of(const double *a, double f, const double *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (a[i] - f * b[i]) * (a[i] - f * b[i]);
    return sqrt(sum / (double)n);
}

static an_real *keep_params(const subject *s)
{
    an_real *all = malloc((an_model_param_count(s->model) + 1) * sizeof *all);
    size_t at = 0;
    if (!all) exit(1);
    for (size_t i = 0; i < s->n_params; at += s->param[i++].count) memcpy(all + at, s->param[i].data, s->param[i].count * sizeof *all);
    return all;
}

/* W, and a direction: everything but the head moves, by `size` of itself. */
static void draw_step(const subject *s, an_real *dw, double size)
{
    size_t at = 0;
    for (size_t i = 0; i < s->n_params; i++)
        for (size_t k = 0; k < s->param[i].count; k++, at++) dw[at] = strcmp(s->param[i].name, "head.weight") == 0 ? 0 : AN_R(size * an_rng_normal(an_rng_key_make(11, AN_RNG_PROBE, 3), at));
}

static void update(const char *design)
{
    enum { SITES = 4, SIZES = 3 };
    subject s;
    open_bare(&s, design);
    an_model *look = open_probe(&s, false);
    const size_t n = s.rows * s.vocab;
    an_real *w = keep_params(&s), *dw = keep_params(&s);
    double distance[SIZES], loss[3];
    for (int i = 0; i < SIZES; i++) {
        an_mover *mover;
        an_moved moved[SITES + 1];
        draw_step(&s, dw, 0.02 / (1 << i));
        free(logits_at(&s, w, dw, 0, &loss[0]));
        if (an_mover_create(&mover, look, &s.pass) != AN_OK) exit(1);
        an_mover_begin(mover);
        double *end = logits_at(&s, w, dw, 1, &loss[1]);
        an_real *there = keep_params(&s);
        const double length = an_mover_end(mover, true, moved), slope = an_mover_slope(mover, s.model);
        an_real *back = keep_params(&s);
        prop_check(memcmp(there, back, an_model_param_count(s.model) * sizeof *there) == 0, "%s: parameters are not put back", design);
        double *start = logits_at(&s, w, dw, 0, &loss[0]), wide = 0;
        prop_check(near(moved[SITES].change, rms_of(end, 1, start, n), 10 * TOLERANCE) && near(moved[SITES].since, moved[SITES].change, TOLERANCE), "%s: output changed by %.12g, directly %.12g", design, moved[SITES].change, rms_of(end, 1, start, n));
        prop_check(an_mover_loss(mover, false) == loss[0] && an_mover_loss(mover, true) == loss[1], "%s: losses %.17g and %.17g, directly %.17g and %.17g", design, an_mover_loss(mover, false), an_mover_loss(mover, true), loss[0], loss[1]);
        const double h = sizeof(an_real) == 8 ? 1e-4 : 0.05;     /* another step than the probe's */
        double *up = logits_at(&s, w, dw, h, &loss[1]), *low = logits_at(&s, w, dw, -h, &loss[2]), linear = 0, off = 0;
        for (size_t k = 0; k < n; k++) {
            const double d = (up[k] - low[k]) / (2 * h);
            linear += d * d;
            off += (end[k] - start[k] - d) * (end[k] - start[k] - d);
        }
        const double rough = sizeof(an_real) == 8 ? 1e-4 : 2e-2;
        prop_check(near(moved[SITES].linear, sqrt(linear / (double)n), rough), "%s: first order predicts %.9g, differences say %.9g", design, moved[SITES].linear, sqrt(linear / (double)n));
        prop_check(near(moved[SITES].distance, sqrt(off / (double)n), sizeof(an_real) == 8 ? 1e-3 : 0.1), "%s: distance %.9g, by differences %.9g", design, moved[SITES].distance, sqrt(off / (double)n));
        prop_check(near(slope, (loss[1] - loss[2]) / (2 * h), rough), "%s: the loss should change by %.9g, differences say %.9g", design, slope, (loss[1] - loss[2]) / (2 * h));
        for (size_t k = 0; k < an_model_param_count(s.model); k++) wide += (double)dw[k] * (double)dw[k];
        prop_check(near(length, sqrt(wide), 1e-3), "%s: update of length %.9g, %.9g was made", design, length, sqrt(wide));
        distance[i] = moved[SITES].distance;
        for (size_t k = 0; k < SITES; k++) prop_check(moved[k].change > 0 && moved[k].distance < moved[k].change && moved[k].doubt < moved[k].distance, "%s: sub-layer %zu changed by %g, distance %g, doubt %g", design, k, moved[k].change, moved[k].distance, moved[k].doubt);
        free(up), free(low), free(end), free(start), free(there), free(back);
        an_mover_destroy(&mover);
    }
    for (int i = 0; i + 1 < SIZES; i++)
        prop_check(fabs(distance[i] / distance[i + 1] - 4) < 0.6, "%s: half the update leaves %.4g of the distance from first order, a quarter is due", design, distance[i + 1] / distance[i]);
    free(w);
    free(dw);
    an_model_destroy(&look);
    prop_close(&s);
}

int main(void)
{
    static const char *const ZEROS[] = { "design=pre-ln", "design=post-ln", "design=deepnorm", "design=pre-ln norm=rmsnorm dropout=0.2", "design=mix-ln", "design=b2t" };
    for (size_t i = 0; i < sizeof ZEROS / sizeof *ZEROS; i++) lesions_by_zeros(ZEROS[i]);
    lesions_by_a_shorter_model("plain");
    lesions_by_a_shorter_model("pre-ln");
    lens_of("pre-ln", true);
    lens_of("post-ln", false);
    lens_of("plain", true);
    paths_of_every_design();
    no_branches();
    drawn_sets();
    long_paths();
    update("pre-ln");
    update("post-ln");
    return prop_finish("probes");
}
