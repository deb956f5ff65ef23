/* net/design/streams.c
 * A sub-layer among n streams: u = m H;  H <- R H + b F(N(u)). The way from the stream to the coefficients belongs to the
 * branch, so that what the ledger calls identity is R alone. */
#include "net/design/streams.h"

size_t an_streams_count(const an_net *net) { return (size_t)an_options_int(net->options, "hyper_streams"); }

static an_streams_attr attr_of(const an_net *net, bool wide) { return (an_streams_attr){ an_streams_count(net), net->config->d_model, wide }; }

void an_streams_enter(const an_net *net, bool wide, an_value *x0, an_stream *s)
{
    const an_streams_attr attr = attr_of(net, wide);
    an_stream_put(net, s, AN_EMIT(net->b, &an_op_stream_spread, "streams", &attr, x0));
}

void an_streams_site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f, const char *scope,
                     an_value *(*coefficients)(const an_net *net, an_value *h))
{
    const an_streams_attr attr = attr_of(net, false);
    an_value *h = s->x[0];
    an_branch_begin(net);
    an_scope_push(net->b, "%s", scope);
    an_value *k = coefficients(net, h);
    an_scope_pop(net->b);
    an_value *u = AN_EMIT(net->b, &an_op_stream_gather, "gather", &attr, h, k);
    an_value *y = an_branch_emit(net, f, an_slot(net, p->pre, "pre", u));
    an_branch_end(net, y);
    s->x[0] = AN_EMIT(net->b, &an_op_stream_mix, "mix", &attr, h, k, y);
    s->trail = AN_EMIT(net->b, &an_op_stream_gain, "streams", &attr, s->x[0], k, s->trail);
}

an_value *an_streams_leave(const an_net *net, const an_package *p, const an_stream *s)
{
    const an_streams_attr attr = attr_of(net, false);
    return an_slot(net, p->final_norm, "final", AN_EMIT(net->b, &an_op_stream_gather, "gather", &attr, s->x[0], NULL));
}
