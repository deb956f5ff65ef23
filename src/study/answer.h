/* study/answer.h
 * What residual connections and layer normalisation do in training, as numbers: taken from the cells of `addnorm study answer`
 * (study/suite/answer.c) and, where nothing has to be trained, from norms and decoders themselves. Numbers first, then verdicts
 * from numbers alone, then a page from both; docs/answer.md says what each number is. */
#ifndef AN_STUDY_ANSWER_H
#define AN_STUDY_ANSWER_H

#include "study/suite.h"

enum { AN_ANSWER_SITES = 48, AN_ANSWER_DEPTHS = 3, AN_ANSWER_SIZES = 7, AN_ANSWER_TOKENS = 64, AN_ANSWER_RATES = 2 };
extern const char *const an_answer_rates[AN_ANSWER_RATES];          /* "1e-3", "3e-3": of Post-LN and Pre-LN without and with warm-up */

/* The gradient ledger of one run, at its last look. */
typedef struct an_answer_ledger {
    size_t sites, shortcuts;       /* sub-layers; those where a part of the gradient came down the skip */
    double kept;                   /* product of the attenuations: what is left of the gradient by skips alone */
    double reach, reach_first;     /* |gradient| at the first sub-layer over that behind the last; at the first look, before any update */
    double in[AN_ANSWER_SITES], identity[AN_ANSWER_SITES], branch[AN_ANSWER_SITES];   /* lengths over that behind the last sub-layer */
} an_answer_ledger;

/* Runs that differ by their seed. */
typedef struct an_answer_runs {
    const char *label;             /* "plain, 24" */
    size_t runs, over, failed;
    an_mean loss, accuracy;        /* training, mean of the last steps; accuracy NaN for text */
    double entropy;
    size_t cell;                   /* the first, AN_NO_CELL: none */
} an_answer_runs;

/* One norm on its own, without gain and bias; row 0 of its output is looked at. Root mean squares; rows are of size 1. */
typedef struct an_answer_norm {
    double shift, scale;           /* change when its row is moved by 3, multiplied by 7 */
    double others;                 /* when all other rows are replaced */
    double batch[AN_ANSWER_SIZES]; /* with 64, 32, ... 1 rows, against 64; NaN: no statistics, refused */
    double length[AN_ANSWER_SIZES];   /* of 4 sequences of 64, 32, ... 1 tokens, against 64 */
    double pair;                   /* with 2 rows, mean of ||y| - 1|: 0: nothing but signs is left */
    double inference;              /* alone against among 64 rows, when not training */
    char refusal[256];             /* what training on one row says; "": it runs */
} an_answer_norm;

typedef struct an_answer_decode {
    size_t tokens, layers;
    double largest, scale;         /* largest difference of logits between decoding token by token and one pass; largest logit */
    double shorter;                /* likewise of one pass over half of the text and one over all */
    double each[AN_ANSWER_TOKENS]; /* at each position */
} an_answer_decode;

typedef struct an_answer {
    an_answer_ledger plain, residual;
    an_answer_runs depth[2][AN_ANSWER_DEPTHS], image[2][AN_ANSWER_DEPTHS];   /* plain, residual */
    an_answer_runs placement[AN_ANSWER_RATES][2][2];   /* by learning rate; Post-LN, Pre-LN; without, with warm-up */
    an_answer_norm layer, batch;   /* LayerNorm, BatchNorm */
    double tid_mean, tid_dev;      /* of the norms of the residual image classifier, at its last look: mean over norms (docs/telemetry.md) */
    an_answer_decode decode;
} an_answer;

/* Cells that are not over leave NaN. Errors: AN_ENOMEM; of reading runs. */
an_status an_answer_measure(const an_study *study, an_answer *out) AN_MUST_USE;
an_status an_answer_try_norm(const char *kind, an_answer_norm *out) AN_MUST_USE;                       /* answer_try.c */
an_status an_answer_try_decode(const an_study *study, const an_study_cell *cell, an_answer_decode *out) AN_MUST_USE;

/* Sections in order: what is claimed, and which chart shows it. */
typedef enum an_answer_section { AN_ANSWER_PATH, AN_ANSWER_DEEP, AN_ANSWER_IMAGES, AN_ANSWER_NORM, AN_ANSWER_BATCHNORM, AN_ANSWER_DECODE, AN_ANSWER_PLACE, AN_ANSWER_SECTIONS } an_answer_section;
extern const char *const an_answer_titles[AN_ANSWER_SECTIONS];

/* Verdicts of one section, or of all in order. */
void an_answer_judge(const an_answer *answer, an_answer_section section, an_findings *findings);
void an_answer_judge_all(const an_answer *answer, an_findings *findings);

an_status an_answer_page(const an_study *study, const an_answer *answer, an_text *out) AN_MUST_USE;

#endif
