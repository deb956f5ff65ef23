/* tests/kern/check_act.c
 * Activations: bias + act forward, act' backward, SwiGLU, squashing. Formulas in long double, straight from the definitions.
 * Bounds: a gate s(u) costs about 3 roundings plus the rounding of u, which moves it by (1 - s) |u| eps of itself; the normal
 * distribution 6 ulp. In f64 the reference itself pays these. */
#include "check.h"

/* A gate below the smallest normal number may be 0 (in double: loses digits) before it is multiplied: that number in units of eps. */
static long double lost(long double factor) { return (sizeof(an_real) == 4 ? 0x1p-126L : 0x1p-1074L) / (long double)AN_REAL_EPS * fabsl(factor); }

typedef struct curve { long double y, slope, y_mag, slope_mag; } curve;   /* mag: in eps */
typedef curve (*curve_fn)(long double z);

static curve saturated(long double z)   /* far out the gate is 1 or 0; -inf * 0 is NaN */
{
    return z > 0 ? (curve){ z, 1, z, 1 } : (curve){ isinf(z) ? (long double)NAN : 0, 0, 0, 0 };
}

static curve gelu_tanh(long double z)
{
    if (fabsl(z) > 100) return saturated(z);
    const long double a = sqrtl(2 / acosl(-1)), u = a * (z + 0.044715L * z * z * z), du = a * (1 + 3 * 0.044715L * z * z);
    const long double s = 1 / (1 + expl(-2 * u)), rest = 1 / (1 + expl(2 * u)), bend = 2 * z * s * rest * du;
    const long double gate = 2 + 4 * fabsl(u) * rest;
    return (curve){ z * s, s + bend, fabsl(z) * s * gate + lost(z), s * gate + fabsl(bend) * (3 + 4 * fabsl(u)) + lost(1 + 2 * fabsl(z) * du) };
}

static curve gelu_erf(long double z)
{
    if (fabsl(z) > 100) return saturated(z);
    const long double s = 0.5L * erfcl(-z / sqrtl(2)), bend = z * expl(-z * z / 2) / sqrtl(2 * acosl(-1));
    const long double steep = sizeof(an_real) == 4 ? 1 : 1 + z * z / 4;   /* double: libm's argument -z/sqrt(2) is rounded */
    return (curve){ z * s, s + bend, fabsl(z) * s * 3 * steep + lost(z), (s + fabsl(bend)) * 3 * steep + lost(1 + fabsl(z)) };
}

static curve relu(long double z)
{
    if (isnan(z)) return (curve){ z, 0, 0, 0 };
    return z > 0 ? (curve){ z, 1, z, 1 } : (curve){ 0, 0, 0, 0 };
}

/* The row under test, by its place in the table. */
typedef enum which { GELU_TANH, GELU_ERF, RELU } which;
static const curve_fn CURVE[] = { gelu_tanh, gelu_erf, relu };

static void forward(an_check *k, which w)
{
    const size_t c = an_pick_size(k), n = an_pick_rows(k);
    const an_real *bias = an_pick_bool(k) ? an_in(k, "bias", c, AN_FILL_NORMAL) : NULL;
    an_out *z = an_out_new(k, "z", n * c, AN_FILL_CASE), *y = an_out_new(k, "y", n * c, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n * c), 20.0 * (double)(n * c));
    while (an_next_run(k)) {
        const an_kernels *t = an_table(k);
        (w == GELU_TANH ? t->gelu_tanh_fwd : w == GELU_ERF ? t->gelu_erf_fwd : t->relu_fwd)(n, c, bias, an_at(z), an_at(y));
    }
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n * c; i++) {
        const an_real kept = bias ? z->init[i] + bias[i % c] : z->init[i];
        const curve v = CURVE[w]((long double)kept);
        an_want(z, i, (long double)kept, 0);
        an_want(y, i, v.y, v.y_mag);
    }
    an_judge_exact(k, z);
    an_judge(k, y, 3);
}

