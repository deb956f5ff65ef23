/* net/design/qk_norm.c
 * QK-norm: Pre-LN with a norm on the queries and keys of every head, before positions are turned in: attention scores are bounded
 * by the gains, so logits cannot grow without limit.
 * Package   pre norm, qk_norm head
 * Source    Henry et al. 2020, arXiv:2010.04245; Dehghani et al. 2023 (ViT-22B), arXiv:2302.05442 */
#include "net/design.h"

static an_status package(const an_net *net, an_package *p)
{
    (void)net;
    p->pre = p->final_norm = true;
    p->inside.qk_norm = "head";
    return AN_OK;
}

static const char *const VARIANTS[] = { "qk_norm=full", NULL };

const an_design an_design_qk_norm = { .name = "qk-norm", .formula = "x <- x + F(N(x)), q <- N(q), k <- N(k) per head", .source = "arXiv:2302.05442", .parameters = "2 d/H per layer",
    .package = package, .enter = an_enter_one, .site = an_site_operator, .leave = an_leave_one, .variants = VARIANTS,
    .remarks = "The key `qk_norm` adds it to every other design. Scores are still multiplied by 1/sqrt(d/H): norms of root mean square 1 without that factor give scores of standard deviation "
               "sqrt(d/H), which saturate the softmax, a mistake seen in public code. The 2020 paper uses the Euclidean norm and one learned scale instead." };
