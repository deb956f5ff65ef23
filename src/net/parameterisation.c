/* net/parameterisation.c
 * From what a parameter is to what the optimizer does with it. The one place where net makes parameters. */
#include "net/parameterisation.h"

#include <math.h>
#include <string.h>

#include "net/arch.h"
#include "net/design.h"

const an_option an_scaling_options[] = {
    { "parameterization", AN_CHOICE, "standard", "standard|mup|depth-mup|completep", "how learning rates, sizes and eps follow width and depth", .group = "model", .needs = AN_NEEDS_TOKENS },
    { "base_width", AN_INT, "256", "1..1048576", "d_model of the model that the settings were tuned on", .group = "model", .needs = "parameterization=mup|depth-mup|completep", .aliases = "mup_base_width" },
    { "base_depth", AN_INT, "2", "1..100000", "n_layer of the model that the settings were tuned on", .group = "model", .needs = "parameterization=depth-mup|completep", .aliases = "mup_base_depth" },
    { "input_multiplier", AN_FLOAT, "1", ">0", "multiplies the embedding, positions too; sqrt(d_model) in Gemma's models", .group = "model", .needs = AN_NEEDS_TOKENS, .aliases = "embedding_multiplier embed_scale" },
    { "output_multiplier", AN_FLOAT, "1", ">0", "multiplies the logits, besides base_width / d_model", .group = "model", .needs = "parameterization=mup|depth-mup|completep" },
    AN_OPTION_END
};

static an_status check_init(const char *init, const char *place, const char *name)
{
    if (strcmp(init, "auto") == 0 || strcmp(init, "normal") == 0) return AN_OK;
    return an_fail(AN_ECONFIG, "init %s (%s) contradicts parameterization %s, which scales a fixed standard deviation by width and needs no other depth law; "
                   "set init normal or leave it out", init, place, name);
}

an_status an_scaling_read(an_scaling *scaling, const an_options *options, size_t d_model, size_t n_layer)
{
    const char *name = an_options_text(options, "parameterization"), *init = an_options_text(options, "init");
    *scaling = (an_scaling){ .width = 1, .depth = 1, .alpha = 1, .input = an_options_float(options, "input_multiplier"), .output = 1 };
    if (strcmp(name, "standard") == 0) return AN_OK;
    AN_TRY(check_init(init, an_options_place(options, "init"), name));
    scaling->on = true;
    scaling->width = (double)d_model / (double)an_options_int(options, "base_width");
    scaling->output = an_options_float(options, "output_multiplier");
    if (strcmp(name, "mup") == 0) return AN_OK;
    scaling->depth = (double)n_layer / (double)an_options_int(options, "base_depth");
    scaling->alpha = strcmp(name, "completep") == 0 ? 1 : 0.5;
    return AN_OK;
}

an_status an_scaling_apply(const an_net *net, const an_design *design, an_package *p)
{
    const an_scaling *s = &net->config->scaling;
    if (!s->on) return AN_OK;
    const char *name = an_options_text(net->options, "parameterization"), *place = an_options_place(net->options, "parameterization");
    const bool plain_sum = !design->alone && !p->post && p->skip.kind == AN_SCALE_CONST && p->skip.value == 1 && p->branch.kind == AN_SCALE_CONST && p->branch.value == 1 && p->pre_scale == 1;
    if (!plain_sum && net->site)
        return an_fail(AN_ECONFIG, "parameterization %s (%s) is a law for x + F(N(x)), but design %s scales its sum in its own way; use pre-ln or parameterization standard",
                       name, place, design->name);
    for (size_t r = 0; r < AN_ROLES && net->site; r++)
        if (p->gain[r] != 1)
            return an_fail(AN_ECONFIG, "parameterization %s (%s) gives every matrix its size, but design %s multiplies some by %g at initialisation; use pre-ln "
                           "or parameterization standard", name, place, design->name, p->gain[r]);
    AN_TRY(check_init(an_here_text(net, "init"), an_here_place(net, "init"), name));
    p->branch.value *= pow(s->depth, -s->alpha);
    return AN_OK;
}

static an_rule rule_of(const an_net *net, an_kind kind)
{
    const an_scaling *s = &net->config->scaling;
    const bool inside = net->layer >= 0;
    const double depth_lr = inside ? pow(s->depth, s->alpha - 1) : 1, eps = (inside ? pow(s->depth, -s->alpha) : 1) / s->width;
    const bool unit = net->package && net->package->unit_weights;   /* the length is held, so there is nothing to decay */
    const an_unit along = !unit ? AN_UNIT_FREE : kind == AN_KIND_OUTPUT ? AN_UNIT_COLS : AN_UNIT_ROWS;
    switch (kind) {
    case AN_KIND_MATRIX:
    case AN_KIND_OUTPUT: return (an_rule){ .lr = depth_lr / s->width, .decay = unit ? 0 : s->width, .eps = eps, .unit = along };
    case AN_KIND_EMBEDDING:
    case AN_KIND_HEAD: return (an_rule){ .lr = 1, .decay = !unit, .eps = 1 / s->width, .unit = along };
    case AN_KIND_VECTOR:
    case AN_KIND_SCALE: return (an_rule){ .lr = depth_lr, .decay = 0, .eps = eps };
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

an_value *an_param_start(const an_net *net, an_kind kind, const char *name, an_dims dims, const double *start)
{
    return an_param_make_at(net->b, name, dims, start, rule_of(net, kind));
}
