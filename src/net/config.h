/* net/config.h
 * What a model is, resolved from the option table (net/options.c). Add & Norm settings that may differ per layer and
 * sub-layer are not here: net reads them from the options by (layer, site) while it builds. */
#ifndef AN_NET_CONFIG_H
#define AN_NET_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

typedef struct an_model_config {
    const char *arch;              /* "decoder" */
    size_t n_layer, n_head, d_model, d_ff, seq_len, vocab_size;   /* d_ff 0: 4 d_model (swiglu: 8/3 d_model rounded up to 8) */
    const char *activation;        /* gelu_tanh, gelu_erf, relu, swiglu */
    const char *position;          /* learned, sinusoidal, rotary */
    double rope_base;
    bool bias, tie_embeddings;
    double dropout;
    const char *recompute;         /* none, block */
    bool fuse;
} an_model_config;

#endif
