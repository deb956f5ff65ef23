/* study/study.h
 * A study: a base configuration, a grid of values for some of its keys, seeds. Every combination is a cell, every cell an ordinary run
 * in OUT/cells. A cell is what its settings and its text are (their checksum is part of its folder's name), so a study
 * file may be changed at any time: what still means the same is kept, what does not is a new cell.
 *
 *     name: warm-up                        # OUT is studies/warm-up unless --out says otherwise
 *     preset: demo
 *     base: { data: text.txt, steps: 300 }   # keys of a run; `config: FILE.yaml` reads them from a file
 *     grid:
 *       design: [post-ln, pre-ln]          # every combination of the lists
 *       warmup|lr: [0|1e-3, 100|1e-3]      # keys that go together; an empty part leaves its key as it is
 *     grid_deep:                           # one more product, its cells follow; any group named grid...
 *       n_layer: [24, 48]
 *     seeds: 3                             # seeds 1, 2, 3; or a list of them */
#ifndef AN_STUDY_STUDY_H
#define AN_STUDY_STUDY_H

#include <jansson.h>
#include <stdbool.h>

#include "core/arena.h"
#include "study/statistics.h"
#include "train/config.h"

typedef struct an_study_setting { const char *key, *value, *place; } an_study_setting;

/* One line of a grid: n_values rows of n_keys values. */
typedef struct an_axis {
    const char *grid, *place;      /* the group's name; "study.yaml:7" */
    const char **key, **value;
    size_t n_keys, n_values;
} an_axis;

typedef enum an_cell_state { AN_CELL_WAITING, AN_CELL_RUNNING, AN_CELL_FINISHED, AN_CELL_DIVERGED, AN_CELL_SKIPPED, AN_CELL_FAILED, AN_CELL_STATES } an_cell_state;
const char *an_cell_state_name(an_cell_state state);

#define AN_NO_CELL SIZE_MAX

/* What a run has come to; NaN where it has not. Nothing here depends on when or how often it was stopped. */
typedef struct an_cell_result {
    uint64_t steps, tokens, params, damaged;   /* updates done; lines of its log that were skipped */
    double loss;                   /* training, mean of the logged steps among the last AN_TAIL_STEPS */
    double first_loss;             /* at initialisation: of the validation text where it was measured, else of the first step */
    double val_loss, best_val_loss, bits_per_byte, entropy;   /* entropy: unigram, of the training text */
    double flops_per_s;            /* median as logged: for estimates, in no table */
    an_outcome outcome;
    char version[24];
} an_cell_result;

typedef struct an_study_cell {
    const char *name;              /* "design=post-ln,warmup=0,seed=1-5f0c2a91": its folder in OUT/cells */
    uint64_t identity;
    const an_study_setting *setting;   /* what the grid says of it, without the seed */
    size_t n_settings;
    const char *seed;              /* NULL: the base's */
    size_t group;                  /* cells that differ by the seed alone */
    size_t reference;              /* the cell that is Pre-LN with everything else alike, or AN_NO_CELL */
    const char *config;            /* for addnorm train: what is no default, as YAML */
    an_cell_state state;
    const char *reason;            /* why skipped or failed */
    bool priced;
    uint64_t steps, memory;        /* updates to do; bytes at the peak */
    double flops;                  /* of all of them, and of one */
    double flops_step;
    an_cell_result result;
} an_study_cell;

typedef struct an_study_group { size_t first, n; } an_study_group;

typedef struct an_study {
    const char *name, *place;      /* place: the file, or "study NAME" */
    const char *preset;            /* NULL: none */
    an_study_setting *base;
    an_axis *axis;
    const char **seed;
    size_t n_base, n_axes, n_seeds;
    an_study_cell *cell;
    an_study_group *group;
    size_t n_cells, n_groups, merged;   /* merged: combinations that were the same as an earlier cell */
    const char *out;
    int threads;                   /* of each cell, for its price; 1 at first */
    const an_options *flags;       /* borrowed: what the command line and the environment say of every cell */
    an_arena arena;
} an_study;

/* From a study's text to its cells. `place` is what errors call the text; folder "auto": studies/NAME. Invalid combinations
 * become skipped cells; errors are those of the study itself: AN_ECONFIG with line, key and the nearest name for a key that does not exist,
 * an empty grid, a key that stands twice; AN_EUSAGE; what no cell can do without (its text): that error. */
typedef struct an_study_source {
    const char *text;
    size_t size;
    const char *place, *name;      /* what errors call the text; the study's name, unless the text has one */
    size_t seeds;                  /* 0: as the text says; else seeds 1..seeds */
    bool named;                    /* a named study: no file whose lines errors could tell */
} an_study_source;
an_status an_study_open(an_study **out, const an_study_source *source, const an_options *flags, const char *folder) AN_MUST_USE;
void an_study_close(an_study **study);

/* The options of a cell, resolved and finished. design: NULL, or what to put in place of the cell's own. Errors: as configuring a run. */
an_status an_study_configure(const an_study *study, const an_study_cell *cell, const char *design, an_options **options, an_train_config *config) AN_MUST_USE;

/* Plans the model of a cell, once: flops, memory, steps; a model that cannot be built makes it skipped. Errors: AN_ENOMEM for lack of memory here. */
an_status an_study_price(an_study *study, an_study_cell *cell) AN_MUST_USE;

/* Flops per second of a cell on study->threads threads, by some steps of it. Errors: as training. */
an_status an_study_measure(const an_study *study, const an_study_cell *cell, double *flops_per_s) AN_MUST_USE;

/* Reads a cell's run folder, if there is one, into state and result. A cell that is skipped or failed stays so unless its run is finished. */
an_status an_study_look(an_study *study, an_study_cell *cell) AN_MUST_USE;
void an_study_judge(an_study *study);              /* outcomes, once all cells have been looked at */
char *an_study_path(const an_study *study, const char *folder, const char *name, const char *suffix);   /* OUT/FOLDER/NAMESUFFIX; freed with free(); NULL: no memory */

/* The cell or group whose settings include all of `settings`, "design=pre-ln warmup=0"; NULL: none. Seeds are no settings. */
const an_study_group *an_study_find(const an_study *study, const char *settings);
const char *an_cell_value(const an_study_cell *cell, const char *key);                    /* "" when the grid does not set it */
double an_cell_number(const an_study_cell *cell, const char *key);                        /* NaN likewise */

/* A quantity of a group's cells, into x[group->n], in the order of seeds. */
typedef enum an_quantity { AN_Q_LOSS, AN_Q_VAL_LOSS, AN_Q_BITS_PER_BYTE } an_quantity;
double an_cell_quantity(const an_study_cell *cell, an_quantity quantity);
an_mean an_group_mean(const an_study *study, const an_study_group *group, an_quantity quantity);
an_mean an_group_difference(const an_study *study, const an_study_group *a, const an_study_group *b, an_quantity quantity);   /* paired by seed */
an_mean an_group_against_reference(const an_study *study, const an_study_group *group, an_quantity quantity);                 /* with Pre-LN, likewise */
size_t an_group_count(const an_study *study, const an_study_group *group, an_outcome outcome);
bool an_cell_is_over(const an_study_cell *cell);                                          /* it finished or diverged */
size_t an_group_over(const an_study *study, const an_study_group *group);                 /* how many are */

/* The cell that stands beside this one: of the other group the one with the same seed, or, `other` NULL, its Pre-LN run; NULL: none. */
const an_study_cell *an_cell_beside(const an_study *study, const an_study_cell *cell, const an_study_group *other);
size_t an_study_count(const an_study *study, an_cell_state state);

#endif
