/* net/norm/powernorm.c
 * PowerNorm as its authors' code has it: no centring, per channel a quadratic mean over tokens, with a backward that is no derivative.
 *     x' = x / sqrt(mean over each of `powernorm_groups` groups of channels of x^2 + eps)      per token; 0 groups: x' = x
 *     v = mean of x'^2 over valid tokens; z = x' / sqrt(v + eps) in the first `powernorm_warmup` training passes, x' / sqrt(phi + eps)
 *     later and in evaluation; y = g z + b
 * In the backward half of training pass t = 1, 2, ..., with k = 0.1:
 *     e = g dy - k E z;  dx' = e / sqrt(v + eps);  dg = sum dy z;  db = sum dy;  E <- E + mean over all rows of e z
 *     t < warmup: phi <- phi (t - 1) / t + v / t;  then always phi <- (1 - k) phi + k v
 * phi is used as it was before the pass. E has the unit of the pass's gradients, loss_scale included. Without a valid token v is phi
 * and nothing moves. Evaluation is differentiated exactly: dx' = g dy / sqrt(phi + eps).
 * Shapes    x, y [N,C]   g, b [C]   phi (running_square), E (running_grad) [C], t - 1 (steps) [1], buffers   v, used [C]
 * Units     norm_eps: of x^2 in both roots
 * Saves     x', g, v, used          Cost  6NC flop, 3NC moved
 * Errors    build: groups do not divide the width -> AN_ECONFIG; training with one token per pass -> AN_ECONFIG
 * Threads   sums per chunk of rows, then in chunk order; then rows in chunks
 * Source    Shen et al. 2020, arXiv:2003.07845, and their code */
#include "net/norm.h"

#include <math.h>

enum { X, G, B, SQUARE, GRAD, STEPS, TOKENS };
enum { Y, V, USED };
typedef struct power_attr { double eps; int64_t warmup; } power_attr;
static const double MOVE = 0.1;

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_batch(s, TOKENS));
    const size_t c = an_cols(s->in[X]);
    for (int i = G; i <= GRAD; i++)
        if (s->in[i] || i > B) AN_TRY(an_need(s, i, AN_VEC(c)));
    AN_TRY(an_need(s, STEPS, AN_VEC(1)));
    AN_TRY(an_out(b, s, Y, "", s->in[X]->dims, false));
    AN_TRY(an_out(b, s, V, ".square", AN_VEC(c), true));
    return an_out(b, s, USED, ".used", AN_VEC(c), true);
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const size_t chunks = an_chunks(an_rows(s->in[X]));
    if (phase < 2) return phase == 0 ? chunks : 1;
    return dir == AN_FORWARD && phase == 2 ? chunks : 0;
}

static double gain(const an_step *s, size_t j) { return s->in[G] ? (double)s->in[G]->data[j] : 1; }
static double root(const an_step *s, int out, size_t j) { return 1 / sqrt((double)s->out[out]->data[j] + ((const power_attr *)s->attr)->eps); }

static double total(const an_step *s, size_t width, size_t column) { return an_total(s, width, an_chunks(an_rows(s->in[X])), column); }

static void decide_squares(const an_run *r, const an_step *s)
{
    const size_t n = r->train ? an_counted_rows(s, TOKENS) : 0;
    const bool warm = n && (double)s->in[STEPS]->data[0] + 1 <= (double)((const power_attr *)s->attr)->warmup;
    for (size_t j = 0; j < an_cols(s->in[X]); j++) {
        const an_real phi = s->in[SQUARE]->data[j];
        s->out[V]->data[j] = n ? AN_R(total(s, an_cols(s->in[X]), j) / (double)n) : phi;
        s->out[USED]->data[j] = warm ? s->out[V]->data[j] : phi;
    }
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    if (p->phase == 1) {
        decide_squares(r, s);
        for (size_t j = 0; j < c; j++) an_sums(s, c, 0)[j] = gain(s, j) * root(s, USED, j);   /* the first chunk's place is free now */
        return;
    }
    double *sums = an_sums(s, c, p->phase == 0 ? p->index : 0);
    if (p->phase == 0) memset(sums, 0, c * sizeof *sums);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c, *b = s->in[B] ? s->in[B]->data : NULL;
        an_real *y = s->out[Y]->data + i * c;
        if (p->phase == 2) for (size_t j = 0; j < c; j++) y[j] = AN_R(sums[j]) * x[j] + (b ? b[j] : 0);
        else if (r->train && an_row_counts(s, TOKENS, i)) for (size_t j = 0; j < c; j++) sums[j] += (double)x[j] * (double)x[j];
    }
}

