// SPDX-License-Identifier: Apache-2.0
// Reads the web configuration: sections and fields are tables, a walk over libyaml's document fills the structure.
#include "plugins/prometheus/web_config.h"

#include "plugins/prometheus/web_tls.h"
#include <clusterdns/config.h>
#include <clusterdns/quote.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
    yaml_document_t *document;
    const char *path;
    struct arena *arena;
    char *error;
};

enum kind { TEXT, TEXTS, MAPPING, BOOL, INTEGER, DURATION, SECTION };

// Of fields that are ignored only the kind matters.
struct field {
    const char *name;
    enum kind kind;
    size_t offset;                   // in struct web_config
    bool (*known)(const char *text); // NULL: any text
    const char *what;                // a text that is not known is: "unknown cipher"
    const struct section *section;
};

struct section {
    const char *type; // as exporter-toolkit's messages name it
    const struct field *fields;
    size_t n;
};

#define AT(member) .offset = offsetof(struct web_config, member)

static const struct field tls_fields[] = {
    {"cert", TEXT, AT(cert)},
    {"key", TEXT, AT(key)},
    {"client_ca", TEXT, AT(client_ca)},
    {"cert_file", TEXT, AT(cert_file)},
    {"key_file", TEXT, AT(key_file)},
    {"client_auth_type", TEXT, AT(client_auth_type), web_tls_has_client_auth, "invalid ClientAuth"},
    {"client_ca_file", TEXT, AT(client_ca_file)},
    {"cipher_suites", TEXTS, AT(cipher_suites), web_tls_has_cipher, "unknown cipher"},
    {"curve_preferences", TEXTS, AT(curve_preferences), web_tls_has_curve, "unknown curve"},
    {"min_version", TEXT, AT(min_version), web_tls_has_version, "unknown TLS version"},
    {"max_version", TEXT, AT(max_version), web_tls_has_version, "unknown TLS version"},
    {.name = "prefer_server_cipher_suites", .kind = BOOL},
    {"client_allowed_sans", TEXTS, AT(client_allowed_sans)},
};
static const struct field http_fields[] = {
    {.name = "http2", .kind = BOOL}, // libmicrohttpd has none
    {"headers", MAPPING, AT(headers)},
};
static const struct field rate_fields[] = {
    {"burst", INTEGER, AT(burst)},
    {"interval", DURATION, AT(interval_ns)},
};
static const struct section tls_section = {"web.TLSConfig", tls_fields, WEB_COUNT(tls_fields)};
static const struct section http_section = {"web.HTTPConfig", http_fields, WEB_COUNT(http_fields)};
static const struct section rate_section = {"web.RateLimiterConfig", rate_fields, WEB_COUNT(rate_fields)};
static const struct field all_fields[] = {
    {"tls_server_config", SECTION, 0, .section = &tls_section},
    {"http_server_config", SECTION, 0, .section = &http_section},
    {"rate_limit", SECTION, 0, .section = &rate_section},
    {"basic_auth_users", MAPPING, AT(users)},
};
static const struct section all = {"web.Config", all_fields, WEB_COUNT(all_fields)};

int web_error(char *error, const char *path, size_t line, const char *fmt, ...)
{
    va_list args;
    int len = line > 0 ? snprintf(error, WEB_ERROR_MAX, "%s:%zu: ", path, line)
                       : snprintf(error, WEB_ERROR_MAX, "%s: ", path);
    va_start(args, fmt);
    if (len < WEB_ERROR_MAX)
        vsnprintf(error + len, WEB_ERROR_MAX - (size_t)len, fmt, args);
    va_end(args);
    return CDNS_ECONFIG;
}

static size_t line_of(const yaml_node_t *node)
{
    return node->start_mark.line + 1;
}

static const char *value_of(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(text, *words) != 0)
        words++;
    return *words != NULL;
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           is_one_of(value_of(node), nulls);
}

static int mismatch(const struct reader *r, const yaml_node_t *node, const char *name, const char *wanted)
{
    static const char *const kinds[] = {[YAML_SEQUENCE_NODE] = "a list", [YAML_MAPPING_NODE] = "a mapping"};
    if (node->type == YAML_SCALAR_NODE) // which may be a secret
        return web_error(r->error, r->path, line_of(node), "%s: cannot unmarshal a scalar into %s", name, wanted);
    return web_error(r->error, r->path, line_of(node), "%s: cannot unmarshal %s into %s", name, kinds[node->type],
                     wanted);
}