static void backward(an_check *k, which w)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const int add = an_pick_bool(k), alias = !add && an_checking(k) && an_pick_bool(k);   /* dz may be dy */
    const an_real *z = an_in(k, "z", n, AN_FILL_CASE), *dy = an_in(k, "dy", n, AN_FILL_NORMAL);
    an_out *dz = an_out_new(k, "dz", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(3 * n), 30.0 * (double)n);
    while (an_next_run(k)) {
        const an_kernels *t = an_table(k);
        (w == GELU_TANH ? t->gelu_tanh_bwd : w == GELU_ERF ? t->gelu_erf_bwd : t->relu_bwd)(n, z, alias ? an_at(dz) : dy, an_at(dz), add);
    }
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const curve v = CURVE[w]((long double)z[i]);
        const long double d = (long double)(alias ? dz->init : dy)[i], old = add ? (long double)dz->init[i] : 0;
        an_want(dz, i, old + d * (w != RELU && isinf(z[i]) ? (z[i] > 0 ? 1 : 0) : v.slope), fabsl(old) + fabsl(d) * v.slope_mag);
    }
    an_judge(k, dz, 3);
}

void an_check_gelu_tanh_fwd(an_check *k) { forward(k, GELU_TANH); }
void an_check_gelu_erf_fwd(an_check *k) { forward(k, GELU_ERF); }
void an_check_relu_fwd(an_check *k) { forward(k, RELU); }
void an_check_gelu_tanh_bwd(an_check *k) { backward(k, GELU_TANH); }
void an_check_gelu_erf_bwd(an_check *k) { backward(k, GELU_ERF); }
void an_check_relu_bwd(an_check *k) { backward(k, RELU); }

void an_check_swiglu_fwd(an_check *k)
{
    const size_t f = an_pick_size(k), n = an_pick_rows(k);
    const int gate_last = an_pick_bool(k);
    const an_real *x = an_in(k, "x", 2 * n * f, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n * f, AN_FILL_NORMAL);
    an_work(k, an_bytes(3 * n * f), 15.0 * (double)(n * f));
    while (an_next_run(k)) an_table(k)->swiglu_fwd(n, f, x, gate_last, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n * f; i++) {
        const size_t first = i / f * 2 * f + i % f, gate = first + (gate_last ? f : 0), up = first + (gate_last ? 0 : f);
        const long double g = (long double)x[gate], u = (long double)x[up], s = 1 / (1 + expl(-g));
        an_want(y, i, g * s * u, fabsl(g * s * u) + lost(g * u));
    }
    an_judge(k, y, 6);
}

void an_check_swiglu_bwd(an_check *k)
{
    const size_t f = an_pick_size(k), n = an_pick_rows(k);
    const int add = an_pick_bool(k), gate_last = an_pick_bool(k);
    const an_real *x = an_in(k, "x", 2 * n * f, AN_FILL_CASE), *dy = an_in(k, "dy", n * f, AN_FILL_NORMAL);
    an_out *dx = an_out_new(k, "dx", 2 * n * f, AN_FILL_NORMAL);
    an_work(k, an_bytes(5 * n * f), 25.0 * (double)(n * f));
    while (an_next_run(k)) an_table(k)->swiglu_bwd(n, f, x, gate_last, dy, an_at(dx), add);
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n * f; i++) {
        const size_t first = i / f * 2 * f + i % f, gate = first + (gate_last ? f : 0), up = first + (gate_last ? 0 : f);
        const long double g = (long double)x[gate], u = (long double)x[up], d = (long double)dy[i], s = 1 / (1 + expl(-g)), rest = 1 / (1 + expl(g));
        const long double o0 = add ? (long double)dx->init[gate] : 0, o1 = add ? (long double)dx->init[up] : 0;
        an_want(dx, gate, o0 + d * u * s * (1 + g * rest), fabsl(o0) + fabsl(d * u) * s * (1 + fabsl(g) * rest) * 6 + 3 * (lost(d * u * g) + lost(d * u)));
        an_want(dx, up, o1 + d * g * s, fabsl(o1) + fabsl(d * g * s) * 6 + 3 * (lost(d * g) + lost(d)));
    }
    an_judge(k, dx, 1.5);
}

