/* net/design/operator.c
 * The single-stream operator: u = c Npre(x);  x <- Npost( skip x + branch Nout(F(u)) ).
 * An absent slot and a scale of 1 emit nothing; a skip of 0 leaves the branch alone, without a residual step. */
#include "net/design.h"
#include "net/norm.h"

an_value *an_slot(const an_net *net, bool on, const char *name, an_value *x) { return on ? an_norm_emit(net, name, x) : x; }

an_value *an_scaled(const an_net *net, an_scale scale, const char *name, an_value *x)
{
    if (scale.kind == AN_SCALE_CONST || !x) return x;
    an_scope_push(net->b, "%s", name);
    an_value *g = an_param_const(net, AN_KIND_SCALE, "scale", scale.kind == AN_SCALE_SCALAR ? 1 : an_cols(x), scale.value);
    const an_gain_attr attr = { .factor = 1 };
    an_value *y = AN_EMIT(net->b, &an_op_gain, "scaled", &attr, x, g);
    an_scope_pop(net->b);
    return y;
}

double an_factor(an_scale scale) { return scale.kind == AN_SCALE_CONST ? scale.value : 1; }

an_value *an_stored_emit(const an_net *net, an_stored stored, const char *parameter, const char *name, an_value *x)
{
    if (stored.factor == 0 || !x) return x;
    const an_gain_attr attr = { .factor = stored.factor };
    return AN_EMIT(net->b, &an_op_gain, name, &attr, x, an_param_const(net, AN_KIND_SCALE, parameter, an_cols(x), stored.start));
}

an_value *an_unit_emit(const an_net *net, const char *name, size_t width, an_value *x)
{
    const an_length_norm_attr attr = { .factor = 1, .eps = 1e-8, .width = width };
    return AN_EMIT(net->b, &an_op_length_norm, name, &attr, x, NULL);
}

an_value *an_times_emit(const an_net *net, double c, const char *name, an_value *x)
{
    const an_gain_attr attr = { .factor = c };
    return c == 1 ? x : AN_EMIT(net->b, &an_op_gain, name, &attr, x, NULL);
}

/* What is carried past a branch that makes maps smaller or wider follows it, without parameters. */
static an_value *fitted(const an_net *net, an_value *x, const an_value *f)
{
    if (!net->grid || !x || !f || (x->count == f->count && an_cols(x) == an_cols(f))) return x;
    const an_map_attr attr = { .side = net->grid->side, .stride = net->grid->stride, .channels = an_cols(f) };
    return AN_EMIT(net->b, &an_op_shrink, "shortcut", &attr, x);
}

an_value *an_sum_emit(const an_net *net, double a, an_value *x, double b, an_value *f)
{
    const an_residual_attr attr = { .a = a, .b = b };
    return AN_EMIT(net->b, &an_op_residual, "add", &attr, fitted(net, x, f), f);
}

void an_enter_one(const an_net *net, const an_package *p, an_value *x0, an_stream *s)
{
    an_stream_put(net, s, an_slot(net, p->embed_norm, "embed.norm", x0));
}

void an_enter_history(const an_net *net, const an_package *p, an_value *x0, an_stream *s)
{
    (void)p;
    s->history = true;
    an_stream_put(net, s, x0);
}

/* Learned branch scales live with the sub-layer ("layers.0.attn.branch.scale") or with the layer ("layers.0.branch.scale"). */
static an_value *branch_scaled(const an_net *net, const an_package *p, an_value *f)
{
    if (!p->branch_per_layer) return an_scaled(net, p->branch, "branch", f);
    an_layer_scope scope;
    an_layer_scope_enter(net, &scope);
    an_value *y = an_scaled(net, p->branch, "branch", f);
    an_layer_scope_leave(net, &scope);
    return y;
}

void an_site_operator(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    an_value *x = s->x[0];
    const double skip = an_factor(p->skip), branch = an_factor(p->branch);
    const bool normed = p->skip_normed && skip != 0;
    if (!normed) an_branch_begin(net);
    an_value *u = an_slot(net, p->pre, "pre", x), *carried = normed ? u : x;
    if (normed) an_branch_begin(net);
    if (carried != x) an_branch_fork(net, carried);
    an_value *y = branch_scaled(net, p, an_slot(net, p->out, "out_norm", an_branch_emit(net, f, an_times_emit(net, p->pre_scale, "damped", u))));
    an_branch_end(net, y);
    if (skip != 0) y = an_sum_emit(net, skip, an_scaled(net, p->skip, "skip", carried), branch, y);
    else y = an_times_emit(net, branch, "weighted", y);
    s->x[0] = an_slot(net, p->post, "post", y);
}

an_value *an_leave_one(const an_net *net, const an_package *p, const an_stream *s) { return an_slot(net, p->final_norm, "final", s->x[0]); }
