/* core/option.c
 * The store: one slot per key, one setting per source in it, overrides in a list. All text lives in one arena that grows
 * with each setting; a configuration is read once, so nothing is ever given back before the whole is. */
#include "core/option.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/option_impl.h"

static const char *or_empty(const char *s) { return s ? s : ""; }

an_status an_options_create(an_options **out)
{
    an_options *o = an_alloc(sizeof *o);
    if (!o) return an_fail(AN_ENOMEM, "options: no memory");
    *out = o;
    return AN_OK;
}

void an_options_destroy(an_options **options)
{
    if (!*options) return;
    an_arena_fini(&(*options)->arena);
    free((*options)->slot);
    free(*options);
    *options = NULL;
}

/* ---- names ---- */

static int same_name(const char *name, const char *word, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!name[i] || name[i] != (word[i] == '-' ? '_' : word[i])) return 0;
    return name[n] == '\0';
}

/* The k-th name of a row: 0 is the canonical one, then the aliases. Into `buffer`; NULL after the last. */
static const char *name_of(const an_option *o, size_t k, char buffer[AN_NAME])
{
    if (k == 0) return o->name;
    const char *p = or_empty(o->aliases);
    for (;; k--) {
        p += strspn(p, " ");
        if (!*p) return NULL;
        if (k == 1) break;
        p += strcspn(p, " ");
    }
    const int n = (int)strcspn(p, " ");
    for (int i = 0; i < n && i < AN_NAME - 1; i++) buffer[i] = p[i] == '-' ? '_' : p[i];
    buffer[n < AN_NAME ? n : AN_NAME - 1] = '\0';
    return buffer;
}

an_option_slot *an__option_find(const an_options *options, const char *name, size_t length)
{
    char buffer[AN_NAME];
    const char *known;
    for (size_t i = 0; i < options->count; i++)
        if (same_name(options->slot[i].option->name, name, length)) return &options->slot[i];
    for (size_t i = 0; i < options->count; i++)       /* aliases are few, and rarely asked for */
        for (size_t k = 1; options->slot[i].option->aliases && (known = name_of(options->slot[i].option, k, buffer)) != NULL; k++)
            if (same_name(known, name, length)) return &options->slot[i];
    return NULL;
}

typedef struct all_names { const an_options *options; char buffer[AN_NAME]; } all_names;
static const char *any_name(void *ctx, size_t n)
{
    all_names *a = ctx;
    const char *known;
    for (size_t i = 0; i < a->options->count; i++)
        for (size_t k = 0; (known = name_of(a->options->slot[i].option, k, a->buffer)) != NULL; k++)
            if (n-- == 0) return strlen(known) > 1 ? known : a->options->slot[i].option->name;
    return NULL;
}

int an__option_near(const an_options *options, const char *word, size_t length, char near[AN_NAME])
{
    char cut[AN_NAME];
    all_names names = { .options = options };
    snprintf(cut, sizeof cut, "%.*s", (int)(length < AN_NAME ? length : AN_NAME - 1), word);
    return an_text_nearest(cut, any_name, &names, near);
}

/* ---- adding tables ---- */

/* One more condition; "norm=a" and "norm=b" become "norm=a|b". */
static an_status add_needs(an_options *o, an_option_slot *slot, const char *needs)
{
    if (!needs) {
        slot->always = 1;
        return AN_OK;
    }
    const size_t key = strcspn(needs, "!=") + 1;
    an_needs **end = &slot->needs;
    while (*end && (needs[key - 1] != '=' || strncmp((*end)->text, needs, key) != 0)) end = &(*end)->next;
    an_needs *n = *end ? *end : an_arena_alloc(&o->arena, sizeof *n);
    const char *text = an_arena_printf(&o->arena, "%s%s%s", *end ? (*end)->text : "", *end ? "|" : "", *end ? needs + key : needs);
    if (!n || !text) return an_fail(AN_ENOMEM, "options: no memory");
    n->text = text;
    *end = n;
    return AN_OK;
}

static an_status add_binding(an_options *o, an_option_slot *slot, const an_option *row, void *base)
{
    if (!base || !row->at) return AN_OK;
    an_binding *b = an_arena_alloc(&o->arena, sizeof *b);
    if (!b) return an_fail(AN_ENOMEM, "options: no memory");
    b->field = (char *)base + row->at - 1;
    b->next = slot->bindings;
    slot->bindings = b;
    return AN_OK;
}

