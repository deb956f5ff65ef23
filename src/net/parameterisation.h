/* net/parameterisation.h
 * Width and depth parameterisations: how initial size, learning rate, Adam's eps, weight decay and forward multipliers
 * change when a model is made wider or deeper than the base model its settings were tuned on.
 *
 *   m_d = d_model / base_width     m_L = n_layer / base_depth     a: depth exponent
 *                        standard   mup        depth-mup (a = 1/2), completep (a = 1)
 *   branch multiplier    1          1          m_L^-a
 *   hidden init std      s          s/sqrt(m_d)   s/sqrt(m_d)
 *   hidden lr            1          1/m_d      m_L^(a-1) / m_d
 *   gains, biases lr     1          1          m_L^(a-1) inside blocks, 1 outside
 *   hidden weight decay  1          m_d        m_d
 *   Adam eps             1          1/m_d      m_L^-a / m_d inside blocks, 1/m_d outside
 *   logits               1          out/m_d    out/m_d
 *   attention scale      1/sqrt(D)  1/D        1/D
 *   embedding output     in         in         in
 * Under the last three no projection carries GPT-2's 1/sqrt(2L): the branch multiplier is the depth law.
 * The authors' code, EleutherAI/nanoGPT-mup, differs in two cells from the table of the paper, which is followed here: its completep branch applies
 * m_L^-a / m_d to eps of all groups, embeddings included, where the table has 1/m_d for embeddings and head; its mup branch leaves hidden weight
 * decay as it is, where the table has m_d.
 * Source    Yang et al. 2022, arXiv:2203.03466; Yang et al. 2023, arXiv:2310.02244; Dey et al. 2025, arXiv:2505.01618 */
#ifndef AN_NET_PARAMETERISATION_H
#define AN_NET_PARAMETERISATION_H

#include <stdbool.h>
#include <stddef.h>

#include "core/option.h"
#include "core/status.h"

typedef struct an_scaling {
    bool on;                       /* false: standard, everything 1 but input */
    double width, depth, alpha;    /* m_d, m_L (1: no depth law), a */
    double input, output;          /* forward multipliers of the embedding and of the logits */
} an_scaling;

extern const an_option an_scaling_options[];

/* Reads the keys. Errors: AN_ECONFIG where the init law would bring a second depth or width law. */
an_status an_scaling_read(an_scaling *scaling, const an_options *options, size_t d_model, size_t n_layer) AN_MUST_USE;

struct an_net;
struct an_design;
struct an_package;
/* Puts the depth law on a design's branches. Errors: AN_ECONFIG for designs with a depth law of their own. */
an_status an_scaling_apply(const struct an_net *net, const struct an_design *design, struct an_package *p) AN_MUST_USE;

#endif
