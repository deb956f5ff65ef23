/* op/conv.c
 * Convolution 3 x 3 with a border of zeros, without bias: y = G(x) w', where row n of G(x) is the 9 C numbers that pixel n of y sees.
 * G(x) is never held: a part gathers some of its rows at a time and multiplies them through the common seam. Maps are channel-last, one
 * row per pixel, so the three pixels of one line that a pixel sees are one stretch of memory.
 * Shapes    x [B*S*S,C], S the side of a map   w [O,9C], columns by (line, column, channel)   y [B*Z*Z,O], Z = ceil(S / stride)
 * Saves     x, w                      Cost  18 NCO flop, N = B*Z*Z
 * Backward  dx (+)= Gt(dy) wt: a pixel of x gathers the pixels of y that saw it, wt [9O,C] being w with its blocks exchanged;
 *           dw (+)= dy' G(x), in partial sums over at most 8 stretches of rows
 * Errors    build: stride 0, rows that are no maps of S x S, widths that differ -> AN_ESHAPE
 * Threads   rows of y, and of x, in fixed chunks; the partial sums of dw in their order
 * Source    LeCun et al. 1998; 3 x 3 with strides: He et al. 2015, arXiv:1512.03385 */
#include "op/op.h"

enum { X, W };
enum { TAPS = 9, GATHERED = 32768, STRETCHES = 8 };   /* reals gathered at a time: they stay in a core's own cache */

static size_t strided(size_t side, size_t stride) { return (side + stride - 1) / stride; }

an_status an_need_maps(const an_step *s, int i, size_t side)
{
    AN_TRY(an_need_rank(s, i, 2));
    const size_t n = an_rows(s->in[i]);
    if (side && side <= 65535 && n && n % (side * side) == 0) return AN_OK;
    return an_fail(AN_ESHAPE, "%s: %zu rows are no maps of %zu x %zu pixels", s->name, n, side, side);
}

static an_status infer(struct an_build *b, an_step *s)
{
    const an_map_attr *at = s->attr;
    AN_TRY(an_need_maps(s, X, at->side));
    AN_TRY(an_need_rank(s, W, 2));
    if (at->stride == 0) return an_fail(AN_ESHAPE, "%s: a stride of 0", s->name);
    const size_t out = s->in[W]->dims.d[0], to = strided(at->side, at->stride);
    AN_TRY(an_need(s, W, AN_MAT(out, TAPS * an_cols(s->in[X]))));
    return an_out(b, s, 0, "", AN_MAT(an_rows(s->in[X]) / (at->side * at->side) * to * to, out), false);
}

static size_t rows_at_once(size_t width) { return GATHERED / width < 16 ? 16 : GATHERED / width; }

/* Rows [begin, begin + n) of G: for pixel (i, j) of a map of side `to`, the pixels (i stride + a - 1, j stride + b - 1) of x, zeros beyond its border. */
static void gather(const an_map_attr *at, const an_real *x, size_t c, size_t begin, size_t n, an_real *out)
{
    const size_t side = at->side, to = strided(side, at->stride), line = 3 * c;
    for (size_t k = begin; k < begin + n; k++, out += TAPS * c) {
        const size_t i = k / to % to * at->stride, j = k % to * at->stride, first = j == 0, last = j + 1 >= side;   /* its line and column; taps that fall off */
        const an_real *map = x + k / (to * to) * side * side * c;
        for (size_t a = 0; a < 3; a++) {
            an_real *row = out + a * line;
            if (i + a == 0 || i + a > side) {
                memset(row, 0, line * sizeof *row);
                continue;
            }
            if (first) memset(row, 0, c * sizeof *row);
            memcpy(row + first * c, map + ((i + a - 1) * side + j + first - 1) * c, (3 - first - last) * c * sizeof *row);
            if (last) memset(row + 2 * c, 0, c * sizeof *row);
        }
    }
}

/* Rows of Gt: for pixel (i, j) of x, per tap (a, b) the pixel of dy that saw it there, at ((i + 1 - a) / stride, (j + 1 - b) / stride) where
 * that is whole and inside; else zeros. */
static void gather_back(const an_map_attr *at, const an_real *dy, size_t c, size_t begin, size_t n, an_real *out)
{
    const size_t side = at->side, to = strided(side, at->stride), z = at->stride;
    for (size_t k = begin; k < begin + n; k++) {
        const size_t i = k / side % side, j = k % side;
        const an_real *map = dy + k / (side * side) * to * to * c;
        for (size_t tap = 0; tap < TAPS; tap++, out += c) {
            const size_t a = tap / 3, b = tap % 3;
            const bool seen = i + 1 >= a && j + 1 >= b && (i + 1 - a) % z == 0 && (j + 1 - b) % z == 0 && (i + 1 - a) / z < to && (j + 1 - b) / z < to;
            if (seen) memcpy(out, map + ((i + 1 - a) / z * to + (j + 1 - b) / z) * c, c * sizeof *out);
            else memset(out, 0, c * sizeof *out);
        }
    }
}

/* --- backward: work holds wt [9O,C], then the partial sums of dw; phases: exchange, products, sums ------------------------------------- */

