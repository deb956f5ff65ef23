/* net/design/parallel.c
 * Parallel sub-layers: attention and feed-forward of a layer read the same stream, and it takes the sum of both:
 *   x <- x + A(N(x)) + F(N(x))        one norm for both, or one each; with a final norm
 * Package   pre norm per layer (separate: per sub-layer)
 * Ledger    the stream's only fork is where the layer begins, so attention's branch is charged with what both send back to it;
 *           what the feed-forward sends back is told once more at x[1], behind the norm where they share one
 * Source    Wang & Komatsuzaki 2021 (GPT-J); Chowdhery et al. 2022 (PaLM), arXiv:2204.02311; separate: GPT-NeoX, arXiv:2204.06745 */
#include <string.h>

#include "net/design.h"
#include "net/norm.h"

static const an_option OPTIONS[] = { { "parallel_norms", AN_CHOICE, "shared", "shared|separate", "one norm for the sub-layers of a layer, or one each", .flags = 0 }, AN_OPTION_END };

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->final_norm = true;
    return AN_OK;
}

static an_value *shared_norm(const an_net *net, an_value *x)
{
    an_layer_scope scope;
    an_layer_scope_enter(net, &scope);
    an_value *u = an_norm_emit(net, "pre", x);
    an_layer_scope_leave(net, &scope);
    return u;
}

/* x[0]: the stream; x[1]: what the sub-layers of this layer read, behind the shared norm or before their own. */
static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    const bool shared = strcmp(an_options_text(net->options, "parallel_norms"), "shared") == 0;
    an_branch_begin(net);
    if (!s->side) {
        an_stream_put(net, s, shared ? shared_norm(net, s->x[0]) : s->x[0]);
        s->side = 1;
    }
    if (net->b->status != AN_OK) return;
    an_value *y = an_branch_emit(net, f, an_slot(net, !shared, "pre", s->x[1]));
    an_branch_end(net, y);
    s->x[0] = an_sum_emit(net, 1, s->x[0], an_factor(p->branch), y);
}

static const char *const VARIANTS[] = { "parallel_norms=separate", NULL };

const an_design an_design_parallel = { .name = "parallel", .formula = "x <- x + A(N(x)) + F(N(x))", .source = "arXiv:2204.02311", .parameters = "2d per layer fewer; separate: as pre-ln",
    .options = OPTIONS, .package = package, .enter = an_enter_one, .site = site, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "GPT-J and PaLM share one norm between both sub-layers, GPT-NeoX has one each. PaLM reports a small loss of quality at 8 billion parameters and none at 62." };
