/* op/streams.c
 * n streams of a token side by side: H [N,n,C], held as any value of N n C numbers ([N n, C] or [N, n C]).
 *   spread   H_a = x                                      how they start
 *   gather   u = sum_a m_a H_a                            what a sub-layer reads; without coefficients the plain sum
 *   mix      H'_t = sum_s R_ts H_s + b_t f                how they pass it
 * Shapes    x, u, f [N,C]   H, H' [N,n,C]   k [N, n (n + 2)]: a row is m [n] | R [n,n], row t the stream that is written | b [n]
 * Saves     gather: H, k   mix: H, f, k       Cost  2nNC and 2n(n + 1)NC flop
 * Backward  spread  dx (+)= sum_a dH_a
 *           gather  dH_a (+)= m_a du;  dm_a (+)= <H_a, du>
 *           mix     dH_s (+)= sum_t R_ts dH'_t;  df (+)= sum_t b_t dH'_t;  dR_ts (+)= <H_s, dH'_t>;  db_t (+)= <f, dH'_t>
 * Ledger    the skip of n streams is R: what mix gives back to H is the identity path's share
 * Errors    build: n or C 0, H not N n C numbers, k not [N, n (n + 2)], f not [N,C] -> AN_ESHAPE
 * Threads   tokens in fixed chunks
 * Source    Zhu et al. 2024, arXiv:2409.19606; Xie et al. 2025, arXiv:2512.24880 */
#include "op/op.h"

enum { H, K, F };                                        /* spread: x is in[0] */

static size_t streams(const an_step *s) { return ((const an_streams_attr *)s->attr)->n; }
static size_t width(const an_step *s) { return ((const an_streams_attr *)s->attr)->width; }
static size_t tokens_of(const an_step *s, const an_value *h) { return h->count / (streams(s) * width(s)); }
static size_t coefficients(size_t n) { return n * (n + 2); }

static an_status infer_spread(struct an_build *b, an_step *s)
{
    const an_streams_attr *at = s->attr;
    AN_TRY(an_need_rank(s, 0, 2));
    const size_t rows = an_rows(s->in[0]);
    AN_TRY(an_need(s, 0, AN_MAT(rows, at->width)));
    if (at->n == 0 || at->width == 0) return an_fail(AN_ESHAPE, "%s: %zu streams of %zu channels; both must be at least 1", s->name, at->n, at->width);
    return an_out(b, s, 0, "", at->wide ? AN_MAT(rows, at->n * at->width) : AN_MAT(rows * at->n, at->width), false);
}

/* H is whole tokens, and there is a row of coefficients for each. */
static an_status need_streams(const an_step *s)
{
    const an_streams_attr *at = s->attr;
    AN_TRY(an_need_rank(s, H, 2));
    if (at->n == 0 || at->width == 0 || s->in[H]->count % (at->n * at->width))
        return an_fail(AN_ESHAPE, "%s: %s with %zu numbers is not %zu streams of %zu channels", s->name, s->in[H]->name, s->in[H]->count, at->n, at->width);
    return s->in[K] ? an_need(s, K, AN_MAT(tokens_of(s, s->in[H]), coefficients(at->n))) : AN_OK;
}

static an_status infer_gather(struct an_build *b, an_step *s)
{
    AN_TRY(need_streams(s));
    return an_out(b, s, 0, "", AN_MAT(tokens_of(s, s->in[H]), width(s)), false);
}

static an_status infer_mix(struct an_build *b, an_step *s)
{
    AN_TRY(need_streams(s));
    if (!s->in[K]) return an_fail(AN_ESHAPE, "%s: streams cannot be mixed without coefficients", s->name);
    AN_TRY(an_need(s, F, AN_MAT(tokens_of(s, s->in[H]), width(s))));
    return an_out(b, s, 0, "", s->in[H]->dims, false);
}

static size_t parts_spread(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(an_rows(s->in[0])) : 0; }
static size_t parts(const an_step *s, an_direction dir, int phase) { (void)dir; return phase == 0 ? an_chunks(tokens_of(s, s->in[H])) : 0; }

