/* net/config.c
 * The rows of the model and of Add & Norm, and the checks that need more than one of them. Names of the neighbours:
 * nanoGPT model.py, Hugging Face config.json, Marian (interoperation of names, not of formats). */
#include "net/config.h"

#include <string.h>

#include "net/arch.h"
#include "net/design.h"
#include "net/init.h"
#include "net/norm.h"
#include "net/sublayers.h"
#include "op/op.h"

#define MODEL .group = "model"
#define TOKENS MODEL, .needs = AN_NEEDS_TOKENS   /* of architectures that read tokens */
#define RUNNING .group = "running"
#define SITE .flags = AN_PER_SITE

static const an_option TABLE[] = {
    { "arch", AN_CHOICE, "decoder", NULL, "kind of network", MODEL, .choices = an_arch_name },
    { "n_layer", AN_INT, "6", "1..100000", "number of blocks; of arch resnet layers with weights, 6 n + 2", MODEL, .aliases = "num_hidden_layers num_layers dec_depth" },
    { "n_head", AN_INT, "6", "1..65536", "attention heads; must divide d_model", TOKENS, .aliases = "num_attention_heads num_heads transformer_heads" },
    { "n_kv_head", AN_INT, "auto", "1..65536", "heads of keys and values, each shared by n_head / n_kv_head query heads; auto: n_head", TOKENS, .words = "auto=0", .aliases = "num_key_value_heads num_kv_heads n_query_groups" },
    { "d_model", AN_INT, "384", "1..1048576", "width of the residual stream, channels", TOKENS, .aliases = "n_embd hidden_size dim_emb" },
    { "d_ff", AN_INT, "auto", "1..4194304", "width of the feed-forward; auto: 4 d_model (swiglu: 8/3 d_model, up to a multiple of 8)", TOKENS, .words = "auto=0", .aliases = "n_inner intermediate_size transformer_dim_ffn" },
    { "seq_len", AN_INT, "256", "1..16777216", "tokens of context", TOKENS, .aliases = "block_size n_positions max_position_embeddings max_length" },
    { "vocab_size", AN_INT, "256", "2..16777216", "number of token kinds", TOKENS },
    { "activation", AN_CHOICE, "gelu_tanh", NULL, "non-linearity of the feed-forward", TOKENS, .choices = an_activation_name, .aliases = "activation_function hidden_act transformer_ffn_activation" },
    { "position", AN_CHOICE, "learned", NULL, "how a token knows its place", TOKENS, .choices = an_position_name },
    { "rope_base", AN_FLOAT, "10000", ">0", "longest wavelength of rotary positions, tokens / 2 pi", MODEL, .needs = "position=rotary", .aliases = "rope_theta" },
    { "bias", AN_BOOL, "true", NULL, "biases in linear layers (and, by norm_bias auto, in norms)", MODEL, .aliases = "attention_bias mlp_bias" },
    { "tie_embeddings", AN_CHOICE, "auto", "auto|true,yes,on,1|false,no,off,0", "the output head is the token table; auto: true, but false where embeddings have unit size (init xavier, pytorch) or the design keeps the two apart", TOKENS, .aliases = "tie_word_embeddings tied_embeddings" },
    { "dropout", AN_FLOAT, "0", "[0,1)", "probability of dropping embeddings, attention weights and branch outputs", TOKENS, .aliases = "resid_pdrop dropout_rate transformer_dropout" },
    { "z_loss", AN_FLOAT, "0", "[0,1]", "weight of the squared log-sum-exp of the logits in the training loss, which keeps them from drifting; usual: 1e-4 (arXiv:2204.02311)", .group = "training", .aliases = "z_loss_weight z_loss_multiplier z_loss_coef" },

    { "design", AN_CHOICE, "pre-ln", NULL, "residual design: where skips, norms and scales stand", .choices = an_design_name, SITE },
    { "norm", AN_CHOICE, "layernorm", NULL, "norm kind", .choices = an_norm_name, SITE },
    { "init", AN_CHOICE, "auto", NULL, "law that the first weights are drawn from; auto: what the design prescribes (gpt2 for most)", .choices = an_init_choice, SITE },
    { "qk_norm", AN_CHOICE, "auto", "auto|off,none|head|full", "RMSNorm on queries and keys, per head or over all heads; auto: what the design prescribes (off for most)", SITE, .needs = AN_NEEDS_TOKENS },
    { "value_residual", AN_CHOICE, "auto", "auto|off,none|half|learned", "mix the first layer's values into every later layer's; auto: what the design prescribes (off for most)", SITE, .needs = AN_NEEDS_TOKENS },

    { "precision", AN_CHOICE, "f32", "f32|bf16,bfloat16,mixed", "bf16: what products read and write is held as bfloat16, weights and all sums stay f32 (docs/precision.md)", RUNNING, .aliases = "dtype" },
    { "stream_precision", AN_CHOICE, "f32", "f32|bf16", "numbers that the residual stream is held in", RUNNING, .needs = "precision=bf16" },
    { "recompute", AN_CHOICE, "none", "none|block|sqrt|auto", "what the backward pass makes again instead of keeping it; block: each block, sqrt: segments of blocks, memory as the root of depth; auto: as little as fits into memory", RUNNING },
    { "memory", AN_SIZE, "auto", ">0", "what parameters, gradients, optimizer, activations and scratch may take; auto: what this machine has", RUNNING, .words = "auto=0", .needs = "recompute=auto" },
    { "fuse", AN_BOOL, "true", NULL, "join neighbouring steps into one memory pass", RUNNING },
    AN_OPTION_END
};

