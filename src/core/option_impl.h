/* core/option_impl.h
 * What option.c, option_value.c, option_read.c and option_write.c share; nobody else includes it. */
#ifndef AN_CORE_OPTION_IMPL_H
#define AN_CORE_OPTION_IMPL_H

#include "core/arena.h"
#include "core/option.h"

/* A value as text. PATHS: items joined by '\n', and apart in `list`. `reading` numbers the file or environment it came with. */
typedef struct an_setting { const char *text, *place; an_option_list list; unsigned reading; } an_setting;

typedef struct an_binding { struct an_binding *next; void *field; } an_binding;
typedef struct an_needs { struct an_needs *next; const char *text; } an_needs;

typedef struct an_option_slot {
    const an_option *option;
    an_binding *bindings;
    an_needs *needs;                    /* alternatives; `always`: one owner has no condition */
    int always;
    an_setting value[AN_SOURCES];       /* text NULL: not set at this level */
    struct an_override *overrides;      /* in the order they were set */
} an_option_slot;

typedef struct an_layer_range { int64_t first, last; } an_layer_range;

typedef struct an_override {
    struct an_override *next;
    const char *selector;               /* "0-3.attn", as typed */
    const char *site;                   /* NULL: every sub-layer */
    an_layer_range *range;              /* NULL: every layer */
    size_t ranges;
    an_source source;
    an_setting value;
} an_override;

struct an_options {
    an_arena arena;
    an_option_slot *slot;
    size_t count, capacity;
    unsigned reading;
};

/* option.c */
an_option_slot *an__option_find(const an_options *options, const char *name, size_t length);   /* by name or alias, - and _ alike */
an_source an__option_source(const an_option_slot *slot);
const an_setting *an__option_setting(const an_option_slot *slot);
int an__option_in_use(const an_options *options, const an_option_slot *slot);
int an__option_superseded(const an_option_slot *slot, const an_override *override);   /* another with the same selector is above it */
int an__option_near(const an_options *options, const char *word, size_t length, char near[AN_NAME]);

/* option_value.c: text -> checked canonical text (in the arena), and canonical text -> value */
an_status an__option_check(an_arena *arena, const an_option *option, const char *text, const char *where, const char **out);
an_status an__option_check_name(const an_option *option, const char *text, an_source source, const char *where) AN_MUST_USE;   /* of a file or folder */
int64_t an__option_to_int(const an_option *option, const char *text);
double an__option_to_float(const an_option *option, const char *text);
an_status an__option_to_list(an_arena *arena, const char *text, an_option_list *out) AN_MUST_USE;
const char *an__option_choice(const an_option *option, size_t i, char name[AN_NAME]);   /* the i-th canonical name, or NULL */
void an__option_allowed(const an_option *option, an_text *out);                    /* "1..64 or auto", "> 0", "a|b" */

const char *an__option_group(const an_option *option);
void an__option_slug(const char *group, char out[AN_NAME]);                             /* "Add & Norm" -> "add_norm" */

#endif
