/* net/theory.h
 * What a model should do before its first step: a mean-field recursion over the sub-layers, in numbers only. It reads the
 * design's package and the init law and never the model's weights, so that measuring a model against it means something.
 *
 * Up: the covariances K_ts of the tokens of one sequence, per channel. Down: the same of the gradient, G_ts. At
 * initialisation branch and stream are independent, so
 *   up      K <- a^2 K + b^2 Cov f           then scaled to K_tt = 1 behind a post norm
 *   down    G <- a^2 G' + b^2 J(G')          G' = G / sqrt(Var y_t Var y_s) behind a post norm; J: back through the branch
 * Attention averages earlier tokens with log-normal weights whose variance is that of the scores; gradients through queries
 * and keys are left out. Limits: causal attention, widths of some tens at least, biases 0, gains 1, dropout 0; sequences are
 * followed for 256 positions; designs with a stream of their own and norms over the batch have no law here.
 * Source    Xiong et al. 2020, arXiv:2002.04745; Noci et al. 2022, arXiv:2206.03126; Kedia et al. 2024, arXiv:2403.09635;
 *           tanh and erf norms: derived, see norm/dyt.c */
#ifndef AN_NET_THEORY_H
#define AN_NET_THEORY_H

#include "net/config.h"

typedef struct an_theory_site {
    int layer;
    const char *site;
    double skip;                   /* factor on the skip, profiled or as it stands */
    double stream, branch;         /* mean squares: the stream after this sub-layer; the branch as it is added */
    double correlation;            /* of two tokens of a sequence, after this sub-layer */
    double attenuation;            /* identity path: |g_id| / |g_out|, norms on the skip included */
    double branch_gradient;        /* |g_br| / |g_out| */
    double gradient;               /* gradient RMS at the input of this sub-layer, over that at the end of the stack */
} an_theory_site;

typedef struct an_theory {
    an_theory_site *site;          /* in forward order */
    size_t n;
    double product;                /* of the attenuations */
} an_theory;

/* Where the recursion starts. */
typedef struct an_theory_input {
    double stream;                 /* mean square of x0 as measured; < 0: from the init law */
    double correlation;            /* of two tokens of x0 */
    double gradient_correlation;   /* of the loss's gradient at two positions: about the probability of equal targets */
} an_theory_input;

/* Errors: AN_ECONFIG where the design or the norm has no law here (the sentence says why), AN_ENOMEM. */
an_status an_theory_predict(an_theory *out, const an_model_config *config, const an_options *options, const an_theory_input *in) AN_MUST_USE;
void an_theory_fini(an_theory *theory);

#endif
