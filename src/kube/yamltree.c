// SPDX-License-Identifier: Apache-2.0
#include "kube/yamltree.h"
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    char *name;
    json_t *value; // a reference
    size_t nodes;  // what an alias of it counts
};

struct tree {
    yaml_parser_t parser;
    FILE *in;
    const struct yaml_values *values;
    struct yaml_error *error;
    struct anchor anchors[YAML_MAX_ANCHORS];
    size_t nanchors;
    size_t nodes; // of the value being built
    size_t bytes; // read for it; the parser reads a little ahead
};

static int fail(struct tree *t, int code, size_t line, const char *text)
{
    t->error->line = line;
    snprintf(t->error->text, sizeof t->error->text, "%s", text);
    return code;
}

static int read_file(void *arg, unsigned char *buffer, size_t size, size_t *read)
{
    struct tree *t = arg;
    *read = fread(buffer, 1, size, t->in);
    t->bytes += *read;
    return !ferror(t->in) && t->bytes <= YAML_MAX_BYTES;
}

// The next event, which the caller deletes.
static int next(struct tree *t, yaml_event_t *event)
{
    if (yaml_parser_parse(&t->parser, event))
        return 0;
    const yaml_parser_t *p = &t->parser;
    if (ferror(t->in))
        return fail(t, CDNS_EIO, p->mark.line + 1, "the file cannot be read");
    if (t->bytes > YAML_MAX_BYTES)
        return fail(t, CDNS_ELIMIT, p->mark.line + 1, "an object is too large");
    if (p->error == YAML_MEMORY_ERROR)
        return fail(t, CDNS_ENOMEM, p->mark.line + 1, "out of memory");
    bool early = p->error == YAML_READER_ERROR; // has an offset, no mark
    return fail(t, CDNS_ESYNTAX, (early ? p->mark.line : p->problem_mark.line) + 1,
                p->problem != NULL ? p->problem : "no YAML");
}

// ---- scalars ----

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

// Decimal, 0x and leading-zero octal integers that fit; NULL for anything else.
static json_t *integer(const char *text)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits))
        return NULL;
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    return errno == 0 && *end == '\0' ? json_integer(value) : NULL;
}

static json_t *real(const char *text)
{
    if (strspn(text, "+-0123456789.eE") != strlen(text) || strpbrk(text, "0123456789") == NULL)
        return NULL;
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    return errno == 0 && *end == '\0' ? json_real(value) : NULL;
}

// The value of a plain, untagged scalar as kubectl types it.
static json_t *plain(const char *text, size_t len)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const trues[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y", NULL};
    static const char *const falses[] = {"false", "False", "FALSE", "no", "No", "NO",
                                         "off",   "Off",   "OFF",   "n",  "N",  NULL};
    if (is_one_of(text, nulls))
        return json_null();
    if (is_one_of(text, trues))
        return json_true();
    if (is_one_of(text, falses))
        return json_false();
    json_t *number = integer(text);
    if (number == NULL)
        number = real(text);
    return number != NULL ? number : json_stringn(text, len);
}

static json_t *scalar(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    if (!event->data.scalar.plain_implicit || strlen(text) != len)
        return json_stringn(text, len);
    return plain(text, len);
}

// ---- anchors ----

static void forget_anchors(struct tree *t)
{
    for (size_t i = 0; i < t->nanchors; i++) {
        free(t->anchors[i].name);
        json_decref(t->anchors[i].value);
    }
    t->nanchors = 0;
}

// Remembers a value, complete now, under its anchor; a name used again stands for the newer value.
static int remember(struct tree *t, const char *name, json_t *value, size_t nodes, size_t line)
{
    if (t->nanchors == YAML_MAX_ANCHORS)
        return fail(t, CDNS_ELIMIT, line, "too many anchors");
    char *copy = strdup(name);
    if (copy == NULL)
        return fail(t, CDNS_ENOMEM, line, "out of memory");
    t->anchors[t->nanchors++] = (struct anchor){.name = copy, .value = json_incref(value), .nodes = nodes};
    return 0;
}

