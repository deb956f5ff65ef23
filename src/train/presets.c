/* train/presets.c
 * presets.def as a table. The names contain dashes, so a row is kept as text. */
#include "train/presets.h"

#include <string.h>

static const an_preset LIST[] = {
#define PRESET(name, help, ...) { #name, help, (const char *const[]){ __VA_ARGS__, NULL } },
#include "train/presets.def"
#undef PRESET
};

const an_preset *an_preset_at(size_t i) { return i < sizeof LIST / sizeof *LIST ? &LIST[i] : NULL; }

const char *an_preset_name(size_t i)
{
    if (i == 0) return "none";
    const an_preset *preset = an_preset_at(i - 1);
    return preset ? preset->name : NULL;
}

static const char *name_at(void *ctx, size_t i)
{
    (void)ctx;
    return an_preset_name(i);
}

an_status an_preset_apply(an_options *options, const char *name)
{
    char near[AN_NAME];
    if (strcmp(name, "none") == 0) return AN_OK;
    for (size_t i = 0; i < sizeof LIST / sizeof *LIST; i++)
        if (strcmp(LIST[i].name, name) == 0) return an_options_set_preset(options, name, LIST[i].pairs);
    const int close = an_text_nearest(name, name_at, NULL, near);
    return an_fail(AN_ECONFIG, "preset: '%s' is not known%s%s%s", name, close ? "; did you mean '" : "; addnorm list presets", near, close ? "'?" : "");
}
