/* core/config_file.h
 * Reads a configuration in a small part of YAML: a mapping of keys to scalars or lists of scalars, flat or under group
 * names one level deep. The only file that knows libyaml. Anything else (anchors, deeper nesting, several documents) is
 * an error that names file, line and column. */
#ifndef AN_CORE_CONFIG_FILE_H
#define AN_CORE_CONFIG_FILE_H

#include <stddef.h>

#include "core/status.h"

typedef struct an_config_entry {
    const char *group;             /* NULL at the top level */
    const char *key;
    const char *const *value;      /* `count` scalars; one for a plain scalar, any number for a list */
    size_t count;
    int is_list, is_null;          /* null: "key:" without a value */
    int line, column;              /* of the key, from 1 */
} an_config_entry;

typedef an_status (*an_config_visit)(void *ctx, const an_config_entry *entry);

/* Calls `visit` for each entry in order and stops at its first failure. `name` is what errors call the text.
 * Errors: AN_ECONFIG with "name:line:column: ..."; AN_ENOMEM. An empty text has no entries. */
an_status an_config_read(const char *text, size_t size, const char *name, an_config_visit visit, void *ctx) AN_MUST_USE;

#endif
