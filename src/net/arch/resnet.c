/* net/arch/resnet.c
 * Residual image classifier: a 3 x 3 convolution, three stages of (n_layer - 2) / 6 units of two convolutions each, the mean over each
 * map, a linear head; later stages begin with a stride of 2 and have twice the channels. So n_layer = 6n + 2 counts the layers with
 * weights, as the paper does; a unit is one sub-layer "conv" of a block. A design wraps units as it wraps attention:
 *     with a pre norm    F(u) = conv(relu(N(conv(relu(u)))))     pre-ln: the units of He et al. 2016; plain: the same without skips
 *     without            F(u) = conv(relu(N(conv(u)))), and a ReLU behind the sum: with an out norm and no other, the units of He et al. 2015
 * Designs without a norm have none inside F either. Convolutions have no bias, the norms behind them have.
 * Where a stage begins the skip follows without parameters (op/map.c), so plain and residual networks have the same ones.
 * Errors    build: a design with a stream of its own, or with settings for attention, feed-forward or embedding -> AN_ECONFIG
 * Source    He et al. 2015, arXiv:1512.03385, section 4.2; He et al. 2016, arXiv:1603.05027 */
#include "net/arch.h"

#include <stdio.h>

#include "net/design.h"
#include "net/init.h"
#include "net/norm.h"

enum { STAGES = 3, SIDE = 16, CHANNELS = 1, CLASSES = 10 };   /* of the images that are built in */

#define MODEL .group = "model"

static const an_option OPTIONS[] = {
    { "image_size", AN_INT, "auto", "1..4096", "side of the square images, pixels; auto: that of data, or 16", MODEL, .words = "auto=0" },
    { "image_channels", AN_INT, "auto", "1..64", "numbers per pixel; auto: those of data, or 1", MODEL, .words = "auto=0" },
    { "classes", AN_INT, "auto", "2..65536", "kinds of image; auto: those of data, or 10", MODEL, .words = "auto=0" },
    { "width", AN_INT, "16", "1..65536", "channels of the first stage; the second has twice as many, the third four times", MODEL },
    AN_OPTION_END
};

static size_t size_or(const an_options *options, const char *key, size_t otherwise)
{
    const size_t n = (size_t)an_options_int(options, key);
    return n ? n : otherwise;
}

static an_status read(an_model_config *c, const an_options *options)
{
    if (c->n_layer < 8 || (c->n_layer - 2) % 6)
        return an_fail(AN_ECONFIG, "n_layer %zu (%s) is not 6 n + 2, as arch resnet counts layers with weights; try %zu", c->n_layer, an_options_place(options, "n_layer"),
                       c->n_layer < 8 ? 8 : (c->n_layer - 2 + 3) / 6 * 6 + 2);
    c->image = (an_image){ size_or(options, "image_size", SIDE), size_or(options, "image_channels", CHANNELS), size_or(options, "classes", CLASSES) };
    c->n_layer = (c->n_layer - 2) / 2;
    c->d_model = c->d_ff = (size_t)an_options_int(options, "width");
    c->n_head = c->n_kv_head = 1;
    c->seq_len = c->image.side * c->image.side * c->image.channels;
    c->vocab_size = c->image.classes;
    c->activation = "relu";
    c->position = "none";
    c->dropout = 0;
    return AN_OK;
}

static bool has_norms(const an_package *p) { return p->pre || p->out || p->post; }

static an_status check_design(const an_design *design, const an_package *p)
{
    const an_inside *in = &p->inside;
    if (design->alone) return an_fail(AN_ECONFIG, "design %s keeps a stream of its own, of one size, but maps get smaller and wider from stage to stage of arch resnet; use a design of one stream, such as pre-ln", design->name);
    if (in->attn_norm || in->mlp_norm || in->head_scale || in->v_norm || in->qk_unit || strcmp(in->qk_norm, "off") || strcmp(in->value_residual, "off") || p->embed_scale != 1 || p->unit_weights)
        return an_fail(AN_ECONFIG, "design %s says what happens inside attention, feed-forward or embedding, and arch resnet has none of them; use another, such as pre-ln, or custom for its places of norms", design->name);
    return AN_OK;
}

static an_value *relu(const an_net *net, const char *name, an_value *x)
{
    const an_act_attr attr = { an_act_find("relu") };
    return AN_EMIT(net->b, &an_op_activation, name, &attr, x);
}

static an_value *conv(const an_net *net, const char *name, an_value *x, size_t side, size_t stride, size_t out, an_role role)
{
    if (net->b->status != AN_OK) return NULL;
    char parameter[64];
    const size_t seen = 9 * an_cols(x);
    const an_init init = an_init_matrix(net, role, seen, 9 * out, 0);
    const an_map_attr attr = { .side = side, .stride = stride };
    snprintf(parameter, sizeof parameter, "%s.weight", name);
    an_value *w = an_param_emit(net, role == AN_ROLE_FC2 ? AN_KIND_OUTPUT : AN_KIND_MATRIX, parameter, AN_MAT(out, seen), &init, 1);
    return AN_EMIT(net->b, &an_op_conv, name, &attr, x, w);
}

