/* net/model_impl.h
 * Inside of a model, for model.c and decode.c. */
#ifndef AN_NET_MODEL_IMPL_H
#define AN_NET_MODEL_IMPL_H

#include "net/model.h"
#include "plan/plan.h"

struct an_model {
    an_model_config config;
    const an_options *options;     /* borrowed */
    an_model_shape shape;
    an_params own, *params;        /* params: own, or the parent's */
    an_plan *plan;
    an_param *list;                /* what get_params shows */
    an_value *tokens, *targets, *logits;
    an_value *hidden;              /* what the head reads */
    const an_real *view[AN_SITE_STREAMS];
    const an_value *loss;
    int threads;
    char text[256];
};

/* Emits, freezes and binds a model whose config, options, shape and params are set; cache > 0: a decoding plan. */
an_status an_model_build(an_model *m, size_t cache) AN_MUST_USE;
an_status an_model_plan(an_model *m, size_t cache) AN_MUST_USE;               /* recompute.c: emits and freezes, as config.recompute wants it */
an_status an_model_emit(an_model *m, size_t cache) AN_MUST_USE;
an_run an_model_begin(an_model *m, const an_pass *pass);

#endif
