/* net/design/denseformer.c
 * DenseFormer: Pre-LN blocks; behind each, the stream becomes a learned average over depth of what the blocks have returned:
 *   x_(i+1) = sum_k w_ik X_k     X_0 the embedding, X_k what block k returned (before its own averaging)
 * Package   pre norm; w starts as the identity, newest 1 and others 0, so that the start is Pre-LN bit for bit
 * Source    Pagliardini et al. 2024, arXiv:2402.02622; epfml/DenseFormer */
#include "net/design.h"

static const an_option OPTIONS[] = {
    { "denseformer_dilation", AN_INT, "1", "1..100000", "averages take every so many-th earlier value, counted back from the newest", .flags = 0 },
    { "denseformer_period", AN_INT, "1", "1..100000", "averages stand behind every so many-th block", .flags = 0 },
    AN_OPTION_END
};

static an_status check_span(const an_net *net, const char *key)
{
    const int64_t span = an_options_int(net->options, key), layers = (int64_t)net->config->n_layer;
    if (span <= layers) return AN_OK;
    return an_fail(AN_ECONFIG, "%s: %s %lld goes beyond n_layer %lld, and no average would reach an earlier block; use at most %lld",
                   an_options_place(net->options, key), key, (long long)span, (long long)layers, (long long)layers);
}

static an_status package(const an_net *net, an_package *p)
{
    AN_TRY(check_span(net, "denseformer_dilation"));
    AN_TRY(check_span(net, "denseformer_period"));
    p->pre = p->final_norm = true;
    return AN_OK;
}

/* x[k] is X_k, k up to the last finished block; behind them the stream, where it is not X_k itself. */
static void site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f)
{
    an_value *x = s->x[s->n - 1];
    an_branch_begin(net);
    an_value *y = an_branch_emit(net, f, an_slot(net, p->pre, "pre", x));
    an_branch_end(net, y);
    if (s->n > (size_t)net->layer + 1) s->n--;           /* the stream; else it is X_layer, which stays */
    an_stream_put(net, s, an_sum_emit(net, 1, x, 1, y));
}

/* Finished blocks i, i - dilation, ... down to 0 or above, oldest first; returns how many. */
static size_t choose(const an_stream *s, size_t newest, size_t dilation, an_value **chosen)
{
    const size_t n = newest / dilation + 1;
    for (size_t k = 0; k < n; k++) chosen[n - 1 - k] = s->x[newest - k * dilation];
    return n;
}

static void block(const an_net *net, const an_package *p, an_stream *s)
{
    const size_t finished = (size_t)net->layer + 1;
    (void)p;
    if (finished % (size_t)an_options_int(net->options, "denseformer_period")) return;
    an_value **chosen = an_arena_alloc(&net->b->plan->arena, s->n * sizeof *chosen);
    double *start = an_arena_alloc(&net->b->plan->arena, s->n * sizeof *start);
    if (!chosen || !start) {
        an_build_fail(net->b, an_fail(AN_ENOMEM, "out of memory for the history of %zu blocks", finished));
        return;
    }
    const size_t n = choose(s, finished, (size_t)an_options_int(net->options, "denseformer_dilation"), chosen);
    start[n - 1] = 1;
    an_scope_push(net->b, "dense");
    an_value *w = an_param_start(net, AN_KIND_SCALE, "weight", AN_VEC(n), start);
    an_stream_put(net, s, an_gathered_emit(net, &an_op_blend, "average", &w, 1, chosen, n, NULL, 0));
    an_scope_pop(net->b);
}

static an_value *leave(const an_net *net, const an_package *p, const an_stream *s) { return an_slot(net, p->final_norm, "final", s->x[s->n - 1]); }

static const char *const VARIANTS[] = { "denseformer_dilation=2", "denseformer_period=2", NULL };

const an_design an_design_denseformer = { .name = "denseformer", .formula = "x <- x + F(N(x));  behind a block x <- sum_k w_k X_k",
    .source = "arXiv:2402.02622",
    .parameters = "L (L + 3) / 2, less with dilation and period", .options = OPTIONS, .package = package, .enter = an_enter_history, .site = site, .block = block,
    .leave = leave, .alone = true, .variants = VARIANTS,
    .remarks = "The identity at the start and the missing norm in the average tell it from DLCL, whose weights start as an average. The released code "
               "holds the weights in linear layers, which its optimizer decays, towards 0 and not towards the identity; here, as all learned scales, they "
               "are not decayed." };
