/* net/design/residual_dual.c
 * ResiDual: two streams. u is Post-LN's, r collects the same branches without a norm, and both meet at the end:
 *   u <- N(u + F(u));   r <- r + s F(u);   y = u + N(r)        r starts at s x0
 * The gradient of every branch arrives over r undamped, which u alone does not give it.
 * Package   post norm on u; a final norm on r with an eps of its own
 * Source    Xie et al. 2023, arXiv:2304.14802; microsoft/ResiDual */
#include "net/design.h"
#include "net/norm.h"

static const an_option OPTIONS[] = {
    { "residual_dual_scale", AN_FLOAT, "1", "0..1", "s, factor on what the second stream collects; below 1 it stays smaller", .flags = 0 },
    { "residual_dual_eps", AN_FLOAT, "1e-7", ">0", "eps of the norm on the second stream", .flags = 0 },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->post = p->final_norm = true;
    return AN_OK;
}

enum { U, R };

/* A step of its own even where s is 1: the two streams are two values, and the ledger tells their gradients apart. */
static void enter(const an_net *net, const an_package *p, an_value *x0, an_stream *s)
{
    (void)p;
    const an_gain_attr attr = { .factor = an_options_float(net->options, "residual_dual_scale") };
    an_stream_put(net, s, x0);
    an_stream_put(net, s, AN_EMIT(net->b, &an_op_gain, "dual", &attr, x0, NULL));
}

static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    const an_residual_attr dual = { .a = 1, .b = an_options_float(net->options, "residual_dual_scale") };
    an_branch_begin(net);
    an_value *y = an_branch_emit(net, f, s->x[U]);
    an_branch_end(net, y);
    s->x[U] = an_slot(net, p->post, "post", an_sum_emit(net, 1, s->x[U], 1, y));
    s->x[R] = AN_EMIT(net->b, &an_op_residual, "dual", &dual, s->x[R], y);
}

static an_value *leave(const an_net *net, const an_package *p, const an_stream *s)
{
    (void)p;
    return an_sum_emit(net, 1, s->x[U], 1, an_norm_emit_eps(net, "final", s->x[R], an_options_float(net->options, "residual_dual_eps")));
}

static const char *const VARIANTS[] = { "residual_dual_scale=0.25", NULL };

const an_design an_design_residual_dual = { .name = "residual-dual", .formula = "u <- N(u + F(u));  r <- r + s F(u);  y = u + N(r)", .source = "arXiv:2304.14802", .parameters = "as pre-ln",
    .options = OPTIONS, .package = package, .enter = enter, .site = site, .leave = leave, .alone = true, .variants = VARIANTS,
    .remarks = "The second stream starts at s x0, not at 0, and its norm has eps 1e-7 where the others have 1e-5. It grows with depth: in half precision s below 1 keeps it in range, and the final norm "
               "takes s out again, but for its eps. The authors' code can multiply u in the last sum by another constant, 1 by default." };