enum { EZ, DYZ, DY, OF_Z, OF_V, GAINS, HELD, SUMS };   /* columns of a chunk's work: three sums and four factors */

static void backward_chunk(const an_run *r, const an_step *s, size_t chunk)
{
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), chunk);
    const bool add = an_add(r, s, X), wanted = an_has_grad(s, X);
    double *sums = an_sums(s, SUMS * c, chunk);
    memset(sums, 0, SUMS * c * sizeof *sums);
    for (size_t j = 0; j < c; j++) {
        sums[OF_Z * c + j] = root(s, USED, j);
        sums[OF_V * c + j] = root(s, V, j);
        sums[GAINS * c + j] = gain(s, j);
        sums[HELD * c + j] = r->train ? MOVE * (double)s->in[GRAD]->data[j] : 0;
    }
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *x = s->in[X]->data + i * c, *dy = s->out[Y]->grad + i * c;
        an_real *dx = wanted ? s->in[X]->grad + i * c : NULL;
        for (size_t j = 0; j < c; j++) {
            const double z = (double)x[j] * sums[OF_Z * c + j], e = sums[GAINS * c + j] * (double)dy[j] - sums[HELD * c + j] * z;
            sums[EZ * c + j] += e * z;
            sums[DYZ * c + j] += (double)dy[j] * z;
            sums[DY * c + j] += (double)dy[j];
            if (dx) dx[j] = AN_R(e * sums[OF_V * c + j]) + (add ? dx[j] : 0);
        }
    }
}

static void reduce(const an_run *r, const an_step *s)
{
    const size_t c = an_cols(s->in[X]);
    const bool moves = r->train && !r->frozen && an_counted_rows(s, TOKENS) > 0;
    const double t = (double)s->in[STEPS]->data[0] + 1;
    for (size_t j = 0; j < c; j++) {
        an_put_grad(r, s, G, j, total(s, SUMS * c, DYZ * c + j));
        an_put_grad(r, s, B, j, total(s, SUMS * c, DY * c + j));
        if (!moves) continue;
        const double v = (double)s->out[V]->data[j], phi = (double)s->in[SQUARE]->data[j];
        const double first = t < (double)((const power_attr *)s->attr)->warmup ? phi * (t - 1) / t + v / t : phi;
        s->in[SQUARE]->data[j] = AN_R((1 - MOVE) * first + MOVE * v);
        s->in[GRAD]->data[j] += AN_R(total(s, SUMS * c, EZ * c + j) / (double)an_rows(s->in[X]));
    }
    if (moves) s->in[STEPS]->data[0] = AN_R(t);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    if (p->phase == 0) backward_chunk(r, s, p->index);
    else reduce(r, s);
}

static size_t work(const an_step *s, an_direction dir)
{
    return an_sums_room((dir == AN_FORWARD ? 1 : SUMS) * an_cols(s->in[X]), an_chunks(an_rows(s->in[X])));
}

static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 6 * n, 3 * n * sizeof(an_real) }; }

/* Means over channels, but for the distance, which is a root of one; phi as it was before the pass. */
static double measure(const an_run *r, const an_step *s, size_t part, double *m)
{
    const size_t c = an_cols(s->in[X]);
    const double eps = ((const power_attr *)s->attr)->eps;
    (void)r;
    (void)part;
    m[0] = (double)c * an_gauge_rms(s->in[G]);
    for (size_t j = 0; j < c; j++) {
        const double v = (double)s->out[V]->data[j], phi = (double)s->in[SQUARE]->data[j];
        m[1] += v < 10 * eps;
        m[2] += fabs(sqrt((phi + eps) / (v + eps)) - 1);
        m[3] += (phi - v) * (phi - v);
    }
    m[3] = (double)c * sqrt(m[3] / (double)c);
    return (double)c;
}

static const an_gauges GAUGES = { "norm", 4, { "gain_rms", "small_channels", "tid_dev", "var_distance" }, { AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN, AN_FOLD_MEAN }, an_gauge_once, measure };

static const an_op OP = { .name = "powernorm", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost, .backward_flops = 1.5, .work = work,
    .saves_in = 1u << X | 1u << G | 1u << TOKENS, .saves_out = 1u << V | 1u << USED, .no_grad_in = 1u << SQUARE | 1u << GRAD | 1u << STEPS | 1u << TOKENS, .gauges = &GAUGES };

