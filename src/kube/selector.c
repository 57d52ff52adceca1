// SPDX-License-Identifier: Apache-2.0
#include "kube/selector.h"
#include <clusterdns/quote.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LABEL_MAX 63   // bytes of a key's name, and of a value
#define PREFIX_MAX 253 // bytes of a key's prefix, a DNS subdomain

enum op { OP_EQUALS, OP_NOT_EQUALS, OP_IN, OP_NOT_IN, OP_EXISTS, OP_NOT_EXISTS, OP_GREATER, OP_LESS };

struct requirement {
    const char *key;
    enum op op;
    const char **values; // sorted, each once
    size_t nvalues;
    size_t place; // in the text
};

struct selector {
    struct requirement *requirements;
    size_t n;
    char *text;
};

enum token { TOKEN_END, TOKEN_WORD, TOKEN_OPERATOR, TOKEN_NOT, TOKEN_COMMA, TOKEN_OPEN, TOKEN_CLOSE };

struct parser {
    const char *at; // behind the token at hand
    enum token token;
    const char *word; // the token's text
    enum op op;       // of a TOKEN_OPERATOR; of a TOKEN_WORD that can be one too: OP_IN, OP_NOT_IN, else OP_EXISTS
    struct arena *arena;
    char *error;
    size_t error_size;
};

static void put(char *out, size_t size, const char *fmt, ...) CDNS_PRINTF(3, 4);
static void put(char *out, size_t size, const char *fmt, ...)
{
    size_t len = strlen(out);
    va_list args;
    va_start(args, fmt);
    vsnprintf(out + len, size - len, fmt, args);
    va_end(args);
}

#define PUT(p, ...) put((p)->error, (p)->error_size, __VA_ARGS__)

// ---- tokens ----

static bool is_special(char c)
{
    return c != '\0' && strchr("=!(),><", c) != NULL;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void take_special(struct parser *p)
{
    static const struct {
        const char *text;
        enum token token;
        enum op op;
    } all[] = {
        {"==", TOKEN_OPERATOR, OP_EQUALS}, {"!=", TOKEN_OPERATOR, OP_NOT_EQUALS}, {"=", TOKEN_OPERATOR, OP_EQUALS},
        {">", TOKEN_OPERATOR, OP_GREATER}, {"<", TOKEN_OPERATOR, OP_LESS},        {"!", TOKEN_NOT, OP_EXISTS},
        {",", TOKEN_COMMA, OP_EXISTS},     {"(", TOKEN_OPEN, OP_EXISTS},          {")", TOKEN_CLOSE, OP_EXISTS}};
    size_t i = 0;
    while (strncmp(p->at, all[i].text, strlen(all[i].text)) != 0)
        i++;
    p->token = all[i].token;
    p->op = all[i].op;
    p->word = all[i].text;
    p->at += strlen(all[i].text);
}

// Goes on to the next token. CDNS_ENOMEM.
static int next(struct parser *p)
{
    while (is_space(*p->at))
        p->at++;
    p->op = OP_EXISTS;
    if (is_special(*p->at)) {
        take_special(p);
        return 0;
    }
    const char *start = p->at;
    while (*p->at != '\0' && !is_special(*p->at) && !is_space(*p->at))
        p->at++;
    p->token = p->at > start ? TOKEN_WORD : TOKEN_END;
    p->word = arena_strndup(p->arena, start, (size_t)(p->at - start));
    if (p->word == NULL)
        return CDNS_ENOMEM;
    if (strcmp(p->word, "in") == 0)
        p->op = OP_IN;
    else if (strcmp(p->word, "notin") == 0)
        p->op = OP_NOT_IN;
    return 0;
}

static int expected(struct parser *p, const char *what)
{
    PUT(p, "found '%s'%s", p->word, what);
    return CDNS_ESYNTAX;
}

// ---- keys and values ----

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_name(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++)
        if (!is_alphanumeric(text[i]) && (i == 0 || i == len - 1 || strchr("-_.", text[i]) == NULL))
            return false;
    return len > 0;
}

