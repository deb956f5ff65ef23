/* net/design/deepnorm.h
 * DeepNorm's coefficients for every kind of transformer, see deepnorm.c. n: encoder layers, m: decoder layers. */
#ifndef AN_NET_DESIGN_DEEPNORM_H
#define AN_NET_DESIGN_DEEPNORM_H

#include "net/design.h"

typedef enum an_deepnorm_part { AN_DEEPNORM_ENCODER, AN_DEEPNORM_DECODER, AN_DEEPNORM_BOTH_ENCODER, AN_DEEPNORM_BOTH_DECODER } an_deepnorm_part;
typedef struct an_deepnorm { double alpha, beta; } an_deepnorm;
an_deepnorm an_deepnorm_coefficients(an_deepnorm_part part, double n, double m);

#endif
