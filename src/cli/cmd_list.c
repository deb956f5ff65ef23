/* cli/cmd_list.c
 * addnorm list: one row here per registry; what a registry holds is asked of the registry itself. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "kern/kern.h"
#include "net/arch.h"
#include "net/design.h"
#include "net/init.h"
#include "net/norm.h"
#include "train/presets.h"

static struct { bool markdown; } settings;

static const an_option TABLE[] = {
    { "markdown", AN_BOOL, "false", NULL, "the same as Markdown tables (options)", .group = "command", .flags = AN_EPHEMERAL, .at = 1 },
    AN_OPTION_END
};

an_status an_cmd_list_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

typedef struct item { const char *name, *text, *source; } item;
typedef bool item_fn(size_t i, item *out);   /* false after the last */

#define REGISTRY(function, type, at)                                        \
    static bool function(size_t i, item *out)                               \
    {                                                                       \
        const type *t = at(i);                                              \
        if (t) *out = (item){ t->name, t->formula, t->source };             \
        return t != NULL;                                                   \
    }
REGISTRY(norms, an_norm_kind, an_norm_at)
REGISTRY(designs, an_design, an_design_at)
REGISTRY(archs, an_arch, an_arch_at)
REGISTRY(inits, an_init_law, an_init_at)

static bool presets(size_t i, item *out)
{
    const an_preset *p = an_preset_at(i);
    if (p) *out = (item){ p->name, p->help, NULL };
    return p != NULL;
}

/* Which instruction sets of this build and machine have a version of their own of each kernel. */
static bool kernels(size_t i, item *out)
{
    static const char *const LEVELS[] = { "ref", "avx2", "avx512" };
    static char text[64];
    const char *name = NULL;
    size_t k = 0, length = 0;
    const an_kernels *below = NULL;
#define KERNEL(ret, kernel, args) if (k++ == i) name = #kernel;
#include "kern/kernels.def"
#undef KERNEL
    if (!name) return false;
    text[0] = '\0';
    for (size_t l = 0; l < sizeof LEVELS / sizeof *LEVELS; l++) {
        const an_kernels *level = an_kern_level(LEVELS[l]);
        if (!level) continue;
        bool own = false;
        k = 0;
#define KERNEL(ret, kernel, args) if (k++ == i) own = !below || level->kernel != below->kernel;
#include "kern/kernels.def"
#undef KERNEL
        if (own) length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", length ? " " : "", LEVELS[l]);
        below = level;
    }
    *out = (item){ name, text, NULL };
    return true;
}

static const struct { const char *name; item_fn *items; } KINDS[] = {
    { "norms", norms }, { "designs", designs }, { "archs", archs }, { "inits", inits }, { "kernels", kernels }, { "options", NULL }, { "presets", presets },
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static const char *kind_at(void *ctx, size_t i)
{
    (void)ctx;
    return i < KIND_COUNT ? KINDS[i].name : NULL;
}

static an_status list_options(const an_cli *cli, an_text *out)
{
    an_options *options = NULL;
    an_train_config config;
    an_status status = an_run_options_create(&options, &config);
    if (status == AN_OK && cli->json) status = an_options_json(options, out);
    else if (status == AN_OK && settings.markdown) an_options_markdown(options, out);
    else if (status == AN_OK) an_options_help(options, NULL, an_cli_width(stdout), out);
    an_options_destroy(&options);
    return status;
}

static an_status list_json(item_fn *items, an_text *out)
{
    json_t *list = json_array();
    item it;
    int failed = !list;
    for (size_t i = 0; !failed && items(i, &it); i++) {
        json_t *o = json_pack("{s:s, s:s}", "name", it.name, "text", it.text);
        if (it.source) failed |= json_object_set_new(o, "source", json_string(it.source)) != 0;
        failed |= json_array_append_new(list, o) != 0;
    }
    char *s = failed ? NULL : json_dumps(list, JSON_INDENT(1));
    json_decref(list);
    if (!s) return an_fail(AN_ENOMEM, "list: no memory");
    an_text_add(out, "%s\n", s);
    free(s);
    return AN_OK;
}

static void list_text(item_fn *items, an_text *out)
{
    item it;
    size_t name = 0, text = 0;
    for (size_t i = 0; items(i, &it); i++) {
        if (strlen(it.name) > name) name = strlen(it.name);
        if (strlen(it.text) > text) text = strlen(it.text);
    }
    for (size_t i = 0; items(i, &it); i++) {
        if (it.source) an_text_add(out, "%-*s  %-*s  %s\n", (int)name, it.name, (int)text, it.text, it.source);
        else an_text_add(out, "%-*s  %s\n", (int)name, it.name, it.text);
    }
}

an_status an_cmd_list(an_cli *cli)
{
    char near[AN_NAME];
    an_text out = { 0 };
    AN_TRY(an_cli_need_arguments(cli, 1, 1));
    const char *word = cli->argument[0];
    for (size_t i = 0; i < KIND_COUNT; i++) {
        if (strcmp(KINDS[i].name, word) != 0) continue;
        an_status status = AN_OK;
        if (settings.markdown && KINDS[i].items) status = an_fail(AN_EUSAGE, "--markdown: only for list options");
        else if (!KINDS[i].items) status = list_options(cli, &out);
        else if (cli->json) status = list_json(KINDS[i].items, &out);
        else list_text(KINDS[i].items, &out);
        if (status == AN_OK) return an_cli_print(stdout, &out);
        an_text_fini(&out);
        return status;
    }
    an_text all = { 0 };
    for (size_t i = 0; i < KIND_COUNT; i++) an_text_add(&all, "%s%s", i ? ", " : "", KINDS[i].name);
    const int close = an_text_nearest(word, kind_at, NULL, near);
    const an_status status = an_fail(AN_EUSAGE, "'%s' is no list%s%s%s lists: %s", word, close ? "; did you mean '" : "", near, close ? "'?" : ";", an_text_get(&all));
    an_text_fini(&all);
    return status;
}