static an_status add_slot(an_options *o, const an_option *row, an_option_slot **out)
{
    char buffer[AN_NAME];
    const char *name;
    for (size_t k = 0; (name = name_of(row, k, buffer)) != NULL; k++) {
        const an_option_slot *other = an__option_find(o, name, strlen(name));
        if (other) return an_fail(AN_ECONFIG, "option table: '%s' names both '%s' and '%s'", name, other->option->name, row->name);
    }
    if (o->count == o->capacity) {
        const size_t capacity = o->capacity ? o->capacity * 2 : 64;
        an_option_slot *grown = an_realloc(o->slot, capacity * sizeof *grown);
        if (!grown) return an_fail(AN_ENOMEM, "options: no memory");
        o->slot = grown;
        o->capacity = capacity;
    }
    an_option_slot slot = { .option = row };
    AN_TRY(an__option_check(&o->arena, row, or_empty(row->text), row->name, &slot.value[AN_FROM_DEFAULT].text));
    slot.value[AN_FROM_DEFAULT].place = "default";
    if (row->type == AN_PATHS) AN_TRY(an__option_to_list(&o->arena, slot.value[AN_FROM_DEFAULT].text, &slot.value[AN_FROM_DEFAULT].list));
    o->slot[o->count] = slot;
    *out = &o->slot[o->count++];
    return AN_OK;
}

an_status an_options_add_owned(an_options *o, const an_option *table, void *base, const char *needs)
{
    for (const an_option *row = table; row->name; row++) {
        an_option_slot *slot = NULL;
        for (size_t i = 0; i < o->count; i++)
            if (strcmp(o->slot[i].option->name, row->name) == 0) slot = &o->slot[i];
        if (!slot) AN_TRY(add_slot(o, row, &slot));
        const an_option *first = slot->option;
        if (first->type != row->type || strcmp(or_empty(first->text), or_empty(row->text)) != 0 || strcmp(or_empty(first->range), or_empty(row->range)) != 0)
            return an_fail(AN_ECONFIG, "option table: '%s' is defined twice with another type, default or range", row->name);
        AN_TRY(add_needs(o, slot, row->needs ? row->needs : needs));
        AN_TRY(add_binding(o, slot, row, base));
    }
    return AN_OK;
}

an_status an_options_add(an_options *o, const an_option *table, void *base) { return an_options_add_owned(o, table, base, NULL); }

/* ---- what is in force ---- */

an_source an__option_source(const an_option_slot *slot)
{
    for (int s = AN_SOURCES - 1; s > 0; s--)
        if (slot->value[s].text) return (an_source)s;
    return AN_FROM_DEFAULT;
}

const an_setting *an__option_setting(const an_option_slot *slot) { return &slot->value[an__option_source(slot)]; }

int an__option_superseded(const an_option_slot *slot, const an_override *override)
{
    int later = 0;
    for (const an_override *v = slot->overrides; v; v = v->next) {
        if (v != override && strcmp(v->selector, override->selector) == 0 && (v->source > override->source || (later && v->source == override->source))) return 1;
        later |= v == override;
    }
    return 0;
}

static int covers(const an_override *v, int64_t layer, const char *site)
{
    if (v->site && (!site || strcmp(v->site, site) != 0)) return 0;
    if (!v->range) return 1;
    for (size_t i = 0; i < v->ranges; i++)
        if (layer >= v->range[i].first && layer <= v->range[i].last) return 1;
    return 0;
}

static const an_setting *setting_at(const an_option_slot *slot, int64_t layer, const char *site)
{
    const an_override *best = NULL;
    for (const an_override *v = slot->overrides; v; v = v->next)
        if (covers(v, layer, site) && (!best || v->source >= best->source)) best = v;
    return best ? &best->value : an__option_setting(slot);
}

static const char *text_at(const an_option_slot *slot, int64_t layer, const char *site) { return setting_at(slot, layer, site)->text; }

/* ---- conditions ---- */

/* The key of "key=a|b" or "key!=a|b" and its values; NULL: this program lacks it, and then it never forbids. */
static const an_option_slot *read_needs(const an_options *o, const char *needs, const char **list, int *negated)
{
    const size_t n = strcspn(needs, "!=");
    *negated = needs[n] == '!';
    *list = needs + n + (*negated ? 2 : 1);
    return needs[n] ? an__option_find(o, needs, n) : NULL;
}

static int is_listed(const char *list, const char *text) { return (!*list && !*text) || an_text_in_list(list, '|', text, strlen(text)); }

/* The condition holds for the base value or for any override of its key. */
static int needs_hold(const an_options *o, const char *needs, const an_option_slot **by)
{
    const char *list;
    int negated;
    const an_option_slot *slot = *by = read_needs(o, needs, &list, &negated);
    if (!slot || is_listed(list, an__option_setting(slot)->text) != negated) return 1;
    for (const an_override *v = slot->overrides; v; v = v->next)
        if (is_listed(list, v->value.text) != negated) return 1;
    return 0;
}

int an__option_in_use(const an_options *o, const an_option_slot *slot)
{
    const an_option_slot *by;
    if (slot->always) return 1;
    for (const an_needs *n = slot->needs; n; n = n->next)
        if (needs_hold(o, n->text, &by)) return 1;
    return 0;
}

