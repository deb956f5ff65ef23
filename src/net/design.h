/* net/design.h
 * A residual design: one file in design/, one row in design/design.def. It is a package (norm slots, skip and branch
 * scales, final norm or none, the gain of each weight matrix) and three emitters over a stream of live values; it holds
 * no backward code, and knows neither attention, nor the other designs, nor the norm kind. */
#ifndef AN_NET_DESIGN_H
#define AN_NET_DESIGN_H

#include "net/net.h"

/* What makes a design that design. A slot that is off and a scale of 1 emit nothing:
 *     u = Npre(x);   x <- Npost( skip * x + branch * Nout(F(u)) )                                         */
typedef struct an_package {
    bool pre, out, post;           /* norm slots of a sub-layer */
    bool final_norm;
    double skip, branch;           /* 0: no skip */
    double gain[AN_ROLES];         /* multiplies the init law's scale, per role */
} an_package;

enum { AN_STREAM_MAX = 8 };
typedef struct an_stream { an_value *x[AN_STREAM_MAX]; size_t n; } an_stream;   /* live values between sub-layers, [N,C] each */

/* A sub-layer F handed in as a closure: emits F(u) [N,C] in the current scope. */
typedef struct an_sublayer { an_value *(*emit)(const an_net *net, an_value *u); } an_sublayer;

typedef struct an_design {
    const char *name, *formula, *source;
    const an_option *options;      /* the design's own keys, or NULL */
    an_status (*package)(const an_net *net, an_package *p);
    void (*enter)(const an_net *net, const an_package *p, an_value *x0, an_stream *s);
    void (*site)(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f);
    an_value *(*leave)(const an_net *net, const an_package *p, const an_stream *s);
} an_design;

const an_design *an_design_find(const char *name);
const an_design *an_design_at(size_t i);
const char *an_design_name(size_t i);
an_status an_design_options_add(an_options *options) AN_MUST_USE;

/* The package of a design at this place: all slots off, scales and gains 1, then the design's own word. */
an_status an_design_package(const an_net *net, const an_design *design, an_package *p) AN_MUST_USE;

/* Emits one sub-layer with the design the configuration chooses for (layer, site). */
void an_site(an_net *net, an_stream *s, const char *site, const an_sublayer *f);

/* The single-stream operator that most designs share (design/operator.c). */
void an_enter_one(const an_net *net, const an_package *p, an_value *x0, an_stream *s);
void an_site_operator(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f);
an_value *an_leave_one(const an_net *net, const an_package *p, const an_stream *s);

#endif
