/* train/probe.c
 * Lesions, the logit lens and path lengths, see probe.h. */
#include "train/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/rng.h"

static void say(const an_ticker *t, uint64_t done, uint64_t all)
{
    if (t && t->tick) t->tick(t->ctx, done, all);
}

static an_status cuts_for(const an_model *m, unsigned char **cut)
{
    *cut = an_alloc(an_model_site_count(m));
    return *cut ? AN_OK : an_fail(AN_ENOMEM, "probe: no memory for %zu sub-layers", an_model_site_count(m));
}

an_status an_probe_lesions(an_model *m, const an_pass *pass, double *whole, double *loss, const an_ticker *ticker)
{
    const size_t n = an_model_site_count(m);
    unsigned char *cut;
    AN_TRY(an_model_need(m, AN_NEED_LESIONS));
    AN_TRY(cuts_for(m, &cut));
    an_pass with = *pass;
    *whole = an_model_forward(m, pass);
    with.cut = cut;
    for (size_t i = 0; i < n; i++) {
        say(ticker, i + 1, n + 1);
        cut[i] = AN_CUT_BRANCH;
        loss[i] = an_model_forward(m, &with);
        cut[i] = 0;
    }
    free(cut);
    return AN_OK;
}

/* --- logit lens --------------------------------------------------------------------------------------------------- */

static double accuracy(const an_real *logits, const int32_t *targets, size_t rows, size_t vocab)
{
    size_t right = 0, counted = 0;
    for (size_t i = 0; i < rows; i++) {
        const an_real *z = logits + i * vocab;
        size_t best = 0;
        if (targets[i] < 0) continue;
        for (size_t k = 1; k < vocab; k++)
            if (z[k] > z[best]) best = k;
        right += best == (size_t)targets[i];
        counted++;
    }
    return counted ? (double)right / (double)counted : NAN;
}

an_status an_probe_lens(an_model *m, const an_pass *pass, an_lens *lens, const an_ticker *ticker)
{
    const size_t n = an_model_site_count(m), vocab = an_model_get_config(m)->vocab_size;
    AN_TRY(an_model_need(m, AN_NEED_REST));
    an_model_forward(m, pass);
    for (size_t i = n; i-- > 0;) {                           /* from the last: its own place is where the others are put */
        const an_site_view v = an_model_get_site(m, i);
        say(ticker, n - i, n);
        lens[i].loss = an_model_forward_rest(m, pass, v.stream[0]);
        lens[i].accuracy = accuracy(an_model_get_logits(m), pass->targets, v.rows, vocab);
    }
    return AN_OK;
}

/* --- path lengths -------------------------------------------------------------------------------------------------- */

static double length_of(const an_site_view *v)
{
    double sum = 0;
    for (size_t i = 0; i < v->rows * v->cols; i++) sum += (double)v->stream[0][i] * (double)v->stream[0][i];
    return sqrt(sum);
}

double an_probe_path_gradient(an_model *m, const an_pass *pass, const unsigned char *cut)
{
    an_pass with = *pass;
    with.cut = cut;
    an_model_forward_backward(m, &with);
    const an_site_view g = an_model_get_root_gradient(m);
    return length_of(&g) / pass->loss_scale;
}

static double log_choose(size_t n, size_t k) { return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1); }

/* The next set of k out of n in lexical order; false after the last. pick: ascending positions. */
static bool next_set(size_t *pick, size_t k, size_t n)
{
    size_t i = k;
    while (i > 0 && pick[i - 1] == n - k + i - 1) i--;
    if (i == 0) return false;
    pick[i - 1]++;
    for (size_t j = i; j < k; j++) pick[j] = pick[j - 1] + 1;
    return true;
}

/* Lengths of gradients differ by orders of magnitude between sets, mostly by which branches are in them: drawn uniformly, the
 * mean hangs on the few sets that have the strong ones. So a set is drawn in proportion to the product of its branches' weights,
 * which are what single branches keep of the gradient, and counts inversely. e[i][j]: log of the sum of such products over all
 * sets of j among the first i branches. */
typedef struct sets {
    size_t n, samples, *pick;
    unsigned char *cut;
    double *weight, *e;            /* logs: [n], [n + 1, n + 1] */
    uint64_t seed, done, all;
} sets;

static double *sum_at(const sets *s, size_t i, size_t j) { return &s->e[i * (s->n + 1) + j]; }

static double log_add(double a, double b)
{
    const double top = fmax(a, b);
    return isfinite(top) ? top + log(exp(a - top) + exp(b - top)) : top;
}

/* single: lengths through each branch alone. A share of their mean is added, so that every set can be drawn. */
static void weigh(sets *s, const double *single)
{
    double mean = 0;
    for (size_t i = 0; i < s->n; i++) mean += single[i] / (double)s->n;
    for (size_t i = 0; i < s->n; i++) s->weight[i] = mean > 0 && isfinite(mean) ? log(single[i] / mean + 0.05) : 0;
    for (size_t i = 0; i <= s->n; i++)
        for (size_t j = 0; j <= s->n; j++)
            *sum_at(s, i, j) = j == 0 ? 0 : i == 0 ? -INFINITY : log_add(*sum_at(s, i - 1, j), s->weight[i - 1] + *sum_at(s, i - 1, j - 1));
}

