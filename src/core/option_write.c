/* core/option_write.c
 * The same rows as help, Markdown, JSON and YAML. The YAML is written by hand because each value carries its source in a
 * comment, which libyaml's emitter cannot write; a value that is not plainly plain is double-quoted. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/option_impl.h"

static const char *VALUE_NAME[] = { [AN_INT] = "N", [AN_FLOAT] = "X", [AN_BOOL] = "", [AN_STRING] = "TEXT", [AN_CHOICE] = "NAME", [AN_SIZE] = "SIZE", [AN_PATHS] = "FILE" };
static const char *TYPE_NAME[] = { [AN_INT] = "integer", [AN_FLOAT] = "number", [AN_BOOL] = "bool", [AN_STRING] = "text", [AN_CHOICE] = "choice", [AN_SIZE] = "size", [AN_PATHS] = "paths" };

/* Groups stand in the order of their last rows, so a table that is added early may open a group that a later one fills. */
static int closes_group(const an_options *o, size_t i)
{
    const char *group = an__option_group(o->slot[i].option);
    for (size_t k = i + 1; k < o->count; k++)
        if (strcmp(an__option_group(o->slot[k].option), group) == 0) return 0;
    return 1;
}

static int in_group(const an_options *o, size_t i, const char *group) { return strcmp(an__option_group(o->slot[i].option), group) == 0; }

static void put_needs(const an_option_slot *slot, const char *before, an_text *out)
{
    if (slot->always) return;
    for (const an_needs *n = slot->needs; n; n = n->next) an_text_add(out, "%s%s", n == slot->needs ? before : " or ", n->text);
}

/* ---- help ---- */

/* How much of the word at `s` to put in one piece: all, or where it is longer than `room`, a list "a|b|c" up to its last bar that fits. */
static size_t piece(const char *s, size_t room)
{
    const size_t all = strcspn(s, " ");
    size_t n = all;
    while (n > room && n > 1) {
        do n--;
        while (n > 1 && s[n - 1] != '|');
    }
    return n > 1 ? n : all;
}

/* Words of `s`, broken at `width`; continuation lines are indented. `column`: where the cursor stands. */
static void wrap(an_text *out, const char *s, size_t indent, size_t column, size_t width)
{
    int first = 1;
    for (int glued = 0; *s;) {
        s += strspn(s, " ");
        const size_t n = piece(s, width - indent);
        if (n == 0) break;
        if (glued) {                                         /* the rest of a list goes on a line of its own */
            an_text_add(out, "\n%*s", (int)indent, "");
            column = indent;
            first = 1;
        }
        glued = n < strcspn(s, " ");
        if (!first && column + 1 + n > width) {
            an_text_add(out, "\n%*s", (int)indent, "");
            column = indent;
            first = 1;
        }
        if (!first) an_text_add(out, " ");
        an_text_put(out, s, n);
        column += n + (size_t)!first;
        first = 0;
        s += n;
    }
    an_text_add(out, "\n");
}

static void help_row(const an_option_slot *slot, size_t width, an_text *out)
{
    enum { INDENT = 26 };
    const an_option *o = slot->option;
    an_text left = { 0 }, right = { 0 }, allowed = { 0 };
    for (const char *p = o->aliases; p && *p; p += strcspn(p, " "), p += strspn(p, " "))
        if (strcspn(p, " ") == 1) an_text_add(&left, "-%c, ", *p);
    an_text_add(&left, o->type == AN_BOOL && strcmp(slot->value[0].text, "true") == 0 ? "--[no-]%s %s" : o->alone ? "--%s [%s]" : "--%s %s", o->name, VALUE_NAME[o->type]);
    an__option_allowed(o, &allowed);
    an_text_add(&right, "%s", o->help ? o->help : "");
    if (o->type == AN_CHOICE) an_text_add(&right, ": %s", an_text_get(&allowed));
    const int off = o->type == AN_BOOL && strcmp(slot->value[0].text, "false") == 0;
    if (*slot->value[0].text && !off) an_text_add(&right, " [%s%s%s]", slot->value[0].text, allowed.length && o->type != AN_CHOICE ? "; " : "", o->type != AN_CHOICE ? an_text_get(&allowed) : "");
    else if (allowed.length && o->type != AN_CHOICE) an_text_add(&right, " [%s]", an_text_get(&allowed));
    put_needs(slot, "; only with ", &right);
    if (o->flags & AN_PER_SITE) an_text_add(&right, " @");
    an_text_add(out, "  %-*s", INDENT - 2, an_text_get(&left));
    if (left.length + 3 > INDENT) an_text_add(out, "\n%*s", INDENT, "");
    wrap(out, an_text_get(&right), INDENT, INDENT, width);
    an_text_fini(&left);
    an_text_fini(&right);
    an_text_fini(&allowed);
}

