/* core/option.h
 * One table of rows gives the parser, --help, the docs, aliases, validation, nearest-name errors and --dump-config.
 * Several tables (the model's, the trainer's, the command line's, those that norm kinds and designs own) are added to one
 * an_options. Each value is kept as text beside its source; default < preset < file < environment < flag, whatever the
 * order they are read in. an_options_resolve checks the whole and writes the bound structs.
 *
 *     static const an_option TABLE[] = {
 *         { "n_layer", AN_INT, "6", "1..4096", "number of blocks", .group = "model", .at = AN_AT(my_config, n_layer), .aliases = "num_hidden_layers" },
 *         { "norm", AN_CHOICE, "layernorm", NULL, "kind of norm", .group = "Add & Norm", .choices = an_norm_name, .flags = AN_PER_SITE },
 *         { "d_ff", AN_INT, "auto", "1..1048576", "width of the feed-forward", .group = "model", .words = "auto=0", .at = AN_AT(my_config, d_ff) },
 *         AN_OPTION_END };
 *
 * Per-site overrides: a row with AN_PER_SITE may also be set as key@LAYERS[.SITE]; LAYERS are 0-based numbers and ranges
 * ("0-5,8") or "*", SITE is a sub-layer ("attn", "mlp"). The last matching override of the highest source wins over the base value. */
#ifndef AN_CORE_OPTION_H
#define AN_CORE_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "core/text.h"

typedef enum an_option_type {
    AN_INT,      /* bound field: int64_t      accepts 12, -3, 1e6 */
    AN_FLOAT,    /* bound field: double       accepts 1, 1e-3, .5; never nan or inf */
    AN_BOOL,     /* bound field: bool         accepts true|false, yes|no, on|off, 1|0 */
    AN_STRING,   /* bound field: const char * */
    AN_CHOICE,   /* bound field: const char * the canonical name */
    AN_SIZE,     /* bound field: int64_t bytes; accepts 4GiB, 1.5G (K, M, G, T: powers of 1024), 500MB (powers of 1000), 4096 */
    AN_PATHS     /* bound field: an_option_list; file: a list or one path, flag: repeat it, environment: split at ':' */
} an_option_type;

typedef struct an_option_list { size_t count; const char *const *item; } an_option_list;

enum {
    AN_PER_SITE = 1,      /* may be overridden per layer and sub-layer */
    AN_EPHEMERAL = 2,     /* about this invocation only (preset, json, resume): left out of the resolved configuration */
    AN_NAMES_FILE = 4,    /* AN_STRING: a file's name, or "auto": as a flag or variable neither empty nor a folder's */
    AN_NAMES_FOLDER = 8,  /* likewise a folder's */
    AN_ANY_BYTES = 16     /* AN_STRING, ephemeral: need not be UTF-8 */
};

typedef struct an_option {
    const char *name;           /* canonical key, lower case with '_' */
    an_option_type type;
    const char *text;           /* default, as a user would write it; "" for an empty string or list */
    const char *range;          /* numbers: "1..65536", "0..1", "0..", ">0", ">=0", "[0,1)", "(0,1]"; AN_CHOICE: "a|b", "gelu_tanh,gelu_new|relu" (further names of a choice after a comma); NULL: any */
    const char *help;           /* one line, with the unit */
    const char *group;          /* "model", "Add & Norm", "data", "training", "running", ...; NULL: "Add & Norm" */
    const char *aliases;        /* other names, separated by spaces; one letter is a short flag */
    const char *needs;          /* the key has a meaning only then: "position=rotary", "optimizer=adamw|sgd", "schedule!=constant"; NULL: always */
    size_t at;                  /* AN_AT(struct type, field); 0: not bound */
    const char *(*choices)(size_t i);   /* AN_CHOICE: the i-th name, NULL after the last */
    const char *words;          /* numbers: words that stand for one, "auto=0|off=-1"; they need not be inside the range */
    unsigned flags;
    const char *alone;          /* what the flag without a value stands for (a word of `words`); a word behind it is its value then only if it starts with a digit */
} an_option;

#define AN_OPTION_END { .name = NULL }
#define AN_AT(type, field) (offsetof(type, field) + 1)

typedef enum an_source { AN_FROM_DEFAULT, AN_FROM_PRESET, AN_FROM_FILE, AN_FROM_ENV, AN_FROM_FLAG, AN_SOURCES } an_source;

typedef struct an_options an_options;

an_status an_options_create(an_options **out) AN_MUST_USE;
void an_options_destroy(an_options **options);

/* Adds a table (borrowed, ends with AN_OPTION_END) whose bound fields lie in the struct at `base` (NULL: nothing is bound).
 * The same name may come from several tables when type, default and range agree (norm_eps of two norms); their needs
 * are then alternatives. `needs` (or NULL) is the condition of every row of the table that states none: "norm=rmsnorm".
 * Errors: AN_ECONFIG for a row that contradicts an earlier one or whose own default is invalid; AN_ENOMEM. */
an_status an_options_add(an_options *options, const an_option *table, void *base) AN_MUST_USE;
an_status an_options_add_owned(an_options *options, const an_option *table, void *base, const char *needs) AN_MUST_USE;