/* Draws k branches into pick; returns the log of what the set counts, 1 over its probability. */
static double draw_set(sets *s, size_t k, uint64_t number)
{
    const an_rng_key key = an_rng_key_make(s->seed, AN_RNG_PROBE, (uint64_t)k << 32 | number);
    double counts = *sum_at(s, s->n, k);
    for (size_t i = s->n, left = k; left > 0; i--) {
        const double chance = exp(s->weight[i - 1] + *sum_at(s, i - 1, left - 1) - *sum_at(s, i, left));
        if (i > left && an_rng_uniform(key, i) >= chance) continue;
        s->pick[--left] = i - 1;
        counts -= s->weight[i - 1];
    }
    return counts;
}

/* A gradient through many branches leaves the range of floats. Scaled by the root of what the last length lacked of 1, half of the
 * decay is taken before and half after it; a power of two changes no bit otherwise. */
static double scale_after(double length, double scale) { return length > 0 && isfinite(length) ? exp2(fmax(-120, fmin(120, round(-log2(length) / 2)))) : scale; }

static bool takes_all(const sets *s, size_t k) { return k <= 1 || exp(log_choose(s->n, k)) <= (double)s->samples + 0.5; }

static double length_through(an_model *m, const an_pass *pass, sets *s, size_t k)
{
    memset(s->cut, AN_CUT_BRANCH_GRADIENT, s->n);
    for (size_t i = 0; i < k; i++) s->cut[s->pick[i]] = AN_CUT_SKIP_GRADIENT;
    return an_probe_path_gradient(m, pass, s->cut);
}

static void measure(an_model *m, const an_pass *pass, sets *s, size_t k, an_path *out, const an_ticker *ticker)
{
    double sum = 0, squares = 0;
    const bool every = takes_all(s, k);
    size_t taken = 0;
    for (size_t i = 0; i < k; i++) s->pick[i] = i;
    do {
        const double counts = every ? 0 : draw_set(s, k, taken) - log_choose(s->n, k);
        const double length = length_through(m, pass, s, k) * exp(counts);
        if (k == 1) s->weight[taken] = length;
        sum += length;
        squares += length * length;
        taken++;
        say(ticker, ++s->done, s->all);
    } while (every ? next_set(s->pick, k, s->n) : taken < s->samples);
    const double t = (double)taken, mean = sum / t;
    *out = (an_path){ .length = mean, .log_count = log_choose(s->n, k), .sets = taken };
    out->deviation = every ? 0 : taken > 1 ? sqrt(fmax(0, squares - t * mean * mean) / (t - 1) / t) : NAN;
    if (k == 1) weigh(s, s->weight);
}

/* A straight line through (k, log length), and the shares; counts go beyond double's range, so all by logarithms. */
static void sum_up(an_paths *out, an_path *path, size_t n)
{
    double points = 0, x = 0, y = 0, xx = 0, xy = 0, yy = 0, top = -INFINITY, sum = 0;
    for (size_t k = 0; k <= n; k++) {
        const double l = log(path[k].length), kk = (double)k;
        top = fmax(top, l + path[k].log_count);
        if (!isfinite(l)) continue;
        points++;
        x += kk, y += l, xx += kk * kk, xy += kk * l, yy += l * l;
    }
    const double vx = xx - x * x / points, vy = yy - y * y / points, c = xy - x * y / points;
    out->slope = c / vx;
    out->r2 = vy > 0 ? c * c / (vx * vy) : NAN;
    for (size_t k = 0; k <= n; k++) sum += path[k].share = exp(log(path[k].length) + path[k].log_count - top);
    out->short_share = out->mean_k = out->peak_k = 0;
    for (size_t k = 0; k <= n; k++) {
        path[k].share /= sum;
        if (2 * k <= n) out->short_share += path[k].share;
        out->mean_k += (double)k * path[k].share;
        if (path[k].share > path[(size_t)out->peak_k].share) out->peak_k = (double)k;
    }
}

static uint64_t count_sets(const sets *s)
{
    double all = 0;
    for (size_t k = 0; k <= s->n; k++) all += takes_all(s, k) ? floor(exp(log_choose(s->n, k)) + 0.5) : (double)s->samples;
    return (uint64_t)all;
}

an_status an_probe_paths(an_model *m, const an_pass *pass, size_t samples, uint64_t seed, an_paths *out, an_path *path, const an_ticker *ticker)
{
    const size_t n = an_model_site_count(m);
    AN_TRY(an_model_need(m, AN_NEED_PATHS));
    sets s = { .n = n, .samples = samples, .pick = an_alloc(n * sizeof *s.pick), .seed = seed };
    s.weight = an_alloc(n * sizeof *s.weight);
    s.e = an_alloc((n + 1) * (n + 1) * sizeof *s.e);
    s.all = count_sets(&s);
    an_status status = s.pick && s.weight && s.e ? cuts_for(m, &s.cut) : an_fail(AN_ENOMEM, "probe: no memory for %zu sub-layers", n);
    if (status == AN_OK) {
        an_pass scaled = *pass;
        scaled.loss_scale = 1;
        *out = (an_paths){ .whole = an_probe_path_gradient(m, &scaled, NULL) };
        for (size_t k = 0; k <= n; k++) {
            measure(m, &scaled, &s, k, &path[k], ticker);
            scaled.loss_scale = scale_after(path[k].length, scaled.loss_scale);
        }
        sum_up(out, path, n);
    }
    free(s.pick);
    free(s.weight);
    free(s.e);
    free(s.cut);
    return status;
}