static an_status refuse_unused(const an_options *o, const an_option_slot *slot, const an_setting *value, const char *selector)
{
    const an_option_slot *by = NULL;
    an_text needs = { 0 };
    for (const an_needs *n = slot->needs; n; n = n->next) {
        an_text_add(&needs, "%s%s", n == slot->needs ? "" : " or ", n->text);
        needs_hold(o, n->text, &by);
    }
    const an_setting *other = an__option_setting(by);
    const an_status status = an_fail(AN_ECONFIG, "%s: '%s%s%s' has no meaning with %s '%s' (%s); it needs %s", value->place, slot->option->name, selector ? "@" : "",
                                     or_empty(selector), by->option->name, other->text, other->place, an_text_get(&needs));
    an_text_fini(&needs);
    return status;
}

static an_status check_in_use(const an_options *o, const an_option_slot *slot)
{
    if (an__option_in_use(o, slot)) return AN_OK;
    an_source defeat = AN_FROM_DEFAULT;
    for (const an_needs *n = slot->needs; n; n = n->next) {
        const an_option_slot *by;
        needs_hold(o, n->text, &by);
        const an_source s = an__option_source(by);
        if (s > defeat) defeat = s;
    }
    const an_source source = an__option_source(slot);
    if (source > AN_FROM_PRESET && source >= defeat) return refuse_unused(o, slot, &slot->value[source], NULL);
    for (const an_override *v = slot->overrides; v; v = v->next)
        if (v->source > AN_FROM_PRESET && v->source >= defeat) return refuse_unused(o, slot, &v->value, v->selector);
    return AN_OK;
}

static void bind(const an_option_slot *slot)
{
    const an_option *row = slot->option;
    const an_setting *value = an__option_setting(slot);
    for (const an_binding *b = slot->bindings; b; b = b->next) {
        switch (row->type) {
        case AN_SIZE:
        case AN_INT: *(int64_t *)b->field = an__option_to_int(row, value->text); break;
        case AN_FLOAT: *(double *)b->field = an__option_to_float(row, value->text); break;
        case AN_BOOL: *(bool *)b->field = an__option_to_int(row, value->text) != 0; break;
        case AN_STRING:
        case AN_CHOICE: *(const char **)b->field = value->text; break;
        case AN_PATHS: *(an_option_list *)b->field = value->list; break;
        }
    }
}

void an_options_bind(const an_options *o)
{
    for (size_t i = 0; i < o->count; i++) bind(&o->slot[i]);
}

an_status an_options_resolve(an_options *o)
{
    for (size_t i = 0; i < o->count; i++) AN_TRY(check_in_use(o, &o->slot[i]));
    an_options_bind(o);
    return AN_OK;
}

typedef struct word_list { const char *list; char word[AN_NAME]; } word_list;
static const char *word_at(void *ctx, size_t i)
{
    word_list *w = ctx;
    const char *p = w->list;
    for (; p && i > 0; i--) {
        p = strchr(p, '|');
        if (p) p++;
    }
    if (!p || !*p) return NULL;
    snprintf(w->word, sizeof w->word, "%.*s", (int)strcspn(p, "|"), p);
    return w->word;
}

static an_status check_override(const char *key, const an_override *v, int64_t n_layer, const char *sites)
{
    for (size_t r = 0; r < v->ranges; r++)
        if (v->range[r].last >= n_layer)
            return an_fail(AN_ECONFIG, "%s: '%s@%s' names layer %lld; the model has layers 0..%lld", v->value.place, key, v->selector, (long long)v->range[r].last, (long long)n_layer - 1);
    if (!v->site || an_text_in_list(sites, '|', v->site, strlen(v->site))) return AN_OK;
    word_list words = { .list = sites };
    char near[AN_NAME];
    const int close = an_text_nearest(v->site, word_at, &words, near);
    return an_fail(AN_ECONFIG, "%s: '%s@%s' names sub-layer '%s'; the model has %s%s%s%s", v->value.place, key, v->selector, v->site, sites, close ? "; did you mean '" : "", near, close ? "'?" : "");
}

static int holds_at(const an_options *o, const an_option_slot *slot, int64_t layer, const char *site)
{
    for (const an_needs *n = slot->needs; n; n = n->next) {
        const char *list;
        int negated;
        const an_option_slot *by = read_needs(o, n->text, &list, &negated);
        if (!by || is_listed(list, text_at(by, layer, site)) != negated) return 1;
    }
    return 0;
}

