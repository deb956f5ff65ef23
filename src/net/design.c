/* net/design.c
 * The registry of residual designs, made from design/design.def, and the one place where a sub-layer meets its design. */
#include "net/design.h"

#include <stdio.h>
#include <string.h>

#include "net/init.h"
#include "net/norm.h"

#define AN_DESIGN(name) extern const an_design an_design_##name;
#include "net/design/design.def"
#undef AN_DESIGN

static const an_design *const DESIGNS[] = {
#define AN_DESIGN(name) &an_design_##name,
#include "net/design/design.def"
#undef AN_DESIGN
};

const an_design *an_design_at(size_t i) { return i < sizeof DESIGNS / sizeof *DESIGNS ? DESIGNS[i] : NULL; }
const char *an_design_name(size_t i) { return an_design_at(i) ? DESIGNS[i]->name : NULL; }

const an_design *an_design_find(const char *name)
{
    for (size_t i = 0; an_design_at(i); i++)
        if (strcmp(DESIGNS[i]->name, name) == 0) return DESIGNS[i];
    return NULL;
}

an_status an_design_options_add(an_options *options)
{
    for (size_t i = 0; an_design_at(i); i++) {
        char needs[64];
        if (!DESIGNS[i]->options) continue;
        snprintf(needs, sizeof needs, "design=%s", DESIGNS[i]->name);
        AN_TRY(an_options_add_owned(options, DESIGNS[i]->options, NULL, needs));
    }
    return AN_OK;
}

const an_design *an_design_here(const an_net *net) { return an_design_find(an_here_text(net, "design")); }

bool an_design_is_silent(const an_design *design, const char *tensor)
{
    return design->silent && strncmp(tensor, design->silent, strlen(design->silent)) == 0;
}

void an_stream_put(const an_net *net, an_stream *s, an_value *v)
{
    if (net->b->status != AN_OK) return;
    if (s->n == s->room) {
        const size_t room = s->room ? 2 * s->room : 8;
        an_value **x = an_arena_alloc(&net->b->plan->arena, room * sizeof *x);
        if (!x) {
            an_build_fail(net->b, an_fail(AN_ENOMEM, "out of memory for the residual stream"));
            return;
        }
        if (s->n) memcpy(x, s->x, s->n * sizeof *x);
        s->x = x;
        s->room = room;
    }
    s->x[s->n++] = v;
}

/* A skip above 1 on a pre-norm block, as public code has it: its power with the number of sub-layers, and nothing takes it back. */
static an_status check_growth(const an_net *net, const an_design *design, const an_package *p)
{
    const an_norm_kind *norm = an_norm_find(an_here_text(net, "norm"));
    if (!net->site || p->skip.value <= 1 || (!norm->empty && (p->post || p->skip_normed))) return AN_OK;
    return an_fail(AN_ECONFIG, "design %s (%s) multiplies the stream of layers.%lld.%s by %g and no norm behind the sum takes it back, so that it grows without "
                   "bound with depth; %s", design->name, an_here_place(net, "design"), (long long)net->layer, net->site, p->skip.value,
                   norm->empty ? "choose a norm other than none, or a design whose skip is 1" : "put one there (custom_post true), or use a skip of at most 1");
}

/* A learned scale that starts at 0 in front of matrices that start at 0: each one's gradient is a multiple of the other. */
static an_status check_alive(const an_net *net, const an_design *design, const an_package *p)
{
    const an_init_law *law = an_init_here(net);
    if (!net->site || p->branch.kind == AN_SCALE_CONST || p->branch.value != 0 || !an_init_is_silent(law)) return AN_OK;
    return an_fail(AN_ECONFIG, "init %s (%s) with design %s (%s), whose learned branch scale starts at 0 too: neither would ever get a gradient; set "
                   "another init or leave it out", law->name, an_here_place(net, "init"), design->name, an_here_place(net, "design"));
}

an_status an_design_package(const an_net *net, const an_design *design, an_package *p)
{
    *p = (an_package){ .pre_scale = 1, .skip = { AN_SCALE_CONST, 1 }, .branch = { AN_SCALE_CONST, 1 }, .embed_scale = 1,
        .inside = { .qk_norm = "off", .value_residual = "off" } };
    for (size_t i = 0; i < AN_ROLES; i++) p->gain[i] = 1;
    AN_TRY(design->package(net, p));
    AN_TRY(check_growth(net, design, p));
    AN_TRY(check_alive(net, design, p));
    return an_scaling_apply(net, design, p);
}

void an_branch_begin(const an_net *net)
{
    net->b->branch = (int)net->b->plan->n_sites - 1;
}

an_value *an_branch_emit(const an_net *net, const an_sublayer *f, an_value *u)
{
    if (net->b->status != AN_OK) return NULL;
    net->b->plan->sites[net->b->plan->n_sites - 1].branch_in = u;
    return f->emit(net, u);
}

