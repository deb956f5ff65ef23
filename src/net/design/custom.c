/* net/design/custom.c
 * Custom: the operator's own fields from the configuration, for every layer and sub-layer if wished, so that a new design can be
 * stated without C:   u = c Npre(x);   x <- Npost( skip (x or Npre(x)) + branch Nout(F(u)) )
 * Errors    build: a norm over the batch (statistics see the future) unless custom_allow_future -> AN_ECONFIG; a skip above 1 and no norm
 *           behind the sum (net/design.c) -> AN_ECONFIG; no skip and no norm anywhere in a deep stack is allowed, it is an experiment
 * Source    none; see docs/designs.md for what published designs are in these terms */
#include <string.h>

#include "net/design.h"
#include "net/norm.h"

#define SITE .flags = AN_PER_SITE

static const an_option OPTIONS[] = {
    { "custom_pre", AN_BOOL, "true", NULL, "norm before F", SITE },
    { "custom_out", AN_BOOL, "false", NULL, "norm behind F", SITE },
    { "custom_post", AN_BOOL, "false", NULL, "norm behind the sum", SITE },
    { "custom_pre_scale", AN_FLOAT, "1", ">0", "factor behind the norm before F", SITE },
    { "custom_skip", AN_FLOAT, "1", ">=0", "factor on the skip, or what a learned one starts at; 0 with kind const: no skip", SITE },
    { "custom_skip_kind", AN_CHOICE, "const", "const|scalar|vector", "constant, or learned: one number, or one per channel", SITE },
    { "custom_skip_normed", AN_BOOL, "false", NULL, "the skip starts behind the norm before F", SITE },
    { "custom_branch", AN_FLOAT, "1", ">=0", "factor on the branch, or what a learned one starts at", SITE },
    { "custom_branch_kind", AN_CHOICE, "const", "const|scalar|vector", "constant, or learned: one number, or one per channel", SITE },
    { "custom_inner_norm", AN_BOOL, "false", NULL, "norm inside F, before its last matrix", SITE },
    { "custom_gain_qk", AN_FLOAT, "1", ">=0", "gain on the initial q and k", SITE },
    { "custom_gain_v", AN_FLOAT, "1", ">=0", "gain on the initial v", SITE },
    { "custom_gain_o", AN_FLOAT, "1", ">=0", "gain on the initial attention output", SITE },
    { "custom_gain_fc1", AN_FLOAT, "1", ">=0", "gain on the initial first feed-forward matrix", SITE },
    { "custom_gain_fc2", AN_FLOAT, "1", ">=0", "gain on the initial second feed-forward matrix", SITE },
    { "custom_final_norm", AN_BOOL, "true", NULL, "norm behind the last layer", .flags = 0 },
    { "custom_embed_norm", AN_BOOL, "false", NULL, "norm on the embedding", .flags = 0 },
    { "custom_allow_future", AN_BOOL, "false", NULL, "allow norms whose training statistics see later tokens", .flags = 0 },
    AN_OPTION_END
};

static an_scale scale(const an_net *net, const char *value, const char *kind)
{
    const char *text = an_here_text(net, kind);
    return (an_scale){ text[0] == 'c' ? AN_SCALE_CONST : text[0] == 's' ? AN_SCALE_SCALAR : AN_SCALE_VECTOR, an_here_float(net, value) };
}

static an_status package(const an_net *net, an_package *p)
{
    const char *norm = an_here_text(net, "norm");
    if (an_norm_find(norm)->batchwise && !an_options_bool(net->options, "custom_allow_future"))
        return an_fail(AN_ECONFIG, "design custom with norm %s (%s) is not causal-safe: its training statistics see later tokens; choose a norm over one token, or set custom_allow_future true", norm,
                       an_here_place(net, "norm"));
    p->pre = an_here_bool(net, "custom_pre");
    p->out = an_here_bool(net, "custom_out");
    p->post = an_here_bool(net, "custom_post");
    p->pre_scale = an_here_float(net, "custom_pre_scale");
    p->skip = scale(net, "custom_skip", "custom_skip_kind");
    p->branch = scale(net, "custom_branch", "custom_branch_kind");
    p->skip_normed = an_here_bool(net, "custom_skip_normed");
    p->inside.attn_norm = p->inside.mlp_norm = an_here_bool(net, "custom_inner_norm");
    p->final_norm = an_options_bool(net->options, "custom_final_norm") != 0;
    p->embed_norm = an_options_bool(net->options, "custom_embed_norm") != 0;
    p->gain[AN_ROLE_QK] = an_here_float(net, "custom_gain_qk");
    p->gain[AN_ROLE_V] = an_here_float(net, "custom_gain_v");
    p->gain[AN_ROLE_O] = an_here_float(net, "custom_gain_o");
    p->gain[AN_ROLE_FC1] = an_here_float(net, "custom_gain_fc1");
    p->gain[AN_ROLE_FC2] = an_here_float(net, "custom_gain_fc2");
    if (p->skip_normed && !p->pre)
        return an_fail(AN_ECONFIG, "custom_skip_normed true (%s) needs the norm that custom_pre false (%s) leaves out; set custom_pre true",
                       an_here_place(net, "custom_skip_normed"), an_here_place(net, "custom_pre"));
    if (p->skip.kind == AN_SCALE_CONST && p->skip.value == 0 && p->branch.kind == AN_SCALE_CONST && p->branch.value == 0)
        return an_fail(AN_ECONFIG, "custom_skip 0 (%s) and custom_branch 0 (%s) leave nothing of the stream; give one of them a value above 0",
                       an_here_place(net, "custom_skip"), an_here_place(net, "custom_branch"));
    return AN_OK;
}

static const char *const VARIANTS[] = { "custom_skip_kind=vector custom_branch_kind=vector", "custom_branch_kind=scalar custom_skip=0.5", "custom_pre=false custom_post=true custom_skip=2",
    "custom_out=true custom_pre_scale=0.5 custom_branch=0.3", "custom_skip_normed=true custom_inner_norm=true custom_embed_norm=true", "custom_skip=0 custom_final_norm=false", NULL };

const an_design an_design_custom = { .name = "custom", .formula = "x <- Npost(a x + b Nout(F(c Npre(x)))), from the configuration", .source = "your configuration", .parameters = "as configured",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "Fields may differ per layer and sub-layer: `custom_post@0-3: true`. Post-LN is custom_pre false, custom_post true, custom_final_norm false; Pre-LN is the defaults." };