static an_value *unit(const an_net *net, an_value *u)
{
    const an_grid *m = net->grid;
    const an_package *p = net->package;
    if (p->pre) u = relu(net, "rectified", u);
    an_value *y = an_slot(net, has_norms(p), "inner", conv(net, "conv1", u, m->side, m->stride, m->out, AN_ROLE_FC1));
    return conv(net, "conv2", relu(net, "act", y), an_grid_side(m), 1, m->out, AN_ROLE_FC2);
}

/* One unit; whether the stream leaves it through a ReLU. */
static bool block(an_net *net, an_stream *s, size_t layer, const an_grid *map)
{
    static const an_sublayer f = { unit };
    an_package p = { 0 };
    net->layer = (int64_t)layer;
    net->site = "conv";
    net->b->block = (int)layer;
    an_build_fail(net->b, an_design_package(net, an_design_here(net), &p));
    if (net->b->status == AN_OK) an_build_fail(net->b, check_design(an_design_here(net), &p));
    an_scope_push(net->b, "layers.%zu", layer);
    net->grid = map;
    an_site(net, s, "conv", &f);
    if (net->b->status == AN_OK && !p.pre) s->x[0] = relu(net, "rectified", s->x[0]);
    an_block_end(net, s);
    an_scope_pop(net->b);
    net->b->block = -1;
    net->layer = -1;
    return !p.pre;
}

/* The first map: where units do not begin with norm and ReLU, it gets its own. */
static an_value *stem(an_net *net, an_value *pixels, an_package *first)
{
    const an_map_attr attr = { .channels = net->config->image.channels };
    net->layer = 0;
    net->site = "conv";
    an_build_fail(net->b, an_design_package(net, an_design_here(net), first));
    net->layer = -1;
    net->site = NULL;
    an_scope_push(net->b, "stem");
    an_value *x = conv(net, "conv", AN_EMIT(net->b, &an_op_pixels, "pixels", &attr, pixels), net->config->image.side, 1, net->config->d_model, AN_ROLE_FC1);
    if (!first->pre && !net->package->embed_norm) x = an_slot(net, has_norms(first), "norm", x);
    an_scope_pop(net->b);
    return x;
}

static an_value *head(const an_net *net, an_value *x, size_t side)
{
    if (net->b->status != AN_OK) return NULL;
    const an_map_attr attr = { .side = side };
    x = AN_EMIT(net->b, &an_op_pool, "pool", &attr, x);
    const size_t classes = net->config->image.classes;
    if (net->b->status != AN_OK) return NULL;
    const an_init init = an_init_matrix(net, AN_ROLE_HEAD, an_cols(x), classes, 0);
    an_value *w = an_param_emit(net, AN_KIND_HEAD, "head.weight", AN_MAT(classes, an_cols(x)), &init, 1);
    return AN_EMIT_BARE(net->b, &an_op_linear, "head", x, w, an_param_const(net, AN_KIND_VECTOR, "head.bias", classes, 0));
}

static an_value *emit(an_net *net, an_value *pixels)
{
    const an_design *design = an_design_find(an_options_text(net->options, "design"));
    const size_t layers = net->config->n_layer, each = layers / STAGES;
    an_package package = { 0 }, first = { 0 };
    an_stream s = { 0 };
    an_grid map = { net->config->image.side, 1, net->config->d_model };
    an_build_fail(net->b, an_design_package(net, design, &package));
    net->package = &package;
    net->tokens = NULL;                                      /* every pixel counts */
    an_value *x0 = stem(net, pixels, &first);
    if (net->b->status == AN_OK) an_build_fail(net->b, check_design(design, &package));
    if (net->b->status == AN_OK) design->enter(net, &package, x0, &s);
    bool rectified = !first.pre;
    if (rectified && net->b->status == AN_OK) s.x[0] = relu(net, "stem.rectified", s.x[0]);
    for (size_t l = 0; l < layers && net->b->status == AN_OK; l++) {
        map = (an_grid){ an_grid_side(&map), l && l % each == 0 ? 2 : 1, net->config->d_model << l / each };
        rectified = block(net, &s, l, &map);
    }
    if (net->b->status != AN_OK) return NULL;
    an_value *x = design->leave(net, &package, &s);
    return head(net, package.final_norm || !rectified ? relu(net, "final.rectified", x) : x, an_grid_side(&map));
}

const an_arch an_arch_resnet = { .name = "resnet", .formula = "pixels -> (n_layer - 2) / 2 units of two 3 x 3 convolutions in three stages -> mean -> class", .source = "arXiv:1512.03385",
    .sites = "conv", .emit = emit, .options = OPTIONS, .read = read, .init = "he", .small = "n_layer=8 width=8 image_size=5 image_channels=2 classes=5" };