/* Where an override's key has no meaning at any place that it covers, it was meant for other places. What a later source made so is left alone. */
static an_status check_reach(const an_options *o, const an_option_slot *slot, const an_override *v, int64_t n_layer, const char *sites)
{
    word_list words = { .list = sites };
    if (slot->always || v->source <= AN_FROM_PRESET) return AN_OK;
    for (const an_needs *n = slot->needs; n; n = n->next) {
        const char *list;
        int negated;
        const an_option_slot *by = read_needs(o, n->text, &list, &negated);
        if (!by || an__option_source(by) > v->source) return AN_OK;
        for (const an_override *w = by->overrides; w; w = w->next)
            if (w->source > v->source) return AN_OK;
    }
    for (int64_t layer = 0; layer < n_layer; layer++)
        for (size_t i = 0; word_at(&words, i); i++)
            if (covers(v, layer, words.word) && holds_at(o, slot, layer, words.word)) return AN_OK;
    an_text needs = { 0 };
    for (const an_needs *n = slot->needs; n; n = n->next) an_text_add(&needs, "%s%s", n == slot->needs ? "" : " or ", n->text);
    const an_status status = an_fail(AN_ECONFIG, "%s: '%s@%s' has no meaning there; it needs %s in the same layers and sub-layers", v->value.place, slot->option->name, v->selector, an_text_get(&needs));
    an_text_fini(&needs);
    return status;
}

an_status an_options_check_sites(const an_options *o, int64_t n_layer, const char *sites)
{
    for (size_t i = 0; i < o->count; i++)
        for (const an_override *v = o->slot[i].overrides; v; v = v->next) {
            AN_TRY(check_override(o->slot[i].option->name, v, n_layer, sites));
            AN_TRY(check_reach(o, &o->slot[i], v, n_layer, sites));
        }
    return AN_OK;
}

/* ---- reading by name ---- */

static const an_option_slot *get(const an_options *o, const char *name) { return an__option_find(o, name, strlen(name)); }

const char *an_options_text_at(const an_options *o, const char *name, int64_t layer, const char *site)
{
    const an_option_slot *slot = get(o, name);
    return slot ? text_at(slot, layer, site) : "";
}

int64_t an_options_int_at(const an_options *o, const char *name, int64_t layer, const char *site)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_to_int(slot->option, text_at(slot, layer, site)) : 0;
}

double an_options_float_at(const an_options *o, const char *name, int64_t layer, const char *site)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_to_float(slot->option, text_at(slot, layer, site)) : 0;
}

int an_options_bool_at(const an_options *o, const char *name, int64_t layer, const char *site) { return an_options_int_at(o, name, layer, site) != 0; }

const char *an_options_text(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_setting(slot)->text : "";
}

int64_t an_options_int(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_to_int(slot->option, an__option_setting(slot)->text) : 0;
}

double an_options_float(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_to_float(slot->option, an__option_setting(slot)->text) : 0;
}

int an_options_bool(const an_options *o, const char *name) { return an_options_int(o, name) != 0; }

an_option_list an_options_list(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_setting(slot)->list : (an_option_list){ 0 };
}

an_source an_options_source(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_source(slot) : AN_FROM_DEFAULT;
}

const char *an_options_place(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? an__option_setting(slot)->place : "";
}

const char *an_options_place_at(const an_options *o, const char *name, int64_t layer, const char *site)
{
    const an_option_slot *slot = get(o, name);
    return slot ? setting_at(slot, layer, site)->place : "";
}

int an_options_in_use(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot && an__option_in_use(o, slot);
}

size_t an_options_count(const an_options *o) { return o->count; }
const an_option *an_options_row(const an_options *o, size_t i) { return i < o->count ? o->slot[i].option : NULL; }

const an_option *an_options_find(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot ? slot->option : NULL;
}

int an_options_is_default(const an_options *o, const char *key, const char *text, size_t n)
{
    const an_option *row = strchr(key, '@') ? NULL : an_options_find(o, key);
    return row && strlen(row->text) == n && memcmp(row->text, text, n) == 0;
}

void an_options_walk(const an_options *o, an_options_visit visit, void *ctx)
{
    for (size_t i = 0; i < o->count; i++) {
        const an_option_slot *slot = &o->slot[i];
        const an_setting *value = an__option_setting(slot);
        if ((slot->option->flags & AN_EPHEMERAL) || !an__option_in_use(o, slot)) continue;
        if (an__option_source(slot) != AN_FROM_DEFAULT) visit(ctx, slot->option->name, value->text, value->place);
        for (const an_override *v = slot->overrides; v; v = v->next) {
            an_text key = { 0 };
            an_text_add(&key, "%s@%s", slot->option->name, v->selector);
            if (!an__option_superseded(slot, v)) visit(ctx, an_text_get(&key), v->value.text, v->value.place);
            an_text_fini(&key);
        }
    }
}

int an_options_has_overrides(const an_options *o, const char *name)
{
    const an_option_slot *slot = get(o, name);
    return slot && slot->overrides;
}
