/* train/presets.h
 * Named recipes: sets of keys and values, listed once in presets.def. */
#ifndef AN_TRAIN_PRESETS_H
#define AN_TRAIN_PRESETS_H

#include <stddef.h>

#include "core/option.h"

typedef struct an_preset {
    const char *name, *help;
    const char *const *pairs;      /* key, value, ..., NULL */
} an_preset;

const an_preset *an_preset_at(size_t i);          /* NULL after the last */
const char *an_preset_name(size_t i);             /* the same for an option row's choices; the first is "none" */

/* Sets the preset's values; "none" sets nothing. Errors: AN_ECONFIG for an unknown name, with the nearest. */
an_status an_preset_apply(an_options *options, const char *name) AN_MUST_USE;

#endif
