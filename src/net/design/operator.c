/* net/design/operator.c
 * The single-stream operator: u = Npre(x);  x <- Npost( skip x + branch Nout(F(u)) ).
 * An absent slot emits nothing; a skip of 0 leaves the branch alone, without a residual step. */
#include "net/design.h"
#include "net/norm.h"

static an_value *slot(const an_net *net, bool on, const char *name, an_value *x) { return on ? an_norm_emit(net, name, x) : x; }

void an_enter_one(const an_net *net, const an_package *p, an_value *x0, an_stream *s)
{
    (void)net;
    (void)p;
    *s = (an_stream){ .x = { x0 }, .n = 1 };
}

void an_site_operator(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    an_value *x = s->x[0], *y = slot(net, p->out, "out", f->emit(net, slot(net, p->pre, "pre", x)));
    const an_residual_attr attr = { p->skip, p->branch };
    if (p->skip != 0) y = AN_EMIT(net->b, &an_op_residual, "add", &attr, x, y);
    s->x[0] = slot(net, p->post, "post", y);
}

an_value *an_leave_one(const an_net *net, const an_package *p, const an_stream *s) { return slot(net, p->final_norm, "final", s->x[0]); }