void an_branch_end(const an_net *net, an_value *added)
{
    net->b->branch = -1;
    if (net->b->status == AN_OK) net->b->plan->sites[net->b->plan->n_sites - 1].branch_out = added;
}

void an_branch_fork(const an_net *net, an_value *u)
{
    if (net->b->status == AN_OK) net->b->plan->sites[net->b->plan->n_sites - 1].fork = u;
}

an_value *an_gathered_emit(const an_net *net, const an_op *op, const char *name, an_value *const first[], size_t n_first, an_value *const rest[], size_t n_rest,
                           const void *attr, size_t attr_bytes)
{
    if (net->b->status != AN_OK) return NULL;
    an_value **in = an_arena_alloc(&net->b->plan->arena, (n_first + n_rest) * sizeof *in);
    if (!in) {
        an_build_fail(net->b, an_fail(AN_ENOMEM, "out of memory for the %zu inputs of %s", n_first + n_rest, name));
        return NULL;
    }
    memcpy(in, first, n_first * sizeof *in);
    memcpy(in + n_first, rest, n_rest * sizeof *in);
    return an_emit(net->b, op, name, in, (int)(n_first + n_rest), attr, attr_bytes);
}

void an_layer_scope_enter(const an_net *net, an_layer_scope *scope)
{
    char *site = net->b->scope + net->b->marks[net->b->depth - 1];
    snprintf(scope->site, sizeof scope->site, "%s", site);
    *site = '\0';
}

void an_layer_scope_leave(const an_net *net, const an_layer_scope *scope) { strcat(net->b->scope, scope->site); }

/* What profiling needs at this sub-layer, see net/profile.c: the parameter that an_scaled has made of the skip. */
static void mark_profile(const an_net *net, const an_package *p, an_site_mark *mark)
{
    char name[96];
    snprintf(name, sizeof name, "%s.skip.scale", mark->name);
    const an_param_def *skip = an_params_find(net->b->plan->params, name);
    if (!skip) an_build_fail(net->b, an_fail(AN_EFAIL, "%s: a design asks for a profiled skip and has no learned one", mark->name));
    else mark->profiled = skip->value;
    mark->profile = p->profile;
}

/* The newest of the stream's values; and, where `side` is not NULL, those beside it behind them. */
static size_t copy_stream(an_value **to, const an_stream *s, size_t *side)
{
    const size_t beside = side ? s->side : 0, all = s->n - s->side, most = AN_SITE_STREAMS - beside, n = all < most ? all : most;
    if (n) memcpy(to, s->x + (all - n), n * sizeof *to);
    if (beside) memcpy(to + n, s->x + all, beside * sizeof *to);
    if (side) *side = beside;
    return n;
}

/* One model, one kind of stream: a design with a stream of its own cannot take over another's, nor hand its own on. */
static an_status check_mix(const an_net *net, const an_design *here)
{
    const an_design *base = an_design_find(an_options_text(net->options, "design"));
    if (here == base || (!here->alone && !base->alone)) return AN_OK;
    return an_fail(AN_ECONFIG, "design %s in layer %lld cannot be mixed with %s: %s keeps a stream of its own; use one of them for the whole model", here->name,
                   (long long)net->layer, base->name, here->alone ? here->name : base->name);
}

void an_site(an_net *net, an_stream *s, const char *site, const an_sublayer *f)
{
    if (net->b->status != AN_OK) return;                 /* the first refusal is the one that is told */
    net->site = site;
    an_scope_push(net->b, "%s", site);
    const an_design *design = an_design_here(net);
    an_package p;
    an_build_fail(net->b, check_mix(net, design));
    if (net->b->status == AN_OK) an_build_fail(net->b, an_design_package(net, design, &p));
    char name[64];
    snprintf(name, sizeof name, "layers.%lld.%s", (long long)net->layer, site);
    an_site_mark *mark = an_site_begin(net->b, name, (int)net->layer);
    if (mark) {
        const struct an_package *outer = net->package;
        const size_t at = net->b->plan->n_sites - 1;
        net->package = &p;
        mark->n_in = copy_stream(mark->in, s, &mark->n_side);
        design->site(net, &p, s, f);
        net->package = outer;
        mark = &net->b->plan->sites[at];
        mark->n_out = copy_stream(mark->out, s, NULL);
        mark->history = s->history;
        mark->end = (int)net->b->plan->n_steps;
        if (p.profile && net->b->status == AN_OK) mark_profile(net, &p, mark);
    }
    net->site_index++;
    an_scope_pop(net->b);
    net->site = NULL;
}

void an_block_end(an_net *net, an_stream *s)
{
    const an_design *design = an_design_here(net);
    if (net->b->status == AN_OK && design->block) design->block(net, net->package, s);
    if (design->alone || net->b->status != AN_OK) return;
    s->n -= s->side;                                         /* what a design of the common stream laid beside it ends with the layer */
    s->side = 0;
}
