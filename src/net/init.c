/* net/init.c
 * The init laws. Sources: gpt2 = Radford et al. 2019 (residual projections / sqrt(2L)); xavier = Glorot & Bengio 2010, normal
 * form, with embeddings scaled so that RMS(x0) = 1; zero-out = zero-initialised projections (residual blocks start as the identity). */
#include "net/init.h"

#include <string.h>

#include "net/arch.h"
#include "net/design.h"

static bool writes_stream(an_role role) { return role == AN_ROLE_O || role == AN_ROLE_FC2; }

static double normal(an_role role, size_t fan_in, size_t fan_out, size_t n_layer)
{
    (void)role; (void)fan_in; (void)fan_out; (void)n_layer;
    return 0.02;
}

static double gpt2(an_role role, size_t fan_in, size_t fan_out, size_t n_layer)
{
    (void)fan_in; (void)fan_out;
    return writes_stream(role) ? 0.02 / sqrt(2.0 * (double)n_layer) : 0.02;
}

static double xavier(an_role role, size_t fan_in, size_t fan_out, size_t n_layer)
{
    (void)role; (void)n_layer;
    return sqrt(2.0 / (double)(fan_in + fan_out));
}

static double he(an_role role, size_t fan_in, size_t fan_out, size_t n_layer)
{
    (void)role; (void)fan_out; (void)n_layer;
    return sqrt(2.0 / (double)fan_in);
}

static double zero_out(an_role role, size_t fan_in, size_t fan_out, size_t n_layer)
{
    (void)fan_in; (void)fan_out; (void)n_layer;
    return writes_stream(role) || role == AN_ROLE_HEAD ? 0 : 0.02;
}

static double small_embedding(const an_model_config *c, bool table) { (void)c; (void)table; return 0.02; }

/* RMS(E + P) = 1: learned tables share the variance; sines have RMS 1/sqrt(2) of their own; rotary adds nothing. */
static double unit_embedding(const an_model_config *c, bool table) { (void)table; return strcmp(c->position, "rotary") == 0 ? 1 : sqrt(0.5); }

static double per_width(const an_model_config *c, bool table) { (void)table; return 1 / sqrt((double)c->d_model); }
static double normal_embedding(const an_model_config *c, bool table) { (void)c; (void)table; return 1; }

/* U(-1/sqrt(fan_in), 1/sqrt(fan_in)): what torch.nn.Linear does. */
static double pytorch(an_role role, size_t fan_in, size_t fan_out, size_t n_layer)
{
    (void)role; (void)fan_out; (void)n_layer;
    return 1 / sqrt(3 * (double)fan_in);
}

static const an_init_law LAWS[] = {
    { "gpt2", "N(0, 0.02^2); attention and feed-forward outputs 0.02 / sqrt(2 n_layer)", "Radford et al. 2019", gpt2, small_embedding, false, false },
    { "normal", "N(0, 0.02^2) everywhere", "Devlin et al. 2018, arXiv:1810.04805", normal, small_embedding, false, false },
    { "xavier", "N(0, 2 / (fan_in + fan_out)); embeddings so that RMS(x0) = 1; untied head", "Glorot & Bengio 2010", xavier, unit_embedding, false, true },
    { "xavier-uniform", "U(+-sqrt(6 / (fan_in + fan_out))); embeddings N(0, 1 / d_model)", "Glorot & Bengio 2010", xavier, per_width, true, false },
    { "pytorch", "U(+-1 / sqrt(fan_in)); embeddings N(0, 1), an untied head as other matrices", "torch.nn.Linear, torch.nn.Embedding", pytorch, normal_embedding, true, true },
    { "he", "N(0, 2 / fan_in); embeddings as gpt2", "He et al. 2015, arXiv:1502.01852", he, small_embedding, false, false },
    { "zero-out", "N(0, 0.02^2); attention and feed-forward outputs and an untied head 0", "Zhang et al. 2019, arXiv:1901.09321", zero_out, small_embedding, false, false },
};

const an_init_law *an_init_at(size_t i) { return i < sizeof LAWS / sizeof *LAWS ? &LAWS[i] : NULL; }
const char *an_init_name(size_t i) { return an_init_at(i) ? LAWS[i].name : NULL; }
const char *an_init_choice(size_t i) { return i == 0 ? "auto" : an_init_name(i - 1); }

const an_init_law *an_init_find(const char *name)
{
    for (size_t i = 0; an_init_at(i); i++)
        if (strcmp(LAWS[i].name, name) == 0) return &LAWS[i];
    return NULL;
}

const an_init_law *an_init_of(const char *init, const an_design *design, const an_arch *arch)
{
    return an_init_find(strcmp(init, "auto") != 0 ? init : design->init ? design->init : arch->init ? arch->init : "gpt2");
}

const an_init_law *an_init_here(const an_net *net)
{
    const char *init = an_here_text(net, "init");
    return net->config->scaling.on && strcmp(init, "auto") == 0 ? an_init_find("normal") : an_init_of(init, an_design_here(net), an_arch_find(net->config->arch));
}

bool an_init_is_silent(const an_init_law *law) { return law->matrix(AN_ROLE_O, 1, 1, 1) == 0; }

/* The law's scale times the design's gain for this role. */
an_init an_init_matrix(const an_net *net, an_role role, size_t fan_in, size_t fan_out, size_t rows)
{
    const double width = role == AN_ROLE_HEAD ? 1 : sqrt(net->config->scaling.width), gain = (net->package ? net->package->gain[role] : 1) / width;
    const an_init_law *law = an_init_here(net);
    const double std = gain * law->matrix(role, fan_in, fan_out, net->config->n_layer);
    return law->uniform ? (an_init){ AN_LAW_UNIFORM, sqrt(3) * std, rows } : (an_init){ AN_LAW_NORMAL, std, rows };
}

an_init an_init_embedding(const an_net *net, bool position_table)
{
    const double gain = net->package ? net->package->gain[AN_ROLE_EMB] : 1;
    return (an_init){ AN_LAW_NORMAL, gain * an_init_here(net)->embedding(net->config, position_table), 0 };
}
