// SPDX-License-Identifier: Apache-2.0
#include "kube/manifests.h"
#include "kube/decode.h"
#include "kube/list_splitter.h"
#include "kube/manifest_files.h"
#include <clusterdns/log.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARENA_LIMIT (256u << 20) // bytes that one decoded object may take

// The reading of one file.
struct reading {
    const char *name;
    manifest_cb callback;
    void *arg;
    struct arena *arena;
    struct list_splitter *splitter; // of the JSON document at hand
    json_t *list;                   // of the JSON list at hand: what stands before its elements; NULL: not read yet
    size_t first_line;              // lines before the JSON document at hand
    unsigned reports;
    char *error;
    size_t error_size;
};

static int broken(struct reading *r, size_t line, const char *text)
{
    snprintf(r->error, r->error_size, "%s:%zu: %s", r->name, line, text);
    return CDNS_ECONFIG;
}

static void report(struct reading *r, size_t line, const char *text)
{
    r->reports++;
    if (r->callback == NULL || r->reports > MANIFEST_MAX_REPORTS)
        return;
    log_plugin(LOG_LEVEL_WARNING, "kubernetes", "%s:%zu: object passed over: %s%s", r->name, line, text,
               r->reports == MANIFEST_MAX_REPORTS ? " (further ones in this file are not logged)" : "");
}

// ---- one object ----

// Elements of a typed list (ServiceList) have no kind of their own: they get the list's.
static void adopt_kind(const json_t *envelope, json_t *object)
{
    const char *kind = json_string_value(json_object_get(envelope, "kind"));
    size_t len = kind != NULL ? strlen(kind) : 0;
    if (len <= 4 || strcmp(kind + len - 4, "List") != 0 || json_object_get(object, "kind") != NULL)
        return;
    if (json_object_set_new(object, "kind", json_stringn(kind, len - 4)) == 0)
        (void)json_object_set(object, "apiVersion", json_object_get(envelope, "apiVersion"));
}

static void default_namespace(json_t *object)
{
    json_t *metadata = json_object_get(object, "metadata");
    if (json_is_object(metadata) && json_object_get(metadata, "namespace") == NULL)
        (void)json_object_set_new(metadata, "namespace", json_string("default"));
}

static int take_as(struct reading *r, const json_t *object, int kind, size_t line)
{
    char text[200] = "";
    struct kube_object out;
    arena_reset(r->arena);
    int result = decode_json(object, kind, r->arena, &out, text, sizeof text);
    if (result == 0)
        return r->callback(r->arg, &out, json_object_get(json_object_get(object, "metadata"), "labels"));
    if (result != CDNS_ENOENT) // a Deployment, a ConfigMap, …
        report(r, line, text);
    return 0;
}

static int take_object(struct reading *r, json_t *object, size_t line)
{
    if (json_is_null(object) || r->callback == NULL)
        return 0;
    if (json_is_object(object) &&
        (json_object_get(object, "kind") == NULL || json_object_get(object, "apiVersion") == NULL)) {
        report(r, line, "it has no kind or no apiVersion");
        return 0;
    }
    int kind = decode_kind(object);
    if (kind != KUBE_NAMESPACE)
        default_namespace(object);
    int result = take_as(r, object, kind, line);
    if (result == 0 && kind == KUBE_ENDPOINTSLICE && decode_is_imported(object))
        result = take_as(r, object, KUBE_IMPORTED_SLICE, line); // from an API it would come on two watches
    return result;
}

// ---- YAML ----

static int take_item(void *arg, const json_t *envelope, json_t *value, size_t line)
{
    adopt_kind(envelope, value);
    return take_object(arg, value, line);
}

static bool is_list(const json_t *value)
{
    const char *kind = json_string_value(json_object_get(value, "kind"));
    size_t len = kind != NULL ? strlen(kind) : 0;
    return len >= 4 && strcmp(kind + len - 4, "List") == 0;
}

