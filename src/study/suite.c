/* study/suite.c
 * suite.def as a table, and what judges write into. */
#include "study/suite.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void an_named_text(const an_named_study *named, an_tier tier, const char *const *file, size_t n, an_text *out)
{
    size_t at = tier;
    while (!named->text && at > named->tier && !named->tier_text[at]) at--;
    an_text_add(out, "%s", named->text ? named->text : named->tier_text[at]);
    if (n == 0) return;
    an_text_add(out, "%s:\n  config: [", named->group);
    for (size_t i = 0; i < n; i++) {
        an_text_add(out, "%s\"", i ? ", " : "");
        for (const char *p = file[i]; *p; p++) an_text_add(out, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        an_text_add(out, "\"");
    }
    an_text_add(out, "]\n");
}

an_status an_named_judge(const an_named_study *named, const an_study *study, an_findings *findings)
{
    if (named) named->judge(study, findings);
    return findings->failed ? an_fail(AN_ENOMEM, "%s: no memory for its verdicts", study->place) : AN_OK;
}