static const an_option OPTIONS[] = {
    AN_NORM_EPS_ROW,
    AN_NORM_AFFINE_ROW,
    AN_NORM_BIAS_ROW,
    AN_NORM_MASKED_ROW,
    { "powernorm_groups", AN_INT, "1", "0..65536", "groups of channels that each token is first scaled in, by root mean square; 0: no such scaling", .flags = AN_PER_SITE },
    { "powernorm_warmup", AN_INT, "10000", "0..16777215", "training passes normalised by the batch, before the running square takes over", .flags = AN_PER_SITE },
    AN_OPTION_END
};

/* Each token divided by the root mean square of each group of its channels. */
static an_value *scale_groups(const an_net *net, an_value *x)
{
    const size_t groups = (size_t)an_here_int(net, "powernorm_groups");
    const an_norm_attr attr = { { .eps = AN_R(an_here_float(net, "norm_eps")) } };
    if (groups == 0) return x;
    if (groups == 1) return AN_EMIT(net->b, &an_op_norm, "scaled", &attr, x, NULL, NULL);
    an_scope_push(net->b, "scaled");
    an_value *y = an_norm_grouped(net, "powernorm_groups", groups, &attr, x);
    an_scope_pop(net->b);
    return y;
}

static an_value *emit(const an_net *net, an_value *x)
{
    an_value *tokens;
    if (!x || !an_norm_mask(net, "powernorm", x, &tokens)) return NULL;
    const size_t c = an_cols(x);
    const power_attr attr = { an_here_float(net, "norm_eps"), an_here_int(net, "powernorm_warmup") };
    const bool affine = an_here_bool(net, "norm_affine");
    x = scale_groups(net, x);
    an_value *g = affine ? an_param_const(net, AN_KIND_VECTOR, "gain", c, 1) : NULL;
    an_value *b = affine && an_norm_wants_bias(net) ? an_param_const(net, AN_KIND_VECTOR, "bias", c, 0) : NULL;
    an_value *square = an_param_const(net, AN_KIND_BUFFER, "running_square", c, 1);
    an_value *grad = an_param_const(net, AN_KIND_BUFFER, "running_grad", c, 0);
    return AN_EMIT(net->b, &OP, "norm", &attr, x, g, b, square, grad, an_param_const(net, AN_KIND_BUFFER, "steps", 1, 0), tokens);
}

static double group_scale(const an_net *net, size_t c, const double *row, size_t j)
{
    const size_t groups = (size_t)an_here_int(net, "powernorm_groups"), width = groups ? c / groups : 1;
    double square = 0;
    for (size_t i = j / width * width; groups && i < j / width * width + width; i++) square += row[i] * row[i] / (double)width;
    return groups ? sqrt(square + an_here_float(net, "norm_eps")) : 1;
}

static void oracle(const an_net *net, size_t n, size_t c, const double *x, const double *gains, const double *bias, double *y)
{
    for (size_t j = 0; j < c; j++) {
        double v = 0;
        for (size_t i = 0; i < n; i++) {
            y[i * c + j] = x[i * c + j] / group_scale(net, c, x + i * c, j);
            v += y[i * c + j] * y[i * c + j] / (double)n;
        }
        if (an_here_int(net, "powernorm_warmup") < 1) v = 1;
        for (size_t i = 0; i < n; i++) y[i * c + j] = (gains ? gains[j] : 1) * y[i * c + j] / sqrt(v + an_here_float(net, "norm_eps")) + (bias ? bias[j] : 0);
    }
}

static const char *const VARIANTS[] = { "powernorm_groups=0", "powernorm_warmup=0", "norm_affine=false", NULL };

const an_norm_kind an_norm_powernorm = { .name = "powernorm", .formula = "y = g x' / sqrt(phi + eps) + b, phi a running mean over tokens of x'^2, x' scaled per token",
    .source = "arXiv:2003.07845", .parameters = "2d (and 2d + 1 running)",
    .options = OPTIONS, .emit = emit, .oracle_batch = oracle, .variants = VARIANTS, .batchwise = true,
    .surrogate = "its backward is an approximation by definition (running sums stand for the derivative of the mean square), not the derivative of its "
                 "forward",
    .note = "norm powernorm: in its first powernorm_warmup training passes its statistics run over the whole batch, later tokens included, so the training "
            "loss is not that of a causal model; validation, sampling and eval use running statistics",
    .remarks = "This is the authors' code, which differs from the paper in four ways: tokens are first scaled by their root mean square (an RMSNorm in front; "
               "off with `powernorm_groups: 0`; 4 groups in their script), the batch's mean square is used for the first 10000 passes (`powernorm_warmup`), "
               "the backward divides by the batch's mean square where the forward divides by the running one, and the running square is updated twice per "
               "pass during warm-up. Padding is masked in v but not in E." };
