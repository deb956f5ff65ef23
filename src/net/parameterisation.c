/* net/parameterisation.c
 * From what a parameter is to what the optimizer does with it. The one place where net makes parameters. */
#include "net/net.h"

static an_rule rule_of(const an_net *net, an_kind kind)
{
    (void)net;
    switch (kind) {
    case AN_KIND_MATRIX:
    case AN_KIND_EMBEDDING:
    case AN_KIND_HEAD: return AN_RULE_DECAY;
    case AN_KIND_VECTOR:
    case AN_KIND_SCALE: return AN_RULE_BARE;
    case AN_KIND_BUFFER: break;
    }
    return AN_RULE_BUFFER;
}

an_value *an_param_emit(const an_net *net, an_kind kind, const char *name, an_dims dims, const an_init *init, size_t groups)
{
    return an_param_make(net->b, name, dims, init, groups, rule_of(net, kind));
}

an_value *an_param_const(const an_net *net, an_kind kind, const char *name, size_t n, double value)
{
    const an_init init = { AN_LAW_CONST, value, 0 };
    return an_param_emit(net, kind, name, AN_VEC(n), &init, 1);
}