// A scalar as it is written, whatever type YAML gives it; null and "" are no text.
static int read_text(const struct reader *r, const char *name, const yaml_node_t *node, struct web_text *out)
{
    *out = (struct web_text){.line = line_of(node)};
    if (node->type != YAML_SCALAR_NODE || strlen(value_of(node)) != node->data.scalar.length)
        return mismatch(r, node, name, "text");
    if (is_null(node) || node->data.scalar.length == 0)
        return 0;
    out->text = arena_strndup(r->arena, value_of(node), node->data.scalar.length);
    return out->text != NULL ? 0 : CDNS_ENOMEM;
}

static int read_known(const struct reader *r, const struct field *f, const yaml_node_t *node, struct web_text *out)
{
    int rc = read_text(r, f->name, node, out);
    char quoted[128];
    if (rc == 0 && out->text != NULL && f->known != NULL && !f->known(out->text))
        return web_error(r->error, r->path, out->line, "%s: %s: docs/plugins/prometheus.md lists the names", f->what,
                         quote(out->text, quoted, sizeof quoted));
    return rc;
}

// An empty list with room for `n` entries.
static int make_list(const struct reader *r, const struct field *f, const yaml_node_t *node, size_t n,
                     struct web_list *out)
{
    if (n > WEB_ENTRIES_MAX)
        return web_error(r->error, r->path, line_of(node), "%s: more than %d entries", f->name, WEB_ENTRIES_MAX);
    *out = (struct web_list){.given = true, .entries = arena_calloc(r->arena, n, sizeof *out->entries)};
    return out->entries != NULL ? 0 : CDNS_ENOMEM;
}

static int read_list(const struct reader *r, const struct field *f, const yaml_node_t *node, struct web_list *out)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return mismatch(r, node, f->name, "a list");
    const yaml_node_item_t *items = node->data.sequence.items.start;
    const size_t n = (size_t)(node->data.sequence.items.top - items);
    int rc = make_list(r, f, node, n, out);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = read_known(r, f, yaml_document_get_node(r->document, items[i]), &out->entries[i].value);
        out->n += rc == 0;
    }
    return rc;
}

static int read_entry(const struct reader *r, const struct field *f, const yaml_node_pair_t *pair, struct web_list *out)
{
    struct web_text name;
    char quoted[128];
    const yaml_node_t *key = yaml_document_get_node(r->document, pair->key);
    struct web_entry *e = &out->entries[out->n];
    int rc = read_text(r, f->name, key, &name);
    if (rc != 0)
        return rc;
    e->name = name.text != NULL ? name.text : "";
    for (size_t i = 0; i < out->n; i++)
        if (strcmp(out->entries[i].name, e->name) == 0)
            return web_error(r->error, r->path, line_of(key), "key %s already set in map: remove one of the two",
                             quote(e->name, quoted, sizeof quoted));
    out->n++;
    return read_text(r, f->name, yaml_document_get_node(r->document, pair->value), &e->value);
}

static int read_mapping(const struct reader *r, const struct field *f, const yaml_node_t *node, struct web_list *out)
{
    if (node->type != YAML_MAPPING_NODE)
        return mismatch(r, node, f->name, "a mapping");
    const yaml_node_pair_t *pairs = node->data.mapping.pairs.start;
    const size_t n = (size_t)(node->data.mapping.pairs.top - pairs);
    int rc = make_list(r, f, node, n, out);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = read_entry(r, f, &pairs[i], out);
    return rc;
}

static int check_bool(const struct reader *r, const struct field *f, const yaml_node_t *node)
{
    static const char *const words[] = {"true", "True", "TRUE", "yes",   "Yes",   "YES",   "on", "On",
                                        "ON",   "y",    "Y",    "n",     "N",     "no",    "No", "NO",
                                        "off",  "Off",  "OFF",  "false", "False", "FALSE", NULL};
    const bool good = node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
                      is_one_of(value_of(node), words);
    return good ? 0 : mismatch(r, node, f->name, "bool: say true or false");
}

