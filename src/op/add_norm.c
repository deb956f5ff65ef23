/* op/add_norm.c
 * Add & Norm in one memory pass each way: h = a*x + b*f;  y = norm(h).  Made by the fusion pass from residual + norm, and
 * dropout of f before them.
 * Shapes    x, f, h, y [N,C]   g, bias [C] or absent   mean, rstd [N]
 * Saves     h, g, mean, rstd          Cost  11NC flop, 4NC moved
 * Backward  dh = norm_bwd(dy) + (what reached h another way);  dx (+)= a*dh;  df (+)= b*dh;  dg, db as norm
 *           Where a and b are 1, x, f and h share one gradient buffer and dh is written once.
 * Errors    build: as residual and norm
 * Threads   rows in fixed chunks
 * Source    Vaswani et al. 2017, arXiv:1706.03762, section 3.1 */
#include "op/op.h"

enum { X, F, G, B };
enum { Y, H, MEAN, RSTD };

static an_status infer(struct an_build *b, an_step *s)
{
    (void)b;   /* outputs are those of the two steps it replaces */
    AN_TRY(an_need_rank(s, X, 2));
    return an_need(s, F, s->in[X]->dims);
}

static bool trains_affine(const an_step *s) { return (s->in[G] && s->in[G]->wants_grad) || (s->in[B] && s->in[B]->wants_grad); }

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[X]));
    return dir == AN_BACKWARD && phase == 1 && trains_affine(s) ? 1 : 0;
}

/* straight: rows are seen where they lie, not through views; far: what is made lies where nothing is in the caches (an_run.far_saved). */
static an_norm_spec spec(const an_step *s, bool straight, bool far)
{
    an_norm_spec spec = ((const an_add_norm_attr *)s->attr)->spec;
    spec.stream = straight && (far || an_past_cache(s->in[X]->count));
    return spec;
}

/* Of mixed precision with a stream of reals, kernels read and write the branch in bfloat16 themselves. An observed pass needs f after dropout. */
static bool straight_forward(const an_run *r, const an_step *s)
{
    const bool tossed = ((const an_add_norm_attr *)s->attr)->drop.p > 0;
    return s->in[X]->store == AN_STORE_REAL && s->out[H]->store == AN_STORE_REAL && s->in[F]->store == AN_STORE_BF16 && s->out[Y]->store == AN_STORE_BF16 && !(r->observe && tossed);
}
static bool straight_backward(const an_step *s) { return s->out[H]->store == AN_STORE_REAL && s->out[Y]->grad_store == AN_STORE_BF16 && !(an_has_grad(s, F) && s->in[F]->grad_store != AN_STORE_REAL); }

