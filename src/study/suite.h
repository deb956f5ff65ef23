/* study/suite.h
 * Named studies: a study's text and a judge, which reads the table of finished cells and says what it shows. One file in study/suite/
 * and one row in suite.def; from the row follow `addnorm study NAME`, its --help line, `addnorm list studies`, the report. */
#ifndef AN_STUDY_SUITE_H
#define AN_STUDY_SUITE_H

#include "study/study.h"

typedef enum an_finding_kind {
    AN_FINDING_PASS, AN_FINDING_FAIL,
    AN_FINDING_OPEN,               /* cells are missing: not to be told */
    AN_FINDING_SKIPPED,            /* part of the published claim, and not measured here: `measured` says why */
    AN_FINDING_TOLD,               /* a number or an advice, nothing to pass */
    AN_FINDING_KINDS
} an_finding_kind;
const char *an_finding_name(an_finding_kind kind);     /* "PASS", "FAIL", "OPEN", "SKIPPED", "TOLD" */

typedef struct an_finding { an_finding_kind kind; const char *claim, *expected, *measured; } an_finding;   /* one sentence each; expected NULL: nothing */
typedef struct an_findings {
    an_finding *finding;
    size_t n;
    an_arena arena;
    bool failed;                   /* no memory */
    void (*tick)(void *ctx, const char *what, uint64_t done, uint64_t all);   /* set by the caller: progress of judges that measure; NULL: none */
    void *ctx;
} an_findings;

/* A judge adds what it found; `measured` is a format, with the numbers. */
void an_findings_add(an_findings *findings, an_finding_kind kind, const char *claim, const char *expected, const char *measured, ...) AN_PRINTF(5, 6);
void an_findings_fini(an_findings *findings);
size_t an_findings_count(const an_findings *findings, an_finding_kind kind);

typedef enum an_tier { AN_TIER_CI, AN_TIER_NIGHTLY, AN_TIER_RELEASE, AN_TIERS } an_tier;
const char *an_tier_name(size_t tier);                 /* "ci", "nightly", "release"; NULL after the last */

typedef struct an_named_study {
    const char *name, *help;       /* help: one line */
    const char *source;            /* where the claim comes from, "arXiv:2002.04745"; NULL: none */
    an_tier tier;                  /* the least that it is part of */
    const char *arguments;         /* configuration files it takes, "[CONFIG.yaml]", "A.yaml B.yaml"; "" for none */
    size_t least, most;            /* how many of them */
    const char *group;             /* the group whose key `config` they are, "base" or "grid"; NULL: none */
    const char *text;              /* YAML, as in study/study.h; NULL: each tier has its own */
    const char *tier_text[AN_TIERS];   /* from `tier` on; NULL: as the tier below. These studies are the suite, "study suite" */
    const char *quick;             /* the same in few minutes, for --quick; NULL: there is none */
    const char *folder;            /* whose files are the text where data names none; NULL: data must name one */
    void (*judge)(const an_study *study, an_findings *findings);   /* after an_study_judge */
    an_status (*page)(const an_study *study, const an_findings *findings, an_text *out);   /* OUT/NAME.html; NULL: addnorm report OUT says all */
} an_named_study;

const an_named_study *an_named_at(size_t i);            /* NULL after the last */
const an_named_study *an_named_find(const char *name);  /* NULL: none */

/* Which form of a named study: a tier of the suite, or the quick form. */
typedef struct an_named_form { an_tier tier; bool quick; } an_named_form;

/* The study's text in this form, with these files as configurations. Errors: AN_EUSAGE without a quick form. */
an_status an_named_text(const an_named_study *named, an_named_form form, const char *const *file, size_t n, an_text *out) AN_MUST_USE;
bool an_named_in_suite(const an_named_study *named, an_tier tier);

/* Puts the files of its folder in the place of `data` where nobody set that. Errors: AN_EDATA when there are none, or a file that was named is not there. */
an_status an_named_data(const an_named_study *named, an_options *options) AN_MUST_USE;

/* What a study's cells show; without `named` nothing. Errors: AN_ENOMEM. */
an_status an_named_judge(const an_named_study *named, const an_study *study, an_findings *findings) AN_MUST_USE;

/* Writes OUT/NAME.html; *path is freed with free(), NULL: it has none. Errors: AN_EIO, AN_ENOMEM. */
an_status an_named_page(const an_named_study *named, const an_study *study, const an_findings *findings, char **path) AN_MUST_USE;

#define STUDY(name) extern const an_named_study an_named_##name;
#include "study/suite.def"
#undef STUDY

#endif
