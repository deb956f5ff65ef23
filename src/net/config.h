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

/* Of a model that reads images; side 0: it reads tokens. An image is side x side x channels bytes, row by row, pixel by pixel. */
typedef struct an_image { size_t side, channels, classes; } an_image;

typedef struct an_model_config {
    const char *arch;              /* "decoder" */
    size_t n_layer, n_head, n_kv_head, d_model, d_ff, seq_len, vocab_size;   /* n_layer: blocks */
    an_image image;                /* then seq_len is the bytes of one, vocab_size the classes, and each has one target */
    const char *activation;        /* gelu_tanh, gelu_erf, relu, swiglu */
    const char *position;          /* learned, sinusoidal, rotary */
    double rope_base;
    bool bias, tie_embeddings;
    double dropout, z_loss;
    an_scaling scaling;
    const char *recompute;         /* none, block, sqrt, auto: what the backward pass makes again (net/recompute.c) */
    size_t memory;                 /* bytes that training may take, for recompute auto; 0: no limit, unless the caller knows one (an_memory_budget) */
    bool fuse;
    an_store store, stream;        /* what activations, and the residual stream, may be held as */
} an_model_config;

/* Targets of a sequence of seq tokens: one per token, or one for the image. */
static inline size_t an_model_config_targets(const an_model_config *c, size_t seq) { return c->image.side ? 1 : seq; }

/* Adds the rows of the model and of Add & Norm, and the rows that each norm kind and design owns. */
an_status an_model_options_add(an_options *options) AN_MUST_USE;

/* Reads a resolved set of options into `config` and checks what needs several keys at once (heads that divide the width,
 * per-site overrides inside the model, ...). The strings stay owned by `options`, which must outlive every model built
 * from them. Errors: AN_ECONFIG with key, value and remedy. */
an_status an_model_config_read(an_model_config *config, const an_options *options) AN_MUST_USE;

#endif
