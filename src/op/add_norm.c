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

static an_norm_spec spec(const an_step *s)
{
    an_norm_spec spec = ((const an_add_norm_attr *)s->attr)->spec;
    spec.stream = an_past_cache(s->in[X]->count);
    return spec;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_add_norm_attr *at = s->attr;
    const an_norm_spec sp = spec(s);
    const size_t c = an_cols(s->in[X]);
    const an_range w = an_chunk(an_rows(s->in[X]), p->index);
    const size_t o = w.begin * c;
    an_drop drop;
    const an_drop *d = an_tossed_seen(r, &at->drop, o, w.n * c, s->in[F]->data + o, &drop);
    r->k->add_norm_fwd(w.n, c, &sp, AN_R(at->a), s->in[X]->data + o, AN_R(at->b), s->in[F]->data + o, d, s->in[G] ? s->in[G]->data : NULL,
                       s->in[B] ? s->in[B]->data : NULL, s->out[H]->data + o, s->out[Y]->data + o, s->out[MEAN]->data + w.begin, s->out[RSTD]->data + w.begin);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const an_add_norm_attr *at = s->attr;
    const an_norm_spec sp = spec(s);
    const size_t n = an_rows(s->in[X]), c = an_cols(s->in[X]);
    if (p->phase == 1) {
        an_reduce_affine(r, s, G, B, an_chunks(n), c);
        return;
    }
    const an_range w = an_chunk(n, p->index);
    const size_t o = w.begin * c;
    const bool h_used = s->out[H]->n_use > 0;           /* somebody else reads h, so part of its gradient is already there */
    an_real *dh = s->out[H]->grad ? s->out[H]->grad + o : NULL;
    an_real *dx = an_has_grad(s, X) ? s->in[X]->grad + o : NULL, *df = an_has_grad(s, F) ? s->in[F]->grad + o : NULL;
    const bool x_shares = s->shared[X], f_shares = s->shared[F];
    an_real *sums = an_affine_sums(s, trains_affine(s), p->index, c);
    const int x_add = dx ? an_add(r, s, X) : 0, f_add = df ? an_add(r, s, F) : 0;
    if (x_shares) dx = dh;                              /* at->a == 1: the shared buffer takes dh itself */
    if (f_shares && !x_shares) df = dh;
    if (f_shares && x_shares) df = NULL;
    an_drop drop;
    r->k->add_norm_bwd(w.n, c, &sp, AN_R(at->a), AN_R(at->b), an_tossed(r, &at->drop, o, &drop), s->out[Y]->grad + o, h_used ? dh : NULL, s->out[H]->data + o,
                       s->in[G] ? s->in[G]->data : NULL, s->out[MEAN]->data + w.begin, s->out[RSTD]->data + w.begin, dx, x_shares ? 0 : x_add,
                       df, f_shares ? 0 : f_add, sums, sums ? sums + c : NULL);
}

/* What the norm adds to what reached h another way. */
static void own_grad(const an_run *r, const an_step *s, size_t row, an_real *out)
{
    const an_norm_spec sp = ((const an_add_norm_attr *)s->attr)->spec;
    const size_t c = an_cols(s->in[X]), o = row * c;
    r->k->norm_bwd(1, c, &sp, s->out[Y]->grad + o, s->out[H]->data + o, s->in[G] ? s->in[G]->data : NULL, s->out[MEAN]->data + row, s->out[RSTD]->data + row, out, 0, NULL, NULL);
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
    .backward_flops = 1.5, .work = work, .saves_in = 1u << G, .saves_out = 1u << H | 1u << MEAN | 1u << RSTD, .same_grad = same_grad, .grad_out = H, .own_grad = own_grad, .gauges = &an_gauges_add_norm,
    .identity = true, .shortcut = shortcut };
