/* net/design/ngpt.c
 * nGPT: everything of width d_model lives on the unit sphere, and a sub-layer is a step on it towards where its branch points:
 *   x <- U( x + |a| (U(F(x)) - x) )        U(x) = x / |x|, a learned per channel, 0.05 at first
 * Package   every matrix and table at length 1 along d_model, from the start and after every update; q and k at length 1 per
 *           head behind the positions, times s_qk, scores times sqrt(d_head); s_uv sqrt(d) on the first feed-forward matrix; logits
 *           times s_z; head untied, no final norm, no weight decay
 * Source    Loshchilov et al. 2024, arXiv:2410.01131; NVIDIA/ngpt */
#include <math.h>
#include <string.h>

#include "net/design.h"
#include "net/init.h"

static const an_option OPTIONS[] = { { "ngpt_alpha", AN_FLOAT, "0.05", "(0,1]", "how far a sub-layer's first step goes, of the way to its branch", .flags = AN_PER_SITE }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    const double root = sqrt((double)net->config->d_model);
    p->unit_weights = p->inside.qk_unit = p->inside.gate_last = true;
    p->inside.scores = sqrt((double)(net->config->d_model / net->config->n_head));
    p->inside.qk_scale = p->logit_scale = (an_stored){ 1 / root, root };
    p->inside.up_scale = (an_stored){ 1, root };
    const an_init_law *law = an_init_here(net);
    if (!an_init_is_silent(law)) return AN_OK;
    return an_fail(AN_ECONFIG, "init %s (%s) contradicts design ngpt, which keeps every matrix at length 1: zeros have no direction; set init normal or leave it out", law->name,
                   an_here_place(net, "init"));
}

/* The token table has unit rows; what positions add to them leaves the sphere. */
static void enter(const an_net *net, const an_package *p, an_value *x0, an_stream *s)
{
    (void)p;
    an_stream_put(net, s, strcmp(net->config->position, "rotary") == 0 ? x0 : an_unit_emit(net, "embed.unit", 0, x0));
}

/* As (1 - |a|) x + |a| U(F(x)), so that skip and branch stay apart; both read the one a. */
static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    (void)p;
    an_value *x = s->x[0];
    if (!x) return;
    const double root = sqrt((double)an_cols(x)), step = an_here_float(net, "ngpt_alpha") * root;
    const an_gain_attr take = { .factor = step, .magnitude = true }, leave = { .factor = -step, .offset = -1 / step, .magnitude = true };
    an_branch_begin(net);
    an_value *y = an_unit_emit(net, "unit", 0, an_branch_emit(net, f, x));
    an_value *alpha = an_param_const(net, AN_KIND_SCALE, "alpha", an_cols(x), 1 / root);
    y = AN_EMIT(net->b, &an_op_gain, "step", &take, y, alpha);
    an_branch_end(net, y);
    s->x[0] = an_unit_emit(net, "sphere", 0, an_sum_emit(net, 1, AN_EMIT(net->b, &an_op_gain, "stay", &leave, x, alpha), 1, y));
}

static an_value *leave(const an_net *net, const an_package *p, const an_stream *s)
{
    (void)net; (void)p;
    return s->x[0];
}

static const char *const VARIANTS[] = { "ngpt_alpha=0.5", NULL };

const an_design an_design_ngpt = { .name = "ngpt", .formula = "x <- U(x + |a| (U(F(x)) - x)), U(x) = x / |x|; unit weights", .source = "arXiv:2410.01131",
    .parameters = "3d and the rows of up per layer, vocab; no norms", .untied = "its token table and its head are held at unit length by themselves", .init = "normal", .options = OPTIONS, .package = package,
    .enter = enter, .site = site, .leave = leave, .alone = true, .variants = VARIANTS,
    .remarks = "`norm` has no slot here: U has neither gain nor eps (a row shorter than 1e-8 aside). The recipe goes with `activation: swiglu`, `position: rotary`, `bias: false`, `warmup: 0`; weight decay is "
               "0 for its tensors whatever the key says, clipping at 1 is kept. The projection is part of the model: without it this is another one. It runs along d_model: rows of both tables, of q, k, v and "
               "of `up`, columns of the two output matrices. The source draws N(0, 1/d) with 1/sqrt(2L) on the outputs, which the projection erases, as it erases the size of any normal law. In the first half of "
               "`up` stand the plain values, in the second the gate, as in the authors' code; positions there turn neighbouring channels, here the halves of a head. sqrt(d) on the plain values has no effect, for "
               "the branch is scaled to length 1. With positions that are added, x0 is put back on the sphere." };
