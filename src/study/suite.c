/* study/suite.c
 * suite.def as a table, and what judges write into. */
#include "study/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/file.h"
#include "study/record.h"

static const an_named_study *const LIST[] = {
#define STUDY(name) &an_named_##name,
#include "study/suite.def"
#undef STUDY
};

const an_named_study *an_named_at(size_t i) { return i < sizeof LIST / sizeof *LIST ? LIST[i] : NULL; }

const an_named_study *an_named_find(const char *name)
{
    for (size_t i = 0; i < sizeof LIST / sizeof *LIST; i++)
        if (strcmp(LIST[i]->name, name) == 0) return LIST[i];
    return NULL;
}

const char *an_tier_name(size_t tier)
{
    static const char *const NAMES[AN_TIERS] = { "ci", "nightly", "release" };
    return tier < AN_TIERS ? NAMES[tier] : NULL;
}

bool an_named_in_suite(const an_named_study *named, an_tier tier) { return !named->text && named->tier <= tier; }

const char *an_finding_name(an_finding_kind kind)
{
    static const char *const NAMES[AN_FINDING_KINDS] = { "PASS", "FAIL", "OPEN", "SKIPPED", "TOLD" };
    return NAMES[kind];
}

void an_findings_add(an_findings *f, an_finding_kind kind, const char *claim, const char *expected, const char *measured, ...)
{
    char text[1024];
    va_list args;
    va_start(args, measured);
    vsnprintf(text, sizeof text, measured, args);
    va_end(args);
    const an_finding finding = { kind, an_arena_printf(&f->arena, "%s", claim), expected ? an_arena_printf(&f->arena, "%s", expected) : NULL, an_arena_printf(&f->arena, "%s", text) };
    void *grown = an__record_room(f->finding, f->n, sizeof *f->finding);
    if (grown) f->finding = grown;
    if (grown && finding.claim && finding.measured && (finding.expected || !expected)) f->finding[f->n++] = finding;
    else f->failed = true;
}

void an_findings_fini(an_findings *f)
{
    free(f->finding);
    an_arena_fini(&f->arena);
    *f = (an_findings){ 0 };
}

size_t an_findings_count(const an_findings *f, an_finding_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) n += f->finding[i].kind == kind;
    return n;
}

static void put_files(const an_named_study *named, const char *const *file, size_t n, an_text *out)
{
    an_text_add(out, "%s:\n  config: [", named->group);
    for (size_t i = 0; i < n; i++) {
        an_text_add(out, "%s\"", i ? ", " : "");
        for (const char *p = file[i]; *p; p++) an_text_add(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        an_text_add(out, "\"");
    }
    an_text_add(out, "]\n");
}

an_status an_named_text(const an_named_study *named, an_named_form form, const char *const *file, size_t n, an_text *out)
{
    size_t at = form.tier;
    while (!named->text && at > named->tier && !named->tier_text[at]) at--;
    if (form.quick && !named->quick) return an_fail(AN_EUSAGE, "--quick: study %s has no quick form", named->name);
    an_text_add(out, "%s", form.quick ? named->quick : named->text ? named->text : named->tier_text[at]);
    if (n) put_files(named, file, n, out);
    return an_text_status(out);
}

static bool is_plain_file(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0;
}

/* A study of its own texts and images would run without the texts; a name that is mistyped is told instead. */
static an_status need_each(an_option_list files)
{
    for (size_t i = 0; i < files.count; i++)
        if (!an_path_exists(files.item[i])) return an_fail(AN_EDATA, "data: %s: no such file", files.item[i]);
    return AN_OK;
}

an_status an_named_data(const an_named_study *named, an_options *options)
{
    char **name = NULL;
    size_t n = 0;
    an_text files = { 0 };
    if (!named->folder) return AN_OK;
    if (*an_options_text(options, "data")) return need_each(an_options_list(options, "data"));
    if (an_path_is_dir(named->folder)) AN_TRY(an_dir_list(named->folder, &name, &n));
    for (size_t i = 0; i < n; i++) {
        char *path = an_path_join(named->folder, name[i]);
        if (!path) files.failed = 1;
        else if (is_plain_file(path)) an_text_add(&files, "%s%s", files.length ? "\n" : "", path);
        free(path);
    }
    an_dir_list_free(name, n);
    an_status status = an_text_status(&files);
    if (status == AN_OK && files.length == 0) status = an_fail(AN_EDATA, "no text in %s, which study %s reads unless told otherwise; name a file, --data FILE", named->folder, named->name);
    if (status == AN_OK) status = an_options_set(options, "data", an_text_get(&files), AN_FROM_ENV, named->folder);
    an_text_fini(&files);
    return status;
}

an_status an_named_judge(const an_named_study *named, const an_study *study, an_findings *findings)
{
    if (named) named->judge(study, findings);
    return findings->failed ? an_fail(AN_ENOMEM, "%s: no memory for its verdicts", study->place) : AN_OK;
}

an_status an_named_page(const an_named_study *named, const an_study *study, const an_findings *findings, char **path)
{
    char file[80];
    an_text page = { 0 };
    *path = NULL;
    if (!named || !named->page) return AN_OK;
    snprintf(file, sizeof file, "%s.html", named->name);
    *path = an_path_join(study->out, file);
    an_status status = *path ? named->page(study, findings, &page) : an_fail(AN_ENOMEM, "%s: no memory for its page", study->place);
    if (status == AN_OK) status = an_file_write(*path, an_text_get(&page), page.length);
    an_text_fini(&page);
    return status;
}