static void forward_spread(const an_run *r, const an_step *s, const an_part *p)
{
    (void)r;
    const size_t n = streams(s), c = width(s);
    const an_range w = an_chunk(an_rows(s->in[0]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++)
        for (size_t a = 0; a < n; a++) memcpy(s->out[0]->data + (i * n + a) * c, s->in[0]->data + i * c, c * sizeof(an_real));
}

static void backward_spread(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), c = width(s);
    const an_range w = an_chunk(an_rows(s->in[0]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n && an_has_grad(s, 0); i++)
        for (size_t a = 0; a < n; a++) r->k->scale(c, 1, s->out[0]->grad + (i * n + a) * c, s->in[0]->grad + i * c, a > 0 || an_add(r, s, 0));
}

static void forward_gather(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), c = width(s), row = coefficients(n);
    const an_range w = an_chunk(tokens_of(s, s->in[H]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++)
        for (size_t a = 0; a < n; a++) {
            const an_real m = s->in[K] ? s->in[K]->data[i * row + a] : 1;
            r->k->scale(c, m, s->in[H]->data + (i * n + a) * c, s->out[0]->data + i * c, a > 0);
        }
}

/* The gradient of one row of coefficients, which a first writer sets: what is not its own is 0. */
static an_real *row_of_dk(const an_run *r, const an_step *s, size_t i)
{
    if (!s->in[K] || !an_has_grad(s, K)) return NULL;
    const size_t row = coefficients(streams(s));
    an_real *dk = s->in[K]->grad + i * row;
    if (!an_add(r, s, K)) memset(dk, 0, row * sizeof *dk);
    return dk;
}

static void backward_gather(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), c = width(s), row = coefficients(n);
    const an_range w = an_chunk(tokens_of(s, s->in[H]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *du = s->out[0]->grad + i * c;
        an_real *dk = row_of_dk(r, s, i);
        for (size_t a = 0; a < n; a++) {
            const size_t o = (i * n + a) * c;
            if (dk) dk[a] += AN_R(an_inner(r, c, s->in[H]->data + o, du));
            if (an_has_grad(s, H)) r->k->scale(c, s->in[K] ? s->in[K]->data[i * row + a] : 1, du, s->in[H]->grad + o, an_add(r, s, H));
        }
    }
}

static void forward_mix(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), c = width(s), row = coefficients(n);
    const an_range w = an_chunk(tokens_of(s, s->in[H]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *k = s->in[K]->data + i * row, *h = s->in[H]->data + i * n * c, *f = s->in[F]->data + i * c;
        for (size_t t = 0; t < n; t++) {
            an_real *y = s->out[0]->data + (i * n + t) * c;
            for (size_t a = 0; a < n; a++) r->k->scale(c, k[n + t * n + a], h + a * c, y, a > 0);
            r->k->scale(c, k[n + n * n + t], f, y, 1);
        }
    }
}

static void backward_mix(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = streams(s), c = width(s), row = coefficients(n);
    const an_range w = an_chunk(tokens_of(s, s->in[H]), p->index);
    for (size_t i = w.begin; i < w.begin + w.n; i++) {
        const an_real *k = s->in[K]->data + i * row, *h = s->in[H]->data + i * n * c, *f = s->in[F]->data + i * c, *dy = s->out[0]->grad + i * n * c;
        an_real *dk = row_of_dk(r, s, i);
        for (size_t t = 0; t < n; t++) {
            const an_real *dt = dy + t * c;
            for (size_t a = 0; a < n; a++) {
                if (dk) dk[n + t * n + a] += AN_R(an_inner(r, c, h + a * c, dt));
                if (an_has_grad(s, H)) r->k->scale(c, k[n + t * n + a], dt, s->in[H]->grad + (i * n + a) * c, t > 0 || an_add(r, s, H));
            }
            if (dk) dk[n + n * n + t] += AN_R(an_inner(r, c, f, dt));
            if (an_has_grad(s, F)) r->k->scale(c, k[n + n * n + t], dt, s->in[F]->grad + i * c, t > 0 || an_add(r, s, F));
        }
    }
}

static bool shortcut(const an_step *s) { (void)s; return true; }

static an_cost cost_spread(const an_step *s) { return (an_cost){ 0, (double)(s->in[0]->count + s->out[0]->count) * sizeof(an_real) }; }

static an_cost cost_gather(const an_step *s)
{
    const double h = (double)s->in[H]->count;
    return (an_cost){ 2 * h, (h + (double)s->out[0]->count) * sizeof(an_real) };
}

static an_cost cost_mix(const an_step *s)
{
    const double h = (double)s->in[H]->count;
    return (an_cost){ 2 * (double)(streams(s) + 1) * h, (2 * h + (double)s->in[F]->count) * sizeof(an_real) };
}

const an_op an_op_stream_spread = { .name = "spread", .infer = infer_spread, .parts = parts_spread, .forward = forward_spread,
    .backward = backward_spread, .cost = cost_spread };
const an_op an_op_stream_gather = { .name = "gather", .infer = infer_gather, .parts = parts, .forward = forward_gather,
    .backward = backward_gather, .cost = cost_gather, .backward_flops = 2, .saves_in = 1u << H | 1u << K };
const an_op an_op_stream_mix = { .name = "mix", .infer = infer_mix, .parts = parts, .forward = forward_mix, .backward = backward_mix, .cost = cost_mix,
    .backward_flops = 2, .saves_in = 1u << H | 1u << K | 1u << F, .identity = true, .shortcut = shortcut };
