/* plan/ledger.h
 * The gradient ledger. Where a skip and a branch part, the gradient of the stream is a sum of two: what came down the skip
 * and what came down the branch. The plan knows which steps form the branch, so it knows after which instruction the buffer
 * holds the one and after which it holds both. A watch follows one such value; a probe is a look at the arenas before or
 * after one instruction. Probes run on observed passes only and write nothing that a step reads: an observed pass computes
 * the same bits. ledger.c plans them while freezing, observe.c runs them. */
#ifndef AN_PLAN_LEDGER_H
#define AN_PLAN_LEDGER_H

#include "plan/plan.h"

/* The gradient of one value at one boundary: of the contributions that belong to this boundary (made by steps emitted after
 * it), which came through the branch. `kept` holds what the branch has given so far, minus what the buffer held when the
 * branch began to add to it; no such copy is needed where the branch's share is made in one piece (own_grad) or is all. */
typedef struct an_watch {
    an_value *value;               /* whose gradient; NULL: none flows here */
    an_value *kept;                /* NULL: no copy needed */
    const an_step *own;            /* the step that adds its own_grad at the end, or NULL */
    int site;                      /* whose branch is told apart; -1: nobody's */
    bool filled;                   /* the buffer holds anything but own_grad's share */
    bool own_branch;               /* own_grad's share is the branch's */
    bool open;                     /* at the end the branch was the last to add */
    bool whole;                    /* own's step leaves the sum in the buffer, where `total` is measured */
    double id, br, dot, total;     /* squared lengths and the inner product, of the last observed pass */
} an_watch;

typedef struct an_site_plan {
    size_t in, fork, out[AN_SITE_STREAMS];   /* watches: the first of n_in; where skip and branch part (n_fork of them, values beside the stream included); after the site */
    size_t n_fork;
    const an_value *x[AN_SITE_STREAMS], *y[AN_SITE_STREAMS], *f, *sum;   /* as in the mark, of a history the newest; sum: x + f before any norm, or NULL */
    double scale;                  /* of f in that sum */
    size_t n_x, n_y;
    size_t tokens, fold;           /* fold: streams that lie side by side in one value */
    double sums[8];                /* of the forward probe */
    an_real *sample;
} an_site_plan;

/* A look at position `at` of the code. What it does with its index is its kind's business (observe.c). */
typedef struct an_probe {
    size_t at;
    bool after;
    const struct an_probe_kind *kind;
    size_t index;                  /* watch, site or gauge */
    an_real keep, add;             /* probes of `kept`: kept = keep * kept + add * gradient */
} an_probe;

typedef struct an_probe_kind {
    size_t (*parts)(const struct an_ledger *l, const an_probe *p);
    void (*part)(struct an_ledger *l, const an_run *r, const an_probe *p, size_t index, int thread, double *sums);   /* sums: AN_SUMS, zeroed */
    void (*fold)(struct an_ledger *l, const an_run *r, const an_probe *p, const double *sums, size_t parts);
} an_probe_kind;

enum { AN_SUMS = 8, AN_SAMPLE_ROWS = 64 };

extern const an_probe_kind an__probe_keep, an__probe_gradient, an__probe_whole, an__probe_stream, an__probe_gauge;

/* A value that a probe reads at a position of the code, for the memory planner. */
typedef struct an_need_at { const an_value *value; bool gradient; size_t at; } an_need_at;

typedef struct an_gauge { const an_step *step; double value[AN_GAUGES]; } an_gauge;

typedef struct an_ledger {
    an_plan *plan;
    an_watch *watch;
    an_site_plan *site;
    an_gauge *gauge;
    an_probe *probe;
    an_need_at *need;
    size_t n_watch, n_site, n_gauge, n_probe, n_need;
    size_t cap_watch, cap_site, cap_gauge, cap_probe, cap_need;
    bool chain;                    /* the stack is one chain of skips: a stream enters, a stream leaves, and each sub-layer hands it to the next */
    size_t cursor;                 /* next probe of the pass in progress */
    double *sums;                  /* AN_SUMS per part of the widest probe */
    an_block samples;
    an_telemetry telemetry;        /* what the last observed pass has found */
    an_site_record *record;
    an_gauge_record *gauge_record;
} an_ledger;

void an_ledger_destroy(an_ledger **ledger);
an_status an_ledger_bind(an_ledger *ledger) AN_MUST_USE;                            /* reserves what the passes write to */
void an_ledger_begin(an_ledger *ledger);                                            /* before the forward pass */
void an_ledger_visit(an_ledger *ledger, const an_run *run, size_t at, bool after);  /* around instruction `at`, in order */
void an_ledger_finish(an_ledger *ledger);                                           /* turns sums into records */

#endif
