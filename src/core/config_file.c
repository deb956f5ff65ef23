/* core/config_file.c
 * libyaml's event parser, walked by three small functions: top, group, list. Entries are visited as they are read; the
 * memory of an entry lives until the whole text is done. */
#include "core/config_file.h"

#include <string.h>
#include <yaml.h>

#include "core/arena.h"

typedef struct reader {
    yaml_parser_t parser;
    yaml_event_t event;          /* valid when `held` */
    int held;
    const char *text, *name;
    size_t size;
    an_arena arena;
    an_config_visit visit;
    void *ctx;
} reader;

static an_status fail_at(const reader *r, yaml_mark_t mark, const char *what)
{
    return an_fail(AN_ECONFIG, "%s:%zu:%zu: %s", r->name, mark.line + 1, mark.column + 1, what);
}

/* Whether the line of a mark is indented by a tab: libyaml only says that no token can start there. */
static int has_tab(const reader *r, yaml_mark_t mark)
{
    const char *p = r->text, *end = r->text + r->size;
    for (size_t line = 0; line < mark.line && p < end; p++) line += *p == '\n';
    while (p < end && *p == ' ') p++;
    return p < end && *p == '\t';
}

static an_status next(reader *r)
{
    if (r->held) yaml_event_delete(&r->event);
    r->held = 0;
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        const yaml_parser_t *p = &r->parser;
        if (p->error == YAML_MEMORY_ERROR) return an_fail(AN_ENOMEM, "%s: no memory to read it", r->name);
        if (p->error == YAML_READER_ERROR) return an_fail(AN_ECONFIG, "%s: byte %zu: %s", r->name, p->problem_offset, p->problem);
        if (has_tab(r, p->problem_mark)) return fail_at(r, p->problem_mark, "tabs cannot indent; use spaces");
        return fail_at(r, p->problem_mark, p->problem ? p->problem : "not valid YAML");
    }
    r->held = 1;
    const yaml_event_t *e = &r->event;
    const int anchored = (e->type == YAML_SCALAR_EVENT && e->data.scalar.anchor) || (e->type == YAML_SEQUENCE_START_EVENT && e->data.sequence_start.anchor)
        || (e->type == YAML_MAPPING_START_EVENT && e->data.mapping_start.anchor);
    if (e->type == YAML_ALIAS_EVENT || anchored) return fail_at(r, e->start_mark, "anchors and aliases are not used here; write the value out");
    return AN_OK;
}

/* Copies the scalar at hand. */
static an_status take_scalar(reader *r, const char **out)
{
    const yaml_event_t *e = &r->event;
    const size_t n = e->data.scalar.length;
    if (memchr(e->data.scalar.value, '\0', n)) return fail_at(r, e->start_mark, "a value with a zero byte");
    char *s = an_arena_alloc(&r->arena, n + 1);
    if (!s) return an_fail(AN_ENOMEM, "%s: no memory to read it", r->name);
    memcpy(s, e->data.scalar.value, n);
    *out = s;
    return AN_OK;
}

static int is_null(const yaml_event_t *e)
{
    const char *v = (const char *)e->data.scalar.value;
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && (!*v || !strcmp(v, "~") || !strcmp(v, "null"));
}

/* The list that starts at the event at hand. */
static an_status take_list(reader *r, an_config_entry *entry)
{
    const char **value = NULL;
    size_t count = 0, capacity = 0;
    for (;;) {
        AN_TRY(next(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT) break;
        if (r->event.type != YAML_SCALAR_EVENT) return fail_at(r, r->event.start_mark, "a list may hold plain values only");
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            const char **grown = an_arena_alloc(&r->arena, capacity * sizeof *grown);
            if (!grown) return an_fail(AN_ENOMEM, "%s: no memory to read it", r->name);
            if (count) memcpy(grown, value, count * sizeof *grown);
            value = grown;
        }
        AN_TRY(take_scalar(r, &value[count++]));
    }
    entry->value = value;
    entry->count = count;
    entry->is_list = 1;
    return AN_OK;
}

/* The mapping whose start has been read; group NULL: the top, where one more level may open. */
static an_status take_mapping(reader *r, const char *group)
{
    for (;;) {
        AN_TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) return AN_OK;
        if (r->event.type != YAML_SCALAR_EVENT) return fail_at(r, r->event.start_mark, "a key must be a plain word");
        an_config_entry entry = { .group = group, .line = (int)r->event.start_mark.line + 1, .column = (int)r->event.start_mark.column + 1 };
        AN_TRY(take_scalar(r, &entry.key));
        AN_TRY(next(r));
        if (r->event.type == YAML_MAPPING_START_EVENT) {
            if (group) return fail_at(r, r->event.start_mark, "groups do not nest; keys stand at most one level deep");
            AN_TRY(take_mapping(r, entry.key));
            continue;
        }
        if (r->event.type == YAML_SEQUENCE_START_EVENT) AN_TRY(take_list(r, &entry));
        else {
            const char **value = an_arena_alloc(&r->arena, sizeof *value);
            if (!value) return an_fail(AN_ENOMEM, "%s: no memory to read it", r->name);
            entry.is_null = is_null(&r->event);
            AN_TRY(take_scalar(r, value));
            entry.value = value;
            entry.count = 1;
        }
        AN_TRY(r->visit(r->ctx, &entry));
    }
}

static an_status take_document(reader *r)
{
    AN_TRY(next(r));   /* stream start */
    AN_TRY(next(r));
    if (r->event.type == YAML_STREAM_END_EVENT) return AN_OK;
    AN_TRY(next(r));
    if (r->event.type == YAML_MAPPING_START_EVENT) AN_TRY(take_mapping(r, NULL));
    else if (r->event.type != YAML_SCALAR_EVENT || !is_null(&r->event)) return fail_at(r, r->event.start_mark, "a configuration is a list of lines 'key: value'");
    AN_TRY(next(r));   /* document end */
    AN_TRY(next(r));
    if (r->event.type != YAML_STREAM_END_EVENT) return fail_at(r, r->event.start_mark, "a second document; a configuration is one");
    return AN_OK;
}

an_status an_config_read(const char *text, size_t size, const char *name, an_config_visit visit, void *ctx)
{
    reader r = { .text = text, .size = size, .name = name, .visit = visit, .ctx = ctx };
    if (!yaml_parser_initialize(&r.parser)) return an_fail(AN_ENOMEM, "%s: no memory to read it", name);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    const an_status status = take_document(&r);
    if (r.held) yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    an_arena_fini(&r.arena);
    return status;
}