an_status an_model_options_add(an_options *options)
{
    AN_TRY(an_options_add(options, TABLE, NULL));
    AN_TRY(an_options_add(options, an_scaling_options, NULL));
    AN_TRY(an_arch_options_add(options));
    AN_TRY(an_norm_options_add(options));
    return an_design_options_add(options);
}

static size_t size_of(const an_options *options, const char *key) { return (size_t)an_options_int(options, key); }

static an_store store_of(const an_options *options, const char *key) { return an_options_text(options, key)[0] == 'b' ? AN_STORE_BF16 : AN_STORE_REAL; }

static an_status check_heads(const an_model_config *c)
{
    if (c->d_model % c->n_head) {
        size_t near = c->n_head;
        while (c->d_model % near) near--;
        return an_fail(AN_ECONFIG, "n_head %zu does not divide d_model %zu; try n_head %zu", c->n_head, c->d_model, near);
    }
    if (c->n_head % c->n_kv_head) {
        size_t near = c->n_kv_head < c->n_head ? c->n_kv_head : c->n_head;
        while (c->n_head % near) near--;
        return an_fail(AN_ECONFIG, "n_kv_head %zu does not divide n_head %zu; try n_kv_head %zu", c->n_kv_head, c->n_head, near);
    }
    if (strcmp(c->position, "rotary") == 0 && (c->d_model / c->n_head) % 2)
        return an_fail(AN_ECONFIG, "position rotary turns pairs of channels, but a head has d_model / n_head = %zu; choose an even head width", c->d_model / c->n_head);
    return AN_OK;
}

/* Neither embeddings of unit size nor those of some designs can be the head as well. */
static an_status decide_tie(an_model_config *c, const an_options *options)
{
    const char tie = an_options_text(options, "tie_embeddings")[0];
    const an_design *design = an_design_find(an_options_text(options, "design"));
    const an_init_law *law = an_init_of(an_options_text(options, "init"), design, an_arch_find(c->arch));
    c->tie_embeddings = tie == 't' || (tie == 'a' && !law->unit && !design->untied);
    if (c->tie_embeddings && design->untied)
        return an_fail(AN_ECONFIG, "tie_embeddings true (%s) contradicts design %s: %s; set tie_embeddings false", an_options_place(options, "tie_embeddings"), design->name, design->untied);
    if (!c->tie_embeddings || !law->unit) return AN_OK;
    return an_fail(AN_ECONFIG, "tie_embeddings true (%s) contradicts init %s, whose embeddings have unit size; set tie_embeddings false or another init",
                   an_options_place(options, "tie_embeddings"), law->name);
}

an_status an_model_config_read(an_model_config *config, const an_options *options)
{
    const char *activation = an_options_text(options, "activation");
    an_model_config c = { .arch = an_options_text(options, "arch"), .n_layer = size_of(options, "n_layer"), .n_head = size_of(options, "n_head"), .n_kv_head = size_of(options, "n_kv_head"),
        .d_model = size_of(options, "d_model"), .d_ff = size_of(options, "d_ff"), .seq_len = size_of(options, "seq_len"), .vocab_size = size_of(options, "vocab_size"),
        .activation = activation, .position = an_options_text(options, "position"), .rope_base = an_options_float(options, "rope_base"),
        .bias = an_options_bool(options, "bias"), .dropout = an_options_float(options, "dropout"), .z_loss = an_options_float(options, "z_loss"),
        .recompute = an_options_text(options, "recompute"), .memory = size_of(options, "memory"), .fuse = an_options_bool(options, "fuse"),
        .store = store_of(options, "precision"), .stream = store_of(options, "stream_precision") };
    if (c.n_kv_head == 0) c.n_kv_head = c.n_head;
    if (c.d_ff == 0) c.d_ff = strcmp(activation, "swiglu") == 0 ? (8 * c.d_model / 3 + 7) / 8 * 8 : 4 * c.d_model;
    const an_arch *arch = an_arch_find(c.arch);
    if (arch->read) AN_TRY(arch->read(&c, options));
    if (arch->tokens) {
        AN_TRY(check_heads(&c));
        AN_TRY(decide_tie(&c, options));
    }
    AN_TRY(an_scaling_read(&c.scaling, options, c.d_model, c.n_layer));
    AN_TRY(an_options_check_sites(options, (int64_t)c.n_layer, arch->sites));
    *config = c;
    return AN_OK;
}