/* Bounds: z is rounded once and moves y by slope |z| eps, the slope by |f''| |z| eps of which 2 |z| slope is a bound for tanh, 2 z^2 slope for erf. */
typedef struct squash { long double y, slope, y_mag, slope_mag; } squash;

static squash squash_at(int erf_kind, long double a, long double x, long double shift)
{
    const long double z = a * x + shift, size = fabsl(a * x) + fabsl(shift), e = expl(-2 * fabsl(z));
    const long double y = erf_kind ? erfl(z) : tanhl(z), slope = erf_kind ? 2 / sqrtl(acosl(-1)) * expl(-z * z) : 4 * e / ((1 + e) * (1 + e));
    const long double steep = isinf(size) ? 0 : size, bend = erf_kind ? fabsl(z) : 1;
    return (squash){ y, slope, 3 * fabsl(y) + slope * steep, slope * (4 + (isinf(z) ? 0 : 2 * bend * steep)) + lost(1) };
}

void an_check_squash_fwd(an_check *k)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const int erf_kind = (int)an_pick(k, 2);
    const an_real a = an_pick_scale(k), shift = an_pick_scale(k), *x = an_in(k, "x", n, AN_FILL_CASE);
    an_out *y = an_out_new(k, "y", n, AN_FILL_NORMAL);
    an_work(k, an_bytes(2 * n), 20.0 * (double)n);
    while (an_next_run(k)) an_table(k)->squash_fwd(n, erf_kind, a, shift, x, an_at(y));
    if (!an_checking(k)) return;
    for (size_t i = 0; i < n; i++) {
        const squash v = squash_at(erf_kind, (long double)a, (long double)x[i], (long double)shift);
        an_want(y, i, v.y, v.y_mag);
    }
    an_judge(k, y, 1.5);
}

void an_check_squash_bwd(an_check *k)
{
    const size_t n = an_pick_size(k) * (an_checking(k) ? 1 : an_pick_rows(k));
    const int erf_kind = (int)an_pick(k, 2), add = an_pick_bool(k);
    const an_real a = an_pick_scale(k), shift = an_pick_scale(k), *x = an_in(k, "x", n, AN_FILL_CASE), *dy = an_in(k, "dy", n, AN_FILL_NORMAL);
    an_out *dx = an_pick(k, 5) || !an_checking(k) ? an_out_new(k, "dx", n, AN_FILL_NORMAL) : NULL, *s = an_out_new(k, "sums", 2, AN_FILL_ZERO);
    an_work(k, an_bytes(3 * n), 30.0 * (double)n);
    while (an_next_run(k)) {
        double sums[2];
        an_table(k)->squash_bwd(n, erf_kind, a, shift, x, dy, dx ? an_at(dx) : NULL, add, sums);
        for (size_t j = 0; j < 2; j++) an_at(s)[j] = (an_real)sums[j];
    }
    if (!an_checking(k)) return;
    long double ex = 0, all = 0, ex_mag = 0, all_mag = 0;
    for (size_t i = 0; i < n; i++) {
        const squash v = squash_at(erf_kind, (long double)a, (long double)x[i], (long double)shift);
        const long double e = v.slope * (long double)dy[i], e_mag = v.slope_mag * fabsl((long double)dy[i]), old = dx && add ? (long double)dx->init[i] : 0;
        ex += e * (long double)x[i], ex_mag += e_mag * fabsl((long double)x[i]);
        all += e, all_mag += e_mag;
        if (dx) an_want(dx, i, old + (long double)a * e, fabsl(old) + fabsl((long double)a) * e_mag);
    }
    const long double own = sizeof(an_real) == 4 ? 1 : (long double)(n + 2);   /* sums in double */
    an_want(s, 0, ex, ex_mag * own);
    an_want(s, 1, all, all_mag * own);
    if (dx) an_judge(k, dx, 1.5);
    an_judge(k, s, 1.5);
}