// kubectl writes a list's kind behind its elements: without it the end is missing, and with it who knows how many
// objects.
static bool is_cut_list(const json_t *value)
{
    return json_object_get(value, "items") != NULL && json_object_get(value, "apiVersion") != NULL &&
           json_object_get(value, "kind") == NULL;
}

static int take_document(void *arg, json_t *value, size_t line)
{
    if (is_cut_list(value))
        return broken(arg, line, "the list from here on has no kind: its end is missing");
    return is_list(value) ? 0 : take_object(arg, value, line);
}

static int read_yaml(struct reading *r, FILE *in)
{
    struct yaml_values values = {.document = take_document, .item = take_item, .arg = r};
    struct yaml_error error;
    int result = yaml_read(in, &values, &error);
    return result != 0 && error.line != 0 ? broken(r, error.line, error.text) : result;
}

// ---- JSON ----

// What stands before the elements of the list at hand; not NULL.
static const json_t *json_list(struct reading *r)
{
    const char *text;
    size_t len;
    if (r->list != NULL)
        return r->list;
    list_splitter_envelope(r->splitter, &text, &len);
    char *closed = malloc(len + 2);
    if (closed != NULL) {
        memcpy(closed, text, len);
        memcpy(closed + len, "]}", 2);
        r->list = json_loadb(closed, len + 2, JSON_ALLOW_NUL, NULL);
        free(closed);
    }
    if (r->list == NULL)
        r->list = json_null();
    return r->list;
}

static int take_json(void *arg, const char *json, size_t len)
{
    struct reading *r = arg;
    size_t line = r->first_line + list_splitter_line(r->splitter);
    json_error_t error;
    json_t *value = json_loadb(json, len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &error);
    if (value == NULL)
        return broken(r, line + (size_t)(error.line > 0 ? error.line - 1 : 0), error.text);
    int result = take_item(r, json_list(r), value, line);
    json_decref(value);
    return result;
}

// The end of a JSON document: what stood around "items", or the one object that the document is.
static int finish_json(struct reading *r)
{
    const char *json;
    size_t len;
    int result = list_splitter_finish(r->splitter, &json, &len);
    size_t line = r->first_line + list_splitter_line(r->splitter);
    if (result == CDNS_ETRUNC)
        return broken(r, line, "the JSON document ends too early");
    json_error_t error;
    json_t *value = json_loadb(json, len, JSON_ALLOW_NUL, &error);
    if (value == NULL)
        return broken(r, r->first_line + (size_t)(error.line > 0 ? error.line : 1), error.text);
    result = take_document(r, value, r->first_line + 1);
    json_decref(value);
    return result;
}

static int feed_json(struct reading *r, const char *data, size_t len)
{
    int result = list_splitter_feed(r->splitter, data, len);
    if (result == CDNS_ESYNTAX)
        return broken(r, r->first_line + list_splitter_line(r->splitter), "no JSON object");
    if (result == CDNS_ELIMIT)
        return broken(r, r->first_line + list_splitter_line(r->splitter), "an object is too large");
    return result;
}

