/* net/feed_forward.c
 * Feed-forward: down(act(up(u))), pointwise activations of op/activation.c, or SwiGLU whose `up` holds gate and up rows. */
#include <string.h>

#include "net/design.h"
#include "net/init.h"
#include "net/sublayers.h"

static const char SWIGLU[] = "swiglu";

const char *an_activation_name(size_t i)
{
    const an_act_kind *kind = an_act_at(i);
    if (kind) return kind->name;
    return i == 0 || !an_act_at(i - 1) ? NULL : SWIGLU;      /* the first one past the pointwise kinds */
}

an_value *an_feed_forward_emit(const an_net *net, an_value *u)
{
    const an_model_config *c = net->config;
    const bool gated = strcmp(c->activation, SWIGLU) == 0;
    const an_init up_init = an_init_matrix(net, AN_ROLE_FC1, c->d_model, c->d_ff, 0), down_init = an_init_matrix(net, AN_ROLE_FC2, c->d_ff, c->d_model, 0);
    an_value *z = an_linear_emit(net, "up", u, gated ? 2 * c->d_ff : c->d_ff, &up_init, 1);
    z = an_stored_emit(net, net->package->inside.up_scale, "s_uv", "scaled", z);
    const an_act_attr attr = { an_act_find(c->activation) };
    const an_swiglu_attr halves = { net->package->inside.gate_last };
    an_value *h = gated ? AN_EMIT(net->b, &an_op_swiglu, "act", &halves, z) : AN_EMIT(net->b, &an_op_activation, "act", &attr, z);
    h = an_slot(net, net->package->inside.mlp_norm, "inner", h);
    return an_dropout_emit(net, "drop", an_linear_out_emit(net, "down", h, &down_init));
}
