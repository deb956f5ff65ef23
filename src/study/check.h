/* study/check.h
 * The trainability report: what theory predicts for a configuration at initialisation, what is measured there, what the
 * first steps of the run itself do to it, and from that a verdict. Suggestions are configurations that were tried the same way.
 * The verdict's rule, its calibration and its record are in docs/check.md. */
#ifndef AN_STUDY_CHECK_H
#define AN_STUDY_CHECK_H

#include <jansson.h>

#include "train/config.h"

typedef enum an_verdict { AN_VERDICT_TRAINS, AN_VERDICT_NEEDS_WARMUP, AN_VERDICT_DEGRADES, AN_VERDICT_WILL_NOT_TRAIN, AN_VERDICTS } an_verdict;
const char *an_verdict_name(an_verdict verdict);       /* "trains", "needs warm-up", "will degrade", "will not train" */

/* One sub-layer. Mean squares per channel; the gradient is the RMS at its input over that at the end of the stack. NaN: unknown. */
typedef struct an_check_numbers { double stream, branch, attenuation, branch_gradient, cosine, gradient; } an_check_numbers;
typedef struct an_check_site { char name[40]; an_check_numbers predicted, measured, after; } an_check_site;   /* after: at the last probe step */

typedef struct an_check_signs {
    double entropy;                /* unigram entropy: what a model reaches that ignores its context */
    double loss_first, loss;       /* at step 0; mean of the last probe steps */
    double pre_ln;                 /* the same of Pre-LN with everything else alike; NaN: not measured */
    double behind;                 /* share of the learning that Pre-LN could have been spared to be as far; NaN: not measured */
    double product_first, product; /* of the attenuations */
    double tokens_first, tokens;   /* mean cosine of two tokens at the end of the stack: 1 is rank collapse */
    double reach_first, reach;     /* gradient at the first sub-layer over that at the end of the stack */
    double grad_norm_first, grad_norm_most;
    double lr_sum;                 /* of the probe's learning rates */
    bool finite;
    unsigned collapsed;            /* looks in a row, up to the last, that saw collapse */
    bool settled;                  /* collapsed, and the gradient's reach is not rising again */
} an_check_signs;

typedef struct an_check_step { uint64_t step; double loss, lr, grad_norm, pre_ln; } an_check_step;   /* pre_ln: Pre-LN's loss there */

typedef struct an_suggestion { char change[64]; an_verdict verdict; bool too_short; double loss; } an_suggestion;   /* "--warmup 200": tried, and what came of it */
enum { AN_SUGGESTIONS = 6, AN_CHECK_NOTES = 8 };

typedef struct an_check {
    an_check_site *site;
    size_t n_sites;
    an_check_step *step;
    size_t n_steps;
    an_check_signs signs;
    bool offer;                    /* a change that may be suggested: what is offered must be surer than what is merely not refused */
    bool has_theory;
    char no_theory[256];           /* why not */
    double theory_product;
    const char *note[AN_CHECK_NOTES];   /* what to know about this model before training it */
    size_t n_notes;
    an_verdict verdict;
    bool too_short;                /* no rule speaks, but the loss had not come down to the unigram entropy yet: not to be told */
    char because[512];             /* the evidence, one sentence */
    const char *rule;              /* the rule that spoke */
    uint64_t warmup;               /* for needs warm-up: about so many steps */
    uint64_t warmup_set, steps_set;   /* what the configuration has */
    an_suggestion suggestion[AN_SUGGESTIONS];
    size_t n_suggestions;
} an_check;

typedef struct an_check_settings {
    uint64_t steps;                /* probe steps; 0: past the warm-up, until the signs are clear */
    bool suggest;                  /* try changes where the verdict is not good */
    void (*tick)(void *ctx, const char *what, uint64_t done, uint64_t all);   /* progress; NULL: none */
    void *ctx;
} an_check_settings;

/* AN_ECONFIG for a configuration that the report and the probes do not speak of: a model of images. */
an_status an_check_subject(const an_options *options) AN_MUST_USE;

/* `options` resolved, `config` bound to them. Errors: as training. */
an_status an_check_run(an_check *out, an_options *options, an_train_config *config, const an_check_settings *settings) AN_MUST_USE;
void an_check_fini(an_check *check);

void an_check_judge(an_check *check);                                     /* verdict.c: from signs to verdict, because, rule */
bool an_check_is_collapsed(const an_check_signs *signs);                  /* one token, and no way back for the gradient */
bool an_check_is_clear(const an_check_signs *signs);                      /* more steps would not change the verdict */
json_t *an_check_json(const an_check *check);                             /* a new reference, NULL: out of memory */
an_status an_check_page(const an_check *check, const an_options *options, an_text *out) AN_MUST_USE;

#endif
