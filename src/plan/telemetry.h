/* plan/telemetry.h
 * What an observed pass has measured, as plain numbers: one record per sub-layer and one per step that has gauges. NaN
 * where a number has no meaning (no gradient at the last boundary of a plan that does not train, no sum to compare with).
 * Definitions, formulas and costs: docs/telemetry.md. */
#ifndef AN_PLAN_TELEMETRY_H
#define AN_PLAN_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"

typedef enum an_observe { AN_OBSERVE_OFF, AN_OBSERVE_BASIC, AN_OBSERVE_FULL } an_observe;

/* One sub-layer. x: the stream before it, y: after it, f: what the branch adds. g: the gradient of the loss there. Lengths
 * are Euclidean, over all tokens, channels and streams. */
typedef struct an_site_record {
    const char *name;              /* "layers.3.attn" */
    int layer;
    size_t n_in, n_out;            /* streams */
    size_t rows, cols;             /* of one stream */
    double g_in, g_out;            /* |g| at x and at y */
    double g_id, g_br;             /* the two parts of the gradient at x: through the skip, through the branch */
    double g_dot;                  /* their inner product: g_fork^2 = g_id^2 + g_br^2 + 2 g_dot */
    double g_fork;                 /* |g| where skip and branch part: at x and what the branch reads beside it, or behind a norm of x that both carry */
    double g_cos;                  /* their cosine */
    double attenuation;            /* g_id / g_out, times g_in / g_fork where a norm of x is on the skip; NaN where the stack is no single chain of skips */
    double x_rms, f_rms, y_rms, rho;   /* root mean squares; rho = f_rms / x_rms */
    double dependency;             /* Var f / Var (x + f), Liu et al. 2020 */
    double sum_dev;                /* root of the mean over tokens of Var (x + f), what a norm behind the sum divides by */
    double cos_xf, cos_xy;         /* means over tokens; cos_xf for one stream only */
    const an_real *sample;         /* AN_OBSERVE_FULL: some rows of y [sample_rows, cols]; streams added up; else NULL */
    size_t sample_rows;
} an_site_record;

/* The gauges of one step: a norm, an attention, the output. */
typedef struct an_gauge_record {
    const char *name, *family;     /* "layers.3.attn.pre", "norm" */
    size_t n;
    const char *const *metric;     /* [n] */
    const double *value;           /* [n] */
} an_gauge_record;

typedef struct an_telemetry {
    const an_site_record *site;    /* [n_sites], in forward order */
    const an_gauge_record *gauge;  /* [n_gauges], in forward order */
    size_t n_sites, n_gauges;
} an_telemetry;

#endif
