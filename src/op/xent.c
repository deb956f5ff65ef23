/* op/xent.c
 * Softmax cross-entropy: loss = mean over targets >= 0 of L_i - z_i[target_i] + z_loss L_i^2, in nats; L_i = logsumexp(z_i).
 * Shapes    z [N,V]   targets [N]   loss [1]
 * Saves     z                       Cost  about 6NV flop
 * Backward  dz = (softmax(z) (1 + 2 z_loss L) - onehot(target)) * loss_scale / n_target
 * Errors    build: z and targets of different N -> AN_ESHAPE
 * Threads   rows in fixed chunks; row losses summed in row order, in double */
#include "op/op.h"

enum { Z, TARGET };

static an_status infer(struct an_build *b, an_step *s)
{
    AN_TRY(an_need_rank(s, Z, 2));
    AN_TRY(an_need(s, TARGET, AN_VEC(an_rows(s->in[Z]))));
    AN_TRY(an_out(b, s, 0, "", AN_VEC(1), true));
    s->out[0]->keep = true;
    return AN_OK;
}

static size_t parts(const an_step *s, an_direction dir, int phase)
{
    if (phase == 0) return an_chunks(an_rows(s->in[Z]));
    return dir == AN_FORWARD && phase == 1 ? 1 : 0;
}

static void forward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t n = an_rows(s->in[Z]), v = an_cols(s->in[Z]);
    if (p->phase == 1) {
        s->out[0]->data[0] = an_mean_loss(r, n, s->work);
        return;
    }
    const an_range w = an_chunk(n, p->index);
    r->k->xent_fwd(w.n, v, s->in[Z]->data + w.begin * v, v, s->in[TARGET]->tokens + w.begin, an_z_loss(s), s->work + w.begin);
}

static void backward(const an_run *r, const an_step *s, const an_part *p)
{
    const size_t v = an_cols(s->in[Z]);
    const an_range w = an_chunk(an_rows(s->in[Z]), p->index);
    an_real *dz = s->in[Z]->grad + w.begin * v;
    memcpy(dz, s->in[Z]->data + w.begin * v, w.n * v * sizeof *dz);
    r->k->xent_grad(w.n, v, dz, v, s->in[TARGET]->tokens + w.begin, an_loss_grad(r), an_z_loss(s), s->work + w.begin);
}

static size_t work(const an_step *s, an_direction dir) { (void)dir; return an_rows(s->in[Z]); }
static an_cost cost(const an_step *s) { const double n = (double)s->in[Z]->count; return (an_cost){ 6 * n, n * sizeof(an_real) }; }

const an_op an_op_xent = { .name = "xent", .infer = infer, .parts = parts, .forward = forward, .backward = backward, .cost = cost,
    .backward_flops = 1, .work = work, .saves_in = 1u << Z, .no_grad_in = 1u << TARGET, .sets_only = 1u << Z, .gauges = &an_gauges_xent };

an_real an_mean_loss(const an_run *r, size_t n, const an_real *row_loss)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)row_loss[i];
    return AN_R(r->n_target ? sum / (double)r->n_target : 0);
}

an_real an_z_loss(const an_step *s) { return AN_R(((const an_xent_attr *)s->attr)->z_loss); }

an_real an_loss_grad(const an_run *r) { return AN_R(r->n_target ? r->loss_scale / (double)r->n_target : 0); }