/* Setting. `place` names where the value stands ("--lr", "config.yaml:3", "preset demo") and is copied. `key` may be an
 * alias, spelt with - or _, and may carry @LAYERS[.SITE]. Errors: AN_ECONFIG or AN_EUSAGE naming place, key, value,
 * what is allowed and the nearest name. A second value of the same source replaces the first (AN_PATHS from a flag: appends). */
an_status an_options_set(an_options *options, const char *key, const char *value, an_source source, const char *place) AN_MUST_USE;

/* A preset: alternating keys and values, NULL at the end. */
an_status an_options_set_preset(an_options *options, const char *preset, const char *const *pairs) AN_MUST_USE;

/* Sets in `to` what `from` has from sources of at least `least`, overrides too, with source and place; what is about one invocation
 * only and what `to` does not know is passed by. Errors: as an_options_set. */
an_status an_options_copy(an_options *to, const an_options *from, an_source least) AN_MUST_USE;

/* A YAML file or text (see core/config_file.h); a key that stands twice is an error with both lines. */
an_status an_options_read_file(an_options *options, const char *path) AN_MUST_USE;
an_status an_options_read_yaml(an_options *options, const char *text, size_t size, const char *name) AN_MUST_USE;

/* ADDNORM_KEY=value for all keys. `others` lists names that are not options ("CPU|GEMM"); with `strict` any other
 * ADDNORM_ name is an error, without it is ignored (a verb that knows few keys). */
an_status an_options_read_env(an_options *options, const char *const *environment, const char *others, int strict) AN_MUST_USE;

/* --key value, --key=value, --flag, --no-flag, -x (one-letter alias), "--" ends the options. What is no option is left
 * in argv[0 .. *positional) in order. */
an_status an_options_read_args(an_options *options, int argc, const char **argv, int *positional) AN_MUST_USE;

/* Checks what only the whole can tell (needs) and writes the bound structs. A key whose condition fails is an error when
 * it was set at least as high as what defeats it, and is otherwise superseded and left out. Strings stay owned by
 * `options`: the bound structs live no longer than it. May be called again after further settings. */
an_status an_options_resolve(an_options *options) AN_MUST_USE;

/* Writes the bound structs without that check: for a program that has yet to hear the rest. */
void an_options_bind(const an_options *options);

/* Every override names a layer below n_layer and one of `sites` ("attn|mlp"), and its needs hold at one place at least that it covers. Errors:
 * AN_ECONFIG naming the override. */
an_status an_options_check_sites(const an_options *options, int64_t n_layer, const char *sites) AN_MUST_USE;

/* Reading by canonical name. An unknown name gives 0, "" or an empty list: ask an_options_find first where that matters.
 * layer < 0 or site NULL: the base value only matches overrides for "*" / for all sub-layers. */
int64_t an_options_int(const an_options *options, const char *name);
double an_options_float(const an_options *options, const char *name);
int an_options_bool(const an_options *options, const char *name);
const char *an_options_text(const an_options *options, const char *name);
an_option_list an_options_list(const an_options *options, const char *name);
int64_t an_options_int_at(const an_options *options, const char *name, int64_t layer, const char *site);
double an_options_float_at(const an_options *options, const char *name, int64_t layer, const char *site);
int an_options_bool_at(const an_options *options, const char *name, int64_t layer, const char *site);
const char *an_options_text_at(const an_options *options, const char *name, int64_t layer, const char *site);

/* Where the value in force comes from: the level, and a phrase: "default", "preset demo", "config.yaml:3", "ADDNORM_LR", "--lr". */
an_source an_options_source(const an_options *options, const char *name);
const char *an_options_place(const an_options *options, const char *name);
const char *an_options_place_at(const an_options *options, const char *name, int64_t layer, const char *site);
int an_options_in_use(const an_options *options, const char *name);   /* its needs hold */

/* Walking all rows, in the order of addition; canonical name or alias -> row. */
size_t an_options_count(const an_options *options);
const an_option *an_options_row(const an_options *options, size_t i);
const an_option *an_options_find(const an_options *options, const char *name);
int an_options_has_overrides(const an_options *options, const char *name);

/* Is this text, n bytes of it, what the key would be without anybody's word? Never for an override ("norm@0-3.mlp"). */
int an_options_is_default(const an_options *options, const char *key, const char *text, size_t n);

/* Every value in force that is not a default, overrides too, unused ones not: its key ("lr", "norm@0-3.mlp"), text and place. */
typedef void (*an_options_visit)(void *ctx, const char *key, const char *text, const char *place);
void an_options_walk(const an_options *options, an_options_visit visit, void *ctx);

/* Writing, appended to `out` (core/text.h). Help and lists need no values. `groups` ("model|training", NULL: all) selects. */
void an_options_help(const an_options *options, const char *groups, int width, an_text *out);
void an_options_markdown(const an_options *options, an_text *out);
an_status an_options_json(const an_options *options, an_text *out) AN_MUST_USE;
void an_options_dump(const an_options *options, an_text *out);      /* YAML, each value with its source in a comment */
void an_options_yaml(const an_options *options, an_text *out);      /* the resolved configuration: reading it back gives the same values */
void an_options_changes(const an_options *options, an_text *out);   /* as an_options_dump, without what is a default or unused */

#endif
