/* net/norm.c
 * The registry of norm kinds, made from norm/norm.def. */
#include "net/norm.h"

#include <stdio.h>
#include <string.h>

#define AN_NORM(name) extern const an_norm_kind an_norm_##name;
#include "net/norm/norm.def"
#undef AN_NORM

static const an_norm_kind *const KINDS[] = {
#define AN_NORM(name) &an_norm_##name,
#include "net/norm/norm.def"
#undef AN_NORM
};

const an_norm_kind *an_norm_at(size_t i) { return i < sizeof KINDS / sizeof *KINDS ? KINDS[i] : NULL; }
const char *an_norm_name(size_t i) { return an_norm_at(i) ? KINDS[i]->name : NULL; }

const an_norm_kind *an_norm_find(const char *name)
{
    for (size_t i = 0; an_norm_at(i); i++)
        if (strcmp(KINDS[i]->name, name) == 0) return KINDS[i];
    return NULL;
}

an_status an_norm_options_add(an_options *options)
{
    for (size_t i = 0; an_norm_at(i); i++) {
        char needs[64];
        if (!KINDS[i]->options) continue;
        snprintf(needs, sizeof needs, "norm=%s", KINDS[i]->name);
        AN_TRY(an_options_add_owned(options, KINDS[i]->options, NULL, needs));
    }
    return AN_OK;
}

an_value *an_norm_emit(const an_net *net, const char *slot, an_value *x)
{
    if (net->norms) ++*net->norms;
    return an_norm_emit_kind(net, an_here_text(net, "norm"), slot, x);
}

an_value *an_norm_emit_eps(const an_net *net, const char *slot, an_value *x, double eps)
{
    an_net here = *net;
    here.prescribed = (an_prescribed){ "norm_eps", eps };
    return an_norm_emit(&here, slot, x);
}

an_value *an_norm_emit_kind(const an_net *net, const char *kind, const char *slot, an_value *x)
{
    if (net->b->status != AN_OK) return NULL;
    an_scope_push(net->b, "%s", slot);
    if (an_norm_find(kind)->note && !net->grid) an_note(net->b, an_norm_find(kind)->note);
    an_value *y = an_norm_find(kind)->emit(net, x);
    an_scope_pop(net->b);
    return y;
}

bool an_norm_mask(const an_net *net, const char *kind, const an_value *x, an_value **tokens)
{
    *tokens = an_here_bool(net, "norm_masked") ? net->tokens : NULL;
    if (net->b->status == AN_OK && net->b->train && an_rows(x) == 1)
        an_build_fail(net->b, an_fail(AN_ECONFIG,
            "norm %s (%s) trained on 1 token per pass (batch_size %zu x seq_len %zu): the token is its own mean, so the norm puts out its bias and passes no "
            "gradient; raise batch_size or seq_len, or choose a norm over channels", kind, an_here_place(net, "norm"), net->batch, net->seq));
    return net->b->status == AN_OK;
}

an_value *an_norm_batch(const an_net *net, const char *kind, an_value *x, const an_batch_norm_attr *attr)
{
    an_value *tokens;
    if (!x || !an_norm_mask(net, kind, x, &tokens)) return NULL;
    const size_t c = an_cols(x);
    const bool affine = an_here_bool(net, "norm_affine");
    an_value *g = affine ? an_param_const(net, AN_KIND_VECTOR, "gain", c, 1) : NULL;
    an_value *b = affine && an_norm_wants_bias(net) ? an_param_const(net, AN_KIND_VECTOR, "bias", c, 0) : NULL;
    an_value *mean = an_param_const(net, AN_KIND_BUFFER, "running_mean", c, 0);
    an_value *var = an_param_const(net, AN_KIND_BUFFER, "running_var", c, 1);
    return AN_EMIT(net->b, &an_op_batch_norm, "norm", attr, x, g, b, mean, var, tokens);
}

void an_norm_note_width(const an_net *net, size_t channels)
{
    if (channels == 1) an_note(net->b, "a norm takes the mean of a single channel off that channel: it puts out its bias and passes nothing; use more channels, fewer norm_groups, or rmsnorm");
}

an_value *an_norm_grouped(const an_net *net, const char *key, size_t groups, const an_norm_attr *attr, an_value *x)
{
    if (!x) return NULL;
    const size_t c = an_cols(x);
    if (c % groups) {
        size_t near = groups < c ? groups : c;
        while (c % near) near--;
        an_build_fail(net->b, an_fail(AN_ECONFIG, "%s %zu (%s) does not divide the %zu channels of %s; try %zu", key, groups, an_here_place(net, key), c, x->name, near));
        return NULL;
    }
    if (attr->spec.center) an_norm_note_width(net, c / groups);
    const an_split_attr cut = { 1, { c }, { c / groups } };
    an_value *y = AN_EMIT(net->b, &an_op_split, "groups", &cut, x);
    y = AN_EMIT(net->b, &an_op_norm, "norm", attr, y);
    return AN_EMIT(net->b, &an_op_pack, "joined", &cut, y);
}

bool an_norm_wants_bias(const an_net *net)
{
    const char *wanted = an_here_text(net, "norm_bias");
    return wanted[0] == 'a' ? net->config->bias : wanted[0] == 't';
}

an_value *an_norm_affine(const an_net *net, an_value *x, double offset)
{
    if (!x || !an_here_bool(net, "norm_affine")) return x;
    const an_gain_attr attr = { .factor = 1, .offset = offset };
    an_value *g = an_param_const(net, AN_KIND_VECTOR, "gain", an_cols(x), 1 - offset);
    an_value *b = an_norm_wants_bias(net) ? an_param_const(net, AN_KIND_VECTOR, "bias", an_cols(x), 0) : NULL;
    return AN_EMIT(net->b, &an_op_gain, "affine", &attr, x, g, b);
}
