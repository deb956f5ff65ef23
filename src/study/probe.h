/* study/probe.h
 * Measures on demand (train/probe.h) of a configuration at initialisation or of a run where its checkpoint stands, on one batch
 * of the validation part, with a document and a page of them. What a design has no answer for is refused with its reason,
 * measure by measure. */
#ifndef AN_STUDY_PROBE_H
#define AN_STUDY_PROBE_H

#include <jansson.h>

#include "train/config.h"
#include "train/probe.h"

typedef enum an_probe_kind { AN_PROBE_LESION, AN_PROBE_PATHS, AN_PROBE_LENS, AN_PROBE_AMPLIFICATION, AN_PROBE_LINEARISATION, AN_PROBES } an_probe_kind;
const char *an_probe_name(size_t i);                                      /* NULL past the last */
const char *an_probe_meaning(size_t i);                                   /* one line, with the unit */

/* "lesion,paths" or "all" to bits 1 << kind. Errors: AN_EUSAGE naming the word and the nearest. */
an_status an_probe_parse(const char *list, unsigned *wanted) AN_MUST_USE;

/* One update of the run: amplification and, where asked for, linearisation. */
typedef struct an_probe_update {
    uint64_t step;                 /* number of this update */
    double lr, length;             /* length of dW, weight decay included */
    double loss, loss_after;       /* of the probe batch */
    double loss_linear;            /* <g, dW>: the change that first order predicts; NaN: not measured */
    an_moved *moved;               /* [n_sites + 1], the last is what the head reads */
} an_probe_update;

typedef struct an_probe_report {
    unsigned measured;             /* bits of what follows */
    char refused[AN_PROBES][256];  /* why not, "" otherwise */
    char *run;                     /* NULL: at initialisation */
    bool other_data;               /* than the run was trained on */
    uint64_t step;                 /* updates done before the first measurement */
    size_t batch, seq;             /* the probe batch */
    double loss;                   /* of it, nats; NaN unless lesion or lens is measured */
    size_t n_sites;
    char (*name)[40];              /* [n_sites] */
    double *lesion;                /* [n_sites] loss without the sub-layer */
    an_lens *lens;                 /* [n_sites] */
    an_paths paths;
    an_path *path;                 /* [n_sites + 1] */
    an_probe_update *update;       /* [n_updates] */
    an_moved *moved;               /* of all updates */
    size_t n_updates;
} an_probe_report;

typedef struct an_probe_settings {
    unsigned wanted;
    const char *run;               /* a run or checkpoint folder, or NULL */
    uint64_t steps;                /* updates to follow */
    size_t sets;                   /* sets of branches to draw for each path length */
    void (*tick)(void *ctx, const char *what, uint64_t done, uint64_t all);   /* progress; NULL: none */
    void *ctx;
} an_probe_settings;

/* `options` resolved (for a run: its own, perhaps changed), `config` bound to them. Errors: as training and resuming; AN_ECONFIG
 * with the reason when nothing of what was asked for can be measured. */
an_status an_probe_run(an_probe_report *out, an_options *options, an_train_config *config, const an_probe_settings *settings) AN_MUST_USE;
void an_probe_fini(an_probe_report *report);

json_t *an_probe_json(const an_probe_report *report);                     /* a new reference, NULL: out of memory */
an_status an_probe_page(const an_probe_report *report, const an_options *options, an_text *out) AN_MUST_USE;

#endif
