/* op/map.c
 * What else feature maps need, channel-last, one row per pixel:
 *   pixels    bytes [N*C] -> x [N,C] = byte / 127.5 - 1, one number per colour; no gradient
 *   shrink    the shortcut where maps get smaller and wider, without parameters: y(i, j) = x(i stride, j stride), further channels 0
 *   pool      the mean of each map: x [B*S*S,C] -> y [B,C]
 * Saves     nothing                   Cost  pixels 2NC flop, pool NC; each moves what it reads and writes
 * Backward  shrink: dx (+)= dy at the pixels taken, 0 elsewhere;  pool: dx (+)= dy / S^2
 * Errors    build: rows that are no maps of S x S, bytes that are no pixels, fewer channels out than in -> AN_ESHAPE
 * Threads   rows in fixed chunks
 * Source    He et al. 2015, arXiv:1512.03385, section 4.2, option A; pooling: Lin et al. 2013, arXiv:1312.4400 */
#include "op/op.h"

enum { X };

static size_t strided(const an_map_attr *at) { return (at->side + at->stride - 1) / at->stride; }
static size_t area(const an_map_attr *at) { return at->side * at->side; }

static an_status pixels_infer(struct an_build *b, an_step *s)
{
    const size_t c = ((const an_map_attr *)s->attr)->channels, n = s->in[X]->count;
    AN_TRY(an_need_rank(s, X, 1));
    if (c == 0 || n % c) return an_fail(AN_ESHAPE, "%s: %zu bytes are no pixels of %zu channels", s->name, n, c);
    return an_out(b, s, 0, "", AN_MAT(n / c, c), false);
}

static size_t pixels_parts(const an_step *s, an_direction dir, int phase) { return dir == AN_FORWARD && phase == 0 ? an_chunks(an_rows(s->out[0])) : 0; }

static void pixels_forward(const an_run *r, const an_step *s, const an_part *p)
{
    (void)r;
    const size_t c = an_cols(s->out[0]);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t i = w.begin * c; i < (w.begin + w.n) * c; i++) s->out[0]->data[i] = AN_R((double)s->in[X]->tokens[i] / 127.5 - 1);
}

static void pixels_backward(const an_run *r, const an_step *s, const an_part *p) { (void)r; (void)s; (void)p; }
static an_cost pixels_cost(const an_step *s) { const double n = (double)s->out[0]->count; return (an_cost){ 2 * n, 2 * n * sizeof(an_real) }; }

const an_op an_op_pixels = { .name = "pixels", .infer = pixels_infer, .parts = pixels_parts, .forward = pixels_forward, .backward = pixels_backward, .cost = pixels_cost, .no_grad_in = 1u << X };

static an_status shrink_infer(struct an_build *b, an_step *s)
{
    const an_map_attr *at = s->attr;
    AN_TRY(an_need_maps(s, X, at->side));
    if (at->stride == 0 || at->channels < an_cols(s->in[X]))
        return an_fail(AN_ESHAPE, "%s: a shortcut of stride %zu from %zu channels to %zu; it can only add channels", s->name, at->stride, an_cols(s->in[X]), at->channels);
    return an_out(b, s, 0, "", AN_MAT(an_rows(s->in[X]) / area(at) * strided(at) * strided(at), at->channels), false);
}

static size_t shrink_parts(const an_step *s, an_direction dir, int phase)
{
    return phase == 0 && (dir == AN_FORWARD || an_has_grad(s, X)) ? an_chunks(an_rows(dir == AN_FORWARD ? s->out[0] : s->in[X])) : 0;
}

static void shrink_forward(const an_run *r, const an_step *s, const an_part *p)
{
    (void)r;
    const an_map_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), more = at->channels, to = strided(at);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t k = w.begin; k < w.begin + w.n; k++) {
        an_real *y = s->out[0]->data + k * more;
        memcpy(y, s->in[X]->data + (k / (to * to) * area(at) + (k / to % to * at->side + k % to) * at->stride) * c, c * sizeof *y);
        memset(y + c, 0, (more - c) * sizeof *y);
    }
}

static void shrink_backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_map_attr *at = s->attr;
    const size_t c = an_cols(s->in[X]), side = at->side, z = at->stride, to = strided(at);
    const bool add = an_add(r, s, X);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    for (size_t k = w.begin; k < w.begin + w.n; k++) {
        const size_t i = k / side % side, j = k % side;
        const bool taken = i % z == 0 && j % z == 0;
        const an_real *dy = s->out[0]->grad + (k / area(at) * to * to + i / z * to + j / z) * at->channels;
        an_real *dx = s->in[X]->grad + k * c;
        if (!taken && !add) memset(dx, 0, c * sizeof *dx);
        for (size_t q = 0; taken && q < c; q++) dx[q] = add ? dx[q] + dy[q] : dy[q];
    }
}

static an_cost shrink_cost(const an_step *s) { return (an_cost){ 0, 2 * (double)s->out[0]->count * sizeof(an_real) }; }

const an_op an_op_shrink = { .name = "shrink", .infer = shrink_infer, .parts = shrink_parts, .forward = shrink_forward, .backward = shrink_backward, .cost = shrink_cost };

static an_status pool_infer(struct an_build *b, an_step *s)
{
    const an_map_attr *at = s->attr;
    AN_TRY(an_need_maps(s, X, at->side));
    return an_out(b, s, 0, "", AN_MAT(an_rows(s->in[X]) / area(at), an_cols(s->in[X])), false);
}

static size_t pool_parts(const an_step *s, an_direction dir, int phase) { return phase == 0 && (dir == AN_FORWARD || an_has_grad(s, X)) ? an_chunks(an_rows(s->out[0])) : 0; }

static void pool_forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->in[X]), n = area(s->attr);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t k = w.begin; k < w.begin + w.n; k++) {
        an_real *y = s->out[0]->data + k * c;
        r->k->col_sum(n, c, s->in[X]->data + k * n * c, c, y, 0);
        for (size_t j = 0; j < c; j++) y[j] *= AN_R(1.0 / (double)n);
    }
}

static void pool_backward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t c = an_cols(s->in[X]), n = area(s->attr);
    const an_range w = an_chunk(an_rows(s->out[0]), p->index);
    for (size_t k = w.begin * n; k < (w.begin + w.n) * n; k++)
        r->k->scale(c, AN_R(1.0 / (double)n), s->out[0]->grad + k / n * c, s->in[X]->grad + k * c, an_add(r, s, X));
}

static an_cost pool_cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ n, (n + (double)s->out[0]->count) * sizeof(an_real) }; }

const an_op an_op_pool = { .name = "pool", .infer = pool_infer, .parts = pool_parts, .forward = pool_forward, .backward = pool_backward, .cost = pool_cost, .backward_flops = 1 };