void an_options_help(const an_options *o, const char *groups, int width, an_text *out)
{
    int per_site = 0;
    for (size_t i = 0; i < o->count; i++) {
        const char *group = an__option_group(o->slot[i].option);
        if (!closes_group(o, i) || (groups && !an_text_in_list(groups, '|', group, strlen(group)))) continue;
        an_text_add(out, "%s%s:\n", out->length ? "\n" : "", group);
        for (size_t k = 0; k <= i; k++) {
            if (!in_group(o, k, group)) continue;
            help_row(&o->slot[k], width < 50 ? 50 : (size_t)width, out);
            per_site |= (o->slot[k].option->flags & AN_PER_SITE) != 0;
        }
    }
    if (!per_site) return;
    an_text_add(out, "\n");
    wrap(out, "@: may be set per layer and sub-layer, --KEY@LAYERS[.SITE] VALUE, as in --norm@0-3 rmsnorm or --norm@*.mlp rmsnorm.", 0, 0, width < 50 ? 50 : (size_t)width);
}

/* ---- Markdown ---- */

static void put_cell(an_text *out, const char *s)
{
    for (; *s; s++) an_text_add(out, *s == '|' ? "\\%c" : "%c", *s);
    an_text_add(out, " | ");
}

void an_options_markdown(const an_options *o, an_text *out)
{
    for (size_t i = 0; i < o->count; i++) {
        if (!closes_group(o, i)) continue;
        const char *group = an__option_group(o->slot[i].option);
        an_text_add(out, "%s## %s\n\n| key | value | default | meaning | also called |\n|---|---|---|---|---|\n", out->length ? "\n" : "", group);
        for (size_t k = 0; k <= i; k++) {
            if (!in_group(o, k, group)) continue;
            const an_option *row = o->slot[k].option;
            an_text cell = { 0 };
            an_text_add(out, "| `%s` | ", row->name);
            an__option_allowed(row, &cell);
            put_cell(out, cell.length ? an_text_get(&cell) : TYPE_NAME[row->type]);
            put_cell(out, o->slot[k].value[0].text);
            cell.length = 0;
            an_text_add(&cell, "%s", row->help ? row->help : "");
            put_needs(&o->slot[k], "; only with ", &cell);
            if (row->flags & AN_PER_SITE) an_text_add(&cell, "; per site");
            put_cell(out, an_text_get(&cell));
            an_text_add(out, "%s |\n", row->aliases ? row->aliases : "");
            if (cell.failed) out->failed = 1;
            an_text_fini(&cell);
        }
    }
}

/* ---- JSON ---- */

static json_t *json_of(const an_option_slot *slot, int *failed)
{
    const an_option *o = slot->option;
    an_text allowed = { 0 }, needs = { 0 };
    json_t *row = json_object();
    an__option_allowed(o, &allowed);
    put_needs(slot, "", &needs);
    *failed |= !row || allowed.failed || needs.failed;
    *failed |= json_object_set_new(row, "name", json_string(o->name)) != 0;
    *failed |= json_object_set_new(row, "group", json_string(an__option_group(o))) != 0;
    *failed |= json_object_set_new(row, "type", json_string(TYPE_NAME[o->type])) != 0;
    *failed |= json_object_set_new(row, "default", json_string(slot->value[0].text)) != 0;
    *failed |= json_object_set_new(row, "allowed", json_string(an_text_get(&allowed))) != 0;
    *failed |= json_object_set_new(row, "help", json_string(o->help ? o->help : "")) != 0;
    *failed |= json_object_set_new(row, "aliases", json_string(o->aliases ? o->aliases : "")) != 0;
    *failed |= json_object_set_new(row, "needs", json_string(an_text_get(&needs))) != 0;
    *failed |= json_object_set_new(row, "per_site", json_boolean(o->flags & AN_PER_SITE)) != 0;
    an_text_fini(&allowed);
    an_text_fini(&needs);
    return row;
}

an_status an_options_json(const an_options *o, an_text *out)
{
    json_t *list = json_array();
    int failed = !list;
    for (size_t i = 0; i < o->count && !failed; i++) {
        json_t *row = json_of(&o->slot[i], &failed);
        failed |= json_array_append_new(list, row) != 0;
    }
    char *text = failed ? NULL : json_dumps(list, JSON_INDENT(1));
    json_decref(list);
    if (!text) return an_fail(AN_ENOMEM, "options: cannot build the list (memory, or help that is not UTF-8)");
    an_text_add(out, "%s\n", text);
    free(text);
    return an_text_status(out);
}

