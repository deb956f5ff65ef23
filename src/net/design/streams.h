/* net/design/streams.h
 * What designs of n streams per token share: hyper-connections and its manifold-constrained form. They differ in how a token's
 * coefficients are made (op/streams.c says what these are). */
#ifndef AN_NET_DESIGN_STREAMS_H
#define AN_NET_DESIGN_STREAMS_H

#include "net/design.h"

enum { AN_STREAMS_MOST = 16 };
#define AN_STREAMS_ROW { "hyper_streams", AN_INT, "4", "1..16", "n, streams that run side by side", .flags = 0 }

size_t an_streams_count(const an_net *net);                                            /* n */
void an_streams_enter(const an_net *net, bool wide, an_value *x0, an_stream *s);       /* n copies of x0 */
/* One sub-layer. `scope` holds the coefficients' parameters; coefficients(h) emits them, one row [n (n + 2)] per token. */
void an_streams_site(const an_net *net, const an_package *p, an_stream *s, const an_sublayer *f, const char *scope,
                     an_value *(*coefficients)(const an_net *net, an_value *h));
an_value *an_streams_leave(const an_net *net, const an_package *p, const an_stream *s);   /* the sum of the streams, then the final norm */

#endif