static int count_nodes(struct tree *t, size_t n, size_t line)
{
    t->nodes += n;
    return t->nodes > YAML_MAX_NODES ? fail(t, CDNS_ELIMIT, line, "too many nodes in one object") : 0;
}

static int alias(struct tree *t, const char *name, size_t line, json_t **out)
{
    // An alias inside what its own anchor names finds nothing here: no cycles.
    for (size_t i = t->nanchors; i-- > 0;) {
        if (strcmp(t->anchors[i].name, name) == 0) {
            *out = json_incref(t->anchors[i].value);
            return count_nodes(t, t->anchors[i].nodes, line);
        }
    }
    return fail(t, CDNS_ESYNTAX, line, "an alias of an unknown anchor");
}

// ---- values ----

static int build(struct tree *t, yaml_event_t *event, unsigned depth, json_t **out);

// Puts what `<<` names into a mapping: keys that are there already win.
static int merge(struct tree *t, json_t *object, json_t *from, size_t line)
{
    if (json_is_object(from))
        return json_object_update_missing(object, from) == 0 ? 0 : fail(t, CDNS_ENOMEM, line, "out of memory");
    for (size_t i = 0; i < json_array_size(from); i++) {
        json_t *one = json_array_get(from, i);
        if (!json_is_object(one))
            return fail(t, CDNS_ESYNTAX, line, "a merge key names something other than mappings");
        if (json_object_update_missing(object, one) != 0)
            return fail(t, CDNS_ENOMEM, line, "out of memory");
    }
    return json_is_array(from) ? 0 : fail(t, CDNS_ESYNTAX, line, "a merge key names something other than a mapping");
}

// A mapping's key as text to `*key` (allocated), NULL for a key that is no text; consumes `event`.
static int mapping_key(struct tree *t, yaml_event_t *event, unsigned depth, char **key, bool *is_merge)
{
    *key = NULL;
    *is_merge = false;
    if (event->type == YAML_SCALAR_EVENT && event->data.scalar.anchor == NULL) {
        const char *text = (const char *)event->data.scalar.value;
        *is_merge = event->data.scalar.plain_implicit && strcmp(text, "<<") == 0;
        if (strlen(text) == event->data.scalar.length)
            *key = strdup(text);
        yaml_event_delete(event);
        return 0;
    }
    json_t *value = NULL;
    int r = build(t, event, depth, &value);
    if (json_is_string(value))
        *key = strdup(json_string_value(value));
    json_decref(value);
    return r;
}

// The value of `key` goes into `object`; consumes `event`.
static int mapping_value(struct tree *t, yaml_event_t *event, unsigned depth, json_t *object, const char *key,
                         bool is_merge)
{
    size_t line = event->start_mark.line + 1;
    json_t *value = NULL;
    int r = build(t, event, depth, &value);
    if (r == 0 && is_merge)
        r = merge(t, object, value, line);
    else if (r == 0 && key != NULL && json_object_set(object, key, value) != 0)
        r = fail(t, CDNS_ENOMEM, line, "a key cannot be kept");
    json_decref(value);
    return r;
}

// Gives the elements of the top level's "items" out one at a time; the sequence's start is consumed.
static int take_items(struct tree *t, const json_t *envelope)
{
    for (;;) {
        yaml_event_t event;
        int r = next(t, &event);
        if (r != 0)
            return r;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        size_t line = event.start_mark.line + 1;
        json_t *value = NULL;
        t->nodes = t->bytes = 0;
        r = build(t, &event, 2, &value);
        if (r == 0)
            r = t->values->item(t->values->arg, envelope, value, line);
        json_decref(value);
        if (r != 0)
            return r;
    }
}

static bool are_items(const struct tree *t, const yaml_event_t *event, unsigned depth, const char *key)
{
    return depth == 1 && t->values->item != NULL && key != NULL && strcmp(key, "items") == 0 &&
           event->type == YAML_SEQUENCE_START_EVENT && event->data.sequence_start.anchor == NULL;
}