/* ---- YAML ---- */

static int is_plain(const char *s)
{
    if (!*s || !strcmp(s, "~") || !strcmp(s, "null") || !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+", *s)) return 0;
    if (*s == '-' && (s[1] == '\0' || s[1] == '-')) return 0;
    for (; *s; s++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@*", *s)) return 0;
    return 1;
}

static void put_scalar(an_text *out, const char *s)
{
    if (is_plain(s)) {
        an_text_add(out, "%s", s);
        return;
    }
    an_text_add(out, "\"");
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') an_text_add(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F) an_text_add(out, "\\x%02X", c);
        else an_text_put(out, s, 1);
    }
    an_text_add(out, "\"");
}

static void put_value(an_text *out, const an_option *row, const an_setting *value)
{
    if (row->type != AN_PATHS || value->list.count == 1) {
        put_scalar(out, row->type == AN_PATHS ? value->list.item[0] : value->text);
        return;
    }
    an_text_add(out, "[");
    for (size_t i = 0; i < value->list.count; i++) {
        if (i) an_text_add(out, ", ");
        put_scalar(out, value->list.item[i]);
    }
    an_text_add(out, "]");
}

static void put_entry(an_text *out, const an_option *row, const char *selector, const an_setting *value, const char *comment, int used)
{
    const size_t start = out->length;
    an_text_add(out, used ? "  " : "  # ");
    if (selector) {
        an_text key = { 0 };
        an_text_add(&key, "%s@%s", row->name, selector);
        put_scalar(out, an_text_get(&key));
        if (key.failed) out->failed = 1;
        an_text_fini(&key);
    } else an_text_add(out, "%s", row->name);
    an_text_add(out, ": ");
    put_value(out, row, value);
    if (comment) an_text_add(out, "%*s# %s", out->length - start < 40 ? (int)(40 - (out->length - start)) : 1, "", comment);
    an_text_add(out, "\n");
}

/* Who set a value, in a comment: a file's name may hold anything. */
static void put_place(an_text *out, const char *place)
{
    for (size_t n; *place; place += n) {
        n = strcspn(place, "\n");
        an_text_put_safe(out, place, n);
        if (place[n] == '\n') {
            an_text_add(out, "\\x0A");
            n++;
        }
    }
}

static void put_override(const an_option_slot *slot, an_text *out, const an_override *v, int comments, int used)
{
    an_text comment = { 0 };
    put_place(&comment, v->value.place);
    put_entry(out, slot->option, v->selector, &v->value, comments ? an_text_get(&comment) : NULL, used);
    if (comment.failed) out->failed = 1;
    an_text_fini(&comment);
}

/* Overrides of lower sources first, so that reading them back in order leaves the same one on top. */
static void put_overrides(const an_option_slot *slot, an_text *out, int comments, int used)
{
    for (int s = 0; s < AN_SOURCES; s++)
        for (const an_override *v = slot->overrides; v; v = v->next)
            if ((int)v->source == s && !an__option_superseded(slot, v) && (used || comments)) put_override(slot, out, v, comments, used);
}

static void put_yaml(const an_options *o, an_text *out, int comments, int changes)
{
    for (size_t i = 0; i < o->count; i++) {
        const char *group = an__option_group(o->slot[i].option);
        char slug[AN_NAME];
        int opened = 0;
        if (!closes_group(o, i)) continue;
        an__option_slug(group, slug);
        for (size_t k = 0; k <= i; k++) {
            const an_option_slot *slot = &o->slot[k];
            const int used = an__option_in_use(o, slot);
            if (!in_group(o, k, group) || (slot->option->flags & AN_EPHEMERAL) || (!used && (!comments || changes))) continue;
            if (changes && an__option_source(slot) == AN_FROM_DEFAULT && !slot->overrides) continue;
            if (!opened) an_text_add(out, "%s:\n", slug);
            opened = 1;
            an_text comment = { 0 };
            const an_setting *value = an__option_setting(slot);
            put_place(&comment, value->place);
            if (!used) put_needs(slot, "; unused, needs ", &comment);
            if (!changes || an__option_source(slot) != AN_FROM_DEFAULT) put_entry(out, slot->option, NULL, value, comments ? an_text_get(&comment) : NULL, used);
            if (comment.failed) out->failed = 1;
            an_text_fini(&comment);
            put_overrides(slot, out, comments, used);
        }
    }
}

void an_options_dump(const an_options *o, an_text *out) { put_yaml(o, out, 1, 0); }
void an_options_yaml(const an_options *o, an_text *out) { put_yaml(o, out, 0, 0); }
void an_options_changes(const an_options *o, an_text *out) { put_yaml(o, out, 1, 1); }