// A number, or a duration; one without unit is in nanoseconds, as in Go.
static int read_number(const struct reader *r, const struct field *f, const yaml_node_t *node, int64_t *out)
{
    char why[CONFIG_ERROR_MAX];
    if (node->type == YAML_SCALAR_NODE && (config_integer(value_of(node), out, NULL) == 0 ||
                                           (f->kind == DURATION && config_duration(value_of(node), out, why) == 0)))
        return 0;
    return mismatch(r, node, f->name, f->kind == INTEGER ? "int" : "time.Duration: say 1s or 500ms");
}

static int read_section(const struct reader *r, const char *name, const struct section *s, const yaml_node_t *node,
                        struct web_config *out);

static int read_field(const struct reader *r, const struct field *f, const yaml_node_t *node, struct web_config *out)
{
    void *to = (char *)out + f->offset;
    if (is_null(node))
        return 0;
    switch (f->kind) {
    case TEXT:
        return read_known(r, f, node, to);
    case TEXTS:
        return read_list(r, f, node, to);
    case MAPPING:
        return read_mapping(r, f, node, to);
    case BOOL:
        return check_bool(r, f, node);
    case INTEGER:
    case DURATION:
        return read_number(r, f, node, to);
    case SECTION:
        break;
    }
    return read_section(r, f->name, f->section, node, out);
}

// Writes the names of a table, which are its rows' first members, to `out` (WEB_ERROR_MAX bytes). Returns `out`.
static const char *names_of(const void *table, size_t row, size_t n, char *out)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n && len < WEB_ERROR_MAX; i++) {
        const char *name;
        memcpy(&name, (const char *)table + i * row, sizeof name);
        len += (size_t)snprintf(out + len, WEB_ERROR_MAX - len, "%s%s", i > 0 ? ", " : "", name);
    }
    return out;
}

static int unknown_field(const struct reader *r, const struct section *s, const char *name, size_t line)
{
    char names[WEB_ERROR_MAX];
    return web_error(r->error, r->path, line, "field %.60s not found in type %s: there are %s", name, s->type,
                     names_of(s->fields, sizeof *s->fields, s->n, names));
}

static int read_section(const struct reader *r, const char *name, const struct section *s, const yaml_node_t *node,
                        struct web_config *out)
{
    unsigned seen = 0;
    if (node->type != YAML_MAPPING_NODE)
        return mismatch(r, node, name, s->type);
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        struct web_text key;
        size_t i = 0;
        int rc = read_text(r, name, yaml_document_get_node(r->document, p->key), &key);
        if (rc != 0)
            return rc;
        while (i < s->n && (key.text == NULL || strcmp(s->fields[i].name, key.text) != 0))
            i++;
        if (i == s->n)
            return unknown_field(r, s, key.text != NULL ? key.text : "\"\"", key.line);
        if ((seen & 1U << i) != 0)
            return web_error(r->error, r->path, key.line, "field %s already set in type %s: remove one of the two",
                             key.text, s->type);
        seen |= 1U << i;
        rc = read_field(r, &s->fields[i], yaml_document_get_node(r->document, p->value), out);
        if (rc != 0)
            return rc;
    }
    return 0;
}

// Checks -------------------------------------------------------------------------------------------------------------

// White space of any kind becomes a space, as Go's headers have it, and none is left at the ends.
static const char *header_value(const struct reader *r, const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    char *value = arena_strndup(r->arena, text, len);
    for (char *c = value; c != NULL && *c != '\0'; c++)
        if (isspace((unsigned char)*c))
            *c = ' ';
    return value;
}

