/* net/design.c
 * The registry of residual designs, made from design/design.def, and the one place where a sub-layer meets its design. */
#include "net/design.h"

#include <stdio.h>
#include <string.h>

#define AN_DESIGN(name) extern const an_design an_design_##name;
#include "net/design/design.def"
#undef AN_DESIGN

static const an_design *const DESIGNS[] = {
#define AN_DESIGN(name) &an_design_##name,
#include "net/design/design.def"
#undef AN_DESIGN
};

const an_design *an_design_at(size_t i) { return i < sizeof DESIGNS / sizeof *DESIGNS ? DESIGNS[i] : NULL; }
const char *an_design_name(size_t i) { return an_design_at(i) ? DESIGNS[i]->name : NULL; }

const an_design *an_design_find(const char *name)
{
    for (size_t i = 0; an_design_at(i); i++)
        if (strcmp(DESIGNS[i]->name, name) == 0) return DESIGNS[i];
    return NULL;
}

an_status an_design_options_add(an_options *options)
{
    for (size_t i = 0; an_design_at(i); i++) {
        char needs[64];
        if (!DESIGNS[i]->options) continue;
        snprintf(needs, sizeof needs, "design=%s", DESIGNS[i]->name);
        AN_TRY(an_options_add_owned(options, DESIGNS[i]->options, NULL, needs));
    }
    return AN_OK;
}

an_status an_design_package(const an_net *net, const an_design *design, an_package *p)
{
    *p = (an_package){ .skip = 1, .branch = 1 };
    for (size_t i = 0; i < AN_ROLES; i++) p->gain[i] = 1;
    return design->package(net, p);
}

void an_site(an_net *net, an_stream *s, const char *site, const an_sublayer *f)
{
    net->site = site;
    an_scope_push(net->b, "%s", site);
    const an_design *design = an_design_find(an_here_text(net, "design"));
    an_package p;
    an_build_fail(net->b, an_design_package(net, design, &p));
    if (net->b->status == AN_OK) {
        net->gain = p.gain;
        design->site(net, &p, s, f);
        net->gain = NULL;
    }
    an_scope_pop(net->b);
    net->site = NULL;
}
