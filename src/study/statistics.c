/* study/statistics.c
 * Student's t for whole degrees of freedom is a finite sum of powers of a cosine (Abramowitz & Stegun 26.7.3 and 26.7.4), so nothing is
 * approximated but the last bits; its inverse is found by halving, which is slow, sure, and asked for some hundred times. */
#include "study/statistics.h"

#include <math.h>

/* ---- Student's t ---- */

/* P(|T| < |t|). */
static double within(double t, size_t freedom)
{
    const double angle = atan(fabs(t) / sqrt((double)freedom)), c = cos(angle), c2 = c * c;
    double term = freedom % 2 ? c : 1, sum = freedom == 1 ? 0 : term;
    for (size_t k = freedom % 2 ? 3 : 2; k + 2 <= freedom; k += 2) {
        term *= c2 * (double)(k - 1) / (double)k;
        sum += term;
    }
    return freedom % 2 ? 2 / M_PI * (angle + sin(angle) * sum) : sin(angle) * sum;
}

double an_stat_t_below(double t, size_t freedom)
{
    const double inside = isinf(t) ? 1 : within(t, freedom);
    return t < 0 ? 0.5 * (1 - inside) : 0.5 * (1 + inside);
}

double an_stat_t_quantile(double probability, size_t freedom)
{
    double low = -1, high = 1;
    while (an_stat_t_below(low, freedom) > probability && low > -1e300) low *= 2;
    while (an_stat_t_below(high, freedom) < probability && high < 1e300) high *= 2;
    for (int i = 0; i < 200 && nextafter(low, high) < high; i++) {
        const double middle = low + (high - low) / 2;
        if (an_stat_t_below(middle, freedom) < probability) low = middle;
        else high = middle;
    }
    return high;
}

/* ---- means ---- */

static an_mean finish(an_mean m, double squares)
{
    m.deviation = m.half = m.p = NAN;
    if (m.n < 2) return m;
    m.deviation = sqrt(squares / (double)(m.n - 1));
    const double error = m.deviation / sqrt((double)m.n);
    m.half = an_stat_t_quantile(0.975, m.n - 1) * error;
    m.p = error > 0 ? 2 * an_stat_t_below(-fabs(m.mean / error), m.n - 1) : m.mean == 0 ? 1 : 0;
    return m;
}

an_mean an_stat_paired(size_t n, const double *a, const double *b)
{
    an_mean m = { .mean = NAN };
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = a[i] - (b ? b[i] : 0);
        if (!isfinite(d)) continue;
        sum += d;
        m.n++;
    }
    if (m.n) m.mean = sum / (double)m.n;
    for (size_t i = 0; i < n; i++) {
        const double d = a[i] - (b ? b[i] : 0) - m.mean;
        if (isfinite(d)) squares += d * d;
    }
    return finish(m, squares);
}

an_mean an_stat_mean(size_t n, const double *x) { return an_stat_paired(n, x, NULL); }

/* ---- lines ---- */

static double identity(double x) { return x; }

static bool counts(double x, double y) { return isfinite(x) && isfinite(y); }

static an_line fit(size_t n, const double *x, const double *y, double (*scale)(double))
{
    an_line line = { 0, NAN, NAN, NAN };
    double mx = 0, my = 0, xx = 0, xy = 0, yy = 0;
    for (size_t i = 0; i < n; i++) {
        if (!counts(scale(x[i]), scale(y[i]))) continue;
        mx += scale(x[i]);
        my += scale(y[i]);
        line.n++;
    }
    mx /= (double)line.n;
    my /= (double)line.n;
    for (size_t i = 0; i < n; i++) {
        const double dx = scale(x[i]) - mx, dy = scale(y[i]) - my;
        if (!counts(scale(x[i]), scale(y[i]))) continue;
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    if (!(xx > 0)) return line;
    line.slope = xy / xx;
    line.intercept = my - line.slope * mx;
    line.r2 = yy > 0 ? xy * xy / (xx * yy) : NAN;
    return line;
}

an_line an_stat_line(size_t n, const double *x, const double *y) { return fit(n, x, y, identity); }
an_line an_stat_log_log(size_t n, const double *x, const double *y) { return fit(n, x, y, log); }   /* what is not above 0 has no finite logarithm */

double an_stat_most(size_t n, const double *x)
{
    double most = n ? -INFINITY : NAN;
    for (size_t i = 0; i < n; i++)
        if (!(x[i] <= most)) most = isnan(most) ? most : x[i];
    return most;
}

/* 1 + how many are below, and half of the others that are equal. Quadratic, for the few points of a study. */
static double rank(size_t n, const double *x, const double *other, size_t i)
{
    double below = 0, equal = 0;
    for (size_t k = 0; k < n; k++) {
        if (!counts(x[k], other[k])) continue;
        below += x[k] < x[i];
        equal += x[k] == x[i];
    }
    return below + (equal + 1) / 2;
}

double an_stat_spearman(size_t n, const double *x, const double *y)
{
    double xx = 0, xy = 0, yy = 0;
    size_t m = 0;
    for (size_t i = 0; i < n; i++) m += counts(x[i], y[i]);
    for (size_t i = 0; i < n; i++) {
        if (!counts(x[i], y[i])) continue;
        const double middle = ((double)m + 1) / 2, dx = rank(n, x, y, i) - middle, dy = rank(n, y, x, i) - middle;
        xx += dx * dx;
        xy += dx * dy;
        yy += dy * dy;
    }
    return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}

void an_stat_envelope(size_t runs, const double *const *y, const size_t *length, size_t n, double *mean, double *low, double *high)
{
    for (size_t i = 0; i < n; i++) {
        size_t seen = 0;
        double sum = 0;
        low[i] = high[i] = NAN;
        for (size_t r = 0; r < runs; r++) {
            if (i >= length[r] || !isfinite(y[r][i])) continue;
            sum += y[r][i];
            low[i] = fmin(low[i], y[r][i]);
            high[i] = fmax(high[i], y[r][i]);
            seen++;
        }
        mean[i] = seen ? sum / (double)seen : NAN;
    }
}

/* ---- the failure rule ---- */

static const double TRAINED = 1.0, TRAINED_SHORT = 0.7, NEAR = 0.10;
enum { SHORT_STEPS = 300 };

const char *an_outcome_name(an_outcome outcome)
{
    static const char *const NAMES[AN_OUTCOMES] = { "", "failed", "partial", "degraded", "trained" };
    return NAMES[outcome];
}

an_outcome an_outcome_judge(double loss, double entropy, uint64_t steps, double pre_ln)
{
    if (!isfinite(loss) || !(loss <= entropy - AN_FAILED_NATS)) return AN_OUTCOME_FAILED;
    if (loss > entropy - (steps <= SHORT_STEPS ? TRAINED_SHORT : TRAINED)) return AN_OUTCOME_PARTIAL;
    return isfinite(pre_ln) && loss > pre_ln + NEAR ? AN_OUTCOME_DEGRADED : AN_OUTCOME_TRAINED;
}