static int check_header(const struct reader *r, struct web_entry *e)
{
    static const struct {
        const char *name, *values[3], *shown;
    } headers[] = {
        {"Strict-Transport-Security", {NULL}, NULL},
        {"X-Content-Type-Options", {"nosniff"}, "[\"nosniff\"]"},
        {"X-Frame-Options", {"deny", "sameorigin"}, "[\"deny\" \"sameorigin\"]"},
        {"X-XSS-Protection", {NULL}, NULL},
        {"Content-Security-Policy", {NULL}, NULL},
    };
    char quoted[128], names[WEB_ERROR_MAX];
    const char *value = e->value.text != NULL ? e->value.text : "";
    size_t i = 0;
    while (i < WEB_COUNT(headers) && strcmp(headers[i].name, e->name) != 0)
        i++;
    if (i == WEB_COUNT(headers))
        return web_error(r->error, r->path, e->value.line, "HTTP header %s can not be configured: there are %s",
                         quote(e->name, quoted, sizeof quoted),
                         names_of(headers, sizeof headers[0], WEB_COUNT(headers), names));
    if (headers[i].shown != NULL && !is_one_of(value, headers[i].values))
        return web_error(r->error, r->path, e->value.line, "invalid value for %s. Expected one of: %s, but got: %s",
                         e->name, headers[i].shown, quote(value, quoted, sizeof quoted));
    if (e->value.text != NULL && (e->value.text = header_value(r, value)) == NULL)
        return CDNS_ENOMEM;
    return 0;
}

// "$2y$10$" and 53 characters. The hash itself is in no message.
static int check_user(const struct reader *r, const struct web_entry *e)
{
    char quoted[128];
    const char *hash = e->value.text != NULL ? e->value.text : "";
    quote(e->name, quoted, sizeof quoted);
    if (strlen(hash) < 59)
        return web_error(r->error, r->path, e->value.line,
                         "user %s: crypto/bcrypt: hashedSecret too short to be a bcrypted password: make one with "
                         "htpasswd -nBC 10 USER",
                         quoted);
    int cost = 0;
    const bool form = strlen(hash) == 60 && hash[0] == '$' && hash[1] == '2' && strchr("abxy", hash[2]) != NULL &&
                      hash[3] == '$' && isdigit((unsigned char)hash[4]) && isdigit((unsigned char)hash[5]) &&
                      hash[6] == '$';
    if (form)
        cost = (hash[4] - '0') * 10 + hash[5] - '0';
    if (!form || cost < 4 || cost > 31)
        return web_error(r->error, r->path, e->value.line,
                         "user %s: this is no bcrypt hash: make one with htpasswd -nBC 10 USER", quoted);
    if (cost > WEB_COST_MAX)
        return web_error(r->error, r->path, e->value.line,
                         "user %s: cost %d takes longer than a request may: hash again with cost 10 (at most %d)",
                         quoted, cost, WEB_COST_MAX);
    return 0;
}

// Relative paths start where the file is.
static int join(const struct reader *r, struct web_text *file)
{
    const char *slash = strrchr(r->path, '/');
    if (file->text == NULL || file->text[0] == '/' || slash == NULL)
        return 0;
    file->text = arena_printf(r->arena, "%.*s/%s", (int)(slash - r->path), r->path, file->text);
    return file->text != NULL ? 0 : CDNS_ENOMEM;
}

static int check(const struct reader *r, struct web_config *c)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < c->headers.n; i++)
        rc = check_header(r, &c->headers.entries[i]);
    for (size_t i = 0; rc == 0 && i < c->users.n; i++)
        rc = check_user(r, &c->users.entries[i]);
    if (rc == 0)
        rc = join(r, &c->cert_file);
    if (rc == 0)
        rc = join(r, &c->key_file);
    if (rc == 0)
        rc = join(r, &c->client_ca_file);
    return rc;
}

int web_config_parse(const char *path, const char *text, size_t len, struct arena *arena, struct web_config *out,
                     char *error)
{
    yaml_parser_t parser;
    yaml_document_t document;
    const struct reader r = {.document = &document, .path = path, .arena = arena, .error = error};
    *out = (struct web_config){0};
    if (!yaml_parser_initialize(&parser))
        return CDNS_ENOMEM;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    int rc = 0;
    if (yaml_parser_load(&parser, &document)) {
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        if (root != NULL && !is_null(root))
            rc = read_section(&r, "the file", &all, root, out);
        if (rc == 0)
            rc = check(&r, out);
        yaml_document_delete(&document);
    } else {
        const bool marked = parser.error != YAML_READER_ERROR; // which has an offset, no mark
        rc = parser.error == YAML_MEMORY_ERROR
                 ? CDNS_ENOMEM
                 : web_error(error, path, (marked ? parser.problem_mark.line : parser.mark.line) + 1, "yaml: %s",
                             parser.problem != NULL ? parser.problem : "this is none");
    }
    yaml_parser_delete(&parser);
    return rc;
}
