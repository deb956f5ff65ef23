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
#include "study/suite.h"
#include "train/presets.h"

static struct { bool markdown; } settings;

static const an_option TABLE[] = {
    { "markdown", AN_BOOL, "false", NULL, "as Markdown (norms, designs, options): what docs/ is generated from", .group = "command", .flags = AN_EPHEMERAL, .at = 1 },
    AN_OPTION_END
};

an_status an_cmd_list_options(an_cli *cli) { return an_options_add(cli->options, TABLE, &settings); }

/* One row of a registry. Only norms and designs fill the last four. */
typedef struct item { const char *name, *text, *source, *parameters, *init, *remarks; const an_option *options; } item;
typedef bool item_fn(size_t i, item *out);   /* false after the last */

static bool norms(size_t i, item *out)
{
    const an_norm_kind *t = an_norm_at(i);
    if (t) *out = (item){ t->name, t->formula, t->source, t->parameters, NULL, t->remarks, t->options };
    return t != NULL;
}

static bool designs(size_t i, item *out)
{
    const an_design *t = an_design_at(i);
    if (t) *out = (item){ t->name, t->formula, t->source, t->parameters, t->init ? t->init : "gpt2", t->remarks, t->options };
    return t != NULL;
}

#define REGISTRY(function, type, at)                                        \
    static bool function(size_t i, item *out)                               \
    {                                                                       \
        const type *t = at(i);                                              \
        if (t) *out = (item){ .name = t->name, .text = t->formula, .source = t->source }; \
        return t != NULL;                                                   \
    }
REGISTRY(archs, an_arch, an_arch_at)
REGISTRY(inits, an_init_law, an_init_at)

static bool presets(size_t i, item *out)
{
    const an_preset *p = an_preset_at(i);
    if (p) *out = (item){ .name = p->name, .text = p->help };
    return p != NULL;
}

static bool studies(size_t i, item *out)
{
    static char text[256];
    const an_named_study *n = an_named_at(i);
    if (!n) return false;
    snprintf(text, sizeof text, "%s%s%s; %s", n->arguments, *n->arguments ? ": " : "", n->help, an_tier_name(n->tier));
    *out = (item){ .name = n->name, .text = text, .source = n->source };
    return true;
}

/* Which instruction sets of this build and machine have a version of their own of each kernel. */
static bool kernels(size_t i, item *out)
{
    static char text[64];
    const char *name = NULL;
    size_t k = 0, length = 0;
    const an_kernels *below = NULL;
#define KERNEL(ret, kernel, args) if (k++ == i) name = #kernel;
#include "kern/kernels.def"
#undef KERNEL
    if (!name) return false;
    text[0] = '\0';
    for (size_t l = 0; an_kern_level_name(l); l++) {
        const an_kernels *level = an_kern_level(an_kern_level_name(l));
        if (!level) continue;
        bool own = false;
        k = 0;
#define KERNEL(ret, kernel, args) if (k++ == i) own = !below || level->kernel != below->kernel;
#include "kern/kernels.def"
#undef KERNEL
        if (own) length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", length ? " " : "", an_kern_level_name(l));
        below = level;
    }
    *out = (item){ .name = name, .text = text };
    return true;
}

static const struct { const char *name; item_fn *items; } KINDS[] = {
    { "norms", norms }, { "designs", designs }, { "archs", archs }, { "inits", inits }, { "kernels", kernels }, { "options", NULL }, { "presets", presets }, { "studies", studies },
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
        if (it.parameters) failed |= json_object_set_new(o, "parameters", json_string(it.parameters)) != 0;
        failed |= json_array_append_new(list, o) != 0;
    }
    if (!failed) return an_cli_put_json(out, list, 17);
    json_decref(list);
    return an_fail(AN_ENOMEM, "list: no memory");
}

static size_t widest(size_t so_far, const char *text)
{
    const size_t n = text ? strlen(text) : 0;
    return n > so_far ? n : so_far;
}

static void list_text(item_fn *items, an_text *out)
{
    item it;
    size_t name = 0, text = 0, source = 0;
    for (size_t i = 0; items(i, &it); i++) {
        name = widest(name, it.name);
        text = widest(text, it.text);
        source = widest(source, it.source);
    }
    for (size_t i = 0; items(i, &it); i++) {
        if (it.parameters) an_text_add(out, "%-*s  %-*s  %-*s  %s\n", (int)name, it.name, (int)text, it.text, (int)source, it.source, it.parameters);
        else if (it.source) an_text_add(out, "%-*s  %-*s  %s\n", (int)name, it.name, (int)text, it.text, it.source);
        else an_text_add(out, "%-*s  %s\n", (int)name, it.name, it.text);
    }
}

/* A cell of a Markdown table: bars would end it. */
static void put_cell(an_text *out, const char *text)
{
    for (; *text; text++) an_text_add(out, *text == '|' ? "\\%c" : "%c", *text);
}

static void put_keys(const an_option *o, an_text *out)
{
    if (!o || !o->name) return;
    an_text_add(out, "\n| key | default | meaning |\n|---|---|---|\n");
    for (; o->name; o++) {
        an_text_add(out, "| `%s` | %s | ", o->name, *o->text ? o->text : " ");
        put_cell(out, o->help);
        an_text_add(out, " |\n");
    }
}

static void list_markdown(item_fn *items, an_text *out)
{
    item it;
    an_text_add(out, "| name | formula | adds | source |\n|---|---|---|---|\n");
    for (size_t i = 0; items(i, &it); i++) {
        an_text_add(out, "| [`%s`](#%s) | ", it.name, it.name);
        put_cell(out, it.text);
        an_text_add(out, " | ");
        put_cell(out, it.parameters);
        an_text_add(out, " | ");
        put_cell(out, it.source);
        an_text_add(out, " |\n");
    }
    for (size_t i = 0; items(i, &it); i++) {
        an_text_add(out, "\n## %s\n\n    %s\n\nAdds: %s. ", it.name, it.text, it.parameters);
        if (it.init) an_text_add(out, "Init: `%s`. ", it.init);
        an_text_add(out, "Source: %s.\n", it.source);
        if (it.remarks) an_text_add(out, "\n%s\n", it.remarks);
        put_keys(it.options, out);
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
        item first = { 0 };
        const bool rows = KINDS[i].items && KINDS[i].items(0, &first) && first.parameters;
        if (settings.markdown && KINDS[i].items && !rows) status = an_fail(AN_EUSAGE, "--markdown: only for list norms, designs and options");
        else if (settings.markdown && rows) list_markdown(KINDS[i].items, &out);
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
