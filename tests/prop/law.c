/* law.c: see law.h. Sources: the papers named in docs/designs.md, and for index conventions the authors' code. */
#include "law.h"

#include <math.h>
#include <string.h>

static int is(const char *a, const char *b) { return strcmp(a, b) == 0; }

int law_of(const char *design, int layer, int mlp, double L, law *l)
{
    *l = (law){ .c = 1, .a = 1, .b = 1, .qk = 1, .v = 1, .o = 1, .fc1 = 1, .fc2 = 1, .emb = 1, .init = "gpt2" };
    if (is(design, "plain")) l->pre = l->final = 1, l->a = 0;
    else if (is(design, "post-ln")) l->post = 1;
    else if (is(design, "pre-ln") || is(design, "qk-norm") || is(design, "value-residual") || is(design, "custom")) l->pre = l->final = 1;
    else if (is(design, "deepnorm")) l->post = 1, l->a = pow(2 * L, 0.25), l->v = l->o = l->fc1 = l->fc2 = pow(8 * L, -0.25), l->init = "xavier";
    else if (is(design, "b2t")) l->post = 1, l->bottom = mlp, l->qk = l->v = l->o = l->fc1 = l->fc2 = 1 / sqrt(L), l->init = "xavier";
    else if (is(design, "sandwich-ln")) l->pre = l->out = l->final = 1;
    else if (is(design, "peri-ln")) l->pre = l->out = l->final = l->embed = 1;
    else if (is(design, "reordered")) l->out = l->final = 1, l->init = "normal";
    else if (is(design, "sub-ln")) l->pre = l->final = 1, l->v = l->o = l->fc1 = l->fc2 = sqrt(log(2 * L)), l->init = "xavier";
    else if (is(design, "normformer")) l->pre = l->final = 1, l->out = !mlp;
    else if (is(design, "hybridnorm")) l->pre = l->normed_skip = mlp, l->final = 1;
    else if (is(design, "keel")) l->pre = 1, l->post = layer > 0 || mlp, l->a = layer > 0 ? 2 * L : 1;
    else if (is(design, "mix-ln")) l->post = layer < (int)floor(0.25 * L), l->pre = !l->post, l->final = 1, l->init = "normal";
    else if (is(design, "layernorm-scaling")) l->pre = l->final = 1, l->c = 1 / sqrt(layer + 1.0), l->init = "normal";
    else if (is(design, "rezero") || is(design, "skipinit")) l->init = "xavier";
    else if (is(design, "layerscale")) l->pre = l->final = 1;
    else if (is(design, "t-fixup")) l->v = l->o = l->fc1 = l->fc2 = l->emb = pow(9 * L, -0.25), l->qk = sqrt(0.5), l->init = "xavier-uniform", l->uniform = 1;
    else return 0;
    return 1;
}