static bool is_subdomain(const char *text)
{
    for (const char *p = text;; p++) {
        bool edge = p == text || p[-1] == '.' || p[1] == '.' || p[1] == '\0';
        if (!(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9') && (edge || (*p != '-' && *p != '.')))
            return false;
        if (p[1] == '\0')
            return true;
    }
}

#define NAME_REGEX "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
#define NAME_RULE                                                                                                      \
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character " \
    "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '" NAME_REGEX "')"

static void complain_name(struct parser *p, const char *name, const char *separator)
{
    size_t len = strlen(name);
    if (len == 0)
        PUT(p, "%sname part must be non-empty", separator);
    else if (len > LABEL_MAX)
        PUT(p, "%sname part must be no more than %d bytes", separator, LABEL_MAX);
    if (!is_name(name))
        PUT(p, "%sname part " NAME_RULE, len == 0 || len > LABEL_MAX ? "; " : separator);
}

static bool complain_prefix(struct parser *p, const char *prefix)
{
    size_t len = strlen(prefix);
    if (len == 0)
        PUT(p, "prefix part must be non-empty");
    if (len > PREFIX_MAX)
        PUT(p, "prefix part must be no more than %d bytes", PREFIX_MAX);
    if (len > 0 && !is_subdomain(prefix))
        PUT(p,
            "%sprefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
            "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation "
            "is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
            len > PREFIX_MAX ? "; " : "");
    return len == 0 || len > PREFIX_MAX || !is_subdomain(prefix);
}

static void put_quoted(struct parser *p, const char *text)
{
    size_t len = strlen(p->error);
    quote(text, p->error + len, p->error_size - len);
}

static int check_key(struct parser *p, const char *key)
{
    const char *slash = strchr(key, '/');
    size_t before = strlen(p->error);
    PUT(p, "<nil>: Invalid value: ");
    put_quoted(p, key);
    PUT(p, ": ");
    if (slash != NULL && strchr(slash + 1, '/') != NULL) {
        PUT(p, "a valid label key " NAME_RULE " with an optional DNS subdomain prefix and '/' (e.g. "
               "'example.com/MyName')");
        return CDNS_ESYNTAX;
    }
    const char *name = slash != NULL ? slash + 1 : key;
    char *prefix = slash != NULL ? arena_strndup(p->arena, key, (size_t)(slash - key)) : NULL;
    if (slash != NULL && prefix == NULL)
        return CDNS_ENOMEM;
    bool bad = prefix != NULL && complain_prefix(p, prefix);
    if (!is_name(name) || strlen(name) > LABEL_MAX) {
        complain_name(p, name, bad ? "; " : "");
        bad = true;
    }
    if (bad)
        return CDNS_ESYNTAX;
    p->error[before] = '\0'; // nothing to complain about
    return 0;
}

// Is it what Go's ParseInt takes for 64 bits?
static bool is_integer(const char *text)
{
    char *end;
    const char *digits = text + (*text == '-' || *text == '+');
    errno = 0;
    (void)strtoll(text, &end, 10);
    return isdigit((unsigned char)*digits) && *end == '\0' && errno == 0;
}

static bool is_value(const char *text)
{
    return text[0] == '\0' || (is_name(text) && strlen(text) <= LABEL_MAX);
}

static void complain_value(struct parser *p, const struct requirement *r, size_t i, const char *separator)
{
    const char *value = r->values[i];
    PUT(p, "%svalues[%zu][%s]: Invalid value: ", separator, i, r->key);
    put_quoted(p, value);
    if (strlen(value) > LABEL_MAX)
        PUT(p, ": must be no more than %d bytes", LABEL_MAX);
    if (!is_name(value))
        PUT(p,
            "%sa valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
            "validation is '(" NAME_REGEX ")?')",
            strlen(value) > LABEL_MAX ? "; " : ": ");
}

// Complains of all values that are none; several complaints stand in brackets.
static int check_values(struct parser *p, const struct requirement *r)
{
    bool number = r->op == OP_GREATER || r->op == OP_LESS;
    size_t bad = number && !is_integer(r->values[0]), told = 0;
    for (size_t i = 0; i < r->nvalues; i++)
        bad += !is_value(r->values[i]);
    if (bad == 0)
        return 0;
    PUT(p, "%s", bad > 1 ? "[" : "");
    if (number && !is_integer(r->values[0])) {
        PUT(p, "values[0]: Invalid value: ");
        put_quoted(p, r->values[0]);
        PUT(p, ": for 'Gt', 'Lt' operators, the value must be an integer");
        told++;
    }
    for (size_t i = 0; i < r->nvalues; i++)
        if (!is_value(r->values[i]))
            complain_value(p, r, i, told++ > 0 ? ", " : "");
    PUT(p, "%s", bad > 1 ? "]" : "");
    return CDNS_ESYNTAX;
}

// ---- grammar ----

static int compare_values(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort_values(struct requirement *r)
{
    size_t n = 0;
    qsort(r->values, r->nvalues, sizeof *r->values, compare_values);
    for (size_t i = 0; i < r->nvalues; i++)
        if (n == 0 || strcmp(r->values[n - 1], r->values[i]) != 0)
            r->values[n++] = r->values[i];
    r->nvalues = n;
}

// The list between parentheses, from the token behind "(" to the one behind ")". Values may be empty.
static int parse_list(struct parser *p, struct requirement *r)
{
    int result = 0;
    bool after_word = false;
    while (result == 0 && p->token != TOKEN_CLOSE) {
        if (p->token == TOKEN_WORD && !after_word) {
            r->values[r->nvalues++] = p->word;
            after_word = true;
        } else if (after_word && p->token != TOKEN_COMMA) {
            return expected(p, ", expected: ',' or ')'");
        } else if (p->token == TOKEN_COMMA) {
            // Nothing before the first comma, or behind this one, is an empty value.
            const char *rest = p->at + strspn(p->at, " \t\r\n");
            if (r->nvalues == 0 || *rest == ',' || *rest == ')')
                r->values[r->nvalues++] = "";
            after_word = false;
        } else {
            return expected(p, ", expected: ',', or identifier");
        }
        result = next(p);
    }
    return result != 0 ? result : next(p);
}

// How many values the list from here on can have.
static size_t count_values(const char *list)
{
    size_t n = 2;
    for (; *list != '\0' && *list != ')'; list++)
        n += *list == ',';
    return n;
}

// In the list every comma gives at most one empty value, and each word is followed by one or is the last.
static int parse_values(struct parser *p, struct requirement *r)
{
    if (p->token != TOKEN_OPEN)
        return expected(p, " expected: '('");
    r->values = arena_calloc(p->arena, 2 * count_values(p->at), sizeof *r->values);
    if (r->values == NULL)
        return CDNS_ENOMEM;
    int result = next(p);
    if (result != 0)
        return result;
    if (p->token == TOKEN_CLOSE) {
        r->values[r->nvalues++] = "";
        return next(p);
    }
    if (p->token != TOKEN_WORD && p->token != TOKEN_COMMA)
        return expected(p, ", expected: ',', ')' or identifier");
    result = parse_list(p, r);
    sort_values(r);
    return result;
}

static int parse_value(struct parser *p, struct requirement *r)
{
    r->values = arena_calloc(p->arena, 1, sizeof *r->values);
    if (r->values == NULL)
        return CDNS_ENOMEM;
    r->nvalues = 1;
    r->values[0] = "";
    if (p->token == TOKEN_END || p->token == TOKEN_COMMA)
        return 0;
    if (p->token != TOKEN_WORD)
        return expected(p, ", expected: identifier");
    r->values[0] = p->word;
    return next(p);
}

static int parse_restriction(struct parser *p, struct requirement *r)
{
    if (p->token != TOKEN_OPERATOR && p->op == OP_EXISTS)
        return expected(p, ", expected: in, notin, =, ==, !=, gt, lt");
    r->op = p->op;
    int result = next(p);
    if (result == 0)
        result = r->op == OP_IN || r->op == OP_NOT_IN ? parse_values(p, r) : parse_value(p, r);
    return result != 0 ? result : check_values(p, r);
}

static int parse_requirement(struct parser *p, struct requirement *r)
{
    int result = 0;
    r->op = OP_EXISTS;
    if (p->token == TOKEN_NOT) {
        r->op = OP_NOT_EXISTS;
        result = next(p);
    }
    if (result != 0)
        return result;
    if (p->token != TOKEN_WORD)
        return expected(p, ", expected: identifier");
    r->key = p->word;
    result = check_key(p, r->key);
    if (result == 0)
        result = next(p);
    if (result != 0 || r->op == OP_NOT_EXISTS || p->token == TOKEN_END || p->token == TOKEN_COMMA)
        return result;
    return parse_restriction(p, r);
}

static int parse_requirements(struct parser *p, struct selector *s)
{
    int result = next(p);
    while (result == 0 && p->token != TOKEN_END) {
        struct requirement *r = &s->requirements[s->n];
        size_t before = strlen(p->error);
        if (p->token != TOKEN_WORD && p->token != TOKEN_NOT)
            return expected(p, s->n > 0 ? ", expected: identifier after ','"
                                        : ", expected: !, identifier, or 'end of string'");
        PUT(p, "unable to parse requirement: ");
        result = parse_requirement(p, r);
        if (result != 0)
            return result;
        p->error[before] = '\0';
        r->place = s->n++;
        if (p->token == TOKEN_END)
            return 0;
        if (p->token != TOKEN_COMMA)
            return expected(p, ", expected: ',' or 'end of string'");
        result = next(p);
        if (result == 0 && p->token == TOKEN_END)
            return expected(p, ", expected: identifier after ','");
    }
    return result;
}

// ---- the whole ----

// By key, `=` before all others, then as written.
static int compare_requirements(const void *a, const void *b)
{
    const struct requirement *x = a, *y = b;
    int by_key = strcmp(x->key, y->key);
    if (by_key != 0)
        return by_key;
    if ((x->op == OP_EQUALS) != (y->op == OP_EQUALS))
        return x->op == OP_EQUALS ? -1 : 1;
    return x->place < y->place ? -1 : 1;
}

// Refuses what a selector of the API's types cannot say; sorts, and leaves one `key=value` of each key, the last.
static int arrange(struct parser *p, struct selector *s)
{
    size_t n = 0;
    struct requirement *all = s->requirements;
    const struct requirement *refused = NULL;
    qsort(all, s->n, sizeof *all, compare_requirements);
    for (size_t i = 0; i < s->n; i++) {
        bool bad = all[i].op == OP_NOT_EQUALS || all[i].op == OP_GREATER || all[i].op == OP_LESS;
        if (bad && refused == NULL)
            refused = &all[i];
    }
    if (refused != NULL) {
        p->error[0] = '\0';
        if (refused->op == OP_NOT_EQUALS)
            PUT(p, "\"!=\" is not a valid label selector operator");
        else
            PUT(p, "\"%s\" isn't supported in label selectors", refused->op == OP_GREATER ? "gt" : "lt");
        return CDNS_ESYNTAX;
    }
    for (size_t i = 0; i < s->n; i++) {
        bool again =
            n > 0 && all[i].op == OP_EQUALS && all[n - 1].op == OP_EQUALS && strcmp(all[n - 1].key, all[i].key) == 0;
        all[again ? n - 1 : n++] = all[i];
    }
    s->n = n;
    return 0;
}

static void append(char **out, const char *text)
{
    *out = stpcpy(*out, text);
}

static void append_requirement(char **out, const struct requirement *r)
{
    static const char *const signs[] = {[OP_EQUALS] = "=", [OP_IN] = " in (", [OP_NOT_IN] = " notin ("};
    append(out, r->op == OP_NOT_EXISTS ? "!" : "");
    append(out, r->key);
    if (r->op == OP_EXISTS || r->op == OP_NOT_EXISTS)
        return;
    append(out, signs[r->op]);
    for (size_t i = 0; i < r->nvalues; i++) {
        append(out, i > 0 ? "," : "");
        append(out, r->values[i]);
    }
    append(out, r->op == OP_EQUALS ? "" : ")");
}

static int write_text(struct parser *p, struct selector *s)
{
    size_t size = 1;
    for (size_t i = 0; i < s->n; i++) {
        size += strlen(s->requirements[i].key) + sizeof ", notin ()";
        for (size_t k = 0; k < s->requirements[i].nvalues; k++)
            size += strlen(s->requirements[i].values[k]) + 1;
    }
    char *out = s->text = arena_alloc(p->arena, size);
    if (out == NULL)
        return CDNS_ENOMEM;
    *out = '\0';
    for (size_t i = 0; i < s->n; i++) {
        append(&out, i > 0 ? "," : "");
        append_requirement(&out, &s->requirements[i]);
    }
    return 0;
}

int selector_parse(const char *text, struct arena *a, const struct selector **out, char *error, size_t error_size)
{
    struct parser p = {.at = text, .arena = a, .error = error, .error_size = error_size};
    struct selector *s = arena_calloc(a, 1, sizeof *s);
    size_t room = 1;
    for (const char *c = text; *c != '\0'; c++)
        room += *c == ',';
    if (s != NULL)
        s->requirements = arena_calloc(a, room, sizeof *s->requirements);
    if (s == NULL || s->requirements == NULL)
        return CDNS_ENOMEM;
    snprintf(error, error_size, "couldn't parse the selector string \"%s\": ", text);
    int result = parse_requirements(&p, s);
    if (result == 0)
        result = arrange(&p, s);
    if (result == 0)
        result = write_text(&p, s);
    *out = s;
    return result;
}

const char *selector_text(const struct selector *s)
{
    return s->text;
}

static bool has_value(const struct requirement *r, const char *value)
{
    for (size_t i = 0; i < r->nvalues; i++)
        if (strcmp(r->values[i], value) == 0)
            return true;
    return false;
}

bool selector_matches(const struct selector *s, selector_lookup lookup, const void *labels)
{
    for (size_t i = 0; i < s->n; i++) {
        const struct requirement *r = &s->requirements[i];
        const char *value = lookup(labels, r->key);
        bool wanted = r->op != OP_NOT_EXISTS && r->op != OP_NOT_IN;
        bool selected = value != NULL && (r->nvalues == 0 || has_value(r, value));
        if (selected != wanted)
            return false;
    }
    return true;
}
