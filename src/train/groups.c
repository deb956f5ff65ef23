/* train/groups.c
 * Patterns are the C library's fnmatch: what a shell user writes for file names. */
#include "train/groups.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"

enum { UNMATCHED = -1 };

static an_status read_rule(const char *key, char *rule, char **pattern, double *value)
{
    char *equal = strrchr(rule, '='), *end = NULL;
    if (!equal || equal == rule || !equal[1]) return an_fail(AN_ECONFIG, "%s: '%s' is not PATTERN=FACTOR", key, rule);
    *equal = '\0';
    *pattern = rule;
    *value = strtod(equal + 1, &end);
    if (*end || !isfinite(*value) || *value < 0) return an_fail(AN_ECONFIG, "%s: the factor '%s' of %s is not a number >= 0", key, equal + 1, rule);
    return AN_OK;
}

static an_status apply_rule(const char *key, char *rule, const an_param *params, size_t count, double *last)
{
    char *pattern = NULL;
    double value = 0;
    size_t matched = 0;
    AN_TRY(read_rule(key, rule, &pattern, &value));
    for (size_t i = 0; i < count; i++) {
        if (fnmatch(pattern, params[i].name, 0) != 0) continue;
        last[i] = value;
        matched++;
    }
    if (matched) return AN_OK;
    return an_fail(AN_ECONFIG, "%s: the pattern '%s' matches no tensor; names are like %s and %s", key, pattern, params[0].name, params[count - 1].name);
}

an_status an_groups_apply(const char *key, const char *text, const an_param *params, size_t count, double *factor)
{
    if (!text || !*text || count == 0) return AN_OK;
    char *copy = an_strdup(text);
    double *last = an_alloc(count * sizeof *last);
    an_status status = copy && last ? AN_OK : an_fail(AN_ENOMEM, "%s: no memory to read it", key);
    for (size_t i = 0; status == AN_OK && i < count; i++) last[i] = UNMATCHED;
    for (char *rest = copy, *rule; status == AN_OK && (rule = strtok_r(rest, " \t,", &rest));) status = apply_rule(key, rule, params, count, last);
    for (size_t i = 0; status == AN_OK && i < count; i++)
        if (last[i] >= 0) factor[i] *= last[i];
    free(copy);
    free(last);
    return status;
}
