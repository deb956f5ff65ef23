/* net/design/attention_residuals.c
 * Attention residuals: no running sum. The input of a sub-layer is gathered by attention over depth from all earlier outputs, and so
 * is what the head reads:
 *   h_i = sum_k softmax_k(<q_i, RMSNorm(v_k)>) v_k,  k < i      v_0 the embedding,  v_i = F(N(h_i))
 * In block form the sources are the embedding, the sums of the finished blocks, and the sum so far in the current one.
 * Package   pre norm; queries start at 0, which makes h the mean of its sources; one query and one gain per sub-layer
 * Source    Kimi Team 2026, arXiv:2603.15031, sections 2 to 5 */
#include "net/design.h"

static const char BLOCKS[] = "attention_residuals_blocks";

static const an_option OPTIONS[] = {
    { "attention_residuals_blocks", AN_INT, "full", "1..100000", "sum outputs inside so many blocks of layers; full: every output is a source",
      .words = "full=0", .flags = 0 },
    AN_OPTION_END
};

static an_status package(const an_net *net, an_package *p)
{
    const int64_t blocks = an_options_int(net->options, BLOCKS), layers = (int64_t)net->config->n_layer;
    if (blocks > layers)
        return an_fail(AN_ECONFIG, "%s: %s %lld, but the model has %lld layers; use at most %lld, or full", an_options_place(net->options, BLOCKS), BLOCKS,
                       (long long)blocks, (long long)layers, (long long)layers);
    p->pre = p->final_norm = true;
    return AN_OK;
}

static an_value *gathered(const an_net *net, const an_stream *s)
{
    const size_t c = net->config->d_model;
    const an_depth_attr attr = { an_here_float(net, "norm_eps") };
    an_scope_push(net->b, "depth");
    an_value *first[] = { an_param_const(net, AN_KIND_VECTOR, "query", c, 0), an_param_const(net, AN_KIND_VECTOR, "gain", c, 1) };
    an_value *h = an_gathered_emit(net, &an_op_depth, "mix", first, 2, s->x, s->n, &attr, sizeof attr);
    an_scope_pop(net->b);
    return h;
}

/* Blocks that are finished before this layer; blocks are as even as can be. */
static size_t finished(const an_net *net) { return (size_t)(net->layer * an_options_int(net->options, BLOCKS)) / net->config->n_layer; }

static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    an_branch_begin(net);
    an_value *v = an_branch_emit(net, f, an_slot(net, p->pre, "pre", gathered(net, s)));
    an_branch_end(net, v);
    if (an_options_int(net->options, BLOCKS) && s->n > 1 + finished(net)) v = an_sum_emit(net, 1, s->x[--s->n], 1, v);   /* the current block's sum so far */
    an_stream_put(net, s, v);
}

static an_value *leave(const an_net *net, const an_package *p, const an_stream *s) { return an_slot(net, p->final_norm, "final", gathered(net, s)); }

static const char *const VARIANTS[] = { "attention_residuals_blocks=1", "attention_residuals_blocks=2", NULL };

const an_design an_design_attention_residuals = { .name = "attention-residuals",
    .formula = "v_i = F(N(h_i)), h_i = sum_k softmax_k(<q_i, RMSNorm(v_k)>) v_k", .source = "arXiv:2603.15031",
    .parameters = "2d per sub-layer and 2d", .options = OPTIONS, .package = package, .enter = an_enter_history, .site = site, .leave = leave, .alone = true,
    .silent = "layers.0.attn.depth.", .variants = VARIANTS,
    .remarks = "Queries must start at 0, so that every source counts alike at first. The first sub-layer has one source, the embedding, so its query and "
               "gain never learn. Every output is kept, 2 L + 1 values per token; in block form as many as there are blocks, and the paper finds about 8 "
               "enough. The design of this name in x-transformers, multi-head with projections and rotary depth, is another one. Queries, as all vectors, "
               "are not decayed." };