static bool all_space(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (strchr(" \t\r\n", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

// A new document of a file that has several; `line` lines were before it.
static int start_json(struct reading *r, size_t line)
{
    json_decref(r->list);
    list_splitter_free(r->splitter);
    r->list = NULL;
    r->splitter = list_splitter_new(MANIFEST_MAX_OBJECT, take_json, r);
    r->first_line = line;
    return r->splitter != NULL ? 0 : CDNS_ENOMEM;
}

// One buffer of JSON text, which can hold the end of a document and the beginning of the next.
static int feed_documents(struct reading *r, const char *data, size_t len, bool *inside)
{
    int result = 0;
    while (result == 0 && len > 0 && !(!*inside && all_space(data, len))) {
        *inside = true;
        result = feed_json(r, data, len);
        if (result != 0)
            return result;
        const char *envelope;
        size_t rest = list_splitter_rest(r->splitter), size;
        if (list_splitter_finish(r->splitter, &envelope, &size) == CDNS_ETRUNC)
            return 0; // not at its end yet
        data += len - rest;
        len = rest;
        *inside = false;
        result = finish_json(r);
        if (result == 0)
            result = start_json(r, r->first_line + list_splitter_line(r->splitter) - 1);
    }
    return result;
}

static int read_json(struct reading *r, FILE *in)
{
    char buffer[16384];
    bool inside = false;
    int result = start_json(r, 0);
    while (result == 0) {
        size_t n = fread(buffer, 1, sizeof buffer, in);
        if (n == 0)
            break;
        result = feed_documents(r, buffer, n, &inside);
    }
    if (result == 0 && ferror(in))
        result = broken(r, r->first_line + list_splitter_line(r->splitter), "the file cannot be read");
    if (result == 0 && inside)
        result = finish_json(r);
    json_decref(r->list);
    list_splitter_free(r->splitter);
    return result;
}

// ---- files ----

// Does the text begin as JSON that some program wrote: `{"` or `{}`, with white space between?
static bool looks_like_json(FILE *in)
{
    int signs[2] = {EOF, EOF};
    for (size_t i = 0; i < 2; i++)
        do
            signs[i] = getc(in);
        while (signs[i] == ' ' || signs[i] == '\t' || signs[i] == '\r' || signs[i] == '\n');
    rewind(in);
    return signs[0] == '{' && (signs[1] == '"' || signs[1] == '}');
}

static int read_stream(struct reading *r, FILE *in)
{
    size_t len = strlen(r->name);
    bool json = (len > 5 && strcmp(r->name + len - 5, ".json") == 0) || looks_like_json(in);
    r->arena = arena_new(ARENA_LIMIT);
    if (r->arena == NULL)
        return CDNS_ENOMEM;
    int result = json ? read_json(r, in) : read_yaml(r, in);
    if (result == CDNS_ENOMEM)
        snprintf(r->error, r->error_size, "%s: %s", r->name, error_text(result));
    arena_free(r->arena);
    return result;
}

// The walk over a path's files, all read with the same callback.
struct path_reading {
    manifest_cb callback;
    void *arg;
    char *error;
    size_t error_size;
};

// A shell empties the file of `kubectl get … > FILE` before kubectl has anything to say, if it ever has.
static bool is_empty(int fd)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_size == 0;
}

static int read_file(void *arg, const char *path, const struct stat *st)
{
    (void)st;
    struct path_reading *p = arg;
    // Not blocking, should the file have become a pipe since it was looked at.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    FILE *in = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (in == NULL) {
        snprintf(p->error, p->error_size, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return CDNS_ECONFIG;
    }
    struct reading r = {
        .name = path, .callback = p->callback, .arg = p->arg, .error = p->error, .error_size = p->error_size};
    int result = is_empty(fd) ? broken(&r, 1, "the file is empty; a list without items says that there are no objects")
                              : read_stream(&r, in);
    fclose(in);
    return result;
}

int manifests_read(const char *path, manifest_cb callback, void *arg, char *error, size_t error_size)
{
    struct path_reading p = {callback, arg, error, error_size};
    struct manifest_walk walk = {.file = read_file, .arg = &p};
    int result = manifest_files(path, &walk, error, error_size);
    return result == CDNS_EIO ? CDNS_ECONFIG : result;
}

int manifests_read_text(const char *name, const char *text, size_t len, manifest_cb callback, void *arg, char *error,
                        size_t error_size)
{
    if (len == 0)
        return 0;
    FILE *in = fmemopen((void *)(uintptr_t)text, len, "r");
    if (in == NULL) {
        snprintf(error, error_size, "%s: %s", name, strerror(errno));
        return CDNS_ENOMEM;
    }
    struct reading r = {.name = name, .callback = callback, .arg = arg, .error = error, .error_size = error_size};
    int result = read_stream(&r, in);
    fclose(in);
    return result;
}