static size_t stretch_rows(size_t n) { const size_t each = (n + STRETCHES - 1) / STRETCHES; return each < 64 ? 64 : each; }
static size_t stretches(size_t n) { return (n + stretch_rows(n) - 1) / stretch_rows(n); }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    const size_t x = an_has_grad(s, X) ? an_chunks(an_rows(s->in[X])) : 0, w = an_has_grad(s, W) ? stretches(an_rows(s->out[0])) : 0;
    if (dir == AN_FORWARD) return phase == 0 ? an_chunks(an_rows(s->out[0])) : 0;
    if (phase == 0) return x ? 1 : AN_SKIP_PHASE;
    if (phase == 1) return x + w ? x + w : AN_SKIP_PHASE;
    return phase == 2 && w ? an_chunks(s->in[W]->dims.d[0]) : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_map_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), width = TAPS * c, out = an_cols(s->out[0]), most = rows_at_once(width);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    an_real *seen = r->thread_work[p->thread];
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = w.begin + w.n - i < most ? w.begin + w.n - i : most;
        gather(at, s->in[X]->data, c, i, n, seen);
        r->gemm->run(0, 1, n, out, width, seen, width, s->in[W]->data, width, 0, s->out[0]->data + i * out, out);
    }
}

static void exchange(const an_step *s, an_real *wt)
{
    const size_t c = an_cols(s->in[X]), out = an_cols(s->out[0]);
    for (size_t o = 0; o < out; o++)
        for (size_t tap = 0; tap < TAPS; tap++) memcpy(wt + (tap * out + o) * c, s->in[W]->data + (o * TAPS + tap) * c, c * sizeof *wt);
}

static void input_grad(const an_run *r, const an_step *s, size_t chunk, an_real *seen)
{
    const size_t c = an_cols(s->in[X]), out = an_cols(s->out[0]), width = TAPS * out, most = rows_at_once(width);
    const an_range w = an_chunk(an_rows(s->in[X]), chunk);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        n = w.begin + w.n - i < most ? w.begin + w.n - i : most;
        gather_back(s->attr, s->out[0]->grad, out, i, n, seen);
        r->gemm->run(0, 0, n, c, width, seen, width, s->work, c, an_add(r, s, X) ? 1 : 0, s->in[X]->grad + i * c, c);
    }
}

static void weight_sums(const an_run *r, const an_step *s, size_t stretch, an_real *seen)
{
    const size_t c = an_cols(s->in[X]), out = an_cols(s->out[0]), width = TAPS * c, most = rows_at_once(width), each = stretch_rows(an_rows(s->out[0]));
    const size_t begin = stretch * each, end = begin + each < an_rows(s->out[0]) ? begin + each : an_rows(s->out[0]);
    an_real *sum = s->work + s->in[W]->count * (1 + stretch);
    for (size_t i = begin, n; i < end; i += n) {
        n = end - i < most ? end - i : most;
        gather(s->attr, s->in[X]->data, c, i, n, seen);
        r->gemm->run(1, 0, out, width, n, s->out[0]->grad + i * out, out, seen, width, i > begin, sum, width);
    }
}

static void weight_grad(const an_run *r, const an_step *s, size_t chunk)
{
    const size_t width = an_cols(s->in[W]);
    const an_range w = an_chunk(s->in[W]->dims.d[0], chunk);
    const an_real *sums = s->work + s->in[W]->count + w.begin * width;
    r->k->col_sum(stretches(an_rows(s->out[0])), w.n * width, sums, s->in[W]->count, s->in[W]->grad + w.begin * width, an_add(r, s, W));
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t x = an_has_grad(s, X) ? an_chunks(an_rows(s->in[X])) : 0;
    if (p->phase == 0) exchange(s, s->work);
    else if (p->phase == 2) weight_grad(r, s, p->index);
    else if (p->index < x) input_grad(r, s, p->index, r->thread_work[p->thread]);
    else weight_sums(r, s, p->index - x, r->thread_work[p->thread]);
}

static size_t work(const an_step *s, an_direction dir) { return dir == AN_FORWARD ? 0 : s->in[W]->count * (1 + stretches(an_rows(s->out[0]))); }

static size_t thread_work(const an_step *s)
{
    const size_t seen = TAPS * an_cols(s->in[X]), back = TAPS * an_cols(s->out[0]), a = rows_at_once(seen) * seen, b = rows_at_once(back) * back;
    return a > b ? a : b;
}

static const char *part_name(const an_step *s, an_direction dir, const an_part *p)
{
    if (dir == AN_FORWARD) return "forward";
    return p->phase != 1 ? "" : an_has_grad(s, X) && p->index < an_chunks(an_rows(s->in[X])) ? "input grad" : "weight grad";
}

static an_cost cost(const an_step *s)
{
    return (an_cost){ 2.0 * (double)an_rows(s->out[0]) * (double)s->in[W]->count, (double)(s->in[X]->count + s->in[W]->count + s->out[0]->count) * sizeof(an_real) };
}

const an_op an_op_conv = { .name = "conv", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost, .backward_flops = 2,
    .part_name = part_name, .work = work, .thread_work = thread_work, .saves_in = 1u << X | 1u << W };
