/* net/config.h
 * What a model is, resolved from the option rows in config.c. Add & Norm settings that may differ per layer and
 * sub-layer are not in the struct: net reads them from the options by (layer, site) while it builds. */
#ifndef AN_NET_CONFIG_H
#define AN_NET_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "core/option.h"
#include "core/real.h"
#include "core/status.h"
#include "net/parameterisation.h"

typedef struct an_model_config {
    const char *arch;              /* "decoder" */
    size_t n_layer, n_head, n_kv_head, d_model, d_ff, seq_len, vocab_size;
    const char *activation;        /* gelu_tanh, gelu_erf, relu, swiglu */
    const char *position;          /* learned, sinusoidal, rotary */
    double rope_base;
    bool bias, tie_embeddings;
    double dropout;
    an_scaling scaling;
    bool recompute;                /* drop what a block makes and run the block again in the backward pass */
    bool fuse;
    an_store store, stream;        /* what activations, and the residual stream, may be held as */
} an_model_config;

/* Adds the rows of the model and of Add & Norm, and the rows that each norm kind and design owns. */
an_status an_model_options_add(an_options *options) AN_MUST_USE;

/* Reads a resolved set of options into `config` and checks what needs several keys at once (heads that divide the width,
 * per-site overrides inside the model, ...). The strings stay owned by `options`, which must outlive every model built
 * from them. Errors: AN_ECONFIG with key, value and remedy. */
an_status an_model_config_read(an_model_config *config, const an_options *options) AN_MUST_USE;

#endif
