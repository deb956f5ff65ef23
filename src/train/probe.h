/* train/probe.h
 * Measures on demand: what each sub-layer is worth, how long the paths are that carry the gradient, what the stream already
 * says after each sub-layer, and what one update does to the function. All on one given pass (a probe batch), for any
 * parameters: at initialisation or trained. Definitions, costs and limits: docs/telemetry.md, "On demand".
 *
 * Models here are plans built with shape.probe (net/model.h): `look` forward only, with logits; `down` with train. Randomness of
 * training is off where pass.train is. `tick` (NULL: none) hears how many of all passes are done; no function keeps anything.
 *
 * Sources   lesions and path lengths: Veit, Wilber & Belongie 2016, arXiv:1605.06431; amplification: Liu et al. 2020,
 *           arXiv:2004.08249; linearisation and coordinate check: Dey et al. 2025, arXiv:2505.01618 */
#ifndef AN_TRAIN_PROBE_H
#define AN_TRAIN_PROBE_H

#include "net/model.h"

typedef struct an_ticker { void (*tick)(void *ctx, uint64_t done, uint64_t all); void *ctx; } an_ticker;

/* loss[i], nats: without what sub-layer i adds. *whole: with all. S + 1 forward passes. Errors: AN_ECONFIG (an_model_need), AN_ENOMEM. */
an_status an_probe_lesions(an_model *look, const an_pass *pass, double *whole, double *loss, const an_ticker *ticker) AN_MUST_USE;

/* The stream after sub-layer i put through final norm and head: loss in nats, share of targets that are its most likely token
 * (the lowest of equals). 1 forward pass and S times what stands behind the stack. Errors: as above. */
typedef struct an_lens { double loss, accuracy; } an_lens;
an_status an_probe_lens(an_model *look, const an_pass *pass, an_lens *lens, const an_ticker *ticker) AN_MUST_USE;

/* The gradient of the stream before the first sub-layer along the paths through exactly k branches, k = 0 .. S: for a set of k
 * branches it flows through these and, at every other sub-layer, through the skip alone; its length is averaged over sets. */
typedef struct an_path {
    double length, deviation;      /* mean over the sets, and its standard error (0 where all sets were taken) */
    double log_count;              /* log of the number of sets, C(S,k) */
    double share;                  /* of sum_k C(S,k) length: what paths of this length carry */
    size_t sets;                   /* taken */
} an_path;

typedef struct an_paths {
    double whole;                  /* length of the whole gradient */
    double slope, r2;              /* least squares of log length on k, over the k with length > 0 */
    double short_share;            /* of the paths with k <= S/2 */
    double mean_k, peak_k;         /* of the shares: mean, and where the largest lies */
} an_paths;

/* path: [S + 1]. All sets where there are no more than `samples` and for k <= 1, else so many, drawn by `seed` in proportion to what their
 * branches keep one by one and weighted inversely: the expectation is the mean over all sets. Costs a forward
 * and a backward pass without parameter gradients for each set. Takes a loss_scale of its own. Errors: as above. */
an_status an_probe_paths(an_model *down, const an_pass *pass, size_t samples, uint64_t seed, an_paths *out, an_path *path, const an_ticker *ticker) AN_MUST_USE;

/* The gradient for one choice: cut [S], as in an_pass. Its length, over pass.loss_scale, which must not be 0; the gradient itself is
 * an_model_get_root_gradient's. */
double an_probe_path_gradient(an_model *down, const an_pass *pass, const unsigned char *cut);

/* What an update does, at one place: root mean squares over all tokens, channels and streams. */
typedef struct an_moved {
    double size;                   /* of the value before */
    double change;                 /* F(W + dW) - F(W) */
    double linear;                 /* D = dF(W + h dW) / dh at h = 0: what first order predicts */
    double distance;               /* change - D */
    double doubt;                  /* how far two formulas for D differ: distances below it mean nothing */
    double since;                  /* F(W + dW) - F(W_0), W_0: at the first call of an_mover_begin */
} an_moved;

/* Follows one model over several updates. Holds two copies of the parameters and five of all streams. */
typedef struct an_mover an_mover;
an_status an_mover_create(an_mover **out, an_model *look, const an_pass *pass) AN_MUST_USE;      /* both borrowed. Errors: AN_ENOMEM */
void an_mover_destroy(an_mover **mover);
void an_mover_begin(an_mover *mover);                    /* before an update: 1 forward pass */
/* After it: moved [S + 1], the last is what the head reads. linear: 4 more forward passes give `linear`, `distance` and `doubt`
 * (else NaN); the parameters are then what they were, bit for bit. Returns the length of dW. */
double an_mover_end(an_mover *mover, bool linear, an_moved *moved);
double an_mover_loss(const an_mover *mover, bool after); /* of the pass, before or after the update */
/* <d loss / d W, dW> at W, what first order predicts for the loss: one pass of `trains`, an ordinary training plan over the same
 * parameters and as many tokens, whose gradients it leaves behind. pass.loss_scale must be 1. */
double an_mover_slope(an_mover *mover, an_model *trains);

#endif