static void forward_low(const an_run *r, const an_step *s, an_range w)
{
    const an_add_norm_attr *at = s->attr;
    const an_norm_spec sp = spec(s, true, r->far_saved);
    const size_t c = an_cols(s->in[X]), o = w.begin * c;
    an_drop drop;
    r->k->add_norm_fwd_low(w.n, c, &sp, AN_R(at->a), s->in[X]->data + o, AN_R(at->b), an_cell(an_data_of(s->in[F]), o), an_tossed(r, &at->drop, o, &drop), s->in[G] ? s->in[G]->data : NULL,
                           s->in[B] ? s->in[B]->data : NULL, s->out[H]->data + o, an_cell(an_data_of(s->out[Y]), o), s->out[MEAN]->data + w.begin, s->out[RSTD]->data + w.begin);
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_add_norm_attr *at = s->attr;
    const an_norm_spec sp = spec(s, !s->low, r->far_saved);
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    if (straight_forward(r, s)) {
        forward_low(r, s, w);
        return;
    }
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        const size_t o = i * c;
        n = an_view_rows(s, c, w.begin + w.n - i);
        const an_real *x = an_view_of(r, an_data_of(s->in[X]), o, n * c, an_view_room(r, p, c, 0));
        an_real *f = an_view_to(an_data_of(s->in[F]), o, an_view_room(r, p, c, 1)), *h = an_view_to(an_data_of(s->out[H]), o, an_view_room(r, p, c, 2));
        an_real *y = an_view_to(an_data_of(s->out[Y]), o, an_view_room(r, p, c, 3));
        an_drop drop;
        (void)an_view_of(r, an_data_of(s->in[F]), o, n * c, f);
        const an_drop *d = an_tossed_seen(r, &at->drop, o, n * c, f, &drop);
        const an_real *g = s->in[G] ? s->in[G]->data : NULL, *bias = s->in[B] ? s->in[B]->data : NULL;
        if (s->out[H]->store == AN_STORE_REAL) {
            r->k->add_norm_fwd(n, c, &sp, AN_R(at->a), x, AN_R(at->b), f, d, g, bias, h, y, s->out[MEAN]->data + i, s->out[RSTD]->data + i);
        } else {                                        /* the norm measures the sum as it is kept, rounded */
            if (d) r->k->dropout(n * c, d->key, d->base, d->p, f, f, 0);
            r->k->axpby(n * c, AN_R(at->a), x, AN_R(at->b), f, h);
            an_view_done(r, an_data_of(s->out[H]), o, n * c, h);
            (void)an_view_of(r, an_data_of(s->out[H]), o, n * c, h);
            r->k->norm_fwd(n, c, &sp, h, g, bias, y, s->out[MEAN]->data + i, s->out[RSTD]->data + i);
        }
        if (r->observe) an_view_done(r, an_data_of(s->in[F]), o, n * c, f);
        an_view_done(r, an_data_of(s->out[Y]), o, n * c, y);
    }
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_add_norm_attr *at = s->attr;
    const bool low = straight_backward(s);
    const an_norm_spec sp = spec(s, low || !s->low, false);
    const size_t rows = an_rows(s->in[X]), c = an_cols(s->in[X]);
    if (p->phase == 1) {
        an_reduce_affine(r, s, G, B, an_chunks(rows), c);
        return;
    }
    const an_range w = an_chunk(rows, p->index);
    const bool h_used = s->out[H]->n_use > 0;           /* somebody else reads h, so part of its gradient is already there */
    const bool x_shares = s->shared[X], f_shares = s->shared[F], to_x = an_has_grad(s, X), to_f = an_has_grad(s, F);
    const int x_add = to_x ? an_add(r, s, X) : 0, f_add = to_f ? an_add(r, s, F) : 0;
    an_real *sums = an_affine_sums(s, trains_affine(s), p->index, c);
    for (size_t i = w.begin, n; i < w.begin + w.n; i += n) {
        const size_t o = i * c;
        n = low ? w.n : an_view_rows(s, c, w.begin + w.n - i);
        const an_real *h = an_view_of(r, an_data_of(s->out[H]), o, n * c, an_view_room(r, p, c, 1));
        an_real *dh = s->out[H]->grad ? s->out[H]->grad + o : NULL, *dx = to_x ? s->in[X]->grad + o : NULL;   /* of the stream: always reals */
        an_real *df = to_f ? an_view_to(an_grad_of(s->in[F]), o, an_view_room(r, p, c, 2)) : NULL;
        if (x_shares) dx = dh;                          /* at->a == 1: the shared buffer takes dh itself */
        if (f_shares && !x_shares) df = dh;
        if (f_shares && x_shares) df = NULL;
        an_drop room;
        const an_drop *drop = an_tossed(r, &at->drop, o, &room);
        const an_real *skip = h_used ? dh : NULL, *g = s->in[G] ? s->in[G]->data : NULL, *mean = s->out[MEAN]->data + i, *rstd = s->out[RSTD]->data + i;
        const int add_x = x_shares ? 0 : x_add, add_f = f_shares ? 0 : f_add;
        if (low) {
            r->k->add_norm_bwd_low(n, c, &sp, AN_R(at->a), AN_R(at->b), drop, an_cell(an_grad_of(s->out[Y]), o), skip, h, g, mean, rstd, dx, add_x, df, add_f, sums, sums ? sums + c : NULL);
            continue;
        }
        const an_real *dy = an_view_of(r, an_grad_of(s->out[Y]), o, n * c, an_view_room(r, p, c, 0));
        r->k->add_norm_bwd(n, c, &sp, AN_R(at->a), AN_R(at->b), drop, dy, skip, h, g, mean, rstd, dx, add_x, df, add_f, sums, sums ? sums + c : NULL);
        if (to_f) an_view_done(r, an_grad_of(s->in[F]), o, n * c, df);
    }
}

static size_t thread_work(const an_step *s) { return s->low ? an_view_count(an_cols(s->in[X]), 4) : 0; }

/* What the norm adds to what reached h another way. */
static void own_grad(const an_run *r, const an_step *s, size_t row, an_real *out)
{
    const an_norm_spec sp = ((const an_add_norm_attr *)s->attr)->spec;
    const size_t c = an_cols(s->in[X]), o = row * c;
    const an_real *dy = an_view_of(r, an_grad_of(s->out[Y]), o, c, out + c), *h = an_view_of(r, an_data_of(s->out[H]), o, c, out + 2 * c);
    r->k->norm_bwd(1, c, &sp, dy, h, s->in[G] ? s->in[G]->data : NULL, s->out[MEAN]->data + row, s->out[RSTD]->data + row, out, 0, NULL, NULL);
}

static size_t work(const an_step *s, an_direction dir)
{
    return dir == AN_BACKWARD && trains_affine(s) ? an_chunks(an_rows(s->in[X])) * 2 * an_cols(s->in[X]) : 0;
}

static uint32_t same_grad(const an_step *s)
{
    const an_add_norm_attr *at = s->attr;
    return (at->a == 1.0 ? 1u << X : 0u) | (at->b == 1.0 && at->drop.p <= 0 ? 1u << F : 0u);
}

static bool shortcut(const an_step *s) { return ((const an_add_norm_attr *)s->attr)->a != 0.0; }

static an_cost cost(const an_step *s) { const double n = (double)s->in[X]->count; return (an_cost){ 11 * n, 4 * n * sizeof(an_real) }; }

const an_op an_op_add_norm = { .name = "add_norm", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1.5, .work = work, .thread_work = thread_work, .low_in = 1u << X | 1u << F, .low_out = 1u << Y | 1u << H, .saves_in = 1u << G, .saves_out = 1u << H | 1u << MEAN | 1u << RSTD, .same_grad = same_grad, .grad_out = H, .own_grad = own_grad, .gauges = &an_gauges_add_norm,
    .identity = true, .shortcut = shortcut };