static int mapping(struct tree *t, unsigned depth, json_t *object)
{
    for (;;) {
        yaml_event_t event;
        int r = next(t, &event);
        if (r != 0)
            return r;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        char *key;
        bool is_merge;
        r = mapping_key(t, &event, depth + 1, &key, &is_merge);
        if (r == 0)
            r = next(t, &event);
        if (r == 0 && are_items(t, &event, depth, key)) {
            yaml_event_delete(&event);
            r = take_items(t, object);
            if (r == 0 && json_object_set_new(object, key, json_array()) != 0)
                r = fail(t, CDNS_ENOMEM, t->parser.mark.line + 1, "out of memory");
        } else if (r == 0) {
            r = mapping_value(t, &event, depth + 1, object, key, is_merge);
        }
        free(key);
        if (r != 0)
            return r;
    }
}

static int sequence(struct tree *t, unsigned depth, json_t *array)
{
    for (;;) {
        yaml_event_t event;
        int r = next(t, &event);
        if (r != 0)
            return r;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        json_t *value = NULL;
        r = build(t, &event, depth + 1, &value);
        if (r == 0 && json_array_append(array, value) != 0)
            r = fail(t, CDNS_ENOMEM, t->parser.mark.line + 1, "out of memory");
        json_decref(value);
        if (r != 0)
            return r;
    }
}

// The anchor of an event that begins a value, or NULL.
static const char *anchor_of(const yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT)
        return (const char *)event->data.scalar.anchor;
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return (const char *)event->data.sequence_start.anchor;
    return event->type == YAML_MAPPING_START_EVENT ? (const char *)event->data.mapping_start.anchor : NULL;
}

// The value that `event` begins, at `depth` (1: a document's top level). Consumes `event`. `*out` is the caller's,
// also after a failure.
static int build(struct tree *t, yaml_event_t *event, unsigned depth, json_t **out)
{
    size_t line = event->start_mark.line + 1, before = t->nodes;
    int r = depth > YAML_MAX_DEPTH ? fail(t, CDNS_ELIMIT, line, "nested too deep") : count_nodes(t, 1, line);
    if (r == 0 && event->type == YAML_ALIAS_EVENT) {
        r = alias(t, (const char *)event->data.alias.anchor, line, out);
    } else if (r == 0 && event->type == YAML_MAPPING_START_EVENT) {
        *out = json_object();
        r = *out != NULL ? mapping(t, depth, *out) : CDNS_ENOMEM;
    } else if (r == 0 && event->type == YAML_SEQUENCE_START_EVENT) {
        *out = json_array();
        r = *out != NULL ? sequence(t, depth, *out) : CDNS_ENOMEM;
    } else if (r == 0) {
        *out = scalar(event);
        if (*out == NULL)
            r = fail(t, CDNS_ESYNTAX, line, "a text that is no UTF-8");
    }
    if (r == 0 && anchor_of(event) != NULL)
        r = remember(t, anchor_of(event), *out, t->nodes - before, line);
    yaml_event_delete(event);
    return r;
}

// ---- documents ----

static int read_documents(struct tree *t)
{
    for (;;) {
        yaml_event_t event;
        int r = next(t, &event);
        if (r != 0)
            return r;
        if (event.type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT ||
            event.type == YAML_DOCUMENT_END_EVENT) {
            yaml_event_delete(&event);
            forget_anchors(t);
            continue;
        }
        size_t line = event.start_mark.line + 1;
        json_t *value = NULL;
        t->nodes = t->bytes = 0;
        r = build(t, &event, 1, &value);
        if (r == 0)
            r = t->values->document(t->values->arg, value, line);
        json_decref(value);
        if (r != 0)
            return r;
    }
}

int yaml_read(FILE *in, const struct yaml_values *values, struct yaml_error *error)
{
    struct tree *t = calloc(1, sizeof *t);
    *error = (struct yaml_error){0};
    if (t == NULL || !yaml_parser_initialize(&t->parser)) {
        free(t);
        return CDNS_ENOMEM;
    }
    t->in = in;
    t->values = values;
    t->error = error;
    yaml_parser_set_input(&t->parser, read_file, t);
    int r = read_documents(t);
    forget_anchors(t);
    yaml_parser_delete(&t->parser);
    free(t);
    return r;
}
